/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From names to places, as the kernel's module loader and livepatch core find them. */
#include <string.h>

#include "image/module.h"
#include "image/patchdata.h"
#include "verify/internal.h"

#define KLP_SYM ".klp.sym."
/* kernel/livepatch/core.c: the most that its scanf takes. */
#define MAX_OBJECT 55
#define MAX_NAME 511

KmObject *km_stock(KmChecker *c, const char *name)
{
	KmObject *known = g_hash_table_lookup(c->stock, name);
	g_autofree char *path = known ? NULL : km_kernel_module_path(c->input->kernel, name);
	if (known || !path)
		return known;
	KmObject *module = km_module_read(path, NULL);
	if (module)
		g_hash_table_insert(c->stock, g_strdup(name), module);
	return module;
}

gboolean km_parse_klp_symbol(const char *symbol, char **object, char **name, guint64 *sympos)
{
	if (!g_str_has_prefix(symbol, KLP_SYM))
		return FALSE;
	const char *start = symbol + strlen(KLP_SYM), *dot = strchr(start, '.'), *comma = dot ? strchr(dot, ',') : NULL;
	if (!comma || dot == start || dot - start > MAX_OBJECT || comma == dot + 1 || comma - dot - 1 > MAX_NAME ||
	    !g_ascii_string_to_unsigned(comma + 1, 10, 0, G_MAXUINT32, sympos, NULL))
		return FALSE;
	*object = g_strndup(start, (gsize)(dot - start));
	*name = g_strndup(dot + 1, (gsize)(comma - dot - 1));
	return TRUE;
}

static KmAt in_image(KmChecker *c, const char *name, guint64 sympos, char **why)
{
	gsize n;
	const KmKsym *symbols = km_image_symbols(c->input->image, &n);
	const GArray *all = km_image_lookup(c->input->image, name);
	guint count = all ? all->len : 0;
	if (sympos <= count && count && (sympos || count == 1))
		return (KmAt){ .kind = KM_AT_VMLINUX,
			       .address = symbols[g_array_index(all, guint32, sympos ? sympos - 1 : 0)].address };
	*why = count ? g_strdup_printf("vmlinux has %u symbols named %s: position %" G_GUINT64_FORMAT
				       " is none of them",
				       count, name, sympos)
		     : g_strdup_printf("vmlinux has no symbol %s", name);
	return (KmAt){ 0 };
}

/* The position must be the same while the module loads and once it lives: the livepatch core looks at both times. */
static KmAt in_stock(KmChecker *c, const char *object, const char *name, guint64 sympos, char **why)
{
	const KmObject *module = km_stock(c, object);
	guint count = module ? km_module_count(module, name) : 0;
	if (!module || !count || (!sympos && count != 1)) {
		*why = !module ? g_strdup_printf("the kernel has no module %s", object)
			       : g_strdup_printf("module %s has %u symbols named %s", object, count, name);
		return (KmAt){ 0 };
	}
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		guint position;
		if (strcmp(symbol->name, name) || !symbol->section ||
		    !km_module_sympos(module, symbol, &position, NULL) || position != MAX(sympos, 1))
			continue;
		return (KmAt){ .kind = KM_AT_STOCK, .section = symbol->section, .address = symbol->value };
	}
	*why = g_strdup_printf("module %s: position %" G_GUINT64_FORMAT
			       " of %s is no symbol that a loaded module keeps",
			       object, sympos, name);
	return (KmAt){ 0 };
}

KmAt km_at_named(KmChecker *c, const char *object, const char *name, guint64 sympos, char **why)
{
	if (!strcmp(object, "vmlinux"))
		return in_image(c, name, sympos, why);
	/* A module's symbols are counted one by one. */
	g_autofree char *key = g_strdup_printf("%s.%s,%" G_GUINT64_FORMAT, object, name, sympos);
	const KmAt *known = g_hash_table_lookup(c->named, key);
	if (known)
		return *known;
	KmAt at = in_stock(c, object, name, sympos, why);
	if (at.kind)
		g_hash_table_insert(c->named, g_steal_pointer(&key), g_memdup2(&at, sizeof(at)));
	return at;
}

/* The one place that all global symbols of that name share. */
static KmAt global_in_image(KmChecker *c, const char *name)
{
	gsize n;
	const KmKsym *symbols = km_image_symbols(c->input->image, &n);
	const KmExport *export = km_image_export(c->input->image, name);
	const GArray *all = km_image_lookup(c->input->image, name);
	KmAt at = { 0 };
	if (export)
		return (KmAt){ .kind = KM_AT_VMLINUX, .address = export->address };
	for (guint i = 0; all && i < all->len; i++) {
		const KmKsym *symbol = &symbols[g_array_index(all, guint32, i)];
		if (!g_ascii_isupper(symbol->type))
			continue;
		if (at.kind && at.address != symbol->address)
			return (KmAt){ 0 };
		at = (KmAt){ .kind = KM_AT_VMLINUX, .address = symbol->address };
	}
	return at;
}

