/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The very compiler that built a foreign kernel. A distribution's cross compiler of the same version number is another build, with other
 * fixes, and makes other code than the native one. So the native compiler proper (cc1) is fetched as packages of the foreign
 * architecture, unpacked below the cache, and run by user-mode emulation behind the cross compiler's driver; preprocessor options,
 * assembler and linker stay the cross ones. Kernels that were built by the same compiler share it.
 *
 *   compiler/ARCH-gcc-MAJOR-VERSION/
 *     bin/TRIPLET-gcc-MAJOR   the command: the cross driver, told where to find cc1
 *     exec/cc1                starts the one in root
 *     root/                   the packages
 */
#pragma once

#include "kernel/kernel.h"

/* Could the compiler that calls itself text be had this way on this machine: a distribution's gcc for another architecture? */
gboolean km_exact_applies(const KmArch *arch, const char *text);

/* Its command (a path) when it is set up, else NULL. Caller owns. */
char *km_exact_find(const char *cache, const KmArch *arch, const char *text);

/* The packages to install before it can run, with spaces between, or NULL when nothing is missing. Caller owns. */
char *km_exact_missing(const KmArch *arch, const char *text);

/* Set it up unless it is there. Nothing must be missing. Fails when the archive does not have that very version. */
gboolean km_exact_provide(const char *cache, const KmArch *arch, const char *text, KmProgress *progress,
			  GError **error);
