/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changed functions that cannot be redirected themselves are replaced together with the functions that call them. */
#pragma once

#include "klp/unitwork.h"

typedef struct {
	gboolean ignore_init; /* start-up and exit code of modules may go on as it is */
	GPtrArray *notes; /* of char*: what is left out because of that */
	/*
	 * Called for a global function (a symbol of work's original) that callers (of char*) call, which are in none of the works: may add works
	 * (of units of the same owner) that have them. FALSE with error when that goes wrong; finding none is not wrong. NULL: there are no more.
	 */
	gboolean (*call_in)(const KmUnitWork *work, const KmSymbol *function, const GPtrArray *callers, gpointer data,
			    GError **error);
	gpointer data;
} KmCarryOptions;

/*
 * A function without a patchable entry (`inline` means notrace in the kernel, and the compiler may still emit it) cannot be
 * redirected, but whoever calls it can: its callers in all works are added to their diffs' changed functions, each with its reason, until
 * every changed function either has an entry or is called by replaced functions only. Those that are carried that way
 * are noted in KmUnitWork.carried. Refused, naming what would have to be patched: such a function whose address is taken, or
 * that somebody calls who is in none of the works, or that has no caller with an entry.
 */
gboolean km_carry(GPtrArray *works, const KmCarryOptions *options, GError **error);
