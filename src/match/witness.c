/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where symbols live, as told by the linked code: every relocation of a matched function, and of each data section
 * whose start got known that way, is a witness. All witnesses of a symbol must agree.
 */
#include "match/lay.h"

#include <string.h>

#include "base/error.h"

/* ELFv2: slots for addresses, which the linker puts together with those of other units. */
#define TOC_SECTION ".toc"

static void tell(KmSpot *spot, guint64 address, const KmSection *by, guint64 by_offset)
{
	if (!spot->known) {
		*spot = (KmSpot){ .known = TRUE, .address = address, .by = by, .by_offset = by_offset };
	} else if (spot->address != address && !spot->conflict) {
		spot->conflict = TRUE;
		spot->other = address;
		spot->other_by = by;
		spot->other_offset = by_offset;
	}
}

/* A weak definition may not be the one that was linked, so it stands for itself; others move with their section. */
static KmSpot *spot_of(const KmMatch *match, const KmSymbol *symbol, guint64 *value)
{
	*value = 0;
	if (symbol == match->plain->null_symbol || (!symbol->section && symbol->shndx == SHN_ABS))
		return NULL;
	if (!symbol->section || symbol->bind == STB_WEAK)
		return &match->spots[symbol->index];
	if (km_lay_is_pooled(symbol->section))
		return NULL;
	*value = symbol->value;
	return &match->lays[symbol->section->index].spot;
}

/* Relocations of one section, those of one function or all. */
typedef struct {
	const KmSection *section;
	const KmReloc *first;
	gsize n;
	guint64 base; /* of the section in the ground */
} Stretch;

static gboolean part_of_address(const KmMatch *match, const Stretch *s, const KmReloc *r, guint64 *bits, guint64 *mask)
{
	const KmArch *arch = match->plain->arch;
	const KmRelocInfo *info = km_arch_reloc(arch, r->type);
	guint size = info && info->size ? MAX(info->size, arch->insn_size) : 0;
	const guint8 *field = size ? km_lay_field(match, s->section, r->offset, s->base, size) : NULL;
	return field && arch->address_part(r->type, field, s->base + r->offset, bits, mask);
}

/* What both parts of an address together count from. FALSE: unknown. */
static gboolean base_of(const KmMatch *match, const KmReloc *r, guint64 *base)
{
	const KmRelocInfo *info = km_arch_reloc(match->plain->arch, r->type);
	*base = 0;
	return info && (info->kind != KM_RELOC_TOC ||
			(match->ground->ops->toc && match->ground->ops->toc(match->ground, base)));
}

/*
 * The value of r's symbol out of two fields of one function that are about the same place: the page and the place in it. The code is that of the
 * unit, so any two such fields tell the same; one that does not contradicts another witness.
 */
static gboolean join_parts(const KmMatch *match, const Stretch *s, const KmReloc *r, guint64 *value)
{
	guint64 bits, mask, other_bits, other_mask, base;
	if (!match->plain->arch->address_part || match->ground->ops->has_reloc ||
	    !part_of_address(match, s, r, &bits, &mask) || !base_of(match, r, &base))
		return FALSE;
	for (gsize i = 0; i < s->n; i++) {
		const KmReloc *other = &s->first[i];
		if (other->symbol != r->symbol || other->addend != r->addend ||
		    !part_of_address(match, s, other, &other_bits, &other_mask) || other_mask != ~mask)
			continue;
		*value = base + bits + other_bits - (guint64)r->addend;
		return TRUE;
	}
	return FALSE;
}

/* The relocation of the slot that r leads to, in a section of slots for addresses (.toc); NULL: it leads elsewhere. */
static const KmReloc *slot_of(const KmMatch *match, const KmReloc *r)
{
	const KmRelocInfo *info = km_arch_reloc(match->plain->arch, r->type);
	if (!match->plain->arch->reads_place || !r->symbol->section || !info || info->kind != KM_RELOC_TOC ||
	    strcmp(r->symbol->section->name, TOC_SECTION))
		return NULL;
	guint64 at = r->symbol->value + (guint64)r->addend;
	gsize n;
	const KmReloc *slot = km_section_relocs_in(r->symbol->section, at, at + 1, &n);
	return n ? slot : NULL;
}

