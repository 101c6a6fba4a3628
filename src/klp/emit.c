/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/emit.h"

#include <string.h>

#include "base/error.h"
#include "diff/diff.h"
#include "image/module.h"
#include "image/patchdata.h"

/* include/linux/livepatch.h and kernel/livepatch/core.c: what klp_resolve_symbols() can parse. */
#define MAX_OBJECT_NAME 55
#define MAX_SYMBOL_NAME 511
#define HOOK_RECORDS "__mcount_loc"

static gboolean is_left_behind(const KmSection *section, gpointer unused)
{
	const char *name = section->name;
	if (!strcmp(name, KM_TEMPLATE_LAYOUT_SECTION))
		return TRUE;
	if (section->flags & SHF_ALLOC)
		return g_str_has_prefix(name, ".discard.") || g_str_has_prefix(name, ".note") ||
		       g_str_has_prefix(name, ".eh_frame");
	return strcmp(name, ".modinfo") != 0;
}

/* A section that goes must not be referred to by one that stays. */
static gboolean check_left_behind(const KmObject *object, GError **error)
{
	for (guint i = 0; i < object->sections->len; i++) {
		const KmSection *section = object->sections->pdata[i];
		for (guint k = 0; !is_left_behind(section, NULL) && k < section->relocs->len; k++) {
			const KmSymbol *symbol = g_array_index(section->relocs, KmReloc, k).symbol;
			if (symbol->section && is_left_behind(symbol->section, NULL))
				return km_refuse(error, "%s: section %s refers to %s, which a module does not carry",
						 object->path, section->name, symbol->section->name);
		}
	}
	return TRUE;
}

static gboolean not_in_use(const KmSymbol *symbol, gpointer used)
{
	gboolean nameless_definition = symbol->section && (symbol->type == STT_SECTION || symbol->type == STT_NOTYPE);
	gboolean undefined = !symbol->section && symbol->shndx == SHN_UNDEF;
	return (undefined || nameless_definition || symbol->type == STT_FILE) && !g_hash_table_contains(used, symbol);
}

static void drop_unused_symbols(KmObject *object)
{
	g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < object->sections->len; i++) {
		const KmSection *section = object->sections->pdata[i];
		for (guint k = 0; k < section->relocs->len; k++)
			g_hash_table_add(used, g_array_index(section->relocs, KmReloc, k).symbol);
	}
	km_object_drop_symbols(object, not_in_use, used);
}

/* ---- livepatch symbols ---- */

static gboolean make_klp_symbol(KmSymbol *symbol, const KmRef *ref, GError **error)
{
	if (strlen(ref->object) > MAX_OBJECT_NAME || strlen(ref->name) > MAX_SYMBOL_NAME || strchr(ref->name, ','))
		return km_refuse(error, "symbol %s of %s: the kernel's livepatch loader cannot parse such a name",
				 ref->name, ref->object);
	g_free(symbol->name);
	symbol->name = g_strdup_printf(".klp.sym.%s.%s,%u", ref->object, ref->name, ref->sympos);
	symbol->shndx = KM_SHN_LIVEPATCH;
	symbol->bind = STB_GLOBAL;
	return TRUE;
}

/* Undefined symbols that become livepatch symbols: KmSymbol -> KmRef. Imports by export are checked here. */
static GHashTable *bind_symbols(KmObject *object, const KmEmit *emit, GError **error)
{
	g_autoptr(GHashTable) klp = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (symbol->section || symbol->shndx != SHN_UNDEF ||
		    km_arch_is_loader_symbol(object->arch, symbol->name))
			continue;
		KmRef *ref = g_hash_table_lookup(emit->refs, symbol->name);
		if (emit->own && km_patchdata_is_of_core(symbol->name))
			return km_refuse_null(
				error,
				"the patch calls %s() of the kernel's livepatch core, which knows no live "
				"patch of kmend's own runtime: do without it, or build with --runtime=kernel",
				symbol->name);
		if (emit->own && km_own_is_import(emit->image, symbol->name)) {
			symbol->bind = STB_GLOBAL;
		} else if (ref && ref->kind == KM_REF_KLP) {
			if (!make_klp_symbol(symbol, ref, error))
				return NULL;
			g_hash_table_insert(klp, symbol, ref);
		} else if (!km_image_export(emit->image, symbol->name)) {
			return km_refuse_null(error, "%s: %s is neither exported by the kernel nor known to the proof",
					      object->path, symbol->name);
		} else {
			symbol->bind = STB_GLOBAL;
		}
	}
	return g_steal_pointer(&klp);
}

/*
 * Relocations against a module's symbols are applied when that module loads, which can be long after this module's own
 * tables and alternatives have been processed.
 */
