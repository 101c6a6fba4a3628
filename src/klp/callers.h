/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who uses a function, beyond the unit that defines it. A stock module still has its relocations, and all of its own code can be asked.
 * Built-in code is linked: the image is searched for everything that can stand for the address.
 */
#pragma once

#include "klp/refs.h"

/* Names of all functions that those of units (of KmUnit) define which belong to owner. NULL when one cannot be read. */
GHashTable *km_compiled_functions(const GPtrArray *units, const char *owner);

/* How functions (below) say which of the image's several functions of a name is meant. Caller owns. */
char *km_caller_key(const char *name, guint64 address);

/*
 * Words on a user of a function (a symbol of c's original) that is none of functions (names, of c's owner); caller owns. NULL: every
 * user is a call from their code, as far as that can be proved. Start-up code of the kernel, which has run, does not count; start-up and
 * exit code of a module, which cannot be replaced, does unless ignore_init. callers (of char*; may be NULL) gets the names of those that
 * would have to be among functions, if with them nobody would be left.
 */
char *km_outside_user(const KmRefContext *c, GHashTable *functions, const KmSymbol *original, gboolean ignore_init,
		      GPtrArray *callers);

/*
 * What to do instead of changing a function that cannot be redirected, as the end of a sentence: which of those that call it, or call
 * those, have an entry; or that none has, and who holds its address. Caller owns.
 */
char *km_who_would_do(const KmRefContext *c, const KmSymbol *original);
