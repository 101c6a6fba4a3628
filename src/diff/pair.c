/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A funnel of levels. Each one looks only at what is still without a twin, and takes an answer only if it is unique in both
 * directions; what a level found helps the next. Guesses come last and carry a note.
 */
#include "diff/pair.h"

#include <string.h>

#include "diff/lists.h"

/* Items of one base name and kind, in file order. */
typedef struct {
	GPtrArray *original, *patched;
} Group;

typedef struct {
	KmSide *original, *patched;
	GHashTable *groups; /* key "kind base" -> Group */
	GPtrArray *order; /* of Group, as first seen: a hash has no stable order */
	KmComparison *comparison;
} Pairing;

static void group_free(gpointer data)
{
	Group *group = data;
	g_ptr_array_unref(group->original);
	g_ptr_array_unref(group->patched);
	g_free(group);
}

/* Anonymous constants are compared by content wherever they are used; they have no identity to look for. */
static gboolean wants_twin(const KmItem *item)
{
	switch (item->kind) {
	case KM_ITEM_FUNCTION:
	case KM_ITEM_DATA:
	case KM_ITEM_OUTSIDE:
		return TRUE;
	case KM_ITEM_ANON:
		return !item->constant;
	default:
		return FALSE;
	}
}

static void add_to_groups(Pairing *pairing, KmSide *side)
{
	for (guint i = 0; i < side->items->len; i++) {
		KmItem *item = side->items->pdata[i];
		if (!wants_twin(item))
			continue;
		g_autofree char *key = g_strdup_printf("%d %s", item->kind, item->base);
		Group *group = g_hash_table_lookup(pairing->groups, key);
		if (!group) {
			group = g_new0(Group, 1);
			group->original = g_ptr_array_new();
			group->patched = g_ptr_array_new();
			g_hash_table_insert(pairing->groups, g_steal_pointer(&key), group);
			g_ptr_array_add(pairing->order, group);
		}
		g_ptr_array_add(side == pairing->original ? group->original : group->patched, item);
	}
}

static void make_twins(KmItem *a, KmItem *b, const char *guess)
{
	a->twin = b;
	b->twin = a;
	a->guess = b->guess = guess;
}

/* The only one without a twin for which accept() holds; NULL when there are none or several. */
static KmItem *only(const GPtrArray *items, gboolean (*accept)(const KmItem *, gconstpointer), gconstpointer data)
{
	KmItem *found = NULL;
	for (guint i = 0; i < items->len; i++) {
		KmItem *item = items->pdata[i];
		if (item->twin || !accept(item, data))
			continue;
		if (found)
			return NULL;
		found = item;
	}
	return found;
}

static gboolean has_name(const KmItem *item, gconstpointer name)
{
	return item->name == name;
}

/* clang's "foo.count" beside "foo.count.1": the first of several static locals, so its name means no more than theirs. */
static gboolean has_numbered(const GPtrArray *items)
{
	for (guint i = 0; i < items->len; i++) {
		const KmItem *item = items->pdata[i];
		if (item->name != item->base)
			return TRUE;
	}
	return FALSE;
}

static gboolean is_known_by_name(const Group *group, const KmItem *item)
{
	if (item->kind == KM_ITEM_OUTSIDE)
		return TRUE;
	if (item->name != item->base)
		return FALSE;
	return item->kind != KM_ITEM_DATA || item->symbol->bind != STB_LOCAL ||
	       !(has_numbered(group->original) || has_numbered(group->patched));
}

/* "vfs_read", "proc_root": one of that very name on each side. "count.5" is another matter: the number means nothing. */
static void pair_names(Group *group)
{
	for (guint i = 0; i < group->original->len; i++) {
		KmItem *a = group->original->pdata[i];
		if (a->twin || !is_known_by_name(group, a) || only(group->original, has_name, a->name) != a)
			continue;
		KmItem *b = only(group->patched, has_name, a->name);
		if (b)
			make_twins(a, b, NULL);
	}
}

static gboolean is_function(const KmItem *item, gconstpointer unused)
{
	return item->kind == KM_ITEM_FUNCTION;
}

/* "audit_log_start.part.3" and "audit_log_start.part.0": the only such part of that function on each side. */
static void pair_clones(Group *group)
{
	KmItem *a = only(group->original, is_function, NULL), *b = only(group->patched, is_function, NULL);
	if (a && b)
		make_twins(a, b, NULL);
}

