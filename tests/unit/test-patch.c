/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Patches over a small tree: what is applied, and what is refused with which words. */
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/patch.h"

#define ORIGINAL "int a;\nint b;\nint c;\nint d;\nint e;\n"
#define ADD(count, lines) "--- a/fs/Makefile\n+++ b/fs/Makefile\n@@ -1 +1," count " @@\n obj-y += x.o\n+" lines "\n"
#define MAKEFILE(line) ADD("2", line)
#define HUNK "@@ -1,4 +1,4 @@\n int a;\n-int b;\n+int bb;\n int c;\n int d;\n"

typedef struct {
	KmTempDir *temp;
	char *source, *overlay;
} Tree;

static void put(const char *dir, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);
	g_assert_true(km_make_dirs(parent, NULL));
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void tree_setup(Tree *tree, gconstpointer unused)
{
	tree->temp = km_tempdir_new(NULL, "test-patch", NULL);
	g_assert_nonnull(tree->temp);
	tree->source = g_build_filename(tree->temp->path, "source", NULL);
	tree->overlay = g_build_filename(tree->temp->path, "overlay", NULL);
	put(tree->source, "fs/x.c", ORIGINAL);
	put(tree->source, "fs/with blank.c", ORIGINAL);
	put(tree->source, "fs/x.h", ORIGINAL);
	put(tree->source, "fs/Makefile", "obj-y += x.o\n");
	put(tree->source, "Makefile", "obj-y += fs/\n");
	put(tree->source, "fs/Kconfig", "config X\n\tbool\n\thelp\n\t  Text.\n");
	put(tree->source, "Documentation/x.rst", ORIGINAL);
	put(tree->temp->path, "outside.c", ORIGINAL);
	g_autofree char *link = g_build_filename(tree->source, "fs/link.c", NULL);
	g_autofree char *dir_link = g_build_filename(tree->source, "out", NULL);
	g_assert_cmpint(symlink("../../outside.c", link), ==, 0);
	g_assert_cmpint(symlink("..", dir_link), ==, 0);
	g_assert_true(km_make_dirs(tree->overlay, NULL));
}

static void tree_teardown(Tree *tree, gconstpointer unused)
{
	km_tempdir_free(tree->temp);
	g_free(tree->source);
	g_free(tree->overlay);
}

static KmOverlay *overlay_of(Tree *tree, const char *first, const char *second, GError **error)
{
	g_autofree char *one = g_build_filename(tree->temp->path, "1.patch", NULL);
	g_autofree char *two = g_build_filename(tree->temp->path, "2.patch", NULL);
	g_assert_true(g_file_set_contents(one, first, -1, NULL));
	g_assert_true(g_file_set_contents(two, second ? second : "", -1, NULL));
	const char *patches[] = { one, second ? two : NULL, NULL };
	return km_overlay_new(tree->source, tree->overlay, patches, error);
}

static void assert_file(const char *path, const char *expected)
{
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, expected);
}

#define PATCHED "int a;\nint bb;\nint c;\nint d;\nint e;\n"

