/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The module against the units. Starting from the replaced functions, each range of a unit is paired with the range of the module
 * that must say the same: equal bytes, relocations at the same places, and each of them with the same meaning, which pairs
 * further ranges.
 */
#include <string.h>

#include "verify/internal.h"

/* Bit 1 of the key in a row of __jump_table: the branch is to become a NOP (include/linux/jump_label.h). */
#define JUMP_KEY_NOP 2
#define MAX_BRANCH 8

void km_pair(KmChecker *c, KmView *view, KmSection *from, guint64 start, guint64 size, KmSection *to, gint64 at)
{
	GPtrArray *pairs = g_hash_table_lookup(view->pairs, from);
	const KmPair *known = km_view_pair_at(view, from, start);
	if (!pairs)
		g_hash_table_insert(view->pairs, from, pairs = g_ptr_array_new());
	if (known && known->to == to && (gint64)(known->at - known->start) == at - (gint64)start &&
	    start + size <= known->start + known->size)
		return;
	/* Livepatch relocations have a size, and no bytes that anything could be compared with. */
	guint64 room = to->klp_object ? 0 : to->size;
	if (at < 0 || (guint64)at > room || size > room - (guint64)at) {
		km_find_at(c, to, at < 0 ? 0 : (guint64)at, "%s of %s (%" G_GUINT64_FORMAT " bytes) does not fit there",
			   from->name, view->patched->path, size);
		return;
	}
	if (known && size && (from->flags & (SHF_WRITE | SHF_EXECINSTR)))
		km_find_at(c, to, (guint64)at, "a second copy of %s+0x%" G_GINT64_MODIFIER "x", from->name, start);
	KmPair *pair = g_new(KmPair, 1);
	*pair = (KmPair){ .from = from, .start = start, .size = size, .to = to, .at = (guint64)at };
	g_ptr_array_add(pairs, pair);
	g_ptr_array_add(c->pairs, pair);
	g_ptr_array_add(c->owners, view);
	km_cover(c, to, (guint64)at, size);
}

/* ---- one range ---- */

/* A reference of the unit's range. */
typedef struct {
	KmReloc reloc;
	gint64 bias; /* from symbol + addend to the place meant */
	gboolean branch;
} Reference;

static gint by_offset(gconstpointer a, gconstpointer b)
{
	const Reference *x = a, *y = b;
	return x->reloc.offset < y->reloc.offset ? -1 : x->reloc.offset > y->reloc.offset;
}

/* Branches that need no relocation as long as both ends share a section. */
static void add_branches(const KmView *view, const KmPair *pair, GArray *references)
{
	const KmArch *arch = view->patched->arch;
	if (!km_section_is_text(pair->from) || pair->size == pair->from->size || !arch->branches_out ||
	    km_special_find(pair->from->name))
		return;
	g_autoptr(GArray) branches = arch->branches_out(pair->from, pair->start, pair->start + pair->size);
	for (guint i = 0; i < branches->len; i++) {
		const KmBranch *b = &g_array_index(branches, KmBranch, i);
		KmSymbol *symbol = km_object_symbol_at(view->patched, pair->from, b->target);
		Reference reference = { .branch = TRUE, .bias = -b->addend };
		if (!symbol)
			continue;
		reference.reloc = (KmReloc){ b->field, b->type, symbol, b->addend + (gint64)(b->target - symbol->value) };
		g_array_append_val(references, reference);
	}
}

static GArray *references_of(const KmView *view, const KmPair *pair)
{
	const KmArch *arch = view->patched->arch;
	GArray *references = g_array_new(FALSE, FALSE, sizeof(Reference));
	gsize n;
	const KmReloc *first = km_section_relocs_in(pair->from, pair->start, pair->start + pair->size, &n);
	gsize base = (gsize)(first - (const KmReloc *)(void *)pair->from->relocs->data);
	for (gsize i = 0; i < n; i++) {
		const KmRelocInfo *info = km_arch_reloc(arch, first[i].type);
		Reference r = { .reloc = first[i],
				.bias = arch->target_offset(pair->from, base + i) - first[i].addend,
				.branch = km_arch_is_branch(arch, pair->from, base + i) };
		if (!info || info->kind != KM_RELOC_NONE)
			g_array_append_val(references, r);
	}
	add_branches(view, pair, references);
	g_array_sort(references, by_offset);
	return references;
}

