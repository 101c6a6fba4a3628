/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a compiler complains about, in one line; private to this room. */
#pragma once

#include <glib.h>

/* The first line of output that tells an error, else the last one; without tree's path before file names. Caller owns. */
char *km_first_error(const char *output, const char *tree);
