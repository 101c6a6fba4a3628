/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What no tool can decide about a changed function: hints for its author, found by what the code calls. */
#pragma once

#include "diff/diff.h"

/* Appends lines (char*) to checks: locking that differs, waiting, bodies of kernel threads, addresses that outlive the live patch. */
void km_checks_of_function(const KmDiff *diff, const KmChange *change, GPtrArray *checks);
/* About new data of the unit. */
void km_checks_of_data(const KmDiff *diff, GPtrArray *checks);
