/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source text that an author starts from. Private to this room. */
#pragma once

#include "diff/side.h"

/*
 * Callbacks that give a changed variable its new value while the live patch is in, and its old one back after. They use
 * include/kmend/kmend.h, and belong at the end of the variable's source file. Numbers are filled in; of anything else the author
 * writes the value, and the text says where. NULL: no callback can reach the variable. Caller owns.
 */
char *km_skeleton(const KmItem *item);
