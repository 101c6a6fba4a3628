/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uncompressed on purpose: it goes into the guest's memory by DMA, and an emulated CPU copies faster than it inflates.
 */
#include "vm/initramfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "base/file.h"

struct KmInitramfs {
	struct archive *archive;
	GByteArray *bytes;
	GHashTable *paths; /* set: what is in already */
};

static la_ssize_t take(struct archive *archive, void *user, const void *data, size_t size)
{
	KmInitramfs *ramfs = user;
	if (size > G_MAXUINT - ramfs->bytes->len) {
		archive_set_error(archive, EFBIG, "more than 4 GiB");
		return -1;
	}
	g_byte_array_append(ramfs->bytes, data, (guint)size);
	return (la_ssize_t)size;
}

KmInitramfs *km_initramfs_new(void)
{
	KmInitramfs *ramfs = g_new0(KmInitramfs, 1);
	ramfs->bytes = g_byte_array_new();
	ramfs->paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	ramfs->archive = archive_write_new();
	archive_write_set_format_cpio_newc(ramfs->archive);
	archive_write_set_bytes_per_block(ramfs->archive, 0);
	archive_write_open(ramfs->archive, ramfs, NULL, take, NULL);
	return ramfs;
}

void km_initramfs_free(KmInitramfs *ramfs)
{
	if (!ramfs)
		return;
	archive_write_free(ramfs->archive);
	g_byte_array_unref(ramfs->bytes);
	g_hash_table_unref(ramfs->paths);
	g_free(ramfs);
}

/* Writes the entry (type and permissions set by the caller) and frees it. */
static gboolean put(KmInitramfs *ramfs, struct archive_entry *entry, const char *path, const void *data, gsize size,
		    GError **error)
{
	archive_entry_set_pathname(entry, path);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_nlink(entry, 1);
	archive_entry_set_mtime(entry, 0, 0);
	gboolean ok = archive_write_header(ramfs->archive, entry) == ARCHIVE_OK &&
		      (!size || archive_write_data(ramfs->archive, data, size) == (la_ssize_t)size);
	archive_entry_free(entry);
	return ok || km_fail(error, "cannot put %s into the initramfs: %s", path, archive_error_string(ramfs->archive));
}

static struct archive_entry *new_entry(guint type, guint mode)
{
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, (mode_t)mode);
	return entry;
}

gboolean km_initramfs_add_dir(KmInitramfs *ramfs, const char *path, GError **error)
{
	if (!strcmp(path, ".") || g_hash_table_contains(ramfs->paths, path))
		return TRUE;
	g_autofree char *parent = g_path_get_dirname(path);
	if (!km_initramfs_add_dir(ramfs, parent, error))
		return FALSE;
	g_hash_table_add(ramfs->paths, g_strdup(path));
	return put(ramfs, new_entry(AE_IFDIR, 0755), path, NULL, 0, error);
}

static gboolean claim(KmInitramfs *ramfs, const char *path, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(path);
	if (!km_initramfs_add_dir(ramfs, parent, error))
		return FALSE;
	if (g_hash_table_add(ramfs->paths, g_strdup(path)))
		return TRUE;
	return km_fail(error, "two files would become /%s in the VM; rename one", path);
}

gboolean km_initramfs_add(KmInitramfs *ramfs, const char *path, guint mode, const void *data, gsize size,
			  GError **error)
{
	return claim(ramfs, path, error) && put(ramfs, new_entry(AE_IFREG, mode), path, data, size, error);
}

gboolean km_initramfs_add_text(KmInitramfs *ramfs, const char *path, guint mode, const char *text, GError **error)
{
	return km_initramfs_add(ramfs, path, mode, text, strlen(text), error);
}

gboolean km_initramfs_add_link(KmInitramfs *ramfs, const char *path, const char *target, GError **error)
{
	if (!claim(ramfs, path, error))
		return FALSE;
	struct archive_entry *entry = new_entry(AE_IFLNK, 0777);
	archive_entry_set_symlink(entry, target);
	return put(ramfs, entry, path, NULL, 0, error);
}

/* The kernel opens /dev/console for init before anything is mounted. */
gboolean km_initramfs_add_console(KmInitramfs *ramfs, GError **error)
{
	if (!claim(ramfs, "dev/console", error))
		return FALSE;
	struct archive_entry *entry = new_entry(AE_IFCHR, 0600);
	archive_entry_set_rdev(entry, makedev(5, 1));
	return put(ramfs, entry, "dev/console", NULL, 0, error);
}

/* An ELF program that names an interpreter is linked dynamically. */
static gboolean needs_libraries(GBytes *bytes)
{
	gsize size;
	size_t n = 0;
	const void *data = g_bytes_get_data(bytes, &size);
	if (size < 4 || memcmp(data, "\177ELF", 4))
		return FALSE;
	elf_version(EV_CURRENT);
	Elf *elf = elf_memory((char *)data, size);
	gboolean found = FALSE;
	if (elf && !elf_getphdrnum(elf, &n))
		for (size_t i = 0; i < n && !found; i++) {
			GElf_Phdr header;
			found = gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_INTERP;
		}
	if (elf)
		elf_end(elf);
	return found;
}

gboolean km_initramfs_add_file(KmInitramfs *ramfs, const char *path, const char *host, GError **error)
{
	struct stat st;
	g_autoptr(GBytes) bytes = km_read_file(host, error);
	if (!bytes)
		return FALSE;
	if (stat(host, &st))
		return km_fail(error, "cannot read %s: %s", host, g_strerror(errno));
	if ((st.st_mode & 0111) && needs_libraries(bytes))
		return km_fail(error, "%s needs shared libraries, and the VM has none: link it with -static", host);
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);
	return km_initramfs_add(ramfs, path, st.st_mode & 0777, data, size, error);
}

gboolean km_initramfs_write(KmInitramfs *ramfs, const char *out, GError **error)
{
	if (archive_write_close(ramfs->archive))
		return km_fail(error, "cannot finish the initramfs: %s", archive_error_string(ramfs->archive));
	return km_write_file(out, ramfs->bytes->data, ramfs->bytes->len, error);
}
