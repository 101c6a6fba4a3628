/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shell and tools of a virtual machine: a static busybox of the kernel's architecture. */
#pragma once

#include "arch/arch.h"
#include "base/progress.h"

/*
 * Where it is: this machine's own for its own architecture, else one in the cache (busybox/ARCH/), downloaded from the package archive when it is
 * not there yet. Caller owns.
 */
char *km_busybox(const KmArch *arch, KmProgress *progress, GError **error);