static gboolean has_shape_of(const KmItem *item, gconstpointer other)
{
	return km_items_same_shape(item, other);
}

/* Two static functions "type_show" in one object, from two included files: the one with the same code. */
static void pair_shapes(Group *group)
{
	for (guint i = 0; i < group->original->len; i++) {
		KmItem *a = group->original->pdata[i];
		if (a->twin || a->kind != KM_ITEM_FUNCTION)
			continue;
		KmItem *b = only(group->patched, has_shape_of, a);
		if (b && only(group->original, has_shape_of, b) == a)
			make_twins(a, b, NULL);
	}
}

/* "foo.cold" of a foo that there is twice: it belongs to the one that jumps there. */
static gboolean pair_cold(Group *group)
{
	gboolean found = FALSE;
	for (guint i = 0; i < group->original->len; i++) {
		KmItem *a = group->original->pdata[i];
		for (guint k = 0; !a->twin && a->parent && a->parent->twin && k < group->patched->len; k++) {
			KmItem *b = group->patched->pdata[k];
			if (b->twin || b->parent != a->parent->twin)
				continue;
			make_twins(a, b, NULL);
			found = TRUE;
		}
	}
	return found;
}

static gboolean is_record(const KmItem *item)
{
	return item->section && km_section_is_record(item->section);
}

/* The only one of items without a twin that says the same as record. */
static KmItem *only_record(Pairing *pairing, const GPtrArray *items, const KmItem *record)
{
	gboolean original = items->len && ((KmItem *)items->pdata[0])->side == pairing->original;
	KmItem *found = NULL;
	for (guint i = 0; i < items->len; i++) {
		KmItem *item = items->pdata[i];
		gboolean equal = !item->twin && is_record(item) &&
				 (original ? km_items_equal(pairing->comparison, item, record)
					   : km_items_equal(pairing->comparison, record, item));
		if (equal && found)
			return NULL;
		found = equal ? item : found;
	}
	return found;
}

/* "__UNIQUE_ID_ddebug334.15" of a function that was split, merged or inlined: its text, function and file say which one it is. */
static void pair_records(Pairing *pairing)
{
	for (guint g = 0; g < pairing->order->len; g++) {
		const Group *group = pairing->order->pdata[g];
		for (guint i = 0; i < group->original->len; i++) {
			KmItem *a = group->original->pdata[i];
			KmItem *b = !a->twin && is_record(a) ? only_record(pairing, group->patched, a) : NULL;
			if (b && only_record(pairing, group->original, b) == a)
				make_twins(a, b, NULL);
		}
	}
}

static void each_group(Pairing *pairing, void (*level)(Group *))
{
	for (guint i = 0; i < pairing->order->len; i++)
		level(pairing->order->pdata[i]);
}

/* What an item refers to, in order: its own code or data, then its rows of special sections (the key of a jump label). */
static GPtrArray *all_refs(const KmItem *item)
{
	GPtrArray *all = g_ptr_array_new();
	const KmRef *refs = km_item_refs(item);
	for (guint i = 0; i < item->n_refs; i++)
		g_ptr_array_add(all, (gpointer)&refs[i]);
	for (guint e = 0; item->entries && e < item->entries->len; e++) {
		const KmEntry *entry = &g_array_index(item->entries, KmEntry, e);
		guint n;
		refs = km_side_refs_in(item->side, entry->section, entry->start, entry->start + entry->size, &n);
		for (guint i = 0; i < n; i++)
			g_ptr_array_add(all, (gpointer)&refs[i]);
	}
	return all;
}

/* Could they be twins, or are they already? */
static gboolean could_pair(Pairing *pairing, const KmItem *a, const KmItem *b)
{
	if (a->twin || b->twin)
		return a->twin == b;
	/* "__msg.3" and "__msg.5" of one function: constants are told apart by what they hold, and records by what they say. */
	if (a->constant && b->constant && !km_items_same_shape(a, b))
		return FALSE;
	if (is_record(a) && is_record(b) && !km_items_equal(pairing->comparison, a, b))
		return FALSE;
	return a->kind == b->kind && a->base == b->base && wants_twin(a) && wants_twin(b);
}

enum { NO_MATCH = 0, WEAK_MATCH = 1, STRONG_MATCH = 3 };

