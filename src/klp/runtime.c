/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/runtime.h"

#include <gio/gio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "image/image.h"
#include "image/patchdata.h"
#include "kernel/unit.h"
#include "klp/emit.h"
#include "klp/objtool.h"
#include "klp-runtime.h"

#define ROOT "/kmend/runtime/"

/* In the order in which they are one unit. */
static const char *const parts[] = { "kmend-patch.h", "core.h",	  "arch/x86_64.h", "arch/arm64.h", "arch/ppc64le.h",
				     "target.c",      "reloc.c",  "redirect.c",	   "switch.c",	   "patch.c",
				     "sysfs.c",	      "shadow.c", "module.c" };

/* Exports that the runtime imports anyway: the loader tells it where they are. */
static const char *const anchors[] = { "stop_machine", "register_ftrace_function", "vmap", "register_module_notifier" };

/* ---- what the kernel must have ---- */

static gboolean has_any(KmKernel *kernel, const char *const *options)
{
	for (; *options; options++) {
		g_autofree char *value = km_kernel_config(kernel, *options);
		if (value)
			return TRUE;
	}
	return FALSE;
}

gboolean km_runtime_check(KmKernel *kernel, GError **error)
{
	static const char *const ftrace[] = { "DYNAMIC_FTRACE_WITH_REGS", "DYNAMIC_FTRACE_WITH_ARGS", NULL };
	static const char *const wanted[] = { "KALLSYMS", "MODULES", "SYSFS", NULL };
	if (!kernel->arch->has_runtime)
		return km_refuse(
			error,
			"kernel %s is for %s, where kmend's own runtime cannot redirect functions: only kernels with "
			"CONFIG_LIVEPATCH can be patched there",
			kernel->name, kernel->arch->name);
	if (!has_any(kernel, ftrace))
		return km_refuse(
			error,
			"kernel %s cannot redirect functions: it has neither CONFIG_%s nor CONFIG_%s, which kmend's "
			"runtime needs",
			kernel->name, ftrace[0], ftrace[1]);
	for (const char *const *option = wanted; *option; option++) {
		const char *const one[] = { *option, NULL };
		if (!has_any(kernel, one))
			return km_refuse(error, "kernel %s was built without CONFIG_%s, which kmend's runtime needs",
					 kernel->name, *option);
	}
	return TRUE;
}

/* ---- its source ---- */

static gboolean add_anchors(GString *text, const KmImage *image, GError **error)
{
	g_string_append(text, "#define KMEND_LINK_ANCHORS");
	for (gsize i = 0; i < G_N_ELEMENTS(anchors); i++) {
		const KmExport *export = km_image_export(image, anchors[i]);
		if (!export)
			return km_refuse(error, "%s exports no %s, which kmend's runtime needs", km_image_path(image),
					 anchors[i]);
		g_string_append_printf(text, " { \"%s\", (unsigned long)%s, 0x%" G_GINT64_MODIFIER "xUL },", anchors[i],
				       anchors[i], export->address);
	}
	g_string_append_c(text, '\n');
	return TRUE;
}

static gboolean add_build_id(GString *text, const KmImage *image, GError **error)
{
	gsize size;
	guint64 address;
	const guint8 *id = km_image_build_id(image, &size, &address);
	if (!id)
		return km_refuse(
			error, "%s has no build-id (or several): kmend's runtime could not tell it from another kernel",
			km_image_path(image));
	g_string_append_printf(text, "#define KMEND_LINK_BUILD_ID 0x%" G_GINT64_MODIFIER "xUL\n#define KMEND_BUILD_ID",
			       address);
	for (gsize i = 0; i < size; i++)
		g_string_append_printf(text, " 0x%02x,", id[i]);
	g_string_append_c(text, '\n');
	return TRUE;
}

/* The only symbol of that name in the image. */
static gboolean only_symbol(const KmImage *image, const char *name, guint64 *address)
{
	gsize n;
	const KmKsym *symbols = km_image_symbols(image, &n);
	const GArray *found = km_image_lookup(image, name);
	if (!found || found->len != 1)
		return FALSE;
	*address = symbols[g_array_index(found, guint32, 0)].address;
	return TRUE;
}

