/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/layout.h"

#include <string.h>

#include "base/error.h"
#include "kernel/shape.h"
#include "klp/callers.h"
#include "types/local.h"
#include "types/types.h"

/* A message is one line: more types than this are counted. */
#define MAX_TYPES 3

static gboolean is_allowed(char *const *allowed, const KmTypeChange *change)
{
	for (; allowed && *allowed; allowed++)
		if (km_type_change_is(change, *allowed))
			return TRUE;
	return FALSE;
}

/* "foo" for "struct foo": what --allow-layout takes. */
static const char *short_name(const char *name)
{
	const char *blank = strrchr(name, ' ');
	return blank ? blank + 1 : name;
}

static gboolean refuse_types(const KmUnitWork *work, const GPtrArray *changes, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	const KmTypeChange *first = changes->pdata[0];
	for (guint i = 0; i < changes->len && i < MAX_TYPES; i++) {
		g_autofree char *words = km_type_change_text(changes->pdata[i]);
		g_string_append_printf(text, "%s%s", i ? "; " : "", words);
	}
	if (changes->len > MAX_TYPES)
		g_string_append_printf(text, "; and %u more types", changes->len - MAX_TYPES);
	return km_refuse(
		error,
		"%s: the patch changes types of which the running kernel has instances laid out the old way: %s. "
		"Keep new members in a shadow variable (klp_shadow_alloc) and leave the type as it is, or, when "
		"you know that no instance meets both old and new code, give --allow-layout %s",
		work->unit->source, text->str, short_name(first->name));
}

/* Types of which no object is ever seen by two functions, before and after: nothing the old way is left when the new code runs. */
static gboolean forget_local(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, GPtrArray *changes,
			     GError **error)
{
	g_autofree char *was = NULL, *now = NULL;
	if (!changes->len)
		return TRUE;
	if (!km_unit_preprocess(kernel, overlay, unit, FALSE, &was, error) ||
	    !km_unit_preprocess(kernel, overlay, unit, TRUE, &now, error))
		return FALSE;
	for (guint i = changes->len; i-- > 0;) {
		const KmTypeChange *change = changes->pdata[i];
		if (km_type_stays_local(was, change->name) && km_type_stays_local(now, change->name))
			g_ptr_array_remove_index(changes, i);
	}
	return TRUE;
}

static gboolean check_types(KmKernel *kernel, const KmOverlay *overlay, const KmTypes *original, const KmTypes *patched,
			    const KmBuildOptions *options, const KmUnitWork *work, GError **error)
{
	g_autoptr(GPtrArray) changes = km_types_compare(original, patched);
	for (guint i = changes->len; i-- > 0;)
		if (is_allowed(options->allow_layout, changes->pdata[i]))
			g_ptr_array_remove_index(changes, i);
	if (!forget_local(kernel, overlay, work->unit, changes, error))
		return FALSE;
	return !changes->len || refuse_types(work, changes, error);
}

static gboolean exports_something(const KmObject *object)
{
	for (guint i = 0; i < object->sections->len; i++) {
		const KmSection *section = object->sections->pdata[i];
		if (g_str_has_prefix(section->name, "___ksymtab") || g_str_has_prefix(section->name, "__ksymtab") ||
		    !strcmp(section->name, ".export_symbol"))
			return TRUE;
	}
	return FALSE;
}

/* What lies behind a version when the types are the same: a member's name, a qualifier. No module minds that. */
static void forget_agreed(KmVersionChange *change, const KmTypes *original, const KmTypes *patched)
{
	for (guint i = change->types->len; i-- > 0;)
		if (km_types_agree(original, patched, change->types->pdata[i]))
			g_ptr_array_remove_index(change->types, i);
}

static gboolean version_allowed(const KmVersionChange *change, const KmBuildOptions *options)
{
	if (options->allow_signature && g_strv_contains((const char *const *)options->allow_signature, change->symbol))
		return TRUE;
	for (guint i = 0; i < change->types->len; i++) {
		KmTypeChange type = { .name = change->types->pdata[i] };
		if (!is_allowed(options->allow_layout, &type))
			return FALSE;
	}
	return TRUE;
}

