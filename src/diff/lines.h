/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Code that differs only in numbers. Private to this room. */
#pragma once

#include "diff/compare.h"

/* The immediate operands in which a function differs from its original, when nothing else differs; else NULL. Owned. */
GArray *km_item_immediates(KmComparison *comparison, const KmItem *original, const KmItem *patched);
/* Is each of them a line number, handed to a call together with the name of its source file? */
gboolean km_immediates_are_lines(const KmItem *patched, const GArray *immediates);
