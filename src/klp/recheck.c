/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/recheck.h"

#include "base/error.h"
#include "base/file.h"
#include "image/module.h"

static void copy_layout(const KmLayout *from, KmVerifyLayout *to)
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
	copy_layout(layout, &given);
	g_autoptr(KmVerifyUnits) again = km_verify_units_new(kernel, image, units, tools, tables, error);
	KmVerifyInput input = { .kernel = kernel, .image = image, .units = again, .layout = &given };
	g_autoptr(KmObject) module = again ? km_object_read(path, error) : NULL;
	g_autoptr(KmVerify) verify = module ? km_verify(module, &input, error) : NULL;
	return verify && km_verify_passed(verify, output, error);
}

/* What compiling again leaves behind, for as long as the check takes. */
typedef struct {
	KmTempDir *temp;
	KmOverlay *overlay;
	GPtrArray *units;
	KmModuleTools *tools;
	KmLayout layout;
	KmVerifyLayout given;
} Again;

static void again_clear(Again *a)
{
	g_clear_pointer(&a->tools, km_module_tools_free);
	g_clear_pointer(&a->units, g_ptr_array_unref);
	g_clear_pointer(&a->overlay, km_overlay_free);
	g_clear_pointer(&a->temp, km_tempdir_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Again, again_clear)

static gboolean compile_again(Again *a, KmKernel *kernel, const char *const *patches, guint jobs, KmProgress *progress,
			      GError **error)
{
	km_tempdir_sweep(NULL, "kmend-verify");
	a->temp = km_tempdir_new(NULL, "kmend-verify", error);
	if (!a->temp)
		return FALSE;
	g_autofree char *overlay = g_build_filename(a->temp->path, "overlay", NULL);
	g_autofree char *objects = g_build_filename(a->temp->path, "objects", NULL);
	km_progress_set(progress, "applying %u patch(es)", g_strv_length((char **)patches));
	return km_make_dirs(overlay, error) && km_make_dirs(objects, error) &&
	       (a->overlay = km_overlay_new(kernel->source, overlay, patches, error)) &&
	       (a->units = km_units_new(kernel, a->overlay, error)) &&
	       km_units_compile(kernel, a->overlay, a->units, objects, jobs, progress, error);
}

/* The parts that all modules of this kernel share, and the layout of its structures. */
static gboolean read_template(Again *a, KmKernel *kernel, GError **error)
{
	a->tools = km_module_tools(kernel, km_template_source(), error);
	g_autoptr(KmObject) template_object = a->tools ? km_object_read(a->tools->template_object, error) : NULL;
	if (!template_object || !km_template_layout(template_object, &a->layout, error))
		return FALSE;
	copy_layout(&a->layout, &a->given);
	return TRUE;
}

KmVerify *km_recheck(KmKernel *kernel, const char *path, const char *const *patches, const char *const *tables, guint jobs,
		     KmProgress *progress, GError **error)
{
	g_auto(Again) a = { 0 };
	g_autoptr(KmObject) module = km_module_read(path, error);
	g_autoptr(KmImage) image = module ? km_image_open(kernel->image, error) : NULL;
	if (!image)
		return NULL;
	if (patches && (!compile_again(&a, kernel, patches, jobs, progress, error) || !read_template(&a, kernel, error)))
		return NULL;
	/* Only where the kernel describes nothing itself. */
	gsize size;
	if (!patches && !km_image_btf(image, &size))
		read_template(&a, kernel, NULL);
	km_progress_set(progress, "checking %s", path);
	g_autoptr(KmVerifyUnits) units =
		patches ? km_verify_units_new(kernel, image, a.units, a.tools, tables, error) : NULL;
	if (patches && !units)
		return NULL;
	KmVerifyInput input = { .kernel = kernel, .image = image, .units = units, .layout = a.tools ? &a.given : NULL };
	return km_verify(module, &input, error);
}
