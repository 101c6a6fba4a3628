/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Patches read once, and each of their files given to the source tree that holds it. */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/patch-file.h"
#include "kernel/patch.h"

static void patch_text_free(gpointer data)
{
	KmPatchText *text = data;
	g_free(text->name);
	g_ptr_array_unref(text->files);
	g_free(text);
}

void km_patches_free(KmPatches *patches)
{
	if (!patches)
		return;
	g_ptr_array_unref(patches->texts);
	g_strfreev(patches->trees);
	g_free(patches);
}

void km_patches_allow_scripts(KmPatches *patches)
{
	patches->allow_scripts = TRUE;
}

static gboolean holds(const char *tree, const char *path)
{
	g_autofree char *full = g_build_filename(tree, path, NULL);
	return g_file_test(full, G_FILE_TEST_EXISTS);
}

/* A new file is looked for by its directory. */
static char *what_to_find(const KmPatchFile *file)
{
	return file->kind & KM_PATCH_NEW ? g_path_get_dirname(file->path) : g_strdup(file->path);
}

/* The trees that hold the file, as bits; *first is one of them. */
static guint count_trees(const KmPatches *patches, const KmPatchFile *file, guint *first)
{
	g_autofree char *path = what_to_find(file);
	guint found = 0;
	for (guint i = 0; patches->trees[i]; i++)
		if (holds(patches->trees[i], path) && !found++)
			*first = i;
	return found;
}

/*
 * What says nothing about the kernel it is in. Directories of that name (tools/) may hold sources of a module, so where an
 * out-of-tree source could be meant, its rules count.
 */
static gboolean is_prose(const KmPatches *patches, const KmPatchFile *file)
{
	guint tree = 0;
	gboolean inside = count_trees(patches, file, &tree) == 1 && !tree;
	return km_patch_is_prose(file->path, TRUE) || (inside && km_patch_is_prose(file->path, FALSE));
}

/* What many directories have, and what none has yet: such a file goes where the other files of its patch go. */
static gboolean goes_along(const KmPatchFile *file)
{
	g_autofree char *base = g_path_get_basename(file->path);
	return file->kind & KM_PATCH_NEW || !strcmp(base, "Makefile") || !strcmp(base, "Kbuild");
}

static char *list_trees(const KmPatches *patches, const KmPatchFile *file, gboolean holding)
{
	g_autofree char *path = what_to_find(file);
	g_autoptr(GString) list = g_string_new(NULL);
	for (guint i = 0; patches->trees[i]; i++)
		if (holds(patches->trees[i], path) == holding)
			g_string_append_printf(list, "%s%s", list->len ? ", " : "", patches->trees[i]);
	return g_string_free(g_steal_pointer(&list), FALSE);
}

static gboolean refuse_ambiguous(const KmPatches *patches, const char *patch, const KmPatchFile *file, GError **error)
{
	g_autofree char *list = list_trees(patches, file, TRUE);
	return km_refuse(error,
			 "%s:%u: %s could be in any of several sources (%s): give fewer sources, or one patch for each",
			 patch, file->line, file->path, list);
}

/*
 * Files that exactly one tree holds. KM_NO_TREE stays with those that go along; *home is the tree of the others, if one. That only the
 * kernel has a directory (include/) says little about a new file in it: a module can get one of that name.
 */
static gboolean assign_certain(const KmPatches *patches, const KmPatchText *text, guint *home, GError **error)
{
	gboolean several = FALSE;
	for (guint i = 0; i < text->files->len; i++) {
		KmPatchFile *file = text->files->pdata[i];
		guint tree = 0, found = count_trees(patches, file, &tree);
		g_autofree char *list = NULL;
		gboolean certain = found == 1 && !(file->kind & KM_PATCH_NEW && !tree);
		file->tree = certain ? tree : KM_NO_TREE;
		if (is_prose(patches, file) || (goes_along(file) && !certain))
			continue;
		if (found > 1)
			return refuse_ambiguous(patches, text->name, file, error);
		if (!found) {
			list = list_trees(patches, file, FALSE);
			return km_refuse(error, "%s:%u: %s is in none of the sources (%s)", text->name, file->line,
					 file->path, list);
		}
		several |= *home != KM_NO_TREE && *home != tree;
		*home = tree;
	}
	if (several)
		*home = KM_NO_TREE;
	return TRUE;
}

static gboolean assign(const KmPatches *patches, const KmPatchText *text, GError **error)
{
	guint home = KM_NO_TREE;
	if (!assign_certain(patches, text, &home, error))
		return FALSE;
	for (guint i = 0; i < text->files->len; i++) {
		KmPatchFile *file = text->files->pdata[i];
		if (file->tree != KM_NO_TREE || is_prose(patches, file))
			continue;
		guint tree = home;
		if (home == KM_NO_TREE && count_trees(patches, file, &tree) != 1)
			return refuse_ambiguous(patches, text->name, file, error);
		file->tree = tree;
	}
	return TRUE;
}

static KmPatchText *read_patch(const char *name, GError **error)
{
	g_autoptr(GBytes) bytes = km_read_input(name, error);
	if (!bytes)
		return NULL;
	gsize size = 0;
	const char *text = g_bytes_get_data(bytes, &size);
	if (!size)
		return km_refuse_null(error, "%s: the patch is empty", name);
	GPtrArray *files = km_patch_parse(name, text, size, error);
	if (!files)
		return NULL;
	KmPatchText *patch = g_new0(KmPatchText, 1);
	patch->name = g_strdup(name);
	patch->files = files;
	return patch;
}

KmPatches *km_patches_read(const char *const *names, const char *const *trees, GError **error)
{
	g_autoptr(KmPatches) patches = g_new0(KmPatches, 1);
	patches->texts = g_ptr_array_new_with_free_func(patch_text_free);
	patches->trees = g_strdupv((char **)trees);
	if (!names || !*names)
		return km_refuse_null(error, "no patch was given");
	for (const char *const *name = names; *name; name++) {
		KmPatchText *text = read_patch(*name, error);
		if (!text)
			return NULL;
		g_ptr_array_add(patches->texts, text);
		/* With one tree the overlay has better words for what it does not hold. */
		if (patches->trees[1] && !assign(patches, text, error))
			return NULL;
	}
	return g_steal_pointer(&patches);
}

gboolean km_patches_touch(const KmPatches *patches, guint tree)
{
	for (guint i = 0; i < patches->texts->len; i++) {
		const KmPatchText *text = patches->texts->pdata[i];
		for (guint k = 0; k < text->files->len; k++)
			if (((const KmPatchFile *)text->files->pdata[k])->tree == tree)
				return TRUE;
	}
	return FALSE;
}
