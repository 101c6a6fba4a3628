/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Patches over a pristine tree. The tree is never written: files that a patch touches are copied to an overlay directory
 * and patched there; everything else is read from the pristine tree.
 */
#pragma once

#include "base/file.h"

typedef struct {
	char *path;		/* relative to the tree, normalized: "fs/proc/meminfo.c" */
	char *patched;		/* absolute path of the patched copy in the overlay, exact text of patch(1) */
	char *compiled;		/* the same with #line directives, what the compiler gets */
	char *patch;		/* the patch file that touched it last, for messages */
	gboolean is_source;	/* a .c file, which may have a unit of its own; else a header */
	gboolean is_makefile;	/* neither; its object lists change */
	gboolean is_new;	/* the pristine tree does not have it */
	gboolean is_deleted;	/* the patches remove it; patched and compiled do not exist */
	char *unbuilt;		/* set by km_units_new(): why it makes no difference to this kernel; else NULL */
} KmTouched;

typedef struct KmOverlay KmOverlay;
struct KmOverlay {
	char *source;		/* pristine tree */
	char *dir;		/* overlay directory, given by the caller */
	GPtrArray *files;	/* of KmTouched, sorted by path */
	/* Patches that touch more than .c files in their place want a whole tree to look files up in (km_overlay_plant). */
	gboolean wants_farm;
	gboolean allow_scripts;	/* km_patches_allow_scripts() */
	gboolean outside; /* not the kernel's tree, but an out-of-tree source */
	const KmOverlay
		*below; /* then: the kernel's, when its headers change too; not owned. NULL: they stay as they are */
	char *farm;		/* that tree once it is planted, else NULL */
	KmTempDir *farm_dir;
};

/*
 * Apply patches, in order, over source into dir (exists, empty, the caller's). Understands unified diffs as written by diff -u and git,
 * with -p1 names. Refused, each by name, file and line of the patch: a path that leaves the tree (.., absolute, through a
 * symbolic link), binary patches, renames, deleted sources, kinds of files that a live patch cannot change (assembly, tools,
 * inputs of generated headers), build scripts beyond object lists, a hunk that does not apply (with patch(1)'s own words;
 * offsets are fine, fuzz is not), an empty or truncated patch.
 */
KmOverlay *km_overlay_new(const char *source, const char *dir, const char *const *patches, GError **error);

/* Make the farm (see farm.h) of an overlay that wants one. arch: directory below arch/; not used for an out-of-tree source. */
gboolean km_overlay_plant(KmOverlay *overlay, const char *arch, GError **error);

void km_overlay_free(KmOverlay *overlay);

/*
 * Patches over several trees. Each file goes to the one tree that holds it; one that several hold, or none, is refused by name.
 * New files and makefiles, which any tree could hold, go where the rest of their patch goes. trees is NULL-ended.
 */
typedef struct KmPatches KmPatches;
KmPatches *km_patches_read(const char *const *patches, const char *const *trees, GError **error);
void km_patches_free(KmPatches *patches);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmPatches, km_patches_free)
/* Take changes of makefiles beyond object lists too: whoever wrote the patch can then run commands on this machine. */
void km_patches_allow_scripts(KmPatches *patches);
/* Does anything in them belong to the tree of that number? */
gboolean km_patches_touch(const KmPatches *patches, guint tree);
/* km_overlay_new() of what belongs to that tree. */
KmOverlay *km_overlay_new_of(const KmPatches *patches, guint tree, const char *dir, GError **error);
/*
 * The same for an out-of-tree source whose units see the kernel's headers as below (planted) has them. That nothing of its own is touched
 * is no error then.
 */
KmOverlay *km_overlay_new_above(const KmPatches *patches, guint tree, const KmOverlay *below, const char *dir,
				GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmOverlay, km_overlay_free)

/*
 * #line directives that give every unchanged line of patched the number it has in original, so that __LINE__ in unchanged
 * code stays the same; the first one names path as the file (path NULL: no file is named, so that __FILE__ is the name it was
 * opened by). A directive is only put where it is harmless: never inside a comment, a string, a continued line or the
 * parentheses of a macro call. Caller owns the text.
 */
char *km_lines_keep(const char *original, const char *patched, const char *path, GError **error);
