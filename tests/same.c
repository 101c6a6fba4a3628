/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Are two objects the same but for how they group the records of patchable entries? Usage: same A.o B.o. Compared are sections with their bytes, symbols with their
 * values and sizes, relocations, and the places that the records name. Where labels are kept, the one that a record is of has whatever name its maker gave it.
 */
#include <stdio.h>
#include <string.h>

#include "elf/object.h"

static gboolean is_record(const KmSection *section)
{
	return !strcmp(section->name, "__patchable_function_entries") || !strcmp(section->name, "__mcount_loc");
}

/* Where a symbol is, in words that do not depend on the order of symbols. */
static char *place_of(const KmSymbol *symbol, gint64 addend)
{
	if (symbol->section && (symbol->type == STT_SECTION || symbol->bind == STB_LOCAL))
		return g_strdup_printf("%s+%" G_GINT64_FORMAT, symbol->section->name, (gint64)symbol->value + addend);
	return g_strdup_printf("%s+%" G_GINT64_FORMAT, symbol->name, addend);
}

static gint by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void tell_section(GPtrArray *out, const KmObject *object, const KmSection *section)
{
	g_autofree char *sum =
		section->data ? g_compute_checksum_for_data(G_CHECKSUM_SHA256, section->data->data, section->data->len)
			      : NULL;
	if (!is_record(section))
		g_ptr_array_add(out, g_strdup_printf("section %s type %u flags %" G_GINT64_MODIFIER
						     "x align %" G_GUINT64_FORMAT " size %" G_GUINT64_FORMAT " %s",
						     section->name, section->type, section->flags, section->addralign,
						     section->size, sum ? sum : ""));
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
		g_autofree char *place = place_of(r->symbol, r->addend);
		if (is_record(section))
			g_ptr_array_add(out, g_strdup_printf("record %s", place));
		else
			g_ptr_array_add(out, g_strdup_printf("relocation %s+0x%" G_GINT64_MODIFIER "x type %u %s",
							     section->name, r->offset, r->type, place));
	}
}

/* Labels that records are of. */
static GHashTable *recorded_labels(const KmObject *object)
{
	GHashTable *labels = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < object->sections->len; i++) {
		const KmSection *section = object->sections->pdata[i];
		for (guint k = 0; is_record(section) && k < section->relocs->len; k++) {
			KmSymbol *symbol = g_array_index(section->relocs, KmReloc, k).symbol;
			if (object->arch->keeps_labels && object->arch->is_annotation(symbol))
				g_hash_table_add(labels, symbol);
		}
	}
	return labels;
}

static GPtrArray *tell(const KmObject *object)
{
	GPtrArray *out = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GHashTable) labels = recorded_labels(object);
	for (guint i = 0; i < object->sections->len; i++)
		tell_section(out, object, object->sections->pdata[i]);
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *s = object->symbols->pdata[i];
		if (s->type != STT_SECTION && !(s->section && is_record(s->section)))
			g_ptr_array_add(out,
					g_strdup_printf("symbol %s bind %u type %u other %u in %s at %" G_GUINT64_FORMAT
							" size %" G_GUINT64_FORMAT,
							g_hash_table_contains(labels, s) ? "of a record" : s->name,
							s->bind, s->type, s->other, s->section ? s->section->name : "",
							s->value, s->size));
	}
	g_ptr_array_sort(out, by_text);
	return out;
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) a = argc == 3 ? km_object_read(argv[1], &error) : NULL;
	g_autoptr(KmObject) b = a ? km_object_read(argv[2], &error) : NULL;
	if (!b) {
		fprintf(stderr, "same: %s\n", error ? error->message : "two objects are wanted");
		return 2;
	}
	g_autoptr(GPtrArray) x = tell(a), y = tell(b);
	guint i = 0;
	while (i < x->len && i < y->len && !strcmp(x->pdata[i], y->pdata[i]))
		i++;
	if (i == x->len && i == y->len)
		return 0;
	printf("< %s\n> %s\n", i < x->len ? (char *)x->pdata[i] : "(end)", i < y->len ? (char *)y->pdata[i] : "(end)");
	return 1;
}
