/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diff/ignored.h"

#include <string.h>

/* As read from the file, line numbers included. */
static gboolean same_row_as_read(const KmEntry *a, const KmEntry *b)
{
	return a->special != b->special || a->size != b->size || !a->section->data || !b->section->data ||
	       !memcmp(a->section->data->data + a->start, b->section->data->data + b->start, a->size);
}

/* Rows of a function that is otherwise the same: what differs in them is what the comparison does not look at. */
static void count_rows(const KmItem *item, GHashTable *counts)
{
	const KmItem *twin = item->twin;
	if (item->status != KM_SAME || !twin || !item->entries || !twin->entries ||
	    item->entries->len != twin->entries->len)
		return;
	for (guint i = 0; i < item->entries->len; i++) {
		const KmEntry *now = &g_array_index(item->entries, KmEntry, i);
		if (same_row_as_read(&g_array_index(twin->entries, KmEntry, i), now))
			continue;
		gpointer key = now->section->name;
		guint n = GPOINTER_TO_UINT(g_hash_table_lookup(counts, key));
		g_hash_table_insert(counts, key, GUINT_TO_POINTER(n + 1));
	}
}

static gint by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

void km_note_ignored(KmDiff *diff, const KmSide *patched)
{
	g_autoptr(GHashTable) counts = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < patched->items->len; i++)
		count_rows(patched->items->pdata[i], counts);
	GList *names = g_list_sort(g_hash_table_get_keys(counts), by_text);
	for (GList *n = names; n; n = n->next)
		g_ptr_array_add(diff->ignored, g_strdup_printf("%u row(s) of %s differ only in line numbers",
							       GPOINTER_TO_UINT(g_hash_table_lookup(counts, n->data)),
							       (char *)n->data));
	g_list_free(names);
}
