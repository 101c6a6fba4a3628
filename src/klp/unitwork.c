/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/unitwork.h"

#include <string.h>

#include "base/error.h"
#include "image/module.h"
#include "kernel/where.h"
#include "klp/newunit.h"

/* Reasons beyond this many are counted, not listed: a message is one line. */
#define MAX_LISTED 4

void km_unit_work_free(KmUnitWork *work)
{
	if (!work)
		return;
	km_object_free(work->extracted);
	g_free(work->overridden);
	g_clear_pointer(&work->plain_twins, g_hash_table_unref);
	g_clear_pointer(&work->carried, g_hash_table_unref);
	g_clear_pointer(&work->diff, km_diff_free);
	g_clear_pointer(&work->author, km_author_free);
	g_clear_pointer(&work->match, km_match_free);
	km_object_free(work->module);
	km_object_free(work->patched);
	km_object_free(work->plain);
	km_object_free(work->original);
	g_free(work);
}

/* Callbacks for the author, instead of those changes of variables that were refused. */
static gboolean write_skeletons(const KmUnitWork *work, const char *path, GError **error)
{
	g_autofree char *skeleton = path ? km_diff_skeleton(work->diff) : NULL;
	g_autofree char *text = g_strdup_printf("/* %s */\n%s", work->unit->source, skeleton);
	return !skeleton || g_file_set_contents(path, text, -1, error);
}

/* File and line of a symbol in the source, for messages. */
static char *where(const KmUnitWork *work, const char *symbol)
{
	g_autofree char *root = km_name_root(symbol);
	return km_where(work->context.kernel->source, work->unit->source, root);
}

static gboolean check_refusals(const KmUnitWork *work, const char *skeleton, GError **error)
{
	if (!write_skeletons(work, skeleton, error))
		return FALSE;
	const GPtrArray *refused = work->diff->refused;
	g_autoptr(GString) text = g_string_new(NULL);
	for (guint i = 0; i < refused->len && i < MAX_LISTED; i++) {
		const KmRefusal *r = refused->pdata[i];
		g_autofree char *place = where(work, r->name);
		g_string_append_printf(text, "%s%s: %s: %s", i ? "; " : "", place, r->name, r->why);
	}
	if (refused->len > MAX_LISTED)
		g_string_append_printf(text, "; and %u more", refused->len - MAX_LISTED);
	return refused->len ? km_refuse(error, "%s", text->str) : TRUE;
}

/* What is left out is told whether somebody asks for explanations or not: the author answers for it. */
static void leave_out_startup(KmUnitWork *work, GPtrArray *notes)
{
	const KmAuthor *author = work->author;
	guint from = work->diff->ignored->len;
	km_diff_leave_out_startup(work->diff, author->callbacks[KM_PRE_PATCH] || author->callbacks[KM_POST_PATCH]);
	for (guint i = from; i < work->diff->ignored->len; i++)
		g_ptr_array_add(notes, g_strdup_printf("%s: %s", work->unit->source,
						       (const char *)work->diff->ignored->pdata[i]));
}

static gboolean is_overridden(const KmUnitWork *work, const char *name)
{
	const GPtrArray *names = km_match_overridden(work->match);
	return names && g_ptr_array_find_with_equal_func((GPtrArray *)names, name, g_str_equal, NULL);
}

/* Weak functions that another unit overrides are not in the running kernel: their changes change nothing there. */
static void forget_overridden(KmUnitWork *work)
{
	for (guint i = work->diff->functions->len; i-- > 0;) {
		const KmChange *change = work->diff->functions->pdata[i];
		if (change->status != KM_CHANGED || !is_overridden(work, change->name))
			continue;
		g_ptr_array_add(
			work->diff->ignored,
			g_strdup_printf("%s is weak, and this kernel has another definition of it", change->name));
		g_free(work->overridden);
		work->overridden = g_strdup(change->name);
		g_ptr_array_remove_index(work->diff->functions, i);
	}
}

static gboolean changes_something(const KmUnitWork *work)
{
	for (guint i = 0; i < work->diff->functions->len; i++) {
		const KmChange *change = work->diff->functions->pdata[i];
		if (change->status != KM_REMOVED && !change->init)
			return TRUE;
	}
	return FALSE;
}

/* Messages about the object speak of the file that the user knows. */
static KmObject *read_object(const KmUnit *unit, const char *path, GError **error)
{
	KmObject *object = km_object_read(path, error);
	if (object) {
		g_free(object->path);
		object->path = g_strdup(unit->source);
	}
	return object;
}

