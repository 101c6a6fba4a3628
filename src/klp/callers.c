/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/callers.h"

#include <string.h>

#include "image/users.h"
#include "kernel/unit.h"
#include "kernel/where.h"

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

/* ---- in a module ---- */

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

static char *outside_module_user(KmObject *module, GHashTable *functions, const char *name)
{
	if (is_exported(module, name))
		return g_strdup("it is exported to other modules");
	for (guint s = 0; s < module->sections->len; s++) {
		const KmSection *section = module->sections->pdata[s];
		/* Rows about code (entry records, unwinding) are no users of it. */
		if (!(section->flags & SHF_ALLOC) || (km_special_find(section->name) && !km_section_is_text(section)))
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

/* ---- in the image ---- */

/* The start of a function of the image. FALSE: not proved, or it has no name of its own there. */
static gboolean address_of(const KmRefContext *c, const KmSymbol *original, guint64 *address)
{
	const KmPlace *place = c->match ? km_ref_place(c, original, NULL) : NULL;
	if (!c->image || !place || place->offset || strcmp(place->object, "vmlinux"))
		return FALSE;
	*address = place->address;
	return TRUE;
}

/* Words on a user, unless it is a call from one of functions. Start-up code calls no more, but what it has handed out stays. */
static char *judge_image_user(const KmImageUser *user, GHashTable *functions)
{
	if (user->calls && user->init)
		return NULL;
	if (!user->named)
		return g_strdup_printf("code or data of section %s refers to it", user->name);
	if (!user->calls)
		return g_strdup_printf("%s %s its address", user->name, user->code ? "takes" : "holds");
	if (!g_hash_table_contains(functions, user->name))
		return g_strdup_printf("%s calls it and is not in a file that the patch compiles anew", user->name);
	return user->of_name == 1 ? NULL
				  : g_strdup_printf("%s calls it, and there are several of that name", user->name);
}

static char *outside_image_user(const KmRefContext *c, GHashTable *functions, const KmSymbol *original)
{
	guint64 address;
	if (!address_of(c, original, &address))
		return g_strdup("built-in code can call it from anywhere");
	if (km_image_is_exported(c->image, address))
		return g_strdup("it is exported to modules");
	if (km_image_is_kfunc(c->image, original->name))
		return g_strdup("BPF programs can call it");
	g_autoptr(GPtrArray) users = km_image_users(c->image, address);
	char *why = users ? NULL : g_strdup("built-in code can call it from anywhere");
	for (guint i = 0; users && !why && i < users->len; i++)
		why = judge_image_user(users->pdata[i], functions);
	return why;
}

char *km_outside_user(const KmRefContext *c, GHashTable *functions, const KmSymbol *original)
{
	if (!functions)
		return g_strdup("its callers could not be read");
	return c->module ? outside_module_user(c->module, functions, original->name)
			 : outside_image_user(c, functions, original);
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
	GArray *next; /* of guint64: those without an entry whose callers are asked next */
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
static gboolean can_be_redirected(const KmImage *image, const KmImageUser *user)
{
	g_autofree char *root = km_name_is_cold_part(user->name) ? km_name_root(user->name) : NULL;
	const GArray *found = root ? km_image_lookup(image, root) : NULL;
	gsize n;
	if (!found || found->len != 1)
		return user->has_entry;
	guint64 at = km_image_symbols(image, &n)[g_array_index(found, guint32, 0)].address;
	return km_image_has_entry(image, at, at + KM_IMAGE_PROLOGUE) == 1;
}

static void note_user(Search *search, const KmImageUser *user, gboolean direct)
{
	g_autofree char *words = named(search->c, user->name);
	if ((user->calls && user->init) || !g_hash_table_add(search->seen, g_strdup(user->name)))
		return;
	if (!user->calls && direct)
		g_ptr_array_add(search->holders, g_steal_pointer(&words));
	if (!user->calls)
		return;
	if (can_be_redirected(search->c->image, user)) {
		g_ptr_array_add(search->can, g_steal_pointer(&words));
		return;
	}
	if (direct)
		g_ptr_array_add(search->cannot, g_steal_pointer(&words));
	if (user->named)
		g_array_append_val(search->next, user->address);
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
	if (search->holders->len)
		return g_strdup_printf("nothing calls it by name: its address is in %s; make the change in the code "
				       "that calls it through that pointer",
				       holders);
	return g_strdup("nothing in the kernel calls it by name");
}

char *km_who_would_do(const KmRefContext *c, const KmSymbol *original)
{
	guint64 address;
	if (c->module || !address_of(c, original, &address))
		return g_strdup("make the change in its callers instead");
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) can = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) cannot = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) holders = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GArray) now = g_array_new(FALSE, FALSE, sizeof(guint64));
	guint searches = 0, levels = 0;
	g_array_append_val(now, address);
	g_hash_table_add(seen, g_strdup(original->name));
	for (; levels < MAX_LEVELS && now->len && !can->len; levels++) {
		g_autoptr(GArray) next = g_array_new(FALSE, FALSE, sizeof(guint64));
		Search search = { c, seen, can, cannot, holders, next };
		for (guint i = 0; i < now->len && searches++ < MAX_SEARCHES; i++) {
			g_autoptr(GPtrArray) users = km_image_users(c->image, g_array_index(now, guint64, i));
			for (guint k = 0; users && k < users->len; k++)
				note_user(&search, users->pdata[k], !levels);
		}
		g_array_unref(now);
		now = g_steal_pointer(&next);
	}
	const Search search = { c, seen, can, cannot, holders, NULL };
	return conclude(&search, levels == 1);
}
