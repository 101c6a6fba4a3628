/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes into the VM: the archive's content, and modules in the order insmod takes them. */
#include <archive.h>
#include <archive_entry.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/file.h"
#include "elf/object.h"
#include "vm/initramfs.h"
#include "vm/modules.h"

/* One module: tags are separated by '|'. */
static void make_module(const char *dir, const char *file, const char *tags)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = g_build_filename(dir, file, NULL);
	g_autofree char *text = g_strdelimit(g_strdup(tags), "|", '\0');
	g_autoptr(KmObject) object = km_object_new(km_arch_by_name("s390x"), path);
	KmSection *modinfo = km_object_add_section(object, ".modinfo", SHT_PROGBITS, SHF_ALLOC, 1);
	km_section_append(modinfo, text, strlen(tags) + 1, 1);
	km_object_write(object, path, &error);
	g_assert_no_error(error);
}

/* Compress dir/file in place, as file + ".xz". */
static void compress_module(const char *dir, const char *file)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);
	g_autofree char *out = g_strconcat(path, ".xz", NULL);
	g_autofree char *data = NULL;
	gsize size;
	g_assert_true(g_file_get_contents(path, &data, &size, NULL));
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	archive_write_add_filter_xz(a);
	archive_write_set_format_raw(a);
	g_assert_cmpint(archive_write_open_filename(a, out), ==, ARCHIVE_OK);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_write_header(a, e);
	g_assert_cmpint(archive_write_data(a, data, size), ==, size);
	archive_entry_free(e);
	archive_write_free(a);
	g_unlink(path);
}

static KmTempDir *make_tree(void)
{
	KmTempDir *dir = km_tempdir_new(NULL, "test-vm", NULL);
	g_autofree char *sub = g_build_filename(dir->path, "kernel", NULL);
	g_autofree char *builtin = g_build_filename(dir->path, "modules.builtin", NULL);
	km_make_dirs(sub, NULL);
	make_module(sub, "top-one.ko",
		    "name=top_one|depends=mid-a,mid_b|vermagic=1.2 SMP |softdep=pre: gone soft post: x");
	make_module(sub, "mid-a.ko", "depends=base,inside|name=mid_a");
	make_module(sub, "mid_b.ko", "name=mid_b|depends=mid_a,base");
	make_module(sub, "base.ko", "name=base|depends=");
	make_module(sub, "soft.ko", "name=soft");
	make_module(sub, "lost.ko", "name=lost|depends=nowhere");
	make_module(sub, "ring1.ko", "name=ring1|depends=ring2");
	make_module(sub, "ring2.ko", "name=ring2|depends=ring1");
	compress_module(sub, "mid-a.ko");
	g_file_set_contents(builtin, "kernel/fs/inside.ko\nkernel/fs/built-in.ko\n", -1, NULL);
	return dir;
}

static char *order_of(const KmVmIndex *index, const char *const *names, GError **error)
{
	g_autoptr(GPtrArray) order = g_ptr_array_new_with_free_func((GDestroyNotify)km_vm_module_free);
	g_autoptr(GString) text = g_string_new(NULL);
	for (; *names; names++)
		if (!km_vm_index_resolve(index, *names, order, error))
			return NULL;
	for (guint i = 0; i < order->len; i++)
		g_string_append_printf(text, "%s ", ((KmVmModule *)order->pdata[i])->name);
	return g_strdup(text->str);
}

