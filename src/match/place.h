/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Naming an address for the livepatch loader. */
#pragma once

#include "match/lay.h"

/* The place of symbol, or NULL with the reason. Caller owns. */
KmPlace *km_place_new(const KmMatch *match, const KmSymbol *symbol, GError **error);
void km_place_free(gpointer place);
