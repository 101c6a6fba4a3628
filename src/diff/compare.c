/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparison by meaning: bytes outside relocated fields, and what the relocations refer to. */
#include "diff/compare.h"

#include <string.h>

enum { ASKING = 1, EQUAL, DIFFERENT };

/* Chains of constants that refer to constants: deeper ones than this are taken for different. */
#define MAX_DEPTH 100

typedef struct {
	const KmItem *a, *b;
} Question;

static guint question_hash(gconstpointer key)
{
	const Question *q = key;
	return g_direct_hash(q->a) * 31 + g_direct_hash(q->b);
}

static gboolean question_equal(gconstpointer x, gconstpointer y)
{
	const Question *p = x, *q = y;
	return p->a == q->a && p->b == q->b;
}

KmComparison *km_comparison_new(void)
{
	KmComparison *comparison = g_new0(KmComparison, 1);
	comparison->known = g_hash_table_new_full(question_hash, question_equal, g_free, NULL);
	comparison->shifts = g_hash_table_new(NULL, NULL);
	return comparison;
}

void km_comparison_free(KmComparison *comparison)
{
	if (!comparison)
		return;
	g_hash_table_unref(comparison->known);
	g_hash_table_unref(comparison->shifts);
	g_free(comparison);
}

void km_comparison_forget(KmComparison *comparison)
{
	g_hash_table_remove_all(comparison->known);
}

/* A direct branch or address of the same width: which relocation a tool chose for it is its own affair. */
static gboolean is_direct(const KmRelocInfo *info)
{
	return info->kind == KM_RELOC_PC || info->kind == KM_RELOC_CALL;
}

gboolean km_refs_alike(const KmRef *a, const KmRef *b)
{
	if (a->type == b->type)
		return TRUE;
	if (!a->info || !b->info || a->info->size != b->info->size || a->info->mask != b->info->mask)
		return FALSE;
	if (a->info->kind == KM_RELOC_GOT && b->info->kind == KM_RELOC_GOT)
		return TRUE;
	return is_direct(a->info) && is_direct(b->info);
}

/* Bytes of the NUL-ended string at offset of a section of strings, with the NUL; 0 when it has no end. */
static gsize string_size(const KmSection *section, guint64 at)
{
	gsize width = section->entsize ? section->entsize : 1;
	gsize size = section->data ? section->data->len : 0;
	for (guint64 i = at; i + width <= size; i += width) {
		gboolean zero = TRUE;
		for (gsize k = 0; k < width; k++)
			zero = zero && !section->data->data[i + k];
		if (zero)
			return i + width - at;
	}
	return 0;
}

static gboolean in_range(const KmItem *item, gint64 at)
{
	return at >= 0 && (guint64)at < item->size;
}

static gboolean same_string(const KmItem *a, gint64 a_at, const KmItem *b, gint64 b_at)
{
	if (!in_range(a, a_at) || !in_range(b, b_at))
		return a_at == b_at;
	gsize size = string_size(a->section, (guint64)a_at);
	return size && size == string_size(b->section, (guint64)b_at) && a->section->entsize == b->section->entsize &&
	       !memcmp(a->section->data->data + a_at, b->section->data->data + b_at, size);
}

/* An entry of .rodata.cst8 and the like, and the place within it. */
static gboolean same_merged(const KmItem *a, gint64 a_at, const KmItem *b, gint64 b_at)
{
	guint64 width = a->section->entsize;
	if (!in_range(a, a_at) || !in_range(b, b_at))
		return a_at == b_at;
	guint64 a_start = (guint64)a_at / width * width, b_start = (guint64)b_at / width * width;
	if (width != b->section->entsize || (guint64)a_at - a_start != (guint64)b_at - b_start ||
	    a_start + width > a->size || b_start + width > b->size)
		return FALSE;
	return !memcmp(a->section->data->data + a_start, b->section->data->data + b_start, width);
}

static const guint8 *bytes_at(const KmItem *item, guint64 start)
{
	const GByteArray *plain = km_side_part(item->side, item->section)->plain;
	return plain ? plain->data + start : NULL;
}

