/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "elf/object.h"

#include <string.h>

static void section_free(gpointer p)
{
	KmSection *section = p;
	g_free(section->name);
	g_free(section->klp_object);
	g_clear_pointer(&section->data, g_byte_array_unref);
	g_array_unref(section->relocs);
	g_free(section);
}

static void symbol_free(gpointer p)
{
	KmSymbol *symbol = p;
	g_free(symbol->name);
	g_free(symbol);
}

KmObject *km_object_new(const KmArch *arch, const char *path)
{
	KmObject *object = g_new0(KmObject, 1);
	object->path = g_strdup(path);
	object->arch = arch;
	object->type = ET_REL;
	object->sections = g_ptr_array_new_with_free_func(section_free);
	object->symbols = g_ptr_array_new_with_free_func(symbol_free);
	object->null_symbol = g_new0(KmSymbol, 1);
	object->null_symbol->name = g_strdup("");
	object->null_symbol->shndx = SHN_ABS;
	return object;
}

void km_object_free(KmObject *object)
{
	if (!object)
		return;
	km_object_index_drop(object);
	g_ptr_array_unref(object->sections);
	g_ptr_array_unref(object->symbols);
	symbol_free(object->null_symbol);
	g_free(object->path);
	g_free(object);
}

KmSection *km_object_add_section(KmObject *object, const char *name, guint32 type, guint64 flags, guint64 addralign)
{
	KmSection *section = g_new0(KmSection, 1);
	section->name = g_strdup(name);
	section->type = type;
	section->flags = flags;
	section->addralign = MAX(addralign, 1);
	section->data = type == SHT_NOBITS ? NULL : g_byte_array_new();
	section->relocs = g_array_new(FALSE, FALSE, sizeof(KmReloc));
	section->index = object->sections->len;
	g_ptr_array_add(object->sections, section);
	return section;
}

KmSymbol *km_object_add_symbol(KmObject *object, const char *name, guint8 bind, guint8 type, KmSection *section,
			       guint64 value, guint64 size)
{
	KmSymbol *symbol = g_new0(KmSymbol, 1);
	symbol->name = g_strdup(name);
	symbol->bind = bind;
	symbol->type = type;
	symbol->section = section;
	symbol->shndx = SHN_UNDEF;
	symbol->value = value;
	symbol->size = size;
	symbol->index = object->symbols->len;
	g_ptr_array_add(object->symbols, symbol);
	km_object_index_drop(object);
	return symbol;
}

void km_object_drop_symbols(KmObject *object, gboolean (*drop)(const KmSymbol *, gpointer), gpointer data)
{
	g_autoptr(GPtrArray) old = g_steal_pointer(&object->symbols);
	object->symbols = g_ptr_array_new_with_free_func(symbol_free);
	g_ptr_array_set_free_func(old, NULL);
	for (guint i = 0; i < old->len; i++) {
		KmSymbol *symbol = old->pdata[i];
		if (drop(symbol, data)) {
			symbol_free(symbol);
			continue;
		}
		symbol->index = object->symbols->len;
		g_ptr_array_add(object->symbols, symbol);
	}
	km_object_index_drop(object);
}

static gboolean section_is_gone(const KmSymbol *symbol, gpointer gone)
{
	return symbol->section && g_hash_table_contains(gone, symbol->section);
}

void km_object_drop_sections(KmObject *object, gboolean (*drop)(const KmSection *, gpointer), gpointer data)
{
	g_autoptr(GHashTable) gone = g_hash_table_new_full(NULL, NULL, section_free, NULL);
	g_autoptr(GPtrArray) old = g_steal_pointer(&object->sections);
	object->sections = g_ptr_array_new_with_free_func(section_free);
	g_ptr_array_set_free_func(old, NULL);
	for (guint i = 0; i < old->len; i++) {
		KmSection *section = old->pdata[i];
		if (drop(section, data)) {
			g_hash_table_add(gone, section);
			continue;
		}
		section->index = object->sections->len;
		g_ptr_array_add(object->sections, section);
	}
	km_object_drop_symbols(object, section_is_gone, gone);
	for (guint i = 0; i < object->sections->len; i++) {
		KmSection *section = object->sections->pdata[i];
		if (section->link && g_hash_table_contains(gone, section->link))
			section->link = NULL;
	}
}

