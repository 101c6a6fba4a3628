/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A unified diff, read far enough to know what it touches; private to this room. */
#pragma once

#include <glib.h>

typedef enum {
	KM_PATCH_EDIT = 0,
	KM_PATCH_NEW = 1 << 0,
	KM_PATCH_DELETED = 1 << 1,
	KM_PATCH_RENAMED = 1 << 2,
	KM_PATCH_BINARY = 1 << 3,
} KmPatchKind;

/* What one patch does to one file. */
typedef struct {
	char *path; /* without the first component of the name, normalized */
	guint line; /* of the patch, where this file begins */
	guint kind; /* KmPatchKind bits */
	GString *text; /* a diff of this file alone: two header lines of our own making, then its hunks */
	GArray *hunks; /* of guint: line of the patch where each hunk begins */
	guint tree; /* the source tree it belongs to, by number; the first (0) until somebody says otherwise */
} KmPatchFile;

/* The tree of what belongs to none. */
#define KM_NO_TREE G_MAXUINT

void km_patch_file_free(KmPatchFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmPatchFile, km_patch_file_free)

/*
 * The files of a patch in their order; the same file may come twice. name is for messages. Refused: text without a diff,
 * truncated or malformed hunks, names that leave the tree, context diffs. Returns an array of KmPatchFile, owned.
 */
GPtrArray *km_patch_parse(const char *name, const char *text, gsize size, GError **error);

/* One patch and its files. */
typedef struct {
	char *name;
	GPtrArray *files; /* of KmPatchFile */
} KmPatchText;

struct KmPatches {
	GPtrArray *texts; /* of KmPatchText, in the order given */
	char **trees; /* the sources */
	gboolean allow_scripts; /* take changes of makefiles beyond object lists */
};

/* A file that never reaches the compiler, whatever a patch does to it. outside: of an out-of-tree source. */
gboolean km_patch_is_prose(const char *path, gboolean outside);