static const struct {
	const char *name, *patch, *path, *result;
} good[] = {
	{ "plain diff with time stamps",
	  "--- linux.orig/fs/x.c\t2026-01-01 00:00:00.000000000 +0000\n+++ linux/fs/x.c\t2026-01-02 00:00:00.0 "
	  "+0000\n" HUNK,
	  "fs/x.c", PATCHED },
	{ "byte order mark", "\xef\xbb\xbf--- a/fs/x.c\n+++ b/fs/x.c\n" HUNK, "fs/x.c", PATCHED },
	{ "git diff", "diff --git a/fs/x.c b/fs/x.c\nindex 1234567..89abcde 100644\n--- a/fs/x.c\n+++ b/fs/x.c\n" HUNK,
	  "fs/x.c", PATCHED },
	{ "mail with text before and a signature after",
	  "From 0123 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] x\n\nWords.\n---\n fs/x.c | 2 +-\n\ndiff --git "
	  "a/fs/x.c b/fs/x.c\n"
	  "--- a/fs/x.c\n+++ b/fs/x.c\n" HUNK "-- \n2.39.2\n\n",
	  "fs/x.c", PATCHED },
	{ "carriage returns",
	  "--- a/fs/x.c\r\n+++ b/fs/x.c\r\n@@ -1,3 +1,3 @@\r\n int a;\r\n-int b;\r\n+int bb;\r\n int c;\r\n", "fs/x.c",
	  PATCHED },
	{ "a quoted name", "--- \"a/fs/with\\040blank.c\"\n+++ \"b/fs/with\\040blank.c\"\n" HUNK, "fs/with blank.c",
	  PATCHED },
	{ "a name with a blank",
	  "diff --git a/fs/with blank.c b/fs/with blank.c\n--- a/fs/with blank.c\t\n+++ b/fs/with blank.c\t\n" HUNK,
	  "fs/with blank.c", PATCHED },
	{ "an offset", "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -12,3 +12,3 @@\n int b;\n-int c;\n+int cc;\n int d;\n", "fs/x.c",
	  "int a;\nint b;\nint cc;\nint d;\nint e;\n" },
	{ "documentation beside it",
	  "--- a/Documentation/x.rst\n+++ b/Documentation/x.rst\n" HUNK
	  "--- /dev/null\n+++ b/Documentation/new.rst\n@@ -0,0 +1 @@\n+x\n"
	  "--- a/fs/x.c\n+++ b/fs/x.c\n" HUNK,
	  "fs/x.c", PATCHED },
	{ "a mode change beside the text",
	  "diff --git a/fs/x.c b/fs/x.c\nold mode 100644\nnew mode 100755\n--- a/fs/x.c\n+++ b/fs/x.c\n" HUNK, "fs/x.c",
	  PATCHED },
	{ "an empty context line without its blank", "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -5,1 +5,2 @@\n int e;\n+int f;\n",
	  "fs/x.c", ORIGINAL "int f;\n" },
};

static void test_good(Tree *tree, gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmOverlay) overlay = overlay_of(tree, good[i].patch, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(overlay->files->len, ==, 1);
	const KmTouched *touched = overlay->files->pdata[0];
	g_assert_cmpstr(touched->path, ==, good[i].path);
	assert_file(touched->patched, good[i].result);
	g_autofree char *pristine = g_build_filename(tree->source, touched->path, NULL);
	assert_file(pristine, ORIGINAL);
	g_autofree char *compiled = NULL;
	g_assert_true(g_file_get_contents(touched->compiled, &compiled, NULL, NULL));
	g_autofree char *first = g_strdup_printf("#line 1 \"%s\"\n", pristine);
	g_assert_true(g_str_has_prefix(compiled, first));
}

