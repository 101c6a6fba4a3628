/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A live patch for kmend's own runtime: its description (runtime/kmend-patch.h) decoded from the module's data as the runtime reads it, and what
 * the runtime fills in told as relocations, so that everything else looks at them like at those that the module loader applies.
 */
#include <string.h>

#include "image/module.h"
#include "image/patchdata.h"
#include "verify/internal.h"

#define WORD KM_PATCHDATA_WORD
/* More of one kind than any live patch has: a number that is wrong. */
#define MAX_ROWS 1000000
/* A call or jump of x86-64, whose displacement the kernel rewrites. */
#define CALL_SIZE 5

gboolean km_verify_is_own(const KmObject *module)
{
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		if (!symbol->section && symbol->shndx == SHN_UNDEF && !strcmp(symbol->name, KM_PATCHDATA_ENABLE))
			return TRUE;
	}
	return FALSE;
}

/* ---- words ---- */

/* A structure in the module's data. */
typedef struct {
	KmSection *section;
	guint64 at;
	const guint8 *bytes;
} Words;

static gboolean words_at(KmChecker *c, KmSection *section, guint64 at, guint words, const char *what, Words *w)
{
	*w = (Words){ section, at, km_room(section, at, (guint64)words * WORD) };
	if (w->bytes)
		km_cover(c, section, at, (guint64)words * WORD);
	else
		km_find(c, section ? section->name : "kmend_patch", "%s outside the section's bytes", what);
	return w->bytes != NULL;
}

static guint64 number(const KmChecker *c, const Words *w, guint word)
{
	return km_object_get_u64(c->module, w->bytes + (gsize)word * WORD);
}

static gboolean pointer(const KmChecker *c, const Words *w, guint word, KmSection **to, guint64 *at)
{
	const KmSymbol *symbol;
	*to = NULL;
	*at = 0;
	return km_pointer_at(c, w->section, w->at + (guint64)word * WORD, to, at, &symbol) && *to;
}

/* Relocations only where pointers are, and numbers only where numbers are: bit n of pointers is word n. */
static void check_words(KmChecker *c, const Words *w, guint words, guint pointers)
{
	gsize n;
	const KmReloc *r = km_section_relocs_in(w->section, w->at, w->at + (guint64)words * WORD, &n);
	for (gsize i = 0; i < n; i++) {
		guint64 word = (r[i].offset - w->at) / WORD;
		if (r[i].type != c->module->arch->abs64 || (r[i].offset - w->at) % WORD || !(pointers >> word & 1))
			km_find_at(c, w->section, r[i].offset, "no pointer can be there");
	}
	for (guint i = 0; i < words; i++)
		if ((pointers >> i & 1) && number(c, w, i))
			km_find_at(c, w->section, w->at + (guint64)i * WORD, "a number where a pointer goes");
}

/* An array of n structures of so many bytes, whose number stands behind its pointer. FALSE, with n 0: there is none, or not all of it. */
static gboolean array(KmChecker *c, const Words *w, guint word, const char *what, guint bytes, KmSection **to,
		      guint64 *at, guint64 *n)
{
	*n = number(c, w, word + 1);
	gboolean there = pointer(c, w, word, to, at);
	if (there != (*n != 0) || *n > MAX_ROWS)
		km_find_at(c, w->section, w->at + (guint64)word * WORD,
			   "%" G_GUINT64_FORMAT " %s, and %s pointer to them", *n, what, there ? "a" : "no");
	else if (there && !km_room(*to, *at, *n * bytes))
		km_find_at(c, w->section, w->at + (guint64)word * WORD,
			   "%" G_GUINT64_FORMAT " %s do not fit where the pointer leads", *n, what);
	else
		return there;
	*n = 0;
	return FALSE;
}

static const char *string(KmChecker *c, const Words *w, guint word)
{
	KmSection *to;
	guint64 at;
	const char *text = pointer(c, w, word, &to, &at) ? km_string_at(to, at) : NULL;
	if (text)
		km_cover(c, to, at, strlen(text) + 1);
	return text;
}

/* ---- struct kmend_symbol ---- */

typedef struct {
	const char *object, *name;
	KmAt at;
} Named;

