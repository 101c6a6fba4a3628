/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of special sections: each one that a unit has about code in the module is there once; and nothing else is in the module. */
#include <string.h>

#include "verify/internal.h"

typedef struct {
	KmSection *section;
	const KmSpecial *special;
	guint size;
} Table;

static char *row_key(const KmSection *section, guint64 start)
{
	return g_strdup_printf("%u %" G_GUINT64_FORMAT, section->index, start);
}

static gboolean is_table(KmSection *section, Table *table, GError **error)
{
	const KmSpecial *special = km_special_find(section->name);
	if (!special || special->kind != KM_SPECIAL_TABLE || !section->data || !section->size)
		return FALSE;
	*table = (Table){ section, special, km_special_entry_size(special, section, error) };
	return table->size != 0;
}

static gboolean owner_of(const Table *table, guint64 start, KmSection **code, guint64 *at)
{
	gsize n;
	const KmReloc *r = km_section_relocs_in(table->section, start + table->special->owner,
						start + table->special->owner + 1, &n);
	if (!n || !r->symbol->section)
		return FALSE;
	*code = r->symbol->section;
	*at = r->symbol->value + (guint64)r->addend;
	return TRUE;
}

/* The module's row about the place where the unit's owner went; the first that no unit has claimed yet. */
static gboolean find_row(const KmChecker *c, const Table *ours, KmSection *to, const KmPair *owner, guint64 at, guint64 *start)
{
	Table theirs = { to, ours->special, ours->size };
	for (*start = 0; *start < to->size; *start += ours->size) {
		KmSection *code;
		guint64 there;
		g_autofree char *key = row_key(to, *start);
		if (!g_hash_table_contains(c->used, key) && owner_of(&theirs, *start, &code, &there) && code == owner->to &&
		    there == at)
			return TRUE;
	}
	return FALSE;
}

static void compare_row(KmChecker *c, KmView *view, const Table *table, guint64 start, const KmPair *owner, guint64 at)
{
	KmSection *to = km_object_find_section(c->module, table->section->name);
	guint64 there, moved = owner->at + (at - owner->start), size = MIN(table->size, table->section->size - start);
	if (!to || !find_row(c, table, to, owner, moved, &there)) {
		km_find_at(c, owner->to, moved, "its row of %s is missing", table->section->name);
		return;
	}
	g_hash_table_add(c->used, row_key(to, there));
	km_pair(c, view, table->section, start, size, to, (gint64)there);
}

static void compare_table(KmChecker *c, KmView *view, const Table *table)
{
	for (guint64 start = 0; start < table->section->size; start += table->size) {
		g_autofree char *key = row_key(table->section, start);
		KmSection *code;
		guint64 at;
		const KmPair *owner = NULL;
		if (!g_hash_table_contains(view->rows, key) && owner_of(table, start, &code, &at))
			owner = km_view_pair_at(view, code, at);
		if (!owner)
			continue;
		g_hash_table_add(view->rows, g_steal_pointer(&key));
		compare_row(c, view, table, start, owner, at);
	}
}

void km_compare_rows(KmChecker *c)
{
	for (guint i = 0; i < c->views->len; i++) {
		KmView *view = c->views->pdata[i];
		for (guint s = 0; s < view->patched->sections->len; s++) {
			Table table;
			if (is_table(view->patched->sections->pdata[s], &table, NULL))
				compare_table(c, view, &table);
		}
	}
}

/* ---- what is left over ---- */

/* The size of its rows, by the units: they come from the same compiler. 0: no unit has such a table. */
static guint unit_row_size(const KmChecker *c, const char *name)
{
	for (guint i = 0; i < c->views->len; i++) {
		const KmView *view = c->views->pdata[i];
		for (guint s = 0; s < view->patched->sections->len; s++) {
			KmSection *section = view->patched->sections->pdata[s];
			Table table;
			if (!strcmp(section->name, name) && is_table(section, &table, NULL))
				return table.size;
		}
	}
	return 0;
}

