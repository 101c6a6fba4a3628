/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diff/reason.h"

#include <string.h>

#include "diff/lines.h"

/* More reasons than this do not help a reader. */
#define MAX_REASONS 8

static gboolean has_reason(const KmItem *item, const char *text)
{
	return item->reasons && g_ptr_array_find_with_equal_func(item->reasons, text, g_str_equal, NULL);
}

void km_item_add_reason(KmItem *item, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	if (!item->reasons)
		item->reasons = g_ptr_array_new_with_free_func(g_free);
	if (item->reasons->len < MAX_REASONS && !has_reason(item, text))
		g_ptr_array_add(item->reasons, g_steal_pointer(&text));
}

/* As much of a string as a message has room for, from a character on, quoted and escaped. Caller owns. */
static char *quoted(const char *text, glong from)
{
	const char *rest = g_utf8_offset_to_pointer(text, from);
	g_autofree char *part = g_utf8_substring(rest, 0, MIN(g_utf8_strlen(rest, -1), 60));
	g_autofree char *escaped = g_strescape(part, NULL);
	return g_strdup_printf("\"%s%s%s\"", from ? "..." : "", escaped, strlen(part) < strlen(rest) ? "..." : "");
}

/* Where to begin with two long strings that start alike, so that the difference is in view. */
static glong first_shown(const char *a, const char *b)
{
	glong same = 0;
	for (; *a && g_utf8_get_char(a) == g_utf8_get_char(b); a = g_utf8_next_char(a), b = g_utf8_next_char(b))
		same++;
	return same > 40 ? same - 20 : 0;
}

static const char *kind_words(const KmRef *ref)
{
	const KmItem *item = ref->item;
	if (km_ref_string(ref))
		return "string";
	if (item->kind == KM_ITEM_FUNCTION)
		return "function";
	if (item->constant)
		return "constant";
	return item->kind == KM_ITEM_OUTSIDE ? "symbol" : "data";
}

static gboolean is_call(const KmRef *ref)
{
	return ref->item->kind == KM_ITEM_FUNCTION || (ref->info && ref->info->kind == KM_RELOC_CALL);
}

/* "kfree", "buf+0x10", "\"text\"", "the switch table at .rodata.f". Caller owns. */
static char *ref_words(const KmRef *ref)
{
	const char *string = km_ref_string(ref);
	if (string)
		return quoted(string, 0);
	const char *name = ref->item->name[0] ? ref->item->name : "an absolute address";
	if (ref->at && ref->item->kind != KM_ITEM_FUNCTION)
		return g_strdup_printf("%s%c0x%" G_GINT64_MODIFIER "x", name, ref->at < 0 ? '-' : '+', ABS(ref->at));
	return g_strdup(name);
}

static void explain_strings(KmItem *item, const char *a, const char *b)
{
	glong from = first_shown(a, b);
	g_autofree char *was = quoted(a, from);
	g_autofree char *now = quoted(b, from);
	km_item_add_reason(item, "string changed: %s -> %s", was, now);
}

/* Two refs at the same place of the code that mean different things. */
static void explain_pair(KmItem *item, const KmRef *a, const KmRef *b)
{
	g_autofree char *was = ref_words(a);
	g_autofree char *now = ref_words(b);
	if (km_ref_string(a) && km_ref_string(b))
		explain_strings(item, km_ref_string(a), km_ref_string(b));
	else if (b->item->formerly && b->item->formerly == a->item)
		km_item_add_reason(item, "uses table %s, whose content changed", b->item->name);
	else if (a->item->constant && b->item->constant)
		km_item_add_reason(item, "a constant it uses changed: %s", now);
	else if (a->item->twin == b->item)
		km_item_add_reason(item, "refers to another place in %s", b->item->name);
	else if (is_call(b))
		km_item_add_reason(item, "calls %s%s (was %s)", b->item->twin ? "" : "new ", now, was);
	else
		km_item_add_reason(item, "refers to %s%s %s (was %s)", b->item->twin ? "" : "new ", kind_words(b), now,
				   was);
}

static gboolean refers_alike(KmComparison *comparison, const KmItem *item, const KmRef *wanted,
			     gboolean wanted_is_patched)
{
	const KmRef *refs = km_item_refs(item);
	for (guint i = 0; i < item->n_refs; i++) {
		const KmRef *a = wanted_is_patched ? &refs[i] : wanted, *b = wanted_is_patched ? wanted : &refs[i];
		if (a->item->constant && b->item->constant ? km_refs_same_target(comparison, a, b)
							   : a->item->twin == b->item)
			return TRUE;
	}
	return FALSE;
}

/* What changed code refers to that the original does not. */
static void explain_new_refs(KmComparison *comparison, const KmItem *original, KmItem *item)
{
	const KmRef *refs = km_item_refs(item);
	for (guint i = 0; i < item->n_refs; i++) {
		if (refs[i].item == item || refers_alike(comparison, original, &refs[i], TRUE))
			continue;
		g_autofree char *now = ref_words(&refs[i]);
		if (is_call(&refs[i]))
			km_item_add_reason(item, "calls %s%s",
					   refs[i].item->twin || !refs[i].item->section ? "" : "new ", now);
		else if (!refs[i].item->constant || km_ref_string(&refs[i]))
			km_item_add_reason(item, "refers to %s%s %s", refs[i].item->twin ? "" : "new ",
					   kind_words(&refs[i]), now);
	}
}

