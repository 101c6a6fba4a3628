/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read-only tables whose content changed: new code gets a new copy, if nobody can hold the address of the old one. Private to this room. */
#pragma once

#include "diff/compare.h"

/*
 * Takes each changed table that may be replaced off its twin, so that it counts as new and whoever uses it as changed; the others
 * get words on why not (KmItem.escape). allowed: names that the author vouches for; NULL-ended, or NULL.
 */
void km_replace_tables(const KmSide *original, const KmSide *patched, KmComparison *comparison,
		       const char *const *allowed);
