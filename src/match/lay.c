/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lay the text of the unit over the ground. The linker moves a section of a unit as one block, so the question is only
 * where each block starts: functions propose starts by their names, and a start is right when every function of the
 * block matches.
 */
#include "match/lay.h"

#include <string.h>

#include "base/error.h"

/*
 * Bit 1 of a jump table entry's key addend: the branch is to become a NOP (include/linux/jump_label.h of the kernel).
 */
#define JUMP_KEY_NOP 2

typedef struct {
	guint64 base;
	guint votes;
} Proposal;

gboolean km_lay_is_pooled(const KmSection *section)
{
	return section->flags & SHF_MERGE;
}

static gboolean is_function(const KmMatch *match, const KmSymbol *symbol)
{
	return symbol->type == STT_FUNC && symbol->section && symbol->size && km_section_is_text(symbol->section) &&
	       !match->plain->arch->is_annotation(symbol);
}

gboolean km_lay_global(const KmMatch *match, const char *name, guint64 *address)
{
	g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(KmName));
	match->ground->ops->named(match->ground, name, names);
	guint globals = 0;
	for (guint i = 0; i < names->len; i++) {
		const KmName *found = &g_array_index(names, KmName, i);
		if (!found->global || (globals && found->address == *address))
			continue;
		*address = found->address;
		globals++;
	}
	return globals == 1;
}

/* Masks. */

static gboolean mask_reloc(const KmMatch *match, const KmSection *section, const KmReloc *reloc, guint8 *ignore,
			   GError **error)
{
	const KmRelocInfo *info = km_arch_reloc(match->plain->arch, reloc->type);
	if (!info)
		return km_refuse(error, "%s: %s+0x%" G_GINT64_MODIFIER "x: relocation type %u is not known for %s",
				 match->plain->path, section->name, reloc->offset, reloc->type,
				 match->plain->arch->name);
	if (reloc->offset > section->size || info->size > section->size - reloc->offset)
		return km_fail(error, "%s: %s+0x%" G_GINT64_MODIFIER "x: %s reaches beyond the section",
			       match->plain->path, section->name, reloc->offset, info->name);
	for (guint i = 0; i < info->size; i++) {
		guint shift = 8 * (match->plain->arch->big_endian ? info->size - 1 - i : i);
		ignore[reloc->offset + i] |= (guint8)(info->mask >> shift);
	}
	return TRUE;
}

static gboolean mask_section(KmMatch *match, KmSection *section, GError **error)
{
	KmLay *lay = &match->lays[section->index];
	lay->ignore = g_malloc0(section->size + 1);
	for (guint i = 0; i < section->relocs->len; i++)
		if (!mask_reloc(match, section, &g_array_index(section->relocs, KmReloc, i), lay->ignore, error))
			return FALSE;
	return TRUE;
}

/* Branches that may have become NOPs. */

static void add_site(KmMatch *match, const KmSection *section, guint64 offset)
{
	GArray *sites = section ? match->lays[section->index].sites : NULL;
	if (sites && offset < section->size)
		g_array_append_val(sites, offset);
}

/* An entry has three fields: the branch, its target, the key; each is a relocation, in this order. */
static void jump_sites(KmMatch *match, const KmSection *table)
{
	const KmArch *arch = match->plain->arch;
	for (guint i = 0; i + 2 < table->relocs->len; i += 3) {
		const KmReloc *branch = &g_array_index(table->relocs, KmReloc, i);
		const KmSection *code = branch->symbol->section;
		if (code && (arch->target_offset(table, i + 2) & JUMP_KEY_NOP))
			add_site(match, code, branch->symbol->value + (guint64)arch->target_offset(table, i));
	}
}

static gboolean is_hook(const KmMatch *match, const char *name)
{
	return g_strv_contains(match->plain->arch->hooks, name) || g_str_has_prefix(name, "__sanitizer_cov");
}

/* The instruction starts at the field, or one opcode byte before it. */
static void hook_sites(KmMatch *match, const KmSection *section)
{
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, i);
		if (!is_hook(match, reloc->symbol->name))
			continue;
		if (reloc->offset)
			add_site(match, section, reloc->offset - 1);
		add_site(match, section, reloc->offset);
	}
}

static gint compare_u64(gconstpointer a, gconstpointer b)
{
	guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
	return x < y ? -1 : x > y;
}

