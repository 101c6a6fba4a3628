/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unpack Debian packages as a stream: the archive in the archive in the archive goes to disk without a copy in between.
 * xz is decoded with as many threads as there are CPUs when the file was written for that.
 */
#pragma once

#include <glib.h>

/* Where an entry goes: a path below the destination (caller owns), or NULL to leave it out. path has no leading "./". */
typedef char *(*KmUnpackMap)(const char *path, const char *data);

typedef struct {
	const char *deb; /* the package */
	const char *dest; /* exists */
	KmUnpackMap map;
	const char *map_data;
	gboolean tarball; /* unpack the tar file (usr/src/NAME.tar.*) that the package holds, not the package */
	gboolean own_root; /* dest is to be the root of programs: an absolute link leads to its place below dest */
	GMutex *umask_lock; /* held while the process's umask is looked at; NULL when there is one thread */
	gint *stop; /* becomes non-zero (atomically) when the work is not wanted any more (the
				 * error is then G_IO_ERROR_CANCELLED); may be NULL */
} KmUnpack;

gboolean km_unpack_deb(const KmUnpack *unpack, GError **error);
