/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/callers.h"

#include <string.h>

/* Names of all functions that the units of this module define. NULL when one of them cannot be read. */
static GHashTable *compiled_functions(const KmUnitWork *work, const GPtrArray *units)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < units->len; i++) {
		const KmUnit *unit = units->pdata[i];
		if (strcmp(unit->owner, work->unit->owner) || unit->is_new)
			continue;
		g_autoptr(KmObject) object = unit->original ? km_object_read(unit->original, NULL) : NULL;
		if (!object)
			return NULL;
		for (guint k = 0; k < object->symbols->len; k++) {
			const KmSymbol *symbol = object->symbols->pdata[k];
			if (symbol->section && symbol->type == STT_FUNC)
				g_hash_table_add(names, g_strdup(symbol->name));
		}
	}
	return g_steal_pointer(&names);
}

/* Two static functions of one name: which of them is meant cannot be told. */
static gboolean is_only_one(const KmObject *module, const char *name)
{
	guint n = 0;
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		n += symbol->section && symbol->type == STT_FUNC && !strcmp(symbol->name, name);
	}
	return n == 1;
}

static gboolean is_exported(const KmObject *module, const char *name)
{
	g_autofree char *record = g_strconcat("__ksymtab_", name, NULL);
	return km_object_find_symbol(module, record) != NULL;
}

/* Words on the index-th relocation of section, unless it is a call from one of functions. */
static char *judge_use(KmObject *module, const KmSection *section, guint index, GHashTable *functions)
{
	guint64 at = g_array_index(section->relocs, KmReloc, index).offset;
	const KmSymbol *user = km_object_symbol_at(module, section, at);
	const char *by = user && *user->name ? user->name : section->name;
	if (!km_section_is_text(section) || !km_arch_is_branch(module->arch, section, index))
		return g_strdup_printf("%s takes its address", by);
	if (!user || !g_hash_table_contains(functions, by))
		return g_strdup_printf("%s calls it and is not in a file that the patch compiles anew", by);
	return is_only_one(module, by) ? NULL : g_strdup_printf("%s calls it, and there are several of that name", by);
}

char *km_outside_user(const KmUnitWork *work, const GPtrArray *units, const char *name)
{
	KmObject *module = work->module;
	if (!module)
		return g_strdup("built-in code can call it from anywhere");
	if (is_exported(module, name))
		return g_strdup("it is exported to other modules");
	g_autoptr(GHashTable) functions = compiled_functions(work, units);
	if (!functions)
		return g_strdup("its callers could not be read");
	for (guint s = 0; s < module->sections->len; s++) {
		const KmSection *section = module->sections->pdata[s];
		/* Rows about code (entry records, unwinding) are no users of it. */
		if (!(section->flags & SHF_ALLOC) || km_special_find(section->name))
			continue;
		for (guint i = 0; i < section->relocs->len; i++) {
			const KmSymbol *symbol = g_array_index(section->relocs, KmReloc, i).symbol;
			char *why = strcmp(symbol->name, name) ? NULL : judge_use(module, section, i, functions);
			if (why)
				return why;
		}
	}
	return NULL;
}
