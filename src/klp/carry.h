/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changed functions that cannot be redirected themselves are replaced together with the functions that call them. */
#pragma once

#include "klp/refs.h"

/*
 * A function without a patchable entry (`inline` means notrace in the kernel, and the compiler may still emit it) cannot be
 * redirected, but whoever calls it can: its callers in the unit are added to diff's changed functions, each with its reason, until
 * every changed function either has an entry or is called by replaced functions only. Those that are carried that way
 * are returned (set of KmSymbol of the patched object, owned by the caller). Refused, naming what would have to be patched:
 * such a function that is global or whose address is taken, or that has no caller with an entry.
 */
GHashTable *km_carry(const KmRefContext *c, KmDiff *diff, GError **error);
