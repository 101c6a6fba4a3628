/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who else uses a function whose prototype changes: asked of a small module of two units. */
#include <string.h>

#include "base/file.h"
#include "base/run.h"
#include "kernel/unit.h"
#include "klp/callers.h"

#define HOST                                                                                                           \
	"int f(int x) { return x * 7 + 1; } int near(int x) { return f(x) + 1; } int near2(int x) { return f(x + 1) "  \
	"* 2; }\n"                                                                                                     \
	"extern int alias(int) __attribute__((alias(\"f\")));\n"

/* other: the module's second unit, which the patch does not touch unless both is set. */
static const struct {
	const char *name, *other, *words;
	gboolean both;
} cases[] = {
	{ "called from its own unit", "int far(int x) { return x; }", NULL, FALSE },
	{ "called from elsewhere", "int f(int); int far(int x) { return f(x) + 3; }", "far calls it", FALSE },
	{ "called from another unit of the patch", "int f(int); int far(int x) { return f(x) + 3; }", NULL, TRUE },
	{ "its address in code", "int f(int); int keep(int (*)(int)); int far(int x) { return keep(f); }",
	  "far takes its address", TRUE },
	{ "its address in data", "int f(int); int (*far)(int) = f;", "far holds its address", TRUE },
	{ "exported", "asm(\".section \\\"__ksymtab\\\",\\\"a\\\"\\n__ksymtab_f: .long f - .\\n.previous\");",
	  "exported", TRUE },
	{ "two callers of one name",
	  "int f(int); static __attribute__((noinline)) int near(int x) { return f(x) - 1; } int far(int x) { return "
	  "near(x); }",
	  "several of that name", TRUE },
	/* The module may be loaded after the live patch; then this runs as it was compiled. */
	{ "start-up code of the patch",
	  "int f(int); __attribute__((section(\".init.text\"))) int far(void) { return f(1) + 1; }",
	  "far, which cannot be replaced, calls it when the module is loaded", TRUE },
	{ "exit code of the patch",
	  "int f(int); __attribute__((section(\".exit.text\"))) int far(void) { return f(1) + 1; }",
	  "far, which cannot be replaced, calls it when the module is removed", TRUE },
	{ "an alternative", "asm(\".section .altinstr_replacement,\\\"ax\\\"\\ncall f\\n.previous\");",
	  "code or data of section .altinstr_replacement refers to it", TRUE },
	{ "by another name", "extern int alias(int); int far(int x) { return alias(x) + 3; }", "far calls it", FALSE },
};

static void run(const char *const *argv)
{
	g_autoptr(GError) error = NULL;
	g_free(km_run_checked(argv, NULL, &error));
	g_assert_no_error(error);
}

static char *compile(const char *dir, const char *name, const char *text)
{
	g_autofree char *source = g_strdup_printf("%s/%s.c", dir, name);
	char *object = g_strdup_printf("%s/%s.o", dir, name);
	g_assert_true(g_file_set_contents(source, text, -1, NULL));
	const char *const argv[] = { "gcc",
				     "-O2",
				     "-fno-pic",
				     "-fno-ipa-icf",
				     "-ffunction-sections",
				     "-fno-inline",
				     "-fno-optimize-sibling-calls",
				     "-c",
				     "-o",
				     object,
				     source,
				     NULL };
	run(argv);
	return object;
}

static void test_case(gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-callers", NULL);
	g_autofree char *host = compile(dir->path, "host", HOST), *other = compile(dir->path, "other", cases[i].other);
	g_autofree char *linked = g_build_filename(dir->path, "module.ko", NULL);
	const char *const link[] = { "ld", "-r", "-o", linked, host, other, NULL };
	run(link);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) module = km_object_read(linked, &error);
	g_assert_no_error(error);
	KmUnit units[] = { { .owner = (char *)"m", .original = host }, { .owner = (char *)"m", .original = other } };
	g_autoptr(GPtrArray) list = g_ptr_array_new();
	g_ptr_array_add(list, &units[0]);
	if (cases[i].both)
		g_ptr_array_add(list, &units[1]);
	g_autoptr(GHashTable) functions = km_compiled_functions(list, "m");
	const KmRefContext context = { .owner = "m", .module = module };
	const KmSymbol f = { .name = (char *)"f", .bind = STB_GLOBAL };
	g_autofree char *words = km_outside_user(&context, functions, &f, FALSE, NULL);
	if (!cases[i].words)
		g_assert_cmpstr(words, ==, NULL);
	else
		g_assert_nonnull(strstr(words ? words : "", cases[i].words));
}

static void test_unread(void)
{
	const KmUnit unit = { .owner = (char *)"m", .original = (char *)"/nowhere.o" };
	g_autoptr(GPtrArray) list = g_ptr_array_new();
	g_ptr_array_add(list, (gpointer)&unit);
	g_assert_null(km_compiled_functions(list, "m"));
	const KmRefContext context = { .owner = "vmlinux" };
	const KmSymbol f = { .name = (char *)"f", .bind = STB_GLOBAL };
	g_autofree char *unread = km_outside_user(&context, NULL, &f, FALSE, NULL);
	g_assert_nonnull(strstr(unread, "could not be read"));
	g_autoptr(GHashTable) none = g_hash_table_new(g_str_hash, g_str_equal);
	g_autofree char *words = km_outside_user(&context, none, &f, FALSE, NULL);
	g_assert_nonnull(strstr(words, "from anywhere"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *path = g_strdup_printf("/callers/%s", cases[i].name);
		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_case);
	}
	g_test_add_func("/callers/unread", test_unread);
	return g_test_run();
}
