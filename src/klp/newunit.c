/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/newunit.h"

#include <string.h>

#include "base/error.h"

static const struct {
	const char *prefix, *what;
} too_late[] = {
	{ ".initcall", "an initcall (module_init or the like)" },
	{ ".con_initcall", "an initcall (console_initcall)" },
	{ ".init.setup", "a boot parameter (__setup, early_param)" },
	{ "__param", "a module parameter" },
	{ "__ksymtab", "an exported symbol (EXPORT_SYMBOL)" },
	{ "___ksymtab", "an exported symbol (EXPORT_SYMBOL)" },
	{ ".export_symbol", "an exported symbol (EXPORT_SYMBOL)" },
	{ "__tracepoints", "a tracepoint" },
	{ "_ftrace_events", "a trace event" },
	{ ".ctors", "a constructor" },
	{ ".init_array", "a constructor" },
};

static const char *work_of_start(const KmSymbol *symbol)
{
	if (symbol->section && (!strcmp(symbol->name, "init_module") || !strcmp(symbol->name, "cleanup_module")))
		return "a module's start or end (module_init, module_exit)";
	if (symbol->section && g_str_has_prefix(symbol->name, "__mod_") && strstr(symbol->name, "_device_table"))
		return "a table of devices (MODULE_DEVICE_TABLE)";
	return NULL;
}

static gboolean refuse_start(const KmUnit *unit, const char *what, GError **error)
{
	return km_refuse(error,
			 "%s: the new file has %s: the kernel looks at those only when it starts or loads a module; do it in a "
			 "callback of the live patch instead, and take it out",
			 unit->source, what);
}

gboolean km_new_unit_check(const KmUnit *unit, const KmObject *patched, GError **error)
{
	for (guint i = 0; i < patched->sections->len; i++) {
		const KmSection *section = patched->sections->pdata[i];
		for (gsize k = 0; section->size && k < G_N_ELEMENTS(too_late); k++)
			if (g_str_has_prefix(section->name, too_late[k].prefix))
				return refuse_start(unit, too_late[k].what, error);
	}
	for (guint i = 0; i < patched->symbols->len; i++) {
		const char *what = work_of_start(patched->symbols->pdata[i]);
		if (what)
			return refuse_start(unit, what, error);
	}
	return TRUE;
}

static const KmChange *find_new(const GPtrArray *changes, const char *name)
{
	for (guint i = 0; i < changes->len; i++) {
		const KmChange *change = changes->pdata[i];
		if (change->status == KM_NEW && !strcmp(change->name, name))
			return change;
	}
	return NULL;
}

static KmSymbol *extracted_symbol(const KmUnitWork *work, const KmSymbol *patched)
{
	for (guint i = 0; work->extracted && i < work->extracted->symbols->len; i++) {
		KmSymbol *symbol = work->extracted->symbols->pdata[i];
		if (symbol->user == patched && symbol->section)
			return symbol;
	}
	return NULL;
}

/* The function old of one unit lives on as moved in another. */
static gboolean hook_moved(const KmUnitWork *from, const KmChange *old, const KmUnitWork *to, const KmChange *moved,
			   GPtrArray *hooks, GPtrArray *functions, GError **error)
{
	KmSymbol *replacement = extracted_symbol(to, moved->patched);
	const KmPlace *place = km_ref_place(&from->context, old->original, error);
	if (!place)
		return FALSE;
	if (!replacement || place->offset || !place->patchable || strcmp(from->unit->owner, to->unit->owner))
		return km_refuse(error,
				 "%s: %s moves to %s, and callers of the old one cannot be led there; keep the function where "
				 "it is",
				 from->unit->source, old->name, to->unit->source);
	KmHook *hook = km_unit_work_hook(from, old->original, place, to->extracted, replacement, error);
	if (!hook)
		return FALSE;
	g_ptr_array_add(hooks, hook);
	KmPatchedFunction *f = g_new0(KmPatchedFunction, 1);
	f->object = g_strdup(place->object);
	f->name = g_strdup(place->name);
	f->sympos = place->sympos;
	f->source = g_strdup(to->unit->source);
	f->reasons = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(f->reasons, g_strdup_printf("moved here from %s", from->unit->source));
	g_ptr_array_add(functions, f);
	return TRUE;
}

static gboolean take_from(const KmUnitWork *from, const KmUnitWork *to, GPtrArray *hooks, GPtrArray *functions,
			  GError **error)
{
	for (guint i = 0; i < from->diff->data->len; i++) {
		const KmChange *old = from->diff->data->pdata[i];
		const KmChange *moved = old->status == KM_REMOVED ? find_new(to->diff->data, old->name) : NULL;
		if (moved && moved->patched->section->flags & SHF_WRITE)
			return km_refuse(error,
					 "%s: the variable %s moves to the new file %s, where it would begin anew; keep it "
					 "where it is",
					 from->unit->source, old->name, to->unit->source);
	}
	for (guint i = 0; i < from->diff->functions->len; i++) {
		const KmChange *old = from->diff->functions->pdata[i];
		const KmChange *moved = old->status == KM_REMOVED && !old->init ?
						find_new(to->diff->functions, old->name) :
						NULL;
		if (moved && !hook_moved(from, old, to, moved, hooks, functions, error))
			return FALSE;
	}
	return TRUE;
}

gboolean km_new_units_take(const GPtrArray *works, GPtrArray *hooks, GPtrArray *functions, GError **error)
{
	for (guint i = 0; i < works->len; i++) {
		const KmUnitWork *to = works->pdata[i];
		for (guint k = 0; to->unit->is_new && k < works->len; k++) {
			const KmUnitWork *from = works->pdata[k];
			if (from != to && !from->unit->is_new && !take_from(from, to, hooks, functions, error))
				return FALSE;
		}
	}
	return TRUE;
}
