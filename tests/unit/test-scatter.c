/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Variables that share a section by attribute get one each: asked of real compilers and assemblers. */
#include <string.h>

#include "base/file.h"
#include "base/run.h"
#include "diff/diff.h"
#include "kernel/scatter.h"

static const char *const compilers[] = {
	"gcc-12", "gcc-11", "clang-14", "aarch64-linux-gnu-gcc", "powerpc64le-linux-gnu-gcc", "s390x-linux-gnu-gcc",
	"riscv64-linux-gnu-gcc",
};

/* The end of one array is where the next variable starts, and the place before it belongs to another. */
#define SHARED(type) "__attribute__((section(\"" type "\")))"
#define SOURCE                                                                                                         \
	"int use(int *);\n"                                                                                            \
	"static int first[4] " SHARED(".data..read_mostly") " = { 1 };\n"                                              \
	"%s"                                                                                                           \
	"static int last[4] " SHARED(".data..read_mostly") " = { 2 };\n"                                               \
	"int plain = 3;\n"                                                                                             \
	"int zero[4] __attribute__((section(\".bss..page_aligned\"), aligned(4096)));\n"                               \
	"int f(long i) { for (int *p = first; p != first + 4; p++) use(p); return last[i - 1] + zero[i] + plain%s; }\n" \
	"int g(void) { return use(last) + use(first); }\n"

static char *run(const char *const *argv, const char *input)
{
	KmRunOptions options = { .stdin_text = input, .merge_stderr = TRUE };
	g_autoptr(KmRunResult) result = km_run(argv, &options, NULL);
	return result && !result->status ? g_steal_pointer(&result->output) : NULL;
}

/* NULL when this compiler is not there. */
static KmObject *make(const char *compiler, const char *dir, const char *name, const char *source, gboolean scatter)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	const char *list[] = { compiler, "-O2", "-ffunction-sections", "-fdata-sections", "-fno-section-anchors", "-fno-pic",
			       "-S",	 "-x",	"c",		       "-o",		  "-",			  "-",
			       NULL };
	/* clang has no section anchors and does not know the option. */
	if (g_str_has_prefix(compiler, "clang"))
		list[4] = "-w";
	const char *assemble[] = { compiler, "-c", "-x", "assembler", "-o", path, "-", NULL };
	g_autofree char *listing = run(list, source);
	if (!listing)
		return NULL;
	g_autofree char *text = scatter ? km_scatter_data(listing) : g_strdup(listing);
	g_autofree char *words = run(assemble, text);
	g_assert_nonnull(words);
	g_autoptr(GError) error = NULL;
	KmObject *object = km_object_read(path, &error);
	g_assert_no_error(error);
	return object;
}

static guint count_in(const KmObject *object, const KmSection *section)
{
	guint n = 0;
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		n += symbol->section == section && symbol->type == STT_OBJECT;
	}
	return n;
}

static void test_alone(gconstpointer compiler)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-test", NULL);
	g_autofree char *source = g_strdup_printf(SOURCE, "int between " SHARED(".data..read_mostly") " = 9;\n", "");
	g_autoptr(KmObject) together = make(compiler, dir->path, "t.o", source, FALSE);
	g_autoptr(KmObject) apart = make(compiler, dir->path, "a.o", source, TRUE);
	if (!together || !apart) {
		g_test_skip("this compiler is not installed");
		return;
	}
	g_assert_cmpuint(count_in(together, km_object_find_symbol(together, "first")->section), ==, 3);
	static const char *const names[] = { "first", "between", "last", "plain", "zero" };
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		const KmSymbol *was = km_object_find_symbol(together, names[i]);
		const KmSymbol *symbol = km_object_find_symbol(apart, names[i]);
		g_assert_cmpuint(count_in(apart, symbol->section), ==, 1);
		g_assert_cmpuint(symbol->value, ==, 0);
		g_assert_cmpuint(symbol->size, ==, was->size);
		g_assert_cmpstr(symbol->section->name, ==, was->section->name);
		g_assert_cmpuint(symbol->section->flags, ==, was->section->flags);
		g_assert_cmpuint(symbol->section->type, ==, was->section->type);
		if (was->section->data)
			g_assert_cmpmem(symbol->section->data->data, symbol->size,
					was->section->data->data + was->value, was->size);
	}
}

/* What the extracted code says about a variable of the kernel's: its addends, in order. */
static char *addends_of(const KmObject *object, const char *name)
{
	GString *text = g_string_new(NULL);
	for (guint i = 0; i < object->sections->len; i++) {
		const KmSection *section = object->sections->pdata[i];
		for (guint k = 0; k < section->relocs->len; k++) {
			const KmReloc *r = &g_array_index(section->relocs, KmReloc, k);
			if (!strcmp(r->symbol->name, name) && !r->symbol->section)
				g_string_append_printf(text, " %d", (int)r->addend);
		}
	}
	return g_string_free(text, FALSE);
}

