/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/carry.h"

#include <string.h>

#include "base/error.h"
#include "kernel/where.h"
#include "klp/callers.h"

typedef struct {
	GPtrArray *works; /* of KmUnitWork */
	const KmCarryOptions *options;
	GHashTable *changed; /* KmSymbol of patched objects: all functions that are replaced */
} Carry;

static gboolean is_startup(const KmSymbol *function)
{
	return g_str_has_prefix(function->section->name, ".init") || g_str_has_prefix(function->section->name, ".exit");
}

/* The kernel's start-up code has run. A module's runs, as it was compiled, whenever the module is loaded. */
static gboolean leave_startup(const Carry *carry, KmUnitWork *work, const KmSymbol *function, const char *callee,
			      GError **error)
{
	g_autofree char *what =
		g_strdup_printf("%s, start-up or exit code, calls %s, which changed and has no patchable entry of its "
				"own",
				function->name, callee);
	if (!work->context.module)
		return TRUE;
	if (!carry->options->ignore_init) {
		g_autofree char *root = km_name_root(function->name);
		g_autofree char *at = km_where(work->context.kernel->source, work->unit->source, root);
		return km_refuse(error,
				 "%s: %s: it is not replaced, and goes on as it was when the module is loaded or "
				 "removed; --ignore-init accepts that",
				 at, what);
	}
	g_ptr_array_add(work->diff->ignored, g_strdup_printf("%s: left out as --ignore-init asks", what));
	g_ptr_array_add(carry->options->notes,
			g_strdup_printf("%s: %s: left out as --ignore-init asks", work->unit->source, what));
	return TRUE;
}

/* Adds function to what is replaced, unless it is or is start-up code. */
static gboolean replace(const Carry *carry, KmUnitWork *work, KmSymbol *function, const char *callee, GError **error)
{
	KmSymbol *original = g_hash_table_lookup(work->diff->twins, function);
	if (!original || g_hash_table_contains(carry->changed, function))
		return TRUE;
	g_hash_table_add(carry->changed, function);
	if (is_startup(function))
		return leave_startup(carry, work, function, callee, error);
	KmChange *change = g_new0(KmChange, 1);
	change->name = g_strdup(function->name);
	change->status = KM_CHANGED;
	change->original = original;
	change->patched = function;
	change->reasons = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(change->reasons,
			g_strdup_printf("calls %s, which changed and has no patchable entry of its own", callee));
	change->carried_for = g_strdup(callee);
	g_ptr_array_add(work->diff->functions, change);
	return TRUE;
}