/* How well do they fit? A static local of the same name but other content is a last resort: it may be a new one. */
static guint fit(Pairing *pairing, const KmRef *a, const KmRef *b)
{
	if (a->item->constant && b->item->constant && !wants_twin(a->item))
		return a->item->kind == b->item->kind && km_refs_same_target(pairing->comparison, a, b) ? STRONG_MATCH
													: NO_MATCH;
	if (!could_pair(pairing, a->item, b->item))
		return NO_MATCH;
	return a->item->twin || km_items_same_shape(a->item, b->item) ? STRONG_MATCH : WEAK_MATCH;
}

typedef struct {
	KmItem *candidate;
	guint count;
} Vote;

typedef struct {
	GHashTable *votes; /* KmItem of either side -> GArray of Vote */
} Ballot;

static void vote_one(Ballot *ballot, KmItem *voter, KmItem *candidate)
{
	GArray *votes = g_hash_table_lookup(ballot->votes, voter);
	if (!votes) {
		votes = g_array_new(FALSE, FALSE, sizeof(Vote));
		g_hash_table_insert(ballot->votes, voter, votes);
	}
	for (guint i = 0; i < votes->len; i++) {
		if (g_array_index(votes, Vote, i).candidate == candidate) {
			g_array_index(votes, Vote, i).count++;
			return;
		}
	}
	Vote vote = { candidate, 1 };
	g_array_append_val(votes, vote);
}

static void vote(Pairing *pairing, Ballot *ballot, const KmRef *a, const KmRef *b)
{
	if (a->item->twin || b->item->twin || !could_pair(pairing, a->item, b->item))
		return;
	vote_one(ballot, a->item, b->item);
	vote_one(ballot, b->item, a->item);
}

/* The candidate with most votes, and clearly so. */
static KmItem *winner(const Ballot *ballot, const KmItem *voter)
{
	GArray *votes = g_hash_table_lookup(ballot->votes, voter);
	KmItem *best = NULL;
	guint count = 0;
	for (guint i = 0; votes && i < votes->len; i++) {
		const Vote *v = &g_array_index(votes, Vote, i);
		if (v->count == count)
			best = NULL;
		if (v->count > count) {
			best = v->candidate;
			count = v->count;
		}
	}
	return best;
}

static gboolean count_votes(Pairing *pairing, const Ballot *ballot)
{
	gboolean found = FALSE;
	for (guint i = 0; i < pairing->original->items->len; i++) {
		KmItem *a = pairing->original->items->pdata[i];
		KmItem *b = a->twin ? NULL : winner(ballot, a);
		if (!b || b->twin || winner(ballot, b) != a)
			continue;
		make_twins(a, b, NULL);
		found = TRUE;
	}
	return found;
}

static gboolean has_open_refs(const GPtrArray *refs)
{
	for (guint i = 0; i < refs->len; i++) {
		const KmRef *ref = refs->pdata[i];
		if (!ref->item->twin && wants_twin(ref->item))
			return TRUE;
	}
	return FALSE;
}

/* The alignment of what two changed functions refer to that fits best in all, from their tails; cells hold its worth. */
static void align_middle(Pairing *pairing, Ballot *ballot, const GPtrArray *a, const GPtrArray *b, guint from,
			 guint a_end, guint b_end)
{
	guint rows = a_end - from, columns = b_end - from;
	if (!rows || !columns || (guint64)rows * columns > 4000000)
		return;
	g_autofree guint32 *cells = g_new0(guint32, (gsize)(rows + 1) * (columns + 1));
#define CELL(i, k) cells[(gsize)(i) * (columns + 1) + (k)]
	for (guint i = rows; i-- > 0;) {
		for (guint k = columns; k-- > 0;) {
			guint worth = fit(pairing, a->pdata[from + i], b->pdata[from + k]);
			CELL(i, k) = MAX(CELL(i + 1, k), CELL(i, k + 1));
			if (worth)
				CELL(i, k) = MAX(CELL(i, k), CELL(i + 1, k + 1) + worth);
		}
	}
	for (guint i = 0, k = 0; i < rows && k < columns;) {
		guint worth = fit(pairing, a->pdata[from + i], b->pdata[from + k]);
		if (worth && CELL(i, k) == CELL(i + 1, k + 1) + worth)
			vote(pairing, ballot, a->pdata[from + i++], b->pdata[from + k++]);
		else if (CELL(i + 1, k) >= CELL(i, k + 1))
			i++;
		else
			k++;
	}
#undef CELL
}