static const struct {
	const char *name, *patch, *words;
	int code;
} bad[] = {
	{ "empty", "", "empty", KM_ERROR_REFUSED },
	{ "no diff", "Hello.\n", "no unified diff", KM_ERROR_REFUSED },
	{ "path traversal", "--- a/../outside.c\n+++ b/../outside.c\n" HUNK, "leaves the kernel tree",
	  KM_ERROR_REFUSED },
	{ "path traversal inside", "--- a/fs/../../outside.c\n+++ b/fs/../../outside.c\n" HUNK,
	  "leaves the kernel tree", KM_ERROR_REFUSED },
	{ "quoted path traversal", "--- \"a/\\056./outside.c\"\n+++ \"b/\\056./outside.c\"\n" HUNK,
	  "leaves the kernel tree", KM_ERROR_REFUSED },
	{ "absolute path", "--- /etc/x.c\n+++ /etc/x.c\n" HUNK, "not a path inside", KM_ERROR_REFUSED },
	{ "symbolic link", "--- a/fs/link.c\n+++ b/fs/link.c\n" HUNK, "symbolic link", KM_ERROR_REFUSED },
	{ "link to a directory", "--- a/out/outside.c\n+++ b/out/outside.c\n" HUNK, "symbolic link", KM_ERROR_REFUSED },
	{ "no directory in the name", "--- x.c\n+++ x.c\n" HUNK, "leading directory", KM_ERROR_REFUSED },
	{ "assembly", "--- a/fs/x.S\n+++ b/fs/x.S\n" HUNK, "fs/x.S is assembly", KM_ERROR_REFUSED },
	{ "linker script", "--- a/fs/x.lds.S\n+++ b/fs/x.lds.S\n" HUNK, "a linker script", KM_ERROR_REFUSED },
	{ "Rust", "--- a/fs/x.rs\n+++ b/fs/x.rs\n" HUNK, "Rust", KM_ERROR_REFUSED },
	{ "inputs of generated headers", "--- a/kernel/bounds.c\n+++ b/kernel/bounds.c\n" HUNK, "generate headers",
	  KM_ERROR_REFUSED },
	{ "unknown kind", "--- a/fs/x.zig\n+++ b/fs/x.zig\n" HUNK, "of a kind that kmend does not know",
	  KM_ERROR_REFUSED },
	{ "new file that is there", "--- /dev/null\n+++ b/fs/x.c\n@@ -0,0 +1 @@\n+int x;\n", "already has this change",
	  KM_ERROR_REFUSED },
	{ "new file through a link", "--- /dev/null\n+++ b/out/new.c\n@@ -0,0 +1 @@\n+int x;\n", "symbolic link",
	  KM_ERROR_REFUSED },
	{ "deleted in part", "--- a/fs/x.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-int a;\n-int b;\n", "not all of its text",
	  KM_ERROR_REFUSED },
	{ "makefile runs a command", MAKEFILE("obj-y += $(shell date).o"), "build scripts can run commands",
	  KM_ERROR_REFUSED },
	{ "makefile has a recipe", ADD("3", "x.o: y\n+\tdate"), "build scripts can run commands", KM_ERROR_REFUSED },
	{ "makefile includes", MAKEFILE("include evil.mk"), "build scripts can run commands", KM_ERROR_REFUSED },
	{ "makefile sets flags", MAKEFILE("ccflags-y += -O0"), "build scripts can run commands", KM_ERROR_REFUSED },
	{ "makefile assigns something else", MAKEFILE("CC := evil"), "build scripts can run commands",
	  KM_ERROR_REFUSED },
	{ "makefile leaves the directory", MAKEFILE("obj-y += ../x.o"), "build scripts can run commands",
	  KM_ERROR_REFUSED },
	{ "a word that is no object", MAKEFILE("obj-y += x.o;date"), "build scripts can run commands",
	  KM_ERROR_REFUSED },
	{ "a list continued by something else", ADD("3", "obj-y += a.o \\\n+ $(eval x:=y)"),
	  "build scripts can run commands", KM_ERROR_REFUSED },
	{ "the top makefile", "--- a/Makefile\n+++ b/Makefile\n@@ -1 +1,2 @@\n obj-y += fs/\n+obj-y += x.o\n",
	  "rules over everything", KM_ERROR_REFUSED },
	{ "configuration",
	  "--- a/fs/Kconfig\n+++ b/fs/Kconfig\n@@ -1,3 +1,3 @@\n config X\n-\tbool\n+\ttristate\n \thelp\n",
	  "configuration of the running kernel cannot change", KM_ERROR_REFUSED },
	{ "help text only",
	  "--- a/fs/Kconfig\n+++ b/fs/Kconfig\n@@ -2,3 +2,3 @@\n \tbool\n \thelp\n-\t  Text.\n+\t  Other text.\n",
	  "nothing to patch", KM_ERROR_UNCHANGED },
	{ "makefile comment only",
	  "--- a/fs/Makefile\n+++ b/fs/Makefile\n@@ -1 +1,2 @@\n obj-y += x.o\n+# $(shell date)\n", "nothing to patch",
	  KM_ERROR_UNCHANGED },
	{ "rename", "diff --git a/fs/x.c b/fs/y.c\nsimilarity index 100%\nrename from fs/x.c\nrename to fs/y.c\n",
	  "is renamed", KM_ERROR_REFUSED },
	{ "two names", "--- a/fs/x.c\n+++ b/fs/y.c\n" HUNK, "is renamed", KM_ERROR_REFUSED },
	{ "binary", "diff --git a/fs/x.c b/fs/x.c\nindex 1..2 100644\nGIT binary patch\nliteral 4\nLc\n", "binary",
	  KM_ERROR_REFUSED },
	{ "binary by diff", "Binary files a/fs/x.c and b/fs/x.c differ\n", "binary", KM_ERROR_REFUSED },
	{ "missing file", "--- a/fs/nope.c\n+++ b/fs/nope.c\n" HUNK, "does not exist", KM_ERROR_REFUSED },
	{ "does not apply", "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,2 +1,2 @@\n int zz;\n-int b;\n+int bb;\n",
	  "1.patch:3: does not apply to fs/x.c", KM_ERROR_REFUSED },
	{ "fuzz",
	  "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,5 +1,5 @@\n int zz;\n int b;\n-int c;\n+int cc;\n int d;\n int e;\n",
	  "does not apply", KM_ERROR_REFUSED },
	{ "applied already", "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,3 +1,3 @@\n int a;\n-int zz;\n+int b;\n int c;\n",
	  "already has this change", KM_ERROR_REFUSED },
	{ "truncated hunk", "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,4 +1,4 @@\n int a;\n-int b;\n", "truncated",
	  KM_ERROR_REFUSED },
	{ "truncated header", "diff --git a/fs/x.c b/fs/x.c\nindex 1..2 100644\n", "truncated", KM_ERROR_REFUSED },
	{ "no hunks", "--- a/fs/x.c\n+++ b/fs/x.c\n", "truncated", KM_ERROR_REFUSED },
	{ "overlong hunk", "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,1 +1,1 @@\n-int a;\n-int b;\n+int bb;\n", "malformed",
	  KM_ERROR_REFUSED },
	{ "absurd number", "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,99999999999999999999 +1 @@\n int a;\n", "malformed",
	  KM_ERROR_REFUSED },
	{ "context diff", "*** a/fs/x.c\n--- b/fs/x.c\n***************\n*** 1,2 ****\n", "context diff",
	  KM_ERROR_REFUSED },
	{ "hunk without a file", HUNK, "without a file name", KM_ERROR_REFUSED },
	{ "documentation only", "--- a/Documentation/x.rst\n+++ b/Documentation/x.rst\n" HUNK, "nothing to patch",
	  KM_ERROR_UNCHANGED },
	{ "changes nothing", "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,3 +1,3 @@\n int a;\n-int b;\n+int b;\n int c;\n",
	  "nothing to patch", KM_ERROR_UNCHANGED },
};

