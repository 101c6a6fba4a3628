/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Modules that are not the kernel's own. One that this kernel would not load as it is cannot be what runs, so it is refused before
 * anything is proved with it.
 */
#include <string.h>

#include "base/error.h"
#include "base/run.h"
#include "image/module.h"
#include "kernel/kernel.h"
#include "kernel/symvers.h"

#define EXPORT_PREFIX "__ksymtab_"
#define CRC_PREFIX "__crc_"

/* The vermagic of a stock module: what the kernel itself asks for. NULL when there is none to look at. Caller owns. */
static char *stock_vermagic(const KmKernel *kernel)
{
	g_autofree char *order = kernel->modules ? g_build_filename(kernel->modules, "modules.order", NULL) : NULL;
	g_autofree char *text = NULL;
	if (!order || !g_file_get_contents(order, &text, NULL, NULL))
		return NULL;
	g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
	for (char **line = lines; *line; line++) {
		g_autofree char *base = g_path_get_basename(*line);
		if (!g_str_has_suffix(base, ".ko"))
			continue;
		base[strlen(base) - strlen(".ko")] = '\0';
		g_autofree char *path = km_kernel_module_path(kernel, base);
		g_autoptr(KmObject) module = path ? km_module_read(path, NULL) : NULL;
		const char *vermagic = module ? km_module_info(module, "vermagic") : NULL;
		if (vermagic)
			return g_strdup(vermagic);
	}
	return NULL;
}

static gboolean check_vermagic(const KmKernel *kernel, const KmObject *module, GError **error)
{
	const char *theirs = km_module_info(module, "vermagic");
	gsize length = strlen(kernel->release);
	if (!theirs || strncmp(theirs, kernel->release, length) || (theirs[length] && theirs[length] != ' '))
		return km_refuse(error,
				 "%s was built for kernel '%.80s', not for %s: give the module built for this kernel",
				 module->path, theirs ? theirs : "(no vermagic)", kernel->release);
	g_autofree char *ours = stock_vermagic(kernel);
	if (ours && strcmp(ours, theirs))
		return km_refuse(error,
				 "%s: its vermagic is '%.80s', this kernel's is '%.80s': the kernel would not load it",
				 module->path, theirs, ours);
	return TRUE;
}

typedef struct {
	KmKernel *kernel;
	char *wrong; /* the first import whose CRC is another */
	char *owner; /* what exports it */
	guint32 theirs, ours;
} Versions;

static void check_version(const char *name, guint32 crc, gpointer data)
{
	Versions *v = data;
	guint32 ours;
	g_autofree char *owner = NULL;
	if (v->wrong || !km_kernel_symvers(v->kernel, name, &ours, &owner) || crc == ours)
		return;
	v->owner = g_steal_pointer(&owner);
	v->wrong = g_strdup(name);
	v->theirs = crc;
	v->ours = ours;
}

static gboolean check_versions(KmKernel *kernel, const KmObject *module, GError **error)
{
	Versions v = { .kernel = kernel };
	km_module_versions(module, check_version, &v);
	g_autofree char *wrong = v.wrong;
	g_autofree char *owner = v.owner;
	return !wrong ||
	       km_refuse(error,
			 "%s: built against something else: it wants %s with version 0x%08x, and %s has it with "
			 "0x%08x; give modules that belong to this kernel and to each other",
			 module->path, wrong, v.theirs, owner, v.ours);
}

/* It becomes part of livepatch symbols. */
static gboolean check_name(const KmKernel *kernel, const KmObject *module, const char *name, GError **error)
{
	if (!name || !*name)
		return km_refuse(error, "%s is not a kernel module: its .modinfo has no name", module->path);
	for (const char *c = name; *c; c++)
		if (!g_ascii_isalnum(*c) && *c != '_')
			return km_refuse(error, "%s: '%.60s' is no module name", module->path, name);
	const char *livepatch = km_module_info(module, "livepatch");
	if (livepatch && *livepatch == 'Y')
		return km_refuse(error, "%s is a live patch: give the module that is to be patched", module->path);
	return !km_kernel_is_outside(kernel, name) ||
	       km_refuse(error, "%s: a module called %s was given already: a kernel has one of a name", module->path,
			 name);
}

