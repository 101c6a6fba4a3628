/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/own.h"

#include <string.h>

#include "base/error.h"
#include "image/module.h"
#include "image/patchdata.h"
#include "klp/refs.h"

#define DATA ".data.kmend"
#define STRINGS ".rodata.kmend"
#define WORD KM_PATCHDATA_WORD
/* objtool: list the calls that the kernel redirects on CPUs whose return prediction underflows. */
#define LIST_CALLS "--hacks=skylake"

typedef struct {
	KmObject *object;
	const KmOwn *own;
	KmSection *data, *strings;
	KmSymbol *data_symbol, *string_symbol;
	GHashTable *offsets; /* char* -> offset of a string that is there already */
	GHashTable *symbols; /* char* -> offset of a struct kmend_symbol */
} Writer;

gboolean km_own_is_import(const KmImage *image, const char *name)
{
	return g_strv_contains(km_patchdata_imports(), name) && !km_image_export(image, name);
}

void km_own_adapt_objtool(char **argv)
{
	char **to = argv;
	for (char **from = argv; from && *from; from++) {
		if (!strcmp(*from, LIST_CALLS))
			g_free(*from);
		else
			*to++ = *from;
	}
	if (to)
		*to = NULL;
}

/* ---- words ---- */

static guint64 new_words(Writer *w, gsize words)
{
	return km_section_append(w->data, NULL, words * WORD, WORD);
}

static void put_number(Writer *w, guint64 at, guint word, guint64 value)
{
	km_object_put_u64(w->object, w->data->data->data + at + (gsize)word * WORD, value);
}

static void put_pointer(Writer *w, guint64 at, guint word, KmSymbol *symbol, gint64 addend)
{
	km_section_add_reloc(w->data, at + (guint64)word * WORD, w->object->arch->abs64, symbol, addend);
}

/* An array of n structures at offset of the data; an empty one is no pointer. */
static void put_array(Writer *w, guint64 at, guint word, guint64 array, guint n)
{
	if (n)
		put_pointer(w, at, word, w->data_symbol, (gint64)array);
	put_number(w, at, word + 1, n);
}

static void put_string(Writer *w, guint64 at, guint word, const char *text)
{
	gpointer known;
	if (!g_hash_table_lookup_extended(w->offsets, text, NULL, &known)) {
		known = GSIZE_TO_POINTER(km_section_append(w->strings, text, strlen(text) + 1, 1));
		g_hash_table_insert(w->offsets, g_strdup(text), known);
	}
	put_pointer(w, at, word, w->string_symbol, (gint64)GPOINTER_TO_SIZE(known));
}

static void put_bytes(Writer *w, guint64 at, guint word, const guint8 *bytes, gsize size)
{
	put_pointer(w, at, word, w->string_symbol, (gint64)km_section_append(w->strings, bytes, size, 4));
	put_number(w, at, word + 1, size);
}

/* One for each place, whoever refers to it. object: "vmlinux" or a module. */
static guint64 put_symbol(Writer *w, const char *object, const char *section, const char *name, guint64 address,
			  guint index)
{
	g_autofree char *key = g_strdup_printf("%s %s %s %u %" G_GINT64_MODIFIER "x", object, section ? section : "",
					       name, index, address);
	gpointer known;
	if (g_hash_table_lookup_extended(w->symbols, key, NULL, &known))
		return GPOINTER_TO_SIZE(known);
	guint64 at = new_words(w, KM_DATA_SYMBOL_WORDS);
	if (strcmp(object, "vmlinux")) {
		put_string(w, at, KM_DATA_SYMBOL_OBJECT, object);
		put_string(w, at, KM_DATA_SYMBOL_SECTION, section);
	}
	put_string(w, at, KM_DATA_SYMBOL_NAME, name);
	put_number(w, at, KM_DATA_SYMBOL_ADDRESS, address);
	put_number(w, at, KM_DATA_SYMBOL_INDEX, index);
	g_hash_table_insert(w->symbols, g_steal_pointer(&key), GSIZE_TO_POINTER(at));
	return at;
}

/* ---- objects ---- */

static void add_object(GPtrArray *objects, const char *name)
{
	if (!g_ptr_array_find_with_equal_func(objects, name, g_str_equal, NULL))
		g_ptr_array_insert(objects, strcmp(name, "vmlinux") ? -1 : 0, (gpointer)name);
}