static gboolean read_objects(KmUnitWork *work, GError **error)
{
	const KmUnit *unit = work->unit;
	if (unit->module_path && !(work->module = km_module_read(unit->module_path, error)))
		return FALSE;
	return (work->original = read_object(unit, unit->original, error)) &&
	       (work->plain = read_object(unit, unit->plain, error)) &&
	       (work->patched = read_object(unit, unit->patched, error));
}

/* Why the proof can fail for a module that was not built with the kernel. */
static void explain_outside(const KmUnitWork *work, const KmKernel *kernel, GError **error)
{
	g_autofree char *foreign = work->unit->external ? km_kernel_foreign_compiler(kernel, work->module) : NULL;
	if (foreign)
		g_prefix_error(error, "%s was compiled by '%s', which is not this kernel's compiler (%s): ",
			       work->unit->module_path, foreign, kernel->compiler);
}

KmUnitWork *km_unit_work_new(KmKernel *kernel, const KmImage *image, const KmUnit *unit, const KmBuildOptions *options,
			     GPtrArray *notes, GError **error)
{
	g_autoptr(KmUnitWork) work = g_new0(KmUnitWork, 1);
	work->unit = unit;
	work->context.kernel = kernel;
	if (!read_objects(work, error) || (unit->is_new && !km_new_unit_check(unit, work->patched, error)))
		return NULL;
	if (!(work->author = km_author_take(work->patched, error)))
		return NULL;
	work->match = km_match_new(work->plain, unit->owner, image, work->module, error);
	if (!work->match)
		explain_outside(work, kernel, error);
	if (work->match)
		work->diff = km_diff_new_allowing(work->original, work->patched, TRUE, options->allow_tables, error);
	if (!work->diff)
		return NULL;
	km_author_apply(work->author, work->diff, notes);
	if (options->ignore_init)
		leave_out_startup(work, notes);
	if (!check_refusals(work, options->skeleton, error))
		return NULL;
	forget_overridden(work);
	work->plain_twins = km_plain_twins(work->original, work->plain);
	work->context = (KmRefContext){
		.kernel = kernel,
		.image = image,
		.owner = unit->owner,
		.plain = work->plain,
		.original = work->original,
		.module = work->module,
		.match = work->match,
		.diff = work->diff,
		.plain_twins = work->plain_twins,
		.by_address = options->runtime == KM_RUNTIME_OWN,
	};
	return g_steal_pointer(&work);
}

gboolean km_unit_work_extract(KmUnitWork *work, GError **error)
{
	return !changes_something(work) || (work->extracted = km_extract(work->diff, error));
}

static KmSymbol *extracted_symbol(const KmUnitWork *work, const KmSymbol *patched)
{
	for (guint i = 0; i < work->extracted->symbols->len; i++) {
		KmSymbol *symbol = work->extracted->symbols->pdata[i];
		if (symbol->user == patched && symbol->section)
			return symbol;
	}
	return NULL;
}

static gboolean check_place(const KmUnitWork *work, const KmChange *change, const KmPlace *place, GError **error)
{
	g_autofree char *at = where(work, change->name);
	if (place->offset)
		return km_refuse(error,
				 "%s: the kernel has no name of its own for %s (it is %s+%" G_GINT64_FORMAT
				 "), so it cannot be redirected; patch its callers",
				 at, change->name, place->name, place->offset);
	if (place->ambiguous)
		return km_refuse(error,
				 "%s: the kernel may take the entry of an overridden weak function without a name "
				 "behind %s for its own, and "
				 "redirect that one instead; patch its callers",
				 at, change->name);
	if (!place->patchable)
		return km_refuse(error,
				 "%s: %s has no patchable entry (it is notrace, or in a file built without ftrace): it "
				 "cannot be redirected; patch its callers instead",
				 at, change->name);
	return TRUE;
}

static void add_function(GPtrArray *functions, const KmUnitWork *work, const KmChange *change, const KmPlace *place)
{
	KmPatchedFunction *f = g_new0(KmPatchedFunction, 1);
	f->object = g_strdup(place->object);
	f->name = g_strdup(place->name);
	f->sympos = place->sympos;
	f->source = g_strdup(work->unit->source);
	f->reasons = g_ptr_array_ref(change->reasons);
	g_ptr_array_add(functions, f);
}

/* Is symbol the part that the compiler moved out of the function of that name? */
static gboolean is_cold_part_of(const KmSymbol *symbol, const char *name)
{
	gsize length = strlen(name);
	return symbol->section && symbol->type == STT_FUNC && !strncmp(symbol->name, name, length) &&
	       g_str_has_prefix(symbol->name + length, ".cold") && km_name_is_cold_part(symbol->name);
}