/* Equal heads and tails need no search. */
static void align(Pairing *pairing, Ballot *ballot, const GPtrArray *a, const GPtrArray *b)
{
	guint from = 0, a_end = a->len, b_end = b->len;
	while (from < a_end && from < b_end && fit(pairing, a->pdata[from], b->pdata[from]) == STRONG_MATCH) {
		vote(pairing, ballot, a->pdata[from], b->pdata[from]);
		from++;
	}
	while (a_end > from && b_end > from && fit(pairing, a->pdata[a_end - 1], b->pdata[b_end - 1]) == STRONG_MATCH)
		vote(pairing, ballot, a->pdata[--a_end], b->pdata[--b_end]);
	align_middle(pairing, ballot, a, b, from, a_end, b_end);
}

static void compare_refs(Pairing *pairing, Ballot *ballot, const KmItem *item, gboolean certain)
{
	g_autoptr(GPtrArray) a = all_refs(item), b = all_refs(item->twin);
	if (!has_open_refs(a) || !has_open_refs(b))
		return;
	gboolean same = a->len == b->len && km_items_same_shape(item, item->twin);
	if (!certain)
		align(pairing, ballot, a, b);
	for (guint i = 0; certain && same && i < a->len; i++)
		vote(pairing, ballot, a->pdata[i], b->pdata[i]);
}

/*
 * "count.5" of foo is "count.9" of foo, if foo refers to them at the same place. certain: only from functions and data that
 * are otherwise equal; then also from changed ones, whose references are aligned.
 */
static gboolean pair_by_refs(Pairing *pairing, gboolean certain)
{
	g_autoptr(GHashTable) votes = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_array_unref);
	Ballot ballot = { votes };
	gboolean found = FALSE;
	for (guint i = 0; i < pairing->original->items->len; i++) {
		const KmItem *item = pairing->original->items->pdata[i];
		if (item->twin && item->section)
			compare_refs(pairing, &ballot, item, certain);
	}
	found = count_votes(pairing, &ballot);
	for (guint i = 0; i < pairing->order->len; i++)
		found |= pair_cold(pairing->order->pdata[i]);
	return found;
}

static void pair_by_all_refs(Pairing *pairing)
{
	do {
		while (pair_by_refs(pairing, TRUE))
			;
	} while (pair_by_refs(pairing, FALSE));
}

static gboolean same_root(const KmItem *a, const KmItem *b)
{
	g_autofree char *x = km_name_root(a->name), *y = km_name_root(b->name);
	return !strcmp(x, y);
}

/* Is one of item's referrers, or one of their callers if far, a clone or part of the function that from is of? */
static gboolean used_by(const KmItem *item, const KmItem *from, guint far)
{
	for (guint i = 0; i < item->referrers->len; i++) {
		const KmItem *user = item->referrers->pdata[i];
		if (user->kind == KM_ITEM_FUNCTION && same_root(user, from))
			return TRUE;
		if (far && user->kind == KM_ITEM_FUNCTION && user->referrers->len < 100 && used_by(user, from, far - 1))
			return TRUE;
	}
	return FALSE;
}

static gboolean share_users(const KmItem *a, const KmItem *b, guint far)
{
	for (guint i = 0; i < a->referrers->len; i++) {
		const KmItem *user = a->referrers->pdata[i];
		if (user->kind == KM_ITEM_FUNCTION && used_by(b, user, far))
			return TRUE;
	}
	return FALSE;
}

static gboolean shares_users_near(const KmItem *item, gconstpointer other)
{
	return share_users(other, item, 0);
}

static gboolean shares_users_far(const KmItem *item, gconstpointer other)
{
	return share_users(other, item, 1) || share_users(item, other, 1);
}

static void pair_moved(Group *group, gboolean (*shares)(const KmItem *, gconstpointer), const char *guess)
{
	for (guint i = 0; i < group->original->len; i++) {
		KmItem *a = group->original->pdata[i];
		if (a->twin || a->kind == KM_ITEM_FUNCTION)
			continue;
		KmItem *b = only(group->patched, shares, a);
		if (b && only(group->original, shares, b) == a && a->size == b->size)
			make_twins(a, b, guess);
	}
}

