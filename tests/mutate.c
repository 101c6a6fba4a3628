/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proves the checker: takes a finished live patch and the patches it was built from, spoils it in every way we can think of, one at a
 * time, and demands that the check notices each. Usage: mutate KERNEL MODULE.ko STRIDE PATCH...
 * STRIDE: of the bytes, every so many-th is flipped (1: all).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "klp/recheck.h"
#include "mutations.h"

static void die(const char *what, GError *error)
{
	fprintf(stderr, "mutate: %s: %s\n", what, error ? error->message : "?");
	exit(1);
}

/* As a build does it: the kernel's own type information need not know the livepatch core. */
static void read_layout(KmVerifyInput *input, const KmModuleTools *tools, KmVerifyLayout *layout)
{
	GError *error = NULL;
	KmLayout found;
	g_autoptr(KmObject) template_object = km_object_read(tools->template_object, &error);
	if (!template_object || !km_template_layout(template_object, &found, &error))
		die("template", error);
	km_recheck_layout(&found, layout);
	input->layout = layout;
}

static void compile(KmVerifyInput *input, KmVerifyLayout *layout, const char *const *patches, const char *dir)
{
	GError *error = NULL;
	KmProgress *progress = km_progress_new(TRUE);
	g_autofree char *overlay_dir = g_build_filename(dir, "overlay", NULL),
			*objects = g_build_filename(dir, "objects", NULL);
	km_make_dirs(overlay_dir, NULL);
	km_make_dirs(objects, NULL);
	KmOverlay *overlay = km_overlay_new(input->kernel->source, overlay_dir, patches, &error);
	GPtrArray *units = overlay ? km_units_new(input->kernel, overlay, &error) : NULL;
	KmModuleTools *tools = units ? km_module_tools(input->kernel, km_template_source(FALSE), &error) : NULL;
	if (!tools || !km_units_compile(input->kernel, overlay, units, objects, 0, progress, &error))
		die("units", error);
	read_layout(input, tools, layout);
	input->units = km_verify_units_new(input->kernel, input->image, units, tools, NULL, &error);
	if (!input->units)
		die("units", error);
}

/* How many were not noticed. */
static guint report(const GArray *classes)
{
	guint applied = 0, caught = 0;
	for (guint i = 0; i < classes->len; i++) {
		const MutationClass *class = &g_array_index(classes, MutationClass, i);
		printf("%-42s %6u of %6u caught\n", class->name, class->caught, class->applied);
		applied += class->applied;
		caught += class->caught;
	}
	printf("%-42s %6u of %6u caught\n", "all", caught, applied);
	return applied - caught;
}

int main(int argc, char **argv)
{
	GError *error = NULL;
	if (argc < 5)
		return 2;
	KmTempDir *temp = km_tempdir_new(NULL, "kmend-mutate", NULL);
	KmVerifyInput input = { .kernel = km_kernel_open(argv[1], &error) };
	input.image = input.kernel ? km_image_open(input.kernel->image, &error) : NULL;
	GBytes *bytes = km_read_file(argv[2], &error);
	if (!input.image || !bytes)
		die("input", error);
	KmVerifyLayout layout;
	compile(&input, &layout, (const char *const *)argv + 4, temp->path);
	GArray *classes = mutations_run(&input, bytes, argv[2], (guint)MAX(atoi(argv[3]), 1), "");
	guint escaped = report(classes);
	km_tempdir_free(temp);
	return escaped != 0;
}
