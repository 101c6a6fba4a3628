/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the module loader and klp_apply_section_relocs() do with symbols, relocations, versions and modinfo. */
#include <string.h>

#include "image/module.h"
#include "image/patchdata.h"
#include "verify/internal.h"

#define KLP_RELA ".klp.rela."
/* struct modversion_info: an unsigned long and a name, together */
#define VERSION_SIZE 64

/* ---- relocations ---- */

/* The loader computes 64-bit addresses near the top: a field that is not extended by its sign cannot hold one. */
static gboolean fits_address(const KmObject *module, const KmReloc *r, const KmRelocInfo *info)
{
	static const guint8 ones[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	guint64 value = 0;
	/* Parts of a distance from a place in the module to another, or of the TOC pointer itself. */
	if (info->kind == KM_RELOC_TOC || km_arch_is_loader_symbol(module->arch, r->symbol->name))
		return info->kind != KM_RELOC_TOC || r->symbol->section;
	if (info->size < 4)
		return FALSE;
	/* Some bits of an instruction: others have the rest of the address. */
	if (info->size == 4 && info->mask != G_MAXUINT32)
		return TRUE;
	if (info->kind != KM_RELOC_ABS || info->size != 4)
		return TRUE;
	return module->arch->symbol_value(r->type, ones, 0, 0, &value) && value > G_MAXUINT32;
}

/*
 * The bits that a relocation writes are zero in what compilers make. x86's loader refuses others ("Invalid relocation target, existing value is nonzero"); elsewhere nobody
 * would see them, but they are not what was compiled.
 */
static gboolean is_empty(const KmObject *module, const KmSection *section, const KmReloc *r, const KmRelocInfo *info)
{
	guint64 value = 0;
	for (guint i = 0; i < info->size; i++) {
		guint8 byte = section->data->data[r->offset + (module->arch->big_endian ? i : info->size - 1 - i)];
		value = value << 8 | byte;
	}
	return !(value & info->mask);
}

static void check_field(KmChecker *c, const KmSection *section, const KmReloc *r)
{
	const KmRelocInfo *info = km_arch_reloc(c->module->arch, r->type);
	if (!km_arch_is_loadable(c->module->arch, r->type)) {
		km_find_at(c, section, r->offset, "relocation %s (%u), which the module loader does not know",
			   info ? info->name : "of unknown type", r->type);
		return;
	}
	if (info->kind == KM_RELOC_NONE || info->kind == KM_RELOC_HINT)
		return;
	if (!section->data || r->offset > section->data->len || info->size > section->data->len - r->offset) {
		km_find_at(c, section, r->offset, "relocation %s outside the section's bytes", info->name);
		return;
	}
	if (!is_empty(c->module, section, r, info))
		km_find_at(c, section, r->offset, "the field of relocation %s is not zero, as compilers leave it",
			   info->name);
	if (!fits_address(c->module, r, info))
		km_find_at(c, section, r->offset, "relocation %s is too narrow for an address of the kernel",
			   info->name);
}

/* The place meant must be in its section (its end included: "one past the last"). */
static void check_target(KmChecker *c, const KmSection *section, guint i)
{
	const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
	const KmRelocInfo *info = km_arch_reloc(c->module->arch, r->type);
	KmAt at = km_at_symbol(c, r->symbol);
	if (!info || info->kind == KM_RELOC_NONE ||
	    (info->kind == KM_RELOC_HINT && r->symbol == c->module->null_symbol))
		return;
	if (!at.kind || (at.kind == KM_AT_VALUE && !*r->symbol->name)) {
		km_find_at(c, section, r->offset, "a relocation that leads nowhere%s%s", *r->symbol->name ? ": " : "",
			   r->symbol->name);
		return;
	}
	gint64 target = (gint64)at.address + c->module->arch->target_offset(section, i);
	if (at.section && (target < 0 || (guint64)target > at.section->size))
		km_find_at(c, section, r->offset, "refers to a place outside section %s (%" G_GINT64_FORMAT ")",
			   at.section->name, target);
	if (at.kind == KM_AT_INSIDE && (section->flags & SHF_ALLOC) && !(at.section->flags & SHF_ALLOC))
		km_find_at(c, section, r->offset, "refers to section %s, which is not loaded", at.section->name);
}

/* A stub of the live patch leads to another module or the kernel, and the loader does nothing about that. */
static void check_behind(KmChecker *c, const KmSection *section, const KmReloc *r)
{
	guint32 behind = c->module->arch->call_stub->behind;
	guint64 at = r->offset + 4;
	if (behind && (!section->data || at + 4 > section->data->len ||
		       km_object_get_u32(c->module, section->data->data + at) != behind))
		km_find_at(c, section, r->offset,
			   "a call through a stub, and not 0x%08x behind it, which such a call needs", behind);
}

/* Calls of what is not in the module go through a stub of the loader, where distance demands it. The tracer's hook is its own business. */
static void check_call(KmChecker *c, const KmSection *section, const KmReloc *r)
{
	const KmArch *arch = c->module->arch;
	const KmRelocInfo *info = km_arch_reloc(arch, r->type);
	if (km_calls_stub(c, r))
		check_behind(c, section, r);
	if (!arch->call_problem || r->symbol->section || !info || info->kind != KM_RELOC_CALL || !section->data ||
	    r->offset + 4 > section->data->len || g_strv_contains(arch->hooks, r->symbol->name))
		return;
	const char *problem = arch->call_problem(section->data->data + r->offset, section->data->len - r->offset);
	if (problem)
		km_find_at(c, section, r->offset, "%s (to %s)", problem, r->symbol->name);
}

static void check_overlap(KmChecker *c, const KmSection *section, guint i)
{
	const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
	const KmRelocInfo *info = km_arch_reloc(c->module->arch, r->type);
	if (i + 1 < section->relocs->len && info && r[1].offset < r->offset + info->size)
		km_find_at(c, section, r[1].offset, "two relocations write the same bytes");
}

static void check_relocs(KmChecker *c)
{
	for (guint s = 0; s < c->module->sections->len; s++) {
		const KmSection *section = c->module->sections->pdata[s];
		/* What is not loaded (debug information) is left as it is in the file. */
		gboolean applied = (section->flags & SHF_ALLOC) && !section->klp_object;
		for (guint i = 0; applied && i < section->relocs->len; i++) {
			check_field(c, section, &g_array_index(section->relocs, KmReloc, i));
			check_target(c, section, i);
			check_call(c, section, &g_array_index(section->relocs, KmReloc, i));
			check_overlap(c, section, i);
			c->result->relocations++;
		}
	}
}

/* ---- livepatch sections and symbols ---- */

static void check_klp_reloc(KmChecker *c, const KmSection *klp, const KmReloc *r)
{
	g_autofree char *object = NULL, *name = NULL;
	guint64 sympos;
	if (r->symbol->shndx != KM_SHN_LIVEPATCH || !km_parse_klp_symbol(r->symbol->name, &object, &name, &sympos)) {
		km_find_at(c, klp, r->offset, "%s is not a livepatch symbol", r->symbol->name);
		return;
	}
	gboolean late = strcmp(klp->klp_object, "vmlinux"), theirs = strcmp(object, "vmlinux");
	if (late && !theirs)
		km_find_at(c, klp, r->offset, "vmlinux's %s in relocations of module %s: the kernel refuses that", name,
			   klp->klp_object);
	if (!late && theirs)
		km_find_at(c, klp, r->offset, "%s of module %s is resolved at load, when that module need not be there",
			   name, object);
	/* Tables are read when the live patch is loaded. */
	const KmSpecial *special = km_special_find(klp->klp_target->name);
	if (late && special && special->kind != KM_SPECIAL_SLOTS)
		km_find_at(c, klp, r->offset, "%s of %s would be resolved after the kernel has read %s", name, object,
			   klp->klp_target->name);
}

static void check_klp_section(KmChecker *c, const KmSection *klp)
{
	const guint64 needed = SHF_ALLOC | KM_SHF_RELA_LIVEPATCH;
	g_autofree char *name = g_strconcat(KLP_RELA, klp->klp_object, ".", klp->klp_target->name, NULL);
	/* Some tools keep one dot between object and section where the section's own name starts with another. */
	gboolean named = !strcmp(klp->name, name) || g_str_has_suffix(klp->name, klp->klp_target->name);
	if ((klp->flags & needed) != needed)
		km_find(c, klp->name, "its flags are not those of livepatch relocations");
	if (!named)
		km_find(c, klp->name, "applies to %s, not to what its name says", klp->klp_target->name);
	for (guint i = 0; i < klp->relocs->len; i++)
		check_klp_reloc(c, klp, &g_array_index(klp->relocs, KmReloc, i));
}

/* From here on a section has all its relocations, whoever applies them. */
static void join_klp_relocs(KmChecker *c)
{
	for (guint s = 0; s < c->module->sections->len; s++) {
		KmSection *klp = c->module->sections->pdata[s];
		if (!klp->klp_object)
			continue;
		check_klp_section(c, klp);
		for (guint i = 0; i < klp->relocs->len; i++)
			g_array_append_val(klp->klp_target->relocs, g_array_index(klp->relocs, KmReloc, i));
		km_section_sort_relocs(klp->klp_target);
	}
}

static void check_klp_symbol(KmChecker *c, const KmSymbol *symbol)
{
	g_autofree char *object = NULL, *name = NULL, *why = NULL;
	guint64 sympos;
	c->result->symbols++;
	if (symbol->section || symbol->shndx != KM_SHN_LIVEPATCH) {
		km_find(c, symbol->name, "named as a livepatch symbol, but not marked as one");
		return;
	}
	if (!km_parse_klp_symbol(symbol->name, &object, &name, &sympos)) {
		km_find(c, symbol->name, "not a name that the livepatch core can parse");
		return;
	}
	if (!km_at_named(c, object, name, sympos, &why).kind)
		km_find(c, symbol->name, "%s", why);
}

static void check_ordinary_use(KmChecker *c, const KmSection *section)
{
	for (guint i = 0; !section->klp_object && i < section->relocs->len; i++) {
		const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
		if (r->symbol->shndx == KM_SHN_LIVEPATCH && !r->symbol->section)
			km_find_at(c, section, r->offset, "%s in relocations that the module loader applies",
				   r->symbol->name);
	}
}

/* ---- imports ---- */

static void check_import(KmChecker *c, const KmSymbol *symbol)
{
	const KmExport *export = km_image_export(c->input->image, symbol->name);
	g_autofree char *owner = NULL;
	guint32 wanted = 0, crc = 0;
	gboolean has_crc = export && export->has_crc;
	c->result->imports++;
	if (export)
		wanted = export->crc;
	else if (km_kernel_symvers(c->input->kernel, symbol->name, &wanted, &owner) && strcmp(owner, "vmlinux"))
		has_crc = TRUE;
	else if (symbol->bind != STB_WEAK)
		km_find(c, symbol->name, "imported, but the kernel exports no such symbol");
	const char *depends = km_module_info(c->module, "depends");
	if (owner && strcmp(owner, "vmlinux") && !(depends && strstr(depends, owner)))
		km_find(c, symbol->name, "exported by module %s, which \"depends\" does not name", owner);
	if (!has_crc)
		return;
	if (!km_module_import_crc(c->module, symbol->name, &crc))
		km_find(c, symbol->name, "imported without a version");
	else if (crc != wanted)
		km_find(c, symbol->name, "imported with version 0x%08x, the kernel has 0x%08x", crc, wanted);
}

/* A string and zeros up to the end. */
static gboolean is_padded(const guint8 *text, gsize room)
{
	gsize length = strnlen((const char *)text, room);
	for (gsize i = length; i < room; i++)
		if (text[i])
			return FALSE;
	return length < room;
}

/* A name the loader would check although nothing imports it, or twice; module_layout is everybody's. */
typedef struct {
	KmChecker *c;
	GHashTable *imports, *seen;
} Versions;

static void check_version(const char *name, guint32 crc, gpointer data)
{
	Versions *v = data;
	const KmExport *export = km_image_export(v->c->input->image, name);
	if (!g_hash_table_add(v->seen, g_strdup(name)))
		km_find(v->c, "__versions", "%s is listed twice", name);
	if (strcmp(name, "module_layout") && !g_hash_table_contains(v->imports, name))
		km_find(v->c, "__versions", "%s is listed, but nothing imports it", name);
	if (v->c->own && g_str_has_prefix(name, "kmend_") && crc != KM_PATCHDATA_CRC)
		km_find(v->c, "__versions", "%s has version 0x%08x, the runtime's is 0x%08x", name, crc,
			KM_PATCHDATA_CRC);
	if (export && export->has_crc && export->crc != crc)
		km_find(v->c, "__versions", "%s has version 0x%08x, the kernel has 0x%08x", name, crc, export->crc);
}

static void check_versions(KmChecker *c)
{
	g_autoptr(GHashTable) imports = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < c->module->symbols->len; i++) {
		const KmSymbol *symbol = c->module->symbols->pdata[i];
		if (!symbol->section && symbol->shndx == SHN_UNDEF && *symbol->name)
			g_hash_table_add(imports, symbol->name);
	}
	const KmSection *section = km_object_find_section(c->module, "__versions");
	for (guint64 at = 0; section && section->data && at + VERSION_SIZE <= section->data->len; at += VERSION_SIZE)
		if (!is_padded(section->data->data + at + 8, VERSION_SIZE - 8) ||
		    km_object_get_u64(c->module, section->data->data + at) > G_MAXUINT32)
			km_find_at(c, section, at, "not a number of 32 bits and a name that is filled up with zeros");
	if (section && section->size % VERSION_SIZE)
		km_find(c, section->name, "no whole number of entries");
	Versions v = { .c = c, .imports = imports, .seen = seen };
	km_module_versions(c->module, check_version, &v);
	const KmExport *layout = km_image_export(c->input->image, "module_layout");
	if (layout && layout->has_crc && !g_hash_table_contains(seen, "module_layout"))
		km_find(c, "__versions", "module_layout is missing: the loader cannot tell whether struct module fits");
}