static void explain_dropped_calls(KmComparison *comparison, const KmItem *original, KmItem *item)
{
	const KmRef *refs = km_item_refs(original);
	for (guint i = 0; i < original->n_refs; i++) {
		if (refs[i].item == original || !is_call(&refs[i]) || refers_alike(comparison, item, &refs[i], FALSE))
			continue;
		g_autofree char *was = ref_words(&refs[i]);
		km_item_add_reason(item, "no longer calls %s", was);
	}
}

/* Counted bytes of difference outside relocated fields. */
static guint64 count_different(const KmItem *a, const KmItem *b, guint64 *first)
{
	const guint8 *x = km_side_part(a->side, a->section)->plain->data + a->start;
	const guint8 *y = km_side_part(b->side, b->section)->plain->data + b->start;
	guint64 n = 0;
	for (guint64 i = 0; i < a->size; i++) {
		if (x[i] == y[i])
			continue;
		if (!n)
			*first = i;
		n++;
	}
	return n;
}

static void explain_bytes(const KmItem *original, KmItem *item)
{
	const char *what = item->kind == KM_ITEM_FUNCTION ? "its own code" : "its content";
	guint64 first = 0;
	if (original->size != item->size)
		km_item_add_reason(item, "%s: size %" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT, what, original->size,
				   item->size);
	else if (!km_items_same_bytes(original, item) &&
		 (!original->section || !item->section || !original->section->data || !item->section->data))
		km_item_add_reason(item, "it has initial content on one side only");
	else if (!km_items_same_bytes(original, item)) {
		guint64 n = count_different(original, item, &first);
		km_item_add_reason(item,
				   "%s: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
				   " bytes differ from +0x%" G_GINT64_MODIFIER "x",
				   what, n, item->size, first);
	}
}

/* Refs at equal places: each one that means something else. FALSE when places do not correspond. */
static gboolean explain_refs(KmComparison *comparison, const KmItem *original, KmItem *item)
{
	const KmRef *a = km_item_refs(original), *b = km_item_refs(item);
	if (original->n_refs != item->n_refs)
		return FALSE;
	for (guint i = 0; i < item->n_refs; i++)
		if (a[i].offset - original->start != b[i].offset - item->start)
			return FALSE;
	for (guint i = 0; i < item->n_refs; i++) {
		if (!km_refs_alike(&a[i], &b[i]))
			km_item_add_reason(item, "relocation at +0x%" G_GINT64_MODIFIER "x: %s -> %s",
					   b[i].offset - item->start, a[i].info ? a[i].info->name : "unknown",
					   b[i].info ? b[i].info->name : "unknown");
		else if (!km_refs_equal(comparison, original, &a[i], item, &b[i]))
			explain_pair(item, &a[i], &b[i]);
	}
	return TRUE;
}

/* TRUE when that is the whole story. */
static gboolean explain_immediates(KmComparison *comparison, const KmItem *original, KmItem *item)
{
	g_autoptr(GArray) found =
		item->kind == KM_ITEM_FUNCTION ? km_item_immediates(comparison, original, item) : NULL;
	if (!found)
		return FALSE;
	if (km_immediates_are_lines(comparison, item, found))
		return TRUE;
	explain_bytes(original, item);
	for (guint i = 0; i < found->len; i++) {
		const KmImmediate *immediate = &g_array_index(found, KmImmediate, i);
		gboolean line = immediate->was > 0 && immediate->now > 0 && ABS(immediate->was - immediate->now) < 1000;
		km_item_add_reason(item,
				   "only %s, 0x%" G_GINT64_MODIFIER "x -> 0x%" G_GINT64_MODIFIER
				   "x at +0x%" G_GINT64_MODIFIER "x%s",
				   found->len > 1 ? "immediates differ" : "an immediate differs", immediate->was,
				   immediate->now, immediate->offset, line ? ": a line number?" : "");
	}
	return TRUE;
}

void km_explain(KmComparison *comparison, const KmItem *original, KmItem *item)
{
	if (explain_immediates(comparison, original, item))
		return;
	gboolean bytes = km_items_same_bytes(original, item);
	if (!bytes)
		explain_bytes(original, item);
	if (original->section && item->section && !(bytes && km_items_equal(comparison, original, item)) &&
	    !explain_refs(comparison, original, item)) {
		if (bytes)
			km_item_add_reason(item, "its relocations differ");
		explain_new_refs(comparison, original, item);
		explain_dropped_calls(comparison, original, item);
	}
	const char *row = item->kind == KM_ITEM_FUNCTION ? km_entries_differ(comparison, original, item) : NULL;
	/* Rows of changed code differ with it: worth a word only when nothing else is. */
	if (row && bytes)
		km_item_add_reason(item, "%s differs", row);
}