/* The length of the branch at offset of the unit's section that the kernel's tools may have made a NOP; 0: none. */
static guint nop_length(const KmView *view, const KmPair *pair, const KmChecker *c, guint64 offset, guint64 *site)
{
	const KmArch *arch = view->patched->arch;
	const KmSection *table = km_object_find_section(view->patched, "__jump_table");
	for (guint i = 0; table && arch->nop_over && i + 2 < table->relocs->len; i += 3) {
		const KmReloc *r = &g_array_index(table->relocs, KmReloc, i);
		*site = r->symbol->value + (guint64)r->addend;
		if (r->symbol->section != pair->from || *site > offset || offset - *site >= MAX_BRANCH || *site < pair->start ||
		    !(r[2].addend & JUMP_KEY_NOP))
			continue;
		guint64 at = *site - pair->start;
		guint length = arch->nop_over(pair->from->data->data + *site, pair->to->data->data + pair->at + at,
					      pair->size - at);
		if (*site + length > offset)
			return length;
	}
	return 0;
}

static gboolean is_nop(const KmView *view, const KmPair *pair, const KmChecker *c, guint64 offset)
{
	guint64 site;
	return pair->from->data && pair->to->data && nop_length(view, pair, c, offset, &site);
}

static guint8 *written_bits(const KmView *view, const KmPair *pair, const GArray *references)
{
	guint8 *ignore = g_malloc0(pair->size + 8);
	for (guint i = 0; i < references->len; i++) {
		const KmReloc *r = &g_array_index(references, Reference, i).reloc;
		const KmRelocInfo *info = km_arch_reloc(view->patched->arch, r->type);
		guint64 at = r->offset - pair->start;
		for (guint k = 0; info && k < info->size && at + k < pair->size; k++) {
			guint shift = 8 * (view->patched->arch->big_endian ? info->size - 1 - k : k);
			ignore[at + k] |= (guint8)(info->mask >> shift);
		}
	}
	return ignore;
}

/* A call that leads through a stub needs another instruction behind it than one that the loader knows of. check_behind() wants it there. */
static gboolean is_put_behind(const KmChecker *c, const KmPair *pair, guint64 at)
{
	const KmCallStub *stub = c->module->arch->call_stub;
	return stub && stub->behind && at + 4 <= pair->size && km_is_behind_call(c, pair->to, pair->at + at) &&
	       km_object_get_u32(c->module, pair->from->data->data + pair->start + at) == stub->room &&
	       km_object_get_u32(c->module, pair->to->data->data + pair->at + at) == stub->behind;
}

static void compare_bytes(KmChecker *c, const KmView *view, const KmPair *pair, const GArray *references)
{
	if (!pair->from->data != !pair->to->data) {
		km_find_at(c, pair->to, pair->at, "has %s where %s has %s", pair->to->data ? "bytes" : "none", pair->from->name,
			   pair->from->data ? "bytes" : "none");
		return;
	}
	if (!pair->from->data)
		return;
	const guint8 *ours = pair->from->data->data + pair->start, *theirs = pair->to->data->data + pair->at;
	g_autofree guint8 *ignore = written_bits(view, pair, references);
	for (guint64 i = 0; i < pair->size; i++) {
		guint64 site;
		if (!((ours[i] ^ theirs[i]) & (guint8)~ignore[i]))
			continue;
		if (is_put_behind(c, pair, i - i % 4)) {
			i = i - i % 4 + 3;
			continue;
		}
		guint length = nop_length(view, pair, c, pair->start + i, &site);
		if (!length) {
			km_find_at(c, pair->to, pair->at + i, "0x%02x where the patched %s has 0x%02x", theirs[i],
				   pair->from->name, ours[i]);
			return;
		}
		i = site + length - pair->start - 1;
	}
}

