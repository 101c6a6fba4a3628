/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sources that patches touch (the kernel's, those of out-of-tree modules), and the units in each. */
#pragma once

#include "kernel/unit.h"
#include "klp/klp.h"

typedef struct {
	guint number; /* 0: the kernel's */
	KmOverlay *overlay;
	gboolean may_change_types; /* km_overlay_may_change_types() */
	GPtrArray *units; /* of KmUnit */
} KmTree;

/*
 * Apply the patches of options to the sources they belong to, below dir, and find the units. Sources that no patch touches are
 * left out. notes (of char*): what is left out of the patch. Array of KmTree, owned.
 */
GPtrArray *km_trees_new(KmKernel *kernel, const KmBuildOptions *options, const char *dir, GPtrArray *notes,
			GError **error);

/*
 * Compile the units below dir: those whose own file a patch touches, and of the others those that change. The rest has no
 * original afterwards. reached is added to.
 */
gboolean km_trees_compile(KmKernel *kernel, const KmBuildOptions *options, const GPtrArray *trees, const char *dir,
			  KmHeaderCounts *reached, KmProgress *progress, GError **error);

/*
 * Units of owner that no patch touches, out of these files (NULL-ended) of the kernel's source: compiled like touched ones, and added to tree's
 * units. Those that are there already are left alone. An array of the new ones, which does not own them.
 */
GPtrArray *km_trees_call_in(KmKernel *kernel, const KmBuildOptions *options, KmTree *tree, const char *owner,
			    const char *const *sources, const char *dir, KmProgress *progress, GError **error);
