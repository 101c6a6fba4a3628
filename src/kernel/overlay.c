/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The overlay holds each touched file twice, under its path in the tree: patched/ is the exact result of patch(1), compiled/
 * the same with line numbers kept, which is what the compiler reads. A .c file finds everything else in the pristine tree; where
 * headers are touched, whatever includes them must find them first, which takes a farm.
 */
#include "kernel/patch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/external.h"
#include "kernel/farm.h"
#include "kernel/kind.h"
#include "kernel/patch-file.h"
#include "kernel/script.h"

/* Tens of thousands of links are made and removed in memory in a second, and on a busy disk in minutes. */
#define MEMORY_DIR "/dev/shm"

static void touched_free(KmTouched *touched)
{
	g_free(touched->path);
	g_free(touched->patched);
	g_free(touched->compiled);
	g_free(touched->patch);
	g_free(touched->unbuilt);
	g_free(touched);
}

void km_overlay_free(KmOverlay *overlay)
{
	if (!overlay)
		return;
	g_free(overlay->source);
	g_free(overlay->dir);
	g_ptr_array_unref(overlay->files);
	g_free(overlay->farm);
	km_tempdir_free(overlay->farm_dir);
	g_free(overlay);
}

gboolean km_patch_is_prose(const char *path, gboolean outside)
{
	const char *why;
	return km_file_kind(path, outside, &why) == KM_FILE_PROSE;
}

/* The reason why a part of a patch cannot be taken, or FALSE in *error. */
static gboolean check_kind(const char *patch, const KmPatchFile *file, KmFileKind kind, const char *why, GError **error)
{
	if (file->kind & KM_PATCH_BINARY)
		return km_refuse(error, "%s:%u: %s is changed as binary data: only text can be live patched", patch,
				 file->line, file->path);
	if (file->kind & KM_PATCH_RENAMED)
		return km_refuse(error,
				 "%s:%u: %s is renamed: renames cannot be live patched; change the file in its place",
				 patch, file->line, file->path);
	if (kind == KM_FILE_REFUSED)
		return km_refuse(error, "%s:%u: %s is %s", patch, file->line, file->path, why);
	gboolean script = kind == KM_FILE_MAKEFILE || kind == KM_FILE_KCONFIG;
	if (script && file->kind & (KM_PATCH_NEW | KM_PATCH_DELETED))
		return km_refuse(
			error,
			"%s:%u: %s is a build script that the patch %s: new directories and lost ones cannot be "
			"live patched; list new objects in a makefile that is there",
			patch, file->line, file->path, file->kind & KM_PATCH_NEW ? "adds" : "removes");
	return TRUE;
}

