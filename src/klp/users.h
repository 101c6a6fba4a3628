/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who uses a function of a stock module: its relocations tell, and the branches that its assembler resolved by itself. */
#pragma once

#include "image/users.h"

/*
 * The users of function (a symbol of module) in the module, one row for each name and kind of use; owned by the caller. Records about
 * code (entries, unwinding, exports, jump labels) and what the function does with itself are no users.
 */
GPtrArray *km_module_users(KmObject *module, const KmSymbol *function);