static void test_order(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = make_tree();
	g_autoptr(KmVmIndex) index = km_vm_index_new(dir->path, &error);
	g_assert_no_error(error);
	const char *names[] = { "base", "top_one", "mid-b", "built-in", NULL };
	g_autofree char *order = order_of(index, names, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(order, ==, "base soft mid_a mid_b top_one ");
}

/* Files beside the kernel's own modules: before a stock one of that name, and known as what others depend on. */
static void test_files(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = make_tree();
	g_autoptr(KmTempDir) other = km_tempdir_new(NULL, "test-vm-other", NULL);
	g_autoptr(KmVmIndex) index = km_vm_index_new(dir->path, NULL);
	make_module(other->path, "any-file.ko", "name=base|depends=");
	make_module(other->path, "user.ko", "name=oot-user|depends=oot_base,mid_b");
	make_module(other->path, "oot-base.ko", "name=oot_base|depends=");
	make_module(other->path, "lp.ko", "name=lp|livepatch=Y");
	g_autofree char *file = g_build_filename(other->path, "any-file.ko", NULL);
	g_autofree char *user = g_build_filename(other->path, "user.ko", NULL);
	g_autofree char *base = g_build_filename(other->path, "oot-base.ko", NULL);
	g_autofree char *patch = g_build_filename(other->path, "lp.ko", NULL);
	g_autofree char *name = km_vm_index_take(index, "top-one", &error);
	g_assert_cmpstr(name, ==, "top_one");
	g_autofree char *replaced = km_vm_index_take(index, file, &error);
	g_assert_cmpstr(replaced, ==, "base");
	g_assert_cmpstr(g_hash_table_lookup(index->paths, "base"), ==, file);
	g_autofree char *user_name = km_vm_index_take(index, user, &error);
	const char *names[] = { user_name, NULL };
	g_assert_null(order_of(index, names, &error));
	g_clear_error(&error);
	g_autofree char *base_name = km_vm_index_take(index, base, &error);
	g_assert_cmpstr(base_name, ==, "oot_base");
	g_autofree char *order = order_of(index, names, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(order, ==, "oot_base base mid_a mid_b oot_user ");
	g_assert_null(km_vm_index_take(index, patch, &error));
	g_assert_nonnull(strstr(error->message, "live patch"));
	g_clear_error(&error);
	g_assert_null(km_vm_index_take(index, "./missing.ko", &error));
	g_assert_nonnull(error);
}

static void assert_unresolved(const KmVmIndex *index, const char *name, const char *message)
{
	g_autoptr(GError) error = NULL;
	const char *names[] = { name, NULL };
	g_assert_null(order_of(index, names, &error));
	g_assert_nonnull(error);
	g_assert_nonnull(strstr(error->message, message));
}

static void test_unresolved(void)
{
	g_autoptr(KmTempDir) dir = make_tree();
	g_autoptr(KmVmIndex) index = km_vm_index_new(dir->path, NULL);
	g_autoptr(KmVmIndex) empty = km_vm_index_new(NULL, NULL);
	assert_unresolved(index, "nothing", "no module nothing");
	assert_unresolved(index, "lost", "no module nowhere");
	assert_unresolved(index, "ring1", "depends on itself");
	assert_unresolved(empty, "base", "no module base");
	g_assert_null(km_vm_index_new("/nonexistent", NULL));
}

static void test_modinfo(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = make_tree();
	make_module(dir->path, "lp.ko", "livepatch=Y|vermagic=6.1.0 SMP |name=lp-x");
	g_autofree char *path = g_build_filename(dir->path, "lp.ko", NULL);
	g_autoptr(KmVmModule) module = km_vm_module_read(path, &error);
	g_assert_no_error(error);
	g_assert_true(module->livepatch);
	g_assert_cmpstr(module->name, ==, "lp_x");
	g_assert_cmpstr(module->vermagic, ==, "6.1.0 SMP ");
	g_assert_cmpuint(g_strv_length(module->depends), ==, 0);
}

static void check_livepatch(const char *dir, const char *tags, gboolean expected)
{
	make_module(dir, "lp.ko", tags);
	g_autofree char *path = g_build_filename(dir, "lp.ko", NULL);
	g_autoptr(KmVmModule) module = km_vm_module_read(path, NULL);
	g_assert_nonnull(module);
	g_assert_cmpint(km_vm_module_is_livepatch(module), ==, expected);
}

/* For the kernel's livepatch core, or for kmend's own runtime. */
static void test_livepatch(void)
{
	g_autoptr(KmTempDir) dir = make_tree();
	check_livepatch(dir->path, "livepatch=Y|name=lp", TRUE);
	check_livepatch(dir->path, "depends=dummy,kmend-runtime|name=lp", TRUE);
	check_livepatch(dir->path, "depends=dummy|name=lp", FALSE);
	check_livepatch(dir->path, "name=kmend_runtime", FALSE);
}

static void assert_no_module(const char *path, const void *data, gsize size)
{
	g_autoptr(GError) error = NULL;
	g_assert_true(g_file_set_contents(path, data, (gssize)size, NULL));
	g_assert_null(km_vm_module_read(path, &error));
	g_assert_nonnull(error);
}

static void test_no_module(void)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-vm", NULL);
	g_autofree char *path = g_build_filename(dir->path, "x.ko", NULL);
	g_autofree char *whole = NULL;
	gsize size;
	make_module(dir->path, "x.ko", "name=../../etc/passwd");
	g_assert_null(km_vm_module_read(path, NULL));
	g_assert_true(g_file_get_contents(path, &whole, &size, NULL));
	for (gsize cut = 0; cut < size; cut += 7)
		assert_no_module(path, whole, cut);
	assert_no_module(path,
			 "\xfd"
			 "7zXZ\0garbage",
			 13);
	assert_no_module(path, "not ELF", 7);
	g_assert_null(km_vm_module_read(dir->path, NULL));
	g_assert_null(km_vm_module_read("/nonexistent.ko", NULL));
}

static char *list_archive(const char *path)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	g_autoptr(GString) text = g_string_new(NULL);
	archive_read_support_format_cpio(a);
	g_assert_cmpint(archive_read_open_filename(a, path, 4096), ==, ARCHIVE_OK);
	while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
		char data[16] = { 0 };
		la_ssize_t n = archive_entry_filetype(e) == AE_IFREG ? archive_read_data(a, data, sizeof(data) - 1) : 0;
		g_assert_cmpint(n, >=, 0);
		const char *link = archive_entry_symlink(e);
		g_string_append_printf(text, "%s %o %s%s\n", archive_entry_pathname(e), archive_entry_mode(e), data,
				       link ? link : "");
	}
	archive_read_free(a);
	return g_strdup(text->str);
}