/* A function and its cold part go together: they jump into each other. */
static gboolean replace_with_parts(const Carry *carry, KmUnitWork *work, KmSymbol *function, const char *callee,
				   GError **error)
{
	const GPtrArray *symbols = work->diff->patched->symbols;
	const char *cold = km_name_is_cold_part(function->name) ? strstr(function->name, ".cold") : NULL;
	gsize length = cold ? (gsize)(cold - function->name) : strlen(function->name);
	for (guint i = 0; i < symbols->len; i++) {
		KmSymbol *symbol = symbols->pdata[i];
		if (symbol->type != STT_FUNC || !symbol->section || strncmp(symbol->name, function->name, length))
			continue;
		const char *rest = symbol->name + length;
		if ((!*rest || (g_str_has_prefix(rest, ".cold") && km_name_is_cold_part(symbol->name))) &&
		    !replace(carry, work, symbol, callee, error))
			return FALSE;
	}
	return TRUE;
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

/* Another unit of the same kernel or module. */
static gboolean is_neighbour(const KmUnitWork *work, const KmUnitWork *other)
{
	return other != work && !strcmp(other->unit->owner, work->unit->owner);
}

static const KmChange *find_change(const KmUnitWork *work, const char *name)
{
	for (guint i = 0; i < work->diff->functions->len; i++) {
		const KmChange *change = work->diff->functions->pdata[i];
		if (change->status == KM_CHANGED && !strcmp(change->name, name))
			return change;
	}
	return NULL;
}

/* What change is carried for, back to what the author changed. *work goes along. */
static const KmChange *find_origin(const Carry *carry, const KmUnitWork **work, const KmChange *change)
{
	/* Each step was added after the one that it leads to: there is no circle. */
	while (change->carried_for) {
		const KmUnitWork *from = *work;
		const KmChange *callee = find_change(from, change->carried_for);
		for (guint i = 0; !callee && i < carry->works->len; i++) {
			const KmUnitWork *other = carry->works->pdata[i];
			callee = is_neighbour(from, other) ? find_change(other, change->carried_for) : NULL;
			*work = callee ? other : from;
		}
		if (!callee)
			break;
		change = callee;
	}
	return change;
}

/* Why the compiler gave it none. */
static const char *why_bare(const KmUnitWork *work, const KmChange *change)
{
	const char *section = change->original->section->name;
	const KmPlace *place = km_ref_place(&work->context, change->original, NULL);
	if (place && place->ambiguous)
		return "an overridden weak function without a name is behind it, whose entry the kernel may take for "
		       "its";
	if (g_str_has_prefix(section, ".noinstr") || g_str_has_prefix(section, ".entry"))
		return "it is noinstr: tracing must not be entered from it";
	if (!km_object_find_section(work->original, "__mcount_loc") &&
	    !km_object_find_section(work->original, "__patchable_function_entries"))
		return "its file is compiled without ftrace, or all of it is notrace";
	return "it is notrace, or inline, which means notrace";
}

static char *where(const KmUnitWork *work, const KmChange *change)
{
	g_autofree char *root = km_name_root(change->name);
	return km_where(work->context.kernel->source, work->unit->source, root);
}

/* What stands in the way may be far from what the author changed; the remedy is for that. */
static gboolean refuse_user(const Carry *carry, const KmUnitWork *work, const KmChange *change, const char *how,
			    GError **error)
{
	const KmUnitWork *changed_in = work;
	const KmChange *origin = find_origin(carry, &changed_in, change);
	g_autofree char *at = where(changed_in, origin), *there = where(work, change);
	g_autofree char *remedy = km_who_would_do(&changed_in->context, origin->original);
	g_autofree char *way = origin == change
				       ? g_strdup("")
				       : g_strdup_printf(", nor has %s (%s), which would have to be replaced with it,",
							 change->name, there);
	return km_refuse(error, "%s: %s has no patchable entry (%s)%s and %s; %s", at, origin->name,
			 why_bare(changed_in, origin), way, how, remedy);
}

/* Whoever refers to function, as object knows it, by a relocation of section is replaced with it. */
static gboolean take_users_in(const Carry *carry, KmUnitWork *work, const KmSection *section, const KmSymbol *function,
			      const char **how, GError **error)
{
	KmObject *object = work->diff->patched;
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
		gboolean meant = function->section ? same_place(function_meant(object, section, i), function)
						   : r->symbol == function;
		if (!meant)
			continue;
		KmSymbol *user = km_section_is_text(section) ? km_object_symbol_at(object, section, r->offset) : NULL;
		if (user && function->section && same_place(user, function))
			continue;
		if (!user || !km_arch_is_branch(object->arch, section, i)) {
			*how = "its address is taken";
			return FALSE;
		}
		if (!replace_with_parts(carry, work, user, function->name, error))
			return FALSE;
	}
	return TRUE;
}

/* Callers in the same section need no relocation. */
static gboolean take_neighbours(const Carry *carry, KmUnitWork *work, const KmSymbol *function, GError **error)
{
	KmObject *object = work->diff->patched;
	const KmSection *section = function->section;
	for (guint i = 0; object->arch->branches_out && i < object->symbols->len; i++) {
		KmSymbol *user = object->symbols->pdata[i];
		if (user->section != section || user->type != STT_FUNC || same_place(user, function))
			continue;
		g_autoptr(GArray) branches = object->arch->branches_out(section, user->value, user->value + user->size);
		for (guint k = 0; k < branches->len; k++) {
			guint64 target = g_array_index(branches, KmBranch, k).target;
			if (target >= function->value && target - function->value < function->size &&
			    !replace_with_parts(carry, work, user, function->name, error))
				return FALSE;
		}
	}
	return TRUE;
}

/* FALSE without error: how says why not. */
static gboolean take_users(const Carry *carry, KmUnitWork *work, const KmSymbol *function, const char **how,
			   GError **error)
{
	for (guint i = 0; i < work->diff->patched->sections->len; i++) {
		const KmSection *section = work->diff->patched->sections->pdata[i];
		/* Nobody calls a function through a list of those that take no probes. */
		if (!(section->flags & SHF_ALLOC) || km_section_is_about_code(section) ||
		    km_section_names_functions(section))
			continue;
		if (!take_users_in(carry, work, section, function, how, error))
			return FALSE;
	}
	return !function->section || take_neighbours(carry, work, function, error);
}

/* Callers in other units, by each of the function's names. Another name would lead replaced callers to the old one. */
static gboolean take_users_elsewhere(const Carry *carry, KmUnitWork *work, const KmSymbol *function, const char **how,
				     GError **error)
{
	for (guint i = 0; i < work->diff->patched->symbols->len; i++) {
		const KmSymbol *name = work->diff->patched->symbols->pdata[i];
		if (name->type != STT_FUNC || name->bind == STB_LOCAL || !name->section || !same_place(name, function))
			continue;
		for (guint k = 0; k < carry->works->len; k++) {
			KmUnitWork *other = carry->works->pdata[k];
			const KmSymbol *used = is_neighbour(work, other)
						       ? km_object_find_symbol(other->diff->patched, name->name)
						       : NULL;
			if (!used || used->section)
				continue;
			if (name != function) {
				*how = "other files call it by another name";
				return FALSE;
			}
			if (!take_users(carry, other, used, how, error))
				return FALSE;
		}
	}
	return TRUE;
}