static gboolean check_in_time(const KmSection *section, const KmRef *ref, GError **error)
{
	const KmSpecial *special = km_special_find(section->name);
	if (!strcmp(ref->object, "vmlinux") || !special || special->kind == KM_SPECIAL_SLOTS)
		return TRUE;
	return km_refuse(
		error,
		"%s refers to %s of module %s (a static key, static call or tracepoint of a module, or an "
		"alternative): "
		"the kernel would resolve it too late; use static_key_enabled() or leave that part of the function out",
		section->name, ref->name, ref->object);
}

static KmSection *klp_section(KmObject *object, KmSection *target, const char *owner)
{
	g_autofree char *name = g_strdup_printf(".klp.rela.%s.%s", owner, target->name);
	for (guint i = 0; i < object->sections->len; i++) {
		KmSection *known = object->sections->pdata[i];
		if (known->klp_target == target && !strcmp(known->klp_object, owner))
			return known;
	}
	KmSection *klp =
		km_object_add_section(object, name, SHT_RELA, SHF_ALLOC | SHF_INFO_LINK | KM_SHF_RELA_LIVEPATCH, 8);
	klp->klp_object = g_strdup(owner);
	klp->klp_target = target;
	return klp;
}

/* What the module loader of the architecture applies. */
static gboolean check_loadable(const KmObject *object, const KmSection *section, const KmReloc *r, GError **error)
{
	const KmRelocInfo *info = km_arch_reloc(object->arch, r->type);
	if (km_arch_is_loadable(object->arch, r->type))
		return TRUE;
	return km_refuse(error,
			 "%s+0x%" G_GINT64_MODIFIER
			 "x: relocation %s (%u) against %s: the kernel's module loader does not "
			 "know it",
			 section->name, r->offset, info ? info->name : "of unknown type", r->type, r->symbol->name);
}

static gboolean split_relocs(KmObject *object, KmSection *section, GHashTable *klp, GError **error)
{
	g_autoptr(GArray) all = g_array_ref(section->relocs);
	g_array_unref(section->relocs);
	section->relocs = g_array_new(FALSE, FALSE, sizeof(KmReloc));
	for (guint i = 0; i < all->len; i++) {
		const KmReloc *r = &g_array_index(all, KmReloc, i);
		const KmRef *ref = g_hash_table_lookup(klp, r->symbol);
		KmSection *to = section;
		if (!check_loadable(object, section, r, error) || (ref && !check_in_time(section, ref, error)))
			return FALSE;
		if (ref)
			to = klp_section(object, section, ref->owner);
		km_section_add_reloc(to, r->offset, r->type, r->symbol, r->addend);
	}
	return TRUE;
}

static gboolean write_klp_relocs(KmObject *object, GHashTable *klp, GError **error)
{
	guint sections = object->sections->len;
	for (guint i = 0; i < sections; i++)
		if (!split_relocs(object, object->sections->pdata[i], klp, error))
			return FALSE;
	return TRUE;
}

/* Two names for one livepatch symbol (offsets differ) are one symbol in the module. */
static void join_klp_symbols(KmObject *object)
{
	g_autoptr(GHashTable) first = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) again = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		KmSymbol *known = symbol->shndx == KM_SHN_LIVEPATCH ? g_hash_table_lookup(first, symbol->name) : NULL;
		if (known)
			g_hash_table_insert(again, symbol, known);
		else if (symbol->shndx == KM_SHN_LIVEPATCH)
			g_hash_table_insert(first, symbol->name, symbol);
	}
	for (guint i = 0; g_hash_table_size(again) && i < object->sections->len; i++) {
		KmSection *section = object->sections->pdata[i];
		for (guint k = 0; k < section->relocs->len; k++) {
			KmReloc *r = &g_array_index(section->relocs, KmReloc, k);
			KmSymbol *known = g_hash_table_lookup(again, r->symbol);
			r->symbol = known ? known : r->symbol;
		}
	}
	drop_unused_symbols(object);
}

/* ---- what the loader reads besides ---- */

static gint by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_info(KmSection *modinfo, const char *tag, const char *value)
{
	g_autofree char *line = g_strconcat(tag, "=", value, NULL);
	km_section_append(modinfo, line, strlen(line) + 1, 1);
}

/* Namespaces of the exports we import, each once, sorted. */
static void add_namespaces(const KmObject *object, const KmEmit *emit, KmSection *modinfo)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		const KmExport *export = !symbol->section && symbol->shndx == SHN_UNDEF
						 ? km_image_export(emit->image, symbol->name)
						 : NULL;
		if (export && *export->namespace &&
		    !g_ptr_array_find_with_equal_func(names, export->namespace, g_str_equal, NULL))
			g_ptr_array_add(names, (gpointer) export->namespace);
	}
	g_ptr_array_sort(names, by_text);
	for (guint i = 0; i < names->len; i++)
		add_info(modinfo, "import_ns", names->pdata[i]);
}

