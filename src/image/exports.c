/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exports: __ksymtab and __ksymtab_gpl hold a record per symbol, __kcrctab(_gpl) the checksum of each. A record is
 * value, name and namespace, as 32-bit distances from the field itself where the architecture has them
 * (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS), else as pointers; kernels before 5.4 have no namespace. Which of the four
 * it is shows in the table: every name must be a string.
 *
 * Where neither sections nor kallsyms name the tables (a flat image, kallsyms of code only) they are found by what they are: the kernel
 * looks names up by bisection, so each table ascends by name; the GPL one follows the other, then come the checksums of both, then
 * the names themselves.
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

/* Fewer records than this are not recognized as a table without their names. */
#define MIN_FOUND 64

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

static void add_table(KmImage *image, const Table *table, const Table *crcs, const Layout *layout, gboolean gpl)
{
	for (gsize i = 0; i < table->size / record_size(layout); i++) {
		KmExport export = { .gpl = gpl, .has_crc = crcs->data != NULL };
		read_record(image, table, layout, i, &export);
		export.crc = crcs->data ? km_image_get_u32(image, crcs->data + i * 4) : 0;
		g_array_append_val(image->exports, export);
	}
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
	if (layout)
		add_table(image, &table, &crcs, layout, gpl);
}

/* --- tables without a name --- */

/* Both tables, one after the other. */
typedef struct {
	const Layout *layout;
	guint64 start;
	gsize plain, gpl; /* records */
} Run;

/* The record at address, and whether it may be one of an export. */
static gboolean record_at(const KmImage *image, const Layout *layout, guint64 address, KmExport *export)
{
	const Table one = { address, record_size(layout), km_image_bytes(image, address, record_size(layout)) };
	return one.data && read_record(image, &one, layout, 0, export) && export->address;
}

/* Both tables around address: the names ascend all the way, but for the one place where the second begins. */
static Run run_around(const KmImage *image, const Layout *layout, guint64 address)
{
	gsize size = record_size(layout), n = 1;
	Run run = { layout, address, 0, 0 };
	KmExport here, other;
	if (!record_at(image, layout, address, &here))
		return run;
	KmExport first = here;
	while (record_at(image, layout, run.start - size, &other) && strcmp(other.name, first.name) < 0) {
		first = other;
		run.start -= size;
		n++;
	}
	for (;; n++) {
		if (!record_at(image, layout, run.start + n * size, &other))
			break;
		if (strcmp(here.name, other.name) >= 0) {
			if (run.plain)
				break;
			run.plain = n;
		}
		here = other;
	}
	run.gpl = run.plain ? n - run.plain : 0;
	return run;
}

/* Long tables cross one of these places, in one of the ways in which they can be aligned. */
static Run find_run(const KmImage *image, const KmRange *range, const Layout *layout)
{
	gsize size = record_size(layout), step = layout->relative ? 4 : 8;
	Run best = { 0 };
	KmExport export;
	for (guint64 pos = 0, at = 0; pos < range->size; at += step) {
		if (at >= pos + size)
			at = pos += MIN_FOUND / 2 * size;
		if (!record_at(image, layout, range->address + at, &export) ||
		    !record_at(image, layout, range->address + at + size, &export))
			continue;
		Run run = run_around(image, layout, range->address + at);
		if (run.plain < MIN_FOUND)
			continue;
		if (run.plain + run.gpl > best.plain + best.gpl)
			best = run;
		at = pos = run.start + (run.plain + run.gpl) * size - range->address;
	}
	return best;
}

/*
 * Exported functions are in kallsyms: wherever it has the name of an export as a global one, it must be that export's address,
 * and some must be there.
 */
static gboolean kallsyms_agrees(const KmImage *image, const Run *run)
{
	gsize n = run->plain + run->gpl, same = 0, symbols;
	const KmKsym *all = km_image_symbols(image, &symbols);
	g_autofree KmExport *exports = g_new0(KmExport, n);
	g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
	for (gsize i = 0; i < n; i++) {
		record_at(image, run->layout, run->start + i * record_size(run->layout), &exports[i]);
		g_hash_table_insert(by_name, (gpointer)exports[i].name, &exports[i]);
	}
	for (gsize i = 0; i < symbols; i++) {
		const KmExport *export =
			g_ascii_isupper(all[i].type) ? g_hash_table_lookup(by_name, all[i].name) : NULL;
		if (!export)
			continue;
		if (export->address != all[i].address)
			return FALSE;
		same++;
	}
	return same >= MIN_FOUND / 2;
}

/* Where the names start. They are pooled, so the first need not be the first record's; a namespace stands among them. */
static guint64 first_string(const KmImage *image, const Run *run)
{
	const guint8 *lowest = NULL;
	guint64 address = 0;
	KmExport export;
	for (gsize i = 0; i < run->plain + run->gpl; i++) {
		guint64 at = run->start + i * record_size(run->layout);
		record_at(image, run->layout, at, &export);
		const char *const texts[] = { export.name, *export.namespace ? export.namespace : export.name };
		for (gsize k = 0; k < G_N_ELEMENTS(texts); k++)
			if (!lowest || (const guint8 *)texts[k] < lowest)
				lowest = (const guint8 *)texts[k];
	}
	for (guint i = 0; i < image->ranges->len; i++) {
		const KmRange *r = &g_array_index(image->ranges, KmRange, i);
		gsize offset = (gsize)(lowest - image->data);
		if (offset >= r->offset && offset - r->offset < r->size)
			address = r->address + (offset - r->offset);
	}
	return address;
}

static void add_found(KmImage *image, const Run *run)
{
	gsize size = record_size(run->layout), n = run->plain + run->gpl;
	guint64 end = run->start + n * size, strings = first_string(image, run);
	gboolean has_crcs = strings == end + n * 4;
	Table plain = { run->start, run->plain * size, NULL }, gpl = { run->start + plain.size, run->gpl * size, NULL };
	Table crcs = { end, run->plain * 4, has_crcs ? km_image_bytes(image, end, n * 4) : NULL };
	if (strings != end && !crcs.data)
		return;
	plain.data = km_image_bytes(image, plain.start, plain.size);
	gpl.data = km_image_bytes(image, gpl.start, gpl.size);
	add_table(image, &plain, &crcs, run->layout, FALSE);
	crcs.data = crcs.data ? crcs.data + crcs.size : NULL;
	add_table(image, &gpl, &crcs, run->layout, TRUE);
}

static void find_exports(KmImage *image)
{
	Run best = { 0 };
	for (guint i = 0; i < image->ranges->len; i++)
		for (gsize k = 0; k < G_N_ELEMENTS(layouts); k++) {
			Run run = find_run(image, &g_array_index(image->ranges, KmRange, i), &layouts[k]);
			if (run.plain + run.gpl > best.plain + best.gpl)
				best = run;
		}
	if (best.gpl && kallsyms_agrees(image, &best))
		add_found(image, &best);
}

/* --- what the header has --- */

void km_exports_read(KmImage *image)
{
	guint64 start, stop;
	image->exports = g_array_new(FALSE, FALSE, sizeof(KmExport));
	if (km_image_table(image, "__ksymtab", "__start___ksymtab", "__stop___ksymtab", &start, &stop)) {
		add_exports(image, "__ksymtab", "__kcrctab", FALSE);
		add_exports(image, "__ksymtab_gpl", "__kcrctab_gpl", TRUE);
	} else if (image->flat) {
		find_exports(image);
	}
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