static gint by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Of what the code refers to: there may be objects of which nothing is replaced. Sorted. */
static GPtrArray *owners_of(GHashTable *refs)
{
	GPtrArray *owners = g_ptr_array_new();
	GHashTableIter iter;
	gpointer value;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const KmRef *ref = value;
		if (ref->kind == KM_REF_KLP && !g_ptr_array_find_with_equal_func(owners, ref->owner, g_str_equal, NULL))
			g_ptr_array_add(owners, ref->owner);
	}
	g_ptr_array_sort(owners, by_text);
	return owners;
}

/* Modules in which something is that the code refers to, whoever waits for it: the runtime must know their build-ids. Sorted. */
static GPtrArray *referred_to(GHashTable *refs)
{
	GPtrArray *modules = g_ptr_array_new();
	GHashTableIter iter;
	gpointer value;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const KmRef *ref = value;
		if (ref->kind == KM_REF_KLP && strcmp(ref->object, "vmlinux"))
			g_ptr_array_add(modules, ref->object);
	}
	g_ptr_array_sort(modules, by_text);
	return modules;
}

/* vmlinux first, then in order of appearance: the same list before and after objtool. */
static GPtrArray *objects_of(const KmOwn *own)
{
	GPtrArray *objects = g_ptr_array_new();
	g_autoptr(GPtrArray) owners = owners_of(own->refs), referred = referred_to(own->refs);
	for (guint i = 0; i < own->contents->hooks->len; i++)
		add_object(objects, ((const KmHook *)own->contents->hooks->pdata[i])->object);
	for (guint i = 0; i < own->contents->callbacks->len; i++)
		add_object(objects, ((const KmCallback *)own->contents->callbacks->pdata[i])->object);
	for (guint i = 0; i < owners->len; i++)
		add_object(objects, owners->pdata[i]);
	for (guint i = 0; i < referred->len; i++)
		add_object(objects, referred->pdata[i]);
	return objects;
}

static guint64 put_old_parts(Writer *w, const KmHook *hook)
{
	guint64 array = new_words(w, (gsize)KM_DATA_PART_WORDS * hook->old_parts->len);
	for (guint i = 0; i < hook->old_parts->len; i++) {
		const KmOldPart *part = hook->old_parts->pdata[i];
		guint64 at = array + (guint64)i * KM_DATA_PART_WORDS * WORD;
		guint64 symbol = put_symbol(w, hook->object, part->section, part->name, part->address, part->index);
		put_pointer(w, at, KM_DATA_PART_SYMBOL, w->data_symbol, (gint64)symbol);
		put_number(w, at, KM_DATA_PART_SIZE, part->size);
	}
	return array;
}

static guint64 put_new_parts(Writer *w, const KmHook *hook)
{
	guint64 array = new_words(w, (gsize)KM_DATA_PART_WORDS * hook->new_parts->len);
	for (guint i = 0; i < hook->new_parts->len; i++) {
		KmSymbol *part = hook->new_parts->pdata[i];
		guint64 at = array + (guint64)i * KM_DATA_PART_WORDS * WORD;
		put_pointer(w, at, KM_DATA_PART_START, part, 0);
		put_number(w, at, KM_DATA_PART_SIZE, part->size);
	}
	return array;
}

static void put_function(Writer *w, guint64 at, const KmHook *hook)
{
	put_array(w, at, KM_DATA_FUNC_OLD_PARTS, put_old_parts(w, hook), hook->old_parts->len);
	put_array(w, at, KM_DATA_FUNC_NEW_PARTS, put_new_parts(w, hook), hook->new_parts->len);
	put_number(w, at, KM_DATA_FUNC_SYMPOS, hook->sympos);
}

static void put_functions(Writer *w, guint64 object_at, const char *object)
{
	const GPtrArray *hooks = w->own->contents->hooks;
	g_autoptr(GPtrArray) here = g_ptr_array_new();
	for (guint i = 0; i < hooks->len; i++)
		if (!strcmp(((const KmHook *)hooks->pdata[i])->object, object))
			g_ptr_array_add(here, hooks->pdata[i]);
	guint64 array = new_words(w, (gsize)KM_DATA_FUNC_WORDS * here->len);
	for (guint i = 0; i < here->len; i++)
		put_function(w, array + (guint64)i * KM_DATA_FUNC_WORDS * WORD, here->pdata[i]);
	put_array(w, object_at, KM_DATA_OBJECT_FUNCS, array, here->len);
}

