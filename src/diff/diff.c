/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps in order: cut both objects into items, pair them, compare the pairs, judge, and list the result. */
#include "diff/diff.h"

#include <string.h>

#include "base/error.h"
#include "diff/ignored.h"
#include "diff/lines.h"
#include "diff/pair.h"
#include "diff/reason.h"
#include "diff/refuse.h"
#include "diff/table.h"

static void change_free(gpointer data)
{
	KmChange *change = data;
	g_free(change->name);
	g_free(change->carried_for);
	g_clear_pointer(&change->reasons, g_ptr_array_unref);
	g_free(change);
}

static void refusal_free(gpointer data)
{
	KmRefusal *refusal = data;
	g_free(refusal->name);
	g_free(refusal->why);
	g_free(refusal->skeleton);
	g_free(refusal->startup);
	g_free(refusal);
}

void km_diff_free(KmDiff *diff)
{
	if (!diff)
		return;
	g_clear_pointer(&diff->functions, g_ptr_array_unref);
	g_clear_pointer(&diff->data, g_ptr_array_unref);
	g_clear_pointer(&diff->refused, g_ptr_array_unref);
	g_clear_pointer(&diff->ignored, g_ptr_array_unref);
	g_clear_pointer(&diff->twins, g_hash_table_unref);
	g_free(diff);
}

static KmDiff *diff_new(KmObject *original, KmObject *patched)
{
	KmDiff *diff = g_new0(KmDiff, 1);
	diff->original = original;
	diff->patched = patched;
	diff->functions = g_ptr_array_new_with_free_func(change_free);
	diff->data = g_ptr_array_new_with_free_func(change_free);
	diff->refused = g_ptr_array_new_with_free_func(refusal_free);
	diff->ignored = g_ptr_array_new_with_free_func(g_free);
	diff->twins = g_hash_table_new(NULL, NULL);
	return diff;
}

static gboolean is_by_content(const KmItem *item)
{
	return item->constant || (item->section && km_section_is_record(item->section));
}

/*
 * "__func__.5" or "CSWTCH.12" with other content is another constant, not a changed one: whoever uses it takes the new one along
 * and is changed by that.
 */
static void separate_constants(KmSide *patched, KmComparison *comparison)
{
	for (guint i = 0; i < patched->items->len; i++) {
		KmItem *item = patched->items->pdata[i];
		/* One that escapes keeps its twin: it is refused as a changed table. */
		if (item->kind != KM_ITEM_DATA || !is_by_content(item) || !item->twin || item->escape ||
		    (is_by_content(item->twin) && km_content_equal(comparison, item->twin, 0, item, 0)))
			continue;
		km_item_add_reason(item, "%s differs; the functions that use it take the new one along",
				   item->twin->name);
		item->twin->twin = NULL;
		item->twin = NULL;
	}
}

/* Alignment counts where it is the item's own affair: a section to itself. */
static gboolean same_alignment(const KmItem *a, const KmItem *b)
{
	if (!a->section || !b->section || !a->whole || !b->whole || !km_item_is_writable(b))
		return TRUE;
	return a->section->addralign == b->section->addralign;
}

/* Variables of each CPU are reached in another way than others. */
static gboolean is_per_cpu(const KmItem *item)
{
	return item->section && g_str_has_prefix(item->section->name, ".data..percpu");
}

static gboolean is_read_only_later(const KmItem *item)
{
	return item->section && (!km_item_is_writable(item) || strstr(item->section->name, "ro_after_init"));
}

/* The running kernel's datum stays where it is. Words on why new code that thinks it elsewhere would go wrong; NULL: it would not. */
static const char *moved_badly(const KmItem *was, const KmItem *now)
{
	if (is_per_cpu(was) != is_per_cpu(now))
		return is_per_cpu(now) ? "it becomes a per-cpu variable" : "it is no longer a per-cpu variable";
	if (is_read_only_later(was) && !is_read_only_later(now))
		return "it becomes writable, but the running kernel has it in read-only memory";
	return NULL;
}

