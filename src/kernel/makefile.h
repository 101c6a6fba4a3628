/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the makefiles of a kernel tree say about a file, read as text: for messages only; private to this room. */
#pragma once

#include "kernel/kernel.h"

/*
 * The options ("CONFIG_ADFS_FS, CONFIG_X") that kernel's configuration lacks and that source ("fs/adfs/dir.c") depends on, as far
 * as obj-$(CONFIG_...) lines tell; NULL when they tell nothing. Caller owns.
 */
char *km_makefile_options(const KmKernel *kernel, const char *source);
