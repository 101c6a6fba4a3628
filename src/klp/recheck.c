/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/recheck.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "image/module.h"
#include "klp/own.h"
#include "klp/trees.h"

void km_recheck_layout(const KmLayout *from, KmVerifyLayout *to)
{
	*to = (KmVerifyLayout){
		.module_size = from->module_size,
		.module_name = from->module_name,
		.module_name_len = from->module_name_len,
		.func_size = from->func_size,
		.func_old_name = from->func_old_name,
		.func_new_func = from->func_new_func,
		.func_old_sympos = from->func_old_sympos,
		.object_size = from->object_size,
		.object_name = from->object_name,
		.object_funcs = from->object_funcs,
		.patch_size = from->patch_size,
		.patch_mod = from->patch_mod,
		.patch_objs = from->patch_objs,
		.patch_states = from->patch_states,
		.patch_replace = from->patch_replace,
		.state_size = from->state_size,
		.state_id = from->state_id,
	};
}

gboolean km_recheck_built(KmKernel *kernel, const KmImage *image, const char *path, const char *output, const GPtrArray *units,
			  const KmModuleTools *tools, const KmLayout *layout, const char *const *tables,
			  GError **error)
{
	KmVerifyLayout given;
	km_recheck_layout(layout, &given);
	g_autoptr(KmVerifyUnits) again = km_verify_units_new(kernel, image, units, tools, tables, error);
	KmVerifyInput input = { .kernel = kernel, .image = image, .units = again, .layout = &given };
	g_autoptr(KmObject) module = again ? km_object_read(path, error) : NULL;
	g_autoptr(KmVerify) verify = module ? km_verify(module, &input, error) : NULL;
	return verify && km_verify_passed(verify, output, error);
}

/* What compiling again leaves behind, for as long as the check takes. */
typedef struct {
	KmTempDir *temp;
	GPtrArray *trees; /* of KmTree */
	GPtrArray *units; /* of KmUnit: those of all trees that are compiled */
	KmModuleTools *tools;
	KmLayout layout;
	KmVerifyLayout given;
} Again;

static void again_clear(Again *a)
{
	g_clear_pointer(&a->tools, km_module_tools_free);
	g_clear_pointer(&a->units, g_ptr_array_unref);
	g_clear_pointer(&a->trees, g_ptr_array_unref);
	g_clear_pointer(&a->temp, km_tempdir_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Again, again_clear)

static void list_compiled(Again *a)
{
	a->units = g_ptr_array_new();
	for (guint i = 0; i < a->trees->len; i++) {
		const KmTree *tree = a->trees->pdata[i];
		for (guint k = 0; k < tree->units->len; k++)
			if (((const KmUnit *)tree->units->pdata[k])->original)
				g_ptr_array_add(a->units, tree->units->pdata[k]);
	}
}

/* Units outside the patch that kmend took callers from. The module names them; what it replaces is compared all the same. */
static gboolean call_in_again(Again *a, KmKernel *kernel, const KmBuildOptions *options, const KmObject *module,
			      KmProgress *progress, GError **error)
{
	KmTree *tree = a->trees->pdata[0];
	for (const char *v = NULL; !tree->number && (v = km_module_info_next(module, "kmend_unit", v));) {
		const char *colon = strchr(v, ':');
		const char *const sources[] = { colon ? colon + 1 : "", NULL };
		g_autofree char *owner = g_strndup(v, colon ? (gsize)(colon - v) : 0);
		g_autoptr(GPtrArray) units =
			km_trees_call_in(kernel, options, tree, owner, sources, a->temp->path, progress, error);
		if (!units)
			return FALSE;
	}
	return TRUE;
}

static gboolean compile_again(Again *a, KmKernel *kernel, const KmObject *module, const KmBuildOptions *options, KmProgress *progress,
			      GError **error)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	KmHeaderCounts reached = { 0 };
	km_tempdir_sweep(NULL, "kmend-verify");
	a->temp = km_tempdir_new(NULL, "kmend-verify", error);
	if (!a->temp)
		return FALSE;
	km_progress_set(progress, "applying %u patch(es)", g_strv_length((char **)options->patches));
	a->trees = km_trees_new(kernel, options, a->temp->path, notes, error);
	if (!a->trees || !km_trees_compile(kernel, options, a->trees, a->temp->path, &reached, progress, error) ||
	    !call_in_again(a, kernel, options, module, progress, error))
		return FALSE;
	list_compiled(a);
	return TRUE;
}

/* The parts that all modules of this kernel share, and the layout of its structures. */
static gboolean read_template(Again *a, KmKernel *kernel, gboolean own, GError **error)
{
	a->tools = km_module_tools(kernel, km_template_source(own), error);
	if (a->tools && own)
		km_own_adapt_objtool(a->tools->objtool_argv);
	g_autoptr(KmObject) template_object = a->tools ? km_object_read(a->tools->template_object, error) : NULL;
	if (!template_object || !km_template_layout(template_object, &a->layout, error))
		return FALSE;
	km_recheck_layout(&a->layout, &a->given);
	return TRUE;
}

KmVerify *km_recheck(KmKernel *kernel, const char *path, const KmBuildOptions *given, KmProgress *progress,
		     GError **error)
{
	g_auto(Again) a = { 0 };
	KmBuildOptions settled = *given;
	const KmBuildOptions *options = &settled;
	g_autoptr(KmObject) module = km_module_read(path, error);
	gboolean own = module && km_verify_is_own(module);
	settled.runtime = own ? KM_RUNTIME_OWN : KM_RUNTIME_KERNEL;
	if (!module || (options->oot_modules && !km_kernel_add_modules(kernel, options->oot_modules, error)))
		return NULL;
	g_autoptr(KmImage) image = km_image_open(kernel->image, error);
	if (!image || (options->patches &&
		       (!compile_again(&a, kernel, module, options, progress, error) || !read_template(&a, kernel, own, error))))
		return NULL;
	/* Only where the kernel describes nothing itself. */
	gsize size;
	if (!options->patches && !km_image_btf(image, &size))
		read_template(&a, kernel, own, NULL);
	km_progress_set(progress, "checking %s", path);
	g_autoptr(KmVerifyUnits) units =
		options->patches ? km_verify_units_new(kernel, image, a.units, a.tools, options->allow_tables, error)
				 : NULL;
	if (options->patches && !units)
		return NULL;
	KmVerifyInput input = { .kernel = kernel, .image = image, .units = units, .layout = a.tools ? &a.given : NULL };
	return km_verify(module, &input, error);
}