/* What the runtime uses of the kernel without an export, where the kernel names it: which of them it needs, its source says. */
static void add_symbols(GString *text, const KmImage *image)
{
	static const struct {
		const char *symbol, *macro;
	} known[] = {
		{ "_text", "KMEND_LINK_START" },
		{ "idle_threads", "KMEND_LINK_IDLE_THREADS" },
		{ "idle_task", "KMEND_LINK_IDLE_TASK" },
		{ "caches_clean_inval_pou", "KMEND_LINK_CLEAN" },
	};
	guint64 address;
	for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
		if (only_symbol(image, known[i].symbol, &address))
			g_string_append_printf(text, "#define %s 0x%" G_GINT64_MODIFIER "xUL\n", known[i].macro,
					       address);
}

/* All are one unit: a file's own way to include its neighbours is for readers. */
static gboolean add_part(GString *text, const char *name, GError **error)
{
	g_autofree char *path = g_strconcat(ROOT, name, NULL);
	g_autoptr(GBytes) bytes = g_resource_lookup_data(km_runtime_get_resource(), path, 0, error);
	if (!bytes)
		return FALSE;
	gsize size;
	const char *data = g_bytes_get_data(bytes, &size);
	g_autofree char *content = g_strndup(data, size);
	g_auto(GStrv) lines = g_strsplit(content, "\n", 0);
	g_string_append_printf(text, "#line 1 \"kmend-runtime/%s\"\n", name);
	for (char **line = lines; *line; line++)
		g_string_append_printf(text, "%s\n", g_str_has_prefix(*line, "#include \"") ? "" : *line);
	return TRUE;
}

static char *runtime_source(const KmImage *image, GError **error)
{
	g_autoptr(GString) text =
		g_string_new("#define INCLUDE_VERMAGIC\n#include <linux/module.h>\n#include <linux/vermagic.h>\n");
	g_string_append_printf(text, "#define KMEND_CRC %s\n", KM_PATCHDATA_CRC_TEXT);
	add_symbols(text, image);
	if (!add_anchors(text, image, error) || !add_build_id(text, image, error))
		return NULL;
	for (gsize i = 0; i < G_N_ELEMENTS(parts); i++)
		if (!add_part(text, parts[i], error))
			return NULL;
	return g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- the module ---- */

static gboolean finish(KmKernel *kernel, const KmImage *image, KmObject *object, const char *output, GError **error)
{
	KmLayout layout;
	guint none = 0;
	g_autoptr(GHashTable) refs = g_hash_table_new(g_str_hash, g_str_equal);
	KmEmit emit = {
		.image = image, .kernel = kernel, .layout = &layout, .refs = refs, .name = KM_PATCHDATA_MODULE
	};
	g_free(object->path);
	object->path = g_strdup(output);
	return km_template_layout(object, &layout, error) && km_emit(object, &emit, &none, error) &&
	       km_object_write(object, output, error);
}

static gboolean build(KmKernel *kernel, const KmImage *image, const char *source, const char *output, GError **error)
{
	g_autoptr(KmTempDir) temp = km_tempdir_new(NULL, "kmend-runtime", error);
	g_autoptr(KmModuleTools) tools = temp ? km_module_tools(kernel, source, error) : NULL;
	g_autoptr(KmObject) compiled = tools ? km_object_read(tools->template_object, error) : NULL;
	g_autofree char *path = temp ? g_build_filename(temp->path, "runtime.o", NULL) : NULL;
	if (!compiled || !km_object_write(compiled, path, error) || !km_objtool_run(kernel, tools, path, error))
		return FALSE;
	g_autoptr(KmObject) object = km_object_read(path, error);
	return object && finish(kernel, image, object, output, error);
}

gboolean km_runtime_build(KmKernel *kernel, const char *output, KmProgress *progress, GError **error)
{
	if (!km_runtime_check(kernel, error))
		return FALSE;
	km_progress_set(progress, "making kmend's runtime for %s", kernel->name);
	km_tempdir_sweep(NULL, "kmend-runtime");
	g_autoptr(KmImage) image = km_image_open(kernel->image, error);
	g_autofree char *source = image ? runtime_source(image, error) : NULL;
	return source && build(kernel, image, source, output, error);
}
