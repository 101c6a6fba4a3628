/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An initramfs (newc cpio) made in memory, entry by entry. */
#pragma once

#include <glib.h>

typedef struct KmInitramfs KmInitramfs;

KmInitramfs *km_initramfs_new(void);
void km_initramfs_free(KmInitramfs *ramfs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmInitramfs, km_initramfs_free)

/* Paths are relative to the root ("bin/busybox"); missing parent directories are added. mode: permission bits. */
gboolean km_initramfs_add(KmInitramfs *ramfs, const char *path, guint mode, const void *data, gsize size,
			  GError **error);
gboolean km_initramfs_add_text(KmInitramfs *ramfs, const char *path, guint mode, const char *text, GError **error);
/* A file of the host, with its permission bits. Refuses a program that needs shared libraries: the guest has none. */
gboolean km_initramfs_add_file(KmInitramfs *ramfs, const char *path, const char *host, GError **error);
gboolean km_initramfs_add_dir(KmInitramfs *ramfs, const char *path, GError **error);
gboolean km_initramfs_add_link(KmInitramfs *ramfs, const char *path, const char *target, GError **error);
gboolean km_initramfs_add_console(KmInitramfs *ramfs, GError **error);

/* End the archive and write it (atomically). The same entries always give the same bytes. */
gboolean km_initramfs_write(KmInitramfs *ramfs, const char *out, GError **error);
