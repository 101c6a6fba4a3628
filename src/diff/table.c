/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `static const struct entry table[] = { ... }` with other content. The running kernel's copy cannot be written, but code that is
 * replaced can use a copy of its own, if all code that uses the table is replaced. That is so when the table is static and its
 * address never leaves the unit: neither the old one (its holder would go on with the old content) nor the new one (it is
 * gone with the live patch).
 */
#include "diff/table.h"

#include <string.h>

#include "diff/escape.h"
#include "diff/reason.h"

/* Aliases that only modpost reads: __mod_pci__ids_device_table. */
static gboolean is_modpost_alias(const KmSymbol *symbol)
{
	return g_str_has_prefix(symbol->name, "__mod_") && strstr(symbol->name, "_device_table");
}

static gboolean is_static(const KmItem *item)
{
	for (guint i = 0; i < item->side->object->symbols->len; i++) {
		const KmSymbol *symbol = item->side->object->symbols->pdata[i];
		if (item->side->by_symbol[i] == item && symbol->bind != STB_LOCAL && !is_modpost_alias(symbol))
			return FALSE;
	}
	return TRUE;
}

static gboolean is_table(const KmItem *item)
{
	return (item->kind == KM_ITEM_DATA || (item->kind == KM_ITEM_ANON && item->constant)) && item->section &&
	       !km_item_is_writable(item) && !km_item_is_init(item) && !km_item_is_exit(item) &&
	       !km_special_find(item->section->name) &&
	       (g_str_has_prefix(item->section->name, ".rodata") ||
		g_str_has_prefix(item->section->name, ".data.rel.ro"));
}

static gboolean content_differs(KmComparison *comparison, const KmItem *item)
{
	return item->size != item->twin->size || !km_content_equal(comparison, item->twin, 0, item, 0);
}

/* Text alone: what keeps it, keeps a string literal, and those are never followed. */
static gboolean is_text(const KmItem *item)
{
	const guint8 *p = item->section->data ? item->section->data->data + item->start : NULL;
	if (!p || !item->size || item->n_refs || p[item->size - 1])
		return FALSE;
	for (guint64 i = 0; i < item->size; i++)
		if (p[i] && !g_ascii_isprint(p[i]) && !g_ascii_isspace(p[i]))
			return FALSE;
	return TRUE;
}

/* A static local is one of those whose content is their identity; but when it is no text, an address of it can be kept like any table's. */
static gboolean may_be_kept(const KmItem *item)
{
	return !item->constant || (!km_name_is_constant(item->name) && !is_text(item) && !is_text(item->twin));
}

static gboolean is_candidate(KmComparison *comparison, const KmItem *item)
{
	return item->kind == KM_ITEM_DATA && item->twin && is_table(item) && is_table(item->twin) &&
	       may_be_kept(item) && content_differs(comparison, item);
}

/* Nobody reads what such a record says about it. */
static gboolean is_no_holder(const KmItem *user)
{
	const KmSpecial *special = user->section ? km_special_find(user->section->name) : NULL;
	return user->dropped || (special && (special->kind == KM_SPECIAL_DROP || special->kind == KM_SPECIAL_MARK));
}

/* Adds table and the tables that hold its address, and theirs. NULL, or words on what else holds it; caller owns. */
static char *collect(GHashTable *tables, KmItem *table)
{
	if (!g_hash_table_add(tables, table))
		return NULL;
	if (!is_static(table))
		return g_strdup_printf("%s is global, so other files can use it", table->name);
	for (guint i = 0; i < table->referrers->len; i++) {
		KmItem *user = table->referrers->pdata[i];
		if (user->kind == KM_ITEM_FUNCTION || is_no_holder(user))
			continue;
		if (!is_table(user))
			return g_strdup_printf("%s %s holds its address",
					       km_item_is_writable(user) ? "variable" : "data", user->name);
		char *why = collect(tables, user);
		if (why)
			return why;
	}
	return NULL;
}

static gboolean holds_all_names(GHashTable *tables, const char *const *allowed)
{
	GHashTableIter iter;
	gpointer table;
	g_hash_table_iter_init(&iter, tables);
	while (g_hash_table_iter_next(&iter, &table, NULL))
		if (((KmItem *)table)->kind == KM_ITEM_DATA && !g_strv_contains(allowed, ((KmItem *)table)->name))
			return FALSE;
	return TRUE;
}

/* Words on who can have the address, and what to do; NULL: nobody. Of what code does with it the author may know more. */
static char *find_holder(KmItem *table, GHashTable *tables, GHashTable *users, const char *const *allowed)
{
	g_autofree char *why = collect(tables, table);
	if (why)
		return g_strdup_printf("%s; make the changed functions use new data of another name", why);
	why = km_find_escape(table->side, tables, allowed && holds_all_names(tables, allowed), users);
	if (!why)
		return NULL;
	return g_strdup_printf("%s; make the changed functions use new data of another name, or give --allow-table %s "
			       "if you know that nobody keeps its address",
			       why, table->name);
}

static void separate(KmItem *table, const char *because)
{
	KmItem *twin = table->twin;
	if (!twin)
		return;
	km_item_add_reason(table, "%s; the functions that use it take the new content along", because);
	table->formerly = twin;
	twin->formerly = table;
	table->twin = twin->twin = NULL;
}

/*
 * A function that only gets the address from another one must be replaced too: the livepatch core waits until no task is in a
 * replaced function, and only then may the new copy vanish.
 */
static void mark_users(GHashTable *users, const KmItem *table)
{
	GHashTableIter iter;
	gpointer key;
	g_hash_table_iter_init(&iter, users);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		KmItem *user = key;
		if (!km_item_is_init(user) && !km_item_is_exit(user))
			km_item_add_reason(user, "uses table %s, whose content changed", table->name);
	}
}

static void replace_table(KmItem *table, const char *const *allowed)
{
	g_autoptr(GHashTable) before = g_hash_table_new(NULL, NULL), after = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) users = g_hash_table_new(NULL, NULL), old_users = g_hash_table_new(NULL, NULL);
	table->escape = find_holder(table, after, users, allowed);
	if (!table->escape)
		table->escape = find_holder(table->twin, before, old_users, allowed);
	if (table->escape)
		return;
	mark_users(users, table);
	separate(table, "its content changed");
	GHashTableIter iter;
	gpointer holder;
	g_hash_table_iter_init(&iter, after);
	while (g_hash_table_iter_next(&iter, &holder, NULL))
		separate(holder, "it holds the address of a table whose content changed");
}

void km_replace_tables(const KmSide *original, const KmSide *patched, KmComparison *comparison,
		       const char *const *allowed)
{
	g_autoptr(GPtrArray) found = g_ptr_array_new();
	for (guint i = 0; i < patched->items->len; i++) {
		KmItem *item = patched->items->pdata[i];
		if (is_candidate(comparison, item))
			g_ptr_array_add(found, item);
	}
	for (guint i = 0; i < found->len; i++) {
		KmItem *item = found->pdata[i];
		if (item->twin)
			replace_table(item, allowed);
	}
	/* What was found equal may have rested on tables that were twins. */
	km_comparison_forget(comparison);
}
