/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a live patch, module, object or kernel image contains, as data. */
#pragma once

#include <jansson.h>

#include "elf/object.h"
#include "image/image.h"

/*
 * Look at a file of any of the four kinds, compressed or not. Always has "kind" ("livepatch", "module", "object",
 * "image"), "path" and "arch"; docs/image.md lists the keys of each kind. The caller owns the reference.
 */
json_t *km_inspect(const char *path, GError **error);
/* The same from memory; path is for messages. */
json_t *km_inspect_bytes(GBytes *bytes, const char *path, GError **error);
