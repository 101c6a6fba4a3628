/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries put into a listing, as a compiler with the option would have done. */
#pragma once

#include "arch/arch.h"
#include "listing/listing.h"

typedef enum {
	KM_PAD_NOPS, /* -fpatchable-function-entry */
	KM_PAD_HOOK, /* -pg -mfentry, -mprofile-kernel */
	KM_PAD_HOOK_NOPS, /* -mnop-mcount */
} KmPadKind;

typedef struct {
	KmPadKind kind;
	guint total, before; /* KM_PAD_NOPS: how many NOPs, and how many of them before the label */
	gboolean record; /* list them in __patchable_function_entries or __mcount_loc */
	gboolean at_global; /* ppc64le: at the global entry, as GCC 12 does, rather than at the local one */
	const char *const *skip; /* patterns of names that get none; NULL: none */
} KmPad;

/*
 * One NOP at the label, to become a branch to the room before it: what calls the hook, and a branch to what is behind the NOP. Sets pad's kind and numbers. Refused: an
 * architecture whose NOP is not of a branch's size.
 */
gboolean km_pad_before(const KmArch *arch, KmPad *pad, GError **error);

/* Put entries into all functions of listing. Refused: an architecture that has no text for that. */
gboolean km_pad(KmListing *listing, const KmArch *arch, const KmPad *pad, GError **error);

/*
 * ppc64le: a NOP after each call that has none, for the loader to put the restoring of r2 there. only: names of callees; NULL: all. Refused by name:
 * a jump to such a function in place of a call, which would leave the caller's frame with a foreign r2.
 */
gboolean km_call_nops(KmListing *listing, const char *const *only, GError **error);
