/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/module.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "image/decompress.h"

/* struct modversion_info: an unsigned long and the name, 64 bytes together. */
#define VERSION_ENTRY 64
#define VERSION_NAME 8

KmObject *km_module_read(const char *path, GError **error)
{
	g_autoptr(GBytes) file = km_read_file(path, error);
	if (!file)
		return NULL;
	gsize size;
	const guint8 *data = g_bytes_get_data(file, &size);
	const KmCompression *compression = km_compression_detect(data, size);
	if (!compression)
		return km_object_read_bytes(file, path, error);
	g_autoptr(GBytes) bare = km_decompress(compression, data, size, path, error);
	return bare ? km_object_read_bytes(bare, path, error) : NULL;
}

/* --- .modinfo: strings "tag=value", each with its NUL, zeros between them --- */

const char *km_module_info_next(const KmObject *module, const char *tag, const char *after)
{
	const KmSection *section = km_object_find_section(module, ".modinfo");
	if (!section || !section->data)
		return NULL;
	const char *p = (const char *)section->data->data, *end = p + section->data->len;
	gsize length = strlen(tag);
	if (after)
		p = after + strlen(after) + 1;
	while (p < end) {
		const char *nul = memchr(p, 0, (gsize)(end - p));
		if (!nul)
			return NULL;
		if ((gsize)(nul - p) > length && !memcmp(p, tag, length) && p[length] == '=')
			return p + length + 1;
		p = nul + 1;
	}
	return NULL;
}

const char *km_module_info(const KmObject *module, const char *tag)
{
	return km_module_info_next(module, tag, NULL);
}

/* --- positions --- */

/* Sections that the loader drops or treats as its own: their symbols are gone in a live module. */
static gboolean is_dropped(const KmSection *section)
{
	return !(section->flags & SHF_ALLOC) || g_str_has_prefix(section->name, ".init") ||
	       !strcmp(section->name, ".modinfo") || !strcmp(section->name, "__versions");
}

/* While a module comes up, the core counts over its whole symbol table; once it lives, over what was kept. */
static gboolean counts_coming(const KmSymbol *symbol)
{
	return (symbol->section || symbol->shndx != SHN_UNDEF) && *symbol->name;
}

static gboolean counts_live(const KmSymbol *symbol)
{
	return symbol->section && *symbol->name && !is_dropped(symbol->section);
}

gboolean km_module_sympos(const KmObject *module, const KmSymbol *symbol, guint *sympos, GError **error)
{
	guint live = 0, coming = 0;
	if (!counts_live(symbol))
		return km_refuse(error,
				 "%s: %s cannot be named to the livepatch core: it is not among the symbols a loaded "
				 "module keeps",
				 module->path, symbol->name);
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *other = module->symbols->pdata[i];
		if (strcmp(other->name, symbol->name))
			continue;
		live += counts_live(other);
		coming += counts_coming(other);
		if (other == symbol)
			break;
	}
	if (live != coming)
		return km_refuse(
			error,
			"%s: %s is number %u of its name while the module loads and number %u afterwards (an init "
			"symbol has the same name): the livepatch core could mistake them",
			module->path, symbol->name, coming, live);
	*sympos = live;
	return TRUE;
}

guint km_module_count(const KmObject *module, const char *name)
{
	guint n = 0;
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		n += counts_live(symbol) && !strcmp(symbol->name, name);
	}
	return n;
}

/* --- __versions, or (long names, Rust) __version_ext_crcs beside __version_ext_names --- */

static void versions_plain(const KmObject *module, KmVersionFunc visit, gpointer data)
{
	const KmSection *section = km_object_find_section(module, "__versions");
	if (!section || !section->data)
		return;
	for (gsize at = 0; at + VERSION_ENTRY <= section->data->len; at += VERSION_ENTRY) {
		const guint8 *p = section->data->data + at;
		const char *name = (const char *)p + VERSION_NAME;
		if (memchr(name, 0, VERSION_ENTRY - VERSION_NAME) && *name)
			visit(name, (guint32)km_object_get_u64(module, p), data);
	}
}