static void collect_sites(KmMatch *match)
{
	if (!match->plain->arch->nop_over)
		return;
	for (guint i = 0; i < match->plain->sections->len; i++) {
		const KmSection *section = match->plain->sections->pdata[i];
		if (match->lays[i].sites)
			hook_sites(match, section);
		else if (strcmp(section->name, "__jump_table") == 0)
			jump_sites(match, section);
	}
	for (guint i = 0; i < match->plain->sections->len; i++)
		if (match->lays[i].sites)
			g_array_sort(match->lays[i].sites, compare_u64);
}

/* Does a branch of ours that starts at or shortly before offset stand as a NOP in theirs (the bytes of the section's
 * range [from, to))? Returns the offset behind it, or 0. */
static guint64 nop_end(const KmMatch *match, const KmSection *section, const guint8 *theirs, guint64 from, guint64 to,
		       guint64 offset)
{
	const GArray *sites = match->lays[section->index].sites;
	guint low = 0, high = sites ? sites->len : 0;
	while (low < high) {
		guint middle = low + (high - low) / 2;
		if (g_array_index(sites, guint64, middle) <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	for (guint i = low; i > 0 && i + 4 > low; i--) {
		guint64 site = g_array_index(sites, guint64, i - 1);
		if (site < from)
			break;
		guint length =
			match->plain->arch->nop_over(section->data->data + site, theirs + (site - from), to - site);
		if (site + length > offset)
			return site + length;
	}
	return 0;
}

gboolean km_lay_is_nop(const KmMatch *match, const KmSection *section, guint64 offset, guint64 base)
{
	const KmLay *lay = &match->lays[section->index];
	if (!lay->sites || !lay->sites->len)
		return FALSE;
	guint64 from = offset - MIN(offset, 8), to = MIN(offset + 8, section->size);
	const guint8 *theirs = match->ground->ops->bytes(match->ground, base + from, to - from);
	return theirs && nop_end(match, section, theirs, from, to, offset) != 0;
}

/* ---- instructions that the linker moved ---- */

static const guint8 *read_ground(gpointer ground, guint64 address, gsize size)
{
	return ((KmGround *)ground)->ops->bytes(ground, address, size);
}

/* Where the ground has our instruction at offset, if the linker put it elsewhere or wrote another that does the same; 0: neither. */
static guint64 moved_to(const KmMatch *match, const KmSection *section, guint64 offset, guint64 base)
{
	const KmArch *arch = match->plain->arch;
	if (!arch->moved_to || match->ground->ops->has_reloc || offset + arch->insn_size > section->size)
		return 0;
	return arch->moved_to(section->data->data + offset, base + offset, read_ground, match->ground);
}

const guint8 *km_lay_field(const KmMatch *match, const KmSection *section, guint64 offset, guint64 base, guint size)
{
	guint64 at = km_section_is_text(section) ? moved_to(match, section, offset, base) : 0;
	return match->ground->ops->bytes(match->ground, at ? at : base + offset, size);
}

/* The instruction of size bytes at start has a field that the linker fills in, and it wrote another one that does the same. */
static gboolean is_relaxed(const KmMatch *match, const KmSection *section, guint64 start, guint size, guint64 base)
{
	const KmArch *arch = match->plain->arch;
	gsize n = 0;
	if (!arch->relaxed || match->ground->ops->has_reloc || start + size > section->size)
		return FALSE;
	const KmReloc *relocs = km_section_relocs_in(section, start, start + size, &n);
	const guint8 *theirs = match->ground->ops->bytes(match->ground, base + start, size);
	return n && theirs &&
	       arch->relaxed(relocs->type, km_object_get_u32(match->plain, section->data->data + start),
			     km_object_get_u32(match->plain, theirs));
}

/* The whole instruction that the byte at offset is of was moved, or is another that does the same; behind its end, or 0. */
static guint64 moved_end(const KmMatch *match, const KmSection *section, guint64 offset, guint64 base)
{
	const guint insn_size = match->plain->arch->insn_size;
	if (insn_size && is_relaxed(match, section, offset - offset % insn_size, insn_size, base))
		return offset - offset % insn_size + insn_size;
	guint size = match->plain->arch->insn_size;
	guint64 start = size ? offset - offset % size : 0, at = size ? moved_to(match, section, start, base) : 0;
	const guint8 *theirs = at ? match->ground->ops->bytes(match->ground, at, size) : NULL;
	const guint8 *ours = section->data->data + start, *ignore = match->lays[section->index].ignore + start;
	for (guint i = 0; theirs && at != base + start && i < size; i++)
		if ((ours[i] ^ theirs[i]) & (guint8)~ignore[i])
			return 0;
	return theirs ? start + size : 0;
}

/* Comparing one function. */

typedef struct {
	guint differ; /* bytes */
	guint64 first; /* offset of the first in the function */
	gboolean absent; /* no bytes there */
	gboolean relocs; /* the relocations stand elsewhere */
} Difference;

static void compare_bytes(const KmMatch *match, const KmSymbol *f, guint64 base, const guint8 *theirs, Difference *d)
{
	const guint8 *ours = f->section->data->data + f->value;
	const guint8 *ignore = match->lays[f->section->index].ignore + f->value;
	for (guint64 i = 0; i < f->size; i++) {
		if (!((ours[i] ^ theirs[i]) & (guint8)~ignore[i]))
			continue;
		guint64 end = nop_end(match, f->section, theirs, f->value, f->value + f->size, f->value + i);
		if (!end)
			end = moved_end(match, f->section, f->value + i, base);
		if (end) {
			i = end - f->value - 1;
			continue;
		}
		if (!d->differ++)
			d->first = i;
	}
}

/* A module's relocations must stand where ours do: their fields were masked. */
static void compare_relocs(const KmMatch *match, const KmSymbol *f, guint64 base, Difference *d)
{
	const KmGroundOps *ops = match->ground->ops;
	if (!ops->has_reloc)
		return;
	gsize n, writing = 0;
	const KmReloc *relocs = km_section_relocs_in(f->section, f->value, f->value + f->size, &n);
	for (gsize i = 0; i < n; i++) {
		const KmRelocInfo *info = km_arch_reloc(match->plain->arch, relocs[i].type);
		if (!info->size || km_lay_is_nop(match, f->section, relocs[i].offset, base))
			continue;
		writing++;
		if (ops->has_reloc(match->ground, base + relocs[i].offset, info))
			continue;
		d->relocs = TRUE;
		d->first = relocs[i].offset - f->value;
		return;
	}
	d->relocs = writing != ops->count_relocs(match->ground, base + f->value, f->size);
}

static gboolean compare_function(const KmMatch *match, const KmSymbol *f, guint64 base, Difference *d)
{
	*d = (Difference){ 0 };
	const guint8 *theirs = match->ground->ops->bytes(match->ground, base + f->value, f->size);
	if (!theirs) {
		d->absent = TRUE;
		return FALSE;
	}
	compare_bytes(match, f, base, theirs, d);
	if (!d->differ)
		compare_relocs(match, f, base, d);
	return !d->differ && !d->relocs;
}

/* Bases. */

static gint compare_votes(gconstpointer a, gconstpointer b)
{
	const Proposal *x = a, *y = b;
	if (x->votes != y->votes)
		return x->votes > y->votes ? -1 : 1;
	return x->base < y->base ? -1 : x->base > y->base;
}

/* Where the names of its functions put the section, the most often proposed first. */
static GArray *propose_bases(const KmMatch *match, const GArray *functions)
{
	g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(KmName));
	g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(guint64));
	for (guint i = 0; i < functions->len; i++) {
		const KmSymbol *f = g_array_index(functions, const KmSymbol *, i);
		g_array_set_size(names, 0);
		match->ground->ops->named(match->ground, f->name, names);
		for (guint k = 0; k < names->len; k++) {
			guint64 base = g_array_index(names, KmName, k).address - f->value;
			g_array_append_val(all, base);
		}
	}
	g_array_sort(all, compare_u64);
	GArray *proposals = g_array_new(FALSE, FALSE, sizeof(Proposal));
	for (guint i = 0; i < all->len; i++) {
		Proposal p = { .base = g_array_index(all, guint64, i), .votes = 1 };
		Proposal *last = proposals->len ? &g_array_index(proposals, Proposal, proposals->len - 1) : NULL;
		if (last && last->base == p.base)
			last->votes++;
		else
			g_array_append_val(proposals, p);
	}
	g_array_sort(proposals, compare_votes);
	return proposals;
}