static gboolean add_old_part(const KmUnitWork *work, KmHook *hook, const KmSymbol *original, GError **error)
{
	const KmSymbol *plain = g_hash_table_lookup(work->plain_twins, original);
	g_autoptr(KmRef) ref = km_ref_of_original(&work->context, original, error);
	if (!ref || !plain)
		return ref ? km_fail(error, "%s: %s was not proved", work->unit->source, original->name) : FALSE;
	KmOldPart *part = g_new0(KmOldPart, 1);
	part->section = g_strdup(ref->section);
	part->name = g_strdup(ref->name);
	part->address = ref->address + (guint64)ref->offset;
	part->index = ref->offset ? 0 : ref->index;
	part->size = plain->size;
	g_ptr_array_add(hook->old_parts, part);
	return TRUE;
}

/* All code in which a task may be that is inside the old function, or the new one. */
static gboolean add_parts(const KmUnitWork *work, KmHook *hook, const KmSymbol *original, const KmObject *extracted,
			  GError **error)
{
	hook->old_parts = g_ptr_array_new_with_free_func((GDestroyNotify)km_old_part_free);
	hook->new_parts = g_ptr_array_new();
	if (!add_old_part(work, hook, original, error))
		return FALSE;
	for (guint i = 0; i < work->original->symbols->len; i++) {
		const KmSymbol *symbol = work->original->symbols->pdata[i];
		if (is_cold_part_of(symbol, original->name) && !add_old_part(work, hook, symbol, error))
			return FALSE;
	}
	g_ptr_array_add(hook->new_parts, hook->replacement);
	for (guint i = 0; i < extracted->symbols->len; i++)
		if (is_cold_part_of(extracted->symbols->pdata[i], hook->replacement->name))
			g_ptr_array_add(hook->new_parts, extracted->symbols->pdata[i]);
	return TRUE;
}

KmHook *km_unit_work_hook(const KmUnitWork *work, const KmSymbol *original, const KmPlace *place,
			  const KmObject *extracted, KmSymbol *replacement, GError **error)
{
	KmHook *hook = g_new0(KmHook, 1);
	hook->object = g_strdup(place->object);
	hook->name = g_strdup(place->name);
	hook->sympos = place->sympos;
	hook->original = original;
	hook->replacement = replacement;
	if (work->context.by_address && !add_parts(work, hook, original, extracted, error))
		g_clear_pointer(&hook, km_hook_free);
	return hook;
}

gboolean km_unit_work_hooks(const KmUnitWork *work, GPtrArray *hooks, GPtrArray *functions, GError **error)
{
	for (guint i = 0; i < work->diff->functions->len; i++) {
		const KmChange *change = work->diff->functions->pdata[i];
		if (change->status != KM_CHANGED || change->init || km_name_is_cold_part(change->name) ||
		    g_hash_table_contains(work->carried, change->patched))
			continue;
		const KmPlace *place = km_ref_place(&work->context, change->original, error);
		if (!place || !check_place(work, change, place, error))
			return FALSE;
		KmHook *hook = km_unit_work_hook(work, change->original, place, work->extracted,
						 extracted_symbol(work, change->patched), error);
		if (!hook)
			return FALSE;
		g_ptr_array_add(hooks, hook);
		add_function(functions, work, change, place);
	}
	return TRUE;
}

gboolean km_unit_work_callbacks(const KmUnitWork *work, KmContents *contents, GError **error)
{
	for (guint kind = 0; kind < KM_N_CALLBACKS; kind++) {
		const KmSymbol *function = work->author->callbacks[kind];
		KmSymbol *extracted = function && work->extracted ? extracted_symbol(work, function) : NULL;
		if (!function)
			continue;
		if (!extracted)
			return km_refuse(
				error,
				"%s: the %s callback %s is a function of the kernel itself, and the kernel would "
				"have to find it first; name a new function that calls it",
				work->unit->source, km_callback_kind_name(kind), function->name);
		KmCallback *callback = g_new0(KmCallback, 1);
		callback->object = g_strdup(work->unit->owner);
		callback->kind = kind;
		callback->source = g_strdup(work->unit->source);
		callback->function = extracted;
		if (!km_contents_add_callback(contents, callback, error))
			return FALSE;
	}
	for (guint i = 0; i < work->author->states->len; i++)
		if (!km_contents_add_state(contents, &g_array_index(work->author->states, KmState, i),
					   work->unit->source, error))
			return FALSE;
	return TRUE;
}
