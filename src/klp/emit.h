/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last step: from the linked object (after objtool) to the livepatch module as the kernel's loader wants it. */
#pragma once

#include "image/image.h"
#include "kernel/kernel.h"
#include "klp/hooks.h"
#include "klp/link.h"
#include "klp/own.h"

typedef struct {
	const KmImage *image;
	KmKernel *kernel;
	const KmLayout *layout;
	GHashTable *refs; /* KmLink.refs */
	const KmOwn *own; /* for kmend's own runtime; NULL: for the kernel's livepatch core */
	const KmContents *contents; /* written into modinfo, so that inspect can tell */
	const char *name; /* module name */
} KmEmit;

/*
 * Turn object into the module, in place: livepatch symbols and .klp.rela sections for references that are not exported
 * (Documentation/livepatch/module-elf-format.rst), modinfo, versions, the module's name. Refused: relocations that the
 * kernel applies too late for the section they are in, and names or types the loader cannot take.
 * For the own runtime those references become part of its description instead (own.h).
 * references: set to the number of distinct symbols that are bound that way.
 */
gboolean km_emit(KmObject *object, const KmEmit *emit, guint *references, GError **error);