static void fill(KmInitramfs *ramfs, const char *host)
{
	g_autoptr(GError) error = NULL;
	g_assert_true(km_initramfs_add_console(ramfs, &error));
	g_assert_true(km_initramfs_add_text(ramfs, "a/b/c", 0644, "hello", &error));
	g_assert_true(km_initramfs_add(ramfs, "a/d", 0755, "", 0, &error));
	g_assert_true(km_initramfs_add_link(ramfs, "a/l", "b/c", &error));
	g_assert_true(km_initramfs_add_file(ramfs, "tool", host, &error));
	g_assert_no_error(error);
}

static void test_archive(void)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-vm", NULL);
	g_autofree char *host = g_build_filename(dir->path, "tool", NULL);
	g_autofree char *first = g_build_filename(dir->path, "1", NULL);
	g_autofree char *second = g_build_filename(dir->path, "2", NULL);
	g_file_set_contents(host, "#!/bin/sh\n", -1, NULL);
	g_chmod(host, 0750);
	for (int i = 0; i < 2; i++) {
		g_autoptr(KmInitramfs) ramfs = km_initramfs_new();
		fill(ramfs, host);
		g_assert_true(km_initramfs_write(ramfs, i ? second : first, NULL));
	}
	g_autofree char *list = list_archive(first);
	g_assert_cmpstr(list, ==,
			"dev 40755 \ndev/console 20600 \na 40755 \na/b 40755 \na/b/c 100644 hello\n"
			"a/d 100755 \na/l 120777 b/c\ntool 100750 #!/bin/sh\n\n");
	g_autoptr(GBytes) x = km_read_file(first, NULL);
	g_autoptr(GBytes) y = km_read_file(second, NULL);
	g_assert_true(g_bytes_equal(x, y));
}

static void test_refused_files(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GError) twice = NULL;
	g_autoptr(KmInitramfs) ramfs = km_initramfs_new();
	/* This test program itself needs shared libraries. */
	g_assert_false(km_initramfs_add_file(ramfs, "self", "/proc/self/exe", &error));
	g_assert_nonnull(strstr(error->message, "-static"));
	g_assert_true(km_initramfs_add_text(ramfs, "x", 0644, "", NULL));
	g_assert_false(km_initramfs_add_text(ramfs, "x", 0644, "", &twice));
	g_assert_nonnull(strstr(twice->message, "/x"));
	g_assert_false(km_initramfs_add_file(ramfs, "d", "/", NULL));
	g_assert_false(km_initramfs_add_file(ramfs, "n", "/nonexistent", NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/vm/modules/order", test_order);
	g_test_add_func("/vm/modules/files", test_files);
	g_test_add_func("/vm/modules/unresolved", test_unresolved);
	g_test_add_func("/vm/modules/modinfo", test_modinfo);
	g_test_add_func("/vm/modules/livepatch", test_livepatch);
	g_test_add_func("/vm/modules/no-module", test_no_module);
	g_test_add_func("/vm/initramfs/archive", test_archive);
	g_test_add_func("/vm/initramfs/refused-files", test_refused_files);
	return g_test_run();
}