static KmAt global_in_stock(const KmObject *module, const char *name)
{
	for (guint i = 0; module && i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		if (symbol->section && symbol->bind != STB_LOCAL && !strcmp(symbol->name, name))
			return (KmAt){ .kind = KM_AT_STOCK, .section = symbol->section, .address = symbol->value };
	}
	return (KmAt){ 0 };
}

/* What a live patch for the own runtime calls in it. */
static KmAt in_runtime(const KmChecker *c, const char *name)
{
	const char *const *functions = km_patchdata_imports();
	for (gsize i = 0; c->own && functions[i]; i++)
		if (!strcmp(name, functions[i]))
			return (KmAt){ .kind = KM_AT_RUNTIME, .address = i };
	return (KmAt){ 0 };
}

KmAt km_at_global(KmChecker *c, const char *owner, const char *name)
{
	if (km_arch_is_loader_symbol(c->module->arch, name))
		return (KmAt){ .kind = KM_AT_LOADER };
	KmAt at = strcmp(owner, "vmlinux") ? global_in_stock(km_stock(c, owner), name) : (KmAt){ 0 };
	if (!at.kind)
		at = global_in_image(c, name);
	if (!at.kind)
		at = in_runtime(c, name);
	g_autofree char *exporter = NULL;
	guint32 crc;
	if (!at.kind && km_kernel_symvers(c->input->kernel, name, &crc, &exporter) && strcmp(exporter, "vmlinux"))
		at = global_in_stock(km_stock(c, exporter), name);
	return at;
}

KmAt km_at_symbol(KmChecker *c, const KmSymbol *symbol)
{
	g_autofree char *object = NULL, *name = NULL, *why = NULL;
	guint64 sympos;
	const KmAt *known = c->places ? g_hash_table_lookup(c->places, symbol) : NULL;
	if (known)
		return *known;
	if (symbol->section)
		return (KmAt){ .kind = KM_AT_INSIDE, .section = symbol->section, .address = symbol->value };
	if (symbol->shndx == SHN_ABS)
		return (KmAt){ .kind = KM_AT_VALUE, .address = symbol->value };
	if (symbol->shndx == SHN_UNDEF && km_arch_is_loader_symbol(c->module->arch, symbol->name))
		return (KmAt){ .kind = KM_AT_LOADER };
	if (symbol->shndx == SHN_UNDEF && *symbol->name) {
		const KmExport *export = km_image_export(c->input->image, symbol->name);
		if (export)
			return (KmAt){ .kind = KM_AT_VMLINUX, .address = export->address };
		g_autofree char *exporter = NULL;
		guint32 crc;
		if (km_kernel_symvers(c->input->kernel, symbol->name, &crc, &exporter) && strcmp(exporter, "vmlinux"))
			return global_in_stock(km_stock(c, exporter), symbol->name);
		return in_runtime(c, symbol->name);
	}
	if (symbol->shndx != KM_SHN_LIVEPATCH || !km_parse_klp_symbol(symbol->name, &object, &name, &sympos))
		return (KmAt){ 0 };
	return km_at_named(c, object, name, sympos, &why);
}

gboolean km_at_equal(const KmAt *a, const KmAt *b)
{
	return a->kind && a->kind == b->kind && a->section == b->section && a->address == b->address;
}

char *km_at_describe(const KmChecker *c, const KmAt *at)
{
	if (at->kind == KM_AT_NOWHERE)
		return g_strdup("nothing");
	if (at->kind == KM_AT_VALUE)
		return g_strdup_printf("the number 0x%" G_GINT64_MODIFIER "x", at->address);
	if (at->kind == KM_AT_LOADER)
		return g_strdup("what the module loader knows");
	if (at->kind == KM_AT_RUNTIME)
		return g_strdup("a function of kmend's own runtime");
	if (at->section)
		return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x of %s", at->section->name, at->address,
				       at->kind == KM_AT_INSIDE ? "the live patch" : "the module");
	const KmKsym *near = km_image_nearest(c->input->image, at->address);
	if (!near)
		return g_strdup_printf("0x%" G_GINT64_MODIFIER "x of vmlinux", at->address);
	return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x of vmlinux", near->name, at->address - near->address);
}