/* A new variable between the two moves nothing: the code still means the end of `first` and the place before `last`. */
static void test_end_of_array(void)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-test", NULL);
	g_autofree char *before = g_strdup_printf(SOURCE, "", "");
	g_autofree char *after =
		g_strdup_printf(SOURCE, "int between " SHARED(".data..read_mostly") " = 9;\n", " + between");
	g_autoptr(KmObject) original = make("gcc-12", dir->path, "o.o", before, TRUE);
	g_autoptr(KmObject) patched = make("gcc-12", dir->path, "p.o", after, TRUE);
	if (!original || !patched || strcmp(original->arch->name, "x86_64")) {
		g_test_skip("needs gcc-12 for x86_64");
		return;
	}
	g_autoptr(GError) error = NULL;
	g_autoptr(KmDiff) diff = km_diff_new(original, patched, TRUE, &error);
	g_assert_no_error(error);
	g_autoptr(KmObject) extracted = km_extract(diff, &error);
	g_assert_no_error(error);
	g_autofree char *first = addends_of(extracted, "first"), *last = addends_of(extracted, "last");
	g_assert_cmpstr(first, ==, " 0 16");
	g_assert_cmpstr(last, ==, " -4");
	g_assert_nonnull(km_object_find_symbol(extracted, "between")->section);
}

/* Left together, the end of the last one is no variable's place: refused, never a copy of the section. */
static void test_together_is_refused(void)
{
	static const char text[] = "int use(int *);\nstatic int a " SHARED(".data..read_mostly") " = 1;\n"
				   "static int last[4] " SHARED(".data..read_mostly") " = { 2 };\n"
				   "int f(void) { for (int *p = last; p != last + 4; p++) use(p); return use(&a)%s; }\n";
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-test", NULL);
	g_autofree char *before = g_strdup_printf(text, ""), *after = g_strdup_printf(text, " + 1");
	for (gboolean scatter = FALSE; scatter <= TRUE; scatter++) {
		g_autoptr(KmObject) original = make("gcc-12", dir->path, "o.o", before, scatter);
		g_autoptr(KmObject) patched = make("gcc-12", dir->path, "p.o", after, scatter);
		if (!original || !patched || strcmp(original->arch->name, "x86_64")) {
			g_test_skip("needs gcc-12 for x86_64");
			return;
		}
		g_autoptr(GError) error = NULL;
		g_autoptr(KmDiff) diff = km_diff_new(original, patched, TRUE, &error);
		g_autoptr(KmObject) extracted = km_extract(diff, &error);
		if (scatter)
			g_assert_nonnull(extracted);
		else if (!extracted)
			g_assert_nonnull(strstr(error->message, "which variable is meant cannot be told"));
		else
			g_assert_null(km_object_find_section(extracted, ".data..read_mostly"));
	}
}

static const struct {
	const char *name, *before, *after;
} texts[] = {
	{ "sections of the option's own stay", "\t.section\t.data.x,\"aw\"\nx:\n\t.long\t1\n", NULL },
	{ "anchors: the whole listing stays", "\t.section\t.data..a,\"aw\"\n\t.set\t.LANCHOR0,. + 0\nx:\n\t.long\t1\n", NULL },
	{ "strings stay", "\t.section\t.rodata..str,\"aMS\",@progbits,1\nx:\n\t.string\t\"a\"\n", NULL },
	{ "tables stay", "\t.section\t__param,\"a\"\nx:\n\t.long\t1\ny:\n\t.long\t2\n", NULL },
	{ "code stays", "\t.section\t.data..a,\"aw\"\n\t.text\nx:\n\tret\n", NULL },
	{ "two names of one variable",
	  "\t.section\t.data..a,\"aw\"\n\t.globl\tx\n\t.globl\ty\nx:\ny:\n\t.long\t1\nz:\n\t.long\t2\n",
	  "\t.section\t.data..a,\"aw\"\n\t.section\t.data..a,\"aw\",%progbits,unique,0\n\t.globl\tx\n\t.globl\ty\nx:\ny:\n"
	  "\t.long\t1\n\t.section\t.data..a,\"aw\",%progbits,unique,1\nz:\n\t.long\t2\n" },
	{ "flags said only once",
	  "\t.section\t.bss..a,\"aw\",@nobits\nx:\n\t.zero\t4\n\t.text\n\t.section\t.bss..a\ny:\n\t.zero\t4\n",
	  "\t.section\t.bss..a,\"aw\",@nobits\n\t.section\t.bss..a,\"aw\",@nobits,unique,0\nx:\n\t.zero\t4\n\t.text\n"
	  "\t.section\t.bss..a\n\t.section\t.bss..a,\"aw\",@nobits,unique,1\ny:\n\t.zero\t4\n" },
};

static void test_text(gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_autofree char *after = km_scatter_data(texts[i].before);
	g_assert_cmpstr(after, ==, texts[i].after ? texts[i].after : texts[i].before);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(compilers); i++) {
		g_autofree char *path = g_strdup_printf("/scatter/alone/%s", compilers[i]);
		g_test_add_data_func(path, compilers[i], test_alone);
	}
	g_test_add_func("/scatter/end-of-array", test_end_of_array);
	g_test_add_func("/scatter/together-is-refused", test_together_is_refused);
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *path = g_strdup_printf("/scatter/text/%s", texts[i].name);
		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_text);
	}
	return g_test_run();
}
