/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Removing a tree: all of it, nothing that its links lead to, and whoever else is at it. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define ROUNDS 30
#define DIRECTORIES 60

static void add_file(const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_assert_true(g_file_set_contents(path, "", 0, NULL));
}

static char *new_tree(const KmTempDir *temp)
{
	char *tree = g_build_filename(temp->path, "tree", NULL);
	for (guint i = 0; i < DIRECTORIES; i++) {
		g_autofree char *name = g_strdup_printf("%u/below", i);
		g_autofree char *dir = g_build_filename(tree, name, NULL);
		g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
		add_file(dir, "one");
		add_file(dir, "two");
	}
	return tree;
}

static gpointer remove_it(gpointer tree)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = km_remove_tree(tree, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	/* Whoever is told that it is gone must be able to rely on it. */
	g_assert_false(g_file_test(tree, G_FILE_TEST_EXISTS));
	return NULL;
}

static void test_two_at_once(void)
{
	g_autoptr(KmTempDir) temp = km_tempdir_new(NULL, "test-remove", NULL);
	for (guint i = 0; i < ROUNDS; i++) {
		g_autofree char *tree = new_tree(temp);
		GThread *other = g_thread_new("other", remove_it, tree);
		remove_it(tree);
		g_thread_join(other);
	}
}

static void test_links(void)
{
	g_autoptr(KmTempDir) temp = km_tempdir_new(NULL, "test-remove", NULL);
	g_autofree char *tree = new_tree(temp);
	g_autofree char *link = g_build_filename(tree, "link", NULL);
	g_autofree char *kept = g_build_filename(temp->path, "kept", NULL);
	g_assert_cmpint(g_mkdir(kept, 0755), ==, 0);
	add_file(kept, "file");
	g_assert_cmpint(symlink(kept, link), ==, 0);
	remove_it(tree);
	g_autofree char *file = g_build_filename(kept, "file", NULL);
	g_assert_true(g_file_test(file, G_FILE_TEST_EXISTS));
}

static void test_not_there(void)
{
	g_autoptr(KmTempDir) temp = km_tempdir_new(NULL, "test-remove", NULL);
	g_autofree char *tree = g_build_filename(temp->path, "none", NULL);
	remove_it(tree);
}

static void test_cannot(void)
{
	g_autoptr(GError) error = NULL;
	g_assert_false(km_remove_tree("/proc/version", &error));
	g_assert_nonnull(error);
	g_assert_nonnull(strstr(error->message, "/proc/version"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/remove/two-at-once", test_two_at_once);
	g_test_add_func("/remove/links", test_links);
	g_test_add_func("/remove/not-there", test_not_there);
	g_test_add_func("/remove/cannot", test_cannot);
	return g_test_run();
}