/* Of a place that has names, it must be one of them; data has none in many a kernel. */
static gboolean fits_kernel(const KmChecker *c, const char *name, guint64 address)
{
	gsize n;
	const KmKsym *symbols = km_image_symbols(c->input->image, &n);
	const GArray *all = km_image_symbols_at(c->input->image, address);
	for (guint i = 0; all && i < all->len; i++)
		if (!strcmp(symbols[g_array_index(all, guint32, i)].name, name))
			return TRUE;
	return !all || !all->len;
}

static gboolean fits_module(const KmObject *stock, const KmAt *at, const char *name)
{
	gboolean named = FALSE;
	for (guint i = 0; i < stock->symbols->len; i++) {
		const KmSymbol *symbol = stock->symbols->pdata[i];
		if (symbol->section != at->section || symbol->value != at->address || symbol->type == STT_SECTION)
			continue;
		if (!strcmp(symbol->name, name))
			return TRUE;
		named |= symbol->type != STT_NOTYPE;
	}
	return !named;
}

/* By its index, the null symbol counted, the runtime finds a symbol whose name others have too. */
static gboolean fits_index(const KmObject *stock, const KmAt *at, const char *name, guint64 index)
{
	const KmSymbol *symbol = index && index <= stock->symbols->len ? stock->symbols->pdata[index - 1] : NULL;
	return !index || (symbol && symbol->section == at->section && symbol->value == at->address &&
			  !strcmp(symbol->name, name));
}

static KmAt in_module(KmChecker *c, const Words *w, const char *object, const char *section, guint64 address)
{
	const KmObject *stock = km_stock(c, object);
	const KmSection *there = stock && section ? km_object_find_section(stock, section) : NULL;
	if (there && (there->flags & SHF_ALLOC) && address <= there->size)
		return (KmAt){ .kind = KM_AT_STOCK, .section = there, .address = address };
	km_find_at(c, w->section, w->at, "module %s has no place %s+0x%" G_GINT64_MODIFIER "x", object,
		   section ? section : "?", address);
	return (KmAt){ 0 };
}

static gboolean read_symbol(KmChecker *c, const Words *by, guint word, Named *named)
{
	KmSection *to;
	guint64 at;
	Words w;
	if (!pointer(c, by, word, &to, &at) || !words_at(c, to, at, KM_DATA_SYMBOL_WORDS, "struct kmend_symbol", &w)) {
		km_find_at(c, by->section, by->at, "leads to no struct kmend_symbol");
		return FALSE;
	}
	check_words(c, &w, KM_DATA_SYMBOL_WORDS,
		    1u << KM_DATA_SYMBOL_OBJECT | 1u << KM_DATA_SYMBOL_SECTION | 1u << KM_DATA_SYMBOL_NAME);
	const char *object = string(c, &w, KM_DATA_SYMBOL_OBJECT), *section = string(c, &w, KM_DATA_SYMBOL_SECTION);
	guint64 address = number(c, &w, KM_DATA_SYMBOL_ADDRESS), index = number(c, &w, KM_DATA_SYMBOL_INDEX);
	*named = (Named){ .object = object ? object : "vmlinux", .name = string(c, &w, KM_DATA_SYMBOL_NAME) };
	if (!named->name || !*named->name) {
		km_find_at(c, w.section, w.at, "a struct kmend_symbol without a name");
		return FALSE;
	}
	if (object) {
		named->at = in_module(c, &w, object, section, address);
		if (named->at.kind && !fits_module(km_stock(c, object), &named->at, named->name))
			km_find_at(c, w.section, w.at, "%s of module %s is not at %s+0x%" G_GINT64_MODIFIER "x",
				   named->name, object, section, address);
		if (named->at.kind && !fits_index(km_stock(c, object), &named->at, named->name, index))
			km_find_at(c, w.section, w.at, "symbol %" G_GUINT64_FORMAT " of module %s is not %s", index,
				   object, named->name);
		return named->at.kind != KM_AT_NOWHERE;
	}
	named->at = (KmAt){ .kind = KM_AT_VMLINUX, .address = address };
	if (index)
		km_find_at(c, w.section, w.at, "the index of a symbol of the kernel");
	if (section || !fits_kernel(c, named->name, address))
		km_find_at(c, w.section, w.at, "%s of the kernel is not at 0x%" G_GINT64_MODIFIER "x", named->name,
			   address);
	return TRUE;
}