static void compare_pair(KmComparison *comparison, KmItem *item)
{
	KmItem *twin = item->twin;
	km_explain(comparison, twin, item);
	if (item->kind != KM_ITEM_FUNCTION && !same_alignment(twin, item))
		km_item_add_reason(item, "alignment %" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT,
				   twin->section->addralign, item->section->addralign);
	const char *moved = item->kind == KM_ITEM_DATA && !item->constant ? moved_badly(twin, item) : NULL;
	if (moved)
		km_item_add_reason(item, "%s", moved);
	if (!item->reasons)
		return;
	item->moved = moved != NULL;
	item->status = twin->status = KM_CHANGED;
	if (item->guess)
		km_item_add_reason(item, "its original was guessed: %s", item->guess);
}

/* What the assembler leaves between two aligned data: zeros that nobody refers to. */
static gboolean is_padding(const KmItem *item)
{
	if (!item->section || item->referrers->len || item->n_refs)
		return FALSE;
	const GByteArray *plain = km_side_part(item->side, item->section)->plain;
	for (guint64 i = 0; plain && i < item->size; i++)
		if (plain->data[item->start + i])
			return FALSE;
	return TRUE;
}

static void count_shifts(const KmSide *patched, KmComparison *comparison)
{
	for (guint i = 0; i < patched->items->len; i++) {
		const KmItem *item = patched->items->pdata[i];
		if (item->kind == KM_ITEM_FUNCTION && item->twin)
			km_count_shifts(comparison, item->twin, item);
	}
}

static void compare_all(KmSide *original, KmSide *patched, KmComparison *comparison)
{
	for (guint i = 0; i < patched->items->len; i++) {
		KmItem *item = patched->items->pdata[i];
		if (item->kind == KM_ITEM_OUTSIDE || item->kind == KM_ITEM_STRINGS || item->kind == KM_ITEM_MERGED ||
		    item->dropped)
			continue;
		if (item->twin)
			compare_pair(comparison, item);
		else if (item->kind != KM_ITEM_ANON || (!item->constant && !is_padding(item)))
			item->status = KM_NEW;
	}
	for (guint i = 0; i < original->items->len; i++) {
		KmItem *item = original->items->pdata[i];
		if (!item->twin && !item->formerly && !item->dropped && (item->kind == KM_ITEM_FUNCTION || item->kind == KM_ITEM_DATA))
			item->status = KM_REMOVED;
	}
}

static void mark_changed(KmItem *item, const char *reason)
{
	km_item_add_reason(item, "%s", reason);
	if (item->status == KM_SAME)
		item->status = KM_CHANGED;
}

/* A function and its unlikely part jump into each other: neither can be replaced alone. */
static void join_parts(KmSide *side)
{
	for (guint i = 0; i < side->items->len; i++) {
		KmItem *item = side->items->pdata[i];
		KmItem *whole = item->parent ? item->parent : item->body;
		if (!whole || item->kind != KM_ITEM_FUNCTION)
			continue;
		if (item->status == KM_CHANGED && whole->twin && whole->status == KM_SAME)
			mark_changed(whole, item->parent ? "its .cold part changed" : "its entry prefix changed");
		else if (item->status == KM_SAME && item->parent &&
			 (whole->status == KM_CHANGED || whole->status == KM_NEW))
			mark_changed(item, "the function it is a part of changed");
	}
}

static void note_binding(KmItem *item)
{
	if (!item->symbol || !item->twin || !item->twin->symbol || item->symbol->bind == item->twin->symbol->bind)
		return;
	const char *names[] = { "static", "global", "weak" };
	guint was = item->twin->symbol->bind, now = item->symbol->bind;
	km_item_add_reason(item, "binding: %s -> %s", was < 3 ? names[was] : "other", now < 3 ? names[now] : "other");
}