/* The loader compares versions where the kernel's own exports have them. */
static void check_runtime_import(KmChecker *c, const KmSymbol *symbol)
{
	const KmExport *layout = km_image_export(c->input->image, "module_layout");
	guint32 crc;
	if (layout && layout->has_crc && !km_module_import_crc(c->module, symbol->name, &crc))
		km_find(c, symbol->name, "imported without a version");
}

static void check_undefined(KmChecker *c, const KmSymbol *symbol)
{
	if (km_at_symbol(c, symbol).kind == KM_AT_RUNTIME)
		check_runtime_import(c, symbol);
	else
		check_import(c, symbol);
	if (c->own && km_patchdata_is_of_core(symbol->name))
		km_find(c, symbol->name,
			"of the kernel's livepatch core, which knows no live patch of kmend's own runtime");
}

static void check_symbols(KmChecker *c)
{
	for (guint i = 0; i < c->module->symbols->len; i++) {
		const KmSymbol *symbol = c->module->symbols->pdata[i];
		if (g_str_has_prefix(symbol->name, ".klp.sym.") ||
		    (!symbol->section && symbol->shndx == KM_SHN_LIVEPATCH))
			check_klp_symbol(c, symbol);
		else if (!symbol->section && symbol->shndx == SHN_UNDEF && *symbol->name &&
			 !km_arch_is_loader_symbol(c->module->arch, symbol->name))
			check_undefined(c, symbol);
		else if (!symbol->section && symbol->shndx == SHN_COMMON)
			km_find(c, symbol->name, "a common symbol: the loader refuses those");
	}
}

