/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Code that differs only in numbers. Private to this room. */
#pragma once

#include "diff/compare.h"

/* The immediate operands in which a function differs from its original, when nothing else differs; else NULL. Owned. */
GArray *km_item_immediates(KmComparison *comparison, const KmItem *original, const KmItem *patched);
/* Count how far what looks like line numbers moved in this pair: before any km_immediates_are_lines(). */
void km_count_shifts(KmComparison *comparison, const KmItem *original, const KmItem *patched);
/*
 * Is each of them a line number: handed to a call together with the name of its source file, and moved as far as another one
 * elsewhere? A lone number might be any argument of such a call.
 */
gboolean km_immediates_are_lines(const KmComparison *comparison, const KmItem *patched, const GArray *immediates);