static const char *new_reason(const KmItem *item)
{
	return item->kind == KM_ITEM_FUNCTION ? "new function" : "new data";
}

static void list_item(KmDiff *diff, KmItem *item)
{
	gboolean function = item->kind == KM_ITEM_FUNCTION;
	if (item->status == KM_SAME || item->body ||
	    (!function && item->kind != KM_ITEM_DATA && item->kind != KM_ITEM_ANON))
		return;
	if (item->status == KM_NEW && !item->reasons)
		km_item_add_reason(item, "%s", new_reason(item));
	if (item->status == KM_REMOVED)
		km_item_add_reason(item, "not in the patched object");
	if (item->status == KM_CHANGED && function)
		note_binding(item);
	KmChange *change = g_new0(KmChange, 1);
	change->name = g_strdup(item->name);
	change->status = item->status;
	change->original = item->status == KM_REMOVED ? item->symbol : item->twin ? item->twin->symbol : NULL;
	change->patched = item->status == KM_REMOVED ? NULL : item->symbol;
	change->reasons = g_ptr_array_ref(item->reasons);
	change->init = km_item_is_init(item) || km_item_is_exit(item);
	g_ptr_array_add(function ? diff->functions : diff->data, change);
}

static KmSymbol *section_symbol(const KmSide *side, const KmSection *section)
{
	for (guint i = 0; i < side->object->symbols->len; i++) {
		KmSymbol *symbol = side->object->symbols->pdata[i];
		if (symbol->type == STT_SECTION && symbol->section == section)
			return symbol;
	}
	return NULL;
}

/* Aliases too: each symbol of a pair to the one of the same name, or to the representative. */
static void list_twins(KmDiff *diff, const KmSide *original, const KmSide *patched)
{
	for (guint i = 0; i < patched->object->symbols->len; i++) {
		KmSymbol *symbol = patched->object->symbols->pdata[i];
		KmItem *item = patched->by_symbol[symbol->index];
		KmItem *twin = item ? item->twin : NULL;
		if (!twin || !twin->symbol)
			continue;
		KmSymbol *best = symbol == item->symbol ? twin->symbol : NULL;
		for (guint k = 0; !best && k < original->object->symbols->len; k++) {
			KmSymbol *other = original->object->symbols->pdata[k];
			if (original->by_symbol[other->index] == twin && !strcmp(other->name, symbol->name))
				best = other;
		}
		if (best)
			g_hash_table_insert(diff->twins, symbol, best);
	}
	/* Data that has no symbol but a section of its own is known by the section's. */
	for (guint i = 0; i < patched->items->len; i++) {
		const KmItem *item = patched->items->pdata[i];
		if (item->kind != KM_ITEM_ANON || !item->twin || !item->whole || !item->twin->whole)
			continue;
		KmSymbol *a = section_symbol(original, item->twin->section),
			 *b = section_symbol(patched, item->section);
		if (a && b)
			g_hash_table_insert(diff->twins, b, a);
	}
}

static gint by_name(gconstpointer a, gconstpointer b)
{
	const KmChange *x = *(KmChange *const *)a, *y = *(KmChange *const *)b;
	gint order = strcmp(x->name, y->name);
	return order ? order : (gint)x->status - (gint)y->status;
}

static void list_all(KmDiff *diff, KmSide *original, KmSide *patched)
{
	for (guint i = 0; i < patched->items->len; i++)
		list_item(diff, patched->items->pdata[i]);
	for (guint i = 0; i < original->items->len; i++) {
		KmItem *item = original->items->pdata[i];
		if (item->status == KM_REMOVED)
			list_item(diff, item);
	}
	g_ptr_array_sort(diff->functions, by_name);
	g_ptr_array_sort(diff->data, by_name);
	list_twins(diff, original, patched);
}

