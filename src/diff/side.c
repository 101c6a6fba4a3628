/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cutting an object into items: first the named ones, then the gaps between them at the places something refers to. */
#include "diff/side.h"

#include <string.h>

#include "base/error.h"

static void item_free(gpointer data)
{
	KmItem *item = data;
	g_clear_pointer(&item->referrers, g_ptr_array_unref);
	g_clear_pointer(&item->entries, g_array_unref);
	g_clear_pointer(&item->reasons, g_ptr_array_unref);
	g_free(item->escape);
	g_free(item);
}

KmPart *km_side_part(const KmSide *side, const KmSection *section)
{
	return &side->parts[section->index];
}

/* First ref at or after offset. */
static guint lower_ref(const GArray *refs, guint64 offset)
{
	guint low = 0, high = refs->len;
	while (low < high) {
		guint middle = (low + high) / 2;
		if (g_array_index(refs, KmRef, middle).offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const KmRef *km_side_refs_in(const KmSide *side, const KmSection *section, guint64 start, guint64 end, guint *n)
{
	const KmPart *part = km_side_part(side, section);
	guint from = lower_ref(part->refs, start), to = lower_ref(part->refs, end);
	*n = to > from ? to - from : 0;
	return *n ? &g_array_index(part->refs, KmRef, from) : NULL;
}

const KmRef *km_item_refs(const KmItem *item)
{
	return item->n_refs ? &g_array_index(km_side_part(item->side, item->section)->refs, KmRef, item->refs) : NULL;
}

static const char *intern(KmSide *side, const char *text)
{
	return g_string_chunk_insert_const(side->names, text);
}

static KmItem *add_item(KmSide *side, KmItemKind kind, KmSection *section, guint64 start, guint64 size,
			KmSymbol *symbol)
{
	KmItem *item = g_new0(KmItem, 1);
	const char *name = symbol ? symbol->name : section ? section->name : "";
	g_autofree char *base = km_name_base(name);
	item->side = side;
	item->kind = kind;
	item->section = section;
	item->start = start;
	item->size = size;
	item->symbol = symbol;
	item->name = intern(side, name);
	item->base = intern(side, base);
	item->referrers = g_ptr_array_new();
	g_ptr_array_add(side->items, item);
	if (section)
		g_ptr_array_add(km_side_part(side, section)->items, item);
	if (symbol && symbol != side->object->null_symbol)
		side->by_symbol[symbol->index] = item;
	return item;
}

/* Does this symbol name something, rather than mark a place or a file? */
static gboolean names_something(const KmSide *side, const KmSymbol *symbol)
{
	switch (symbol->type) {
	case STT_SECTION:
	case STT_FILE:
		return FALSE;
	case STT_NOTYPE:
		return symbol->name[0] && !side->object->arch->is_annotation(symbol);
	default:
		return !side->object->arch->is_annotation(symbol);
	}
}

/* Ascending by value; of aliases the one that covers most, then the most public, then the first. */
static gint by_place(gconstpointer a, gconstpointer b)
{
	const KmSymbol *x = *(KmSymbol *const *)a, *y = *(KmSymbol *const *)b;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if ((x->bind == STB_LOCAL) != (y->bind == STB_LOCAL))
		return x->bind == STB_LOCAL ? 1 : -1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static gboolean is_allocated(const KmSection *section)
{
	return (section->flags & SHF_ALLOC) && section->type != SHT_NOTE;
}

/* One item for all of it: strings and constants that a linker may merge, out-of-line code, records of special sections. */
static gboolean is_merged(const KmSection *section)
{
	return (section->flags & SHF_MERGE) && section->data && section->entsize &&
	       !(section->flags & (SHF_WRITE | SHF_EXECINSTR));
}

static gboolean takes_symbol(const KmSection *section, const KmSymbol *symbol)
{
	const KmSpecial *special = km_special_find(section->name);
	if (is_merged(section) || symbol->value > section->size)
		return FALSE;
	/* .fixup and .altinstr_replacement have labels of assembly code at most; a descriptor in a table is data. */
	if (special)
		return symbol->type == STT_OBJECT &&
		       (special->kind == KM_SPECIAL_TABLE || km_section_is_watched(section));
	return TRUE;
}

static KmItemKind kind_in(const KmSection *section, const KmSymbol *symbol)
{
	if (section->flags & SHF_EXECINSTR)
		return symbol->type == STT_OBJECT ? KM_ITEM_DATA : KM_ITEM_FUNCTION;
	return symbol->type == STT_FUNC ? KM_ITEM_FUNCTION : KM_ITEM_DATA;
}

/* An unsized symbol reaches to the next one. */
static guint64 reach(const GPtrArray *symbols, guint i, const KmSection *section)
{
	const KmSymbol *symbol = symbols->pdata[i];
	guint64 left = section->size - symbol->value;
	if (symbol->size)
		return MIN(symbol->size, left);
	for (guint j = i + 1; j < symbols->len; j++) {
		const KmSymbol *next = symbols->pdata[j];
		if (next->value > symbol->value)
			return next->value - symbol->value;
	}
	return left;
}

static void add_named(KmSide *side, KmSection *section, GPtrArray *symbols)
{
	KmItem *last = NULL;
	g_ptr_array_sort(symbols, by_place);
	for (guint i = 0; i < symbols->len; i++) {
		KmSymbol *symbol = symbols->pdata[i];
		/* An alias, or a label inside: a name for a place in the one that covers it. */
		if (last && (symbol->value < last->start + last->size || symbol->value == last->start)) {
			side->by_symbol[symbol->index] = last;
			continue;
		}
		/* An end marker covers nothing. */
		guint64 size = reach(symbols, i, section);
		if (!size && last) {
			side->by_symbol[symbol->index] = last;
			continue;
		}
		last = add_item(side, kind_in(section, symbol), section, symbol->value, size, symbol);
	}
}

static void add_outside(KmSide *side)
{
	KmObject *object = side->object;
	side->null_item = add_item(side, KM_ITEM_OUTSIDE, NULL, 0, 0, object->null_symbol);
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (symbol->section || symbol->type == STT_FILE)
			continue;
		gboolean common = symbol->shndx == SHN_COMMON;
		add_item(side, common ? KM_ITEM_DATA : KM_ITEM_OUTSIDE, NULL, 0, symbol->size, symbol);
	}
}

static void add_all_named(KmSide *side)
{
	KmObject *object = side->object;
	g_autoptr(GPtrArray) by_section = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
	for (guint i = 0; i < object->sections->len; i++)
		g_ptr_array_add(by_section, g_ptr_array_new());
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (symbol->section && is_allocated(symbol->section) && names_something(side, symbol) &&
		    takes_symbol(symbol->section, symbol))
			g_ptr_array_add(by_section->pdata[symbol->section->index], symbol);
	}
	for (guint i = 0; i < object->sections->len; i++) {
		KmSection *section = object->sections->pdata[i];
		if (!is_allocated(section))
			continue;
		if (is_merged(section))
			add_item(side, section->flags & SHF_STRINGS ? KM_ITEM_STRINGS : KM_ITEM_MERGED, section, 0,
				 section->size, NULL);
		else
			add_named(side, section, by_section->pdata[i]);
	}
}

/* Where each relocation points, in sections and symbols; items come later. */
static void find_positions(KmSide *side, const KmSection *section, GArray *refs)
{
	const KmArch *arch = side->object->arch;
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, i);
		const KmRelocInfo *info = km_arch_reloc(arch, reloc->type);
		if (info && info->kind == KM_RELOC_NONE)
			continue;
		KmRef ref = { .offset = reloc->offset,
			      .type = reloc->type,
			      .info = info,
			      .symbol = reloc->symbol,
			      .section = reloc->symbol->section,
			      .at = arch->target_offset(section, i) };
		ref.position = reloc->symbol->value + (guint64)ref.at;
		g_array_append_val(refs, ref);
	}
}

