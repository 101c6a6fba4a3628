/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Can anything outside a unit get hold of the address of some of its data? Private to this room. */
#pragma once

#include "diff/side.h"

/*
 * Follow the addresses of tables (KmItem, a set) through all functions of side that refer to them and all functions of the unit
 * that they are handed to. NULL: none leaves the unit. Else words on the first that does, as the end of a sentence that
 * begins with the table: "f passes its address to g (at f+0x12)". Caller owns. users (a set) gets the functions in which such an
 * address is at hand. vouched: it leaves the unit only in ways that the author knows to be harmless.
 */
char *km_find_escape(const KmSide *side, GHashTable *tables, gboolean vouched, GHashTable *users);
