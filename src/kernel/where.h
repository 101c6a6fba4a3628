/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the source defines a symbol: for messages. */
#pragma once

#include <glib.h>

/* "mm/util.c:123", or "mm/util.c" when the text (tree/source) does not tell. symbol without what compilers add. Caller owns. */
char *km_where(const char *tree, const char *source, const char *symbol);