/*
 * Of two fields that lead to a slot, the one whose instruction reads it tells what the slot is to hold: it still reads it, from wherever the linker has
 * put one slot for all units, or computes that address.
 */
static void hear_slot(KmMatch *match, const KmReloc *r, const KmReloc *slot, const Stretch *s)
{
	const KmArch *arch = match->plain->arch;
	const guint8 *ours = s->section->data->data + r->offset;
	const guint8 *theirs = km_lay_field(match, s->section, r->offset, s->base, arch->insn_size);
	guint64 value, address;
	KmSpot *spot = spot_of(match, slot->symbol, &value);
	if (!spot || !theirs || !arch->reads_place(ours) || !join_parts(match, s, r, &address))
		return;
	address += (guint64)r->addend;
	if (arch->reads_place(theirs) &&
	    (!match->ground->ops->pointer || !match->ground->ops->pointer(match->ground, address, &address)))
		return;
	tell(spot, address - (guint64)slot->addend - value, s->section, r->offset);
}

static void hear(KmMatch *match, const KmSection *section, gsize index, const Stretch *s)
{
	const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, index);
	guint64 value, address;
	const KmReloc *slot = match->ground->ops->has_reloc ? NULL : slot_of(match, reloc);
	if (slot) {
		hear_slot(match, reloc, slot, s);
		return;
	}
	KmSpot *spot = spot_of(match, reloc->symbol, &value);
	if (!spot || km_lay_is_nop(match, section, reloc->offset, s->base) ||
	    (!match->ground->ops->symbol_value(match->ground, section, index, s->base + reloc->offset, &address) &&
	     !join_parts(match, s, reloc, &address)))
		return;
	/* Nothing is linked to 0 but what was left undefined: a field that the loader fills tells nothing. */
	if (!address && !km_section_is_text(section))
		return;
	tell(spot, address - value, section, reloc->offset);
}

static void hear_range(KmMatch *match, const KmSection *section, guint64 start, guint64 end)
{
	gsize n;
	const KmReloc *first = km_section_relocs_in(section, start, end, &n);
	gsize from = n ? (gsize)(first - &g_array_index(section->relocs, KmReloc, 0)) : 0;
	const Stretch stretch = { section, first, n, match->lays[section->index].spot.address };
	for (gsize i = from; i < from + n; i++)
		hear(match, section, i, &stretch);
}

/* Only what was compared is a witness in text. */
static void follow(KmMatch *match, const KmSection *section)
{
	KmLay *lay = &match->lays[section->index];
	lay->followed = TRUE;
	if (!lay->functions) {
		hear_range(match, section, 0, section->size);
		return;
	}
	for (guint i = 0; i < lay->functions->len; i++) {
		const KmSymbol *f = g_array_index(lay->functions, const KmSymbol *, i);
		if (!match->differs[f->index])
			hear_range(match, section, f->value, f->value + f->size);
	}
}

/* Discarded or sorted by the build: what stands in the ground at their place is not theirs. */
static gboolean is_followable(const KmMatch *match, const KmSection *section)
{
	const KmLay *lay = &match->lays[section->index];
	if (lay->followed || !lay->spot.known || lay->spot.conflict || !section->relocs->len)
		return FALSE;
	if (km_section_is_text(section))
		return lay->laid;
	return section->data && (section->flags & SHF_ALLOC) && !km_lay_is_pooled(section);
}

