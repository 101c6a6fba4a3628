/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One unit on its way from three object files to its extracted part: proof, diff, extraction, hooks. */
#pragma once

#include "kernel/unit.h"
#include "klp/hooks.h"
#include "klp/klp.h"
#include "klp/refs.h"

typedef struct {
	const KmUnit *unit; /* not owned */
	KmObject *original, *plain, *patched;
	KmObject *module; /* the stock module, or NULL */
	KmMatch *match;
	KmDiff *diff;
	KmObject *extracted; /* NULL when nothing of this unit changes at run time */
	GHashTable *carried; /* functions that need no entry of their own, km_carry() */
	GHashTable *plain_twins;
	KmRefContext context; /* points into all of the above */
} KmUnitWork;

/* Read, prove, compare, extract. Refused with every reason the unit gives. */
KmUnitWork *km_unit_work_new(KmKernel *kernel, const KmImage *image, const KmUnit *unit, GError **error);
void km_unit_work_free(KmUnitWork *work);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmUnitWork, km_unit_work_free)

/*
 * The functions to redirect: appends a KmHook (its replacement still the extracted object's symbol) to hooks and a
 * KmPatchedFunction to functions for each. Refused: a changed function without a patchable entry.
 */
gboolean km_unit_work_hooks(const KmUnitWork *work, GPtrArray *hooks, GPtrArray *functions, GError **error);
