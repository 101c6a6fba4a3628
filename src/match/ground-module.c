/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stock module as ground. It is still relocatable, so it gets addresses of our own: each section its own window, and
 * each undefined symbol one beyond them. A relocation of the module then says where our symbol is without any
 * arithmetic of linked fields: where its own symbol is, plus the difference of the two offsets.
 */
#include "match/lay.h"

#include <string.h>

#include "base/error.h"
#include "image/module.h"

#define WINDOW_BITS 36 /* room of a section: no module is near 64 GiB */
#define WINDOW (G_GUINT64_CONSTANT(1) << WINDOW_BITS)
#define UNDEFINED (G_GUINT64_CONSTANT(1) << 62) /* windows of undefined symbols begin here */
#define UNDEFINED_MIDDLE (WINDOW / 2) /* our symbol may lie below theirs */

typedef struct {
	KmGround ground;
	KmObject *module;
	GHashTable *by_name; /* name -> GArray of guint (symbol indices) */
	GArray *entries; /* of guint64, ascending: addresses of entry records */
	char *compiler;
} ModuleGround;

static guint64 section_address(const KmSection *section)
{
	return ((guint64)section->index + 1) << WINDOW_BITS;
}

/* 0: an absolute or otherwise placeless symbol. */
static guint64 symbol_address(const KmSymbol *symbol)
{
	if (symbol->section)
		return symbol->value < WINDOW ? section_address(symbol->section) + symbol->value : 0;
	if (symbol->shndx == SHN_UNDEF && *symbol->name)
		return UNDEFINED + ((guint64)symbol->index << WINDOW_BITS) + UNDEFINED_MIDDLE;
	return 0;
}

static KmSection *section_at(ModuleGround *g, guint64 address, guint64 *offset)
{
	guint64 window = address >> WINDOW_BITS;
	if (window == 0 || window > g->module->sections->len)
		return NULL;
	KmSection *section = g->module->sections->pdata[window - 1];
	*offset = address & (WINDOW - 1);
	return *offset <= section->size ? section : NULL;
}

static void module_free(KmGround *ground)
{
	ModuleGround *g = (ModuleGround *)ground;
	g_hash_table_unref(g->by_name);
	g_array_unref(g->entries);
	g_free(g->compiler);
	g_free((char *)ground->what);
	g_free((char *)ground->owner);
	g_free(g);
}

static const guint8 *module_bytes(KmGround *ground, guint64 address, gsize size)
{
	guint64 offset;
	const KmSection *section = section_at((ModuleGround *)ground, address, &offset);
	if (!section || !section->data || size > section->size - offset)
		return NULL;
	return section->data->data + offset;
}

static gboolean is_nameable(const KmSymbol *symbol)
{
	return *symbol->name && symbol->type != STT_SECTION && symbol->type != STT_FILE && symbol_address(symbol);
}

static KmName name_of(const KmSymbol *symbol)
{
	return (KmName){ .name = symbol->name,
			 .address = symbol_address(symbol),
			 .index = symbol->index,
			 .global = symbol->bind != STB_LOCAL,
			 .weak = symbol->bind == STB_WEAK };
}

static void module_named(KmGround *ground, const char *name, GArray *names)
{
	ModuleGround *g = (ModuleGround *)ground;
	const GArray *found = g_hash_table_lookup(g->by_name, name);
	for (guint i = 0; found && i < found->len; i++) {
		KmName entry = name_of(g->module->symbols->pdata[g_array_index(found, guint, i)]);
		g_array_append_val(names, entry);
	}
}

static void module_names_at(KmGround *ground, guint64 address, GArray *names)
{
	ModuleGround *g = (ModuleGround *)ground;
	for (guint i = 0; i < g->module->symbols->len; i++) {
		const KmSymbol *symbol = g->module->symbols->pdata[i];
		if (!is_nameable(symbol) || symbol_address(symbol) != address || g->module->arch->is_annotation(symbol))
			continue;
		KmName name = name_of(symbol);
		g_array_append_val(names, name);
	}
}

static gboolean module_name_below(KmGround *ground, guint64 address, KmName *name)
{
	ModuleGround *g = (ModuleGround *)ground;
	guint64 offset;
	const KmSection *section = section_at(g, address, &offset);
	const KmSymbol *best = NULL;
	for (guint i = 0; section && i < g->module->symbols->len; i++) {
		const KmSymbol *symbol = g->module->symbols->pdata[i];
		if (symbol->section != section || symbol->value > offset || !is_nameable(symbol) ||
		    g->module->arch->is_annotation(symbol))
			continue;
		if (!best || symbol->value > best->value)
			best = symbol;
	}
	if (best)
		*name = name_of(best);
	return best != NULL;
}

/* The index of the relocation at exactly this offset which writes something, or -1. */
static gssize reloc_at(const ModuleGround *g, const KmSection *section, guint64 offset)
{
	gsize n;
	const KmReloc *first = km_section_relocs_in(section, offset, offset + 1, &n);
	for (gsize i = 0; i < n; i++) {
		const KmRelocInfo *info = km_arch_reloc(g->module->arch, first[i].type);
		if (info && info->size)
			return first + i - &g_array_index(section->relocs, KmReloc, 0);
	}
	return -1;
}

