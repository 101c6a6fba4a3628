/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Variables that share a section by attribute, given one each in an assembly listing; private to this room. */
#pragma once

#include <glib.h>

/*
 * -fdata-sections leaves variables with a section attribute (__read_mostly, per-cpu data) together. The assembler refers to them by
 * section and offset, so that the end of one array cannot be told from the start of the next variable, nor `table[i - 1]`
 * from what lies before the table. Each gets a section of its own, of the same name, and the offset says which is meant.
 * Listings that address variables from a common anchor are returned unchanged: their distances are in the code. Caller owns.
 */
char *km_scatter_data(const char *listing);