static gboolean refuse_version(const KmUnitWork *work, const KmVersionChange *change, guint more, GError **error)
{
	const char *type = change->types->pdata[0];
	g_autofree char *others = more ? g_strdup_printf(" (and of %u more symbols)", more) : g_strdup("");
	if (!strcmp(type, change->symbol))
		return km_refuse(error,
				 "%s: the patch changes the declaration of %s, which is exported: its version would go "
				 "from 0x%08x to 0x%08x%s. Modules were compiled against the old one; give the new "
				 "function another name, or, when they do not use it, give --allow-signature %s",
				 work->unit->source, change->symbol, change->was, change->now, others, change->symbol);
	return km_refuse(
		error,
		"%s: the patch changes %s, a type behind the exported symbol %s: its version would go from "
		"0x%08x to 0x%08x%s. Modules were compiled against the old one; leave the type as it is (shadow "
		"variables can hold new members), or give --allow-layout %s",
		work->unit->source, type, change->symbol, change->was, change->now, others, short_name(type));
}

static gboolean check_versions(KmKernel *kernel, const KmOverlay *overlay, const KmBuildOptions *options,
			       const KmUnitWork *work, const KmTypes *original, const KmTypes *patched, GError **error)
{
	if (!exports_something(work->original))
		return TRUE;
	g_autoptr(GPtrArray) changes = km_unit_compare_versions(kernel, overlay, work->unit, error);
	if (!changes)
		return FALSE;
	for (guint i = changes->len; i-- > 0;) {
		forget_agreed(changes->pdata[i], original, patched);
		if (version_allowed(changes->pdata[i], options))
			g_ptr_array_remove_index(changes, i);
	}
	return !changes->len || refuse_version(work, changes->pdata[0], changes->len - 1, error);
}

/* The function of that name in the original, when the patch replaces it; else NULL. */
static const KmSymbol *replaced(const KmUnitWork *work, const char *name)
{
	for (guint i = 0; i < work->diff->functions->len; i++) {
		const KmChange *change = work->diff->functions->pdata[i];
		if (change->status == KM_CHANGED && !strcmp(change->name, name))
			return change->original;
	}
	return NULL;
}

/* Callers outside the patch, and pointers that were stored before, go on as they were compiled. */
static gboolean check_prototypes(const KmTypes *original, const KmTypes *patched, const KmBuildOptions *options,
				 const GPtrArray *units, const KmUnitWork *work, GError **error)
{
	g_autoptr(GPtrArray) changes = km_types_compare_functions(original, patched);
	for (guint i = 0; i < changes->len; i++) {
		const KmTypeChange *change = changes->pdata[i];
		const KmSymbol *function = replaced(work, change->name);
		if (!function || (options->allow_signature &&
				  g_strv_contains((const char *const *)options->allow_signature, change->name)))
			continue;
		g_autoptr(GHashTable) functions = km_compiled_functions(units, work->unit->owner);
		g_autofree char *user = km_outside_user(&work->context, functions, function, FALSE, NULL);
		if (user)
			return km_refuse(error,
					 "%s: the patch changes how %s (%s) is called: %s. Callers that are not in the "
					 "patch, and "
					 "pointers to it, go on the old way (%s); give the new function another name, "
					 "or, when all "
					 "callers are in the patch, give --allow-signature %s",
					 work->unit->source, change->name, change->place,
					 (const char *)change->what->pdata[0], user, change->name);
	}
	return TRUE;
}

gboolean km_layout_check(KmKernel *kernel, const KmOverlay *overlay, gboolean may_change_types,
			 const KmBuildOptions *options, const GPtrArray *units, const KmUnitWork *work, GError **error)
{
	g_autofree char *was = NULL, *now = NULL;
	/* A new unit has nothing to differ from. */
	if (!may_change_types || !work->extracted || work->unit->is_new)
		return TRUE;
	if (!km_unit_compile_debug(kernel, overlay, work->unit, &was, &now, error))
		return FALSE;
	g_autoptr(KmTypes) original = km_types_read(was, overlay->source, error);
	g_autoptr(KmTypes) patched =
		original ? km_types_read(now, overlay->farm ? overlay->farm : overlay->source, error) : NULL;
	if (!patched || !check_types(kernel, overlay, original, patched, options, work, error) ||
	    !check_versions(kernel, overlay, options, work, original, patched, error))
		return FALSE;
	return check_prototypes(original, patched, options, units, work, error);
}
