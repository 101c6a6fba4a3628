/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source text that an author starts from. Private to this room. */
#pragma once

#include "diff/side.h"

/*
 * Functions kmend_set_NAME() and kmend_restore_NAME() that give a changed variable its new value and its old one back. Numbers are
 * filled in; of anything else the author writes the value, and the text says where. NULL: no callback can reach the variable.
 * Caller owns.
 */
char *km_skeleton(const KmItem *item);
