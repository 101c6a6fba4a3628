/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The C compiler that a kernel's config names, on this machine. */
#pragma once

#include "kernel/kernel.h"

/*
 * Set kernel->compiler, or kernel->compiler_problem when there is none; kernel->compiler_note when the one found says
 * something else than the config does. Never fails: a kernel can be fetched and shown without a compiler.
 */
void km_compiler_find(KmKernel *kernel);

/*
 * For a kernel that was fetched: where the compiler found is not the very one that built it, and that one can be had from the archive
 * (exact.h), set it up and choose it. Never fails: why not is in compiler_note.
 */
void km_compiler_provide(KmKernel *kernel, KmProgress *progress);

/* "12.2.0" out of "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0", NULL when there is none. Caller owns. */
char *km_compiler_version(const char *text);