/*
 * A weak function whose name another unit's definition took: the linker leaves our code in place, without a name.
 * address: where ours would be, NULL when that is not known.
 */
static gboolean is_overridden(const KmMatch *match, const KmSymbol *f, const guint64 *address)
{
	if (f->bind != STB_WEAK)
		return FALSE;
	g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(KmName));
	match->ground->ops->named(match->ground, f->name, names);
	gboolean strong = FALSE;
	for (guint i = 0; i < names->len; i++) {
		const KmName *name = &g_array_index(names, KmName, i);
		if (address && name->address == *address)
			return FALSE;
		strong |= !name->weak;
	}
	return strong || address || !names->len;
}

/*
 * Does every function match with the section at base? Overridden ones do not have to, but one at least must prove it.
 */
static gboolean fits(const KmMatch *match, const GArray *functions, guint64 base)
{
	guint proofs = 0;
	Difference d;
	for (guint i = 0; i < functions->len; i++) {
		const KmSymbol *f = g_array_index(functions, const KmSymbol *, i);
		guint64 address = base + f->value;
		if (is_overridden(match, f, &address))
			continue;
		if (!compare_function(match, f, base, &d))
			return FALSE;
		proofs++;
	}
	return proofs > 0;
}

static void tell_base(KmLay *lay, guint64 base)
{
	lay->spot.known = TRUE;
	lay->spot.address = base;
	lay->laid = TRUE;
}