static gboolean follow_known(KmMatch *match)
{
	gboolean progress = FALSE;
	for (guint i = 0; i < match->plain->sections->len; i++) {
		const KmSection *section = match->plain->sections->pdata[i];
		if (!is_followable(match, section))
			continue;
		follow(match, section);
		progress = TRUE;
	}
	return progress;
}

/* The linker has one definition of a global name: what nothing referred to so far can be found by it. */
static void ask_names(KmMatch *match)
{
	for (guint i = 0; i < match->plain->symbols->len; i++) {
		const KmSymbol *symbol = match->plain->symbols->pdata[i];
		guint64 value, address;
		if (symbol->bind == STB_LOCAL || !*symbol->name)
			continue;
		KmSpot *spot = spot_of(match, symbol, &value);
		if (spot && !spot->known && km_lay_global(match, symbol->name, &address))
			tell(spot, address - value, NULL, 0);
	}
}

/* Does the ground name all data of the section as it would be if the section started at base? */
static gboolean names_agree(const KmMatch *match, const KmSection *section, guint64 base)
{
	g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(KmName));
	for (guint i = 0; i < match->plain->symbols->len; i++) {
		const KmSymbol *symbol = match->plain->symbols->pdata[i];
		if (symbol->section != section || symbol->type != STT_OBJECT)
			continue;
		gboolean found = FALSE;
		g_array_set_size(names, 0);
		match->ground->ops->names_at(match->ground, base + symbol->value, names);
		for (guint k = 0; k < names->len; k++)
			found |= km_place_suits(g_array_index(names, KmName, k).name, symbol->name);
		if (!found)
			return FALSE;
	}
	return TRUE;
}

/*
 * A data section that neither code nor global names lead to: the one place where everything in it has its name. Asked
 * through a local name that occurs once.
 */
static void ask_local_names(KmMatch *match)
{
	g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(KmName));
	for (guint i = 0; i < match->plain->symbols->len; i++) {
		const KmSymbol *symbol = match->plain->symbols->pdata[i];
		if (symbol->type != STT_OBJECT || symbol->bind != STB_LOCAL || !symbol->section ||
		    !(symbol->section->flags & SHF_ALLOC) || km_lay_is_pooled(symbol->section) ||
		    match->lays[symbol->section->index].spot.known)
			continue;
		g_array_set_size(names, 0);
		match->ground->ops->named(match->ground, symbol->name, names);
		if (names->len != 1)
			continue;
		guint64 base = g_array_index(names, KmName, 0).address - symbol->value;
		if (names_agree(match, symbol->section, base))
			tell(&match->lays[symbol->section->index].spot, base, NULL, 0);
	}
}

void km_witness_all(KmMatch *match)
{
	gboolean progress;
	do {
		while (follow_known(match))
			;
		ask_names(match);
		progress = follow_known(match);
		progress |= km_lay_settle(match);
		if (!progress) {
			ask_local_names(match);
			progress = follow_known(match);
		}
	} while (progress);
}

/* The function that the offset of a text section is in, or NULL. */
static const KmSymbol *function_at(const KmMatch *match, const KmSection *section, guint64 offset)
{
	if (!section || !km_section_is_text(section))
		return NULL;
	const KmSymbol *f = km_object_symbol_at(match->plain, section, offset);
	return f && f->type == STT_FUNC ? f : NULL;
}

/* It was counted as equal so far. */
static void take_back(KmMatch *match, const KmSymbol *f, char *why)
{
	match->compared -= !match->differs[f->index];
	km_lay_mismatch(match, f, why);
}

/* Two functions disagree where something is: one of them is not compiled from this source. */
static void judge_conflict(KmMatch *match, const KmSpot *spot, const char *name)
{
	const KmSymbol *one = function_at(match, spot->by, spot->by_offset);
	const KmSymbol *two = function_at(match, spot->other_by, spot->other_offset);
	if (!spot->conflict || !two || (spot->by && !one))
		return;
	gint64 off = (gint64)(spot->other - spot->address);
	take_back(match, two,
		  g_strdup_printf("refers at +0x%" G_GINT64_MODIFIER "x to %s, but %" G_GINT64_FORMAT
				  " bytes off from where %s has it",
				  spot->other_offset - two->value, name, off, one ? one->name : "its name"));
}

