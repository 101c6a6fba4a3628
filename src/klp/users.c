/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/users.h"

#include <string.h>

#include "diff/diff.h"

typedef struct {
	KmObject *module;
	const KmSymbol *function;
	GPtrArray *users; /* of KmImageUser */
} Scan;

/* Out-of-line code of alternatives, and slots that code loads addresses from: of all tables only these use what they name. */
static gboolean is_record(const KmSection *section)
{
	const KmSpecial *special = km_special_find(section->name);
	return special ? special->kind != KM_SPECIAL_CODE && special->kind != KM_SPECIAL_SLOTS
		       : km_section_names_functions(section);
}

static gboolean is_startup(const KmSection *section)
{
	return g_str_has_prefix(section->name, ".init") || g_str_has_prefix(section->name, ".exit");
}

static gboolean is_function(const KmSymbol *symbol)
{
	return symbol->section && symbol->type == STT_FUNC;
}

/* How many functions bear name; *last is one of them. */
static guint count_named(const KmObject *module, const char *name, const KmSymbol **last)
{
	guint n = 0;
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		if (!is_function(symbol) || strcmp(symbol->name, name))
			continue;
		*last = symbol;
		n++;
	}
	return n;
}

static gboolean has_record(const KmObject *module, const KmSymbol *function)
{
	const KmSection *records = km_object_find_section(module, "__mcount_loc");
	if (!records)
		records = km_object_find_section(module, "__patchable_function_entries");
	for (guint i = 0; records && i < records->relocs->len; i++) {
		const KmReloc *r = &g_array_index(records->relocs, KmReloc, i);
		guint64 at = r->symbol->value + (guint64)r->addend;
		if (r->symbol->section == function->section && at >= function->value &&
		    at - function->value < MIN(function->size, KM_IMAGE_PROLOGUE))
			return TRUE;
	}
	return FALSE;
}

/* A part that the compiler split off is redirected with the function that it belongs to. */
static gboolean has_entry(const KmObject *module, const KmSymbol *function)
{
	g_autofree char *root = km_name_is_cold_part(function->name) ? km_name_root(function->name) : NULL;
	const KmSymbol *whole = NULL;
	if (root && count_named(module, root, &whole) == 1)
		function = whole;
	return is_function(function) && !is_startup(function->section) && has_record(module, function);
}

static gboolean is_known(const Scan *scan, const KmSymbol *symbol, const char *name, gboolean calls)
{
	for (guint i = 0; i < scan->users->len; i++) {
		const KmImageUser *user = scan->users->pdata[i];
		if (user->symbol == symbol && user->calls == calls && !strcmp(user->name, name))
			return TRUE;
	}
	return FALSE;
}

static void add_user(const Scan *scan, const KmSection *section, guint64 at, gboolean calls)
{
	/* Alternatives run in place of other code: what is near them there says nothing. */
	const KmSymbol *symbol = km_special_find(section->name) ? NULL : km_object_symbol_at(scan->module, section, at),
		       *last;
	if (symbol && !*symbol->name)
		symbol = NULL;
	const char *name = symbol ? symbol->name : section->name;
	if ((calls && symbol && symbol->section == scan->function->section && symbol->value == scan->function->value) ||
	    is_known(scan, symbol, name, calls))
		return;
	KmImageUser *user = g_new0(KmImageUser, 1);
	user->name = g_strdup(name);
	user->symbol = symbol;
	user->named = symbol != NULL;
	user->calls = calls;
	user->code = km_section_is_text(section);
	user->init = is_startup(section);
	user->has_entry = symbol && has_entry(scan->module, symbol);
	user->of_name = symbol ? count_named(scan->module, name, &last) : 0;
	g_ptr_array_add(scan->users, user);
}

/* Does the index-th relocation of section mean the start of the function, by whatever name? */
static gboolean means_it(const Scan *scan, const KmSection *section, guint index)
{
	const KmSymbol *symbol = g_array_index(section->relocs, KmReloc, index).symbol;
	if (symbol->section != scan->function->section)
		return FALSE;
	/* An offset from a function's name leads into it, or is the bias of a field that stands in the middle of its instruction. */
	guint64 offset = symbol->type == STT_SECTION ? (guint64)scan->module->arch->target_offset(section, index) : 0;
	return symbol->value + offset == scan->function->value;
}

static void take_relocations(const Scan *scan, const KmSection *section)
{
	gboolean text = km_section_is_text(section);
	for (guint i = 0; i < section->relocs->len; i++)
		if (means_it(scan, section, i))
			add_user(scan, section, g_array_index(section->relocs, KmReloc, i).offset,
				 text && km_arch_is_branch(scan->module->arch, section, i));
}

/* Branches within a section to a local function have no relocation. */
static void take_branches(const Scan *scan)
{
	const KmSection *section = scan->function->section;
	for (guint i = 0; scan->module->arch->branches_out && i < scan->module->symbols->len; i++) {
		const KmSymbol *from = scan->module->symbols->pdata[i];
		if (from->section != section || from->type != STT_FUNC || from == scan->function)
			continue;
		g_autoptr(GArray) out =
			scan->module->arch->branches_out(section, from->value, from->value + from->size);
		for (guint k = 0; k < out->len; k++) {
			const KmBranch *branch = &g_array_index(out, KmBranch, k);
			if (branch->target == scan->function->value)
				add_user(scan, section, branch->field, TRUE);
		}
	}
}

GPtrArray *km_module_users(KmObject *module, const KmSymbol *function)
{
	Scan scan = { module, function, g_ptr_array_new_with_free_func(km_image_user_free) };
	for (guint i = 0; i < module->sections->len; i++) {
		const KmSection *section = module->sections->pdata[i];
		if ((section->flags & SHF_ALLOC) && !is_record(section))
			take_relocations(&scan, section);
	}
	if (function->bind == STB_LOCAL)
		take_branches(&scan);
	return scan.users;
}