static gboolean module_symbol_value(KmGround *ground, const KmSection *section, gsize index, guint64 place,
				    guint64 *value)
{
	ModuleGround *g = (ModuleGround *)ground;
	guint64 offset;
	const KmSection *theirs = section_at(g, place, &offset);
	gssize at = theirs ? reloc_at(g, theirs, offset) : -1;
	if (at < 0)
		return FALSE;
	const KmReloc *reloc = &g_array_index(theirs->relocs, KmReloc, at);
	guint64 address = symbol_address(reloc->symbol);
	if (!address)
		return FALSE;
	/* The same kind of field, so the bias of a PC-relative addend is the same on both sides. */
	*value = address + (guint64)reloc->addend - (guint64)g_array_index(section->relocs, KmReloc, index).addend;
	return TRUE;
}

static gsize module_count_relocs(KmGround *ground, guint64 address, guint64 size)
{
	ModuleGround *g = (ModuleGround *)ground;
	guint64 offset;
	const KmSection *section = section_at(g, address, &offset);
	gsize n = 0, writing = 0;
	const KmReloc *first = section ? km_section_relocs_in(section, offset, offset + size, &n) : NULL;
	for (gsize i = 0; i < n; i++) {
		const KmRelocInfo *info = km_arch_reloc(g->module->arch, first[i].type);
		if (!info || info->size)
			writing++;
	}
	return writing;
}

static gboolean module_has_reloc(KmGround *ground, guint64 address, const KmRelocInfo *info)
{
	ModuleGround *g = (ModuleGround *)ground;
	guint64 offset;
	const KmSection *section = section_at(g, address, &offset);
	gssize at = section ? reloc_at(g, section, offset) : -1;
	if (at < 0)
		return FALSE;
	const KmRelocInfo *theirs = km_arch_reloc(g->module->arch, g_array_index(section->relocs, KmReloc, at).type);
	return theirs->size == info->size && theirs->mask == info->mask;
}

static gboolean module_is_init(KmGround *ground, guint64 address)
{
	guint64 offset;
	const KmSection *section = section_at((ModuleGround *)ground, address, &offset);
	return section && g_str_has_prefix(section->name, ".init");
}

static gboolean module_is_patchable(KmGround *ground, guint64 address, guint64 size)
{
	const GArray *entries = ((ModuleGround *)ground)->entries;
	guint low = 0, high = entries->len;
	while (low < high) {
		guint middle = low + (high - low) / 2;
		if (g_array_index(entries, guint64, middle) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < entries->len && g_array_index(entries, guint64, low) - address < size;
}

static gboolean module_identify(KmGround *ground, const KmName *name, KmPlace *place, GError **error)
{
	ModuleGround *g = (ModuleGround *)ground;
	const KmSymbol *symbol = g->module->symbols->pdata[name->index];
	place->address = symbol->value;
	if (!symbol->section) {
		place->object = g_strdup("");
		place->name = g_strdup(symbol->name);
		place->unique = TRUE;
		return TRUE;
	}
	if (!km_module_sympos(g->module, symbol, &place->sympos, error))
		return FALSE;
	place->object = g_strdup(ground->owner);
	place->name = g_strdup(symbol->name);
	place->unique = km_module_count(g->module, symbol->name) == 1;
	return TRUE;
}

static const char *module_compiler(KmGround *ground)
{
	return ((ModuleGround *)ground)->compiler;
}

static const KmGroundOps module_ops = {
	.free = module_free,
	.bytes = module_bytes,
	.named = module_named,
	.names_at = module_names_at,
	.name_below = module_name_below,
	.symbol_value = module_symbol_value,
	.count_relocs = module_count_relocs,
	.has_reloc = module_has_reloc,
	.is_init = module_is_init,
	.is_patchable = module_is_patchable,
	.identify = module_identify,
	.compiler = module_compiler,
};

static void index_names(ModuleGround *g)
{
	g->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_array_unref);
	for (guint i = 0; i < g->module->symbols->len; i++) {
		const KmSymbol *symbol = g->module->symbols->pdata[i];
		if (!is_nameable(symbol))
			continue;
		GArray *same = g_hash_table_lookup(g->by_name, symbol->name);
		if (!same) {
			same = g_array_new(FALSE, FALSE, sizeof(guint));
			g_hash_table_insert(g->by_name, symbol->name, same);
		}
		g_array_append_val(same, i);
	}
}

static gint compare_address(gconstpointer a, gconstpointer b)
{
	guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
	return x < y ? -1 : x > y;
}

static void index_entries(ModuleGround *g)
{
	g->entries = g_array_new(FALSE, FALSE, sizeof(guint64));
	for (guint i = 0; i < g->module->sections->len; i++) {
		const KmSection *section = g->module->sections->pdata[i];
		if (strcmp(section->name, "__mcount_loc") != 0 &&
		    strcmp(section->name, "__patchable_function_entries") != 0)
			continue;
		guint pad = km_module_entry_pad(g->module, section);
		for (guint k = 0; k < section->relocs->len; k++) {
			const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, k);
			guint64 entry = symbol_address(reloc->symbol) +
					(guint64)g->module->arch->target_offset(section, k) + pad;
			g_array_append_val(g->entries, entry);
		}
	}
	g_array_sort(g->entries, compare_address);
}

KmGround *km_ground_module(KmObject *module, const char *owner)
{
	ModuleGround *g = g_new0(ModuleGround, 1);
	g->ground.ops = &module_ops;
	g->ground.complete = TRUE;
	g->ground.owner = g_strdup(owner);
	g->ground.what = g_strdup_printf("the module %s", module->path);
	g->module = module;
	g->compiler = km_verdict_compiler(module);
	index_names(g);
	index_entries(g);
	return &g->ground;
}
