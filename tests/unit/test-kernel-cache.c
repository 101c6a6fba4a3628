/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cache of kernels: what is listed, opened and removed, and what is not trusted. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/buildtree.h"
#include "kernel/cache.h"
#include "kernel/kernel.h"

static void put(const char *dir, const char *path, const char *text)
{
	g_autofree char *full = g_build_filename(dir, path, NULL);
	g_autofree char *parent = g_path_get_dirname(full);
	g_assert_true(km_make_dirs(parent, NULL));
	g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

static gboolean there(const char *dir, const char *path)
{
	g_autofree char *full = g_build_filename(dir, path, NULL);
	return g_file_test(full, G_FILE_TEST_EXISTS);
}

static KmTempDir *new_cache(void)
{
	KmTempDir *dir = km_tempdir_new(NULL, "test", NULL);
	g_assert_nonnull(dir);
	g_setenv("KMEND_CACHE", dir->path, TRUE);
	return dir;
}

static json_t *record_of(const char *name, const char *source)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "release", name, "version", "1-1", "provider",
			 "debian", "arch", "x86_64", "source", source, "build", "build", "image", "image", "symvers",
			 "build/Module.symvers", "modules", "modules");
}

/* A kernel as a provider makes it, of empty files. */
static KmKernel *make_kernel(const KmTempDir *cache, const char *name, GError **error)
{
	g_autoptr(KmStage) stage = km_stage_new(cache->path, name, NULL, error);
	if (!stage)
		return NULL;
	put(cache->path, "source/1-1/Makefile", "");
	put(stage->dir, "build/.config", "CONFIG_LIVEPATCH=y\n");
	put(stage->dir, "build/Module.symvers", "0x00000010\tvmalloc\tvmlinux\tEXPORT_SYMBOL\t\n");
	put(stage->dir, "image", "");
	put(stage->dir, "modules/modules.order", "kernel/net/dummy-net.ko\nkernel/gone.ko\n");
	put(stage->dir, "modules/kernel/net/dummy-net.ko.xz", "");
	put(stage->dir, "modules/extra/other.ko", "");
	return km_stage_commit(stage, record_of(name, "../../source/1-1"), error);
}

static void test_open(void)
{
	g_autoptr(KmTempDir) cache = new_cache();
	g_autoptr(GError) error = NULL;
	g_autoptr(KmKernel) made = make_kernel(cache, "6.1.0-1-amd64", &error);
	g_assert_nonnull(made);
	g_assert_no_error(error);
	g_autoptr(KmKernel) kernel = km_kernel_open("6.1.0-1-amd64", &error);
	g_assert_nonnull(kernel);
	g_assert_no_error(error);
	g_autofree char *source = g_build_filename(cache->path, "source/1-1", NULL);
	g_autofree char *value = km_kernel_config(kernel, "LIVEPATCH");
	g_autofree char *owner = NULL;
	guint32 crc = 0;
	g_assert_cmpstr(kernel->source, ==, source);
	g_assert_cmpstr(kernel->arch->name, ==, "x86_64");
	g_assert_cmpstr(value, ==, "y");
	g_assert_true(km_kernel_symvers(kernel, "vmalloc", &crc, &owner));
	g_assert_cmpuint(crc, ==, 16);
	g_assert_cmpstr(owner, ==, "vmlinux");
	g_assert_false(km_kernel_symvers(kernel, "vmallo", &crc, NULL));
	g_assert_true(g_file_test(kernel->work, G_FILE_TEST_IS_DIR));
	/* The only kernel there is needs no name. */
	g_autoptr(KmKernel) only = km_kernel_open(NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(only->name, ==, "6.1.0-1-amd64");
}

static void test_modules(void)
{
	g_autoptr(KmTempDir) cache = new_cache();
	g_autoptr(KmKernel) kernel = make_kernel(cache, "a", NULL);
	g_assert_nonnull(kernel);
	g_autofree char *packed = km_kernel_module_path(kernel, "dummy_net");
	g_autofree char *extra = km_kernel_module_path(kernel, "other");
	g_assert_true(g_str_has_suffix(packed, "/modules/kernel/net/dummy-net.ko.xz"));
	g_assert_true(g_str_has_suffix(extra, "/modules/extra/other.ko"));
	g_assert_null(km_kernel_module_path(kernel, "gone"));
	g_assert_null(km_kernel_module_path(kernel, "dummy"));
	g_assert_null(km_kernel_module_path(kernel, ""));
}

static void test_several(void)
{
	g_autoptr(KmTempDir) cache = new_cache();
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) none = km_kernel_list(&error);
	g_assert_no_error(error);
	g_assert_cmpuint(g_strv_length(none), ==, 0);
	g_autoptr(KmKernel) b = make_kernel(cache, "b", &error);
	g_assert_nonnull(b);
	g_autoptr(KmKernel) a = make_kernel(cache, "a", &error);
	g_assert_nonnull(a);
	g_assert_no_error(error);
	g_auto(GStrv) names = km_kernel_list(&error);
	g_assert_cmpuint(g_strv_length(names), ==, 2);
	g_assert_cmpstr(names[0], ==, "a");
	g_assert_null(km_kernel_open(NULL, &error));
	g_assert_nonnull(strstr(error->message, "a b"));
}

