/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Line numbers in code. `kmend build` keeps them as they are with #line; objects that others made have them shifted
 * wherever a line was added above: `might_sleep()` passes __FILE__ and __LINE__, btrfs_abort_transaction() __func__ and
 * __LINE__, and so do WARN() and BUG() of many kernels.
 */
#include "diff/lines.h"

#include <string.h>

/* Code stands below the first includes, and no source file is longer than this. */
#define MIN_LINE 8
#define MAX_LINE 200000

GArray *km_item_immediates(KmComparison *comparison, const KmItem *original, const KmItem *patched)
{
	if (original->size != patched->size || !original->section || !patched->section ||
	    km_items_same_bytes(original, patched))
		return NULL;
	const GByteArray *a = km_side_part(original->side, original->section)->plain;
	const GByteArray *b = km_side_part(patched->side, patched->section)->plain;
	if (!a || !b || !km_items_same_refs(comparison, original, patched) ||
	    km_entries_differ(comparison, original, patched))
		return NULL;
	return km_arch_immediates(patched->side->object->arch, a->data + original->start, b->data + patched->start,
				  patched->size);
}

/* The name of a source file (__FILE__), or that of a function (__func__). */
static gboolean is_source_name(const KmItem *item, const KmRef *ref)
{
	const char *text = km_ref_string(ref);
	if (!text)
		return FALSE;
	if (ref->item->kind == KM_ITEM_DATA &&
	    (strstr(ref->item->base, "__func__") || strstr(ref->item->base, "__FUNCTION__")))
		return TRUE;
	g_autofree char *root = km_name_root(item->name);
	return g_str_has_suffix(text, ".c") || g_str_has_suffix(text, ".h") || g_str_has_suffix(text, ".S") ||
	       !strcmp(text, root);
}

static gboolean is_call(const KmRef *ref)
{
	return ref->info && (ref->info->kind == KM_RELOC_CALL || ref->info->kind == KM_RELOC_PC) && ref->item &&
	       !ref->at && (ref->item->kind == KM_ITEM_FUNCTION || ref->item->kind == KM_ITEM_OUTSIDE);
}

/* Between the calls around offset, is the name of a source file taken, and is there a call that gets it? */
static gboolean passes_source_name(const KmItem *item, guint64 offset)
{
	const KmRef *refs = km_item_refs(item);
	guint next = 0;
	while (next < item->n_refs && refs[next].offset - item->start < offset)
		next++;
	gboolean named = FALSE;
	for (guint i = next; i-- > 0 && !is_call(&refs[i]);)
		named = named || is_source_name(item, &refs[i]);
	for (; next < item->n_refs; next++) {
		if (is_call(&refs[next]))
			return named;
		named = named || is_source_name(item, &refs[next]);
	}
	return FALSE;
}

static gboolean looks_like_line(const KmItem *patched, const KmImmediate *immediate)
{
	return immediate->was >= MIN_LINE && immediate->now >= MIN_LINE && immediate->was <= MAX_LINE &&
	       immediate->now <= MAX_LINE && passes_source_name(patched, immediate->offset);
}

static gpointer shift_of(const KmImmediate *immediate)
{
	return GSIZE_TO_POINTER((gsize)(immediate->now - immediate->was));
}

void km_count_shifts(KmComparison *comparison, const KmItem *original, const KmItem *patched)
{
	g_autoptr(GArray) found = km_item_immediates(comparison, original, patched);
	for (guint i = 0; found && i < found->len; i++) {
		const KmImmediate *immediate = &g_array_index(found, KmImmediate, i);
		if (!looks_like_line(patched, immediate))
			continue;
		guint n = GPOINTER_TO_UINT(g_hash_table_lookup(comparison->shifts, shift_of(immediate)));
		g_hash_table_insert(comparison->shifts, shift_of(immediate), GUINT_TO_POINTER(n + 1));
	}
}

gboolean km_immediates_are_lines(const KmComparison *comparison, const KmItem *patched, const GArray *immediates)
{
	for (guint i = 0; i < immediates->len; i++) {
		const KmImmediate *immediate = &g_array_index(immediates, KmImmediate, i);
		guint n = GPOINTER_TO_UINT(g_hash_table_lookup(comparison->shifts, shift_of(immediate)));
		if (n < 2 || !looks_like_line(patched, immediate))
			return FALSE;
	}
	return immediates->len > 0;
}