KmSection *km_object_find_section(const KmObject *object, const char *name)
{
	for (guint i = 0; i < object->sections->len; i++) {
		KmSection *section = object->sections->pdata[i];
		if (!strcmp(section->name, name))
			return section;
	}
	return NULL;
}

KmSymbol *km_object_find_symbol(const KmObject *object, const char *name)
{
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (!strcmp(symbol->name, name))
			return symbol;
	}
	return NULL;
}

KmSymbol *km_object_section_symbol(KmObject *object, KmSection *section)
{
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (symbol->section == section && symbol->type == STT_SECTION)
			return symbol;
	}
	return km_object_add_symbol(object, "", STB_LOCAL, STT_SECTION, section, 0, 0);
}

/* One section's symbols by address; reach[i] is the furthest end of the first i + 1 of them. */
typedef struct {
	GPtrArray *symbols;
	GArray *reach; /* of guint64 */
} Cover;

static void cover_free(gpointer p)
{
	Cover *cover = p;
	g_ptr_array_unref(cover->symbols);
	g_array_unref(cover->reach);
	g_free(cover);
}

static gboolean covers_something(const KmObject *object, const KmSymbol *symbol)
{
	if (!symbol->section || symbol->type == STT_SECTION || symbol->type == STT_FILE || !*symbol->name)
		return FALSE;
	return !object->arch->is_annotation || !object->arch->is_annotation(symbol);
}

static guint64 symbol_end(const KmSymbol *symbol)
{
	guint64 end = symbol->value + MAX(symbol->size, 1);
	return end < symbol->value ? G_MAXUINT64 : end;
}

/* Ascending by address; at one address the one to prefer comes last: sized, typed, global, earlier in the file. */
static gint by_address(gconstpointer a, gconstpointer b)
{
	const KmSymbol *x = *(const KmSymbol *const *)a, *y = *(const KmSymbol *const *)b;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	if (!x->size != !y->size)
		return x->size ? 1 : -1;
	if ((x->type == STT_NOTYPE) != (y->type == STT_NOTYPE))
		return x->type == STT_NOTYPE ? -1 : 1;
	if ((x->bind == STB_LOCAL) != (y->bind == STB_LOCAL))
		return x->bind == STB_LOCAL ? -1 : 1;
	return x->index > y->index ? -1 : x->index < y->index;
}

static Cover *cover_of(GHashTable *index, const KmSection *section)
{
	Cover *cover = g_hash_table_lookup(index, section);
	if (cover)
		return cover;
	cover = g_new0(Cover, 1);
	cover->symbols = g_ptr_array_new();
	cover->reach = g_array_new(FALSE, FALSE, sizeof(guint64));
	g_hash_table_insert(index, (gpointer)section, cover);
	return cover;
}

static void build_cover(KmObject *object)
{
	object->cover = g_hash_table_new_full(NULL, NULL, NULL, cover_free);
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (covers_something(object, symbol))
			g_ptr_array_add(cover_of(object->cover, symbol->section)->symbols, symbol);
	}
	GHashTableIter iter;
	gpointer value;
	g_hash_table_iter_init(&iter, object->cover);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		Cover *cover = value;
		guint64 reach = 0;
		g_ptr_array_sort(cover->symbols, by_address);
		for (guint i = 0; i < cover->symbols->len; i++) {
			reach = MAX(reach, symbol_end(cover->symbols->pdata[i]));
			g_array_append_val(cover->reach, reach);
		}
	}
}