/* No directory on the way to path may be a symbolic link; those that do not exist yet are none. */
static gboolean check_way(const KmOverlay *overlay, const char *patch, const KmPatchFile *file, GError **error)
{
	g_autofree char *dir = g_build_filename(overlay->source, file->path, NULL);
	char *real = NULL;
	while (!real) {
		char *above = g_path_get_dirname(dir);
		g_free(dir);
		dir = above;
		real = realpath(dir, NULL);
	}
	gboolean same = !strcmp(real, dir);
	free(real);
	return same || km_refuse(error, "%s:%u: %s is reached through a symbolic link", patch, file->line, file->path);
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

/* Put what the tree has at path, if anything, where patch(1) will find it. */
static KmTouched *touch(KmOverlay *overlay, const char *path, KmFileKind kind, GError **error)
{
	KmTouched *touched = find_touched(overlay, path);
	if (touched)
		return touched;
	g_autofree char *from = g_build_filename(overlay->source, path, NULL);
	g_autofree char *to = g_build_filename(overlay->dir, "patched", path, NULL);
	g_autofree char *dir = g_path_get_dirname(to);
	gboolean is_new = !g_file_test(from, G_FILE_TEST_EXISTS);
	if (is_new ? !km_make_dirs(dir, error) : !copy_file(from, to, error))
		return NULL;
	touched = g_new0(KmTouched, 1);
	touched->path = g_strdup(path);
	touched->patched = g_steal_pointer(&to);
	touched->compiled = g_build_filename(overlay->dir, "compiled", path, NULL);
	touched->is_source = kind == KM_FILE_C;
	touched->is_makefile = kind == KM_FILE_MAKEFILE || kind == KM_FILE_KCONFIG;
	touched->is_new = is_new;
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

/* Does the patch meet the file in the state it speaks of? An earlier patch may have made or removed it. */
static gboolean check_state(const KmOverlay *overlay, const char *patch, const KmPatchFile *file, GError **error)
{
	const KmTouched *earlier = find_touched(overlay, file->path);
	g_autofree char *pristine = g_build_filename(overlay->source, file->path, NULL);
	gboolean exists = g_file_test(earlier ? earlier->patched : pristine, G_FILE_TEST_EXISTS);
	gboolean wanted = !(file->kind & KM_PATCH_NEW);
	if (wanted && !exists && earlier)
		return km_refuse(error, "%s:%u: %s was removed by an earlier patch", patch, file->line, file->path);
	if (!wanted && exists)
		return km_refuse(
			error,
			"%s:%u: %s is a new file in the patch, but the kernel source has one of that name: the "
			"source already has this change, or the patch is for another version",
			patch, file->line, file->path);
	if (!check_way(overlay, patch, file, error))
		return FALSE;
	return !wanted || earlier || check_inside(overlay, patch, file, error);
}

/* patch(1) leaves an empty file where it has deleted everything. */
static gboolean settle_file(KmTouched *touched, const char *patch, const KmPatchFile *file, GError **error)
{
	g_free(touched->patch);
	touched->patch = g_strdup(patch);
	g_autofree char *text = NULL;
	gsize size = 0;
	if (!(file->kind & KM_PATCH_DELETED))
		return TRUE;
	if (g_file_get_contents(touched->patched, &text, &size, NULL) && size)
		return km_refuse(error,
				 "%s:%u: the patch deletes %s but not all of its text: is it for another version?",
				 patch, file->line, file->path);
	if (unlink(touched->patched) && errno != ENOENT)
		return km_fail(error, "cannot remove %s: %s", touched->patched, g_strerror(errno));
	return TRUE;
}

static gboolean add_file(KmOverlay *overlay, const char *patch, const KmPatchFile *file, GError **error)
{
	const char *why = NULL;
	KmFileKind kind = km_file_kind(file->path, overlay->outside, &why);
	if (kind == KM_FILE_PROSE)
		return TRUE;
	if (!check_kind(patch, file, kind, why, error) || !check_state(overlay, patch, file, error))
		return FALSE;
	KmTouched *touched = touch(overlay, file->path, kind, error);
	return touched && apply(overlay, patch, file, error) && settle_file(touched, patch, file, error);
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

static gboolean refuse_script(const KmTouched *touched, const char *line, GError **error)
{
	g_autofree char *base = g_path_get_basename(touched->path);
	const char *kind = g_str_has_prefix(base, "Kconfig") ? "the configuration of the running kernel cannot change"
							     : "build scripts can run commands on this machine";
	const char *way_out =
		g_str_has_prefix(base, "Kconfig")
			? "take it out of the patch"
			: "only plain object lists (obj-y += file.o) are taken, others with --allow-build-scripts";
	return km_refuse(error, "%s: %s changes in more than %s (%s): %s; %s", touched->patch, touched->path,
			 g_str_has_prefix(base, "Kconfig") ? "its help texts" : "its object lists",
			 line ? line : "lines are removed", kind, way_out);
}

/* What the top makefiles say has gone into everything that was built. */
static gboolean is_for_all(const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *above = g_path_get_dirname(dir);
	return !strcmp(dir, ".") || !strcmp(above, "arch");
}

/* *same is set when nothing that is built changes. */
static gboolean judge_script(const KmOverlay *overlay, const KmTouched *touched, const char *original,
			     const char *patched, gboolean *same, GError **error)
{
	g_autofree char *base = g_path_get_basename(touched->path);
	g_autofree char *line = NULL;
	gboolean kconfig = g_str_has_prefix(base, "Kconfig");
	KmScriptChange change =
		kconfig ? km_script_kconfig(original, patched, &line) : km_script_makefile(original, patched, &line);
	*same = change == KM_SCRIPT_SAME;
	if (*same)
		return TRUE;
	if (!kconfig && !overlay->outside && is_for_all(touched->path))
		return km_refuse(
			error,
			"%s: %s changes (%s): it rules over everything the running kernel was built from; take it "
			"out of the patch",
			touched->patch, touched->path, line ? line : "object lists");
	if (change == KM_SCRIPT_LISTS || (overlay->allow_scripts && !kconfig))
		return TRUE;
	return refuse_script(touched, line, error);
}

static gboolean write_compiled(const KmTouched *touched, const char *text, GError **error)
{
	g_autofree char *dir = g_path_get_dirname(touched->compiled);
	g_autoptr(GError) local = NULL;
	if (!km_make_dirs(dir, error))
		return FALSE;
	if (!g_file_set_contents_full(touched->compiled, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, &local))
		return km_fail(error, "cannot write %s: %s", touched->compiled, local->message);
	return TRUE;
}

/* Write the text the compiler gets. *same is set when the patches cancel each other out. */
static gboolean finish_file(const KmOverlay *overlay, KmTouched *touched, gboolean *same, GError **error)
{
	g_autofree char *pristine = g_build_filename(overlay->source, touched->path, NULL);
	touched->is_deleted = !g_file_test(touched->patched, G_FILE_TEST_EXISTS);
	*same = touched->is_new && touched->is_deleted;
	if (touched->is_deleted)
		return TRUE;
	g_autofree char *original = touched->is_new ? g_strdup("") : read_text(pristine, error);
	g_autofree char *patched = original ? read_text(touched->patched, error) : NULL;
	if (!patched)
		return FALSE;
	*same = !touched->is_new && !strcmp(original, patched);
	if (!*same && touched->is_makefile && !judge_script(overlay, touched, original, patched, same, error))
		return FALSE;
	if (*same || touched->is_makefile || touched->is_new)
		return *same || write_compiled(touched, patched, error);
	/* In a farm a file keeps the name it was included by. */
	g_autofree char *kept = km_lines_keep(original, patched, overlay->wants_farm ? NULL : pristine, error);
	return kept && write_compiled(touched, kept, error);
}

static gboolean is_plain(const KmTouched *touched)
{
	return touched->is_source && !touched->is_new && g_file_test(touched->patched, G_FILE_TEST_EXISTS);
}

static gboolean finish(KmOverlay *overlay, GError **error)
{
	overlay->wants_farm = overlay->below != NULL;
	for (guint i = 0; i < overlay->files->len; i++)
		overlay->wants_farm |= !is_plain(overlay->files->pdata[i]);
	for (guint i = overlay->files->len; i-- > 0;) {
		gboolean same = FALSE;
		if (!finish_file(overlay, overlay->files->pdata[i], &same, error))
			return FALSE;
		if (same)
			g_ptr_array_remove_index(overlay->files, i);
	}
	if (overlay->files->len || overlay->below)
		return TRUE;
	g_set_error(error, KM_ERROR, KM_ERROR_UNCHANGED,
		    "nothing to patch: the patches change no C file of the source");
	return FALSE;
}

static gboolean link_touched(const KmOverlay *overlay, const KmTouched *touched, GError **error)
{
	if (touched->is_deleted)
		return TRUE;
	g_autofree char *link = g_build_filename(overlay->farm, touched->path, NULL);
	g_autofree char *dir = g_path_get_dirname(link);
	if (!km_make_dirs(dir, error))
		return FALSE;
	return !symlink(touched->compiled, link) || km_fail(error, "cannot write %s: %s", link, g_strerror(errno));
}

/*
 * What an out-of-tree source includes by "..", from beside it, must be found from the farm too: its whole path stands once more in
 * the farm's directory.
 */
static gboolean place_farm(KmOverlay *overlay, GError **error)
{
	g_autofree char *root = realpath(overlay->farm_dir->path, NULL);
	overlay->farm =
		g_strconcat(root ? root : overlay->farm_dir->path, overlay->outside ? overlay->source : "", NULL);
	return !overlay->outside ||
	       (km_external_make_way(root ? root : overlay->farm_dir->path, overlay->source, error) &&
		km_make_dirs(overlay->farm, error));
}

static gboolean plant_in(KmOverlay *overlay, const char *parent, const char *arch, GError **error)
{
	g_clear_pointer(&overlay->farm_dir, km_tempdir_free);
	g_clear_pointer(&overlay->farm, g_free);
	km_tempdir_sweep(parent, "kmend-farm");
	overlay->farm_dir = km_tempdir_new(parent, "kmend-farm", error);
	if (!overlay->farm_dir)
		return FALSE;
	if (!place_farm(overlay, error))
		return FALSE;
	g_autoptr(GHashTable) paths = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < overlay->files->len; i++)
		g_hash_table_add(paths, ((KmTouched *)overlay->files->pdata[i])->path);
	const KmFarm farm = { .source = overlay->source,
			      .dir = overlay->farm,
			      .arch = overlay->outside ? NULL : arch,
			      .touched = paths };
	if (!km_farm_plant(&farm, error))
		return FALSE;
	for (guint i = 0; i < overlay->files->len; i++)
		if (!link_touched(overlay, overlay->files->pdata[i], error))
			return FALSE;
	return TRUE;
}

gboolean km_overlay_plant(KmOverlay *overlay, const char *arch, GError **error)
{
	if (overlay->farm || !overlay->wants_farm)
		return TRUE;
	/* It may be missing, or too small. */
	return plant_in(overlay, MEMORY_DIR, arch, NULL) || plant_in(overlay, NULL, arch, error);
}

static gint compare_touched(gconstpointer a, gconstpointer b)
{
	return strcmp((*(const KmTouched *const *)a)->path, (*(const KmTouched *const *)b)->path);
}

KmOverlay *km_overlay_new_above(const KmPatches *patches, guint tree, const KmOverlay *below, const char *dir,
				GError **error)
{
	const char *source = patches->trees[tree];
	g_autofree char *real = realpath(source, NULL);
	if (!real)
		return km_fail_null(error, "cannot look at the source %s: %s", source, g_strerror(errno));
	g_autoptr(KmOverlay) overlay = g_new0(KmOverlay, 1);
	overlay->source = g_strdup(real);
	overlay->dir = g_strdup(dir);
	overlay->allow_scripts = patches->allow_scripts;
	overlay->outside = tree > 0;
	overlay->below = below;
	overlay->files = g_ptr_array_new_with_free_func((GDestroyNotify)touched_free);
	for (guint i = 0; i < patches->texts->len; i++)
		if (!add_patch(overlay, patches->texts->pdata[i], tree, error))
			return NULL;
	g_ptr_array_sort(overlay->files, compare_touched);
	return finish(overlay, error) ? g_steal_pointer(&overlay) : NULL;
}

KmOverlay *km_overlay_new_of(const KmPatches *patches, guint tree, const char *dir, GError **error)
{
	return km_overlay_new_above(patches, tree, NULL, dir, error);
}

KmOverlay *km_overlay_new(const char *source, const char *dir, const char *const *patches, GError **error)
{
	const char *const trees[] = { source, NULL };
	g_autoptr(KmPatches) read = km_patches_read(patches, trees, error);
	return read ? km_overlay_new_of(read, 0, dir, error) : NULL;
}
