/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gcc's report of what it inlined and cloned; what a patch touches in words of the source. */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/inlines.h"
#include "kernel/touched.h"

static char *names_in(const KmInlines *inlines, const char *function)
{
	g_autoptr(GPtrArray) found = km_inlines_in(inlines, function);
	GString *names = g_string_new(NULL);
	for (guint i = 0; i < found->len; i++)
		g_string_append_printf(names, " %s", ((const KmInlined *)found->pdata[i])->name);
	return g_string_free(names, FALSE);
}

static void test_report(void)
{
	static const char text[] = "Callgraph clone;tiny;0;t.c;1;19;ai;1;t.h;2;50;inlining to\n"
				   "Callgraph clone;ai;1;t.h;2;50;api;3;t.c;5;5;inlining to\n"
				   "Callgraph removal;ai;1;t.h;2;50\n"
				   "Callgraph clone;api;3;t.c;5;5;api.isra.0;9;t.c;5;5;isra\n"
				   "Callgraph clone;loop;3;t.c;5;5;loop;9;t.c;5;5;inlining to\n"
				   "Callgraph clone;short;3;t.c\n;;;;;;;;;;;\n\n";
	g_autoptr(KmInlines) inlines = km_inlines_parse(text);
	g_autofree char *api = names_in(inlines, "api"), *clone = names_in(inlines, "api.isra.0");
	g_autofree char *tiny = names_in(inlines, "tiny"), *loop = names_in(inlines, "loop");
	g_assert_cmpstr(api, ==, " ai tiny");
	g_assert_cmpstr(clone, ==, " api ai tiny");
	g_assert_cmpstr(tiny, ==, "");
	g_assert_cmpstr(loop, ==, "");
}

/* What the compiler that is here really writes. */
static void test_compiler(void)
{
	static const char source[] = "static inline int tiny(int a) { return a * 3 + 1; }\n"
				     "static inline __attribute__((always_inline)) int outer(int a) { return tiny(a) ^ 5; }\n"
				     "int api(int b) { return outer(b); }\n";
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-test", &error);
	g_assert_no_error(error);
	g_autofree char *report = g_build_filename(dir->path, "report", NULL);
	g_autofree char *dump = g_strconcat("-fdump-ipa-clones=", report, NULL);
	const char *argv[] = { "gcc", "-O2", dump, "-S", "-x", "c", "-o", "/dev/null", "-", NULL };
	KmRunOptions options = { .stdin_text = source, .merge_stderr = TRUE };
	g_autoptr(KmRunResult) result = km_run(argv, &options, &error);
	if (!result || result->status) {
		g_test_skip("no gcc with -fdump-ipa-clones");
		return;
	}
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(report, &text, NULL, NULL));
	g_autoptr(KmInlines) inlines = km_inlines_parse(text);
	g_autofree char *names = names_in(inlines, "api");
	g_assert_nonnull(strstr(names, " outer"));
	g_assert_nonnull(strstr(names, " tiny"));
}

static void write_file(const char *dir, const char *path, const char *text)
{
	g_autofree char *full = g_build_filename(dir, path, NULL);
	g_autofree char *parent = g_path_get_dirname(full);
	g_mkdir_with_parents(parent, 0755);
	g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

static void test_touches(void)
{
	static const char patch[] = "--- a/x/a.c\n+++ b/x/a.c\n@@ -1,12 +1,10 @@\n #define A 1\n-#define B 2\n+#define B 3\n"
				    " \n static int f(void)\n {\n-\tint unused;\n \treturn A;\n }\n-int gone;\n struct s {\n-\tint a;\n"
				    "+\tint a, b;\n };\n";
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-test", &error);
	g_assert_no_error(error);
	g_autofree char *tree = g_build_filename(dir->path, "tree", NULL), *overlay_dir = g_build_filename(dir->path, "o", NULL);
	g_autofree char *patch_path = g_build_filename(dir->path, "p.patch", NULL);
	write_file(tree, "x/a.c",
		   "#define A 1\n#define B 2\n\nstatic int f(void)\n{\n\tint unused;\n\treturn A;\n}\nint gone;\nstruct s {\n\tint a;\n};\n");
	write_file(dir->path, "p.patch", patch);
	g_mkdir(overlay_dir, 0755);
	const char *const patches[] = { patch_path, NULL };
	g_autoptr(KmOverlay) overlay = km_overlay_new(tree, overlay_dir, patches, &error);
	g_assert_no_error(error);
	g_autoptr(KmTouches) touches = km_touches_new(overlay, &error);
	g_assert_no_error(error);
	g_autoptr(GString) words = g_string_new(NULL);
	for (guint i = 0; i < touches->things->len; i++) {
		const KmTouchedThing *t = touches->things->pdata[i];
		g_string_append_printf(words, "%s:%u%s ", t->thing->name, t->line, t->gone ? "-" : "");
	}
	g_assert_cmpstr(words->str, ==, "B:2 s:9 f:6 gone:9- ");
	g_assert_nonnull(km_touches_text(touches, "x/a.c"));
	g_assert_null(km_touches_text(touches, "x/b.c"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/inlines/report", test_report);
	g_test_add_func("/inlines/compiler", test_compiler);
	g_test_add_func("/touched/things", test_touches);
	return g_test_run();
}