/* What the klp_patch consists of, in words. */
static void add_contents(KmSection *modinfo, const KmContents *contents)
{
	add_info(modinfo, "kmend_replace", contents->replace ? "Y" : "N");
	for (guint i = 0; i < contents->hooks->len; i++) {
		const KmHook *hook = contents->hooks->pdata[i];
		g_autofree char *value = g_strdup_printf("%s:%s,%u", hook->object, hook->name, hook->sympos);
		add_info(modinfo, "kmend_func", value);
	}
	for (guint i = 0; i < contents->callbacks->len; i++) {
		const KmCallback *callback = contents->callbacks->pdata[i];
		g_autofree char *value = g_strdup_printf(
			"%s:%s,%s", callback->object, km_callback_kind_name(callback->kind), callback->function->name);
		add_info(modinfo, "kmend_callback", value);
	}
	for (guint i = 0; i < contents->called_in->len; i++)
		add_info(modinfo, "kmend_unit", contents->called_in->pdata[i]);
	for (guint i = 0; i < contents->states->len; i++) {
		const KmState *state = &g_array_index(contents->states, KmState, i);
		g_autofree char *value = g_strdup_printf("%" G_GUINT64_FORMAT ",%u", state->id, state->version);
		add_info(modinfo, "kmend_state", value);
	}
}

static gboolean write_modinfo(KmObject *object, const KmEmit *emit, GError **error)
{
	KmSection *modinfo = km_object_find_section(object, ".modinfo");
	if (!modinfo || !modinfo->data)
		return km_fail(error, "%s: the module template has no .modinfo", object->path);
	modinfo->flags &= ~(guint64)(SHF_WRITE | SHF_MERGE | SHF_STRINGS);
	modinfo->entsize = 0;
	add_info(modinfo, "depends", emit->own ? KM_PATCHDATA_MODULE : "");
	add_info(modinfo, "name", emit->name);
	add_namespaces(object, emit, modinfo);
	add_info(modinfo, "kmend", KMEND_VERSION);
	if (emit->contents)
		add_contents(modinfo, emit->contents);
	return TRUE;
}

static gboolean add_version(KmSection *versions, const KmObject *object, const KmEmit *emit, const char *name,
			    GError **error)
{
	const KmLayout *l = emit->layout;
	const KmExport *export = km_image_export(emit->image, name);
	gboolean own = emit->own && km_own_is_import(emit->image, name);
	if (!own && (!export || !export->has_crc))
		return km_fail(error, "%s: the kernel has no version for exported symbol %s", object->path, name);
	if (strlen(name) >= l->version_size - l->version_name)
		return km_refuse(error, "%s: the name of %s is too long for this kernel's version table", object->path,
				 name);
	guint64 at = km_section_append(versions, NULL, l->version_size, 1);
	km_object_put_u64(object, versions->data->data + at + l->version_crc, own ? KM_PATCHDATA_CRC : export->crc);
	memcpy(versions->data->data + at + l->version_name, name, strlen(name));
	return TRUE;
}

/* include/linux/module.h: struct modversion_info, one per import, and module_layout for the layout of struct module. */
static gboolean write_versions(KmObject *object, const KmEmit *emit, GError **error)
{
	g_autofree char *wanted = km_kernel_config(emit->kernel, "MODVERSIONS");
	if (!wanted)
		return TRUE;
	KmSection *versions = km_object_add_section(object, "__versions", SHT_PROGBITS, SHF_ALLOC, 32);
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		if (!symbol->section && symbol->shndx == SHN_UNDEF && *symbol->name &&
		    !km_arch_is_loader_symbol(object->arch, symbol->name))
			g_ptr_array_add(names, symbol->name);
	}
	g_ptr_array_sort(names, by_text);
	if (km_image_export(emit->image, "module_layout") &&
	    !add_version(versions, object, emit, "module_layout", error))
		return FALSE;
	for (guint i = 0; i < names->len; i++)
		if (!add_version(versions, object, emit, names->pdata[i], error))
			return FALSE;
	return TRUE;
}

