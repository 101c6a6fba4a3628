/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A live patch for kmend's own runtime: its description as data (runtime/kmend-patch.h), and the relocations that the runtime applies
 * because they name what the kernel does not export. The counterpart of hooks.h and of the livepatch symbols of emit.h.
 */
#pragma once

#include "image/image.h"
#include "kernel/kernel.h"
#include "klp/hooks.h"

/* What the description is made of. Nothing in it is owned. */
typedef struct {
	KmKernel *kernel;
	const KmImage *image;
	const KmContents *contents; /* hooks with their parts */
	GHashTable *refs; /* KmLink.refs */
} KmOwn;

/* Is it one of the runtime's own functions that a live patch calls, and not one of the kernel's? */
gboolean km_own_is_import(const KmImage *image, const char *name);

/*
 * Add the description and define the template's patch symbol as it; before objtool. Refused: a kernel without a build-id, by which the runtime
 * knows the kernel that a live patch is for.
 */
gboolean km_own_write(KmObject *object, const KmOwn *own, GError **error);

/*
 * After objtool: take the relocations against what only the runtime finds out of the sections, and list them in the description. Calls that could
 * be too far lead through stubs. Refused, by name: such a relocation in a table or in code that the kernel's loader reads or rewrites before the
 * runtime could apply it. symbols: set to the number of distinct symbols that are listed.
 */
gboolean km_own_fill(KmObject *object, const KmOwn *own, guint *symbols, GError **error);

/* Make the command of objtool one whose results can wait for the runtime: no list of calls that the kernel rewrites when the module is loaded. */
void km_own_adapt_objtool(char **argv);
