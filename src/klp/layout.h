/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types that a patch lays out anew while the running kernel has memory laid out the old way. */
#pragma once

#include "kernel/patch.h"
#include "klp/klp.h"
#include "klp/unitwork.h"

/*
 * For a unit whose code changes: compile both sides with debug information and refuse changed types, unless options allow them or no object of
 * them ever leaves its function (types/local.h);
 * refuse exported symbols whose version changes. Costs nothing when the patches can change no type (may_change_types).
 * Refused as well: a replaced global function with another prototype, unless all its callers are known and among units (of KmUnit, all that
 * the patches compile): whoever is not patched calls it the old way.
 */
gboolean km_layout_check(KmKernel *kernel, const KmOverlay *overlay, gboolean may_change_types,
			 const KmBuildOptions *options, const GPtrArray *units, const KmUnitWork *work,
			 GError **error);
