/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/callers.h"

#include <string.h>

#include "image/users.h"
#include "kernel/unit.h"
#include "kernel/where.h"
#include "klp/users.h"

GHashTable *km_compiled_functions(const GPtrArray *units, const char *owner)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < units->len; i++) {
		const KmUnit *unit = units->pdata[i];
		if (strcmp(unit->owner, owner) || unit->is_new)
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

/* ---- users ---- */

/* A function that runs: by its address in the image, or as a symbol of the stock module. */
typedef struct {
	guint64 address;
	const KmSymbol *symbol;
} Target;

/* Two static functions of a name are told apart by the proof. */
static const KmSymbol *find_in_module(const KmRefContext *c, const KmSymbol *original)
{
	gboolean local = original->bind == STB_LOCAL;
	const KmPlace *place = local && c->match ? km_ref_place(c, original, NULL) : NULL;
	const KmSymbol *found = NULL;
	for (guint i = 0; (!local || place) && i < c->module->symbols->len; i++) {
		const KmSymbol *symbol = c->module->symbols->pdata[i];
		if (!symbol->section || symbol->type != STT_FUNC || (symbol->bind == STB_LOCAL) != local ||
		    strcmp(symbol->name, local ? place->name : original->name) ||
		    (local && symbol->value != place->address))
			continue;
		if (found)
			return NULL;
		found = symbol;
	}
	return found;
}

/* FALSE: not proved, or it has no name of its own there. */
static gboolean find_target(const KmRefContext *c, const KmSymbol *original, Target *target)
{
	*target = (Target){ 0 };
	if (c->module)
		return (target->symbol = find_in_module(c, original)) != NULL;
	const KmPlace *place = c->image && c->match ? km_ref_place(c, original, NULL) : NULL;
	if (!place || place->offset || strcmp(place->object, "vmlinux"))
		return FALSE;
	target->address = place->address;
	return TRUE;
}

/* NULL: it cannot be asked. */
static GPtrArray *users_of(const KmRefContext *c, const Target *target)
{
	return c->module ? km_module_users(c->module, target->symbol) : km_image_users(c->image, target->address);
}

static const char *when_it_runs(const KmImageUser *user)
{
	return user->symbol && g_str_has_prefix(user->symbol->section->name, ".exit") ? "removed" : "loaded";
}

/* Words on a user, unless it is a call from a function that could be replaced. */
static char *judge_user(const KmImageUser *user, gboolean ignore_init)
{
	if (user->calls && user->init && ignore_init)
		return NULL;
	if (!user->named)
		return g_strdup_printf("code or data of section %s refers to it", user->name);
	if (!user->calls)
		return g_strdup_printf("%s %s its address", user->name, user->code ? "takes" : "holds");
	if (user->init)
		return g_strdup_printf("%s, which cannot be replaced, calls it when the module is %s", user->name,
				       when_it_runs(user));
	return NULL;
}

char *km_caller_key(const char *name, guint64 address)
{
	return g_strdup_printf("%s@%" G_GINT64_MODIFIER "x", name, address);
}

/* Start-up code that does not count is none, whoever has it. */
static gboolean is_missing(const KmImageUser *user, GHashTable *functions, gboolean ignore_init)
{
	if (user->calls && user->init && ignore_init)
		return FALSE;
	g_autofree char *key = user->of_name == 1 ? g_strdup(user->name) : km_caller_key(user->name, user->address);
	return !g_hash_table_contains(functions, key);
}

/* Who stands in the way for good comes before those that only are not compiled anew. */
static char *judge_users(const GPtrArray *users, GHashTable *functions, gboolean ignore_init, GPtrArray *callers)
{
	const KmImageUser *missing = NULL;
	for (guint i = 0; i < users->len; i++) {
		const KmImageUser *user = users->pdata[i];
		char *why = judge_user(user, ignore_init);
		if (why && callers)
			g_ptr_array_set_size(callers, 0);
		if (why)
			return why;
		if (!is_missing(user, functions, ignore_init))
			continue;
		missing = missing ? missing : user;
		if (callers)
			g_ptr_array_add(callers, g_strdup(user->name));
	}
	if (!missing)
		return NULL;
	if (missing->of_name != 1 && g_hash_table_contains(functions, missing->name))
		return g_strdup_printf("%s calls it, and there are several of that name", missing->name);
	return g_strdup_printf("%s calls it and is not in a file that the patch compiles anew", missing->name);
}

/* Words on users that neither the image nor the module shows; NULL: there are none. */
static char *hidden_user(const KmRefContext *c, const Target *target, const char *name)
{
	g_autofree char *record = g_strconcat("__ksymtab_", name, NULL);
	if (c->module)
		return km_object_find_symbol(c->module, record) ? g_strdup("it is exported to other modules") : NULL;
	if (km_image_is_exported(c->image, target->address))
		return g_strdup("it is exported to modules");
	return km_image_is_kfunc(c->image, name) ? g_strdup("BPF programs can call it") : NULL;
}

char *km_outside_user(const KmRefContext *c, GHashTable *functions, const KmSymbol *original, gboolean ignore_init,
		      GPtrArray *callers)
{
	Target target;
	if (!functions)
		return g_strdup("its callers could not be read");
	if (!find_target(c, original, &target))
		return g_strdup_printf("%s code can call it from anywhere", c->module ? "the module's" : "built-in");
	char *why = hidden_user(c, &target, original->name);
	g_autoptr(GPtrArray) users = why ? NULL : users_of(c, &target);
	if (!why && !users)
		return g_strdup("built-in code can call it from anywhere");
	if (!why)
		why = judge_users(users, functions, ignore_init || !c->module, callers);
	return why;
}

/* ---- who would do ---- */

/* Callers of callers of callers: further away hardly anybody can do what the function should. */
#define MAX_LEVELS 3
/* A function with many callers is found anywhere. */
#define MAX_SEARCHES 16
#define MAX_NAMED 3

typedef struct {
	const KmRefContext *c;
	GHashTable *seen; /* name */
	GPtrArray *can; /* of char*: have an entry */
	GPtrArray *cannot; /* of char*: call it directly, and have none */
	GPtrArray *holders; /* of char*: have its address */
	GPtrArray *startup; /* of char*: call it when the kernel or the module starts or leaves */
	GArray *next; /* of Target: those without an entry whose callers are asked next */
} Search;

/* With its place where that is known: in the unit at hand. */
static char *named(const KmRefContext *c, const char *name)
{
	g_autofree char *root = km_name_root(name);
	const KmSymbol *symbol = c->original ? km_object_find_symbol(c->original, name) : NULL;
	if (!symbol || !symbol->section || symbol->type != STT_FUNC)
		return g_strdup(root);
	g_autofree char *at = km_where(c->kernel->source, c->plain->path, root);
	return g_strdup_printf("%s (%s)", root, at);
}

/* The body that a part belongs to has its entry. */
static gboolean can_be_redirected(const KmRefContext *c, const KmImageUser *user)
{
	g_autofree char *root = !c->module && km_name_is_cold_part(user->name) ? km_name_root(user->name) : NULL;
	const GArray *found = root ? km_image_lookup(c->image, root) : NULL;
	gsize n;
	if (!found || found->len != 1)
		return user->has_entry;
	guint64 at = km_image_symbols(c->image, &n)[g_array_index(found, guint32, 0)].address;
	return km_image_has_entry(c->image, at, at + KM_IMAGE_PROLOGUE) == 1;
}

/* The list that a user belongs to; NULL: none. */
static GPtrArray *list_for(const Search *search, const KmImageUser *user, gboolean direct)
{
	if (!user->calls)
		return direct ? search->holders : NULL;
	if (user->init)
		return direct ? search->startup : NULL;
	if (can_be_redirected(search->c, user))
		return search->can;
	return direct ? search->cannot : NULL;
}

static void note_user(Search *search, const KmImageUser *user, gboolean direct)
{
	GPtrArray *list = list_for(search, user, direct);
	if (!g_hash_table_add(search->seen, g_strdup(user->name)))
		return;
	g_autofree char *words = named(search->c, user->name);
	if (list && !g_ptr_array_find_with_equal_func(list, words, g_str_equal, NULL))
		g_ptr_array_add(list, g_steal_pointer(&words));
	const Target target = { user->address, user->symbol };
	if (list != search->can && user->calls && !user->init && user->named)
		g_array_append_val(search->next, target);
}

static char *list(const GPtrArray *names)
{
	GString *text = g_string_new(NULL);
	for (guint i = 0; i < names->len && i < MAX_NAMED; i++)
		g_string_append_printf(text, "%s%s", i ? ", " : "", (const char *)names->pdata[i]);
	if (names->len > MAX_NAMED)
		g_string_append_printf(text, " and %u more", names->len - MAX_NAMED);
	return g_string_free(text, FALSE);
}

static char *conclude_none(const Search *search)
{
	g_autofree char *holders = list(search->holders), *startup = list(search->startup);
	if (search->holders->len)
		return g_strdup_printf("nothing calls it by name: its address is in %s; make the change in the code "
				       "that calls it through that pointer",
				       holders);
	if (search->startup->len && search->c->module)
		return g_strdup_printf("only code that runs when the module is loaded or removed calls it (%s): leave "
				       "the change out, or replace the module",
				       startup);
	if (search->startup->len)
		return g_strdup_printf("only start-up code calls it (%s), and that has run: leave the change out",
				       startup);
	return g_strdup_printf("nothing in %s calls it by name", search->c->module ? search->c->owner : "the kernel");
}

static char *conclude(const Search *search, gboolean direct)
{
	g_autofree char *can = list(search->can), *cannot = list(search->cannot), *holders = list(search->holders);
	g_autofree char *neither =
		search->cannot->len && direct ? g_strdup_printf(" (%s: not redirected either)", cannot) : g_strdup("");
	g_autofree char *through =
		search->holders->len ? g_strdup_printf("; code that calls it through a pointer finds it in %s", holders)
				     : g_strdup("");
	if (search->can->len && direct)
		return g_strdup_printf("make the change in what calls it instead: %s%s%s", can, neither, through);
	if (search->can->len)
		return g_strdup_printf(
			"what calls it (%s) cannot be redirected either; make the change further up: %s%s", cannot, can,
			through);
	if (search->cannot->len)
		return g_strdup_printf("nothing that calls it can be redirected either: %s%s", cannot, through);
	return conclude_none(search);
}

/* One level up: the users of all of now. */
static void search_level(Search *search, const GArray *now, guint *searches, gboolean direct)
{
	for (guint i = 0; i < now->len && (*searches)++ < MAX_SEARCHES; i++) {
		g_autoptr(GPtrArray) users = users_of(search->c, &g_array_index(now, Target, i));
		for (guint k = 0; users && k < users->len; k++)
			note_user(search, users->pdata[k], direct);
	}
}

static void search_clear(Search *search)
{
	g_hash_table_unref(search->seen);
	g_ptr_array_unref(search->can);
	g_ptr_array_unref(search->cannot);
	g_ptr_array_unref(search->holders);
	g_ptr_array_unref(search->startup);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Search, search_clear)

char *km_who_would_do(const KmRefContext *c, const KmSymbol *original)
{
	Target target;
	if (!find_target(c, original, &target))
		return g_strdup("make the change in its callers instead");
	g_auto(Search) search = {
		.c = c,
		.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
		.can = g_ptr_array_new_with_free_func(g_free),
		.cannot = g_ptr_array_new_with_free_func(g_free),
		.holders = g_ptr_array_new_with_free_func(g_free),
		.startup = g_ptr_array_new_with_free_func(g_free),
	};
	g_autoptr(GArray) now = g_array_new(FALSE, FALSE, sizeof(Target));
	guint searches = 0, levels = 0;
	g_array_append_val(now, target);
	g_hash_table_add(search.seen, g_strdup(original->name));
	for (; levels < MAX_LEVELS && now->len && !search.can->len; levels++) {
		search.next = g_array_new(FALSE, FALSE, sizeof(Target));
		search_level(&search, now, &searches, !levels);
		g_array_unref(now);
		now = g_steal_pointer(&search.next);
	}
	return conclude(&search, levels == 1);
}
