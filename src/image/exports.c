/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exports: __ksymtab and __ksymtab_gpl hold a record per symbol, __kcrctab(_gpl) the checksum of each. A record is
 * value, name and namespace, as 32-bit distances from the field itself where the architecture has them
 * (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS), else as pointers; kernels before 5.4 have no namespace. Which of the four
 * it is shows in the table: every name must be a string.
 */
#include <string.h>

#include "image/internal.h"

typedef struct {
	guint64 start, size;
	const guint8 *data;
} Table;

typedef struct {
	gboolean relative;
	gboolean namespace;
} Layout;

static const Layout layouts[] = { { TRUE, TRUE }, { FALSE, TRUE }, { TRUE, FALSE }, { FALSE, FALSE } };

static gsize record_size(const Layout *layout)
{
	return (layout->relative ? 4 : 8) * (layout->namespace ? 3 : 2);
}

static gboolean read_table(const KmImage *image, const char *name, Table *table)
{
	g_autofree char *start = g_strconcat("__start_", name, NULL);
	g_autofree char *stop = g_strconcat("__stop_", name, NULL);
	guint64 end;
	if (!km_image_table(image, name, start, stop, &table->start, &end) || end == table->start)
		return FALSE;
	table->size = end - table->start;
	table->data = km_image_bytes(image, table->start, table->size);
	return table->data != NULL;
}

/* 0: no pointer there. */
static guint64 get_field(const KmImage *image, const Table *table, const Layout *layout, gsize record, guint field)
{
	gsize at = record * record_size(layout) + field * (layout->relative ? 4 : 8);
	guint64 value = 0;
	if (!layout->relative)
		return km_image_pointer(image, table->start + at, &value) ? value : 0;
	gint32 distance = (gint32)km_image_get_u32(image, table->data + at);
	return distance ? table->start + at + (guint64)(gint64)distance : 0;
}

/* A printable string at address, or NULL. */
static const char *get_string(const KmImage *image, guint64 address)
{
	const char *p = (const char *)km_image_bytes(image, address, 1);
	if (!p)
		return NULL;
	const char *limit = (const char *)image->data + image->size;
	for (const char *c = p; c < limit && c - p < 1024; c++) {
		if (!*c)
			return p;
		if (!g_ascii_isgraph(*c))
			return NULL;
	}
	return NULL;
}

static gboolean read_record(const KmImage *image, const Table *table, const Layout *layout, gsize i, KmExport *export)
{
	guint64 namespace = layout->namespace ? get_field(image, table, layout, i, 2) : 0;
	export->address = get_field(image, table, layout, i, 0);
	export->name = get_string(image, get_field(image, table, layout, i, 1));
	export->namespace = namespace ? get_string(image, namespace) : "";
	return export->name && *export->name && export->namespace;
}

static gboolean fits(const KmImage *image, const Table *table, const Table *crcs, const Layout *layout)
{
	gsize size = record_size(layout), n = table->size / size;
	KmExport export;
	if (table->size % size || (crcs->data && crcs->size != n * 4))
		return FALSE;
	for (gsize i = 0; i < n; i++)
		if (!read_record(image, table, layout, i, &export))
			return FALSE;
	return TRUE;
}

static void add_exports(KmImage *image, const char *symbols, const char *checksums, gboolean gpl)
{
	Table table, crcs = { 0 };
	const Layout *layout = NULL;
	if (!read_table(image, symbols, &table))
		return;
	if (!read_table(image, checksums, &crcs))
		crcs.data = NULL;
	for (gsize i = 0; !layout && i < G_N_ELEMENTS(layouts); i++)
		layout = fits(image, &table, &crcs, &layouts[i]) ? &layouts[i] : NULL;
	for (gsize i = 0; layout && i < table.size / record_size(layout); i++) {
		KmExport export = { .gpl = gpl, .has_crc = crcs.data != NULL };
		read_record(image, &table, layout, i, &export);
		export.crc = crcs.data ? km_image_get_u32(image, crcs.data + i * 4) : 0;
		g_array_append_val(image->exports, export);
	}
}

void km_exports_read(KmImage *image)
{
	image->exports = g_array_new(FALSE, FALSE, sizeof(KmExport));
	add_exports(image, "__ksymtab", "__kcrctab", FALSE);
	add_exports(image, "__ksymtab_gpl", "__kcrctab_gpl", TRUE);
	image->export_by_name = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < image->exports->len; i++) {
		KmExport *export = &g_array_index(image->exports, KmExport, i);
		g_hash_table_insert(image->export_by_name, (gpointer) export->name, export);
	}
}

static KmImage *with_exports(const KmImage *image)
{
	KmImage *self = (KmImage *)image; /* a cache, guarded by its lock */
	g_mutex_lock(&self->lock);
	if (!self->exports)
		km_exports_read(self);
	g_mutex_unlock(&self->lock);
	return self;
}

const KmExport *km_image_export(const KmImage *image, const char *name)
{
	return g_hash_table_lookup(with_exports(image)->export_by_name, name);
}

const KmExport *km_image_exports(const KmImage *image, gsize *n)
{
	const GArray *exports = with_exports(image)->exports;
	*n = exports->len;
	return (const KmExport *)(const void *)exports->data;
}
