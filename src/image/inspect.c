/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/inspect.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "image/decompress.h"
#include "image/internal.h"
#include "image/module.h"
#include "image/patchdata.h"

#define KLP_SYM ".klp.sym."
/* A pad before the label is at most this long (CONFIG_FUNCTION_PADDING_BYTES and the like). */
#define MAX_PAD 256

static json_t *crc_text(guint32 crc)
{
	char buffer[16];
	g_snprintf(buffer, sizeof(buffer), "0x%08x", crc);
	return json_string(buffer);
}

/* --- entries --- */

static gboolean is_function(const KmSymbol *symbol)
{
	return symbol->section && symbol->type == STT_FUNC && km_section_is_text(symbol->section);
}

/* Not a function of its own: the padding before one (CONFIG_CALL_PADDING), CFI's type hash before one, our way to one that is far away. */
static gboolean is_no_function(const KmSymbol *symbol)
{
	return (symbol->section && !strcmp(symbol->section->name, KM_PATCHDATA_STUBS)) ||
	       g_str_has_prefix(symbol->name, "__pfx_") || g_str_has_prefix(symbol->name, "__cfi_");
}

/*
 * Where this object records its entries. Beside __mcount_loc the patchable records only list padding before the
 * functions (CONFIG_CALL_PADDING); an object that calls a hook but records none of the calls has padding at most,
 * too.
 */
static const KmSection *record_section(const KmObject *object)
{
	const KmSection *calls = km_object_find_section(object, "__mcount_loc");
	for (const char *const *hook = object->arch->hooks; !calls && hook && *hook; hook++)
		if (km_object_find_symbol(object, *hook))
			return NULL;
	return calls ? calls : km_object_find_section(object, "__patchable_function_entries");
}

static int by_value(gconstpointer a, gconstpointer b)
{
	const KmSymbol *x = *(KmSymbol *const *)a, *y = *(KmSymbol *const *)b;
	return x->value < y->value ? -1 : x->value > y->value;
}

/* The functions of each section, ascending: KmSection* -> GPtrArray of KmSymbol. */
static GHashTable *functions_by_section(const KmObject *object)
{
	GHashTable *table = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (!is_function(symbol) || is_no_function(symbol))
			continue;
		GPtrArray *list = g_hash_table_lookup(table, symbol->section);
		if (!list)
			g_hash_table_insert(table, symbol->section, list = g_ptr_array_new());
		g_ptr_array_add(list, symbol);
	}
	GHashTableIter iter;
	gpointer list;
	g_hash_table_iter_init(&iter, table);
	while (g_hash_table_iter_next(&iter, NULL, &list))
		g_ptr_array_sort(list, by_value);
	return table;
}

/*
 * A record lies inside its function, or in the pad before it. Marks every function (aliases too) that the record
 * serves.
 */
static void mark_functions(GPtrArray *list, guint64 offset, GHashTable *marked)
{
	const KmSymbol *next = NULL;
	gboolean inside = FALSE;
	guint low = 0, high = list->len;
	while (low < high) { /* the first function that starts after offset */
		guint mid = low + (high - low) / 2;
		if (((KmSymbol *)list->pdata[mid])->value <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < list->len)
		next = list->pdata[low];
	/* Two records of one function: the first did it. */
	if (low && g_hash_table_contains(marked, list->pdata[low - 1]))
		return;
	for (guint i = low; i-- > 0;) {
		KmSymbol *symbol = list->pdata[i];
		if (inside && symbol->value != ((KmSymbol *)list->pdata[i + 1])->value)
			break;
		if (!inside && offset - symbol->value >= symbol->size)
			break;
		inside = TRUE;
		g_hash_table_add(marked, symbol);
	}
	for (guint i = low; !inside && next && i < list->len; i++) {
		KmSymbol *symbol = list->pdata[i];
		if (symbol->value != next->value || symbol->value - offset > MAX_PAD)
			break;
		g_hash_table_add(marked, symbol);
	}
}

static gsize mark_records(const KmSection *section, GHashTable *functions, GHashTable *marked)
{
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, i);
		GPtrArray *list = g_hash_table_lookup(functions, reloc->symbol->section);
		if (list)
			mark_functions(list, reloc->symbol->value + (guint64)reloc->addend, marked);
	}
	return section->relocs->len;
}