/*
 * A right base has every function that bears its name in the ground, so it is among the proposals with the most votes;
 * only weak functions defined elsewhere can vote for a wrong one, so go on until one fits.
 */
static void choose_base(KmLay *lay, const KmMatch *match, const GArray *proposals)
{
	guint votes = 0;
	lay->bases = g_array_new(FALSE, FALSE, sizeof(guint64));
	for (guint i = 0; i < proposals->len; i++) {
		const Proposal *p = &g_array_index(proposals, Proposal, i);
		if (p->votes < votes)
			break;
		if (!fits(match, lay->functions, p->base))
			continue;
		votes = p->votes;
		g_array_append_val(lay->bases, p->base);
	}
	if (lay->bases->len == 1)
		tell_base(lay, g_array_index(lay->bases, guint64, 0));
	if (lay->bases->len <= 1)
		g_clear_pointer(&lay->bases, g_array_unref);
}

/*
 * Hold a function against every place of its name; the closest tells best what differs. Where one is equal, its
 * neighbours lie elsewhere, but it itself is no mismatch.
 */
static gboolean matches_anywhere(const KmMatch *match, const KmSymbol *f, Difference *closest)
{
	g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(KmName));
	match->ground->ops->named(match->ground, f->name, names);
	*closest = (Difference){ .absent = TRUE };
	for (guint i = 0; i < names->len; i++) {
		Difference d;
		if (compare_function(match, f, g_array_index(names, KmName, i).address - f->value, &d))
			return TRUE;
		if (!d.absent && (closest->absent || d.differ < closest->differ))
			*closest = d;
	}
	return FALSE;
}

static char *describe(const KmMatch *match, const KmSymbol *f, const Difference *d)
{
	if (d->absent)
		return g_strdup_printf("not in %s", match->ground->owner);
	if (d->relocs)
		return g_strdup_printf("other relocations from +0x%" G_GINT64_MODIFIER "x", d->first);
	return g_strdup_printf("%u of %" G_GUINT64_FORMAT " bytes differ from +0x%" G_GINT64_MODIFIER "x", d->differ,
			       f->size, d->first);
}

void km_lay_mismatch(KmMatch *match, const KmSymbol *f, char *why)
{
	if (match->differs[f->index]) {
		g_free(why);
		return;
	}
	KmMismatch *mismatch = g_new(KmMismatch, 1);
	mismatch->function = g_strdup(f->name);
	mismatch->why = why;
	match->differs[f->index] = TRUE;
	g_ptr_array_add(match->mismatches, mismatch);
}

/* Every function is somewhere, but not as one block. */
static void blame_shift(KmMatch *match, const KmLay *lay, guint64 base)
{
	Difference d;
	for (guint i = 0; i < lay->functions->len; i++) {
		const KmSymbol *f = g_array_index(lay->functions, const KmSymbol *, i);
		if (is_overridden(match, f, NULL) || compare_function(match, f, base, &d))
			continue;
		km_lay_mismatch(match, f, g_strdup("equal, but not where its neighbours put it"));
		match->compared--;
	}
}

/* The section fits nowhere as a whole: which functions are to blame? */
static void blame(KmMatch *match, const KmLay *lay, const GArray *proposals)
{
	guint before = match->mismatches->len;
	Difference d;
	for (guint i = 0; i < lay->functions->len; i++) {
		const KmSymbol *f = g_array_index(lay->functions, const KmSymbol *, i);
		if (is_overridden(match, f, NULL))
			continue;
		if (matches_anywhere(match, f, &d))
			match->compared++;
		else
			km_lay_mismatch(match, f, describe(match, f, &d));
	}
	if (match->mismatches->len == before && proposals->len)
		blame_shift(match, lay, g_array_index(proposals, Proposal, 0).base);
}

