/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The overlay holds each touched file twice, under its path in the tree: patched/ is the exact result of patch(1), compiled/
 * the same with line numbers kept, which is what the compiler reads.
 */
#include "kernel/patch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/patch-file.h"

static void touched_free(KmTouched *touched)
{
	g_free(touched->path);
	g_free(touched->patched);
	g_free(touched->compiled);
	g_free(touched->patch);
	g_free(touched);
}

void km_overlay_free(KmOverlay *overlay)
{
	if (!overlay)
		return;
	g_free(overlay->source);
	g_free(overlay->dir);
	g_ptr_array_unref(overlay->files);
	g_free(overlay);
}

gboolean km_patch_is_prose(const char *path)
{
	static const char *const dirs[] = { "Documentation/", "tools/testing/", "LICENSES/" };
	static const char *const names[] = { "MAINTAINERS", "CREDITS", ".mailmap" };
	for (gsize i = 0; i < G_N_ELEMENTS(dirs); i++)
		if (g_str_has_prefix(path, dirs[i]))
			return TRUE;
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		if (!strcmp(path, names[i]))
			return TRUE;
	return g_str_has_suffix(path, ".rst") || g_str_has_suffix(path, "/.gitignore");
}

static const char *file_type(const char *path)
{
	static const struct {
		const char *suffix, *type;
	} rows[] = {
		{ ".h", "a header" },	    { ".S", "assembly" },
		{ ".s", "assembly" },	    { "Makefile", "a makefile" },
		{ "Kbuild", "a makefile" }, { "Kconfig", "a configuration file" },
		{ ".rs", "Rust" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		if (g_str_has_suffix(path, rows[i].suffix))
			return rows[i].type;
	return "not C";
}

/* The reason why a part of a patch cannot be taken, or FALSE in *error. */
static gboolean check_kind(const char *patch, const KmPatchFile *file, GError **error)
{
	const char *way_out = "headers, new files and assembly are not supported yet; take it out of the patch";
	if (file->kind & KM_PATCH_BINARY)
		return km_refuse(error, "%s:%u: %s is changed as binary data: only text can be live patched", patch,
				 file->line, file->path);
	if (file->kind & KM_PATCH_RENAMED)
		return km_refuse(error,
				 "%s:%u: %s is renamed: renames cannot be live patched; change the file in its place",
				 patch, file->line, file->path);
	if (file->kind & KM_PATCH_NEW)
		return km_refuse(error, "%s:%u: %s is a new file: %s", patch, file->line, file->path, way_out);
	if (file->kind & KM_PATCH_DELETED)
		return km_refuse(error, "%s:%u: %s is deleted: a live patch cannot remove a file", patch, file->line,
				 file->path);
	if (!g_str_has_suffix(file->path, ".c"))
		return km_refuse(error, "%s:%u: %s is %s: %s", patch, file->line, file->path, file_type(file->path),
				 way_out);
	return TRUE;
}

/* The pristine file behind path must be a regular file of the tree itself, reached through no symbolic link. */
static gboolean check_inside(const KmOverlay *overlay, const char *patch, const KmPatchFile *file, GError **error)
{
	g_autofree char *expected = g_build_filename(overlay->source, file->path, NULL);
	g_autofree char *real = realpath(expected, NULL);
	if (!real && errno == ENOENT)
		return km_refuse(error, "%s:%u: %s does not exist in the source %s: is the patch for another version?",
				 patch, file->line, file->path, overlay->source);
	if (!real)
		return km_fail(error, "%s:%u: cannot look at %s: %s", patch, file->line, expected, g_strerror(errno));
	if (strcmp(real, expected))
		return km_refuse(error, "%s:%u: %s is reached through a symbolic link (to %s)", patch, file->line,
				 file->path, real);
	if (!g_file_test(real, G_FILE_TEST_IS_REGULAR))
		return km_refuse(error, "%s:%u: %s is not a regular file", patch, file->line, file->path);
	return TRUE;
}

static gboolean copy_file(const char *from, const char *to, GError **error)
{
	g_autofree char *dir = g_path_get_dirname(to);
	g_autoptr(GBytes) bytes = km_make_dirs(dir, error) ? km_read_file(from, error) : NULL;
	if (!bytes)
		return FALSE;
	g_autoptr(GError) local = NULL;
	if (!g_file_set_contents_full(to, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes),
				      G_FILE_SET_CONTENTS_NONE, 0644, &local))
		return km_fail(error, "cannot write %s: %s", to, local->message);
	return TRUE;
}

static KmTouched *find_touched(const KmOverlay *overlay, const char *path)
{
	for (guint i = 0; i < overlay->files->len; i++) {
		KmTouched *touched = overlay->files->pdata[i];
		if (!strcmp(touched->path, path))
			return touched;
	}
	return NULL;
}

static KmTouched *touch(KmOverlay *overlay, const char *path, GError **error)
{
	KmTouched *touched = find_touched(overlay, path);
	if (touched)
		return touched;
	g_autofree char *from = g_build_filename(overlay->source, path, NULL);
	g_autofree char *to = g_build_filename(overlay->dir, "patched", path, NULL);
	if (!copy_file(from, to, error))
		return NULL;
	touched = g_new0(KmTouched, 1);
	touched->path = g_strdup(path);
	touched->patched = g_steal_pointer(&to);
	touched->compiled = g_build_filename(overlay->dir, "compiled", path, NULL);
	g_ptr_array_add(overlay->files, touched);
	return touched;
}

/* Line of the patch where the hunk begins that patch(1) complains about ("Hunk #2 FAILED at 120."). */
static guint failed_line(const KmPatchFile *file, const char *words)
{
	const char *failed = strstr(words, " FAILED");
	const char *hash = failed ? g_strrstr_len(words, failed - words, "Hunk #") : NULL;
	guint64 number = hash ? g_ascii_strtoull(hash + strlen("Hunk #"), NULL, 10) : 0;
	return number && number <= file->hunks->len ? g_array_index(file->hunks, guint, number - 1) : file->line;
}

/* The line in which patch(1) names the hunk, else all it said. */
static char *failed_words(const char *words)
{
	g_auto(GStrv) lines = g_strsplit(words, "\n", -1);
	for (char **line = lines; *line; line++)
		if (g_str_has_prefix(*line, "Hunk #") && strstr(*line, "FAILED"))
			return g_strdup(*line);
	return g_strchomp(g_strdup(words));
}

static gboolean explain_failure(const char *patch, const KmPatchFile *file, const char *words, GError **error)
{
	if (strstr(words, "previously applied"))
		return km_refuse(
			error,
			"%s:%u: does not apply to %s: the source already has this change, or the patch is reversed",
			patch, file->line, file->path);
	g_autofree char *text = failed_words(words);
	return km_refuse(error, "%s:%u: does not apply to %s: %s Is the patch for another version?", patch,
			 failed_line(file, words), file->path, text);
}

/* Let patch(1) apply one file's hunks. Offsets are fine, fuzz is not: what was not looked at must not be changed. */
static gboolean apply(const KmOverlay *overlay, const char *patch, const KmPatchFile *file, GError **error)
{
	g_autofree char *dir = g_build_filename(overlay->dir, "patched", NULL);
	/* The file is named here: patch(1) has nothing to guess from the text. */
	const char *argv[] = { "patch",	    "--fuzz=0", "--no-backup-if-mismatch",
			       "--forward", "--batch",	"-r",
			       "-",	    "-u",	"-d",
			       dir,	    "--",	file->path,
			       NULL };
	const char *env[] = { "LC_ALL=C",	 "POSIXLY_CORRECT",	 "PATCH_GET=0",
			      "VERSION_CONTROL", "SIMPLE_BACKUP_SUFFIX", NULL };
	KmRunOptions options = { .env = env, .merge_stderr = TRUE, .stdin_text = file->text->str };
	g_autoptr(KmRunResult) result = km_run(argv, &options, error);
	if (!result)
		return FALSE;
	if (result->status > 1)
		return km_fail(error, "%s:%u: patch(1) failed on %s: %s", patch, file->line, file->path,
			       g_strchomp(result->output));
	return result->status == 0 || explain_failure(patch, file, result->output, error);
}

static gboolean add_file(KmOverlay *overlay, const char *patch, const KmPatchFile *file, GError **error)
{
	if (km_patch_is_prose(file->path))
		return TRUE;
	if (!check_kind(patch, file, error) || !check_inside(overlay, patch, file, error))
		return FALSE;
	KmTouched *touched = touch(overlay, file->path, error);
	if (!touched || !apply(overlay, patch, file, error))
		return FALSE;
	g_free(touched->patch);
	touched->patch = g_strdup(patch);
	return TRUE;
}

static gboolean add_patch(KmOverlay *overlay, const KmPatchText *patch, guint tree, GError **error)
{
	for (guint i = 0; i < patch->files->len; i++) {
		const KmPatchFile *file = patch->files->pdata[i];
		if (file->tree == tree && !add_file(overlay, patch->name, file, error))
			return FALSE;
	}
	return TRUE;
}

static char *read_text(const char *path, GError **error)
{
	g_autoptr(GBytes) bytes = km_read_file(path, error);
	if (!bytes)
		return NULL;
	gsize size = 0;
	const char *data = g_bytes_get_data(bytes, &size);
	if (size && memchr(data, '\0', size))
		return km_refuse_null(error, "%s holds NUL bytes: not C source", path);
	return g_strndup(data ? data : "", size);
}

/* Write the text the compiler gets. *same is set when the patches cancel each other out. */
static gboolean finish_file(const KmOverlay *overlay, const KmTouched *touched, gboolean *same, GError **error)
{
	g_autofree char *pristine = g_build_filename(overlay->source, touched->path, NULL);
	g_autofree char *original = read_text(pristine, error);
	g_autofree char *patched = original ? read_text(touched->patched, error) : NULL;
	if (!patched)
		return FALSE;
	*same = !strcmp(original, patched);
	g_autofree char *kept = km_lines_keep(original, patched, pristine, error);
	g_autofree char *dir = g_path_get_dirname(touched->compiled);
	g_autoptr(GError) local = NULL;
	if (!kept || !km_make_dirs(dir, error))
		return FALSE;
	if (!g_file_set_contents_full(touched->compiled, kept, -1, G_FILE_SET_CONTENTS_NONE, 0644, &local))
		return km_fail(error, "cannot write %s: %s", touched->compiled, local->message);
	return TRUE;
}

static gboolean finish(KmOverlay *overlay, GError **error)
{
	for (guint i = overlay->files->len; i-- > 0;) {
		gboolean same = FALSE;
		if (!finish_file(overlay, overlay->files->pdata[i], &same, error))
			return FALSE;
		if (same)
			g_ptr_array_remove_index(overlay->files, i);
	}
	if (overlay->files->len)
		return TRUE;
	g_set_error(error, KM_ERROR, KM_ERROR_UNCHANGED,
		    "nothing to patch: the patches change no C file of the source");
	return FALSE;
}

static gint compare_touched(gconstpointer a, gconstpointer b)
{
	return strcmp((*(const KmTouched *const *)a)->path, (*(const KmTouched *const *)b)->path);
}

KmOverlay *km_overlay_new_of(const KmPatches *patches, guint tree, const char *dir, GError **error)
{
	const char *source = patches->trees[tree];
	g_autofree char *real = realpath(source, NULL);
	if (!real)
		return km_fail_null(error, "cannot look at the source %s: %s", source, g_strerror(errno));
	g_autoptr(KmOverlay) overlay = g_new0(KmOverlay, 1);
	overlay->source = g_strdup(real);
	overlay->dir = g_strdup(dir);
	overlay->files = g_ptr_array_new_with_free_func((GDestroyNotify)touched_free);
	for (guint i = 0; i < patches->texts->len; i++)
		if (!add_patch(overlay, patches->texts->pdata[i], tree, error))
			return NULL;
	g_ptr_array_sort(overlay->files, compare_touched);
	return finish(overlay, error) ? g_steal_pointer(&overlay) : NULL;
}

KmOverlay *km_overlay_new(const char *source, const char *dir, const char *const *patches, GError **error)
{
	const char *const trees[] = { source, NULL };
	g_autoptr(KmPatches) read = km_patches_read(patches, trees, error);
	return read ? km_overlay_new_of(read, 0, dir, error) : NULL;
}