/* How many symbols start at or before offset. */
static guint started(const GPtrArray *symbols, guint64 offset)
{
	guint low = 0, high = symbols->len;
	while (low < high) {
		guint middle = low + (high - low) / 2;
		if (((const KmSymbol *)symbols->pdata[middle])->value <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

KmSymbol *km_object_symbol_at(KmObject *object, const KmSection *section, guint64 offset)
{
	if (!object->cover)
		build_cover(object);
	Cover *cover = g_hash_table_lookup(object->cover, section);
	if (!cover)
		return NULL;
	for (guint i = started(cover->symbols, offset); i-- > 0;) {
		KmSymbol *symbol = cover->symbols->pdata[i];
		if (symbol_end(symbol) > offset)
			return symbol;
		if (g_array_index(cover->reach, guint64, i) <= offset)
			return NULL;
	}
	return NULL;
}

void km_object_index_drop(KmObject *object)
{
	g_clear_pointer(&object->cover, g_hash_table_unref);
}

void km_section_add_reloc(KmSection *section, guint64 offset, guint32 type, KmSymbol *symbol, gint64 addend)
{
	KmReloc reloc = { offset, type, symbol, addend };
	g_array_append_val(section->relocs, reloc);
}

static gint by_offset(gconstpointer a, gconstpointer b)
{
	const KmReloc *x = a, *y = b;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

void km_section_sort_relocs(KmSection *section)
{
	const KmReloc *r = (const KmReloc *)(void *)section->relocs->data;
	for (guint i = 1; i < section->relocs->len; i++) {
		if (r[i - 1].offset <= r[i].offset)
			continue;
		/* Stable: relocations at one offset are an ordered sequence on some architectures. */
		g_array_sort(section->relocs, by_offset);
		return;
	}
}

static guint first_at(const KmSection *section, guint64 offset)
{
	const KmReloc *r = (const KmReloc *)(void *)section->relocs->data;
	guint low = 0, high = section->relocs->len;
	while (low < high) {
		guint middle = low + (high - low) / 2;
		if (r[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const KmReloc *km_section_relocs_in(const KmSection *section, guint64 start, guint64 end, gsize *n)
{
	guint from = first_at(section, start), to = first_at(section, end);
	*n = to > from ? to - from : 0;
	return (const KmReloc *)(void *)section->relocs->data + from;
}

static guint64 append(KmSection *section, guint8 fill, const void *data, gsize size, gsize align)
{
	gsize offset = (section->size + align - 1) / align * align;
	section->addralign = MAX(section->addralign, align);
	section->size = offset + size;
	if (!section->data)
		return offset;
	gsize old = section->data->len;
	g_byte_array_set_size(section->data, (guint)section->size);
	memset(section->data->data + old, fill, offset - old);
	memset(section->data->data + offset, 0, size);
	if (data && size)
		memcpy(section->data->data + offset, data, size);
	return offset;
}

guint64 km_section_append(KmSection *section, const void *data, gsize size, gsize align)
{
	return append(section, 0, data, size, align);
}

guint64 km_object_append(const KmObject *object, KmSection *section, const void *data, gsize size, gsize align)
{
	return append(section, section->flags & SHF_EXECINSTR ? object->arch->code_fill : 0, data, size, align);
}

gboolean km_section_is_text(const KmSection *section)
{
	const guint64 needed = SHF_ALLOC | SHF_EXECINSTR;
	return section->type == SHT_PROGBITS && (section->flags & needed) == needed;
}

gboolean km_section_is_string(const KmSection *section)
{
	const guint64 needed = SHF_MERGE | SHF_STRINGS;
	return section->type == SHT_PROGBITS && (section->flags & needed) == needed;
}

guint16 km_object_get_u16(const KmObject *object, const guint8 *p)
{
	guint16 v;
	memcpy(&v, p, sizeof(v));
	return object->arch->big_endian ? GUINT16_FROM_BE(v) : GUINT16_FROM_LE(v);
}

guint32 km_object_get_u32(const KmObject *object, const guint8 *p)
{
	guint32 v;
	memcpy(&v, p, sizeof(v));
	return object->arch->big_endian ? GUINT32_FROM_BE(v) : GUINT32_FROM_LE(v);
}

guint64 km_object_get_u64(const KmObject *object, const guint8 *p)
{
	guint64 v;
	memcpy(&v, p, sizeof(v));
	return object->arch->big_endian ? GUINT64_FROM_BE(v) : GUINT64_FROM_LE(v);
}

void km_object_put_u32(const KmObject *object, guint8 *p, guint32 value)
{
	guint32 v = object->arch->big_endian ? GUINT32_TO_BE(value) : GUINT32_TO_LE(value);
	memcpy(p, &v, sizeof(v));
}

void km_object_put_u64(const KmObject *object, guint8 *p, guint64 value)
{
	guint64 v = object->arch->big_endian ? GUINT64_TO_BE(value) : GUINT64_TO_LE(value);
	memcpy(p, &v, sizeof(v));
}
