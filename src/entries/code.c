/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "entries/code.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "image/decompress.h"
#include "image/module.h"

#define MAX_ROOM 256

/* ---- addresses ---- */

static guint64 base_of(const KmCode *view, const KmSection *section)
{
	return view->object->type == ET_REL ? (guint64)(section->index + 1) << 32 : section->address;
}

guint64 km_code_address(const KmCode *view, const KmSymbol *symbol)
{
	return view->object->type == ET_REL ? base_of(view, symbol->section) + symbol->value : symbol->value;
}

static KmSection *section_at(const KmCode *view, guint64 address, guint64 *offset)
{
	const GPtrArray *sections = view->object->sections;
	guint64 index = (address >> 32) - 1;
	if (view->object->type == ET_REL) {
		*offset = address & G_MAXUINT32;
		return index < sections->len ? sections->pdata[index] : NULL;
	}
	for (guint i = 0; i < sections->len; i++) {
		KmSection *section = sections->pdata[i];
		*offset = address - section->address;
		if (section->flags & SHF_ALLOC && *offset < section->size)
			return section;
	}
	return NULL;
}

const guint8 *km_code_bytes(const KmCode *view, guint64 address, gsize size)
{
	guint64 offset;
	if (view->image)
		return km_image_bytes(view->image, address, size);
	const KmSection *section = section_at(view, address, &offset);
	if (!section || !section->data || offset > section->data->len || size > section->data->len - offset)
		return NULL;
	return section->data->data + offset;
}

gsize km_code_room_before(const KmCode *view, guint64 address)
{
	guint64 offset;
	gsize room = MAX_ROOM;
	if (view->object)
		return section_at(view, address, &offset) ? MIN(offset, MAX_ROOM) : 0;
	while (room && !km_image_bytes(view->image, address - room, room))
		room /= 2;
	return room;
}

/* ---- hooks ---- */

static gboolean is_hook_name(const KmArch *arch, const char *name)
{
	for (const char *const *hook = arch->hooks; *hook; hook++)
		if (!strcmp(name, *hook))
			return TRUE;
	return FALSE;
}

static void add_hook(KmCode *view, guint64 address)
{
	guint64 *key = g_memdup2(&address, sizeof(address));
	g_hash_table_add(view->hooks, key);
}

gboolean km_code_is_hook(const KmCode *view, guint64 field, guint64 target)
{
	guint64 offset;
	const KmSection *section =
		view->object && view->object->type == ET_REL ? section_at(view, field, &offset) : NULL;
	gsize n = 0;
	const KmReloc *reloc = section ? km_section_relocs_in(section, offset, offset + 1, &n) : NULL;
	for (gsize i = 0; i < n; i++)
		if (is_hook_name(view->arch, reloc[i].symbol->name))
			return TRUE;
	return !n && g_hash_table_contains(view->hooks, &target);
}

/* ---- functions ---- */

static gint by_address(gconstpointer a, gconstpointer b)
{
	const KmCodeFunction *x = a, *y = b;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->size > y->size ? -1 : x->size < y->size ? 1 : strcmp(x->name, y->name);
}

static gboolean is_startup_section(const char *name)
{
	return g_str_has_prefix(name, ".init.") || g_str_has_prefix(name, ".exit.") ||
	       g_str_has_prefix(name, ".meminit.") || g_str_has_prefix(name, ".cpuinit.");
}

static gboolean is_untraceable_section(const char *name)
{
	static const char *const names[] = { ".noinstr.text", ".entry.text", ".idmap.text", ".hyp.text", NULL };
	return g_strv_contains(names, name);
}

/* "__pfx_f" and "__cfi_f" stand where the room before f and its type begin. */
static void note_prefixes(KmCode *view, GHashTable *prefixes, GHashTable *types)
{
	for (guint i = 0; i < view->functions->len; i++) {
		KmCodeFunction *f = &g_array_index(view->functions, KmCodeFunction, i);
		gpointer start = g_hash_table_lookup(prefixes, f->name);
		f->prefix = start ? (gint)(f->address - *(guint64 *)start) : -1;
		if (f->prefix > MAX_ROOM)
			f->prefix = -1;
		f->typed = g_hash_table_contains(types, f->name);
	}
}

typedef struct {
	KmCode *view;
	GHashTable *prefixes, *types; /* name of a function -> guint64* */
} Names;

/* Is it about a function rather than one itself? */
static gboolean note_name(Names *names, const char *name, guint64 address)
{
	if (is_hook_name(names->view->arch, name))
		add_hook(names->view, address);
	gboolean prefix = g_str_has_prefix(name, "__pfx_");
	if (prefix || g_str_has_prefix(name, "__cfi_"))
		g_hash_table_insert(prefix ? names->prefixes : names->types, (gpointer)(name + strlen("__pfx_")),
				    g_memdup2(&address, sizeof(address)));
	return prefix || g_str_has_prefix(name, "__cfi_");
}

