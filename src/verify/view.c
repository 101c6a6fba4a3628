/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A compiled unit as the check sees it: what lies where in it, and where what it did not make lives. */
#include <string.h>

#include "base/error.h"
#include "diff/author.h"
#include "verify/internal.h"

/* Call padding before a function is at most this long. */
#define MAX_PAD 64

static gboolean is_named(const KmObject *object, const KmSymbol *symbol)
{
	return symbol->section && symbol->type != STT_SECTION && symbol->type != STT_FILE && *symbol->name &&
	       !object->arch->is_annotation(symbol);
}

void km_view_free(KmView *view)
{
	if (!view)
		return;
	g_clear_pointer(&view->pairs, g_hash_table_unref);
	g_clear_pointer(&view->rows, g_hash_table_unref);
	g_clear_pointer(&view->replaced, g_hash_table_unref);
	g_clear_pointer(&view->changed, g_hash_table_unref);
	g_clear_pointer(&view->plain_twins, g_hash_table_unref);
	km_diff_free(view->diff);
	km_match_free(view->match);
	km_unwind_free(view->unwind);
	km_object_free(view->unwound);
	km_object_free(view->patched);
	km_object_free(view->plain);
	km_object_free(view->original);
	g_free(view);
}

/* "name" -> its symbols in file order. */
static GHashTable *symbols_by_name(const KmObject *object)
{
	GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (!*symbol->name || symbol->type == STT_SECTION || symbol->type == STT_FILE)
			continue;
		GPtrArray *list = g_hash_table_lookup(table, symbol->name);
		if (!list)
			g_hash_table_insert(table, symbol->name, list = g_ptr_array_new());
		g_ptr_array_add(list, symbol);
	}
	return table;
}

/* Both were assembled from one listing, so the n-th of a name is the n-th of that name. */
static GHashTable *pair_by_order(const KmObject *original, const KmObject *plain)
{
	GHashTable *twins = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) here = symbols_by_name(original), there = symbols_by_name(plain);
	GHashTableIter iter;
	gpointer name, list;
	g_hash_table_iter_init(&iter, here);
	while (g_hash_table_iter_next(&iter, &name, &list)) {
		const GPtrArray *a = list, *b = g_hash_table_lookup(there, name);
		for (guint i = 0; b && a->len == b->len && i < a->len; i++)
			g_hash_table_insert(twins, a->pdata[i], b->pdata[i]);
	}
	return twins;
}

static void list_changed(KmView *view)
{
	const GPtrArray *lists[] = { view->diff->functions, view->diff->data };
	for (gsize l = 0; l < G_N_ELEMENTS(lists); l++)
		for (guint i = 0; i < lists[l]->len; i++) {
			KmChange *change = lists[l]->pdata[i];
			if (change->patched)
				g_hash_table_insert(view->changed, change->patched, change);
		}
}

static void free_pairs(gpointer p)
{
	g_ptr_array_unref(p);
}

void km_view_reset(KmView *view)
{
	g_hash_table_remove_all(view->pairs);
	g_hash_table_remove_all(view->rows);
	g_hash_table_remove_all(view->replaced);
}

/* What the author wants ignored stays the kernel's own. */
static gboolean compare_versions(KmView *view, const char *const *tables, GError **error)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(KmAuthor) author = km_author_take(view->patched, error);
	view->diff = author ? km_diff_new_allowing(view->original, view->patched, TRUE, tables, error) : NULL;
	if (view->diff)
		km_author_apply(author, view->diff, notes);
	return view->diff != NULL;
}

KmView *km_view_new(KmChecker *c, const KmUnit *unit, const KmModuleTools *tools, const char *const *tables,
		    GError **error)
{
	KmView *view = g_new0(KmView, 1);
	view->unit = unit;
	view->pairs = g_hash_table_new_full(NULL, NULL, NULL, free_pairs);
	view->rows = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	view->replaced = g_hash_table_new(NULL, NULL);
	view->changed = g_hash_table_new(NULL, NULL);
	gboolean ok = (view->patched = km_object_read(unit ? unit->patched : tools->template_object, error)) != NULL;
	if (ok && unit) {
		KmObject *stock = strcmp(unit->owner, "vmlinux") ? km_stock(c, unit->owner) : NULL;
		ok = (view->original = km_object_read(unit->original, error)) &&
		     (view->plain = km_object_read(unit->plain, error)) &&
		     (view->match = km_match_new(view->plain, unit->owner, c->input->image, stock, error)) &&
		     compare_versions(view, tables, error);
	}
	if (!ok) {
		km_view_free(view);
		return NULL;
	}
	km_view_unwind(view, c->input->kernel, tools);
	if (unit) {
		view->plain_twins = pair_by_order(view->original, view->plain);
		list_changed(view);
	}
	return view;
}

