/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An object is normally made by the makefile of its own directory, or of one above it, and kbuild finds the way there by itself.
 * A makefile can also list ../ objects; those kbuild makes only when they are asked for under that very name. Which there are
 * is asked of kbuild, not read out of makefiles (the names come together from variables and included files): every directory
 * whose makefile could do so prints its lists. The makefiles' text only tells which directories need not be asked.
 */
#include "kernel/elsewhere.h"

#include <fts.h>
#include <string.h>

#include "base/error.h"

#define MEMORY "elsewhere.json"
/* The target whose recipe (see kbuild.c) prints the lists. */
#define LIST_TARGET "/" KM_KBUILD_LIST

KmElsewhere *km_elsewhere_empty(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
}

const char *const *km_elsewhere_names(const KmElsewhere *elsewhere, const char *object)
{
	const GPtrArray *names = g_hash_table_lookup((GHashTable *)elsewhere, object);
	return names ? (const char *const *)names->pdata : NULL;
}

/* Only names that go up are of interest: what lies below is found by kbuild. */
static void add_name(KmElsewhere *elsewhere, const char *name)
{
	if (!strstr(name, "../"))
		return;
	g_autofree char *object = km_tree_path("", name);
	if (!object || !g_str_has_suffix(object, ".o"))
		return;
	GPtrArray *names = g_hash_table_lookup(elsewhere, object);
	if (!names) {
		names = g_ptr_array_new_with_free_func(g_free);
		g_ptr_array_set_size(names, 1);
		g_hash_table_insert(elsewhere, g_steal_pointer(&object), names);
	}
	for (guint i = 0; i + 1 < names->len; i++)
		if (!strcmp(names->pdata[i], name))
			return;
	names->pdata[names->len - 1] = g_strdup(name);
	g_ptr_array_add(names, NULL);
}

void km_elsewhere_read(KmElsewhere *elsewhere, const char *output)
{
	g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
	for (char **line = lines; *line; line++) {
		if (!g_str_has_prefix(*line, KM_KBUILD_LIST " "))
			continue;
		g_auto(GStrv) words = g_strsplit_set(*line, " \t", -1);
		for (char **word = words + 1; *word; word++)
			add_name(elsewhere, g_str_has_prefix(*word, "./") ? *word + 2 : *word);
	}
}

static gboolean suspect_line(const char *line)
{
	line += strspn(line, " \t");
	if (*line == '#')
		return FALSE;
	/* What an included file lists is not seen here. */
	gboolean include = g_str_has_prefix(line, "include") || g_str_has_prefix(line, "-include") ||
			   g_str_has_prefix(line, "sinclude");
	return include || strstr(line, "..");
}

gboolean km_elsewhere_suspect(const char *makefile)
{
	g_auto(GStrv) lines = g_strsplit(makefile, "\n", -1);
	for (char **line = lines; *line; line++)
		if (suspect_line(*line))
			return TRUE;
	return FALSE;
}

/* Top directories that go into no kernel, and the other architectures. */
static gboolean is_foreign_dir(const char *dir, const char *srcarch)
{
	static const char *const none[] = { "Documentation", "tools", "scripts", "LICENSES", "include", "debian" };
	for (gsize i = 0; i < G_N_ELEMENTS(none); i++)
		if (!strcmp(dir, none[i]))
			return TRUE;
	return g_str_has_prefix(dir, "arch/") && !strchr(dir + strlen("arch/"), '/') && srcarch &&
	       strcmp(dir + strlen("arch/"), srcarch);
}

static void look_at_makefile(GPtrArray *dirs, const char *path, const char *dir)
{
	g_autofree char *text = NULL;
	if (!g_file_get_contents(path, &text, NULL, NULL) || !km_elsewhere_suspect(text))
		return;
	if (!g_ptr_array_find_with_equal_func(dirs, dir, g_str_equal, NULL))
		g_ptr_array_add(dirs, g_strdup(dir));
}

static gint compare_names(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* The directories of the tree whose makefiles are suspect, as "dir/<list target>". */
static GPtrArray *find_suspects(const KmKbuild *kbuild)
{
	GPtrArray *dirs = g_ptr_array_new_with_free_func(g_free);
	const char *srcarch = g_environ_getenv(kbuild->env, "SRCARCH");
	char *const roots[] = { kbuild->source, NULL };
	gsize skip = strlen(kbuild->source) + 1;
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, compare_names);
	const FTSENT *entry;
	while (fts && (entry = fts_read(fts))) {
		if (entry->fts_level < 1)
			continue;
		if (entry->fts_info == FTS_D && is_foreign_dir(entry->fts_path + skip, srcarch))
			fts_set(fts, (FTSENT *)entry, FTS_SKIP);
		/* The top makefile and Kbuild have only directories. */
		if (entry->fts_level < 2 || entry->fts_info == FTS_D || entry->fts_info == FTS_DP ||
		    (strcmp(entry->fts_name, "Makefile") && strcmp(entry->fts_name, "Kbuild")))
			continue;
		g_autofree char *dir = g_path_get_dirname(entry->fts_path + skip);
		look_at_makefile(dirs, entry->fts_path, dir);
	}
	if (fts)
		fts_close(fts);
	return dirs;
}

static KmElsewhere *recall_table(const KmKbuild *kbuild)
{
	json_t *root = km_kbuild_recall(kbuild, MEMORY);
	const json_t *array = json_object_get(root, "names");
	KmElsewhere *elsewhere = json_is_array(array) ? km_elsewhere_empty() : NULL;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));
		if (name)
			add_name(elsewhere, name);
	}
	json_decref(root);
	return elsewhere;
}

static void remember_table(const KmKbuild *kbuild, const KmElsewhere *elsewhere)
{
	json_t *root = json_object();
	json_t *array = json_array();
	GHashTableIter iter;
	gpointer value;
	g_hash_table_iter_init(&iter, (GHashTable *)elsewhere);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		for (char **name = (char **)((GPtrArray *)value)->pdata; *name; name++)
			json_array_append_new(array, json_string(*name));
	json_object_set_new(root, "names", array);
	km_kbuild_remember(kbuild, MEMORY, root);
}

KmElsewhere *km_elsewhere_new(KmKbuild *kbuild, GError **error)
{
	g_autoptr(GHashTable) elsewhere = recall_table(kbuild);
	if (elsewhere)
		return g_steal_pointer(&elsewhere);
	g_autoptr(GPtrArray) dirs = find_suspects(kbuild);
	g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(g_free);
	for (guint i = 0; i < dirs->len; i++)
		g_ptr_array_add(targets, g_strconcat(dirs->pdata[i], LIST_TARGET, NULL));
	elsewhere = km_elsewhere_empty();
	if (targets->len) {
		g_autofree char *output = km_kbuild_lists(kbuild, targets, error);
		if (!output)
			return NULL;
		km_elsewhere_read(elsewhere, output);
	}
	remember_table(kbuild, elsewhere);
	return g_steal_pointer(&elsewhere);
}