/* ---- relocations ---- */

/* Stands for a struct kmend_symbol where a relocation needs a symbol. */
static KmSymbol *new_symbol(KmChecker *c, const Named *named)
{
	KmSymbol *symbol = g_new0(KmSymbol, 1);
	symbol->name = g_strconcat("kmend_symbol ", named->name, NULL);
	symbol->bind = STB_GLOBAL;
	symbol->shndx = SHN_UNDEF;
	g_hash_table_insert(c->places, symbol, g_memdup2(&named->at, sizeof(named->at)));
	return symbol;
}

/* The name of the object that is known when the runtime fills in relocations of owner. */
static gboolean is_there(const char *owner, const char *object)
{
	return strcmp(owner, "vmlinux") || !strcmp(object, "vmlinux");
}

/* What the runtime's part for the architecture does not do: where calls need something behind them, it knows them by stubs only. */
static gboolean is_bare_call(const KmChecker *c, guint64 type)
{
	const KmArch *arch = c->module->arch;
	const KmRelocInfo *info = type <= G_MAXUINT32 ? km_arch_reloc(arch, (guint32)type) : NULL;
	return arch->call_stub && arch->call_stub->behind && info && info->kind == KM_RELOC_CALL;
}

static void read_reloc(KmChecker *c, const char *owner, KmSection *section, guint64 at, GHashTable *known)
{
	Words w;
	KmSection *place, *to;
	guint64 offset, symbol_at;
	Named named;
	if (!words_at(c, section, at, KM_DATA_RELOC_WORDS, "struct kmend_reloc", &w))
		return;
	check_words(c, &w, KM_DATA_RELOC_WORDS, 1u << KM_DATA_RELOC_PLACE | 1u << KM_DATA_RELOC_SYMBOL);
	if (!pointer(c, &w, KM_DATA_RELOC_PLACE, &place, &offset) || !read_symbol(c, &w, KM_DATA_RELOC_SYMBOL, &named))
		return;
	if (!is_there(owner, named.object))
		km_find_at(c, section, at, "%s of module %s is wanted at load, when that module need not be there",
			   named.name, named.object);
	const KmSpecial *special = km_special_find(place->name);
	if (special && special->kind != KM_SPECIAL_SLOTS)
		km_find_at(c, section, at, "%s would be filled in after the kernel has read %s", named.name,
			   place->name);
	if (is_bare_call(c, number(c, &w, KM_DATA_RELOC_TYPE)))
		km_find_at(c, place, offset, "a call of %s that goes through no stub", named.name);
	if (number(c, &w, KM_DATA_RELOC_TYPE) > G_MAXUINT32)
		km_find_at(c, section, at, "a relocation type of more than 32 bits");
	if (strcmp(named.object, "vmlinux"))
		g_hash_table_add(c->referred, g_strdup(named.object));
	pointer(c, &w, KM_DATA_RELOC_SYMBOL, &to, &symbol_at);
	g_autofree char *key = g_strdup_printf("%u %" G_GUINT64_FORMAT, to->index, symbol_at);
	KmSymbol *symbol = g_hash_table_lookup(known, key);
	if (!symbol) {
		symbol = new_symbol(c, &named);
		g_hash_table_insert(known, g_steal_pointer(&key), symbol);
		c->result->symbols++;
	}
	km_section_add_reloc(place, offset, (guint32)number(c, &w, KM_DATA_RELOC_TYPE), symbol,
			     (gint64)number(c, &w, KM_DATA_RELOC_ADDEND));
	g_hash_table_add(c->fills, g_strdup_printf("%u %" G_GUINT64_FORMAT, place->index, offset));
}

/* Each of the description's objects. */
typedef void (*ObjectFunc)(KmChecker *c, const Words *object, const char *name, gpointer data);

static void each_object(KmChecker *c, ObjectFunc visit, gpointer data)
{
	KmSection *to;
	guint64 at, n;
	Words patch, object;
	if (!words_at(c, c->patch_section, c->patch_offset, KM_DATA_PATCH_WORDS, "struct kmend_patch", &patch) ||
	    !array(c, &patch, KM_DATA_PATCH_OBJECTS, "objects", KM_DATA_OBJECT_WORDS * WORD, &to, &at, &n))
		return;
	for (guint64 i = 0; i < n; i++, at += (guint64)KM_DATA_OBJECT_WORDS * WORD) {
		if (!words_at(c, to, at, KM_DATA_OBJECT_WORDS, "struct kmend_object", &object))
			return;
		const char *name = string(c, &object, KM_DATA_OBJECT_NAME);
		visit(c, &object, name ? name : "vmlinux", data);
	}
}

