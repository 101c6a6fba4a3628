/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What assembly sees of a header; private to this room. */
#pragma once

#include <glib.h>

/*
 * Could assembly that includes the header be assembled to something else? Comments, blanks and what stands under
 * `#ifndef __ASSEMBLY__` do not reach it: kbuild defines that name for assembly only. Everything else counts, whatever other #if it is in.
 */
gboolean km_assembly_sees(const char *original, const char *patched);
