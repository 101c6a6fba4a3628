/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which C files of a source tree speak of a name: where code that uses it can be. */
#pragma once

#include <glib.h>

/*
 * The .c files of tree (relative to it, sorted) with word in them, comments and strings included. arch: directory below arch/; the others
 * are left out; NULL: take all. What is no code of the kernel (Documentation, tools, scripts, samples) is left out. Array of char*, owned.
 */
GPtrArray *km_sources_mentioning(const char *tree, const char *arch, const char *word);

/* Does that file of the tree have word in it? */
gboolean km_source_mentions(const char *tree, const char *path, const char *word);
