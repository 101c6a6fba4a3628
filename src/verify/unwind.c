/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rows by which the kernel unwinds the stack: a table of addresses (.orc_unwind_ip) and one of what holds from there on
 * (.orc_unwind). The kernel sorts both together when it loads a module, and takes the last row at or before an address. A live patch
 * with a wrong row looks right until a task is caught in it: then the check of its stack is wrong, and a function may be changed
 * under its feet.
 */
#include <string.h>

#include "base/file.h"
#include "base/run.h"
#include "verify/internal.h"

#define ADDRESSES ".orc_unwind_ip"
#define ROWS ".orc_unwind"
#define ADDRESS_SIZE 4

typedef struct {
	guint64 at;
	const guint8 *row;
	const KmReloc *reloc;
} Row;

struct KmUnwind {
	guint size; /* bytes of a row */
	GHashTable *rows; /* KmSection -> GArray of Row: ascending, of two at one place the empty one first */
};

void km_unwind_free(KmUnwind *unwind)
{
	if (!unwind)
		return;
	g_hash_table_unref(unwind->rows);
	g_free(unwind);
}

/* Nothing is known from here on: what objtool puts at the end of a section, and over what nobody reaches. */
static gboolean is_empty(const KmUnwind *unwind, const guint8 *row)
{
	for (guint i = 0; row && i < unwind->size; i++)
		if (row[i])
			return FALSE;
	return TRUE;
}

static gint by_place(gconstpointer a, gconstpointer b, gpointer data)
{
	const Row *x = a, *y = b;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return is_empty(data, y->row) - is_empty(data, x->row);
}

static void free_array(gpointer p)
{
	g_array_unref(p);
}

/* NULL with *wrong where the two tables do not go together; NULL without it where there are none. */
static KmUnwind *read_rows(const KmObject *object, guint size, const char **wrong)
{
	const KmSection *places = km_object_find_section(object, ADDRESSES);
	const KmSection *rows = km_object_find_section(object, ROWS);
	*wrong = NULL;
	if (!places && !rows)
		return NULL;
	guint64 n = places ? places->size / ADDRESS_SIZE : 0;
	if (!n || !rows || !rows->data || places->size % ADDRESS_SIZE || rows->size % n || places->relocs->len != n ||
	    (size && rows->size / n != size)) {
		*wrong = "its rows and their addresses are not equally many";
		return NULL;
	}
	KmUnwind *unwind = g_new0(KmUnwind, 1);
	unwind->size = (guint)(rows->size / n);
	unwind->rows = g_hash_table_new_full(NULL, NULL, NULL, free_array);
	for (guint i = 0; i < n; i++) {
		const KmReloc *r = &g_array_index(places->relocs, KmReloc, i);
		GArray *list = g_hash_table_lookup(unwind->rows, r->symbol->section);
		Row row = { .at = r->symbol->value + (guint64)r->addend,
			    .row = rows->data->data + (gsize)i * unwind->size,
			    .reloc = r };
		if (!list)
			g_hash_table_insert(unwind->rows, r->symbol->section,
					    list = g_array_new(FALSE, FALSE, sizeof(Row)));
		g_array_append_val(list, row);
	}
	GHashTableIter iter;
	gpointer list;
	g_hash_table_iter_init(&iter, unwind->rows);
	while (g_hash_table_iter_next(&iter, NULL, &list))
		g_array_sort_with_data(list, by_place, unwind);
	return unwind;
}