static void test_bad(Tree *tree, gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmOverlay) overlay = overlay_of(tree, bad[i].patch, NULL, &error);
	g_assert_null(overlay);
	g_assert_error(error, KM_ERROR, bad[i].code);
	g_test_message("%s", error->message);
	g_assert_nonnull(strstr(error->message, bad[i].words));
	g_autofree char *outside = g_build_filename(tree->temp->path, "outside.c", NULL);
	assert_file(outside, ORIGINAL);
}

/* What wants a whole tree to be looked up in: the farm has it in its place, and everything else as it is. */
static const struct {
	const char *name, *patch, *path, *text;
	gboolean is_source, is_new, is_makefile;
} planted[] = {
	{ "header", "--- a/fs/x.h\n+++ b/fs/x.h\n" HUNK, "fs/x.h", NULL, FALSE, FALSE, FALSE },
	{ "new source", "--- /dev/null\n+++ b/fs/new.c\n@@ -0,0 +1 @@\n+int x;\n", "fs/new.c", "int x;\n", TRUE, TRUE,
	  FALSE },
	{ "new source in a new directory", "--- /dev/null\n+++ b/fs/y/new.h\n@@ -0,0 +1 @@\n+int x;\n", "fs/y/new.h",
	  "int x;\n", FALSE, TRUE, FALSE },
	{ "object list", MAKEFILE("obj-$(CONFIG_X) += a.o b/"), "fs/Makefile",
	  "obj-y += x.o\nobj-$(CONFIG_X) += a.o b/\n", FALSE, FALSE, TRUE },
	{ "composite object", ADD("3", "x-objs := a.o \\\n+\tb.o"), "fs/Makefile",
	  "obj-y += x.o\nx-objs := a.o \\\n\tb.o\n", FALSE, FALSE, TRUE },
};

