/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a changed makefile builds now, told by kbuild itself; private to this room. */
#pragma once

#include "kernel/kbuild.h"
#include "kernel/patch.h"

/*
 * The objects that a touched makefile lists over the farm and did not list before, as kbuild names them: array of char*, owned.
 * Refused: an object it no longer lists, or compiles in another way.
 */
GPtrArray *km_lists_added(KmKbuild *pristine, KmKbuild *farm, const KmTouched *makefile, GError **error);
