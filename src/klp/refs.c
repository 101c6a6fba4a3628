/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/refs.h"

#include <string.h>

#include "base/error.h"
#include "image/module.h"
#include "kernel/where.h"
#include "klp/own.h"

void km_ref_free(KmRef *ref)
{
	if (!ref)
		return;
	g_free(ref->object);
	g_free(ref->name);
	g_free(ref->owner);
	g_free(ref->section);
	g_free(ref);
}

gboolean km_ref_equal(const KmRef *a, const KmRef *b)
{
	return a->kind == b->kind && !g_strcmp0(a->object, b->object) && !g_strcmp0(a->name, b->name) &&
	       a->sympos == b->sympos && a->offset == b->offset && !g_strcmp0(a->owner, b->owner) &&
	       !g_strcmp0(a->section, b->section) && a->address == b->address && a->index == b->index;
}

static KmRef *new_import(const KmExport *export)
{
	KmRef *ref = g_new0(KmRef, 1);
	ref->kind = KM_REF_IMPORT;
	ref->name = g_strdup(export->name);
	ref->export = export;
	return ref;
}

/* What kmend's own runtime has in the place of the kernel. */
static KmRef *in_runtime(const KmRefContext *c, const char *name)
{
	if (!c->by_address || !km_own_is_import(c->image, name))
		return NULL;
	KmRef *ref = g_new0(KmRef, 1);
	ref->kind = KM_REF_IMPORT;
	ref->name = g_strdup(name);
	return ref;
}

static KmRef *new_klp(const KmRefContext *c, const char *object, const char *name, guint sympos)
{
	KmRef *ref = g_new0(KmRef, 1);
	ref->kind = KM_REF_KLP;
	ref->object = g_strdup(object);
	ref->name = g_strdup(name);
	ref->sympos = sympos;
	ref->owner = g_strdup(strcmp(object, "vmlinux") ? c->owner : "vmlinux");
	return ref;
}

/* The symbol of a module that is at a position of a name, as the kernel counts them. */
static const KmSymbol *symbol_of(const KmObject *module, const char *name, guint sympos)
{
	for (guint i = 0; module && i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		guint position;
		if (symbol->section && !strcmp(symbol->name, name) && km_module_sympos(module, symbol, &position, NULL) &&
		    position == sympos)
			return symbol;
	}
	return NULL;
}

/* Tell where in module (that of ref->object) it is, for the own runtime. */
static KmRef *in_module(const KmRefContext *c, const KmObject *module, KmRef *ref, GError **error)
{
	const KmSymbol *symbol = c->by_address ? symbol_of(module, ref->name, ref->sympos) : NULL;
	if (symbol) {
		ref->section = g_strdup(symbol->section->name);
		ref->address = symbol->value;
		ref->index = symbol->index + 1; /* the null symbol is before it */
	} else if (c->by_address) {
		km_refuse(error, "%s: module %s has no symbol %s at position %u", c->plain->path, ref->object, ref->name,
			  ref->sympos);
		g_clear_pointer(&ref, km_ref_free);
	}
	return ref;
}

static gboolean is_paired_by_name(const KmSymbol *symbol)
{
	return *symbol->name && symbol->type != STT_SECTION && symbol->type != STT_FILE;
}

/* The symbols of each name, in file order. */
static GHashTable *by_name(const KmObject *object)
{
	GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (!is_paired_by_name(symbol))
			continue;
		GPtrArray *same = g_hash_table_lookup(names, symbol->name);
		if (!same) {
			same = g_ptr_array_new();
			g_hash_table_insert(names, symbol->name, same);
		}
		g_ptr_array_add(same, symbol);
	}
	return names;
}

GHashTable *km_plain_twins(const KmObject *original, const KmObject *plain)
{
	GHashTable *twins = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) there = by_name(plain);
	g_autoptr(GHashTable) here = by_name(original);
	GHashTableIter iter;
	gpointer name, value;
	g_hash_table_iter_init(&iter, here);
	while (g_hash_table_iter_next(&iter, &name, &value)) {
		const GPtrArray *ours = value, *theirs = g_hash_table_lookup(there, name);
		/* Counts that differ would pair wrongly: leave such a name without a twin, and so without a place. */
		if (!theirs || theirs->len != ours->len)
			continue;
		for (guint i = 0; i < ours->len; i++)
			g_hash_table_insert(twins, ours->pdata[i], theirs->pdata[i]);
	}
	return twins;
}

const KmPlace *km_ref_place(const KmRefContext *c, const KmSymbol *original, GError **error)
{
	const KmSymbol *plain = g_hash_table_lookup(c->plain_twins, original);
	g_autoptr(GError) local = NULL;
	const KmPlace *place = plain ? km_match_place(c->match, plain, &local) : NULL;
	if (place)
		return place;
	g_autofree char *root = km_name_root(original->name);
	g_autofree char *at = km_where(c->kernel->source, c->plain->path, root);
	km_refuse(error, "%s: where %s lives in %s cannot be proved: %s", at, original->name, c->owner,
		  local ? local->message : "no matched code refers to it");
	return NULL;
}

/* Position of a name in vmlinux that exactly one global symbol bears: the linker allows no second one. */
static KmRef *global_in_vmlinux(const KmRefContext *c, const char *name)
{
	const GArray *all = km_image_lookup(c->image, name);
	gsize n;
	const KmKsym *symbols = km_image_symbols(c->image, &n);
	guint found = 0;
	guint64 address = 0;
	for (guint i = 0; all && i < all->len; i++) {
		const KmKsym *symbol = &symbols[g_array_index(all, guint32, i)];
		if (!g_ascii_isupper(symbol->type))
			continue;
		if (found)
			return NULL;
		found = i + 1;
		address = symbol->address;
	}
	KmRef *ref = found ? new_klp(c, "vmlinux", name, found) : NULL;
	if (ref && c->by_address)
		ref->address = address;
	return ref;
}