/* "count.5" of foo, when only foo.part.0 or foo.cold still refers to it. */
static void pair_near(Group *group)
{
	pair_moved(group, shares_users_near, NULL);
}

/* "count.5" of foo, when foo was inlined into its caller bar. */
static void pair_far(Group *group)
{
	pair_moved(group, shares_users_far, "its user was inlined or split off");
}

static gboolean is_unused_like(const KmItem *item, gconstpointer other)
{
	const KmItem *o = other;
	return item->kind == KM_ITEM_DATA && !item->referrers->len && !o->referrers->len &&
	       km_items_same_shape(item, o);
}

/* "__UNIQUE_ID_license273": nothing refers to it; equal content in the same order. */
static void pair_unused(Group *group)
{
	for (guint i = 0; i < group->original->len; i++) {
		KmItem *a = group->original->pdata[i];
		for (guint k = 0; !a->twin && k < group->patched->len; k++) {
			KmItem *b = group->patched->pdata[k];
			if (!b->twin && is_unused_like(a, b))
				make_twins(a, b, NULL);
		}
	}
}

static guint count_open(const GPtrArray *items)
{
	guint n = 0;
	for (guint i = 0; i < items->len; i++)
		n += !((KmItem *)items->pdata[i])->twin;
	return n;
}

static gboolean accept_all(const KmItem *item, gconstpointer unused)
{
	return TRUE;
}

/* Data that nothing settled ("__initcall__kmod_x__1_2_init6" with a new line number): the only one left on each side. */
static void pair_lone_data(Group *group)
{
	KmItem *a = only(group->original, accept_all, NULL), *b = only(group->patched, accept_all, NULL);
	if (a && b && a->kind == KM_ITEM_DATA && !a->referrers->len && !b->referrers->len)
		make_twins(a, b, NULL);
}

/* Several functions of one name and nothing tells them apart: the first is the first. A guess. */
static void pair_by_order(Group *group)
{
	gboolean equal = count_open(group->original) == count_open(group->patched);
	for (guint i = 0; i < group->original->len; i++) {
		KmItem *a = group->original->pdata[i];
		for (guint k = 0; !a->twin && a->kind == KM_ITEM_FUNCTION && k < group->patched->len; k++) {
			KmItem *b = group->patched->pdata[k];
			if (!b->twin && (equal || a->name == b->name))
				make_twins(a, b, "several functions have this name; taken by their order");
		}
	}
}

static GPtrArray *ids_of(const KmSide *side)
{
	GPtrArray *ids = g_ptr_array_new();
	for (guint i = 0; i < side->items->len; i++) {
		KmItem *item = side->items->pdata[i];
		if (item->kind == KM_ITEM_DATA && item->section && !strcmp(item->section->name, ".BTF_ids"))
			g_ptr_array_add(ids, item);
	}
	return ids;
}

/* Lists of BTF_ID() that are the same: place by place. Their names hold lines and counts ("__BTF_ID__struct__sock__1216"). */
static void pair_ids(KmSide *original, KmSide *patched)
{
	g_autoptr(GPtrArray) before = ids_of(original), after = ids_of(patched);
	if (before->len != after->len || !km_same_btf_ids(original->object, patched->object))
		return;
	for (guint i = 0; i < before->len; i++) {
		KmItem *a = before->pdata[i], *b = after->pdata[i];
		if (a->start == b->start && a->size == b->size)
			make_twins(a, b, NULL);
	}
}

void km_pair_sides(KmSide *original, KmSide *patched)
{
	g_autoptr(GHashTable) groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, group_free);
	g_autoptr(GPtrArray) order = g_ptr_array_new();
	g_autoptr(KmComparison) comparison = km_comparison_new();
	Pairing pairing = {
		.original = original, .patched = patched, .groups = groups, .order = order, .comparison = comparison
	};
	add_to_groups(&pairing, original);
	add_to_groups(&pairing, patched);

	pair_ids(original, patched);
	each_group(&pairing, pair_names);
	each_group(&pairing, pair_clones);
	each_group(&pairing, pair_shapes);
	pair_records(&pairing);
	pair_by_all_refs(&pairing);
	each_group(&pairing, pair_near);
	pair_by_all_refs(&pairing);
	each_group(&pairing, pair_far);
	each_group(&pairing, pair_unused);
	each_group(&pairing, pair_lone_data);
	each_group(&pairing, pair_by_order);
	pair_by_all_refs(&pairing);
}