static gint by_offset(gconstpointer a, gconstpointer b)
{
	const KmRef *x = a, *y = b;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static guint count_functions(const KmPart *part)
{
	guint n = 0;
	for (guint i = 0; i < part->items->len; i++)
		n += ((KmItem *)part->items->pdata[i])->kind == KM_ITEM_FUNCTION;
	return n;
}

/* Functions that share a section reach each other without relocations: make those branches visible as refs. */
static void add_branches(KmSide *side, KmSection *section, KmPart *part)
{
	for (guint i = 0; i < part->items->len; i++) {
		const KmItem *item = part->items->pdata[i];
		if (item->kind != KM_ITEM_FUNCTION)
			continue;
		g_autoptr(GArray) branches =
			side->object->arch->branches_out(section, item->start, item->start + item->size);
		for (guint b = 0; b < branches->len; b++) {
			const KmBranch *branch = &g_array_index(branches, KmBranch, b);
			if (branch->target > section->size)
				continue;
			KmRef ref = { .offset = branch->field,
				      .type = branch->type,
				      .section = section,
				      .position = branch->target,
				      .info = km_arch_reloc(side->object->arch, branch->type) };
			g_array_append_val(part->refs, ref);
		}
	}
	g_array_sort(part->refs, by_offset);
}

static void blank_field(const KmSide *side, GByteArray *plain, const KmRef *ref)
{
	/* A branch too short for any relocation of the kernel's loader has one byte (x86 jmp rel8). */
	gboolean tiny = !ref->symbol && !ref->type;
	guint size = tiny ? 1 : ref->info ? ref->info->size : 0;
	guint64 mask = tiny ? G_MAXUINT64 : ref->info ? ref->info->mask : 0;
	if (ref->offset > plain->len || size > plain->len - ref->offset)
		return;
	for (guint i = 0; i < size; i++) {
		guint shift = 8 * (side->object->arch->big_endian ? size - 1 - i : i);
		plain->data[ref->offset + i] &= (guint8) ~(mask >> shift);
	}
}

/* Zero the bits of a line number that starts at offset, counted from the start of the word in memory order. */
static void blank_line(const KmSide *side, GByteArray *plain, guint64 at, guint bytes, guint32 bits)
{
	if (at > plain->len || bytes > plain->len - at)
		return;
	for (guint i = 0; i < bytes; i++) {
		guint shift = 8 * (side->object->arch->big_endian ? bytes - 1 - i : i);
		plain->data[at + i] &= (guint8) ~(bits >> shift);
	}
}

/* How many fields of [start, end) hold addresses: relocations that write one number together count once. end_of_last: where the last of them ends, or 0. */
static guint count_addresses(const KmSide *side, const KmSection *section, guint64 start, guint64 end, guint most,
			     guint64 *end_of_last)
{
	guint n, found = 0;
	const KmRef *refs = km_side_refs_in(side, section, start, end, &n);
	*end_of_last = 0;
	for (guint i = 0; i < n; i++) {
		if (i && refs[i].offset == refs[i - 1].offset)
			continue;
		if (found == most)
			break;
		*end_of_last = refs[i].info ? refs[i].offset + refs[i].info->size : 0;
		found++;
	}
	return found;
}

/* The end of the nth field that holds an address in [start, end), counted from 1; 0 when there are fewer. */
static guint64 after_address(const KmSide *side, const KmSection *section, guint64 start, guint64 end, guint nth)
{
	guint64 at;
	return count_addresses(side, section, start, end, nth, &at) == nth ? at : 0;
}

/*
 * Line numbers in records say where code stands in its file, not what it does. struct bug_entry has a u16 after its addresses
 * (with CONFIG_DEBUG_BUGVERBOSE: then there are two or more); struct _ddebug has 18 bits after four addresses; UBSan's
 * struct source_location has a u32 after one.
 */
static void blank_lines(KmSide *side, const KmSection *section, GByteArray *plain)
{
	gboolean bug = !strcmp(section->name, "__bug_table");
	gboolean debug = km_section_is_record(section);
	const GPtrArray *items = km_side_part(side, section)->items;
	guint64 ubsan = strstr(section->name, "Lubsan_data") ? after_address(side, section, 0, section->size, 1) : 0;
	if (ubsan)
		blank_line(side, plain, ubsan, 4, 0xffffffff);
	for (guint i = 0; debug && i < items->len; i++) {
		const KmItem *item = items->pdata[i];
		guint64 at = after_address(side, section, item->start, item->start + item->size, 4);
		if (at)
			blank_line(side, plain, at, 4, side->object->arch->big_endian ? 0xffffc000 : 0x0003ffff);
	}
	guint size = bug ? km_special_entry_size(km_special_find(section->name), section, NULL) : 0;
	for (guint64 start = 0; size && start + size <= section->size; start += size) {
		guint64 at;
		guint n = count_addresses(side, section, start, start + size, G_MAXUINT, &at);
		if (n >= 2 && at && at + 2 <= start + size)
			blank_line(side, plain, at, 2, 0xffff);
	}
}

static void fill_part(KmSide *side, KmSection *section)
{
	KmPart *part = km_side_part(side, section);
	find_positions(side, section, part->refs);
	part->several = count_functions(part) > 1;
	if (part->several && section->data && (section->flags & SHF_EXECINSTR))
		add_branches(side, section, part);
	if (!section->data)
		return;
	part->plain = g_byte_array_sized_new(section->data->len);
	g_byte_array_append(part->plain, section->data->data, section->data->len);
	for (guint i = 0; i < part->refs->len; i++)
		blank_field(side, part->plain, &g_array_index(part->refs, KmRef, i));
	blank_lines(side, section, part->plain);
}

static gint by_number(gconstpointer a, gconstpointer b)
{
	guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
	return x < y ? -1 : x > y;
}

/* By section index: places that something refers to by section and offset, ascending. */
static GPtrArray *find_cuts(KmSide *side)
{
	GPtrArray *cuts = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
	KmObject *object = side->object;
	for (guint i = 0; i < object->sections->len; i++)
		g_ptr_array_add(cuts, g_array_new(FALSE, FALSE, sizeof(guint64)));
	for (guint i = 0; i < object->sections->len; i++) {
		const KmPart *part = &side->parts[i];
		for (guint r = 0; r < part->refs->len; r++) {
			const KmRef *ref = &g_array_index(part->refs, KmRef, r);
			if (ref->section && ref->position < ref->section->size)
				g_array_append_val((GArray *)cuts->pdata[ref->section->index], ref->position);
		}
	}
	for (guint i = 0; i < cuts->len; i++)
		g_array_sort(cuts->pdata[i], by_number);
	return cuts;
}

static gboolean is_padding(const KmSection *section, guint64 start, guint64 end)
{
	if (end - start >= MAX(section->addralign, 64))
		return FALSE;
	for (guint64 i = start; section->data && i < end; i++)
		if (section->data->data[i])
			return FALSE;
	return TRUE;
}

static guint first_cut(const GArray *cuts, guint64 start)
{
	guint low = 0, high = cuts->len;
	while (low < high) {
		guint middle = (low + high) / 2;
		if (g_array_index(cuts, guint64, middle) < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Bytes without a symbol. In code they are padding or entry pads, unless nothing there has a symbol. */
static void add_gap(KmSide *side, KmSection *section, const GArray *cuts, guint64 start, guint64 end, gboolean named)
{
	if (start >= end || (named && (section->flags & SHF_EXECINSTR)))
		return;
	guint64 from = start;
	gboolean wanted = FALSE;
	for (guint i = first_cut(cuts, start); i < cuts->len; i++) {
		guint64 cut = g_array_index(cuts, guint64, i);
		if (cut >= end)
			break;
		if (cut > from)
			add_item(side, KM_ITEM_ANON, section, from, cut - from, NULL);
		from = cut;
		wanted = TRUE;
	}
	if (wanted || !named || !is_padding(section, from, end))
		add_item(side, KM_ITEM_ANON, section, from, end - from, NULL);
}

static gint by_start(gconstpointer a, gconstpointer b)
{
	const KmItem *x = *(KmItem *const *)a, *y = *(KmItem *const *)b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static void add_gaps(KmSide *side, KmSection *section, const GArray *cuts)
{
	KmPart *part = km_side_part(side, section);
	guint named = part->items->len;
	guint64 from = 0;
	for (guint i = 0; i < named; i++) {
		const KmItem *item = part->items->pdata[i];
		add_gap(side, section, cuts, from, item->start, TRUE);
		from = MAX(from, item->start + item->size);
	}
	add_gap(side, section, cuts, from, section->size, named > 0);
	g_ptr_array_sort(part->items, by_start);
	if (part->items->len == 1)
		((KmItem *)part->items->pdata[0])->whole = TRUE;
}

/* The last item that starts at or before position, else the first. */
static KmItem *item_at(const KmPart *part, guint64 position)
{
	guint low = 0, high = part->items->len;
	while (low < high) {
		guint middle = (low + high) / 2;
		if (((KmItem *)part->items->pdata[middle])->start <= position)
			low = middle + 1;
		else
			high = middle;
	}
	if (!part->items->len)
		return NULL;
	return part->items->pdata[low ? low - 1 : 0];
}

static void resolve(KmSide *side, KmRef *ref)
{
	KmItem *item = NULL;
	gboolean by_name = FALSE;
	if (ref->symbol && ref->symbol != side->object->null_symbol) {
		item = side->by_symbol[ref->symbol->index];
		by_name = item != NULL;
	}
	if (!item && ref->section)
		item = item_at(km_side_part(side, ref->section), ref->position);
	if (!item)
		item = side->null_item;
	ref->item = item;
	/* A symbol that is named keeps offsets beyond its end or before its start; a section symbol means the place. */
	if (by_name && item->section)
		ref->at += (gint64)(ref->symbol->value - item->start);
	else if (!by_name && ref->section)
		ref->at = (gint64)(ref->position - item->start);
}

/* The table of addresses of ppc64le (.toc): a reference to an entry is one to what the entry holds. */
static gboolean is_toc(const KmSection *section)
{
	return !strcmp(section->name, ".toc");
}

static void follow_toc(KmSide *side, KmRef *ref)
{
	guint n;
	const KmRef *entry = km_side_refs_in(side, ref->section, ref->position, ref->position + 1, &n);
	if (!n || !entry->item)
		return;
	ref->item = entry->item;
	ref->at = entry->at;
	ref->section = entry->section;
	ref->position = entry->position;
}

static void resolve_all(KmSide *side, gboolean toc)
{
	KmObject *object = side->object;
	for (guint i = 0; i < object->sections->len; i++) {
		KmPart *part = &side->parts[i];
		if (is_toc(object->sections->pdata[i]) != toc)
			continue;
		for (guint r = 0; r < part->refs->len; r++) {
			KmRef *ref = &g_array_index(part->refs, KmRef, r);
			resolve(side, ref);
			if (!toc && ref->section && is_toc(ref->section))
				follow_toc(side, ref);
		}
	}
}

static void add_referrer(KmItem *item, KmItem *from)
{
	guint n = item->referrers->len;
	if (item != from && (!n || item->referrers->pdata[n - 1] != from))
		g_ptr_array_add(item->referrers, from);
}

static void bind_refs(KmSide *side)
{
	for (guint i = 0; i < side->items->len; i++) {
		KmItem *item = side->items->pdata[i];
		if (!item->section)
			continue;
		const KmRef *refs =
			km_side_refs_in(side, item->section, item->start, item->start + item->size, &item->n_refs);
		if (!item->n_refs)
			continue;
		item->refs = (guint)(refs - (KmRef *)km_side_part(side, item->section)->refs->data);
		for (guint r = 0; r < item->n_refs; r++)
			add_referrer(refs[r].item, item);
	}
}

/* Which function does a row of a special section belong to? (__ftr_fixup has numbers before the first address.) */
static KmItem *entry_owner(const KmSide *side, const KmEntry *entry)
{
	guint n;
	guint64 at = entry->start + entry->special->owner;
	const KmRef *ref = km_side_refs_in(side, entry->section, at, entry->start + entry->size, &n);
	return n ? ref->item : NULL;
}

static gboolean add_entries(KmSide *side, KmSection *section, const KmSpecial *special, GError **error)
{
	guint size = km_special_entry_size(special, section, error);
	if (!size)
		return FALSE;
	for (guint64 at = 0; at < section->size; at += size) {
		KmEntry entry = {
			.special = special, .section = section, .start = at, .size = MIN(size, section->size - at)
		};
		KmItem *owner = entry_owner(side, &entry);
		if (!owner || owner->kind != KM_ITEM_FUNCTION)
			continue;
		if (!owner->entries)
			owner->entries = g_array_new(FALSE, FALSE, sizeof(KmEntry));
		g_array_append_val(owner->entries, entry);
	}
	return TRUE;
}

static gboolean add_all_entries(KmSide *side, GError **error)
{
	for (guint i = 0; i < side->object->sections->len; i++) {
		KmSection *section = side->object->sections->pdata[i];
		const KmSpecial *special = is_allocated(section) ? km_special_find(section->name) : NULL;
		if (special && special->kind == KM_SPECIAL_TABLE && special->compare && section->size &&
		    !add_entries(side, section, special, error)) {
			g_prefix_error(error, "%s: ", side->object->path);
			return FALSE;
		}
	}
	return TRUE;
}

/* "__pfx_foo" (call padding) and "__cfi_foo" (kCFI type) end where foo starts. */
static void bind_prefixes(KmSide *side)
{
	for (guint i = 0; i < side->object->sections->len; i++) {
		GPtrArray *items = side->parts[i].items;
		for (guint k = 1; k < items->len; k++) {
			KmItem *prefix = items->pdata[k - 1], *body = items->pdata[k];
			if (prefix->kind == KM_ITEM_FUNCTION && body->kind == KM_ITEM_FUNCTION &&
			    g_str_has_prefix(prefix->name, "__") && g_str_has_suffix(prefix->name, body->name) &&
			    prefix->start + prefix->size == body->start && strlen(prefix->name) > strlen(body->name))
				prefix->body = body;
		}
	}
}

/* The function whose unlikely part this is: the one of the right name that jumps there. */
static KmItem *find_parent(const KmItem *cold, const char *name)
{
	KmItem *found = NULL;
	for (guint i = 0; i < cold->referrers->len; i++) {
		KmItem *from = cold->referrers->pdata[i];
		if (from->kind == KM_ITEM_FUNCTION && !strcmp(from->name, name))
			found = from;
	}
	return found;
}

static void bind_cold(KmSide *side)
{
	for (guint i = 0; i < side->items->len; i++) {
		KmItem *item = side->items->pdata[i];
		const char *cold = item->kind == KM_ITEM_FUNCTION ? strstr(item->name, ".cold") : NULL;
		if (!cold)
			continue;
		g_autofree char *name = g_strndup(item->name, (gsize)(cold - item->name));
		item->parent = find_parent(item, name);
	}
}

/* Nothing but the functions that use it can tell a read-only static local from a copy of it: "__msg.12", "CSWTCH.3". */
static gboolean is_constant_data(const KmItem *item)
{
	if (!item->section || km_item_is_writable(item))
		return FALSE;
	return km_name_is_constant(item->name) || (item->symbol->bind == STB_LOCAL && km_name_is_numbered(item->name));
}

/* Where in the source a check stands, and if it was reported: private data of UBSan's checks. */
static gboolean is_check_data(const KmItem *item)
{
	return strstr(item->base, "Lubsan_data") || strstr(item->base, "Lubsan_type");
}

static void mark_constants(KmSide *side)
{
	for (guint i = 0; i < side->items->len; i++) {
		KmItem *item = side->items->pdata[i];
		if (item->kind == KM_ITEM_STRINGS || item->kind == KM_ITEM_MERGED)
			item->constant = TRUE;
		else if (item->kind == KM_ITEM_ANON)
			item->constant = !km_item_is_writable(item) || km_special_find(item->section->name) ||
					 is_check_data(item);
		else if (item->kind == KM_ITEM_DATA)
			item->constant = is_constant_data(item) || is_check_data(item);
	}
}

/* Is all that refers to it a record nobody will see? */
static gboolean only_in_dropped(const KmItem *item)
{
	for (guint i = 0; i < item->referrers->len; i++) {
		const KmItem *user = item->referrers->pdata[i];
		const KmSpecial *special = user->section ? km_special_find(user->section->name) : NULL;
		gboolean drop = special && special->kind == KM_SPECIAL_DROP && !km_section_is_watched(user->section);
		if (!drop && !user->dropped)
			return FALSE;
	}
	return item->referrers->len > 0;
}

/* "_entry.5" (format and line of a printk) serves the index in .printk_index, and "__func__.3" the entry. */
static void mark_dropped(KmSide *side)
{
	gboolean found;
	do {
		found = FALSE;
		for (guint i = 0; i < side->items->len; i++) {
			KmItem *item = side->items->pdata[i];
			if (item->dropped || !item->constant || item->kind != KM_ITEM_DATA || !only_in_dropped(item))
				continue;
			item->dropped = found = TRUE;
		}
	} while (found);
}

KmSide *km_side_new(KmObject *object, GStringChunk *names, GError **error)
{
	g_autoptr(KmSide) side = g_new0(KmSide, 1);
	guint n = object->sections->len;
	side->object = object;
	side->names = names;
	side->items = g_ptr_array_new_with_free_func(item_free);
	side->by_symbol = g_new0(KmItem *, object->symbols->len + 1);
	side->parts = g_new0(KmPart, n + 1);
	for (guint i = 0; i < n; i++) {
		side->parts[i].items = g_ptr_array_new();
		side->parts[i].refs = g_array_new(FALSE, FALSE, sizeof(KmRef));
	}
	add_outside(side);
	add_all_named(side);
	for (guint i = 0; i < n; i++)
		if (is_allocated(object->sections->pdata[i]))
			fill_part(side, object->sections->pdata[i]);
	g_autoptr(GPtrArray) cuts = find_cuts(side);
	for (guint i = 0; i < n; i++)
		if (is_allocated(object->sections->pdata[i]))
			add_gaps(side, object->sections->pdata[i], cuts->pdata[i]);
	resolve_all(side, TRUE);
	resolve_all(side, FALSE);
	bind_refs(side);
	bind_prefixes(side);
	bind_cold(side);
	mark_constants(side);
	mark_dropped(side);
	if (!add_all_entries(side, error))
		return NULL;
	return g_steal_pointer(&side);
}

void km_side_free(KmSide *side)
{
	if (!side)
		return;
	for (guint i = 0; i < side->object->sections->len; i++) {
		g_clear_pointer(&side->parts[i].plain, g_byte_array_unref);
		g_clear_pointer(&side->parts[i].items, g_ptr_array_unref);
		g_clear_pointer(&side->parts[i].refs, g_array_unref);
	}
	g_clear_pointer(&side->items, g_ptr_array_unref);
	g_free(side->parts);
	g_free(side->by_symbol);
	g_free(side);
}

gboolean km_item_is_init(const KmItem *item)
{
	const char *name = item->section ? item->section->name : "";
	return g_str_has_prefix(name, ".init.") || g_str_has_prefix(name, ".initcall") ||
	       g_str_has_prefix(name, ".con_initcall") || g_str_has_prefix(name, ".security_initcall");
}

gboolean km_item_is_exit(const KmItem *item)
{
	const char *name = item->section ? item->section->name : "";
	return g_str_has_prefix(name, ".exit.") || g_str_has_prefix(name, ".exitcall");
}

gboolean km_item_is_writable(const KmItem *item)
{
	const KmSection *section = item->section;
	/* gcc -fPIC puts constants that hold addresses into .data.rel.ro */
	return !section || ((section->flags & SHF_WRITE) && !g_str_has_prefix(section->name, ".data.rel.ro"));
}

gboolean km_section_is_export(const KmSection *section)
{
	static const char *const prefixes[] = { "__ksymtab", "___ksymtab", "__kcrctab", "___kcrctab",
						".export_symbol" };
	for (gsize i = 0; i < G_N_ELEMENTS(prefixes); i++)
		if (g_str_has_prefix(section->name, prefixes[i]))
			return TRUE;
	return FALSE;
}

gboolean km_section_is_watched(const KmSection *section)
{
	const char *name = section->name;
	if (!is_allocated(section) || (section->flags & SHF_EXECINSTR))
		return FALSE;
	if (!km_special_find(name))
		return TRUE;
	return km_section_is_export(section) || !strcmp(name, ".modinfo") || strstr(name, "initcall") ||
	       strstr(name, "exitcall");
}