static void check_rows(KmChecker *c, const KmSection *section, const KmSpecial *special)
{
	guint size = unit_row_size(c, section->name);
	/* Those that the kernel's tools make out of the finished code are checked by it. */
	if (!size && special->compare)
		km_find(c, section->name, "a table that none of the patched files has");
	for (guint64 start = 0; size && start < section->size; start += size) {
		g_autofree char *key = row_key(section, start);
		if (!g_hash_table_contains(c->used, key))
			km_find_at(c, section, start, "a row that none of the patched files has");
	}
}

static guint8 *map_covered(const KmChecker *c, const KmSection *section)
{
	const GArray *spans = g_hash_table_lookup(c->covered, section);
	guint8 *map = g_malloc0(section->size + 1);
	for (guint i = 0; spans && i < spans->len; i++) {
		const KmSpan *span = &g_array_index(spans, KmSpan, i);
		if (span->start < section->size)
			memset(map + span->start, 1, MIN(span->end, section->size) - span->start);
	}
	return map;
}

static void check_section(KmChecker *c, const KmSection *section)
{
	g_autofree guint8 *map = map_covered(c, section);
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
		if (r->offset < section->size && !map[r->offset])
			km_find_at(c, section, r->offset, "a relocation in what no patched file has");
	}
	/* Between functions there is padding that depends on the assembler. */
	for (guint64 i = 0; !km_section_is_text(section) && section->data && i < section->size; i++)
		if (!map[i] && section->data->data[i]) {
			km_find_at(c, section, i, "bytes that no patched file has");
			break;
		}
}

static gboolean is_read_otherwise(const KmSection *section)
{
	return !strcmp(section->name, "__versions") || !strcmp(section->name, ".modinfo") || section->klp_object;
}

static void check_sections(KmChecker *c)
{
	for (guint i = 0; i < c->module->sections->len; i++) {
		const KmSection *section = c->module->sections->pdata[i];
		const KmSpecial *special = km_special_find(section->name);
		if (!(section->flags & SHF_ALLOC) || is_read_otherwise(section))
			continue;
		if (special && special->kind == KM_SPECIAL_TABLE)
			check_rows(c, section, special);
		else if (!special || special->kind != KM_SPECIAL_DROP)
			check_section(c, section);
	}
}

static void check_symbols(KmChecker *c)
{
	for (guint i = 0; i < c->module->symbols->len; i++) {
		const KmSymbol *symbol = c->module->symbols->pdata[i];
		if (symbol->section && symbol->size && (symbol->type == STT_FUNC || symbol->type == STT_OBJECT) &&
		    (symbol->section->flags & SHF_ALLOC) && !km_is_covered(c, symbol->section, symbol->value))
			km_find(c, symbol->name, "in the module, but no patched file calls for it");
	}
}

static gboolean is_overridden(const KmView *view, const char *name)
{
	const GPtrArray *names = km_match_overridden(view->match);
	return names && g_ptr_array_find_with_equal_func((GPtrArray *)names, name, g_str_equal, NULL);
}

/* Every function whose code changes is replaced, or is only reached from those that are. */
static void check_changed(KmChecker *c, const KmView *view)
{
	for (guint i = 0; i < view->diff->functions->len; i++) {
		const KmChange *change = view->diff->functions->pdata[i];
		const KmSymbol *f = change->patched;
		if (change->status != KM_CHANGED || change->init || km_name_is_cold_part(change->name) ||
		    is_overridden(view, change->name) || g_hash_table_contains(view->replaced, f))
			continue;
		g_autoptr(GError) error = NULL;
		const KmSymbol *plain = g_hash_table_lookup(view->plain_twins, change->original);
		const KmPlace *place = plain ? km_match_place(view->match, plain, &error) : NULL;
		if (!f || !km_view_pair_at(view, f->section, f->value))
			km_find(c, change->name, "changed by the patch, but not replaced");
		else if (!place || place->patchable)
			km_find(c, change->name, "changed by the patch and carried along, but no klp_func leads to it");
	}
}

void km_check_left_over(KmChecker *c)
{
	for (guint i = 1; i < c->views->len; i++)
		check_changed(c, c->views->pdata[i]);
	for (guint i = 0; i < c->switches->len; i++) {
		const KmSwitch *s = c->switches->pdata[i];
		if (!s->used)
			km_find(c, s->name, "replaced, but no patched file has it");
	}
	check_sections(c);
	check_symbols(c);
}
