/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/lists.h"

#include <string.h>

#include "base/error.h"
#include "kernel/farm.h"

/* The objects that the makefile of dir lists, as a set; empty when kbuild does not go there in this configuration. */
static GHashTable *read_lists(KmKbuild *kbuild, const char *dir)
{
	GHashTable *objects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(targets, g_strconcat(dir, "/" KM_KBUILD_LIST, NULL));
	g_autofree char *output = km_kbuild_lists(kbuild, targets, NULL);
	g_auto(GStrv) lines = g_strsplit(output ? output : "", "\n", -1);
	for (char **line = lines; *line; line++) {
		if (!g_str_has_prefix(*line, KM_KBUILD_LIST " "))
			continue;
		g_auto(GStrv) words = g_strsplit_set(*line, " \t", -1);
		for (char **word = words + 1; *word; word++)
			if (g_str_has_suffix(*word, ".o"))
				g_hash_table_add(objects, g_strdup(g_str_has_prefix(*word, "./") ? *word + 2 : *word));
	}
	return objects;
}

static GHashTable *by_object(GPtrArray *recipes)
{
	GHashTable *table = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < recipes->len; i++)
		g_hash_table_insert(table, ((KmRecipe *)recipes->pdata[i])->object, recipes->pdata[i]);
	return table;
}

/* Is it made by the same command, for the same module? */
static gboolean is_same_recipe(const KmRecipe *before, const KmRecipe *after, const KmKbuild *pristine,
			       const KmKbuild *farm)
{
	if (!before || !after)
		return before == after;
	g_auto(GStrv) argv = km_farm_map_command(after->argv, farm->source, pristine->source);
	return before->builtin == after->builtin && before->module == after->module &&
	       !strcmp(before->modname, after->modname) && !strcmp(before->modules, after->modules) &&
	       g_strv_equal((const char *const *)before->argv, (const char *const *)argv);
}

static gboolean check_kept(KmKbuild *pristine, KmKbuild *farm, const KmTouched *makefile, GPtrArray *kept,
			   GError **error)
{
	const char *const *names = (const char *const *)kept->pdata;
	g_autoptr(GPtrArray) old = km_kbuild_recipes(pristine, names, error);
	g_autoptr(GPtrArray) now = old ? km_kbuild_recipes(farm, names, error) : NULL;
	if (!now)
		return FALSE;
	g_autoptr(GHashTable) before = by_object(old);
	g_autoptr(GHashTable) after = by_object(now);
	for (; *names; names++)
		if (!is_same_recipe(g_hash_table_lookup(before, *names), g_hash_table_lookup(after, *names), pristine,
				    farm))
			return km_refuse(error,
					 "%s: with the changed %s, %s is built in another way or into another module; the "
					 "running kernel's cannot move",
					 makefile->patch, makefile->path, *names);
	return TRUE;
}

GPtrArray *km_lists_added(KmKbuild *pristine, KmKbuild *farm, const KmTouched *makefile, GError **error)
{
	g_autofree char *dir = g_path_get_dirname(makefile->path);
	g_autoptr(GHashTable) before = read_lists(pristine, dir);
	g_autoptr(GHashTable) after = read_lists(farm, dir);
	g_autoptr(GPtrArray) added = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) kept = g_ptr_array_new();
	GHashTableIter iter;
	gpointer name;
	g_hash_table_iter_init(&iter, before);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		if (!g_hash_table_contains(after, name))
			return km_refuse_null(error,
					      "%s: %s no longer lists %s: a live patch cannot take a file out of the running "
					      "kernel; leave it in",
					      makefile->patch, makefile->path, (char *)name);
		g_ptr_array_add(kept, name);
	}
	g_hash_table_iter_init(&iter, after);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		if (!g_hash_table_contains(before, name))
			g_ptr_array_add(added, g_strdup(name));
	g_ptr_array_add(kept, NULL);
	if (!check_kept(pristine, farm, makefile, kept, error))
		return NULL;
	return g_steal_pointer(&added);
}