static void read_relocs(KmChecker *c, const Words *object, const char *name, gpointer known)
{
	KmSection *to;
	guint64 at, n;
	if (!array(c, object, KM_DATA_OBJECT_RELOCS, "relocations", KM_DATA_RELOC_WORDS * WORD, &to, &at, &n))
		return;
	for (guint64 i = 0; i < n; i++) {
		read_reloc(c, name, to, at, known);
		at += (guint64)KM_DATA_RELOC_WORDS * WORD;
	}
}

static guint count_patches(KmChecker *c)
{
	guint found = km_find_patch(c);
	if (found != 1)
		km_find(c, c->module->path, "%u structures look like struct kmend_patch", found);
	return found;
}

void km_read_own_relocs(KmChecker *c)
{
	g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (!count_patches(c))
		return;
	each_object(c, read_relocs, known);
	for (guint s = 0; s < c->module->sections->len; s++)
		km_section_sort_relocs(c->module->sections->pdata[s]);
}

/* ---- code that the kernel rewrites when it loads the module ---- */

static gboolean is_filled(const KmChecker *c, const KmSection *section, guint64 start, guint64 end)
{
	gsize n;
	const KmReloc *r = km_section_relocs_in(section, start, end, &n);
	for (gsize i = 0; i < n; i++) {
		g_autofree char *key = g_strdup_printf("%u %" G_GUINT64_FORMAT, section->index, r[i].offset);
		if (g_hash_table_contains(c->fills, key))
			return TRUE;
	}
	return FALSE;
}

/* Bytes at the place that a row of a table is about which the loader may rewrite; 0: none. */
static guint64 rewritten(const KmSection *table, guint64 start, guint size)
{
	if (!strcmp(table->name, ".altinstructions"))
		return table->data->data[start + size - 2];
	return !strcmp(table->name, ".static_call_sites") || !strcmp(table->name, ".call_sites") ? CALL_SIZE : 0;
}

static void check_rewritten(KmChecker *c, const KmSection *table)
{
	const KmSpecial *special = km_special_find(table->name);
	guint size = special && special->kind == KM_SPECIAL_TABLE && table->data && table->size
			     ? km_special_entry_size(special, table, NULL)
			     : 0;
	for (guint64 at = 0; size && at + size <= table->size; at += size) {
		gsize n;
		const KmReloc *r = km_section_relocs_in(table, at, at + 1, &n);
		guint64 start = n ? r->symbol->value + (guint64)r->addend : 0;
		guint64 length = n && r->symbol->section ? rewritten(table, at, size) : 0;
		if (length && is_filled(c, r->symbol->section, start, start + length))
			km_find_at(c, r->symbol->section, start,
				   "rewritten by %s when the module is loaded, and filled in after that", table->name);
	}
}

/* ---- functions ---- */

static GArray *read_parts(KmChecker *c, const Words *func, guint word, gboolean old, Named *first)
{
	KmSection *to, *code;
	guint64 at, n, other;
	GArray *parts = g_array_new(FALSE, FALSE, sizeof(KmPart));
	array(c, func, word, "parts", KM_DATA_PART_WORDS * WORD, &to, &at, &n);
	for (guint64 i = 0; i < n; i++, at += (guint64)KM_DATA_PART_WORDS * WORD) {
		Words w;
		Named named = { 0 };
		KmPart part = { 0 };
		if (!words_at(c, to, at, KM_DATA_PART_WORDS, "struct kmend_part", &w))
			break;
		check_words(c, &w, KM_DATA_PART_WORDS, 1u << KM_DATA_PART_SYMBOL | 1u << KM_DATA_PART_START);
		part.size = number(c, &w, KM_DATA_PART_SIZE);
		if (old) {
			if (!read_symbol(c, &w, KM_DATA_PART_SYMBOL, &named))
				break;
			part.at = named.at;
		} else if (pointer(c, &w, KM_DATA_PART_START, &code, &part.at.address)) {
			part.at.kind = KM_AT_INSIDE;
			part.at.section = code;
		}
		if (!part.size || !part.at.kind ||
		    pointer(c, &w, old ? KM_DATA_PART_START : KM_DATA_PART_SYMBOL, &code, &other))
			km_find_at(c, w.section, w.at, "a struct kmend_part of nothing, or of two places");
		if (!parts->len)
			*first = named;
		g_array_append_val(parts, part);
	}
	return parts;
}

