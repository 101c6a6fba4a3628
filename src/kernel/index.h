/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The includes of a tree's files, remembered between builds: reading a kernel's 60,000 files takes minutes where they are not in
 * memory, asking for their times does not. Private to this room.
 */
#pragma once

#include <sys/stat.h>

#include "kernel/includes.h"

typedef struct KmIndex KmIndex;

/* What was remembered in file. One that is missing, damaged or of another form remembers nothing. Never NULL. */
KmIndex *km_index_read(const char *file);
void km_index_free(KmIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmIndex, km_index_free)

/*
 * Tell the includes of path, as km_includes_read() told them when it was read; FALSE when it is not known, or has another size or
 * time now. From any thread.
 */
gboolean km_index_tell(const KmIndex *index, const char *path, const struct stat *st, KmIncludeFunc found,
		       gpointer data);

/* Append to text what is to be remembered: a file, then each of its includes. FALSE: this name cannot be. */
gboolean km_index_add_file(GString *text, const char *path, const struct stat *st);
void km_index_add_include(GString *text, KmIncludeKind kind, const char *name);

/*
 * Remember the texts (of GString), of files that were looked at no earlier than started (g_get_real_time()). Best effort: written
 * beside and renamed.
 */
void km_index_write(const char *file, const GPtrArray *texts, gint64 started);
