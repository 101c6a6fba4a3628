/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Do two items mean the same? Private to this room. */
#pragma once

#include "diff/side.h"

/* Memory of what is known or being asked about anonymous content, so that circles end. */
typedef struct {
	GHashTable *known;  /* pair of places -> verdict */
	GHashTable *shifts; /* distance by which what looks like a line number moved -> how many did */
	guint depth;
} KmComparison;

KmComparison *km_comparison_new(void);
void km_comparison_free(KmComparison *comparison);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmComparison, km_comparison_free)

/* Ask again what was asked before: what items are twins has changed. */
void km_comparison_forget(KmComparison *comparison);

/* Would the same instruction carry either relocation? PC32 and PLT32 are one, a load from the GOT is another. */
gboolean km_refs_alike(const KmRef *a, const KmRef *b);
/* Do they refer to the same thing: twins, or constants of equal content? */
gboolean km_refs_same_target(KmComparison *comparison, const KmRef *a, const KmRef *b);
/* Both, and at the same distance from their items' starts. */
gboolean km_refs_equal(KmComparison *comparison, const KmItem *a, const KmRef *ra, const KmItem *b, const KmRef *rb);

/* Equal bytes outside relocated fields. */
gboolean km_items_same_bytes(const KmItem *a, const KmItem *b);
/* The same, and relocations of like kind at the same places: only what they refer to may differ. */
gboolean km_items_same_shape(const KmItem *a, const KmItem *b);
/* Relocations at the same places that refer to the same things, whatever the bytes are. */
gboolean km_items_same_refs(KmComparison *comparison, const KmItem *a, const KmItem *b);
/* All of it equal. */
gboolean km_items_equal(KmComparison *comparison, const KmItem *a, const KmItem *b);
/* Equal content from a place in each on, as far as the larger of the two items goes; for constants. */
gboolean km_content_equal(KmComparison *comparison, const KmItem *a, gint64 a_at, const KmItem *b, gint64 b_at);

/* Rows of special sections: NULL when those of both functions say the same, else what kind differs ("bug table entry"). */
const char *km_entries_differ(KmComparison *comparison, const KmItem *a, const KmItem *b);

/* The string at a ref into a section of strings, or into an object that is one string; NULL when there is none. */
const char *km_ref_string(const KmRef *ref);