static gboolean same_bytes(const KmItem *a, guint64 a_start, const KmItem *b, guint64 b_start, guint64 size)
{
	const guint8 *x = bytes_at(a, a_start), *y = bytes_at(b, b_start);
	if (!x || !y)
		return x == y;
	return !memcmp(x, y, size);
}

/*
 * Tables of distances to themselves (`.long .L5 - .Ltable`) count from the entry, so a section symbol's addend includes how
 * far into the table it stands: take that out where the plain reading says nothing.
 */
static gboolean same_from_table(const KmItem *a, const KmRef *ra, const KmItem *b, const KmRef *rb)
{
	if (!ra->info || ra->info->kind != KM_RELOC_PC || !ra->section || !rb->section || a->kind == KM_ITEM_FUNCTION)
		return FALSE;
	guint64 x = ra->position - (ra->offset - a->start), y = rb->position - (rb->offset - b->start);
	const KmPart *pa = km_side_part(a->side, ra->section), *pb = km_side_part(b->side, rb->section);
	for (guint i = 0; i < pa->items->len; i++) {
		const KmItem *item = pa->items->pdata[i];
		if (x < item->start || x >= item->start + item->size || !item->twin)
			continue;
		return item->twin->section == rb->section && pb->items->len &&
		       item->twin->start + (x - item->start) == y;
	}
	return FALSE;
}

/* Start-up and exit code does not run any more, so it is no user of a table that was replaced. */
static gboolean both_done(const KmItem *a, const KmRef *ra, const KmItem *b, const KmRef *rb)
{
	gboolean done = (km_item_is_init(a) && km_item_is_init(b)) || (km_item_is_exit(a) && km_item_is_exit(b));
	return done && ra->item && ra->item->formerly && ra->item->formerly == rb->item && ra->at == rb->at;
}

gboolean km_refs_equal(KmComparison *comparison, const KmItem *a, const KmRef *ra, const KmItem *b, const KmRef *rb)
{
	if (ra->offset - a->start != rb->offset - b->start || !km_refs_alike(ra, rb))
		return FALSE;
	return km_refs_same_target(comparison, ra, rb) || same_from_table(a, ra, b, rb) || both_done(a, ra, b, rb);
}

/* Refs of two ranges of the same length, one by one. comparison NULL: only kind and place. */
static gboolean same_refs(KmComparison *comparison, const KmItem *a, guint64 a_start, const KmItem *b, guint64 b_start,
			  guint64 size)
{
	guint na, nb;
	const KmRef *ra = km_side_refs_in(a->side, a->section, a_start, a_start + size, &na);
	const KmRef *rb = km_side_refs_in(b->side, b->section, b_start, b_start + size, &nb);
	if (na != nb)
		return FALSE;
	for (guint i = 0; i < na; i++) {
		if (ra[i].offset - a_start != rb[i].offset - b_start || !km_refs_alike(&ra[i], &rb[i]))
			return FALSE;
		if (comparison && !km_refs_equal(comparison, a, &ra[i], b, &rb[i]))
			return FALSE;
	}
	return TRUE;
}

gboolean km_items_same_bytes(const KmItem *a, const KmItem *b)
{
	if (!a->section || !b->section)
		return a->section == b->section && a->size == b->size;
	return a->size == b->size && same_bytes(a, a->start, b, b->start, a->size);
}

gboolean km_items_same_shape(const KmItem *a, const KmItem *b)
{
	if (!km_items_same_bytes(a, b))
		return FALSE;
	return !a->section || same_refs(NULL, a, a->start, b, b->start, a->size);
}

gboolean km_items_same_refs(KmComparison *comparison, const KmItem *a, const KmItem *b)
{
	return a->size == b->size && same_refs(comparison, a, a->start, b, b->start, a->size);
}

gboolean km_items_equal(KmComparison *comparison, const KmItem *a, const KmItem *b)
{
	if (!km_items_same_bytes(a, b))
		return FALSE;
	return !a->section || same_refs(comparison, a, a->start, b, b->start, a->size);
}