static void put_callbacks(Writer *w, guint64 at, const char *object)
{
	const GPtrArray *callbacks = w->own->contents->callbacks;
	for (guint i = 0; i < callbacks->len; i++) {
		const KmCallback *callback = callbacks->pdata[i];
		if (!strcmp(callback->object, object))
			put_pointer(w, at, KM_DATA_OBJECT_CALLBACKS + (guint)callback->kind, callback->function, 0);
	}
}

static gboolean put_module_build_id(Writer *w, guint64 at, const char *name, GError **error)
{
	g_autofree char *path = km_kernel_module_path(w->own->kernel, name);
	g_autoptr(KmObject) module = path ? km_module_read(path, error) : NULL;
	gsize size;
	const guint8 *id = module ? km_module_build_id(module, &size) : NULL;
	if (!path)
		return km_fail(error, "the file of module %s is gone", name);
	if (module && !id)
		return km_refuse(
			error,
			"%s has no build-id: kmend's own runtime could not tell the module from another of the "
			"same name",
			path);
	if (id)
		put_bytes(w, at, KM_DATA_OBJECT_BUILD_ID, id, size);
	return id != NULL;
}

static gboolean put_objects(Writer *w, guint64 patch, GError **error)
{
	g_autoptr(GPtrArray) objects = objects_of(w->own);
	guint64 array = new_words(w, (gsize)KM_DATA_OBJECT_WORDS * objects->len);
	for (guint i = 0; i < objects->len; i++) {
		const char *name = objects->pdata[i];
		guint64 at = array + (guint64)i * KM_DATA_OBJECT_WORDS * WORD;
		if (strcmp(name, "vmlinux")) {
			put_string(w, at, KM_DATA_OBJECT_NAME, name);
			if (!put_module_build_id(w, at, name, error))
				return FALSE;
		}
		put_functions(w, at, name);
		put_callbacks(w, at, name);
	}
	put_array(w, patch, KM_DATA_PATCH_OBJECTS, array, objects->len);
	return TRUE;
}

static void put_states(Writer *w, guint64 patch)
{
	const GArray *states = w->own->contents->states;
	guint64 array = new_words(w, (gsize)KM_DATA_STATE_WORDS * states->len);
	for (guint i = 0; i < states->len; i++) {
		const KmState *state = &g_array_index(states, KmState, i);
		guint64 at = array + (guint64)i * KM_DATA_STATE_WORDS * WORD;
		put_number(w, at, KM_DATA_STATE_ID, state->id);
		put_number(w, at, KM_DATA_STATE_VERSION, state->version);
	}
	put_array(w, patch, KM_DATA_PATCH_STATES, array, states->len);
}

