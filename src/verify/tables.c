/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables that the kernel reads when a module is loaded: rows of the size the kernel's own structures have, each about code of
 * this module, and, where the code itself tells which rows there must be, neither fewer nor more.
 */
#include <string.h>

#include "verify/internal.h"

#define STATIC_CALL_TRAMP "__SCT__"
#define STATIC_CALL_KEY "__SCK__"
#define HOOK_CALLS "__mcount_loc"
/* include/linux/static_call_types.h: kept in the lowest bit of the key's address */
#define STATIC_CALL_TAIL 1

/* Rows in which one place may occur several times. */
static gboolean may_repeat(const char *table)
{
	return !strcmp(table, ".altinstructions") || !strcmp(table, "__ex_table");
}

static guint entry_size(KmChecker *c, const KmSection *table)
{
	const KmSpecial *special = km_special_find(table->name);
	guint size = GPOINTER_TO_UINT(g_hash_table_lookup(c->sizes, table->name));
	g_autoptr(GError) why = NULL;
	if (!size)
		size = km_special_entry_size(special, table, &why);
	if (!size)
		km_find(c, table->name, "%s", why->message);
	return size;
}

/* The place a row is about: the relocation at its owner field. */
static const KmReloc *row_owner(const KmSection *table, guint64 start, guint owner)
{
	gsize n;
	const KmReloc *r = km_section_relocs_in(table, start + owner, start + owner + 1, &n);
	return n ? r : NULL;
}

static void check_rows(KmChecker *c, const KmSection *table, const KmSpecial *special, guint size)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	gboolean ends_with = table->size % size == 0 || table->size % size >= special->min_size;
	if (!ends_with)
		km_find(c, table->name, "%" G_GUINT64_FORMAT " bytes are no whole number of rows of %u", table->size,
			size);
	for (guint64 start = 0; start + special->owner < table->size; start += size) {
		const KmReloc *r = row_owner(table, start, special->owner);
		c->result->rows++;
		if (!r || !r->symbol->section) {
			km_find_at(c, table, start, "a row about nothing");
			continue;
		}
		const KmSection *code = r->symbol->section;
		guint64 at = r->symbol->value + (guint64)r->addend;
		g_autofree char *place = g_strdup_printf("%u %" G_GUINT64_FORMAT, code->index, at);
		if (!(code->flags & SHF_EXECINSTR) || at > code->size)
			km_find_at(c, table, start, "a row about %s+0x%" G_GINT64_MODIFIER "x, which is no code",
				   code->name, at);
		if (!g_hash_table_add(seen, g_steal_pointer(&place)) && !may_repeat(table->name))
			km_find_at(c, table, start, "a second row about %s+0x%" G_GINT64_MODIFIER "x", code->name, at);
	}
}

static gboolean is_table(const KmSection *section)
{
	const KmSpecial *special = km_special_find(section->name);
	return special && special->kind == KM_SPECIAL_TABLE && section->data && section->size &&
	       (section->flags & SHF_ALLOC) && strcmp(section->name, "__tracepoints_ptrs");
}

/* ---- rows that the code calls for ---- */

typedef struct {
	KmChecker *c;
	const KmSection *table;
	const char *name, *prefix;
	guint size;
	guint expected;
} Sites;

static const char *plain_name(const KmSymbol *symbol, char **owned)
{
	g_autofree char *object = NULL;
	guint64 sympos;
	/* Static calls of modules are ordinary calls of their trampoline: there is no row for them. */
	if (!km_parse_klp_symbol(symbol->name, &object, owned, &sympos))
		return symbol->name;
	return strcmp(object, "vmlinux") ? "" : *owned;
}

static guint64 branch_start(const KmChecker *c, const KmSection *code, guint i, gboolean *call)
{
	*call = FALSE;
	return c->module->arch->branch_start ? c->module->arch->branch_start(code, i, call)
					     : g_array_index(code->relocs, KmReloc, i).offset;
}