static gboolean comparable(const KmObject *original, const KmObject *patched, GError **error)
{
	if (original->type != ET_REL || patched->type != ET_REL)
		return km_fail(error, "%s: not a relocatable object; compare the .o files of one source file",
			       original->type != ET_REL ? original->path : patched->path);
	if (original->arch != patched->arch)
		return km_fail(error, "%s is for %s but %s for %s; compare two objects made by the same compiler",
			       original->path, original->arch->name, patched->path, patched->arch->name);
	return TRUE;
}

KmDiff *km_diff_new(KmObject *original, KmObject *patched, gboolean lines_kept, GError **error)
{
	return km_diff_new_allowing(original, patched, lines_kept, NULL, error);
}

KmDiff *km_diff_new_allowing(KmObject *original, KmObject *patched, gboolean lines_kept, const char *const *tables,
			     GError **error)
{
	if (!comparable(original, patched, error))
		return NULL;
	g_autoptr(GStringChunk) names = g_string_chunk_new(4096);
	g_autoptr(KmSide) a = km_side_new(original, names, error);
	g_autoptr(KmSide) b = a ? km_side_new(patched, names, error) : NULL;
	if (!b)
		return NULL;
	KmDiff *diff = diff_new(original, patched);
	g_autoptr(KmComparison) comparison = km_comparison_new();
	km_pair_sides(a, b);
	km_replace_tables(a, b, comparison, tables);
	separate_constants(b, comparison);
	if (!lines_kept)
		count_shifts(b, comparison);
	compare_all(a, b, comparison);
	join_parts(b);
	km_refuse_changes(diff, a, b, comparison);
	list_all(diff, a, b);
	km_note_ignored(diff, b);
	return diff;
}

gboolean km_diff_empty(const KmDiff *diff)
{
	return !diff->functions->len && !diff->data->len && !diff->refused->len;
}

static const char *status_name(KmStatus status)
{
	const char *const names[] = {
		[KM_SAME] = "same", [KM_CHANGED] = "changed", [KM_NEW] = "new", [KM_REMOVED] = "removed"
	};
	return names[status];
}

/* Names come from files: what is no UTF-8 is shown escaped. */
static json_t *json_text(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	return json_string(valid);
}

/* Where it lives tells what it is: run-time code, start-up code, an export ... */
static const char *section_name(const KmChange *change)
{
	const KmSymbol *symbol = change->patched ? change->patched : change->original;
	return symbol && symbol->section ? symbol->section->name : "COMMON";
}

static json_t *changes_to_json(const GPtrArray *changes)
{
	json_t *list = json_array();
	for (guint i = 0; i < changes->len; i++) {
		const KmChange *change = changes->pdata[i];
		json_t *reasons = json_array();
		for (guint r = 0; r < change->reasons->len; r++)
			json_array_append_new(reasons, json_text(change->reasons->pdata[r]));
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o}", "name", json_text(change->name), "status",
						      status_name(change->status), "section",
						      json_text(section_name(change)), "reasons", reasons));
	}
	return list;
}

json_t *km_diff_to_json(const KmDiff *diff)
{
	json_t *refused = json_array();
	for (guint i = 0; i < diff->refused->len; i++) {
		const KmRefusal *refusal = diff->refused->pdata[i];
		json_array_append_new(refused, json_pack("{s:o, s:o}", "name", json_text(refusal->name), "why",
							 json_text(refusal->why)));
	}
	json_t *ignored = json_array();
	for (guint i = 0; i < diff->ignored->len; i++)
		json_array_append_new(ignored, json_text(diff->ignored->pdata[i]));
	g_autofree char *skeleton = km_diff_skeleton(diff);
	return json_pack("{s:o, s:o, s:o, s:o, s:o*}", "functions", changes_to_json(diff->functions), "data",
			 changes_to_json(diff->data), "refused", refused, "ignored", ignored, "skeleton",
			 skeleton ? json_text(skeleton) : NULL);
}
