/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel.json, what a provider says about the kernel it made. Paths are absolute, or relative to the kernel's directory (so
 * that a cache can be moved); "source" of a Debian kernel is "../../source/VERSION".
 */
#pragma once

#include <jansson.h>

#include "kernel/kernel.h"

/* Write dir/kernel.json. */
gboolean km_record_write(const char *dir, const json_t *record, GError **error);

/* Read kernel/NAME of the cache. A missing, broken or foreign record is an error that names the file and what to do. */
KmKernel *km_kernel_load(const char *cache, const char *name, GError **error);

/* Absolute path of the source that kernel/NAME uses, or NULL when its record cannot be read. Caller owns. */
char *km_record_source(const char *cache, const char *name);
