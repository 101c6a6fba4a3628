/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units that only the patched kernel has. */
#pragma once

#include "klp/unitwork.h"

/* Refused: what the kernel does with a file only when it starts or loads a module (initcalls, parameters, exports). */
gboolean km_new_unit_check(const KmUnit *unit, const KmObject *patched, GError **error);

/*
 * What a patch moves from units that were there into new ones. A moved function also replaces the one that callers elsewhere know
 * (hooks, functions: see km_unit_work_hooks()). Refused: a moved variable, whose content would be lost.
 */
gboolean km_new_units_take(const GPtrArray *works, GPtrArray *hooks, GPtrArray *functions, GError **error);