/* ---- modinfo ---- */

/* Any stock module will do: all were made for this kernel. */
static char *stock_vermagic(KmChecker *c)
{
	g_autofree char *order = g_build_filename(
		c->input->kernel->modules ? c->input->kernel->modules : "/nonexistent", "modules.order", NULL);
	g_autofree char *text = NULL;
	if (!g_file_get_contents(order, &text, NULL, NULL))
		return NULL;
	g_auto(GStrv) lines = g_strsplit(text, "\n", 9);
	for (guint i = 0; lines[i] && i < 8; i++) {
		g_autofree char *name = g_path_get_basename(lines[i]);
		char *end = strstr(name, ".ko");
		if (!end)
			continue;
		*end = '\0';
		const KmObject *module = km_stock(c, name);
		const char *vermagic = module ? km_module_info(module, "vermagic") : NULL;
		if (vermagic)
			return g_strdup(vermagic);
	}
	return NULL;
}

/* What every module says. A tag that is spelt wrongly is a tag that is missing. */
static void check_tags(KmChecker *c)
{
	static const char *const tags[] = { "depends", "name" };
	for (gsize i = 0; i < G_N_ELEMENTS(tags); i++)
		if (!km_module_info(c->module, tags[i]))
			km_find(c, ".modinfo", "has no \"%s\"", tags[i]);
}