/* From item->start on, at most size bytes of the section. */
static guint64 room(const KmItem *item, guint64 size)
{
	return MIN(size, item->section->size - item->start);
}

static gboolean zero_after(const KmItem *item, guint64 from, guint64 to)
{
	const guint8 *p = bytes_at(item, 0);
	for (guint64 i = from; p && i < to; i++)
		if (p[i])
			return FALSE;
	return TRUE;
}

/*
 * Where one anonymous constant ends is only known from where the next one is referred to, so items of different length are
 * compared as far as the larger reaches; what one section lacks may only be padding.
 */
static gboolean same_extent(KmComparison *comparison, const KmItem *a, const KmItem *b)
{
	guint64 size = MAX(a->size, b->size), ra = room(a, size), rb = room(b, size), shared = MIN(ra, rb);
	if (a->size != b->size && (size - shared >= 64 || a->kind != KM_ITEM_ANON))
		return FALSE;
	if (!zero_after(a, a->start + shared, a->start + ra) || !zero_after(b, b->start + shared, b->start + rb))
		return FALSE;
	return same_bytes(a, a->start, b, b->start, shared) && same_refs(comparison, a, a->start, b, b->start, shared);
}

static void remember(KmComparison *comparison, const Question *question, gint verdict)
{
	g_hash_table_insert(comparison->known, g_memdup2(question, sizeof(*question)), GINT_TO_POINTER(verdict));
}

static gboolean is_equal_verdict(gpointer key, gpointer verdict, gpointer unused)
{
	return GPOINTER_TO_INT(verdict) == EQUAL;
}

gboolean km_content_equal(KmComparison *comparison, const KmItem *a, gint64 a_at, const KmItem *b, gint64 b_at)
{
	if (a->kind != b->kind)
		return FALSE;
	if (a->kind == KM_ITEM_STRINGS)
		return same_string(a, a_at, b, b_at);
	if (a->kind == KM_ITEM_MERGED)
		return same_merged(a, a_at, b, b_at);
	if (a_at != b_at || !a->section || !b->section || comparison->depth >= MAX_DEPTH)
		return FALSE;
	Question question = { a, b };
	gpointer verdict;
	/* While it is being asked, a circle back here may be taken as equal. */
	if (g_hash_table_lookup_extended(comparison->known, &question, NULL, &verdict))
		return GPOINTER_TO_INT(verdict) != DIFFERENT;
	remember(comparison, &question, ASKING);
	comparison->depth++;
	gboolean equal = same_extent(comparison, a, b);
	comparison->depth--;
	/* What was found equal on the way may have rested on the opposite. */
	if (!equal)
		g_hash_table_foreach_remove(comparison->known, is_equal_verdict, NULL);
	remember(comparison, &question, equal ? EQUAL : DIFFERENT);
	return equal;
}

gboolean km_refs_same_target(KmComparison *comparison, const KmRef *a, const KmRef *b)
{
	if (!a->item || !b->item)
		return a->item == b->item;
	if (a->item->constant && b->item->constant)
		return km_content_equal(comparison, a->item, a->at, b->item, b->at);
	return a->item->twin == b->item && a->at == b->at;
}

static gboolean same_row_bytes(const KmItem *a, const KmEntry *ea, const KmItem *b, const KmEntry *eb)
{
	const KmPart *pa = km_side_part(a->side, ea->section), *pb = km_side_part(b->side, eb->section);
	return pa->plain && pb->plain && !memcmp(pa->plain->data + ea->start, pb->plain->data + eb->start, ea->size);
}

