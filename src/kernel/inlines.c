/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/inlines.h"

#include <string.h>

/*
 * gcc/cgraph.cc, dump_callgraph_transformation(): "Callgraph clone;NAME;order;file;line;column;NAME2;order2;file2;line2;column2;HOW".
 * HOW is "inlining to" or the kind of a clone; either way the code of NAME goes into NAME2. Names repeat with other orders when
 * functions of one name are static in several scopes; for an explanation the name is enough.
 */
enum { KIND, NAME, ORDER, FILE_NAME, LINE, COLUMN, INTO, N_FIELDS = 12 };

struct KmInlines {
	GHashTable *inside; /* name -> GPtrArray of KmInlined */
};

static void inlined_free(gpointer data)
{
	KmInlined *inlined = data;
	g_free(inlined->name);
	g_free(inlined->file);
	g_free(inlined);
}

void km_inlines_free(KmInlines *inlines)
{
	if (!inlines)
		return;
	g_hash_table_unref(inlines->inside);
	g_free(inlines);
}

static void add_edge(KmInlines *inlines, char **fields)
{
	GPtrArray *list = g_hash_table_lookup(inlines->inside, fields[INTO]);
	if (!list) {
		list = g_ptr_array_new_with_free_func(inlined_free);
		g_hash_table_insert(inlines->inside, g_strdup(fields[INTO]), list);
	}
	for (guint i = 0; i < list->len; i++)
		if (!strcmp(((const KmInlined *)list->pdata[i])->name, fields[NAME]))
			return;
	KmInlined *inlined = g_new0(KmInlined, 1);
	inlined->name = g_strdup(fields[NAME]);
	inlined->file = g_strdup(fields[FILE_NAME]);
	inlined->line = (guint)g_ascii_strtoull(fields[LINE], NULL, 10);
	g_ptr_array_add(list, inlined);
}

KmInlines *km_inlines_parse(const char *text)
{
	KmInlines *inlines = g_new0(KmInlines, 1);
	inlines->inside = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		g_auto(GStrv) fields = g_strsplit(*line, ";", -1);
		if (g_strv_length(fields) == N_FIELDS && !strcmp(fields[KIND], "Callgraph clone") &&
		    strcmp(fields[NAME], fields[INTO]))
			add_edge(inlines, fields);
	}
	return inlines;
}

static void collect(const KmInlines *inlines, const char *function, GHashTable *seen, GPtrArray *found)
{
	const GPtrArray *list = g_hash_table_lookup(inlines->inside, function);
	for (guint i = 0; list && i < list->len; i++) {
		KmInlined *inlined = list->pdata[i];
		if (!g_hash_table_add(seen, inlined->name))
			continue;
		g_ptr_array_add(found, inlined);
		collect(inlines, inlined->name, seen, found);
	}
}

GPtrArray *km_inlines_in(const KmInlines *inlines, const char *function)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	GPtrArray *found = g_ptr_array_new();
	g_hash_table_add(seen, (gpointer)function);
	collect(inlines, function, seen, found);
	return found;
}
