/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why an item differs from its twin, in words. Private to this room. */
#pragma once

#include "diff/compare.h"

void km_item_add_reason(KmItem *item, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Compares a patched item with its twin and adds a reason for every kind of difference; none means equal. */
void km_explain(KmComparison *comparison, const KmItem *original, KmItem *patched);