/* What the kernel would find for this address; NULL: nothing. */
static const guint8 *row_at(const GArray *rows, guint64 at)
{
	guint low = 0, high = rows ? rows->len : 0;
	while (low < high) {
		guint middle = low + (high - low) / 2;
		if (g_array_index(rows, Row, middle).at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? g_array_index(rows, Row, low - 1).row : NULL;
}

/* ---- the module by itself ---- */

static gboolean check_addresses(KmChecker *c, const KmSection *places)
{
	gboolean good = TRUE;
	for (guint i = 0; i < places->relocs->len; i++) {
		const KmReloc *r = &g_array_index(places->relocs, KmReloc, i);
		const KmSection *code = r->symbol->section;
		guint64 at = r->symbol->value + (guint64)r->addend;
		if (r->offset == (guint64)i * ADDRESS_SIZE && r->type == c->module->arch->pc32 && code &&
		    (code->flags & SHF_EXECINSTR) && at <= code->size)
			continue;
		km_find_at(c, places, r->offset, "an unwind row about no code");
		good = FALSE;
	}
	return good;
}

/* Linked together, the end of one file's code is the start of the next one's: an empty row and another may share a place. */
static void check_section(KmChecker *c, const KmUnwind *unwind, const KmSection *code, const GArray *rows)
{
	const KmSection *places = km_object_find_section(c->module, ADDRESSES);
	for (guint i = 1; i < rows->len; i++) {
		const Row *a = &g_array_index(rows, Row, i - 1), *b = &g_array_index(rows, Row, i);
		if (a->at == b->at && is_empty(unwind, a->row) == is_empty(unwind, b->row))
			km_find_at(c, places, b->reloc->offset, "a second unwind row about one place");
	}
	const Row *last = &g_array_index(rows, Row, rows->len - 1);
	if (!is_empty(unwind, last->row) || last->at != code->size)
		km_find_at(c, code, last->at, "the last unwind row does not end what is known about %s", code->name);
}

/* A function that starts otherwise than all others: the kernel would look for the return address in a wrong place. */
static void check_function(KmChecker *c, const KmUnwind *unwind, const KmSymbol *f)
{
	const KmArch *arch = c->module->arch;
	const guint8 *row = row_at(g_hash_table_lookup(unwind->rows, f->section), f->value);
	if (!row || is_empty(unwind, row))
		km_find(c, f->name, "the kernel could not unwind its stack: .orc_unwind_ip has no row for it");
	else if (arch->unwinds_entry && !km_name_is_cold_part(f->name) && !arch->unwinds_entry(row, unwind->size))
		km_find(c, f->name, "at its start, its unwind row does not say what is so at the start of a function");
}

static gboolean is_checked_function(const KmSymbol *f)
{
	return f->section && f->type == STT_FUNC && km_section_is_text(f->section) && f->value < f->section->size;
}

/* Do this kernel's own modules have such rows? */
static gboolean is_customary(const KmChecker *c)
{
	GHashTableIter iter;
	gpointer module;
	g_hash_table_iter_init(&iter, c->stock);
	while (g_hash_table_iter_next(&iter, NULL, &module))
		if (km_object_find_section(module, ADDRESSES))
			return TRUE;
	return FALSE;
}

void km_check_unwind(KmChecker *c)
{
	guint size = GPOINTER_TO_UINT(g_hash_table_lookup(c->sizes, ROWS));
	const char *wrong;
	KmUnwind *unwind = read_rows(c->module, size, &wrong);
	if (wrong || (!unwind && is_customary(c)))
		km_find(c, ROWS, "%s",
			wrong ? wrong : "missing: the kernel could not unwind the stack of any function");
	if (!unwind)
		return;
	/* What is about no code cannot be compared with anything. */
	if (!check_addresses(c, km_object_find_section(c->module, ADDRESSES))) {
		km_unwind_free(unwind);
		return;
	}
	c->unwind = unwind;
	for (guint i = 0; i < c->module->symbols->len; i++) {
		const KmSymbol *f = c->module->symbols->pdata[i];
		if (is_checked_function(f))
			check_function(c, unwind, f);
	}
	for (guint i = 0; i < c->module->sections->len; i++) {
		const GArray *rows = g_hash_table_lookup(unwind->rows, c->module->sections->pdata[i]);
		if (rows)
			check_section(c, unwind, c->module->sections->pdata[i], rows);
	}
}

/* ---- against the units ---- */

/* The copy of a unit with what the kernel's tool makes of it; NULL where it makes nothing of it. */
static KmObject *run_tool(const KmKernel *kernel, const KmModuleTools *tools, const char *path)
{
	g_autoptr(KmTempDir) temp = km_tempdir_new(NULL, "kmend-unwind", NULL);
	g_autoptr(GBytes) bytes = temp ? km_read_file(path, NULL) : NULL;
	if (!bytes)
		return NULL;
	g_autofree char *copy = g_build_filename(temp->path, "unit.o", NULL);
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);
	if (!km_write_file(copy, data, size, NULL))
		return NULL;
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	g_strv_builder_addv(builder, (const char **)tools->objtool_argv);
	g_strv_builder_add(builder, copy);
	g_auto(GStrv) argv = g_strv_builder_end(builder);
	g_autofree char *srcarch = g_strconcat("SRCARCH=", kernel->arch->kbuild, NULL);
	const char *const env[] = { srcarch, NULL };
	KmRunOptions options = { .cwd = tools->cwd, .env = env };
	g_autoptr(KmRunResult) result = km_run((const char *const *)argv, &options, NULL);
	return result && result->status == 0 ? km_object_read(copy, NULL) : NULL;
}

/* The tool only adds sections. */
static gboolean is_same_layout(const KmObject *unit, const KmObject *copy)
{
	for (guint i = 0; i < unit->sections->len; i++) {
		const KmSection *a = unit->sections->pdata[i],
				*b = i < copy->sections->len ? copy->sections->pdata[i] : NULL;
		if (!b || strcmp(a->name, b->name) || a->size != b->size)
			return FALSE;
	}
	return TRUE;
}

void km_view_unwind(KmView *view, const KmKernel *kernel, const KmModuleTools *tools)
{
	const char *wrong;
	gboolean done = km_object_find_section(view->patched, ROWS) != NULL;
	if (done || tools->objtool_argv)
		view->unwound =
			done ? km_object_read(view->patched->path, NULL) : run_tool(kernel, tools, view->patched->path);
	if (view->unwound && is_same_layout(view->patched, view->unwound))
		view->unwind = read_rows(view->unwound, 0, &wrong);
}

static const GArray *unit_rows(const KmView *view, const KmSection *section)
{
	return g_hash_table_lookup(view->unwind->rows, view->unwound->sections->pdata[section->index]);
}

static gboolean is_same_row(const KmChecker *c, const guint8 *ours, const guint8 *theirs)
{
	if (is_empty(c->unwind, ours) || is_empty(c->unwind, theirs))
		return is_empty(c->unwind, ours) == is_empty(c->unwind, theirs);
	return !memcmp(ours, theirs, c->unwind->size);
}

/* At one place of the unit's range. */
static gboolean compare_place(KmChecker *c, const KmView *view, const KmPair *pair, guint64 offset)
{
	guint64 at = pair->at + (offset - pair->start);
	const guint8 *ours = row_at(unit_rows(view, pair->from), offset);
	const guint8 *theirs = row_at(g_hash_table_lookup(c->unwind->rows, pair->to), at);
	if (is_same_row(c, ours, theirs))
		return TRUE;
	km_find_at(c, pair->to, at, "%s here for the unwinder, where the patched %s has %s",
		   is_empty(c->unwind, theirs) ? "there is no row" : "there is a row", pair->from->name,
		   is_empty(c->unwind, ours) ? "none" : "another");
	return FALSE;
}

/* What holds can only change where either has a row. */
static void compare_pair(KmChecker *c, const KmView *view, const KmPair *pair)
{
	const GArray *lists[] = { unit_rows(view, pair->from), g_hash_table_lookup(c->unwind->rows, pair->to) };
	const guint64 starts[] = { pair->start, pair->at };
	if (!pair->size || !compare_place(c, view, pair, pair->start))
		return;
	for (gsize l = 0; l < G_N_ELEMENTS(lists); l++)
		for (guint i = 0; lists[l] && i < lists[l]->len; i++) {
			guint64 at = g_array_index(lists[l], Row, i).at;
			if (at > starts[l] && at - starts[l] < pair->size &&
			    !compare_place(c, view, pair, pair->start + (at - starts[l])))
				return;
		}
}

/* Between what the units have there is padding, and the end: about that nothing is known. */
static void check_gaps(KmChecker *c)
{
	GHashTableIter iter;
	gpointer section, list;
	g_hash_table_iter_init(&iter, c->unwind->rows);
	while (g_hash_table_iter_next(&iter, &section, &list))
		for (guint i = 0; i < ((const GArray *)list)->len; i++) {
			const Row *row = &g_array_index((const GArray *)list, Row, i);
			if (!is_empty(c->unwind, row->row) && !km_is_covered(c, section, row->at))
				km_find_at(c, section, row->at, "an unwind row about what no patched file has");
		}
}

void km_compare_unwind(KmChecker *c)
{
	g_autoptr(GHashTable) silent = g_hash_table_new(NULL, NULL);
	if (!c->unwind)
		return;
	for (guint i = 0; i < c->pairs->len; i++) {
		const KmPair *pair = c->pairs->pdata[i];
		const KmView *view = c->owners->pdata[i];
		if (!km_section_is_text(pair->from))
			continue;
		if (view->unwind && view->unwind->size == c->unwind->size)
			compare_pair(c, view, pair);
		else
			g_hash_table_add(silent, (gpointer)view);
	}
	check_gaps(c);
	if (g_hash_table_size(silent))
		km_note(c, "the unwind rows of %u of %u units were not compared: objtool makes none of them alone",
			g_hash_table_size(silent), c->views->len);
}