/*
 * The ground knows the name, elsewhere, and calls what stands here otherwise: the source says another thing than the
 * code.
 */
static void judge_name(KmMatch *match, const KmSymbol *symbol, const KmSpot *spot, guint64 address)
{
	g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(KmName));
	const KmSymbol *f = function_at(match, spot->by, spot->by_offset);
	if (!spot->known || spot->conflict || !f || !*symbol->name)
		return;
	match->ground->ops->names_at(match->ground, address, names);
	guint here = names->len;
	for (guint i = 0; i < here; i++)
		if (km_place_suits(g_array_index(names, KmName, i).name, symbol->name))
			return;
	match->ground->ops->named(match->ground, symbol->name, names);
	if ((here == names->len && !match->ground->complete) || (!here && !symbol->section))
		return;
	take_back(match, f,
		  g_strdup_printf("refers at +0x%" G_GINT64_MODIFIER "x to %s, there to %s", spot->by_offset - f->value,
				  symbol->name,
				  here ? g_array_index(names, KmName, 0).name : "something without a name"));
}

void km_witness_judge(KmMatch *match)
{
	for (guint i = 0; i < match->plain->sections->len; i++)
		judge_conflict(match, &match->lays[i].spot, ((KmSection *)match->plain->sections->pdata[i])->name);
	for (guint i = 0; i < match->plain->symbols->len; i++) {
		const KmSymbol *symbol = match->plain->symbols->pdata[i];
		guint64 value;
		const KmSpot *spot = spot_of(match, symbol, &value);
		if (symbol->type == STT_SECTION || match->plain->arch->is_annotation(symbol) || !spot)
			continue;
		if (spot == &match->spots[i])
			judge_conflict(match, spot, symbol->name);
		judge_name(match, symbol, spot, spot->address + value);
	}
}

static char *describe_witness(const KmMatch *match, const KmSection *by, guint64 offset)
{
	if (!by)
		return g_strdup("its global name");
	const KmSymbol *in = km_object_symbol_at(match->plain, by, offset);
	return in ? g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", in->name, offset - in->value)
		  : g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", by->name, offset);
}

gboolean km_witness_address(const KmMatch *match, const KmSymbol *symbol, guint64 *address, GError **error)
{
	const char *name = *symbol->name || !symbol->section ? symbol->name : symbol->section->name;
	guint64 value;
	const KmSpot *spot = spot_of(match, symbol, &value);
	if (!spot)
		return km_refuse(
			error, "%s: %s has no one place in %s: %s", match->plain->path, name, match->ground->owner,
			symbol->section ? "its section holds constants that the linker pools" : "it is absolute");
	if (!spot->known && symbol->section && match->lays[symbol->section->index].bases)
		return km_refuse(error, "%s: %s fits %u places of %s equally and nothing tells them apart",
				 match->plain->path, name, match->lays[symbol->section->index].bases->len,
				 match->ground->owner);
	if (!spot->known)
		return km_refuse(error, "%s: no matched code or data of this unit tells where %s is in %s",
				 match->plain->path, name, match->ground->owner);
	if (spot->conflict) {
		g_autofree char *one = describe_witness(match, spot->by, spot->by_offset);
		g_autofree char *two = describe_witness(match, spot->other_by, spot->other_offset);
		return km_refuse(error,
				 "%s: the place of %s in %s is contradictory: 0x%" G_GINT64_MODIFIER
				 "x according to %s, 0x%" G_GINT64_MODIFIER "x according to %s",
				 match->plain->path, name, match->ground->owner, spot->address + value, one,
				 spot->other + value, two);
	}
	*address = spot->address + value;
	return TRUE;
}
