/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the author of a patch says to kmend, in sections of the patched object that only the macros of include/kmend make:
 * callbacks, states, and what shall be left alone.
 */
#pragma once

#include "diff/diff.h"

typedef enum { KM_PRE_PATCH, KM_POST_PATCH, KM_PRE_UNPATCH, KM_POST_UNPATCH, KM_N_CALLBACKS } KmCallbackKind;

/* "pre_patch" ...: the kernel's name of the kind. */
const char *km_callback_kind_name(KmCallbackKind kind);

typedef struct {
	guint64 id; /* never 0 */
	guint32 version;
} KmState;

typedef struct {
	KmSymbol *callbacks[KM_N_CALLBACKS]; /* functions of the patched object; NULL for none */
	GArray *states; /* of KmState */
	GPtrArray *ignored_functions, *ignored_sections, *forced; /* of char* */
} KmAuthor;

/*
 * Read those sections and take them out of the object, so that nothing after this sees them. Understands kmend's own sections,
 * kpatch-build's and klp-build's. Refused by name: a section .kmend.* or .kpatch.* that is none of these, two callbacks of one kind,
 * a callback that this object does not define, a state without a number.
 */
KmAuthor *km_author_take(KmObject *patched, GError **error);
void km_author_free(KmAuthor *author);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmAuthor, km_author_free)

/*
 * Forget those changes and refusals of diff that the author wants ignored: changed functions (with their cold parts) stay the
 * kernel's own, and so do data in the ignored sections. notes (of char*) gets a line for each wish without effect, and why.
 */
void km_author_apply(const KmAuthor *author, KmDiff *diff, GPtrArray *notes);
