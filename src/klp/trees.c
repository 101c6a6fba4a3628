/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/trees.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/shape.h"
#include "klp/winnow.h"

typedef struct {
	KmKernel *kernel;
	const KmBuildOptions *options;
	const char *dir;
	GPtrArray *notes;
	GPtrArray *trees; /* of KmTree */
} State;

static void tree_free(gpointer data)
{
	KmTree *tree = data;
	g_clear_pointer(&tree->units, g_ptr_array_unref);
	g_clear_pointer(&tree->overlay, km_overlay_free);
	g_free(tree);
}

/* The kernel's source, then the others; the same one twice would hold each file twice. NULL-ended, owned. */
static char **find_trees(const State *s, GError **error)
{
	g_autoptr(GStrvBuilder) trees = g_strv_builder_new();
	g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_strv_builder_add(trees, s->kernel->source);
	for (const char *const *source = s->options->oot_sources; source && *source; source++) {
		g_autofree char *real = realpath(*source, NULL);
		if (!real)
			return km_fail_null(error, "cannot look at the out-of-tree source %s: %s", *source,
					    g_strerror(errno));
		if (!g_file_test(real, G_FILE_TEST_IS_DIR))
			return km_fail_null(error, "the out-of-tree source %s is not a directory", *source);
		if (g_hash_table_add(known, g_strdup(real)))
			g_strv_builder_add(trees, real);
	}
	return g_strv_builder_end(trees);
}

/* A directory of the work directory for that tree, made. */
static char *tree_dir(const char *dir, const char *kind, guint number, GError **error)
{
	g_autofree char *name = number ? g_strdup_printf("%s-%u", kind, number) : g_strdup(kind);
	g_autofree char *path = g_build_filename(dir, name, NULL);
	return km_make_dirs(path, error) ? g_steal_pointer(&path) : NULL;
}

static gboolean find_tree_units(const State *s, KmTree *tree, GError **error)
{
	if (!tree->number) {
		tree->units = km_units_new(s->kernel, tree->overlay, error);
	} else {
		g_autofree char *kbuild = tree_dir(s->dir, "kbuild", tree->number, error);
		tree->units = kbuild ? km_units_new_external(s->kernel, tree->overlay, kbuild, error) : NULL;
	}
	for (guint i = 0; tree->units && i < tree->units->len; i++)
		((KmUnit *)tree->units->pdata[i])->tests_keys = s->options->runtime == KM_RUNTIME_OWN;
	for (guint i = 0; tree->units && i < tree->overlay->files->len; i++) {
		const KmTouched *touched = tree->overlay->files->pdata[i];
		if (touched->unbuilt)
			g_ptr_array_add(s->notes,
					g_strdup_printf("%s: left out: %s", touched->patch, touched->unbuilt));
	}
	return tree->units != NULL;
}

/* The kernel's overlay, when an out-of-tree source has to see its headers. */
static const KmTree *kernel_headers(const State *s, guint number)
{
	const KmTree *first = number && s->trees->len ? s->trees->pdata[0] : NULL;
	return first && !first->number && first->overlay->farm ? first : NULL;
}