static void test_remove(void)
{
	g_autoptr(KmTempDir) cache = new_cache();
	g_autoptr(GError) error = NULL;
	g_autoptr(KmKernel) a = make_kernel(cache, "a", &error);
	g_assert_nonnull(a);
	g_autoptr(KmKernel) b = make_kernel(cache, "b", &error);
	g_assert_nonnull(b);
	g_assert_true(km_kernel_remove("a", &error));
	g_assert_no_error(error);
	g_assert_false(there(cache->path, "kernel/a"));
	/* b still uses it. */
	g_assert_true(there(cache->path, "source/1-1/Makefile"));
	g_assert_true(km_kernel_remove("b", &error));
	g_assert_false(there(cache->path, "source/1-1"));
	g_assert_false(km_kernel_remove("b", &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
}

/* Sources outside the cache are the user's. */
static void test_remove_foreign_source(void)
{
	g_autoptr(KmTempDir) cache = new_cache();
	g_autoptr(KmTempDir) theirs = km_tempdir_new(NULL, "theirs", NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmStage) stage = km_stage_new(cache->path, "a", NULL, &error);
	put(theirs->path, "Makefile", "");
	put(stage->dir, "build/.config", "");
	put(stage->dir, "image", "");
	g_autoptr(KmKernel) kernel = km_stage_commit(stage, record_of("a", theirs->path), &error);
	g_assert_nonnull(kernel);
	g_assert_no_error(error);
	g_clear_pointer(&stage, km_stage_free);
	g_assert_true(km_kernel_remove("a", &error));
	g_assert_true(there(theirs->path, "Makefile"));
}

static void test_names(void)
{
	const char *const bad[] = { "", ".", "..", "../a", "a/b", "/a", "-o", ".a", "a b", "a\nb", "a;b", "a=1", "a*" };
	g_autoptr(KmTempDir) cache = new_cache();
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) opened = NULL, removed = NULL, fetched = NULL, staged = NULL;
		g_assert_null(km_kernel_open(bad[i], &opened));
		g_assert_error(opened, KM_ERROR, KM_ERROR_USAGE);
		g_assert_false(km_kernel_remove(bad[i], &removed));
		g_assert_error(removed, KM_ERROR, KM_ERROR_USAGE);
		g_assert_null(km_kernel_fetch(bad[i], NULL, NULL, &fetched));
		g_assert_error(fetched, KM_ERROR, KM_ERROR_USAGE);
		g_assert_null(km_stage_new(cache->path, bad[i], NULL, &staged));
		g_assert_error(staged, KM_ERROR, KM_ERROR_USAGE);
	}
	g_assert_true(km_cache_check_name("6.12.117+deb12-cloud-amd64", NULL));
	g_assert_true(km_cache_check_name("6.1.0-1~rc2", NULL));
}

static void test_broken_record(void)
{
	const char *const broken[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"format\": 1}",
		"{\"format\": 99, \"release\": \"a\"}",
		"{\"format\": 1, \"release\": 1, \"version\": [], \"arch\": \"x86_64\"}",
		"{\"format\": 1, \"release\": \"a\", \"version\": \"\", \"provider\": \"files\", \"arch\": \"vax\","
		" \"source\": \"/\", \"build\": \"build\", \"image\": \"image\"}",
		"{\"format\": 1, \"release\": \"a\", \"version\": \"\", \"provider\": \"files\", \"arch\": \"x86_64\","
		" \"source\": \"/nonexistent\", \"build\": \"build\", \"image\": \"image\"}",
	};
	g_autoptr(KmTempDir) cache = new_cache();
	g_autoptr(KmKernel) made = make_kernel(cache, "a", NULL);
	g_assert_nonnull(made);
	for (gsize i = 0; i < G_N_ELEMENTS(broken); i++) {
		g_autoptr(GError) error = NULL;
		put(cache->path, "kernel/a/kernel.json", broken[i]);
		g_assert_null(km_kernel_open("a", &error));
		g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
		g_assert_nonnull(strstr(error->message, "kmend kernel remove a"));
	}
	/* What cannot be read can be removed; the source that it might use stays. */
	g_assert_true(km_kernel_remove("a", NULL));
	g_assert_false(there(cache->path, "kernel/a"));
}

