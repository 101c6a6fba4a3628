/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding each item's twin in the other object. Private to this room. */
#pragma once

#include "diff/compare.h"

/* Sets item->twin on both sides, wherever a twin exists; item->guess tells those that rest on less than a proof. */
void km_pair_sides(KmSide *original, KmSide *patched);