/* What the patches do to one tree. Nothing at all is only an error when it is so for every tree, which the caller sees. */
static gboolean add_tree(State *s, const KmPatches *patches, guint number, GError **error)
{
	g_autofree char *overlay = tree_dir(s->dir, "overlay", number, error);
	const KmTree *below = kernel_headers(s, number);
	g_autoptr(GError) local = NULL;
	if (!overlay)
		return FALSE;
	KmTree *tree = g_new0(KmTree, 1);
	tree->number = number;
	tree->overlay = km_overlay_new_above(patches, number, below ? below->overlay : NULL, overlay, &local);
	if (tree->overlay) {
		g_ptr_array_add(s->trees, tree);
		if (!km_overlay_may_change_types(tree->overlay, &tree->may_change_types, error))
			return FALSE;
		tree->may_change_types |= below && below->may_change_types;
		return find_tree_units(s, tree, error);
	}
	tree_free(tree);
	if (g_error_matches(local, KM_ERROR, KM_ERROR_UNCHANGED))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

static gboolean add_trees(State *s, GError **error)
{
	g_auto(GStrv) sources = find_trees(s, error);
	g_autoptr(KmPatches) patches =
		sources ? km_patches_read(s->options->patches, (const char *const *)sources, error) : NULL;
	if (patches && s->options->allow_scripts)
		km_patches_allow_scripts(patches);
	if (!patches)
		return FALSE;
	for (guint i = 0; sources[i]; i++)
		if ((km_patches_touch(patches, i) || kernel_headers(s, i)) && !add_tree(s, patches, i, error))
			return FALSE;
	if (s->trees->len)
		return TRUE;
	g_set_error(error, KM_ERROR, KM_ERROR_UNCHANGED,
		    "nothing to patch: the patches change no C file of the source");
	return FALSE;
}

GPtrArray *km_trees_new(KmKernel *kernel, const KmBuildOptions *options, const char *dir, GPtrArray *notes,
			GError **error)
{
	g_autoptr(GPtrArray) trees = g_ptr_array_new_with_free_func(tree_free);
	State s = { .kernel = kernel, .options = options, .dir = dir, .notes = notes, .trees = trees };
	return add_trees(&s, error) ? g_steal_pointer(&trees) : NULL;
}

static gboolean compile_tree(KmKernel *kernel, const KmBuildOptions *options, const KmTree *tree, const char *dir,
			     KmHeaderCounts *reached, KmProgress *progress, GError **error)
{
	g_autofree char *objects = tree_dir(dir, "objects", tree->number, error);
	g_autoptr(GPtrArray) touched = g_ptr_array_new();
	for (guint i = 0; i < tree->units->len; i++)
		if (!((const KmUnit *)tree->units->pdata[i])->reached)
			g_ptr_array_add(touched, tree->units->pdata[i]);
	return objects && km_units_compile(kernel, tree->overlay, touched, objects, options->jobs, progress, error) &&
	       km_winnow(kernel, tree->overlay, tree->units, objects, options->jobs, reached, progress, error);
}

gboolean km_trees_compile(KmKernel *kernel, const KmBuildOptions *options, const GPtrArray *trees, const char *dir,
			  KmHeaderCounts *reached, KmProgress *progress, GError **error)
{
	for (guint i = 0; i < trees->len; i++)
		if (!compile_tree(kernel, options, trees->pdata[i], dir, reached, progress, error))
			return FALSE;
	return TRUE;
}

/* Is it compiled already? Units that a header reaches but does not change are not, any more. */
static gboolean has_objects(const KmTree *tree, const KmUnit *unit)
{
	for (guint i = 0; i < tree->units->len; i++) {
		const KmUnit *other = tree->units->pdata[i];
		if (other->original && !strcmp(other->object, unit->object) && !strcmp(other->owner, unit->owner))
			return TRUE;
	}
	return FALSE;
}

GPtrArray *km_trees_call_in(KmKernel *kernel, const KmBuildOptions *options, KmTree *tree, const char *owner,
			    const char *const *sources, const char *dir, KmProgress *progress, GError **error)
{
	/* Objects are named by number within a directory. */
	g_autofree char *name = g_strdup_printf("called-%u", tree->units->len);
	g_autofree char *objects = g_build_filename(dir, name, NULL);
	g_autoptr(GPtrArray) units = km_units_of(kernel, tree->overlay, sources, error);
	for (guint i = units ? units->len : 0; i-- > 0;) {
		KmUnit *unit = units->pdata[i];
		unit->want_clones = options->explain;
		unit->tests_keys = options->runtime == KM_RUNTIME_OWN;
		if (strcmp(unit->owner, owner) || has_objects(tree, unit))
			g_ptr_array_remove_index(units, i);
	}
	if (!units || !km_make_dirs(objects, error) ||
	    (units->len && !km_units_compile(kernel, tree->overlay, units, objects, options->jobs, progress, error)))
		return NULL;
	GPtrArray *added = g_ptr_array_new();
	while (units->len) {
		KmUnit *unit = g_ptr_array_steal_index(units, 0);
		g_ptr_array_add(added, unit);
		g_ptr_array_add(tree->units, unit);
	}
	return added;
}