static void check_new_size(KmChecker *c, const KmSwitch *s)
{
	const KmPart *part = &g_array_index(s->new_parts, KmPart, 0);
	const KmSymbol *f =
		part->at.section ? km_object_symbol_at(c->module, part->at.section, part->at.address) : NULL;
	if (f && f->size != part->size)
		km_find(c, s->name,
			"its replacement has %" G_GUINT64_FORMAT " bytes, the description says %" G_GUINT64_FORMAT,
			f->size, part->size);
}

static void read_func(KmChecker *c, const char *object, KmSection *section, guint64 at)
{
	Words w;
	Named old = { 0 }, none = { 0 };
	if (!words_at(c, section, at, KM_DATA_FUNC_WORDS, "struct kmend_func", &w))
		return;
	check_words(c, &w, KM_DATA_FUNC_WORDS, 1u << KM_DATA_FUNC_OLD_PARTS | 1u << KM_DATA_FUNC_NEW_PARTS);
	g_autoptr(GArray) olds = read_parts(c, &w, KM_DATA_FUNC_OLD_PARTS, TRUE, &old);
	g_autoptr(GArray) news = read_parts(c, &w, KM_DATA_FUNC_NEW_PARTS, FALSE, &none);
	if (!olds->len || !news->len || strcmp(old.object, object)) {
		km_find_at(c, section, at, "a struct kmend_func of %s without an old or a new function there", object);
		return;
	}
	const KmPart *first = &g_array_index(news, KmPart, 0);
	KmSwitch *s = km_add_switch(c, object, old.name, number(c, &w, KM_DATA_FUNC_SYMPOS),
				    (KmSection *)first->at.section, first->at.address);
	s->old_parts = g_steal_pointer(&olds);
	s->new_parts = g_steal_pointer(&news);
	if (s->original.kind && !km_at_equal(&s->original, &old.at))
		km_find_at(c, section, at, "%s at position %" G_GUINT64_FORMAT " is not what is redirected", s->name,
			   s->sympos);
	s->original = old.at;
	check_new_size(c, s);
}

/* ---- objects ---- */

static void check_id(KmChecker *c, const Words *w, guint word, const char *of, const guint8 *wanted, gsize size)
{
	KmSection *to;
	guint64 at, n;
	gboolean there = array(c, w, word, "bytes of a build-id", 1, &to, &at, &n);
	const guint8 *bytes = there ? km_room(to, at, n) : NULL;
	if (bytes)
		km_cover(c, to, at, n);
	if (!wanted != !bytes || (wanted && (n != size || memcmp(bytes, wanted, size) != 0)))
		km_find(c, of, "the build-id in the description is not that of %s", of);
}

static void check_object_id(KmChecker *c, const Words *object, const char *name)
{
	gsize size = 0;
	const KmObject *stock = strcmp(name, "vmlinux") ? km_stock(c, name) : NULL;
	const guint8 *id = stock ? km_module_build_id(stock, &size) : NULL;
	if (stock && !id)
		km_find(c, name, "has no build-id: the runtime could not tell it from another of the same name");
	check_id(c, object, KM_DATA_OBJECT_BUILD_ID, name, id, size);
}

static guint read_callbacks(KmChecker *c, const Words *object, const char *name)
{
	guint64 start = object->at + (guint64)KM_DATA_OBJECT_CALLBACKS * WORD;
	gsize n;
	const KmReloc *r =
		km_section_relocs_in(object->section, start, object->at + (guint64)KM_DATA_OBJECT_WORDS * WORD, &n);
	for (gsize i = 0; i < n; i++)
		km_add_callback(c, name, &r[i]);
	return (guint)n;
}

