/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One unit on its way from three object files to its extracted part: proof, diff, extraction, hooks. */
#pragma once

#include "diff/author.h"
#include "kernel/unit.h"
#include "klp/hooks.h"
#include "klp/klp.h"
#include "klp/refs.h"

typedef struct {
	const KmUnit *unit; /* not owned */
	KmObject *original, *plain, *patched;
	KmObject *module; /* the stock module, or NULL */
	KmMatch *match;
	KmAuthor *author; /* what the patch says to us */
	KmDiff *diff;
	KmObject *extracted; /* NULL when nothing of this unit changes at run time */
	GHashTable *carried; /* functions (KmSymbol of patched) that need no entry of their own; set by km_carry() */
	guint settled; /* for km_carry(): so many of diff's functions have been looked at */
	GHashTable *plain_twins;
	char *overridden; /* a weak function that the patch changes and another file of this kernel overrides; NULL: none */
	KmRefContext context; /* points into all of the above */
} KmUnitWork;

/* Read, prove, compare. Refused with every reason the unit gives. notes (of char*): what the author asked for in vain. */
KmUnitWork *km_unit_work_new(KmKernel *kernel, const KmImage *image, const KmUnit *unit, const KmBuildOptions *options,
			     GPtrArray *notes, GError **error);
/* Extract, after km_carry(). */
gboolean km_unit_work_extract(KmUnitWork *work, GError **error);
void km_unit_work_free(KmUnitWork *work);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmUnitWork, km_unit_work_free)

/*
 * The functions to redirect: appends a KmHook (its replacement still the extracted object's symbol) to hooks and a
 * KmPatchedFunction to functions for each. Refused: a changed function without a patchable entry.
 */
gboolean km_unit_work_hooks(const KmUnitWork *work, GPtrArray *hooks, GPtrArray *functions, GError **error);

/* A hook for the function of the original at place, which replacement takes over (symbols of this work's, or another's, extracted object). */
KmHook *km_unit_work_hook(const KmUnitWork *work, const KmSymbol *original, const KmPlace *place, const KmObject *extracted,
			  KmSymbol *replacement, GError **error);

/* The same for callbacks, which the unit's own object gets, and for states. Refused: a callback that is not the patch's own code. */
gboolean km_unit_work_callbacks(const KmUnitWork *work, KmContents *contents, GError **error);