static void add_symbols(KmCode *view, Names *names)
{
	for (guint i = 0; i < view->object->symbols->len; i++) {
		const KmSymbol *symbol = view->object->symbols->pdata[i];
		if (!symbol->section || !km_section_is_text(symbol->section))
			continue;
		guint64 address = km_code_address(view, symbol);
		if (note_name(names, symbol->name, address) ||
		    (symbol->type != STT_FUNC && symbol->type != STT_GNU_IFUNC) || view->arch->is_annotation(symbol))
			continue;
		const KmCodeFunction f = {
			.name = symbol->name,
			.section = symbol->section->name,
			.address = address,
			.size = symbol->size,
			.local = view->arch->local_entry(symbol),
			.startup = is_startup_section(symbol->section->name),
			.untraceable = is_untraceable_section(symbol->section->name),
		};
		g_array_append_val(view->functions, f);
	}
}

/* From one symbol to another of a linked kernel. */
static KmCodeSpan span(const KmCode *view, const char *from, const char *to)
{
	guint64 start = 0, end = 0;
	if (view->image)
		return km_image_table(view->image, NULL, from, to, &start, &end) ? (KmCodeSpan){ start, end }
										 : (KmCodeSpan){ 0, 0 };
	const KmSymbol *a = km_object_find_symbol(view->object, from), *b = km_object_find_symbol(view->object, to);
	return a && b && view->object->type != ET_REL && b->value >= a->value ? (KmCodeSpan){ a->value, b->value }
									      : (KmCodeSpan){ 0, 0 };
}

static gboolean in(const KmCodeSpan *spans, gsize n, guint64 address)
{
	for (gsize i = 0; i < n; i++)
		if (address - spans[i].start < spans[i].end - spans[i].start)
			return TRUE;
	return FALSE;
}

static void find_spans(KmCode *view)
{
	const KmCodeSpan startup[] = { span(view, "__init_begin", "__init_end"), span(view, "_sinittext", "_einittext"),
				       span(view, "__exittext_begin", "__exittext_end") };
	const KmCodeSpan untraceable[] = { span(view, "__noinstr_text_start", "__noinstr_text_end"),
					   span(view, "__entry_text_start", "__entry_text_end"),
					   span(view, "__idmap_text_start", "__idmap_text_end"),
					   span(view, "__hyp_text_start", "__hyp_text_end") };
	memcpy(view->startup, startup, sizeof(startup));
	memcpy(view->untraceable, untraceable, sizeof(untraceable));
}

gboolean km_code_is_startup(const KmCode *view, guint64 address)
{
	guint64 offset;
	const KmSection *section = view->object ? section_at(view, address, &offset) : NULL;
	return (section && is_startup_section(section->name)) ||
	       in(view->startup, G_N_ELEMENTS(view->startup), address);
}

/* A linked kernel has the special parts between symbols. */
static void mark_spans(KmCode *view)
{
	for (guint i = 0; i < view->functions->len; i++) {
		KmCodeFunction *f = &g_array_index(view->functions, KmCodeFunction, i);
		f->startup |= in(view->startup, G_N_ELEMENTS(view->startup), f->address);
		f->untraceable |= in(view->untraceable, G_N_ELEMENTS(view->untraceable), f->address);
	}
}

/* Symbols of an image have no size: up to the next one. */
static void add_kallsyms(KmCode *view, Names *names)
{
	gsize n;
	const KmKsym *all = km_image_symbols(view->image, &n);
	for (gsize i = 0; i < n; i++) {
		gsize next = i + 1;
		if (!strchr("tTwW", all[i].type) || note_name(names, all[i].name, all[i].address) ||
		    !km_image_bytes(view->image, all[i].address, 1))
			continue;
		while (next < n && all[next].address == all[i].address)
			next++;
		const KmCodeFunction f = {
			.name = all[i].name,
			.section = "",
			.address = all[i].address,
			.size = next < n ? MIN(all[next].address - all[i].address, G_MAXUINT32) : 0,
		};
		g_array_append_val(view->functions, f);
	}
}

/* ---- records ---- */

static gint by_record(gconstpointer a, gconstpointer b)
{
	const KmCodeRecord *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}

/* Also the copies that older kernels keep for start-up code (.init.__mcount_loc), and what a compiler numbers. */
static gboolean is_record_section(const KmSection *section)
{
	return section->flags & SHF_ALLOC &&
	       (strstr(section->name, "__mcount_loc") || strstr(section->name, "__patchable_function_entries"));
}

static void add_record(KmCode *view, guint64 address, const char *section, guint64 place)
{
	const KmCodeRecord record = { address, section, place, strstr(section, "__mcount_loc") != NULL };
	view->calls_recorded |= record.call;
	if (address)
		g_array_append_val(view->records, record);
}