static void add_entries(json_t *root, const KmObject *object)
{
	g_autoptr(GHashTable) functions = functions_by_section(object);
	g_autoptr(GHashTable) marked = g_hash_table_new(NULL, NULL);
	json_t *without = json_array();
	gsize n = 0;
	const KmSection *section = record_section(object);
	gsize records = section ? mark_records(section, functions, marked) : 0;
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		if (!is_function(symbol) || is_no_function(symbol))
			continue;
		n++;
		if (!g_hash_table_contains(marked, symbol))
			json_array_append_new(without, km_json_text(symbol->name));
	}
	json_object_set_new(root, "functions_total", json_integer((json_int_t)n));
	json_object_set_new(root, "entries", json_integer((json_int_t)records));
	json_object_set_new(root, "without_entry", without);
}

/* --- what every module has --- */

static void add_info(json_t *root, const KmObject *object, const char *tag)
{
	json_object_set_new(root, tag, km_json_text(km_module_info(object, tag)));
}

static void add_depends(json_t *root, const KmObject *object)
{
	const char *depends = km_module_info(object, "depends");
	json_t *list = json_array();
	g_auto(GStrv) names = g_strsplit(depends ? depends : "", ",", -1);
	for (char **name = names; *name; name++)
		if (**name)
			json_array_append_new(list, km_json_text(*name));
	json_object_set_new(root, "depends", list);
}

/* A __ksymtab_NAME record per export. */
static void add_exports(json_t *root, const KmObject *object)
{
	static const char prefix[] = "__ksymtab_";
	json_t *list = json_array();
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		if (!symbol->section || !strstr(symbol->section->name, "__ksymtab") ||
		    !g_str_has_prefix(symbol->name, prefix))
			continue;
		json_t *row = json_object();
		json_object_set_new(row, "name", km_json_text(symbol->name + strlen(prefix)));
		json_object_set_new(row, "gpl", json_boolean(strstr(symbol->section->name, "_gpl") != NULL));
		json_array_append_new(list, row);
	}
	json_object_set_new(root, "exports", list);
}

static gboolean is_import(const KmSymbol *symbol)
{
	return !symbol->section && symbol->shndx == SHN_UNDEF && *symbol->name;
}

static void add_imports(json_t *root, const KmObject *object)
{
	json_t *list = json_array();
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		if (is_import(symbol))
			json_array_append_new(list, km_json_text(symbol->name));
	}
	json_object_set_new(root, "imports", list);
}

static void add_version(const char *name, guint32 crc, gpointer list)
{
	json_t *row = json_object();
	json_object_set_new(row, "name", km_json_text(name));
	json_object_set_new(row, "crc", crc_text(crc));
	json_array_append_new(list, row);
}

static void add_versions(json_t *root, const KmObject *object)
{
	json_t *list = json_array();
	km_module_versions(object, add_version, list);
	json_object_set_new(root, "versions", list);
}

/* --- what a live patch has on top --- */

/* "vmlinux:meminfo_proc_show,1", as kmend writes it. NULL when it is not of that form. */
static json_t *parse_function(const char *value)
{
	const char *colon = strchr(value, ':'), *comma = strrchr(value, ',');
	if (!colon || !comma || comma < colon)
		return NULL;
	g_autofree char *object = g_strndup(value, (gsize)(colon - value));
	g_autofree char *name = g_strndup(colon + 1, (gsize)(comma - colon - 1));
	json_t *row = json_object();
	json_object_set_new(row, "object", km_json_text(object));
	json_object_set_new(row, "name", km_json_text(name));
	json_object_set_new(row, "sympos", json_integer((json_int_t)g_ascii_strtoull(comma + 1, NULL, 10)));
	return row;
}

/*
 * A live patch that other tools made: the functions that sit in sections of their own. Whom they replace is not
 * written.
 */
static void add_foreign_functions(json_t *list, const KmObject *object)
{
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		if (!is_function(symbol) || is_no_function(symbol) ||
		    !g_str_has_prefix(symbol->section->name, ".text."))
			continue;
		json_t *row = json_object();
		json_object_set_new(row, "object", json_null());
		json_object_set_new(row, "name", km_json_text(symbol->name));
		json_object_set_new(row, "sympos", json_null());
		json_array_append_new(list, row);
	}
}

