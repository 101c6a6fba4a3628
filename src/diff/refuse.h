/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a live patch cannot express, each with the way out. Private to this room. */
#pragma once

#include "diff/compare.h"

/* All items' statuses are known; fills diff->refused. */
void km_refuse_changes(KmDiff *diff, const KmSide *original, const KmSide *patched, KmComparison *comparison);