/* How the loader and the runtime know what kind of live patch it is. */
static void check_kind(KmChecker *c)
{
	const char *livepatch = km_module_info(c->module, "livepatch"), *depends = km_module_info(c->module, "depends");
	gboolean marked = livepatch && *livepatch == 'Y';
	if (!c->own && !marked)
		km_find(c, ".modinfo", "no livepatch=Y: the kernel refuses livepatch relocations of such a module");
	if (c->own && marked)
		km_find(c, ".modinfo",
			"livepatch=Y, but it is for kmend's own runtime: a kernel without livepatch core refuses it");
	if (c->own && (!depends || !strstr(depends, KM_PATCHDATA_MODULE)))
		km_find(c, ".modinfo", "does not depend on %s, which puts it in", KM_PATCHDATA_MODULE);
}

static void check_modinfo(KmChecker *c)
{
	check_tags(c);
	check_kind(c);
	const char *magic = km_module_info(c->module, "vermagic");
	const char *license = km_module_info(c->module, "license"), *name = km_module_info(c->module, "name");
	g_autofree char *wanted = stock_vermagic(c);
	if (!license || !g_str_has_prefix(license, "GPL"))
		km_find(c, ".modinfo",
			"the license is not GPL: what live patches need is exported to GPL modules only");
	if (!magic || (wanted && strcmp(magic, wanted)))
		km_find(c, ".modinfo", "vermagic is '%s', the kernel's modules have '%s'", magic ? magic : "",
			wanted ? wanted : "");
	const KmSection *this_module = km_object_find_section(c->module, ".gnu.linkonce.this_module");
	if (!this_module || !this_module->data) {
		km_find(c, ".gnu.linkonce.this_module", "missing: not a module");
		return;
	}
	if (!c->has_layout || !c->layout.module_size)
		return;
	if (this_module->size != c->layout.module_size) {
		km_find(c, this_module->name, "%" G_GUINT64_FORMAT " bytes, this kernel's struct module has %u",
			this_module->size, c->layout.module_size);
		return;
	}
	const char *own = (const char *)this_module->data->data + c->layout.module_name;
	gsize room = this_module->size - MIN(c->layout.module_name, this_module->size);
	room = MIN(room, c->layout.module_name_len ? c->layout.module_name_len : room);
	if (!is_padded((const guint8 *)own, room))
		km_find(c, this_module->name, "its name is not filled up with zeros");
	if (name && (strlen(name) >= room || strncmp(own, name, strlen(name) + 1)))
		km_find(c, this_module->name, "struct module is named otherwise than .modinfo says ('%s')", name);
}