/* A stage that is given up, or whose process died, leaves nothing that is listed. */
static void test_unfinished(void)
{
	g_autoptr(KmTempDir) cache = new_cache();
	g_autoptr(KmStage) stage = km_stage_new(cache->path, "a", NULL, NULL);
	g_assert_nonnull(stage);
	put(stage->dir, "image", "");
	g_autofree char *dir = g_strdup(stage->dir);
	g_auto(GStrv) names = km_kernel_list(NULL);
	g_assert_cmpuint(g_strv_length(names), ==, 0);
	g_clear_pointer(&stage, km_stage_free);
	g_assert_false(g_file_test(dir, G_FILE_TEST_EXISTS));

	/* The largest pid there can be is never given out. */
	put(cache->path, "tmp/kmend-4194304-abcdef/kernel/image", "");
	g_autoptr(KmStage) next = km_stage_new(cache->path, "b", NULL, NULL);
	g_assert_nonnull(next);
	g_assert_false(there(cache->path, "tmp/kmend-4194304-abcdef"));
}

static gpointer hold_lock(gpointer data)
{
	KmTempDir *cache = data;
	g_autoptr(KmLock) lock = km_cache_lock(cache->path, "kernel", "a", NULL, NULL);
	g_assert_nonnull(lock);
	put(cache->path, "got", "");
	return NULL;
}

static void test_lock(void)
{
	g_autoptr(KmTempDir) cache = new_cache();
	g_autoptr(KmStage) stage = km_stage_new(cache->path, "a", NULL, NULL);
	GThread *thread = g_thread_new("other", hold_lock, cache);
	g_usleep(100 * 1000);
	g_assert_false(there(cache->path, "got"));
	g_clear_pointer(&stage, km_stage_free);
	g_thread_join(thread);
	g_assert_true(there(cache->path, "got"));
}

/* Never replace a kernel that is there. */
static void test_publish_twice(void)
{
	g_autoptr(KmTempDir) cache = new_cache();
	g_autoptr(GError) error = NULL;
	g_autoptr(KmKernel) first = make_kernel(cache, "a", &error);
	g_assert_nonnull(first);
	g_assert_no_error(error);
	g_autoptr(KmKernel) second = make_kernel(cache, "a", &error);
	g_assert_null(second);
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	g_assert_true(there(cache->path, "kernel/a/image"));
}

static void test_read_only_cache(void)
{
	g_autoptr(GError) error = NULL;
	g_setenv("KMEND_CACHE", "/proc/kmend-test", TRUE);
	g_assert_null(km_kernel_list(&error));
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	g_assert_nonnull(strstr(error->message, "KMEND_CACHE"));
}

static void test_buildtree(void)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test", NULL);
	g_autoptr(GError) error = NULL;
	put(dir->path, "h/.config", "CONFIG_X=y\n");
	put(dir->path, "h/include/config/auto.conf", "CONFIG_X=y\n");
	put(dir->path, "h/include/generated/autoconf.h", "");
	put(dir->path, "h/include/generated/utsrelease.h", "#define UTS_RELEASE \"6.1.0-1-amd64\"\n");
	put(dir->path, "kbuild/basic/fixdep", "");
	g_autofree char *headers = g_build_filename(dir->path, "h", NULL);
	g_autofree char *link = g_build_filename(headers, "scripts", NULL);
	g_autofree char *build = g_build_filename(dir->path, "b", NULL);
	g_assert_cmpint(symlink("../kbuild", link), ==, 0);
	g_assert_true(km_make_dirs(build, NULL));
	g_assert_true(km_buildtree_copy(headers, build, &error));
	g_assert_no_error(error);
	g_assert_true(km_buildtree_seal(build, "6.1.0-1-amd64", &error));
	g_assert_no_error(error);

	/* kbuild's question: is anything newer than auto.conf, and is the list of Kconfig files there? */
	struct stat config, conf;
	g_autofree char *config_path = g_build_filename(build, ".config", NULL);
	g_autofree char *conf_path = g_build_filename(build, "include/config/auto.conf", NULL);
	g_assert_cmpint(stat(config_path, &config) | stat(conf_path, &conf), ==, 0);
	g_assert_cmpint(config.st_mtime, <, conf.st_mtime);
	g_assert_true(there(build, "include/config/auto.conf.cmd"));
	g_assert_false(there(headers, "include/config/auto.conf.cmd"));

	g_assert_false(km_buildtree_seal(build, "6.1.0-2-amd64", &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	g_clear_error(&error);
	g_assert_cmpint(unlink(conf_path), ==, 0);
	g_assert_false(km_buildtree_seal(build, "6.1.0-1-amd64", &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kernel/cache/open", test_open);
	g_test_add_func("/kernel/cache/modules", test_modules);
	g_test_add_func("/kernel/cache/several", test_several);
	g_test_add_func("/kernel/cache/remove", test_remove);
	g_test_add_func("/kernel/cache/remove-foreign-source", test_remove_foreign_source);
	g_test_add_func("/kernel/cache/names", test_names);
	g_test_add_func("/kernel/cache/broken-record", test_broken_record);
	g_test_add_func("/kernel/cache/unfinished", test_unfinished);
	g_test_add_func("/kernel/cache/lock", test_lock);
	g_test_add_func("/kernel/cache/publish-twice", test_publish_twice);
	g_test_add_func("/kernel/cache/read-only", test_read_only_cache);
	g_test_add_func("/kernel/buildtree", test_buildtree);
	return g_test_run();
}