/* "OBJECT:KIND,FUNCTION" */
static void add_callbacks(json_t *root, const KmObject *object)
{
	json_t *list = json_array();
	for (const char *v = NULL; (v = km_module_info_next(object, "kmend_callback", v));) {
		const char *colon = strchr(v, ':'), *comma = colon ? strchr(colon, ',') : NULL;
		if (!comma)
			continue;
		g_autofree char *owner = g_strndup(v, (gsize)(colon - v));
		g_autofree char *kind = g_strndup(colon + 1, (gsize)(comma - colon - 1));
		json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "object", km_json_text(owner), "kind",
						      km_json_text(kind), "name", km_json_text(comma + 1)));
	}
	json_object_set_new(root, "callbacks", list);
}

/* "ID,VERSION" */
static void add_states(json_t *root, const KmObject *object)
{
	json_t *list = json_array();
	for (const char *v = NULL; (v = km_module_info_next(object, "kmend_state", v));) {
		const char *comma = strchr(v, ',');
		if (!comma)
			continue;
		json_array_append_new(list, json_pack("{s:I, s:I}", "id", (json_int_t)g_ascii_strtoull(v, NULL, 10),
						      "version", (json_int_t)g_ascii_strtoull(comma + 1, NULL, 10)));
	}
	json_object_set_new(root, "states", list);
}

static void add_functions(json_t *root, const KmObject *object)
{
	json_t *list = json_array();
	const char *kmend = km_module_info(object, "kmend");
	for (const char *v = NULL; (v = km_module_info_next(object, "kmend_func", v));) {
		json_t *row = parse_function(v);
		if (row)
			json_array_append_new(list, row);
	}
	if (!kmend)
		add_foreign_functions(list, object);
	add_callbacks(root, object);
	add_states(root, object);
	const char *replace = km_module_info(object, "kmend_replace");
	json_object_set_new(root, "kmend", km_json_text(kmend));
	json_object_set_new(root, "replace", replace ? json_boolean(*replace == 'Y') : json_null());
	json_object_set_new(root, "functions", list);
}

/* ".klp.sym.OBJECT.NAME,SYMPOS" */
static json_t *parse_klp_symbol(const char *symbol)
{
	const char *object = symbol + strlen(KLP_SYM), *dot = strchr(object, '.'), *comma = strrchr(symbol, ',');
	if (!dot || !comma || comma < dot)
		return NULL;
	g_autofree char *owner = g_strndup(object, (gsize)(dot - object));
	g_autofree char *name = g_strndup(dot + 1, (gsize)(comma - dot - 1));
	json_t *row = json_object();
	json_object_set_new(row, "object", km_json_text(owner));
	json_object_set_new(row, "name", km_json_text(name));
	json_object_set_new(row, "sympos", json_integer((json_int_t)g_ascii_strtoull(comma + 1, NULL, 10)));
	return row;
}

static void add_klp_symbols(json_t *root, const KmObject *object)
{
	json_t *list = json_array();
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		json_t *row = g_str_has_prefix(symbol->name, KLP_SYM) ? parse_klp_symbol(symbol->name) : NULL;
		if (row)
			json_array_append_new(list, row);
	}
	json_object_set_new(root, "livepatch_symbols", list);
}

static void add_klp_relocations(json_t *root, const KmObject *object)
{
	json_t *list = json_array();
	for (guint i = 0; i < object->sections->len; i++) {
		const KmSection *section = object->sections->pdata[i];
		if (!section->klp_object)
			continue;
		json_t *row = json_object();
		json_object_set_new(row, "section", km_json_text(section->klp_target ? section->klp_target->name : ""));
		json_object_set_new(row, "object", km_json_text(section->klp_object));
		json_object_set_new(row, "count", json_integer(section->relocs->len));
		json_array_append_new(list, row);
	}
	json_object_set_new(root, "livepatch_relocations", list);
}

/* --- the kinds --- */

static void add_sections(json_t *root, const KmObject *object)
{
	json_t *list = json_array();
	for (guint i = 0; i < object->sections->len; i++) {
		const KmSection *section = object->sections->pdata[i];
		json_t *row = json_object();
		json_object_set_new(row, "name", km_json_text(section->name));
		json_object_set_new(row, "size", json_integer((json_int_t)section->size));
		json_object_set_new(row, "relocations", json_integer(section->relocs->len));
		json_array_append_new(list, row);
	}
	json_object_set_new(root, "sections", list);
}

