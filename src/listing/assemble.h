/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two listings in place of two objects. */
#pragma once

#include "elf/object.h"
#include "listing/listing.h"

/* A listing and the object that the assembler makes of it. */
typedef struct {
	KmListing *listing;
	KmObject *object;
} KmAssembled;

void km_assembled_free(KmAssembled *assembled);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmAssembled, km_assembled_free)

/* Read a listing of arch and have it assembled by that architecture's assembler. What only clang's own assembler knows is left out (.addrsig). */
KmAssembled *km_assemble(const char *path, const KmArch *arch, GError **error);

/*
 * Where a function differs: the first instruction that does, in both listings, and the source lines from that up to where they go on alike, if the listings tell
 * lines (.loc). Numbers of local labels do not count. NULL: it does not differ, or is not in both. Caller owns the text.
 */
char *km_listing_difference(const KmListing *original, const KmListing *patched, const char *function);