/* In an object relocations fill them in: addresses, or distances from where they stand. */
static void add_relocated(KmCode *view, const KmSection *section)
{
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
		if (r->symbol->section)
			add_record(view, km_code_address(view, r->symbol) + (guint64)r->addend, section->name,
				   r->offset);
	}
}

/* In a linked file they are there, or what fills them in is. */
static void add_linked(KmCode *view, const KmSection *section, const char *name, guint64 from, guint64 to)
{
	for (guint64 at = from; section->data && to <= section->data->len && at + 8 <= to; at += 8) {
		gsize n;
		const KmReloc *r = km_section_relocs_in(section, at, at + 1, &n);
		add_record(view, n ? (guint64)r->addend : km_object_get_u64(view->object, section->data->data + at),
			   name, at - from);
	}
}

static void add_records(KmCode *view)
{
	guint64 offset;
	const KmCodeSpan table = span(view, "__start_mcount_loc", "__stop_mcount_loc");
	for (guint i = 0; i < view->object->sections->len; i++) {
		const KmSection *section = view->object->sections->pdata[i];
		if (!is_record_section(section))
			continue;
		view->has_records = TRUE;
		if (view->object->type == ET_REL)
			add_relocated(view, section);
		else
			add_linked(view, section, section->name, 0, section->size);
	}
	const KmSection *in_section = table.end ? section_at(view, table.start, &offset) : NULL;
	if (!in_section || is_record_section(in_section))
		return;
	view->has_records = TRUE;
	add_linked(view, in_section, "__mcount_loc", offset, offset + table.end - table.start);
}

static void add_image_records(KmCode *view)
{
	const GArray *records = km_image_records(view->image);
	view->has_records = records != NULL;
	for (guint i = 0; records && i < records->len; i++)
		add_record(view, g_array_index(records, guint64, i), "__mcount_loc", i * (guint64)8);
}

/* ---- opening ---- */

static void fill(KmCode *view)
{
	g_autoptr(GHashTable) prefixes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
	g_autoptr(GHashTable) types = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
	Names names = { view, prefixes, types };
	view->functions = g_array_new(FALSE, FALSE, sizeof(KmCodeFunction));
	view->records = g_array_new(FALSE, FALSE, sizeof(KmCodeRecord));
	view->hooks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	if (view->object) {
		add_symbols(view, &names);
		add_records(view);
	} else {
		add_kallsyms(view, &names);
		add_image_records(view);
	}
	note_prefixes(view, prefixes, types);
	find_spans(view);
	mark_spans(view);
	g_array_sort(view->functions, by_address);
	g_array_sort(view->records, by_record);
}

static gboolean is_elf(GBytes *bytes)
{
	gsize size;
	const guint8 *data = g_bytes_get_data(bytes, &size);
	return size > EI_NIDENT && !memcmp(data, ELFMAG, SELFMAG);
}

static void set_object(KmCode *view, KmObject *object)
{
	view->object = object;
	view->arch = object->arch;
	view->kind = object->type != ET_REL			  ? "program"
		     : km_object_find_section(object, ".modinfo") ? "module"
								  : "object";
}

KmCode *km_code_new(KmObject *object)
{
	KmCode *view = g_new0(KmCode, 1);
	set_object(view, object);
	fill(view);
	return view;
}

/* A linked file is read as an object when it has symbols; a kernel that was stripped of them has its own. */
static gboolean open_object(KmCode *view, GBytes *bytes, const char *path, GError **error)
{
	g_autoptr(KmObject) object = km_object_read_bytes(bytes, path, error);
	if (!object)
		return FALSE;
	if (object->symbols->len || object->type == ET_REL)
		set_object(view, g_steal_pointer(&object));
	return TRUE;
}

KmCode *km_code_open(const char *path, GError **error)
{
	gsize size;
	g_autoptr(GBytes) file = km_read_file(path, error);
	if (!file)
		return NULL;
	const guint8 *data = g_bytes_get_data(file, &size);
	const KmCompression *compression = km_compression_detect(data, size);
	g_autoptr(GBytes) bare = compression ? km_decompress(compression, data, size, path, error) : g_bytes_ref(file);
	g_autoptr(KmCode) view = g_new0(KmCode, 1);
	if (!bare || (is_elf(bare) && !open_object(view, bare, path, error)))
		return NULL;
	if (!view->object) {
		view->image = km_image_new(bare, path, error);
		if (!view->image)
			return NULL;
		view->arch = km_image_arch(view->image);
		view->kind = "image";
	}
	fill(view);
	return g_steal_pointer(&view);
}

void km_code_free(KmCode *view)
{
	if (!view)
		return;
	g_clear_pointer(&view->object, km_object_free);
	g_clear_pointer(&view->image, km_image_free);
	g_clear_pointer(&view->functions, g_array_unref);
	g_clear_pointer(&view->records, g_array_unref);
	g_clear_pointer(&view->hooks, g_hash_table_unref);
	g_free(view);
}
