/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second source tree at the price of its directories: every directory is a real one, every file a symbolic link to the pristine
 * file, except those that are there already. So "..", quotes and search paths lead to patched files as they would in a tree that
 * was really patched; private to this room.
 */
#pragma once

#include <glib.h>

typedef struct {
	const char *source; /* pristine tree, absolute */
	const char *dir; /* the farm: exists, holds nothing but touched files under their paths */
	const char
		*arch; /* directory below arch/ of the kernel; NULL: an out-of-tree source, of which all can matter */
	GHashTable *touched; /* set of paths relative to the tree: no link is made for these, whether they are there or not */
} KmFarm;

/* Complete the farm. What neither compilers nor kbuild read (objects of an earlier build) is left out. */
gboolean km_farm_plant(const KmFarm *farm, GError **error);

/* word with each occurrence of the path from (itself, or with something below it) led to the path to. Caller owns. */
char *km_farm_map(const char *word, const char *from, const char *to);

/*
 * The words of a command with their paths mapped, except macros given with -D: a path in one of those is a text for the object.
 * Caller owns.
 */
char **km_farm_map_command(char **argv, const char *from, const char *to);