static gboolean write_name(KmObject *object, const KmEmit *emit, GError **error)
{
	KmSection *section = km_object_find_section(object, KM_TEMPLATE_MODULE_SECTION);
	const KmLayout *l = emit->layout;
	if (!section || section->size != l->module_size)
		return km_fail(error, "%s: the module template has no struct module", object->path);
	if (strlen(emit->name) >= l->module_name_len)
		return km_fail(error, "module name %s is longer than %u characters; choose another with --name",
			       emit->name, l->module_name_len - 1);
	char *name = (char *)section->data->data + l->module_name;
	memset(name, 0, l->module_name_len);
	memcpy(name, emit->name, strlen(emit->name));
	return TRUE;
}

/* The first stock module: all were linked by the same script. */
static KmObject *any_module(KmKernel *kernel, GError **error)
{
	g_autofree char *order =
		g_build_filename(kernel->modules ? kernel->modules : "/nonexistent", "modules.order", NULL);
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = g_file_get_contents(order, &text, NULL, NULL) ? g_strsplit(text, "\n", 0) : NULL;
	for (guint i = 0; lines && lines[i] && *lines[i]; i++) {
		g_autofree char *name = g_path_get_basename(lines[i]);
		char *end = strrchr(name, '.');
		if (end)
			*end = '\0';
		g_autofree char *path = km_kernel_module_path(kernel, name);
		if (path)
			return km_module_read(path, error);
	}
	return km_fail_null(error, "%s: no module of this kernel is there to look at", order);
}

/* What the kernel's linker script gives every module, for the loader to fill. */
static gboolean add_loader_sections(KmObject *object, const KmEmit *emit, GError **error)
{
	const char *const *wanted = object->arch->module_sections;
	g_autoptr(KmObject) stock = wanted ? any_module(emit->kernel, error) : NULL;
	if (wanted && !stock)
		return FALSE;
	for (; wanted && *wanted; wanted++) {
		const KmSection *there = km_object_find_section(stock, *wanted);
		if (!there || km_object_find_section(object, *wanted))
			continue;
		KmSection *section =
			km_object_add_section(object, *wanted, SHT_PROGBITS, there->flags, MAX(there->addralign, 1));
		km_section_append(section, NULL, 1, 1);
	}
	return TRUE;
}

static gboolean is_hook_call(const KmObject *object, const KmReloc *r)
{
	return !r->symbol->section && g_strv_contains(object->arch->hooks, r->symbol->name);
}

static void list_hook_calls(KmObject *object, KmSection *code, KmSection *records)
{
	for (guint i = 0; i < code->relocs->len; i++) {
		const KmReloc *r = &g_array_index(code->relocs, KmReloc, i);
		if (!is_hook_call(object, r))
			continue;
		gboolean call = FALSE;
		guint64 start = object->arch->branch_start ? object->arch->branch_start(code, i, &call) : r->offset;
		km_section_add_reloc(records, km_section_append(records, NULL, 8, 8), object->arch->abs64,
				     km_object_section_symbol(object, code), (gint64)start);
	}
}

/* Where the kernel's build lists the calls of the tracer's hook by a program of its own (recordmcount), there is nobody else to do it here. */
static void add_hook_records(KmObject *object, const KmEmit *emit)
{
	g_autofree char *wanted = km_kernel_config(emit->kernel, "FTRACE_MCOUNT_USE_RECORDMCOUNT");
	guint sections = object->sections->len;
	if (!wanted || km_object_find_section(object, HOOK_RECORDS))
		return;
	KmSection *records = km_object_add_section(object, HOOK_RECORDS, SHT_PROGBITS, SHF_ALLOC, 8);
	for (guint i = 0; i < sections; i++)
		if (km_section_is_text(object->sections->pdata[i]))
			list_hook_calls(object, object->sections->pdata[i], records);
}

/* Bind what the module does not define, by livepatch symbols or in the own runtime's description. */
static gboolean bind(KmObject *object, const KmEmit *emit, guint *references, GError **error)
{
	if (emit->own && !km_own_fill(object, emit->own, references, error))
		return FALSE;
	drop_unused_symbols(object);
	g_autoptr(GHashTable) klp = bind_symbols(object, emit, error);
	if (!klp || !write_klp_relocs(object, klp, error))
		return FALSE;
	join_klp_symbols(object);
	for (guint i = 0; !emit->own && i < object->symbols->len; i++)
		*references += ((const KmSymbol *)object->symbols->pdata[i])->shndx == KM_SHN_LIVEPATCH;
	return TRUE;
}

gboolean km_emit(KmObject *object, const KmEmit *emit, guint *references, GError **error)
{
	if (!check_left_behind(object, error))
		return FALSE;
	km_object_drop_sections(object, is_left_behind, NULL);
	*references = 0;
	add_hook_records(object, emit);
	return bind(object, emit, references, error) && add_loader_sections(object, emit, error) &&
	       write_modinfo(object, emit, error) && write_versions(object, emit, error) &&
	       write_name(object, emit, error);
}