/* TRUE when the running kernel can redirect it; also when that is found out later, with an error of its own. */
static gboolean has_entry(const KmUnitWork *work, const KmChange *change)
{
	const KmPlace *place = km_ref_place(&work->context, change->original, NULL);
	return !place || place->patchable;
}

/* One that shares its name in the image is told by the proof. */
static void add_function(GHashTable *names, const KmUnitWork *work, const KmSymbol *function)
{
	const KmRefContext *c = &work->context;
	const GArray *same = c->module ? NULL : km_image_lookup(c->image, function->name);
	g_hash_table_add(names, g_strdup(function->name));
	if (!same || same->len < 2)
		return;
	const KmPlace *place = km_ref_place(c, function, NULL);
	if (place && !place->offset)
		g_hash_table_add(names, km_caller_key(place->name, place->address));
}

static void add_functions(GHashTable *names, const KmUnitWork *work)
{
	for (guint i = 0; i < work->original->symbols->len; i++) {
		const KmSymbol *symbol = work->original->symbols->pdata[i];
		if (symbol->section && symbol->type == STT_FUNC)
			add_function(names, work, symbol);
	}
}

/* Words on who calls a global function besides the units at hand; NULL: nobody does. */
static char *outside_user(const Carry *carry, const KmUnitWork *work, const KmChange *change, GPtrArray *callers)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < carry->works->len; i++) {
		const KmUnitWork *other = carry->works->pdata[i];
		if (!other->unit->is_new && (other == work || is_neighbour(work, other)))
			add_functions(names, other);
	}
	return km_outside_user(&work->context, names, change->original, carry->options->ignore_init, callers);
}

/* The units that call a global function belong to the live patch from now on. */
static gboolean call_in(Carry *carry, KmUnitWork *work, const KmChange *change, char **user, GError **error)
{
	g_autoptr(GPtrArray) callers = g_ptr_array_new_with_free_func(g_free);
	*user = outside_user(carry, work, change, callers);
	if (!callers->len || !carry->options->call_in)
		return TRUE;
	if (!carry->options->call_in(work, change->original, callers, carry->options->data, error))
		return FALSE;
	g_free(*user);
	g_ptr_array_set_size(callers, 0);
	*user = outside_user(carry, work, change, callers);
	if (callers->len) {
		g_free(*user);
		*user = g_strdup_printf("%s calls it, which is assembly or in no C file that speaks of it",
					(const char *)callers->pdata[0]);
	}
	return TRUE;
}

static gboolean carry_one(Carry *carry, KmUnitWork *work, const KmChange *change, GError **error)
{
	KmSymbol *function = change->patched;
	g_autofree char *user = NULL;
	g_autoptr(GError) local = NULL;
	const char *how = NULL;
	if (change->status != KM_CHANGED || change->init || !function || km_name_is_cold_part(change->name) ||
	    has_entry(work, change))
		return TRUE;
	gboolean global = function->bind != STB_LOCAL;
	if (global && !call_in(carry, work, change, &user, error))
		return FALSE;
	if (user)
		return refuse_user(carry, work, change, user, error);
	g_hash_table_add(work->carried, function);
	if (take_users(carry, work, function, &how, &local) &&
	    (!global || take_users_elsewhere(carry, work, function, &how, &local)))
		return TRUE;
	if (!local)
		return refuse_user(carry, work, change, how, error);
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

/* What there is to look at in a unit that nobody has looked at yet. */
static void note_changed(const Carry *carry, KmUnitWork *work)
{
	if (work->carried)
		return;
	work->carried = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < work->diff->functions->len; i++) {
		const KmChange *change = work->diff->functions->pdata[i];
		if (change->patched)
			g_hash_table_add(carry->changed, change->patched);
	}
}

/* One round over all units; more is set when there may be another. */
static gboolean carry_all(Carry *carry, gboolean *more, GError **error)
{
	for (guint w = 0; w < carry->works->len; w++) {
		KmUnitWork *work = carry->works->pdata[w];
		note_changed(carry, work);
		/* The list grows while it is walked: a caller may have no entry either. */
		for (; work->settled < work->diff->functions->len; work->settled++) {
			*more = TRUE;
			if (!carry_one(carry, work, work->diff->functions->pdata[work->settled], error))
				return FALSE;
		}
	}
	return TRUE;
}

gboolean km_carry(GPtrArray *works, const KmCarryOptions *options, GError **error)
{
	g_autoptr(GHashTable) changed = g_hash_table_new(NULL, NULL);
	Carry carry = { .works = works, .options = options, .changed = changed };
	gboolean more = TRUE;
	for (guint i = 0; i < works->len; i++)
		note_changed(&carry, works->pdata[i]);
	while (more) {
		more = FALSE;
		if (!carry_all(&carry, &more, error))
			return FALSE;
	}
	return TRUE;
}
