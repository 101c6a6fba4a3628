/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Patches over a small tree: what is applied, and what is refused with which words. */
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/patch.h"

#define ORIGINAL "int a;\nint b;\nint c;\nint d;\nint e;\n"
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
	{ "header", "--- a/fs/x.h\n+++ b/fs/x.h\n" HUNK, "fs/x.h is a header", KM_ERROR_REFUSED },
	{ "assembly", "--- a/fs/x.S\n+++ b/fs/x.S\n" HUNK, "fs/x.S is assembly", KM_ERROR_REFUSED },
	{ "makefile", "--- a/fs/Makefile\n+++ b/fs/Makefile\n" HUNK, "fs/Makefile is a makefile", KM_ERROR_REFUSED },
	{ "new file", "--- /dev/null\n+++ b/fs/new.c\n@@ -0,0 +1 @@\n+int x;\n", "fs/new.c is a new file",
	  KM_ERROR_REFUSED },
	{ "new empty file", "diff --git a/fs/new.c b/fs/new.c\nnew file mode 100644\nindex 0000000..e69de29\n",
	  "is a new file", KM_ERROR_REFUSED },
	{ "deleted file", "--- a/fs/x.c\n+++ /dev/null\n@@ -1,5 +0,0 @@\n-int a;\n-int b;\n-int c;\n-int d;\n-int e;\n",
	  "is deleted", KM_ERROR_REFUSED },
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
	add("applied", "two patches on one file", 0, test_two_patches);
	add("refused", "a patch and its reverse", 0, test_patch_and_its_reverse);
	add("refused", "a NUL byte", 0, test_nul_byte);
	return g_test_run();
}