static guint rows_about(const Sites *s, const KmSection *code, guint64 place)
{
	guint rows = 0;
	for (guint64 start = 0; s->table && start < s->table->size; start += s->size) {
		const KmReloc *r = row_owner(s->table, start, 0);
		guint64 at = r ? r->symbol->value + (guint64)r->addend : 0;
		rows += r && r->symbol->section == code && at == place;
	}
	return rows;
}

/* Calls that the kernel rewrites by a table of their own. */
static gboolean has_other_table(const KmChecker *c, const char *name)
{
	for (const KmSiteTable *t = c->module->arch->sites; t && t->table; t++)
		if (*t->callee && g_str_has_prefix(name, t->callee))
			return TRUE;
	return g_str_has_prefix(name, STATIC_CALL_TRAMP);
}

static void check_site(Sites *s, const KmSection *code, guint i)
{
	const KmReloc *r = &g_array_index(code->relocs, KmReloc, i);
	g_autofree char *owned = NULL;
	const char *name = *s->prefix ? plain_name(r->symbol, &owned) : r->symbol->name;
	gboolean call;
	guint64 start = branch_start(s->c, code, i, &call);
	if (!g_str_has_prefix(name, s->prefix) || !km_arch_is_branch(s->c->module->arch, code, i))
		return;
	if (!*s->prefix && (!call || has_other_table(s->c, plain_name(r->symbol, &owned))))
		return;
	s->expected++;
	if (rows_about(s, code, start) != 1)
		km_find_at(s->c, code, r->offset, "calls %s, and not one row of %s says so", name, s->name);
}

static guint rows_in_code(const Sites *s)
{
	guint rows = 0;
	for (guint64 start = 0; s->table && start < s->table->size; start += s->size) {
		const KmReloc *r = row_owner(s->table, start, 0);
		rows += r && r->symbol->section && !km_special_find(r->symbol->section->name);
	}
	return rows;
}

static void check_sites(KmChecker *c, const char *table, const char *prefix, guint size)
{
	Sites s = {
		.c = c, .table = km_object_find_section(c->module, table), .name = table, .prefix = prefix, .size = size
	};
	for (guint i = 0; i < c->module->sections->len; i++) {
		const KmSection *code = c->module->sections->pdata[i];
		if (!km_section_is_text(code) || km_special_find(code->name) || g_str_has_prefix(code->name, ".init"))
			continue;
		for (guint k = 0; k < code->relocs->len; k++)
			check_site(&s, code, k);
	}
	if (s.table && rows_in_code(&s) != s.expected)
		km_find(c, table, "%u rows for %u places in the code", rows_in_code(&s), s.expected);
}

/* Does this kernel's own code have such a table? */
static gboolean is_customary(const KmChecker *c, const char *table)
{
	GHashTableIter iter;
	gpointer module;
	g_hash_table_iter_init(&iter, c->stock);
	while (g_hash_table_iter_next(&iter, NULL, &module))
		if (km_object_find_section(module, table))
			return TRUE;
	return km_object_find_section(c->module, table) != NULL;
}

/* The branch that a row is about. */
static const KmReloc *called_at(const KmChecker *c, const KmReloc *owner, gboolean *jump)
{
	const KmSection *code = owner->symbol->section;
	guint64 at = owner->symbol->value + (guint64)owner->addend;
	for (guint i = 0; i < code->relocs->len; i++) {
		gboolean call;
		if (branch_start(c, code, i, &call) != at)
			continue;
		*jump = !call;
		return &g_array_index(code->relocs, KmReloc, i);
	}
	return NULL;
}

