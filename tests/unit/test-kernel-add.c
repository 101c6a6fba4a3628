/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernels from files given by hand and from built trees: what comes together, what is refused, what is never touched. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "fake-image.h"
#include "kernel/kernel.h"

/* What the fake image says it is. */
#define RELEASE "6.1.0-fake"

static const char text_of_image[] = "int start(void) { return 1; }\nint other(void) { return 2; }\n";

typedef struct {
	KmTempDir *dir; /* holds the user's files and the cache */
	FakeImage *image;
	char *source, *headers, *config, *modules, *symvers, *cache;
} Fixture;

static void put(const char *dir, const char *path, const char *text)
{
	g_autofree char *full = g_build_filename(dir, path, NULL);
	g_autofree char *parent = g_path_get_dirname(full);
	g_assert_true(km_make_dirs(parent, NULL));
	g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

/* What a built tree or a headers directory holds. */
static void put_generated(const char *dir, const char *release)
{
	g_autofree char *uts = g_strdup_printf("#define UTS_RELEASE \"%s\"\n", release);
	put(dir, ".config", "CONFIG_LIVEPATCH=y\n");
	put(dir, "include/config/auto.conf", "CONFIG_LIVEPATCH=y\n");
	put(dir, "include/generated/autoconf.h", "");
	put(dir, "include/generated/utsrelease.h", uts);
	put(dir, "scripts/basic/fixdep", "");
}

static void set_up(Fixture *f, gconstpointer unused)
{
	f->dir = km_tempdir_new(NULL, "test", NULL);
	f->cache = g_build_filename(f->dir->path, "cache", NULL);
	f->source = g_build_filename(f->dir->path, "source", NULL);
	f->headers = g_build_filename(f->dir->path, "headers", NULL);
	f->config = g_build_filename(f->dir->path, "config", NULL);
	f->modules = g_build_filename(f->dir->path, "modules", NULL);
	f->symvers = g_build_filename(f->dir->path, "symvers", NULL);
	g_setenv("KMEND_CACHE", f->cache, TRUE);
	put(f->dir->path, "source/Kconfig", "");
	put(f->dir->path, "config", "CONFIG_LIVEPATCH=y\nCONFIG_TOO=y\n");
	put(f->dir->path, "symvers", "0x1\tstart\tvmlinux\tEXPORT_SYMBOL\t\n");
	put(f->dir->path, "modules/lib/modules/" RELEASE "/kernel/x.ko", "");
	put_generated(f->headers, RELEASE);
	if (fake_image_can()) {
		g_autofree char *object = fake_image_compile(f->dir, "image.c", text_of_image, NULL);
		const char *const objects[] = { object, NULL };
		f->image = fake_image_new(objects);
	}
}

static void tear_down(Fixture *f, gconstpointer unused)
{
	if (f->image)
		fake_image_free(f->image);
	km_tempdir_free(f->dir);
	g_free(f->source);
	g_free(f->headers);
	g_free(f->config);
	g_free(f->modules);
	g_free(f->symvers);
	g_free(f->cache);
}

static gboolean can(const Fixture *f)
{
	if (!f->image)
		g_test_skip("no compiler and linker for x86_64 to make an image with");
	return f->image != NULL;
}

static KmKernelFiles files_of(const Fixture *f)
{
	return (KmKernelFiles){ .source = f->source,
				.config = f->config,
				.image = f->image->path,
				.modules = f->modules,
				.symvers = f->symvers,
				.headers = f->headers };
}

static void assert_nothing_added(void)
{
	g_auto(GStrv) names = km_kernel_list(NULL);
	g_assert_cmpuint(g_strv_length(names), ==, 0);
	g_autofree char *tmp = g_build_filename(g_getenv("KMEND_CACHE"), "tmp", NULL);
	g_autoptr(GDir) dir = g_dir_open(tmp, 0, NULL);
	g_assert_null(dir ? g_dir_read_name(dir) : NULL);
}

static void test_files(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	if (!can(f))
		return;
	const KmKernelFiles files = files_of(f);
	g_autoptr(KmKernel) k = km_kernel_add_files(&files, NULL, &error);
	g_assert_no_error(error);
	g_autofree char *too = km_kernel_config(k, "TOO");
	g_autofree char *module = km_kernel_module_path(k, "x");
	g_autofree char *real = g_canonicalize_filename(f->source, NULL);
	guint32 crc = 0;
	g_assert_cmpstr(k->name, ==, RELEASE);
	g_assert_cmpstr(k->release, ==, RELEASE);
	g_assert_cmpstr(k->provider, ==, "files");
	g_assert_cmpstr(k->arch->name, ==, "x86_64");
	g_assert_cmpstr(k->source, ==, real);
	g_assert_cmpstr(too, ==, "y");
	g_assert_nonnull(module);
	g_assert_true(km_kernel_symvers(k, "start", &crc, NULL));
	g_assert_cmpuint(crc, ==, 1);
	g_assert_true(g_file_test(k->image, G_FILE_TEST_IS_REGULAR));
	g_assert_true(g_file_test(k->boot_image, G_FILE_TEST_IS_REGULAR));

	/* Not over one that is there; under another name it is fine. */
	g_assert_null(km_kernel_add_files(&files, NULL, &error));
	g_assert_nonnull(strstr(error->message, "--name"));
	g_clear_error(&error);
	KmKernelFiles named = files;
	named.name = "mine";
	g_autoptr(KmKernel) mine = km_kernel_add_files(&named, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(mine->name, ==, "mine");
	g_assert_cmpstr(mine->release, ==, RELEASE);
}

/* What was given is as it was, also when the kernel is removed. */
static void test_untouched(Fixture *f, gconstpointer unused)
{
	if (!can(f))
		return;
	const KmKernelFiles files = files_of(f);
	struct stat before, after;
	g_autofree char *config = g_build_filename(f->headers, ".config", NULL);
	g_autofree char *command = g_build_filename(f->headers, "include/config/auto.conf.cmd", NULL);
	g_autofree char *kconfig = g_build_filename(f->source, "Kconfig", NULL);
	g_assert_cmpint(stat(config, &before), ==, 0);
	g_autoptr(KmKernel) k = km_kernel_add_files(&files, NULL, NULL);
	g_assert_nonnull(k);
	g_assert_true(km_kernel_remove(RELEASE, NULL));
	g_assert_cmpint(stat(config, &after), ==, 0);
	g_assert_cmpint(before.st_mtime, ==, after.st_mtime);
	g_assert_false(g_file_test(command, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(kconfig, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(f->modules, G_FILE_TEST_IS_DIR));
	assert_nothing_added();
}

/* One wrong piece each. */
static void test_refused(Fixture *f, gconstpointer unused)
{
	if (!can(f))
		return;
	g_autofree char *other = g_build_filename(f->dir->path, "other", NULL);
	g_autofree char *cut = g_build_filename(f->dir->path, "cut", NULL);
	g_autofree char *text = NULL;
	gsize size;
	put_generated(other, "6.1.0-other");
	g_assert_true(g_file_get_contents(f->image->path, &text, &size, NULL));
	g_assert_true(g_file_set_contents(cut, text, (gssize)size / 2, NULL));
	const KmKernelFiles good = files_of(f);
	KmKernelFiles cases[9];
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
		cases[i] = good;
	cases[0].headers = other;
	cases[1].headers = f->source;
	cases[2].image = cut;
	cases[3].image = f->config;
	cases[4].config = f->symvers;
	cases[5].config = "/nonexistent";
	cases[6].symvers = f->config;
	cases[7].source = f->headers;
	cases[8].modules = f->source;
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(KmKernel) k = km_kernel_add_files(&cases[i], NULL, &error);
		g_assert_null(k);
		const int code = i == 0 ? KM_ERROR_REFUSED : KM_ERROR_FAILED;
		g_assert_error(error, KM_ERROR, code);
		assert_nothing_added();
	}
}

/* The fake headers become a built tree. */
static void make_tree(const Fixture *f)
{
	g_autofree char *vmlinux = g_build_filename(f->headers, "vmlinux", NULL);
	g_assert_cmpint(link(f->image->path, vmlinux), ==, 0);
	put(f->headers, "Kconfig", "");
	put(f->headers, "Module.symvers", "0x2\tstart\tvmlinux\tEXPORT_SYMBOL\t\n");
	put(f->headers, "modules.order", "drivers/a-b.o\nkernel/fs/c.ko\n../../evil.ko\n/etc/d.ko\ngone.ko\n");
	put(f->headers, "drivers/a-b.ko", "");
	put(f->headers, "fs/c.ko", "");
	put(f->headers, "arch/x86/boot/bzImage", "boot");
}

static void test_tree(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	if (!can(f))
		return;
	make_tree(f);
	g_autoptr(KmKernel) k = km_kernel_add_tree(f->headers, NULL, NULL, &error);
	g_assert_no_error(error);
	g_autofree char *a = km_kernel_module_path(k, "a_b"), *c = km_kernel_module_path(k, "c");
	g_autofree char *boot = NULL;
	g_assert_cmpstr(k->provider, ==, "tree");
	g_assert_cmpstr(k->source, ==, k->build);
	g_assert_true(g_str_has_suffix(a, "/modules/kernel/drivers/a-b.ko"));
	g_assert_true(g_str_has_suffix(c, "/modules/kernel/fs/c.ko"));
	g_assert_null(km_kernel_module_path(k, "evil"));
	g_assert_null(km_kernel_module_path(k, "d"));
	g_assert_true(g_file_get_contents(k->boot_image, &boot, NULL, NULL));
	g_assert_cmpstr(boot, ==, "boot");
	g_assert_true(km_kernel_remove(RELEASE, NULL));
	g_assert_true(g_file_test(f->headers, G_FILE_TEST_IS_DIR));
}

/* An object directory leads to its source. */
static void test_object_directory(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	if (!can(f))
		return;
	make_tree(f);
	g_autofree char *link_path = g_build_filename(f->headers, "source", NULL);
	g_autofree char *real = g_canonicalize_filename(f->source, NULL);
	g_assert_cmpint(symlink("../source", link_path), ==, 0);
	g_autoptr(KmKernel) k = km_kernel_add_tree(f->headers, "o", NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(k->source, ==, real);
	g_assert_cmpstr(k->name, ==, "o");
}

static void test_stale_tree(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GError) unbuilt = NULL;
	if (!can(f))
		return;
	make_tree(f);
	put_generated(f->headers, "6.1.0-newer");
	g_assert_null(km_kernel_add_tree(f->headers, NULL, NULL, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_null(km_kernel_add_tree(f->source, NULL, NULL, &unbuilt));
	g_assert_error(unbuilt, KM_ERROR, KM_ERROR_FAILED);
	assert_nothing_added();
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/kernel/add/files", Fixture, NULL, set_up, test_files, tear_down);
	g_test_add("/kernel/add/untouched", Fixture, NULL, set_up, test_untouched, tear_down);
	g_test_add("/kernel/add/refused", Fixture, NULL, set_up, test_refused, tear_down);
	g_test_add("/kernel/add/tree", Fixture, NULL, set_up, test_tree, tear_down);
	g_test_add("/kernel/add/object-directory", Fixture, NULL, set_up, test_object_directory, tear_down);
	g_test_add("/kernel/add/stale-tree", Fixture, NULL, set_up, test_stale_tree, tear_down);
	return g_test_run();
}