static void writer_clear(Writer *w)
{
	g_clear_pointer(&w->offsets, g_hash_table_unref);
	g_clear_pointer(&w->symbols, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Writer, writer_clear)

static void start(Writer *w)
{
	w->offsets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	w->symbols = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	w->string_symbol = km_object_section_symbol(w->object, w->strings);
	w->data_symbol = km_object_section_symbol(w->object, w->data);
}

static gboolean put_patch(Writer *w, KmSymbol *this_module, KmSymbol *patch, GError **error)
{
	gsize size;
	guint64 address, at = new_words(w, KM_DATA_PATCH_WORDS);
	const guint8 *id = km_image_build_id(w->own->image, &size, &address);
	if (!id)
		return km_refuse(
			error,
			"%s has no build-id (or several): kmend's own runtime could not tell the running kernel "
			"from another",
			km_image_path(w->own->image));
	put_number(w, at, KM_DATA_PATCH_FORMAT, KM_PATCHDATA_FORMAT);
	put_pointer(w, at, KM_DATA_PATCH_MOD, this_module, 0);
	put_bytes(w, at, KM_DATA_PATCH_BUILD_ID, id, size);
	put_states(w, at);
	put_number(w, at, KM_DATA_PATCH_REPLACE, w->own->contents->replace);
	patch->section = w->data;
	patch->value = at;
	patch->size = (guint64)KM_DATA_PATCH_WORDS * WORD;
	patch->type = STT_OBJECT;
	patch->bind = STB_LOCAL;
	return put_objects(w, at, error);
}

gboolean km_own_write(KmObject *object, const KmOwn *own, GError **error)
{
	g_auto(Writer) w = { .object = object, .own = own };
	KmSymbol *this_module = km_object_find_symbol(object, "__this_module");
	KmSymbol *patch = km_object_find_symbol(object, KM_TEMPLATE_PATCH_SYMBOL);
	if (!this_module || !patch || patch->section)
		return km_fail(error,
			       "%s: the module template is damaged: remove the kernel's work directory and retry",
			       object->path);
	w.strings = km_object_add_section(object, STRINGS, SHT_PROGBITS, SHF_ALLOC, 4);
	w.data = km_object_add_section(object, DATA, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, WORD);
	start(&w);
	if (!put_patch(&w, this_module, patch, error))
		return FALSE;
	km_hooks_annotate(object, own->contents->hooks);
	km_section_sort_relocs(w.data);
	km_object_index_drop(object);
	return TRUE;
}

/* ---- relocations that the runtime applies ---- */

typedef struct {
	Writer *w;
	GHashTable *stubs; /* "symbol+addend" -> KmSymbol of the stub */
	GPtrArray *objects; /* of char* */
	GPtrArray *rows; /* per object: GArray of Row */
	GHashTable *used; /* offsets of symbols that rows name */
} Filler;

typedef struct {
	KmSymbol *section;
	guint64 offset;
	guint64 symbol; /* offset of its struct kmend_symbol */
	gint64 addend;
	guint32 type;
} Row;

static const KmRef *own_ref(const Filler *f, const KmSymbol *symbol)
{
	const KmRef *ref = symbol->section || symbol->shndx != SHN_UNDEF
				   ? NULL
				   : g_hash_table_lookup(f->w->own->refs, symbol->name);
	return ref && ref->kind == KM_REF_KLP ? ref : NULL;
}

static GArray *rows_of(const Filler *f, const char *owner)
{
	guint i;
	return g_ptr_array_find_with_equal_func(f->objects, owner, g_str_equal, &i) ? f->rows->pdata[i] : NULL;
}

static gboolean add_row(Filler *f, KmSection *section, const KmReloc *r, const KmRef *ref, GError **error)
{
	GArray *rows = rows_of(f, ref->owner);
	if (!rows)
		return km_fail(error, "%s: nothing is known of module %s", f->w->object->path, ref->owner);
	Row row = { .section = km_object_section_symbol(f->w->object, section),
		    .offset = r->offset,
		    .symbol = put_symbol(f->w, ref->object, ref->section, ref->name, ref->address, ref->index),
		    .addend = r->addend,
		    .type = r->type };
	g_hash_table_add(f->used, GSIZE_TO_POINTER(row.symbol));
	g_array_append_val(rows, row);
	return TRUE;
}

/* The stub for what r calls; a new one brings a row of its own, for its slot. */
static KmSymbol *stub_for(Filler *f, const KmReloc *r, const KmRef *ref, GError **error)
{
	KmObject *object = f->w->object;
	const KmCallStub *stub = object->arch->call_stub;
	g_autofree char *key = g_strdup_printf("%s%+" G_GINT64_FORMAT, r->symbol->name, r->addend);
	KmSymbol *known = g_hash_table_lookup(f->stubs, key);
	if (known)
		return known;
	KmSection *section = km_object_find_section(object, KM_PATCHDATA_STUBS);
	if (!section)
		section = km_object_add_section(object, KM_PATCHDATA_STUBS, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 8);
	guint64 at = km_object_append(object, section, stub->code, stub->size, 8);
	g_autofree char *name = g_strconcat("kmend.stub.", r->symbol->name, NULL);
	const KmReloc slot = {
		.offset = at + stub->slot, .type = object->arch->abs64, .symbol = r->symbol, .addend = r->addend
	};
	known = km_object_add_symbol(object, name, STB_LOCAL, STT_FUNC, section, at, stub->size);
	for (const KmStubField *field = stub->fields; field && field->type; field++)
		km_section_add_reloc(section, at + field->offset, field->type,
				     km_object_section_symbol(object, section), (gint64)slot.offset);
	if (!add_row(f, section, &slot, ref, error))
		return NULL;
	g_hash_table_insert(f->stubs, g_steal_pointer(&key), known);
	return known;
}

/* Of calls through stubs: what must stand behind them. */
static gboolean put_behind(KmObject *object, KmSection *section, const KmReloc *r, GError **error)
{
	const KmCallStub *stub = object->arch->call_stub;
	if (!stub->behind)
		return TRUE;
	guint8 *call = section->data->data + r->offset;
	const char *problem = object->arch->call_problem(call, section->data->len - r->offset);
	if (problem)
		return km_refuse(error, "%s+0x%" G_GINT64_MODIFIER "x: %s (to %s)", section->name, r->offset, problem,
				 r->symbol->name);
	km_object_put_u32(object, call + 4, stub->behind);
	return TRUE;
}

static gboolean check_in_time(const KmSection *section, const KmRef *ref, GError **error)
{
	const KmSpecial *special = km_special_find(section->name);
	if (!special || special->kind == KM_SPECIAL_SLOTS)
		return TRUE;
	return km_refuse(
		error,
		"%s refers to %s of %s, which is not exported (a static key, a static call or an alternative): the "
		"kernel "
		"reads that table before kmend's own runtime could fill it in; leave that part of the function out",
		section->name, ref->name, ref->object);
}

/* One relocation of section: TRUE in *taken when it is no longer for the module loader. */
static gboolean take_reloc(Filler *f, KmSection *section, KmReloc *r, gboolean *taken, GError **error)
{
	const KmRef *ref = own_ref(f, r->symbol);
	const KmRelocInfo *info = km_arch_reloc(f->w->object->arch, r->type);
	*taken = FALSE;
	if (!ref)
		return TRUE;
	if (!check_in_time(section, ref, error))
		return FALSE;
	if (info && info->kind == KM_RELOC_CALL && f->w->object->arch->call_stub) {
		KmSymbol *stub = stub_for(f, r, ref, error);
		if (!stub || !put_behind(f->w->object, section, r, error))
			return FALSE;
		r->symbol = stub;
		r->addend = 0;
		return TRUE;
	}
	*taken = TRUE;
	return add_row(f, section, r, ref, error);
}

static gboolean take_relocs(Filler *f, KmSection *section, GError **error)
{
	g_autoptr(GArray) all = g_array_ref(section->relocs);
	g_array_unref(section->relocs);
	section->relocs = g_array_new(FALSE, FALSE, sizeof(KmReloc));
	for (guint i = 0; i < all->len; i++) {
		KmReloc r = g_array_index(all, KmReloc, i);
		gboolean taken;
		if (!take_reloc(f, section, &r, &taken, error))
			return FALSE;
		if (!taken)
			g_array_append_val(section->relocs, r);
	}
	return TRUE;
}

static gboolean takes_row_in(const Filler *f, const KmSection *code, guint64 start, guint64 end)
{
	for (guint i = 0; i < f->rows->len; i++) {
		const GArray *rows = f->rows->pdata[i];
		for (guint k = 0; k < rows->len; k++) {
			const Row *row = &g_array_index(rows, Row, k);
			if (row->section->section == code && row->offset >= start && row->offset < end)
				return TRUE;
		}
	}
	return FALSE;
}

/*
 * The loader may have put another instruction where the runtime would write. struct alt_instr of all our architectures ends with the two lengths,
 * that of the code which is replaced first.
 */
static gboolean check_alternatives(const Filler *f, GError **error)
{
	const KmSection *table = km_object_find_section(f->w->object, ".altinstructions");
	guint size = table && table->size ? km_special_entry_size(km_special_find(table->name), table, error) : 0;
	for (guint64 at = 0; size && at + size <= table->size; at += size) {
		gsize n;
		const KmReloc *r = km_section_relocs_in(table, at, at + 1, &n);
		guint64 start = n ? r->symbol->value + (guint64)r->addend : 0;
		if (n && takes_row_in(f, r->symbol->section, start, start + table->data->data[at + size - 2]))
			return km_refuse(error,
					 "%s: an alternative of the new code (%s+0x%" G_GINT64_MODIFIER
					 "x) calls what is not exported, and the kernel chooses it before kmend's own "
					 "runtime could "
					 "fill that in; leave that part of the function out",
					 f->w->object->path, r->symbol->section->name, start);
	}
	return !table || !table->size || size;
}

static void put_rows(Filler *f, guint64 objects_at)
{
	Writer *w = f->w;
	for (guint i = 0; i < f->objects->len; i++) {
		const GArray *rows = f->rows->pdata[i];
		guint64 array = new_words(w, (gsize)KM_DATA_RELOC_WORDS * rows->len);
		for (guint k = 0; k < rows->len; k++) {
			const Row *row = &g_array_index(rows, Row, k);
			guint64 at = array + (guint64)k * KM_DATA_RELOC_WORDS * WORD;
			put_pointer(w, at, KM_DATA_RELOC_PLACE, row->section, (gint64)row->offset);
			put_pointer(w, at, KM_DATA_RELOC_SYMBOL, w->data_symbol, (gint64)row->symbol);
			put_number(w, at, KM_DATA_RELOC_ADDEND, (guint64)row->addend);
			put_number(w, at, KM_DATA_RELOC_TYPE, row->type);
		}
		put_array(w, objects_at + (guint64)i * KM_DATA_OBJECT_WORDS * WORD, KM_DATA_OBJECT_RELOCS, array,
			  rows->len);
	}
}

/* All code that stays, now that it is all there; what the loader fills in leads out of the module again. */
static void put_code(Writer *w, guint64 patch)
{
	g_autoptr(GPtrArray) sections = g_ptr_array_new();
	for (guint i = 0; i < w->object->sections->len; i++) {
		KmSection *section = w->object->sections->pdata[i];
		if (km_patchdata_is_code(w->object->arch, section))
			g_ptr_array_add(sections, section);
	}
	guint64 array = new_words(w, (gsize)KM_DATA_PART_WORDS * sections->len);
	for (guint i = 0; i < sections->len; i++) {
		KmSection *section = sections->pdata[i];
		guint64 at = array + (guint64)i * KM_DATA_PART_WORDS * WORD;
		put_pointer(w, at, KM_DATA_PART_START, km_object_section_symbol(w->object, section), 0);
		put_number(w, at, KM_DATA_PART_SIZE, section->size);
	}
	put_array(w, patch, KM_DATA_PATCH_CODE, array, sections->len);
}

/* Where the description's array of objects starts. */
static gboolean find_objects(const KmObject *object, const KmSection *data, guint64 *at)
{
	const KmSymbol *patch = km_object_find_symbol(object, KM_TEMPLATE_PATCH_SYMBOL);
	gsize n = 0;
	guint64 field = patch ? patch->value + (guint64)KM_DATA_PATCH_OBJECTS * WORD : 0;
	const KmReloc *r = patch && patch->section == data ? km_section_relocs_in(data, field, field + 1, &n) : NULL;
	if (!n || r->symbol->section != data)
		return FALSE;
	*at = r->symbol->value + (guint64)r->addend;
	return TRUE;
}

static void free_rows(gpointer rows)
{
	g_array_unref(rows);
}

static void filler_clear(Filler *f)
{
	g_clear_pointer(&f->stubs, g_hash_table_unref);
	g_clear_pointer(&f->objects, g_ptr_array_unref);
	g_clear_pointer(&f->rows, g_ptr_array_unref);
	g_clear_pointer(&f->used, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Filler, filler_clear)

static void start_filler(Filler *f)
{
	f->stubs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	f->objects = objects_of(f->w->own);
	f->rows = g_ptr_array_new_with_free_func(free_rows);
	f->used = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < f->objects->len; i++)
		g_ptr_array_add(f->rows, g_array_new(FALSE, FALSE, sizeof(Row)));
}

gboolean km_own_fill(KmObject *object, const KmOwn *own, guint *symbols, GError **error)
{
	g_auto(Writer) w = { .object = object, .own = own };
	g_auto(Filler) f = { .w = &w };
	guint64 objects_at;
	w.strings = km_object_find_section(object, STRINGS);
	w.data = km_object_find_section(object, DATA);
	if (!w.strings || !w.data || !find_objects(object, w.data, &objects_at))
		return km_fail(error, "%s: the description of the live patch was lost on the way", object->path);
	start(&w);
	start_filler(&f);
	/* Stubs are appended, and refer to nothing but their slots by themselves. */
	guint n = object->sections->len;
	for (guint i = 0; i < n; i++)
		if (!take_relocs(&f, object->sections->pdata[i], error))
			return FALSE;
	if (!check_alternatives(&f, error))
		return FALSE;
	put_rows(&f, objects_at);
	put_code(&w, km_object_find_symbol(object, KM_TEMPLATE_PATCH_SYMBOL)->value);
	km_section_sort_relocs(w.data);
	km_object_index_drop(object);
	*symbols = g_hash_table_size(f.used);
	return TRUE;
}