static void read_object(KmChecker *c, const Words *object, const char *name, gpointer unused)
{
	KmSection *to;
	guint64 at, n;
	const guint pointers = 1u << KM_DATA_OBJECT_NAME | 1u << KM_DATA_OBJECT_BUILD_ID | 1u << KM_DATA_OBJECT_FUNCS |
			       1u << KM_DATA_OBJECT_RELOCS | 15u << KM_DATA_OBJECT_CALLBACKS;
	check_words(c, object, KM_DATA_OBJECT_WORDS, pointers);
	if (!strcmp(name, "vmlinux") && g_hash_table_size(c->objects))
		km_find_at(c, object->section, object->at, "the kernel itself is not the first object");
	km_check_object_name(c, name);
	check_object_id(c, object, name);
	array(c, object, KM_DATA_OBJECT_FUNCS, "functions", KM_DATA_FUNC_WORDS * WORD, &to, &at, &n);
	for (guint64 i = 0; i < n; i++)
		read_func(c, name, to, at + i * KM_DATA_FUNC_WORDS * WORD);
	if (!read_callbacks(c, object, name) && !n && !number(c, object, KM_DATA_OBJECT_NR_RELOCS) &&
	    !g_hash_table_contains(c->referred, name))
		km_find(c, name, "a struct kmend_object of nothing");
}

static void read_states(KmChecker *c, const Words *patch)
{
	KmSection *to;
	guint64 at, n;
	Words state;
	array(c, patch, KM_DATA_PATCH_STATES, "states", KM_DATA_STATE_WORDS * WORD, &to, &at, &n);
	for (guint64 i = 0; i < n; i++) {
		if (!words_at(c, to, at + i * KM_DATA_STATE_WORDS * WORD, KM_DATA_STATE_WORDS, "struct kmend_state",
			      &state))
			return;
		check_words(c, &state, KM_DATA_STATE_WORDS, 1u << KM_DATA_STATE_DATA);
		if (!number(c, &state, KM_DATA_STATE_ID))
			km_find_at(c, to, state.at, "a state without an id");
	}
}

/* Without a build-id in the description the runtime would take any module of that name. */
static void check_referred(KmChecker *c)
{
	GHashTableIter iter;
	gpointer name;
	g_hash_table_iter_init(&iter, c->referred);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		if (!g_hash_table_contains(c->objects, name))
			km_find(c, name, "referred to, but the description has no struct kmend_object of it");
}

/* Each section of code as a whole. */
static GHashTable *read_code(KmChecker *c, const Words *patch)
{
	GHashTable *listed = g_hash_table_new(NULL, NULL);
	KmSection *to, *code;
	guint64 at, n, start;
	Words part;
	array(c, patch, KM_DATA_PATCH_CODE, "sections of code", KM_DATA_PART_WORDS * WORD, &to, &at, &n);
	for (guint64 i = 0; i < n; i++, at += (guint64)KM_DATA_PART_WORDS * WORD) {
		if (!words_at(c, to, at, KM_DATA_PART_WORDS, "struct kmend_part", &part))
			break;
		check_words(c, &part, KM_DATA_PART_WORDS, 1u << KM_DATA_PART_SYMBOL | 1u << KM_DATA_PART_START);
		if (pointer(c, &part, KM_DATA_PART_SYMBOL, &code, &start) ||
		    !pointer(c, &part, KM_DATA_PART_START, &code, &start) || start ||
		    number(c, &part, KM_DATA_PART_SIZE) != code->size || !g_hash_table_add(listed, code))
			km_find_at(c, to, at, "no whole section of code, or one a second time");
	}
	return listed;
}

/* What is not listed could be run by somebody when the module goes. */
static void check_code(KmChecker *c, const Words *patch)
{
	g_autoptr(GHashTable) listed = read_code(c, patch);
	for (guint s = 0; s < c->module->sections->len; s++) {
		const KmSection *section = c->module->sections->pdata[s];
		if (km_patchdata_is_code(c->module->arch, section) != g_hash_table_contains(listed, section))
			km_find(c, section->name, "%s",
				km_patchdata_is_code(c->module->arch, section)
					? "is not in the description's list of code"
					: "is listed as code that stays, and is none");
	}
}