static gboolean writes_nothing(const KmObject *object, const KmReloc *r)
{
	const KmRelocInfo *info = km_arch_reloc(object->arch, r->type);
	return info && info->kind == KM_RELOC_NONE;
}

static void compare_references(KmChecker *c, KmView *view, const KmPair *pair, const GArray *ours)
{
	gsize n, k = 0;
	const KmReloc *theirs = km_section_relocs_in(pair->to, pair->at, pair->at + pair->size, &n);
	for (guint i = 0; i < ours->len; i++) {
		const Reference *r = &g_array_index(ours, Reference, i);
		guint64 at = r->reloc.offset - pair->start;
		for (; k < n && (theirs[k].offset - pair->at < at || writes_nothing(c->module, &theirs[k])); k++)
			if (!writes_nothing(c->module, &theirs[k]))
				km_find_at(c, pair->to, theirs[k].offset, "a relocation that the patched %s does not have",
					   pair->from->name);
		if (k < n && theirs[k].offset - pair->at == at)
			km_compare_reference(c, view, pair, &r->reloc, r->bias, r->branch, &theirs[k++]);
		else if (!is_nop(view, pair, c, r->reloc.offset))
			km_find_at(c, pair->to, pair->at + at, "the relocation against %s is missing", r->reloc.symbol->name);
	}
	for (; k < n; k++)
		if (!writes_nothing(c->module, &theirs[k]))
			km_find_at(c, pair->to, theirs[k].offset, "a relocation that the patched %s does not have",
				   pair->from->name);
}

void km_compare_range(KmChecker *c, KmView *view, const KmPair *pair)
{
	const guint64 matter = SHF_ALLOC | SHF_EXECINSTR;
	g_autoptr(GArray) references = references_of(view, pair);
	if ((pair->from->flags & matter) != (pair->to->flags & matter) ||
	    ((pair->from->flags & SHF_WRITE) && !(pair->to->flags & SHF_WRITE)))
		km_find_at(c, pair->to, pair->at, "in a section of other flags than %s", pair->from->name);
	guint64 align = MIN(pair->from->addralign, 1u << 12);
	if (align > 1 && pair->to->addralign < align && !km_special_find(pair->from->name) &&
	    !(pair->from->flags & SHF_MERGE) && !(pair->start & (align - 1)))
		km_find(c, pair->to->name, "aligned to %" G_GUINT64_FORMAT ", %s needs %" G_GUINT64_FORMAT, pair->to->addralign,
			pair->from->name, align);
	compare_bytes(c, view, pair, references);
	compare_references(c, view, pair, references);
	c->result->pieces++;
	c->result->bytes += pair->size;
}

/* ---- all ---- */

static void pair_switches(KmChecker *c, KmView *view)
{
	for (guint i = 0; i < view->patched->symbols->len; i++) {
		KmSymbol *f = view->patched->symbols->pdata[i];
		if (!f->section || f->type != STT_FUNC || !km_section_is_text(f->section) ||
		    !g_hash_table_contains(view->diff->twins, f))
			continue;
		g_autofree char *why = NULL;
		KmAt at = km_view_place(c, view, f, &why);
		for (guint k = 0; at.kind && k < c->switches->len; k++) {
			KmSwitch *s = c->switches->pdata[k];
			guint64 start, size;
			if (!s->section || strcmp(s->object, view->unit->owner) || !km_at_equal(&s->original, &at))
				continue;
			s->used = TRUE;
			g_hash_table_add(view->replaced, f);
			km_view_extent(view, f, &start, &size);
			km_pair(c, view, f->section, start, size, s->section, (gint64)s->offset - (gint64)(f->value - start));
		}
	}
}