/* A static call's row names the key that belongs to the trampoline called (or the trampoline, where keys are not exported). */
static void check_static_call_keys(KmChecker *c, const KmSection *table, guint size)
{
	for (guint64 start = 0; table && start + size <= table->size; start += size) {
		const KmReloc *owner = row_owner(table, start, 0), *key = row_owner(table, start, 4);
		if (!owner || !owner->symbol->section || !key) {
			km_find_at(c, table, start, "a row without its call or its key");
			continue;
		}
		g_autofree char *a = NULL, *b = NULL;
		gboolean jump = FALSE;
		const KmReloc *call = called_at(c, owner, &jump);
		const char *called = call ? plain_name(call->symbol, &a) : "", *named = plain_name(key->symbol, &b);
		gboolean fits =
			g_str_has_prefix(called, STATIC_CALL_TRAMP) &&
			(g_str_has_prefix(named, STATIC_CALL_KEY) || g_str_has_prefix(named, STATIC_CALL_TRAMP)) &&
			!strcmp(called + strlen(STATIC_CALL_TRAMP), named + strlen(STATIC_CALL_TRAMP));
		if (!fits || key->addend != (jump ? STATIC_CALL_TAIL : 0))
			km_find_at(c, table, start, "key %s%+" G_GINT64_FORMAT " for a %s of %s", named, key->addend,
				   jump ? "jump" : "call", called);
	}
}

/* ---- hook calls ---- */

/* Those that the kernel does not know of stay calls for ever. It reads the rows as plain addresses. */
static void check_hook_calls(KmChecker *c)
{
	const KmSection *table = km_object_find_section(c->module, HOOK_CALLS);
	for (guint i = 0; table && i < table->relocs->len; i++) {
		const KmReloc *r = &g_array_index(table->relocs, KmReloc, i);
		if (r->type != c->module->arch->abs64)
			km_find_at(c, table, r->offset, "a row that is no address");
	}
	for (const char *const *hook = c->module->arch->hooks; *hook; hook++)
		if (is_customary(c, HOOK_CALLS) && km_object_find_symbol(c->module, *hook))
			check_sites(c, HOOK_CALLS, *hook, 8);
}

/* ---- landing pads ---- */

static gboolean is_address_taken(const KmChecker *c, const KmSection *code, guint64 at)
{
	for (guint s = 0; s < c->module->sections->len; s++) {
		const KmSection *section = c->module->sections->pdata[s];
		for (guint i = 0;
		     !km_section_is_about_code(section) && !section->klp_object && i < section->relocs->len; i++) {
			const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
			if (r->symbol->section != code || km_arch_is_branch(c->module->arch, section, i))
				continue;
			if (r->symbol->value + (guint64)c->module->arch->target_offset(section, i) == at)
				return TRUE;
		}
	}
	return FALSE;
}

/* The kernel destroys the landing pads listed here: nobody may come by pointer. */
static void check_seals(KmChecker *c)
{
	const KmSection *table = km_object_find_section(c->module, ".ibt_endbr_seal");
	for (guint i = 0; table && i < table->relocs->len; i++) {
		const KmReloc *r = &g_array_index(table->relocs, KmReloc, i);
		guint64 at = r->symbol->value + (guint64)r->addend;
		if (r->symbol->section && is_address_taken(c, r->symbol->section, at))
			km_find_at(c, table, r->offset, "seals %s+0x%" G_GINT64_MODIFIER "x, whose address is taken",
				   r->symbol->section->name, at);
	}
}

void km_check_tables(KmChecker *c)
{
	for (guint s = 0; s < c->module->sections->len; s++) {
		const KmSection *table = c->module->sections->pdata[s];
		guint size = is_table(table) ? entry_size(c, table) : 0;
		if (size)
			check_rows(c, table, km_special_find(table->name), size);
	}
	const KmSection *calls = km_object_find_section(c->module, ".static_call_sites");
	if (is_customary(c, ".static_call_sites"))
		check_sites(c, ".static_call_sites", STATIC_CALL_TRAMP, 8);
	check_static_call_keys(c, calls, 8);
	for (const KmSiteTable *t = c->module->arch->sites; t && t->table; t++)
		/* Calls that only the own runtime leads somewhere are in no list of calls: the kernel reads it before that. */
		if (is_customary(c, t->table) && !(c->own && !*t->callee))
			check_sites(c, t->table, t->callee, 4);
	check_hook_calls(c);
	check_seals(c);
}
