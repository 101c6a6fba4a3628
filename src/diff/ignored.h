/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Differences that are seen and passed over, told so that a reader need not wonder. Private to this room. */
#pragma once

#include "diff/side.h"

/* Fill diff->ignored. The comparison is over: items have their twins. */
void km_note_ignored(KmDiff *diff, const KmSide *patched);