/* The loader makes memory by these flags: what can be written cannot be run, and what can be run is code. */
static void check_sections(KmChecker *c)
{
	g_autoptr(GHashTable) with_code = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < c->module->symbols->len; i++) {
		const KmSymbol *symbol = c->module->symbols->pdata[i];
		if (symbol->section && symbol->type == STT_FUNC)
			g_hash_table_add(with_code, symbol->section);
	}
	for (guint s = 0; s < c->module->sections->len; s++) {
		const KmSection *section = c->module->sections->pdata[s];
		if (!(section->flags & SHF_ALLOC) || !(section->flags & SHF_EXECINSTR) || !section->size)
			continue;
		if (section->flags & SHF_WRITE)
			km_find(c, section->name, "both writable and executable");
		const char *const *filled = c->module->arch->module_sections;
		if (!km_special_find(section->name) && !g_hash_table_contains(with_code, section) &&
		    !(filled && g_strv_contains(filled, section->name)))
			km_find(c, section->name, "executable, but there is no function in it");
	}
}

void km_check_load(KmChecker *c)
{
	check_sections(c);
	check_modinfo(c);
	for (guint s = 0; s < c->module->sections->len; s++)
		check_ordinary_use(c, c->module->sections->pdata[s]);
	join_klp_relocs(c);
	check_symbols(c);
	check_versions(c);
	check_relocs(c);
}