static void check_numbers(KmChecker *c, const Words *patch)
{
	check_words(c, patch, KM_DATA_PATCH_WORDS,
		    1u << KM_DATA_PATCH_MOD | 1u << KM_DATA_PATCH_BUILD_ID | 1u << KM_DATA_PATCH_OBJECTS |
			    1u << KM_DATA_PATCH_STATES | 1u << KM_DATA_PATCH_CODE);
	if (number(c, patch, KM_DATA_PATCH_FORMAT) != KM_PATCHDATA_FORMAT)
		km_find_at(c, patch->section, patch->at, "format %" G_GUINT64_FORMAT ", not %u",
			   number(c, patch, KM_DATA_PATCH_FORMAT), KM_PATCHDATA_FORMAT);
	if (number(c, patch, KM_DATA_PATCH_REPLACE) > 1)
		km_find_at(c, patch->section, patch->at, "\"replace\" is neither true nor false");
}

void km_check_own(KmChecker *c)
{
	Words patch;
	gsize size = 0;
	guint64 address;
	if (!c->patch_section ||
	    !words_at(c, c->patch_section, c->patch_offset, KM_DATA_PATCH_WORDS, "struct kmend_patch", &patch))
		return;
	check_numbers(c, &patch);
	const guint8 *id = km_image_build_id(c->input->image, &size, &address);
	check_id(c, &patch, KM_DATA_PATCH_BUILD_ID, "the kernel", id, size);
	each_object(c, read_object, NULL);
	if (!c->switches->len && !c->callbacks->len)
		km_find(c, c->patch_section->name, "struct kmend_patch does nothing");
	check_referred(c);
	read_states(c, &patch);
	check_code(c, &patch);
	km_check_told(c);
	for (guint s = 0; s < c->module->sections->len; s++)
		check_rewritten(c, c->module->sections->pdata[s]);
}

/* ---- stubs ---- */

/* The fields by which the code finds its slot, then the slot. */
static gboolean has_stub_relocs(const KmChecker *c, const KmAt *at, const KmReloc **slot)
{
	const KmCallStub *stub = c->module->arch->call_stub;
	const KmStubField *field = stub->fields;
	gsize n;
	const KmReloc *r = km_section_relocs_in(at->section, at->address, at->address + stub->size, &n);
	for (; n && field && field->type; r++, n--, field++)
		if (r->type != field->type || r->offset != at->address + field->offset ||
		    r->symbol->section != at->section ||
		    r->symbol->value + (guint64)r->addend != at->address + stub->slot)
			return FALSE;
	*slot = r;
	return n == 1 && r->offset == at->address + stub->slot && r->type == c->module->arch->abs64;
}

KmAt km_follow_stub(KmChecker *c, const KmAt *at)
{
	const KmCallStub *stub = c->module->arch->call_stub;
	const KmReloc *r;
	if (!c->own || !stub || at->kind != KM_AT_INSIDE || strcmp(at->section->name, KM_PATCHDATA_STUBS))
		return *at;
	const guint8 *code = km_room(at->section, at->address, stub->size);
	if (!code || at->address % 8 || memcmp(code, stub->code, stub->size) || !has_stub_relocs(c, at, &r)) {
		km_find_at(c, at->section, at->address, "not a stub that leads to what its slot says");
		return *at;
	}
	km_cover(c, at->section, at->address, stub->size);
	KmAt there = km_at_symbol(c, r->symbol);
	there.address += (guint64)r->addend;
	return there;
}

gboolean km_calls_stub(const KmChecker *c, const KmReloc *r)
{
	const KmRelocInfo *info = km_arch_reloc(c->module->arch, r->type);
	return c->own && c->module->arch->call_stub && info && info->kind == KM_RELOC_CALL && r->symbol->section &&
	       !strcmp(r->symbol->section->name, KM_PATCHDATA_STUBS);
}

gboolean km_is_behind_call(const KmChecker *c, const KmSection *section, guint64 offset)
{
	gsize n;
	const KmReloc *r = offset < 4 ? NULL : km_section_relocs_in(section, offset - 4, offset - 3, &n);
	return r && n && km_calls_stub(c, r) && c->module->arch->call_stub->behind;
}

/* ---- parts against the units ---- */

