/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files: written whole or not at all, locked between processes, removed with everything below them. */
#pragma once

#include <gio/gio.h>

/* A directory that vanishes with everything in it when its owner lets go. */
typedef struct {
	char *path;
	int fd; /* of the directory, locked (flock) while it is in use */
} KmTempDir;

/*
 * Create a directory below parent (NULL: g_get_tmp_dir()). Names carry the pid, so that km_tempdir_sweep() of a
 * later run can remove what a killed one left. The lock tells one that lives in another pid namespace.
 */
KmTempDir *km_tempdir_new(const char *parent, const char *prefix, GError **error);
void km_tempdir_free(KmTempDir *dir);
/* Keep the directory: frees only the handle and returns the path (caller owns). */
char *km_tempdir_keep(KmTempDir *dir);
/* Remove the directories prefix-PID-XXXXXX below parent whose process is gone. Best effort, never fails. */
void km_tempdir_sweep(const char *parent, const char *prefix);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmTempDir, km_tempdir_free)

/* Remove path and everything below it; symbolic links are not followed. A path that is not there is success. */
gboolean km_remove_tree(const char *path, GError **error);

/* Make path and its parents. */
gboolean km_make_dirs(const char *path, GError **error);

/* Write beside path, flush, rename over it: path holds either what it held before or all of data. Refuses what is no regular file. */
gboolean km_write_file(const char *path, const void *data, gsize size, GError **error);

/* Map or read a whole regular file. Refuses directories and devices by name. */
GBytes *km_read_file(const char *path, GError **error);

/* The same for what a user hands over: "-" is standard input, and pipes (as of a shell's <(...)) are read to their end. */
GBytes *km_read_input(const char *path, GError **error);

/* An advisory lock on a file (flock), released when freed or when the process dies. Waits for other holders. */
typedef struct {
	int fd;
} KmLock;

KmLock *km_lock_new(const char *path, GError **error);
void km_lock_free(KmLock *lock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmLock, km_lock_free)
