/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does a relocation of the module mean what the unit's means? */
#include <string.h>

#include "verify/internal.h"

/* One reference under comparison. */
typedef struct {
	KmChecker *c;
	KmView *view;
	const KmPair *pair; /* whose it is */
	const KmReloc *ours, *theirs;
	gint64 bias; /* from symbol + addend to the place meant, in both */
	gint64 target; /* the place meant in the unit's section */
	gboolean branch;
	KmAt at; /* symbol + addend of the module's */
} Look;

static void wrong(const Look *l, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void wrong(const Look *l, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	g_autofree char *what = g_strdup_vprintf(format, args);
	va_end(args);
	g_autofree char *there = km_at_describe(l->c, &l->at);
	km_find_at(l->c, l->pair->to, l->theirs->offset, "refers to %s: %s", there, what);
}

static gboolean same_effect(const KmObject *object, guint32 a, guint32 b)
{
	const KmRelocInfo *x = km_arch_reloc(object->arch, a), *y = km_arch_reloc(object->arch, b);
	gboolean relative = x && y && (x->kind == KM_RELOC_PC || x->kind == KM_RELOC_CALL) &&
			    (y->kind == KM_RELOC_PC || y->kind == KM_RELOC_CALL);
	return a == b || (relative && x->size == y->size && x->mask == y->mask);
}

static const char *name_of(const KmSymbol *symbol)
{
	return *symbol->name || !symbol->section ? symbol->name : symbol->section->name;
}

/* ---- inside ---- */

static gboolean must_be_inside(const Look *l, const char *what)
{
	if (l->at.kind == KM_AT_INSIDE)
		return TRUE;
	wrong(l, "%s %s must be inside the live patch", what, name_of(l->ours->symbol));
	return FALSE;
}

/* The range [start, start + size) of the unit's section that the reference is about, paired with where it leads. */
static void pair_range(const Look *l, KmView *view, KmSection *from, guint64 start, guint64 size)
{
	gint64 there = (gint64)l->at.address + l->bias - (l->target - (gint64)start);
	km_pair(l->c, view, from, start, size, (KmSection *)l->at.section, there);
}

static void compare_string(const Look *l, const KmSection *from)
{
	gint64 there = (gint64)l->at.address + l->bias;
	if (!must_be_inside(l, "a string of"))
		return;
	if (l->target < 0 || (guint64)l->target >= from->size || from->entsize > 1) {
		pair_range(l, l->view, (KmSection *)from, 0, from->size);
		return;
	}
	const char *text = (const char *)from->data->data + l->target;
	gsize size = strnlen(text, from->size - (guint64)l->target) + 1;
	const KmSection *to = l->at.section;
	if (there < 0 || !to->data || (guint64)there > to->data->len || size > to->data->len - (guint64)there ||
	    memcmp(text, to->data->data + there, size) || (to->flags & (SHF_WRITE | SHF_EXECINSTR)))
		wrong(l, "the string there is not \"%.60s\"", text);
	else
		km_cover(l->c, to, (guint64)there, size);
}

/* A stretch of out-of-line code: up to the next place of its section that something points at. */
static void compare_stretch(const Look *l, KmSection *from)
{
	guint64 start = 0, end = from->size;
	const KmObject *object = l->view->patched;
	for (guint s = 0; s < object->sections->len; s++) {
		const KmSection *by = object->sections->pdata[s];
		const KmSpecial *special = km_special_find(by->name);
		for (guint i = 0; by != from && !(special && special->kind == KM_SPECIAL_MARK) && i < by->relocs->len;
		     i++) {
			const KmReloc *r = &g_array_index(by->relocs, KmReloc, i);
			gint64 at = (gint64)r->symbol->value +
				    (r->symbol->section == from ? object->arch->target_offset(by, i) : 0);
			if (r->symbol->section != from || at < 0)
				continue;
			if (at <= l->target && (guint64)at > start)
				start = (guint64)at;
			if (at > l->target && (guint64)at < end)
				end = (guint64)at;
		}
	}
	if (!must_be_inside(l, "out-of-line code of") || l->target > (gint64)from->size)
		return;
	pair_range(l, l->view, from, start, end > start ? end - start : 0);
}

/* Bytes without a name: one of a pool of constants, or all that a section holds. */
static void compare_anonymous(const Look *l, KmSection *from)
{
	guint64 start = 0, size = from->size;
	if (!must_be_inside(l, "a constant of"))
		return;
	if ((from->flags & SHF_MERGE) && from->entsize && l->target >= 0 && (guint64)l->target < from->size) {
		start = (guint64)l->target - (guint64)l->target % from->entsize;
		size = MIN(from->entsize, from->size - start);
	}
	pair_range(l, l->view, from, start, size);
}

static void pair_thing(const Look *l, KmView *view, const KmSymbol *thing)
{
	guint64 start, size;
	km_view_extent(view, thing, &start, &size);
	if (thing->size || size)
		pair_range(l, view, thing->section, start, size);
}

/* ---- outside ---- */

static void must_be_at(const Look *l, KmAt expected, gint64 offset, const KmSymbol *symbol, const char *why)
{
	expected.address += (guint64)offset;
	if (!expected.kind)
		wrong(l, "where %s lives is not known: %s", name_of(symbol), why ? why : "the kernel has no such name");
	else if (!km_at_equal(&expected, &l->at)) {
		g_autofree char *there = km_at_describe(l->c, &expected);
		wrong(l, "%s is at %s", name_of(symbol), there);
	}
}

static void must_be_original(const Look *l, const KmSymbol *thing)
{
	g_autofree char *why = NULL;
	KmAt expected = km_view_place(l->c, l->view, thing, &why);
	gint64 offset = (gint64)(l->ours->symbol->value - thing->value) + l->ours->addend;
	must_be_at(l, expected, offset, thing, why);
}

/* ---- by kind ---- */

static const KmChange *change_of(const Look *l, const KmSymbol *thing)
{
	return g_hash_table_lookup(l->view->changed, thing);
}

static gboolean has_twin(const Look *l, const KmSymbol *thing)
{
	return l->view->diff && g_hash_table_contains(l->view->diff->twins, thing);
}

static void compare_function(const Look *l, const KmSymbol *f)
{
	gboolean own = km_section_is_about_code(l->pair->from) || km_name_is_cold_part(f->name) ||
		       l->target != (gint64)f->value || !l->view->unit;
	const KmChange *change = change_of(l, f);
	if (l->at.kind == KM_AT_INSIDE) {
		if (!l->branch && !own && has_twin(l, f))
			wrong(l, "a pointer to %s must lead to the original, which others compare it with", f->name);
		else
			pair_thing(l, l->view, f);
		return;
	}
	gboolean changed = change && change->status == KM_CHANGED && !change->init;
	if (!has_twin(l, f))
		must_be_inside(l, "new function");
	else if (changed && (l->branch || own))
		wrong(l, "%s is replaced, and the new one must be reached", f->name);
	else
		must_be_original(l, f);
}

static void compare_datum(const Look *l, const KmSymbol *d)
{
	const KmChange *change = change_of(l, d);
	gboolean writable = d->section->flags & SHF_WRITE;
	if (l->at.kind == KM_AT_INSIDE) {
		if (has_twin(l, d) && writable && d->size)
			wrong(l, "%s is data of the running kernel, which must not be split in two", d->name);
		else
			pair_thing(l, l->view, d);
		return;
	}
	if (!has_twin(l, d))
		must_be_inside(l, "new data");
	else if (!writable && change && change->status == KM_CHANGED)
		wrong(l, "the content of %s has changed", d->name);
	else
		must_be_original(l, d);
}

/* The new global of that name in a view, or NULL. */
static KmSymbol *new_in(const KmView *view, const char *name)
{
	for (guint k = 0; k < view->patched->symbols->len; k++) {
		KmSymbol *symbol = view->patched->symbols->pdata[k];
		if (symbol->section && symbol->bind != STB_LOCAL && !strcmp(symbol->name, name) &&
		    !g_hash_table_contains(view->diff->twins, symbol))
			return symbol;
	}
	return NULL;
}

/*
 * Functions and data that another unit of the same patch adds. A file that is linked into several modules adds them once for each: code means
 * those of its own module, else the kernel's, else what any other has.
 */
static KmSymbol *new_elsewhere(const KmChecker *c, const char *from, const char *name, KmView **owner)
{
	KmSymbol *found = NULL;
	guint best = 0;
	for (guint i = 1; i < c->views->len; i++) {
		KmView *view = c->views->pdata[i];
		KmSymbol *symbol = new_in(view, name);
		guint rank = !strcmp(view->unit->owner, from) ? 3 : !strcmp(view->unit->owner, "vmlinux") ? 2 : 1;
		if (!symbol || rank <= best)
			continue;
		best = rank;
		found = symbol;
		*owner = view;
	}
	return found;
}

/* A global function of the kernel or module that another unit of the patch defines, and the original does too. */
static KmSymbol *old_elsewhere(const KmChecker *c, const char *from, const char *name, KmView **owner)
{
	for (guint i = 1; i < c->views->len; i++) {
		KmView *view = c->views->pdata[i];
		KmSymbol *symbol = strcmp(view->unit->owner, from) ? NULL : km_object_find_symbol(view->patched, name);
		const GPtrArray *overridden = km_match_overridden(view->match);
		if (!symbol || !symbol->section || symbol->bind == STB_LOCAL || symbol->type != STT_FUNC ||
		    !g_hash_table_contains(view->diff->twins, symbol) ||
		    (overridden && g_ptr_array_find_with_equal_func((GPtrArray *)overridden, name, g_str_equal, NULL)))
			continue;
		*owner = view;
		return symbol;
	}
	return NULL;
}

/* Such a function is reached at the original, which leads to the new one; without an entry it must be reached in the live patch. */
static gboolean compare_old(Look *l, const char *from)
{
	KmView *owner = NULL;
	KmSymbol *f = l->view->unit ? old_elsewhere(l->c, from, l->ours->symbol->name, &owner) : NULL;
	const KmChange *change = f ? g_hash_table_lookup(owner->changed, f) : NULL;
	gboolean changed = change && change->status == KM_CHANGED && !change->init;
	if (!f || (l->at.kind != KM_AT_INSIDE && (!changed || g_hash_table_contains(owner->replaced, f))))
		return FALSE;
	l->target = (gint64)f->value + l->ours->addend + l->bias;
	if (l->at.kind != KM_AT_INSIDE)
		wrong(l, "%s changes and is not redirected: the new one must be reached", f->name);
	else if (!l->branch)
		wrong(l, "a pointer to %s must lead to the original, which others compare it with", f->name);
	else
		pair_thing(l, owner, f);
	return TRUE;
}

/* Data of the kernel that kallsyms does not list: where the unit's own code has it. */
static KmAt without_name(const KmView *view, const char *name)
{
	guint64 address;
	for (guint i = 0; i < view->plain->symbols->len; i++) {
		const KmSymbol *symbol = view->plain->symbols->pdata[i];
		if (!symbol->section && symbol->shndx == SHN_UNDEF && !strcmp(symbol->name, name) &&
		    km_match_address(view->match, symbol, &address, NULL))
			return (KmAt){ .kind = KM_AT_VMLINUX, .address = address };
	}
	return (KmAt){ 0 };
}

static void compare_named(Look *l)
{
	const KmSymbol *symbol = l->ours->symbol;
	const char *from = l->view->unit ? l->view->unit->owner : "vmlinux";
	KmView *owner = NULL;
	KmSymbol *elsewhere = new_elsewhere(l->c, from, symbol->name, &owner);
	if (!elsewhere && compare_old(l, from))
		return;
	if (elsewhere && must_be_inside(l, "new in another file:")) {
		l->target = (gint64)elsewhere->value + l->ours->addend + l->bias;
		pair_thing(l, owner, elsewhere);
	}
	if (elsewhere)
		return;
	KmAt expected = km_at_global(l->c, from, symbol->name);
	if (!expected.kind && l->c->own && l->view->unit)
		expected = without_name(l->view, symbol->name);
	/* What the frame hands to klp_enable_patch(). */
	if (!expected.kind && !l->view->unit && l->c->patch_section)
		expected = (KmAt){ KM_AT_INSIDE, l->c->patch_section, l->c->patch_offset };
	if (!expected.kind && symbol->bind == STB_WEAK && !l->at.kind)
		return;
	must_be_at(l, expected, l->ours->addend, symbol, NULL);
}

/* One of a section of slots, each of which means what it holds. */
static void compare_slot(const Look *l, KmSection *from, guint size)
{
	if (must_be_inside(l, "a slot of") && l->target >= 0 && (guint64)l->target + size <= from->size)
		pair_range(l, l->view, from, (guint64)l->target - (guint64)l->target % size, size);
}

static void compare_defined(Look *l)
{
	KmSection *section = l->ours->symbol->section;
	const KmSpecial *special = km_special_find(section->name);
	if (special && special->kind == KM_SPECIAL_CODE) {
		compare_stretch(l, section);
		return;
	}
	if (special && special->kind == KM_SPECIAL_SLOTS) {
		compare_slot(l, section, special->entry_size);
		return;
	}
	KmSymbol *thing = km_view_thing(l->view, l->ours->symbol, section, l->target);
	if (thing && km_section_is_text(section))
		compare_function(l, thing);
	else if (thing)
		compare_datum(l, thing);
	else if (km_section_is_string(section))
		compare_string(l, section);
	else
		compare_anonymous(l, section);
}

void km_compare_reference(KmChecker *c, KmView *view, const KmPair *pair, const KmReloc *ours, gint64 bias,
			  gboolean branch, const KmReloc *theirs)
{
	Look l = { .c = c, .view = view, .pair = pair, .ours = ours, .theirs = theirs, .bias = bias, .branch = branch };
	l.target = (gint64)ours->symbol->value + ours->addend + bias;
	l.at = km_at_symbol(c, theirs->symbol);
	l.at.address += (guint64)theirs->addend;
	l.at = km_follow_stub(c, &l.at);
	if (!same_effect(c->module, ours->type, theirs->type))
		wrong(&l, "by another type of relocation (%u) than the patched %s (%u)", theirs->type, pair->from->name,
		      ours->type);
	else if (ours->symbol->section)
		compare_defined(&l);
	else if (ours->symbol->shndx == SHN_UNDEF && *ours->symbol->name)
		compare_named(&l);
	else if (l.at.kind != KM_AT_VALUE || l.at.address != ours->symbol->value + (guint64)ours->addend)
		wrong(&l, "the patched %s has a number there", pair->from->name);
}