static gboolean same_row(KmComparison *comparison, const KmItem *a, const KmEntry *ea, const KmItem *b,
			 const KmEntry *eb)
{
	guint na, nb;
	if (ea->special != eb->special || ea->size != eb->size || !same_row_bytes(a, ea, b, eb))
		return FALSE;
	const KmRef *ra = km_side_refs_in(a->side, ea->section, ea->start, ea->start + ea->size, &na);
	const KmRef *rb = km_side_refs_in(b->side, eb->section, eb->start, eb->start + eb->size, &nb);
	if (na != nb)
		return FALSE;
	for (guint i = 0; i < na; i++)
		if (ra[i].offset - ea->start != rb[i].offset - eb->start || !km_refs_alike(&ra[i], &rb[i]) ||
		    !km_refs_same_target(comparison, &ra[i], &rb[i]))
			return FALSE;
	return TRUE;
}

static const char *row_name(const KmSpecial *special)
{
	static const struct {
		const char *section, *words;
	} names[] = {
		{ ".altinstructions", "alternative" },	   { "__bug_table", "bug table entry" },
		{ "__ex_table", "exception table entry" }, { "__jump_table", "jump label" },
		{ ".static_call_sites", "static call" },   { ".parainstructions", "paravirt call site" },
		{ ".smp_locks", "lock prefix record" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		if (!strcmp(names[i].section, special->name))
			return names[i].words;
	return special->name;
}

/* The next row of the same special section, from i on; NULL at the end. */
static const KmEntry *next_row(const KmItem *item, const KmSpecial *special, guint *i)
{
	while (item->entries && *i < item->entries->len) {
		const KmEntry *entry = &g_array_index(item->entries, KmEntry, (*i)++);
		if (entry->special == special)
			return entry;
	}
	return NULL;
}

static gboolean same_rows(KmComparison *comparison, const KmItem *a, const KmItem *b, const KmSpecial *special)
{
	guint i = 0, k = 0;
	for (;;) {
		const KmEntry *ea = next_row(a, special, &i), *eb = next_row(b, special, &k);
		if (!ea || !eb)
			return ea == eb;
		if (!same_row(comparison, a, ea, b, eb))
			return FALSE;
	}
}

static const KmSpecial *first_difference(KmComparison *comparison, const KmItem *from, const KmItem *a, const KmItem *b)
{
	const KmSpecial *last = NULL;
	for (guint i = 0; from->entries && i < from->entries->len; i++) {
		const KmSpecial *special = g_array_index(from->entries, KmEntry, i).special;
		if (special != last && !same_rows(comparison, a, b, special))
			return special;
		last = special;
	}
	return NULL;
}

const char *km_entries_differ(KmComparison *comparison, const KmItem *a, const KmItem *b)
{
	const KmSpecial *special = first_difference(comparison, a, a, b);
	if (!special)
		special = first_difference(comparison, b, a, b);
	return special ? row_name(special) : NULL;
}

/* Bytes that a reader would call text; a message may begin with the byte that marks its level. */
static gboolean is_readable(const guint8 *p, gsize size)
{
	gsize level = size > 1 && p[0] == 1 ? 1 : 0;
	if (!g_utf8_validate((const char *)p, (gssize)size, NULL))
		return FALSE;
	for (gsize i = level; i < size; i++)
		if (p[i] == 0x7f || (p[i] < 0x20 && !g_ascii_isspace(p[i]) && p[i] != 0x1b))
			return FALSE;
	return size > level;
}

/* A section of strings holds nothing else. Any other object is text when all of it is: the first bytes of a struct can look like some. */
const char *km_ref_string(const KmRef *ref)
{
	const KmItem *item = ref->item;
	if (!item || !item->section || !item->section->data || !item->constant || !in_range(item, ref->at))
		return NULL;
	const guint8 *start = item->section->data->data + item->start, *p = start + ref->at;
	const guint8 *end = memchr(p, 0, item->size - (gsize)ref->at);
	if (!end || item->section->entsize > 1 || !is_readable(p, (gsize)(end - p)))
		return NULL;
	if (item->kind == KM_ITEM_STRINGS)
		return (const char *)p;
	for (const guint8 *rest = end; rest < start + item->size; rest++)
		if (*rest)
			return NULL;
	return item->n_refs || !is_readable(start, (gsize)(end - start)) ? NULL : (const char *)p;
}
