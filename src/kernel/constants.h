/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Constants that the kernel writes into its own code while it starts, in an assembly listing; private to this room. */
#pragma once

#include "arch/arch.h"

/*
 * Replace every such constant (runtime_const_ptr() and relatives, include/asm-generic/runtime-const.h) by a read of its variable.
 *
 * The kernel goes once, while it starts, over the places that sections named runtime_* list, and only over its own. In a live patch the
 * compiler's placeholder would stay: a wild pointer. Places whose text is not understood stay as they are; km_extract() refuses
 * the functions that hold one. Caller owns the text.
 */
char *km_read_constants(const char *listing, const KmArch *arch);