/* Callbacks have no original: a unit's function of the name that the module's symbol has. */
static void pair_callbacks(KmChecker *c)
{
	for (guint k = 0; k < c->callbacks->len; k++) {
		const KmSwitch *call = c->callbacks->pdata[k];
		const KmSymbol *there = call->section ? km_object_symbol_at(c->module, call->section, call->offset) : NULL;
		guint found = 0;
		for (guint i = 1; there && i < c->views->len; i++) {
			KmView *view = c->views->pdata[i];
			KmSymbol *f = km_object_find_symbol(view->patched, there->name);
			guint64 start, size;
			if (!f || !f->section || f->type != STT_FUNC || (strcmp(call->object, view->unit->owner) && !found && i + 1 < c->views->len))
				continue;
			found++;
			km_view_extent(view, f, &start, &size);
			km_pair(c, view, f->section, start, size, call->section,
				(gint64)call->offset - (gint64)(f->value - start));
			break;
		}
		if (!found)
			km_find(c, call->object, "a callback that no patched file has");
	}
}

/* Its sections come first in the module, whole; only the module's name differs. */
static void pair_frame(KmChecker *c, KmView *frame)
{
	for (guint i = 0; i < frame->patched->sections->len; i++) {
		KmSection *from = frame->patched->sections->pdata[i];
		const KmSpecial *special = km_special_find(from->name);
		gboolean kept = !special || !strcmp(from->name, ".modinfo") || !strcmp(from->name, ".gnu.linkonce.this_module") ||
				!strcmp(from->name, ".orc_header");
		if (!(from->flags & SHF_ALLOC) || !from->size || !kept || g_str_has_prefix(from->name, ".kmend."))
			continue;
		KmSection *to = km_object_find_section(c->module, from->name);
		guint64 name = c->layout.module_name, end = name + c->layout.module_name_len;
		if (!to) {
			km_find(c, from->name, "missing");
		} else if (!strcmp(from->name, ".gnu.linkonce.this_module") && end <= from->size) {
			km_pair(c, frame, from, 0, name, to, 0);
			km_pair(c, frame, from, end, from->size - end, to, (gint64)end);
			km_cover(c, to, name, end - name);
		} else {
			km_pair(c, frame, from, 0, from->size, to, 0);
		}
	}
}

static void drain(KmChecker *c)
{
	while (c->work < c->pairs->len) {
		const KmPair *pair = c->pairs->pdata[c->work];
		KmView *view = c->owners->pdata[c->work++];
		km_compare_range(c, view, pair);
	}
}

/* What the module has under that name and nothing has claimed yet. */
static const KmSymbol *unclaimed(const KmChecker *c, const KmSymbol *wanted)
{
	for (guint i = 0; i < c->module->symbols->len; i++) {
		const KmSymbol *symbol = c->module->symbols->pdata[i];
		if (symbol->section && symbol->type == wanted->type && symbol->size == wanted->size &&
		    !strcmp(symbol->name, wanted->name) && !km_is_covered(c, symbol->section, symbol->value))
			return symbol;
	}
	return NULL;
}

/* New functions and data may be there although nothing refers to them: others may use them one day. */
static void pair_new(KmChecker *c, KmView *view)
{
	const GPtrArray *lists[] = { view->diff->functions, view->diff->data };
	for (gsize l = 0; l < G_N_ELEMENTS(lists); l++)
		for (guint i = 0; i < lists[l]->len; i++) {
			const KmChange *change = lists[l]->pdata[i];
			const KmSymbol *new = change->status == KM_NEW && !change->init ? change->patched : NULL;
			if (!new || !new->section || km_view_pair_at(view, new->section, new->value))
				continue;
			const KmSymbol *there = unclaimed(c, new);
			guint64 start, size;
			km_view_extent(view, new, &start, &size);
			if (there)
				km_pair(c, view, new->section, start, size, there->section,
					(gint64)there->value - (gint64)(new->value - start));
		}
}

static void close_over(KmChecker *c)
{
	guint before;
	do {
		drain(c);
		before = c->pairs->len;
		km_compare_rows(c);
	} while (c->pairs->len != before);
}

void km_compare_all(KmChecker *c)
{
	pair_frame(c, c->views->pdata[0]);
	for (guint i = 1; i < c->views->len; i++)
		pair_switches(c, c->views->pdata[i]);
	pair_callbacks(c);
	close_over(c);
	for (guint i = 1; i < c->views->len; i++)
		pair_new(c, c->views->pdata[i]);
	close_over(c);
	km_compare_own(c);
	km_check_left_over(c);
	km_compare_unwind(c);
}