static gboolean all_overridden(const KmMatch *match, const GArray *functions)
{
	for (guint i = 0; i < functions->len; i++)
		if (!is_overridden(match, g_array_index(functions, const KmSymbol *, i), NULL))
			return FALSE;
	return TRUE;
}

static void take_stock(KmMatch *match, const KmLay *lay)
{
	for (guint i = 0; i < lay->functions->len; i++) {
		const KmSymbol *f = g_array_index(lay->functions, const KmSymbol *, i);
		guint64 address = lay->spot.address + f->value;
		if (is_overridden(match, f, lay->laid ? &address : NULL))
			g_ptr_array_add(match->overridden, g_strdup(f->name));
		else
			match->compared++;
	}
}

static void lay_section(KmMatch *match, KmSection *section)
{
	KmLay *lay = &match->lays[section->index];
	g_autoptr(GArray) proposals = propose_bases(match, lay->functions);
	/* Built-in code never exits: linkers may drop this section, and some do. */
	if (!proposals->len && g_str_has_prefix(section->name, ".exit"))
		return;
	choose_base(lay, match, proposals);
	if (lay->laid || lay->bases || all_overridden(match, lay->functions))
		take_stock(match, lay);
	else
		blame(match, lay, proposals);
}

static gboolean prepare(KmMatch *match, GError **error)
{
	for (guint i = 0; i < match->plain->symbols->len; i++) {
		const KmSymbol *symbol = match->plain->symbols->pdata[i];
		if (!is_function(match, symbol))
			continue;
		KmLay *lay = &match->lays[symbol->section->index];
		if (symbol->value > symbol->section->size || symbol->size > symbol->section->size - symbol->value)
			return km_fail(error, "%s: function %s reaches beyond %s", match->plain->path, symbol->name,
				       symbol->section->name);
		if (!lay->functions) {
			lay->functions = g_array_new(FALSE, FALSE, sizeof(const KmSymbol *));
			lay->sites = g_array_new(FALSE, FALSE, sizeof(guint64));
			if (!mask_section(match, symbol->section, error))
				return FALSE;
		}
		g_array_append_val(lay->functions, symbol);
	}
	collect_sites(match);
	return TRUE;
}

gboolean km_lay_all(KmMatch *match, GError **error)
{
	if (!prepare(match, error))
		return FALSE;
	for (guint i = 0; i < match->plain->sections->len; i++)
		if (match->lays[i].functions)
			lay_section(match, match->plain->sections->pdata[i]);
	return TRUE;
}

/* Would the references out of the section at base agree with what is known of their targets? */
static gboolean agrees(const KmMatch *match, const KmSection *section, guint64 base)
{
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, i);
		const KmSymbol *target = reloc->symbol;
		guint64 found, expected;
		if (!*target->name || target->section || km_lay_is_nop(match, section, reloc->offset, base) ||
		    !match->ground->ops->symbol_value(match->ground, section, i, base + reloc->offset, &found))
			continue;
		const KmSpot *spot = &match->spots[target->index];
		if (spot->known && !spot->conflict)
			expected = spot->address;
		else if (!km_lay_global(match, target->name, &expected))
			continue;
		if (found != expected)
			return FALSE;
	}
	return TRUE;
}

static gboolean settle(const KmMatch *match, const KmSection *section, KmLay *lay)
{
	guint64 right = 0;
	guint agreeing = 0;
	for (guint i = 0; i < lay->bases->len; i++) {
		guint64 base = g_array_index(lay->bases, guint64, i);
		if (lay->spot.known ? lay->spot.address != base : !agrees(match, section, base))
			continue;
		right = base;
		agreeing++;
	}
	if (lay->spot.known && !agreeing && !lay->spot.conflict) {
		lay->spot.conflict = TRUE;
		lay->spot.other = g_array_index(lay->bases, guint64, 0);
	}
	if (agreeing != 1)
		return FALSE;
	tell_base(lay, right);
	g_clear_pointer(&lay->bases, g_array_unref);
	return TRUE;
}

gboolean km_lay_settle(KmMatch *match)
{
	gboolean progress = FALSE;
	for (guint i = 0; i < match->plain->sections->len; i++)
		if (match->lays[i].bases)
			progress |= settle(match, match->plain->sections->pdata[i], &match->lays[i]);
	return progress;
}
