/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who uses a function of a module: a stock module still has its relocations, so all of its own code can be asked. */
#pragma once

#include "klp/unitwork.h"

/*
 * Words on a user of the global function name of work's module that does not lie in units (of KmUnit, those that the patch has compiled
 * anew); caller owns. NULL: every user is a call from their code. Built-in code cannot be asked: it is linked, and has lost its relocations.
 */
char *km_outside_user(const KmUnitWork *work, const GPtrArray *units, const char *name);