static gboolean has_part(const GArray *parts, const KmAt *at, guint64 size)
{
	for (guint i = 0; at->kind && i < parts->len; i++) {
		const KmPart *part = &g_array_index(parts, KmPart, i);
		if (km_at_equal(&part->at, at) && part->size == size)
			return TRUE;
	}
	return FALSE;
}

static gboolean is_cold_part_of(const KmSymbol *symbol, const char *name)
{
	gsize length = strlen(name);
	return symbol->section && symbol->type == STT_FUNC && !strncmp(symbol->name, name, length) &&
	       g_str_has_prefix(symbol->name + length, ".cold") && km_name_is_cold_part(symbol->name);
}

static gboolean has_twin(const KmView *view, const KmSymbol *original)
{
	GHashTableIter iter;
	gpointer twin;
	g_hash_table_iter_init(&iter, view->diff->twins);
	while (g_hash_table_iter_next(&iter, NULL, &twin))
		if (twin == original)
			return TRUE;
	return FALSE;
}

/* One old function and what was split off it. */
static void compare_old(KmChecker *c, KmView *view, const KmSwitch *s, const KmSymbol *f)
{
	guint parts = 0;
	for (guint i = 0; i < view->patched->symbols->len; i++) {
		const KmSymbol *symbol = view->patched->symbols->pdata[i];
		g_autofree char *why = NULL;
		if (symbol != f && !is_cold_part_of(symbol, f->name))
			continue;
		const KmSymbol *original = g_hash_table_lookup(view->diff->twins, symbol);
		const KmSymbol *plain = original ? g_hash_table_lookup(view->plain_twins, original) : NULL;
		KmAt at = plain ? km_view_place(c, view, symbol, &why) : (KmAt){ 0 };
		parts += plain != NULL;
		if (plain && !has_part(s->old_parts, &at, plain->size))
			km_find(c, s->name,
				"the description does not have the old %s with its %" G_GUINT64_FORMAT " bytes",
				plain->name, plain->size);
	}
	/* A part that only the original has is in the description, and in no twin. */
	for (guint i = 0; i < view->original->symbols->len; i++) {
		const KmSymbol *symbol = view->original->symbols->pdata[i];
		parts += is_cold_part_of(symbol, f->name) && !has_twin(view, symbol);
	}
	if (parts != s->old_parts->len)
		km_find(c, s->name, "%u old parts, the original has %u", s->old_parts->len, parts);
}

static void compare_new(KmChecker *c, KmView *view, const KmSwitch *s, const KmSymbol *f)
{
	guint parts = 0;
	for (guint i = 0; i < view->patched->symbols->len; i++) {
		const KmSymbol *symbol = view->patched->symbols->pdata[i];
		if (symbol != f && !is_cold_part_of(symbol, f->name))
			continue;
		const KmPair *pair = km_view_pair_at(view, symbol->section, symbol->value);
		KmAt at =
			pair ? (KmAt){ KM_AT_INSIDE, pair->to, pair->at + (symbol->value - pair->start) } : (KmAt){ 0 };
		parts++;
		if (!has_part(s->new_parts, &at, symbol->size))
			km_find(c, s->name,
				"the description does not have the new %s with its %" G_GUINT64_FORMAT " bytes",
				symbol->name, symbol->size);
	}
	if (parts != s->new_parts->len)
		km_find(c, s->name, "%u new parts, the patched file has %u", s->new_parts->len, parts);
}

static void compare_switch(KmChecker *c, const KmSwitch *s)
{
	for (guint v = 1; v < c->views->len; v++) {
		KmView *view = c->views->pdata[v];
		GHashTableIter iter;
		gpointer f;
		g_hash_table_iter_init(&iter, view->replaced);
		while (g_hash_table_iter_next(&iter, &f, NULL)) {
			const KmSymbol *symbol = f;
			const KmPair *pair = km_view_pair_at(view, symbol->section, symbol->value);
			if (!pair || pair->to != s->section || pair->at + (symbol->value - pair->start) != s->offset)
				continue;
			compare_old(c, view, s, symbol);
			compare_new(c, view, s, symbol);
		}
	}
}

void km_compare_own(KmChecker *c)
{
	for (guint i = 0; c->own && i < c->switches->len; i++) {
		const KmSwitch *s = c->switches->pdata[i];
		if (s->old_parts)
			compare_switch(c, s);
	}
}