static json_t *new_root(const char *kind, const char *path, const KmArch *arch)
{
	json_t *root = json_object();
	json_object_set_new(root, "kind", json_string(kind));
	json_object_set_new(root, "path", km_json_text(path));
	json_object_set_new(root, "arch", json_string(arch->name));
	return root;
}

static void add_module(json_t *root, const KmObject *object)
{
	static const char *const tags[] = { "name", "version", "srcversion", "vermagic", "license", "description" };
	for (gsize i = 0; i < G_N_ELEMENTS(tags); i++)
		add_info(root, object, tags[i]);
	add_depends(root, object);
	add_exports(root, object);
	add_versions(root, object);
}

/* For kmend's own runtime: it calls that instead of being marked. */
static gboolean is_own(const KmObject *object)
{
	const KmSymbol *enable = km_object_find_symbol(object, KM_PATCHDATA_ENABLE);
	return enable && !enable->section;
}

static json_t *inspect_object(const KmObject *object)
{
	const char *livepatch = km_module_info(object, "livepatch");
	gboolean own = is_own(object), patch = own || (livepatch && *livepatch == 'Y');
	gboolean module = patch || km_module_info(object, "vermagic");
	json_t *root = new_root(patch ? "livepatch" : module ? "module" : "object", object->path, object->arch);
	if (module)
		add_module(root, object);
	if (patch) {
		add_functions(root, object);
		add_klp_symbols(root, object);
		add_klp_relocations(root, object);
		json_object_set_new(root, "runtime", json_string(own ? "own" : "kernel"));
	}
	add_imports(root, object);
	add_entries(root, object);
	add_sections(root, object);
	return root;
}

/* As tools for debuggers write it: hexadecimal. */
static json_t *build_id(const KmImage *image)
{
	gsize size;
	guint64 address;
	const guint8 *id = km_image_build_id(image, &size, &address);
	g_autoptr(GString) hex = g_string_new(NULL);
	for (gsize i = 0; id && i < size; i++)
		g_string_append_printf(hex, "%02x", id[i]);
	return id ? json_string(hex->str) : json_null();
}

static json_t *inspect_image(const KmImage *image)
{
	gsize symbols, exports;
	gssize entries = km_image_entry_count(image);
	km_image_symbols(image, &symbols);
	km_image_exports(image, &exports);
	json_t *root = new_root("image", km_image_path(image), km_image_arch(image));
	json_object_set_new(root, "banner", km_json_text(km_image_banner(image)));
	json_object_set_new(root, "release", km_json_text(km_image_release(image)));
	json_object_set_new(root, "build_id", build_id(image));
	json_object_set_new(root, "symbols", json_integer((json_int_t)symbols));
	json_object_set_new(root, "exports", exports ? json_integer((json_int_t)exports) : json_null());
	json_object_set_new(root, "entries", entries < 0 ? json_null() : json_integer(entries));
	json_object_set_new(root, "livepatch", json_boolean(km_image_find(image, "klp_enable_patch") != NULL));
	return root;
}

static gboolean is_relocatable(GBytes *bytes)
{
	gsize size;
	const guint8 *p = g_bytes_get_data(bytes, &size);
	if (size < EI_NIDENT + 2 || memcmp(p, ELFMAG, SELFMAG))
		return FALSE;
	guint16 type = (guint16)(p[EI_DATA] == ELFDATA2MSB ? p[16] << 8 | p[17] : p[17] << 8 | p[16]);
	return type == ET_REL;
}

json_t *km_inspect_bytes(GBytes *bytes, const char *path, GError **error)
{
	gsize size;
	const guint8 *data = g_bytes_get_data(bytes, &size);
	const KmCompression *compression = km_compression_detect(data, size);
	g_autoptr(GBytes) bare = compression ? km_decompress(compression, data, size, path, error) : g_bytes_ref(bytes);
	if (!bare)
		return NULL;
	if (is_relocatable(bare)) {
		g_autoptr(KmObject) object = km_object_read_bytes(bare, path, error);
		return object ? inspect_object(object) : NULL;
	}
	g_autoptr(KmImage) image = km_image_new(bare, path, error);
	return image ? inspect_image(image) : NULL;
}

json_t *km_inspect(const char *path, GError **error)
{
	g_autoptr(GBytes) file = km_read_file(path, error);
	return file ? km_inspect_bytes(file, path, error) : NULL;
}