static void test_planted(Tree *tree, gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmOverlay) overlay = overlay_of(tree, planted[i].patch, NULL, &error);
	g_assert_no_error(error);
	g_assert_true(overlay->wants_farm);
	g_assert_cmpuint(overlay->files->len, ==, 1);
	const KmTouched *touched = overlay->files->pdata[0];
	g_assert_cmpstr(touched->path, ==, planted[i].path);
	g_assert_cmpint(touched->is_source, ==, planted[i].is_source);
	g_assert_cmpint(touched->is_new, ==, planted[i].is_new);
	g_assert_cmpint(touched->is_makefile, ==, planted[i].is_makefile);
	g_assert_true(km_overlay_plant(overlay, "x86", &error));
	g_assert_no_error(error);
	g_autofree char *here = g_build_filename(overlay->farm, planted[i].path, NULL);
	g_autofree char *other = g_build_filename(overlay->farm, "fs/with blank.c", NULL);
	g_autofree char *pristine = g_build_filename(tree->source, "fs/x.h", NULL);
	assert_file(other, ORIGINAL);
	assert_file(pristine, ORIGINAL);
	if (planted[i].text)
		assert_file(here, planted[i].text);
	g_autofree char *farm = g_strdup(overlay->farm);
	g_clear_pointer(&overlay, km_overlay_free);
	g_assert_false(g_file_test(farm, G_FILE_TEST_EXISTS));
}

static void test_two_patches(Tree *tree, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmOverlay) overlay = overlay_of(
		tree, "--- a/fs/x.c\n+++ b/fs/x.c\n" HUNK,
		"--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,3 +1,3 @@\n int a;\n-int bb;\n+int bbb;\n int c;\n", &error);
	g_assert_no_error(error);
	g_assert_cmpuint(overlay->files->len, ==, 1);
	const KmTouched *touched = overlay->files->pdata[0];
	assert_file(touched->patched, "int a;\nint bbb;\nint c;\nint d;\nint e;\n");
	g_assert_true(g_str_has_suffix(touched->patch, "2.patch"));
}

static void test_patch_and_its_reverse(Tree *tree, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmOverlay) overlay = overlay_of(
		tree, "--- a/fs/x.c\n+++ b/fs/x.c\n" HUNK,
		"--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,3 +1,3 @@\n int a;\n-int bb;\n+int b;\n int c;\n", &error);
	g_assert_null(overlay);
	g_assert_error(error, KM_ERROR, KM_ERROR_UNCHANGED);
}

static void test_nul_byte(Tree *tree, gconstpointer unused)
{
	g_autofree char *path = g_build_filename(tree->temp->path, "nul.patch", NULL);
	g_assert_true(g_file_set_contents(path, "--- a/x\0", 8, NULL));
	const char *patches[] = { path, NULL };
	g_autoptr(GError) error = NULL;
	g_assert_null(km_overlay_new(tree->source, tree->overlay, patches, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
}

static void add(const char *group, const char *name, gsize i, void (*run)(Tree *, gconstpointer))
{
	g_autofree char *path = g_strdup_printf("/patch/%s/%s", group, name);
	g_test_add(path, Tree, GSIZE_TO_POINTER(i), tree_setup, run, tree_teardown);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
		add("applied", good[i].name, i, test_good);
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
		add("refused", bad[i].name, i, test_bad);
	for (gsize i = 0; i < G_N_ELEMENTS(planted); i++)
		add("planted", planted[i].name, i, test_planted);
	add("applied", "two patches on one file", 0, test_two_patches);
	add("refused", "a patch and its reverse", 0, test_patch_and_its_reverse);
	add("refused", "a NUL byte", 0, test_nul_byte);
	return g_test_run();
}
