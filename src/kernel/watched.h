/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a touched header reaches besides units: assembly, templates of sources, C that becomes part of the kernel by another way than
 * as an object. No live patch changes those, so with the patch they must be what they were; private to this room.
 */
#pragma once

#include "kernel/recipe.h"
#include "kernel/unit.h"

/*
 * A unit that is only to be looked at (KmUnit.unpatchable) for the file path of overlay's tree; NULL when it is no part of this kernel: a
 * tool, the boot loader's, not configured, or C that no object is made of. recipe: kbuild's, or NULL; sample: one of the kernel
 * itself whose command serves without. cwd: where compilers run. Caller owns.
 */
KmUnit *km_watched_new(const KmKernel *kernel, const KmOverlay *overlay, const char *path, const KmRecipe *recipe,
		       const KmRecipe *sample, const char *cwd);
