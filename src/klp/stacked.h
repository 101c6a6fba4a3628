/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments that do not lie in registers: where kmend's own runtime comes between caller and function with a frame of its own, nobody finds them. */
#pragma once

#include "kernel/kernel.h"
#include "klp/hooks.h"
#include "klp/unitwork.h"

/* Does the runtime come between on this kernel? */
gboolean km_stacked_matters(KmKernel *kernel);

/*
 * Refused, by name: a function of work's original among hooks (of KmHook) that takes arguments from the stack, or of which that cannot be told. Both sides
 * are compiled with debug information for it.
 */
gboolean km_stacked_check(KmKernel *kernel, const KmOverlay *overlay, const KmUnitWork *work, const GPtrArray *hooks,
			  GError **error);
