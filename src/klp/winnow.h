/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units that only a header reaches come by the thousand, and nearly none changes: one at a time, the others are forgotten. */
#pragma once

#include "kernel/unit.h"
#include "klp/klp.h"

/*
 * Look at each of units that is only reached (others are left alone), jobs at once (0: number of CPUs): compare the preprocessed
 * texts, then compile both sides and compare the objects. Those that change have their object files below dir afterwards
 * (KmUnit.original is set); of the others nothing is left. counts is added to. Of several failures the one of the first unit is reported.
 */
gboolean km_winnow(KmKernel *kernel, const KmOverlay *overlay, const GPtrArray *units, const char *dir, guint jobs,
		   KmHeaderCounts *counts, KmProgress *progress, GError **error);

/* About how long the rest takes: "about 3 min left"; "" when there is nothing to tell from. Caller owns. */
char *km_winnow_estimate(guint done, guint total, gint64 elapsed_us);