static void versions_extended(const KmObject *module, KmVersionFunc visit, gpointer data)
{
	const KmSection *crcs = km_object_find_section(module, "__version_ext_crcs");
	const KmSection *names = km_object_find_section(module, "__version_ext_names");
	if (!crcs || !crcs->data || !names || !names->data)
		return;
	const char *p = (const char *)names->data->data, *end = p + names->data->len;
	for (gsize at = 0; at + 4 <= crcs->data->len && p < end; at += 4) {
		const char *nul = memchr(p, 0, (gsize)(end - p));
		if (!nul)
			return;
		visit(p, km_object_get_u32(module, crcs->data->data + at), data);
		p = nul + 1;
	}
}

void km_module_versions(const KmObject *module, KmVersionFunc visit, gpointer data)
{
	if (km_object_find_section(module, "__version_ext_crcs"))
		versions_extended(module, visit, data);
	else
		versions_plain(module, visit, data);
}

typedef struct {
	const char *name;
	guint32 crc;
	gboolean found;
} Wanted;

static void match_version(const char *name, guint32 crc, gpointer data)
{
	Wanted *wanted = data;
	if (wanted->found || strcmp(name, wanted->name))
		return;
	wanted->found = TRUE;
	wanted->crc = crc;
}

gboolean km_module_import_crc(const KmObject *module, const char *name, guint32 *crc)
{
	Wanted wanted = { .name = name };
	km_module_versions(module, match_version, &wanted);
	if (wanted.found)
		*crc = wanted.crc;
	return wanted.found;
}

/* More room than any function has before its label, and more than any has before its entry. */
#define MAX_PAD 64
#define MAX_PROLOGUE 16

static char *place_key(const KmSection *section, guint64 at)
{
	return g_strdup_printf("%u %" G_GUINT64_FORMAT, section->index, at);
}

static gboolean starts_function(GHashTable *functions, const KmSection *section, guint64 at)
{
	g_autofree char *key = place_key(section, at);
	return g_hash_table_contains(functions, key);
}

/* From at to the function behind it; 0 when it is the start of a function already, or near behind one. */
static guint distance_to_function(GHashTable *functions, const KmSection *section, guint64 at)
{
	for (guint back = 0; back <= MAX_PROLOGUE && back <= at; back++)
		if (starts_function(functions, section, at - back))
			return 0;
	for (guint ahead = 1; ahead < MAX_PAD; ahead++)
		if (starts_function(functions, section, at + ahead))
			return ahead;
	return 0;
}

guint km_module_entry_pad(const KmObject *module, const KmSection *records)
{
	g_autoptr(GHashTable) functions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	guint seen[MAX_PAD] = { 0 };
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		if (symbol->section && symbol->type == STT_FUNC)
			g_hash_table_add(functions, place_key(symbol->section, symbol->value));
	}
	for (guint i = 0; i < records->relocs->len; i++) {
		const KmReloc *r = &g_array_index(records->relocs, KmReloc, i);
		if (r->symbol->section)
			seen[distance_to_function(functions, r->symbol->section, r->symbol->value + (guint64)r->addend)]++;
	}
	for (guint pad = 1; pad < MAX_PAD; pad++)
		if (seen[pad] > records->relocs->len / 2)
			return pad;
	return 0;
}

const guint8 *km_module_build_id(const KmObject *module, gsize *size)
{
	const KmSection *note = km_object_find_section(module, ".note.gnu.build-id");
	/* Elf64_Nhdr, then the name "GNU" with its zero, then the id. */
	const gsize head = 12, name = 4;
	if (!note || !note->data || note->data->len < head + name)
		return NULL;
	const guint8 *p = note->data->data;
	*size = km_object_get_u32(module, p + 4);
	if (km_object_get_u32(module, p) != name || km_object_get_u32(module, p + 8) != NT_GNU_BUILD_ID ||
	    memcmp(p + head, "GNU", name) != 0 || !*size || *size > note->data->len - head - name)
		return NULL;
	return p + head + name;
}