static KmRef *global_in_module(const KmRefContext *c, const KmObject *module, const char *owner, const char *name,
			       GError **error)
{
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		guint sympos;
		if (symbol->bind == STB_LOCAL || !symbol->section || strcmp(symbol->name, name))
			continue;
		return km_module_sympos(module, symbol, &sympos, error)
			       ? in_module(c, module, new_klp(c, owner, name, sympos), error)
			       : NULL;
	}
	return NULL;
}

/* Exported by another module: a livepatch symbol too, so that the live patch can be loaded before that module. */
static KmRef *exported_by_module(const KmRefContext *c, const char *name, GError **error)
{
	g_autofree char *owner = NULL;
	guint32 crc;
	if (!km_kernel_symvers(c->kernel, name, &crc, &owner) || !strcmp(owner, "vmlinux"))
		return NULL;
	if (!strcmp(c->owner, "vmlinux"))
		return km_refuse_null(error, "built-in code refers to %s, which module %s exports", name, owner);
	g_autofree char *path = km_kernel_module_path(c->kernel, owner);
	g_autoptr(KmObject) module = path ? km_module_read(path, error) : NULL;
	return module ? global_in_module(c, module, owner, name, error) : NULL;
}

/* What has no name that the kernel keeps: where the proof has it. */
static KmRef *without_name(const KmRefContext *c, const KmSymbol *plain, const char *name)
{
	guint64 address;
	if (!c->by_address || !plain || !km_match_address(c->match, plain, &address, NULL))
		return NULL;
	KmRef *ref = new_klp(c, "vmlinux", name, 0);
	ref->address = address;
	return ref;
}

static const KmSymbol *undefined_in(const KmObject *object, const char *name)
{
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		if (!symbol->section && symbol->shndx == SHN_UNDEF && !strcmp(symbol->name, name))
			return symbol;
	}
	return NULL;
}

/*
 * The loader turns listed calls into what a static call's key says. Without that key's export a call for the own runtime is a plain one, to the
 * trampoline, by address.
 */
static const KmExport *usable_export(const KmRefContext *c, const char *name)
{
	const KmExport *export = km_image_export(c->image, name);
	if (!export || !c->by_address || !g_str_has_prefix(name, "__SCT__"))
		return export;
	g_autofree char *key = g_strconcat("__SCK__", name + strlen("__SCT__"), NULL);
	return km_image_export(c->image, key) ? export : NULL;
}

/* A global name, by the linker's rules: our own object first, then exports of vmlinux, then vmlinux, then other modules. */
static KmRef *by_global_name(const KmRefContext *c, const char *name, GError **error)
{
	g_autoptr(GError) local = NULL;
	KmRef *ref = c->module ? global_in_module(c, c->module, c->owner, name, &local) : NULL;
	const KmExport *export = ref || local ? NULL : usable_export(c, name);
	if (export)
		return new_import(export);
	if (!ref && !local)
		ref = in_runtime(c, name);
	if (!ref && !local)
		ref = global_in_vmlinux(c, name);
	if (!ref && !local)
		ref = exported_by_module(c, name, &local);
	if (!ref && !local)
		ref = without_name(c, undefined_in(c->plain, name), name);
	if (ref)
		return ref;
	if (local)
		g_propagate_error(error, g_steal_pointer(&local));
	else
		km_refuse(error, "%s: the patch uses %s, which this kernel does not have (or has several times)",
			  c->plain->path, name);
	return NULL;
}

static KmRef *from_place(const KmRefContext *c, const KmPlace *place, GError **error)
{
	KmRef *ref = new_klp(c, place->object, place->name, place->sympos);
	ref->offset = place->offset;
	if (strcmp(place->object, "vmlinux"))
		return in_module(c, c->module, ref, error);
	if (c->by_address)
		ref->address = place->address - (guint64)place->offset;
	return ref;
}

static const char *name_of(const KmSymbol *symbol)
{
	return *symbol->name || !symbol->section ? symbol->name : symbol->section->name;
}

KmRef *km_ref_of_original(const KmRefContext *c, const KmSymbol *original, GError **error)
{
	g_autoptr(GError) local = NULL;
	const KmPlace *place = km_ref_place(c, original, &local);
	KmRef *ref = place ? from_place(c, place, &local) : without_name(c, g_hash_table_lookup(c->plain_twins, original), name_of(original));
	if (!ref)
		g_propagate_error(error, g_steal_pointer(&local));
	return ref;
}

KmRef *km_ref_new(const KmRefContext *c, const KmSymbol *patched, const char *name, GError **error)
{
	if (!patched || !patched->section)
		return by_global_name(c, name, error);
	const KmSymbol *original = g_hash_table_lookup(c->diff->twins, patched);
	if (!original)
		return km_refuse_null(error, "%s: %s is new but was not taken into the live patch", c->plain->path,
				      name);
	const KmPlace *place = km_ref_place(c, original, NULL);
	if (!place)
		return km_ref_of_original(c, original, error);
	/* A global symbol of built-in code that is exported needs no livepatch relocation. */
	const KmExport *export = patched->bind != STB_LOCAL ? usable_export(c, name) : NULL;
	if (export && !place->offset && export->address == place->address && !strcmp(place->object, "vmlinux"))
		return new_import(export);
	return from_place(c, place, error);
}
