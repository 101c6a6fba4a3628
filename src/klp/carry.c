/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/carry.h"

#include <string.h>

#include "base/error.h"
#include "kernel/where.h"
#include "klp/callers.h"

typedef struct {
	const KmRefContext *context;
	KmDiff *diff;
	GHashTable *changed; /* KmSymbol of patched: all functions that are replaced */
	GHashTable *carried; /* those of them that need no entry */
} Carry;

/* Adds function to what is replaced, unless it is or is start-up code, which has run. */
static void replace(Carry *carry, KmSymbol *function, const char *callee)
{
	KmSymbol *original = g_hash_table_lookup(carry->diff->twins, function);
	if (!original || g_hash_table_contains(carry->changed, function) ||
	    g_str_has_prefix(function->section->name, ".init") || g_str_has_prefix(function->section->name, ".exit"))
		return;
	KmChange *change = g_new0(KmChange, 1);
	change->name = g_strdup(function->name);
	change->status = KM_CHANGED;
	change->original = original;
	change->patched = function;
	change->reasons = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(change->reasons,
			g_strdup_printf("calls %s, which changed and has no patchable entry of its own", callee));
	change->carried_for = g_strdup(callee);
	g_ptr_array_add(carry->diff->functions, change);
	g_hash_table_add(carry->changed, function);
}

/* A function and its cold part go together: they jump into each other. */
static void replace_with_parts(Carry *carry, KmSymbol *function, const char *callee)
{
	const GPtrArray *symbols = carry->diff->patched->symbols;
	const char *cold = km_name_is_cold_part(function->name) ? strstr(function->name, ".cold") : NULL;
	gsize length = cold ? (gsize)(cold - function->name) : strlen(function->name);
	for (guint i = 0; i < symbols->len; i++) {
		KmSymbol *symbol = symbols->pdata[i];
		if (symbol->type != STT_FUNC || !symbol->section || strncmp(symbol->name, function->name, length))
			continue;
		const char *rest = symbol->name + length;
		if (!*rest || (g_str_has_prefix(rest, ".cold") && km_name_is_cold_part(symbol->name)))
			replace(carry, symbol, callee);
	}
}

/* The function that the index-th relocation of section means, or NULL. */
static const KmSymbol *function_meant(KmObject *object, const KmSection *section, guint index)
{
	const KmReloc *r = &g_array_index(section->relocs, KmReloc, index);
	if (!r->symbol->section || !km_section_is_text(r->symbol->section))
		return NULL;
	if (r->symbol->type == STT_FUNC)
		return r->symbol;
	gint64 at = (gint64)r->symbol->value + object->arch->target_offset(section, index);
	return at < 0 ? NULL : km_object_symbol_at(object, r->symbol->section, (guint64)at);
}

static gboolean same_place(const KmSymbol *a, const KmSymbol *b)
{
	return a && a->section == b->section && a->value == b->value;
}

static gboolean refuse_user(const Carry *carry, const KmSymbol *function, const char *how, GError **error)
{
	g_autofree char *root = km_name_root(function->name);
	g_autofree char *at = km_where(carry->context->kernel->source, carry->context->plain->path, root);
	const KmSymbol *original = g_hash_table_lookup(carry->diff->twins, function);
	g_autofree char *remedy = original ? km_who_would_do(carry->context, original)
					   : g_strdup("make the change in its callers instead");
	return km_refuse(
		error,
		"%s: %s has no patchable entry (it is notrace or inline, or in a file built without ftrace) and %s; %s",
		at, function->name, how, remedy);
}

/* Whoever refers to function by a relocation of section is replaced with it. */
static gboolean take_users_in(Carry *carry, const KmSection *section, const KmSymbol *function, GError **error)
{
	KmObject *object = carry->diff->patched;
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
		if (!same_place(function_meant(object, section, i), function))
			continue;
		KmSymbol *user = km_section_is_text(section) ? km_object_symbol_at(object, section, r->offset) : NULL;
		if (same_place(user, function))
			continue;
		if (!user || !km_arch_is_branch(object->arch, section, i))
			return refuse_user(carry, function, "its address is taken", error);
		replace_with_parts(carry, user, function->name);
	}
	return TRUE;
}

/* Callers in the same section need no relocation. */
static void take_neighbours(Carry *carry, const KmSymbol *function)
{
	KmObject *object = carry->diff->patched;
	const KmSection *section = function->section;
	for (guint i = 0; object->arch->branches_out && i < object->symbols->len; i++) {
		KmSymbol *user = object->symbols->pdata[i];
		if (user->section != section || user->type != STT_FUNC || same_place(user, function))
			continue;
		g_autoptr(GArray) branches = object->arch->branches_out(section, user->value, user->value + user->size);
		for (guint k = 0; k < branches->len; k++) {
			guint64 target = g_array_index(branches, KmBranch, k).target;
			if (target >= function->value && target - function->value < function->size)
				replace_with_parts(carry, user, function->name);
		}
	}
}

static gboolean take_users(Carry *carry, const KmSymbol *function, GError **error)
{
	for (guint i = 0; i < carry->diff->patched->sections->len; i++) {
		const KmSection *section = carry->diff->patched->sections->pdata[i];
		if (!(section->flags & SHF_ALLOC) || km_special_find(section->name))
			continue;
		if (!take_users_in(carry, section, function, error))
			return FALSE;
	}
	take_neighbours(carry, function);
	return TRUE;
}

/* TRUE when the running kernel can redirect it; also when that is found out later, with an error of its own. */
static gboolean has_entry(const Carry *carry, const KmChange *change)
{
	const KmPlace *place = km_ref_place(carry->context, change->original, NULL);
	return !place || place->patchable;
}

/* Words on who else calls a global function than this unit, whose code is at hand; NULL: nobody does. */
static char *outside_user(const Carry *carry, const KmChange *change)
{
	const KmObject *original = carry->diff->original;
	g_autoptr(GHashTable) own = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < original->symbols->len; i++) {
		const KmSymbol *symbol = original->symbols->pdata[i];
		if (symbol->section && symbol->type == STT_FUNC)
			g_hash_table_add(own, symbol->name);
	}
	return km_outside_user(carry->context, own, change->original);
}

static gboolean carry_one(Carry *carry, const KmChange *change, GError **error)
{
	KmSymbol *function = change->patched;
	if (change->status != KM_CHANGED || change->init || !function || km_name_is_cold_part(change->name) ||
	    has_entry(carry, change))
		return TRUE;
	g_autofree char *user = function->bind != STB_LOCAL ? outside_user(carry, change) : NULL;
	if (user)
		return refuse_user(carry, function, user, error);
	g_hash_table_add(carry->carried, function);
	return take_users(carry, function, error);
}

GHashTable *km_carry(const KmRefContext *c, KmDiff *diff, GError **error)
{
	g_autoptr(GHashTable) changed = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) carried = g_hash_table_new(NULL, NULL);
	Carry carry = { .context = c, .diff = diff, .changed = changed, .carried = carried };
	for (guint i = 0; i < diff->functions->len; i++) {
		const KmChange *change = diff->functions->pdata[i];
		if (change->patched)
			g_hash_table_add(changed, change->patched);
	}
	/* The list grows while it is walked: a caller may have no entry either. */
	for (guint i = 0; i < diff->functions->len; i++)
		if (!carry_one(&carry, diff->functions->pdata[i], error))
			return NULL;
	return g_steal_pointer(&carried);
}