/* Functions are found by name, by the kernel's livepatch core as by us. */
static gboolean check_symbols(const KmObject *module, GError **error)
{
	gboolean code = FALSE;
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		if (symbol->type == STT_FUNC && symbol->section && *symbol->name)
			return TRUE;
	}
	for (guint i = 0; i < module->sections->len; i++)
		code |= km_section_is_text(module->sections->pdata[i]) &&
			((const KmSection *)module->sections->pdata[i])->size;
	return !code ||
	       km_refuse(error,
			 "%s is stripped: its functions have no names, by which they are found; give the module "
			 "as it was built (without debug information is fine)",
			 module->path);
}

char *km_kernel_foreign_compiler(const KmKernel *kernel, const KmObject *module)
{
	const KmSection *comment = km_object_find_section(module, ".comment");
	const char *const argv[] = { kernel->compiler ? kernel->compiler : "", "--version", NULL };
	g_autofree char *said = comment && comment->data ? km_run_checked(argv, NULL, NULL) : NULL;
	g_autofree char *ours = said ? g_strndup(said, strcspn(said, "\n")) : NULL;
	for (gsize at = 0; ours && at < comment->data->len;) {
		g_autofree char *text = g_strndup((const char *)comment->data->data + at, comment->data->len - at);
		const char *theirs = g_str_has_prefix(text, "GCC: ") ? text + strlen("GCC: ") : text;
		if (*theirs && !strstr(ours, theirs))
			return g_strdup(text);
		at += strlen(text) + 1;
	}
	return NULL;
}

/* genksyms' checksum of an export: a symbol of its own, in a table of 32-bit numbers, or (older kernels) as its value. */
static guint32 export_crc(const KmObject *module, const char *name)
{
	g_autofree char *wanted = g_strconcat(CRC_PREFIX, name, NULL);
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		if (strcmp(symbol->name, wanted))
			continue;
		const GByteArray *data = symbol->section ? symbol->section->data : NULL;
		if (!data)
			return (guint32)symbol->value;
		if (data->len >= 4 && symbol->value <= data->len - 4)
			return km_object_get_u32(module, data->data + symbol->value);
	}
	return 0;
}

static void add_exports(KmKernel *kernel, const KmObject *module, const char *name)
{
	for (guint i = 0; i < module->symbols->len; i++) {
		const KmSymbol *symbol = module->symbols->pdata[i];
		const char *export = symbol->name + strlen(EXPORT_PREFIX);
		if (symbol->section && g_str_has_prefix(symbol->name, EXPORT_PREFIX))
			km_symvers_add(kernel->exports, export, name, export_crc(module, export));
	}
}

/* Load what the kernel and its modules export before ours are added to it. */
static void make_tables(KmKernel *kernel)
{
	km_kernel_symvers(kernel, "", NULL, NULL);
	if (!kernel->exports)
		kernel->exports = km_symvers_new();
	if (!kernel->outside)
		kernel->outside = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static gboolean add_module(KmKernel *kernel, const char *path, const KmObject *module, GError **error)
{
	g_autofree char *name = g_strdup(km_module_info(module, "name"));
	if (name)
		g_strdelimit(name, "-", '_');
	if (module->arch != kernel->arch)
		return km_refuse(error, "%s is for %s, kernel %s for %s", path, module->arch->name, kernel->name,
				 kernel->arch->name);
	if (!check_name(kernel, module, name, error) || !check_vermagic(kernel, module, error) ||
	    !check_symbols(module, error))
		return FALSE;
	add_exports(kernel, module, name);
	g_hash_table_insert(kernel->outside, g_steal_pointer(&name), g_strdup(path));
	return TRUE;
}

gboolean km_kernel_add_modules(KmKernel *kernel, const char *const *paths, GError **error)
{
	g_autoptr(GPtrArray) modules = g_ptr_array_new_with_free_func((GDestroyNotify)km_object_free);
	make_tables(kernel);
	for (guint i = 0; paths[i]; i++) {
		KmObject *module = km_module_read(paths[i], error);
		if (!module)
			return FALSE;
		g_ptr_array_add(modules, module);
		if (!add_module(kernel, paths[i], module, error))
			return FALSE;
	}
	for (guint i = 0; i < modules->len; i++)
		if (!check_versions(kernel, modules->pdata[i], error))
			return FALSE;
	return TRUE;
}
