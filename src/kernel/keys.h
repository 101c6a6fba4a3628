/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Static keys in an assembly listing; private to this room. */
#pragma once

#include "arch/arch.h"

/*
 * Replace every jump label (static_branch_likely() and relatives, tracepoints, debug messages) by a test of its key at run time.
 *
 * A jump label's row in __jump_table names its key. The kernel reads a module's rows when that module is loaded; where the key
 * belongs to another module, which may come later, there is nothing to read yet. Where a live patch is for kmend's own runtime no key but an
 * exported one can be read then. A test of the key in the code needs an
 * ordinary relocation only, which is applied in time. Sites whose text is not understood stay as they are.
 * Caller owns the text. arch without test_key: an unchanged copy.
 */
char *km_test_keys(const char *listing, const KmArch *arch);