/* ---- what lies where ---- */

static KmSymbol *only_thing(const KmView *view, const KmSection *section)
{
	KmSymbol *found = NULL;
	for (guint i = 0; i < view->patched->symbols->len; i++) {
		KmSymbol *symbol = view->patched->symbols->pdata[i];
		if (symbol->section != section || !is_named(view->patched, symbol))
			continue;
		if (found && (found->value != symbol->value || found->size != symbol->size))
			return NULL;
		found = found ? found : symbol;
	}
	return found;
}

KmSymbol *km_view_thing(const KmView *view, KmSymbol *symbol, KmSection *section, gint64 target)
{
	if (is_named(view->patched, symbol))
		return symbol;
	if (km_section_is_string(section))
		return NULL;
	KmSymbol *found = target >= 0 ? km_object_symbol_at(view->patched, section, (guint64)target) : NULL;
	return found ? found : only_thing(view, section);
}

/* Padding before the function that an entry record points at belongs to it. */
static guint64 start_with_pad(const KmView *view, const KmSymbol *f)
{
	guint64 start = f->value;
	for (guint s = 0; s < view->patched->sections->len; s++) {
		const KmSection *records = view->patched->sections->pdata[s];
		for (guint i = 0; !strcmp(records->name, "__patchable_function_entries") && i < records->relocs->len; i++) {
			const KmReloc *r = &g_array_index(records->relocs, KmReloc, i);
			guint64 at = r->symbol->value + (guint64)r->addend;
			if (r->symbol->section == f->section && at < start && f->value - at <= MAX_PAD &&
			    !km_object_symbol_at(view->patched, f->section, at))
				start = at;
		}
	}
	return start;
}

void km_view_extent(const KmView *view, const KmSymbol *thing, guint64 *start, guint64 *size)
{
	const KmSection *section = thing->section;
	gboolean shared = km_special_find(section->name) || km_section_is_record(section);
	if (!shared && only_thing(view, section)) {
		*start = 0;
		*size = section->size;
		return;
	}
	*start = km_section_is_text(section) ? start_with_pad(view, thing) : thing->value;
	*size = thing->value + thing->size - *start;
}

const KmPair *km_view_pair_at(const KmView *view, const KmSection *section, guint64 offset)
{
	const GPtrArray *pairs = g_hash_table_lookup(view->pairs, section);
	for (guint i = 0; pairs && i < pairs->len; i++) {
		const KmPair *pair = pairs->pdata[i];
		if (offset >= pair->start && offset - pair->start < MAX(pair->size, 1))
			return pair;
	}
	return NULL;
}

/* ---- where it lives ---- */

KmAt km_view_place(KmChecker *c, KmView *view, const KmSymbol *patched, char **why)
{
	const KmSymbol *original = view->diff ? g_hash_table_lookup(view->diff->twins, patched) : NULL;
	const KmSymbol *plain = original ? g_hash_table_lookup(view->plain_twins, original) : NULL;
	g_autoptr(GError) error = NULL;
	const KmPlace *place = plain ? km_match_place(view->match, plain, &error) : NULL;
	guint64 address;
	if (!place && plain && c->own && km_match_address(view->match, plain, &address, NULL))
		return (KmAt){ .kind = KM_AT_VMLINUX, .address = address };
	if (!place) {
		*why = g_strdup(error ? error->message : original ? "its place cannot be told" : "it is new");
		return (KmAt){ 0 };
	}
	KmAt at = *place->object ? km_at_named(c, place->object, place->name, place->sympos, why)
				 : km_at_global(c, view->unit->owner, place->name);
	at.address += (guint64)place->offset;
	return at;
}
