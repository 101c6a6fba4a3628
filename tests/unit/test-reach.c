/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a touched file reaches, in small trees made here: every way in which one file takes in another. */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "kernel/includes.h"
#include "kernel/index.h"
#include "kernel/reach.h"

static void put(const KmTempDir *temp, const char *path, const char *text)
{
	g_autofree char *full = g_build_filename(temp->path, path, NULL);
	g_autofree char *dir = g_path_get_dirname(full);
	g_assert_true(km_make_dirs(dir, NULL));
	g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

static KmTempDir *make_tree(void)
{
	KmTempDir *temp = km_tempdir_new(NULL, "test-reach", NULL);
	g_assert_nonnull(temp);
	return temp;
}

static char *join(GPtrArray *names)
{
	GString *text = g_string_new(NULL);
	for (guint i = 0; i < names->len; i++)
		g_string_append_printf(text, "%s%s", i ? " " : "", (char *)names->pdata[i]);
	return g_string_free(text, FALSE);
}

static void check_tree(const KmReachTree *tree, const char *path, const char *sources, const char *others)
{
	const char *const paths[] = { path, NULL };
	g_autoptr(GError) error = NULL;
	g_autoptr(KmReach) reach = km_reach(tree, paths, 2, &error);
	g_assert_no_error(error);
	g_autofree char *c = join(reach->sources), *other = join(reach->others);
	g_assert_cmpstr(c, ==, sources);
	g_assert_cmpstr(other, ==, others);
}

static void check(const KmTempDir *temp, const char *path, const char *sources, const char *others)
{
	g_autofree char *source = g_build_filename(temp->path, "src", NULL);
	g_autofree char *build = g_build_filename(temp->path, "build", NULL);
	g_autofree char *patched = g_build_filename(temp->path, "patched", NULL);
	KmReachTree tree = { .source = source, .build = build, .arch = "toy", .patched = patched };
	check_tree(&tree, path, sources, others);
}

/* A source that is no kernel's. */
static void check_outside(const KmTempDir *temp, const char *path, const char *sources)
{
	g_autofree char *source = g_build_filename(temp->path, "src", NULL);
	KmReachTree tree = { .source = source, .outside = TRUE };
	check_tree(&tree, path, sources, "");
}

static void test_chain(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	put(temp, "src/include/linux/list.h", "#define LIST\n");
	put(temp, "src/include/linux/deep.h", "#ifdef X\n  #  include <linux/list.h>\n#endif\n");
	put(temp, "src/fs/a.c", "#include <linux/list.h>\n");
	put(temp, "src/fs/b.c", "int x;\n#include /* why */ <linux/deep.h>");
	put(temp, "src/fs/c.c", "#include <linux/other.h>\n/* list.h */\n");
	put(temp, "src/fs/d.S", "/* x */ #include <linux/deep.h>\n");
	put(temp, "src/lib/int.uc", "#include <linux/list.h>\n");
	check(temp, "include/linux/list.h", "fs/a.c fs/b.c", "fs/d.S lib/int.uc");
	check(temp, "include/linux/deep.h", "fs/b.c", "fs/d.S");
	check(temp, "include/linux/nothing.h", "", "");
}

/* "x.h" is the one beside the includer when there is one; else a -I of that directory's makefile decides, so any. */
static void test_quotes(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	put(temp, "src/a/x.h", "");
	put(temp, "src/b/x.h", "");
	put(temp, "src/a/a.c", "#include \"x.h\"\n");
	put(temp, "src/b/b.c", "#include \"x.h\"\n");
	put(temp, "src/b/up.c", "#include \"../a/x.h\"\n");
	put(temp, "src/c/c.c", "#include \"x.h\"\n");
	put(temp, "src/c/sub/far.c", "#include \"../../../a/x.h\"\n");
	put(temp, "src/c/part.c", "#include <x.h>\n");
	check(temp, "a/x.h", "a/a.c b/up.c c/c.c c/part.c c/sub/far.c", "");
	check(temp, "b/x.h", "b/b.c c/c.c c/part.c", "");
}

/* Outside the kernel's tree no directory comes before the others, and none is left out by its name. */
static void test_outside(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	put(temp, "src/include/x.h", "");
	put(temp, "src/sub/x.h", "");
	put(temp, "src/a.c", "#include <x.h>\n");
	put(temp, "src/Documentation/b.c", "#include <x.h>\n");
	check_outside(temp, "sub/x.h", "Documentation/b.c a.c");
	check(temp, "sub/x.h", "", "");
}

/* The kernel's own directories come before a driver's: <linux/x.h> is no driver's file when include/linux has it. */
static void test_system(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	put(temp, "src/include/linux/x.h", "");
	put(temp, "src/include/uapi/linux/x.h", "");
	put(temp, "src/drivers/linux/x.h", "");
	put(temp, "src/drivers/linux/y.h", "");
	put(temp, "src/fs/a.c", "#include <linux/x.h>\n");
	put(temp, "src/fs/b.c", "#include <linux/y.h>\n");
	check(temp, "include/linux/x.h", "fs/a.c", "");
	check(temp, "include/uapi/linux/x.h", "fs/a.c", "");
	check(temp, "drivers/linux/x.h", "", "");
	check(temp, "drivers/linux/y.h", "fs/b.c", "");
}

static void test_generated(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	put(temp, "src/include/asm-generic/bug.h", "");
	put(temp, "src/include/linux/asn1_decoder.h", "");
	put(temp, "src/arch/toy/k.c", "#include <asm/bug.h>\n");
	put(temp, "src/arch/other/k.c", "#include <asm-generic/bug.h>\n");
	put(temp, "build/arch/toy/include/generated/asm/bug.h", "#include <asm-generic/bug.h>\n");
	put(temp, "src/fs/key.asn1", "");
	put(temp, "src/fs/key.c", "#include \"key.asn1.h\"\n");
	put(temp, "src/fs/tab.h_shipped", "#include <asm/bug.h>\n");
	put(temp, "src/fs/tab.c", "#include \"tab.h\"\n");
	check(temp, "include/asm-generic/bug.h", "arch/toy/k.c fs/tab.c", "");
	check(temp, "include/linux/asn1_decoder.h", "fs/key.c", "");
}

static void test_macros(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	put(temp, "src/include/trace/define_trace.h", "#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)\n");
	put(temp, "src/include/trace/events/one.h", "#define TRACE_SYSTEM one\n#include <trace/define_trace.h>\n");
	put(temp, "src/fs/two.h", "");
	put(temp, "src/fs/part.h", "#define MAGIC <linux/magic.h>\n#include <linux/machine.h>\n");
	put(temp, "src/include/linux/machine.h", "#include MAGIC\n");
	put(temp, "src/include/linux/magic.h", "");
	put(temp, "src/fs/one.c", "#include <trace/events/one.h>\n");
	put(temp, "src/net/two.c", "#define TRACE_INCLUDE_PATH ../../fs\n#define TRACE_INCLUDE_FILE two\n");
	put(temp, "src/fs/three.c", "#include \"part.h\"\n");
	put(temp, "src/net/four.c", "#define TRACE_SYSTEM one\n");
	check(temp, "include/trace/events/one.h", "fs/one.c net/four.c", "");
	check(temp, "fs/two.h", "net/two.c", "");
	check(temp, "include/linux/magic.h", "fs/three.c", "");
}

/* Included sources: the includer, and the file itself, which may be a unit too. */
static void test_sources(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	put(temp, "src/k/part.c", "#include \"k.h\"\n");
	put(temp, "src/k/k.h", "");
	put(temp, "src/k/whole.c", "#include \"part.c\"\n");
	put(temp, "src/k/loop1.h", "#include \"loop2.h\"\n");
	put(temp, "src/k/loop2.h", "#include \"loop1.h\"\n");
	check(temp, "k/part.c", "k/part.c k/whole.c", "");
	check(temp, "k/k.h", "k/part.c k/whole.c", "");
	check(temp, "k/loop1.h", "", "");
}

static void test_forced(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	put(temp, "src/include/linux/kconfig.h", "#include <generated/autoconf.h>\n");
	put(temp, "src/include/linux/hidden.h", "");
	put(temp, "src/scripts/Makefile.lib", "c_flags = -include $(srctree)/include/linux/kconfig.h \\\n");
	put(temp, "src/efi/Makefile", "cflags-y += -include $(srctree)/include/linux/hidden.h\n-include other.mk\n");
	put(temp, "src/efi/e.c", "");
	put(temp, "src/efi/sub/f.c", "");
	put(temp, "src/efix/g.c", "");
	check(temp, "include/linux/hidden.h", "efi/e.c efi/sub/f.c", "");
	check(temp, "include/linux/kconfig.h", "efi/e.c efi/sub/f.c efix/g.c", "");
	check(temp, "include/generated/autoconf.h", "efi/e.c efi/sub/f.c efix/g.c", "");
}

/* A patch can add includes, and files that take the place of others. */
static void test_patched(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	put(temp, "src/include/linux/x.h", "");
	put(temp, "src/fs/a.c", "");
	put(temp, "src/fs/b.c", "#include \"x.h\"\n#include <linux/x.h>\n");
	put(temp, "src/net/gone.c", "#include <linux/x.h>\n");
	put(temp, "patched/fs/a.c", "#include <linux/x.h>\n");
	put(temp, "patched/fs/x.h", "");
	put(temp, "patched/fs/new.c", "#include <linux/x.h>\n");
	put(temp, "patched/net/gone.c", "");
	check(temp, "include/linux/x.h", "fs/a.c fs/b.c fs/new.c net/gone.c", "");
	check(temp, "fs/x.h", "fs/b.c", "");
}

static void check_remembering(const KmTempDir *temp, const char *path, const char *sources)
{
	g_autofree char *source = g_build_filename(temp->path, "src", NULL);
	g_autofree char *memory = g_build_filename(temp->path, "memory", NULL);
	KmReachTree tree = { .source = source, .memory = memory };
	check_tree(&tree, path, sources, "");
	g_assert_true(g_file_test(memory, G_FILE_TEST_IS_REGULAR));
}

/* What is remembered of one file, as if it had been read at that time. */
static void remember(const KmTempDir *temp, const char *path, const char *name, gint64 started)
{
	g_autofree char *full = g_build_filename(temp->path, path, NULL);
	g_autofree char *memory = g_build_filename(temp->path, "memory", NULL);
	g_autoptr(GPtrArray) texts = g_ptr_array_new();
	g_autoptr(GString) text = g_string_new(NULL);
	struct stat st;
	g_assert_cmpint(stat(full, &st), ==, 0);
	g_assert_true(km_index_add_file(text, full, &st));
	km_index_add_include(text, KM_INCLUDE_QUOTE, name);
	g_ptr_array_add(texts, text);
	km_index_write(memory, texts, started);
}

/* What was read is not read again, unless it may have changed. */
static void test_memory(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	gint64 later = g_get_real_time() + 60 * G_USEC_PER_SEC;
	put(temp, "src/x.h", "");
	put(temp, "src/y.h", "");
	put(temp, "src/a b.c", "#include \"x.h\"\n#include <y.h>\n");
	check_remembering(temp, "x.h", "a b.c");
	check_remembering(temp, "y.h", "a b.c");
	remember(temp, "src/a b.c", "y.h", later);
	check_remembering(temp, "x.h", "");
	check_remembering(temp, "y.h", "a b.c");
	/* Read before the clock had gone on from when it was written. */
	remember(temp, "src/a b.c", "y.h", g_get_real_time());
	check_remembering(temp, "x.h", "a b.c");
	/* Another text of the same size, by another way. */
	remember(temp, "src/a b.c", "y.h", later);
	put(temp, "src/a b.c", "#include \"x.h\"\n#include <z.h>\n");
	check_remembering(temp, "x.h", "a b.c");
	check_remembering(temp, "y.h", "");
}

/* Nothing of a damaged memory is believed. */
static void test_damaged_memory(void)
{
	g_autoptr(KmTempDir) temp = make_tree();
	g_autofree char *memory = g_build_filename(temp->path, "memory", NULL), *whole = NULL;
	gsize size;
	put(temp, "src/x.h", "");
	put(temp, "src/a.c", "#include \"x.h\"\n");
	remember(temp, "src/a.c", "y.h", g_get_real_time() + 60 * G_USEC_PER_SEC);
	g_assert_true(g_file_get_contents(memory, &whole, &size, NULL));
	for (gsize i = 0; i < size; i++) {
		g_autofree char *damaged = g_memdup2(whole, size);
		damaged[i] ^= 1;
		g_assert_true(g_file_set_contents(memory, damaged, (gssize)size, NULL));
		check_remembering(temp, "x.h", "a.c");
		g_assert_true(g_file_set_contents(memory, whole, (gssize)i, NULL));
		check_remembering(temp, "x.h", "a.c");
	}
}

static void count(KmIncludeKind kind, const char *name, gpointer data)
{
	g_string_append_printf(data, "%d%s ", (int)kind, name);
}

static void test_odd_text(void)
{
	static const char *const texts[] = {
		"#include",	"#include \"",	   "#include <x", "#", "#define", "#define A <", "#define TRACE_SYSTEM",
		"#include /* ", "#include \"\"\n", "-include",	  ""
	};
	g_autoptr(GString) found = g_string_new(NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		/* Without a NUL behind it, so that a step too far is seen. */
		g_autofree char *exact = g_memdup2(texts[i], strlen(texts[i]));
		km_includes_read(exact, strlen(texts[i]), count, found);
		km_includes_read_makefile(exact, strlen(texts[i]), count, found);
	}
	g_assert_cmpstr(found->str, ==, "");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/reach/chain", test_chain);
	g_test_add_func("/reach/quotes", test_quotes);
	g_test_add_func("/reach/outside", test_outside);
	g_test_add_func("/reach/system", test_system);
	g_test_add_func("/reach/generated", test_generated);
	g_test_add_func("/reach/macros", test_macros);
	g_test_add_func("/reach/sources", test_sources);
	g_test_add_func("/reach/forced", test_forced);
	g_test_add_func("/reach/patched", test_patched);
	g_test_add_func("/reach/memory", test_memory);
	g_test_add_func("/reach/damaged-memory", test_damaged_memory);
	g_test_add_func("/reach/odd-text", test_odd_text);
	return g_test_run();
}
