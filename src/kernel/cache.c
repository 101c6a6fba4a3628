/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/cache.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "kernel/record.h"

char *km_kernel_cache_dir(GError **error)
{
	const char *set = g_getenv("KMEND_CACHE");
	g_autofree char *dir = set && *set ? g_canonicalize_filename(set, NULL)
					   : g_build_filename(g_get_user_cache_dir(), "kmend", NULL);
	if (!km_make_dirs(dir, error)) {
		g_prefix_error(error, "the cache (set KMEND_CACHE to a writable place): ");
		return NULL;
	}
	return g_steal_pointer(&dir);
}

gboolean km_cache_check_name(const char *name, GError **error)
{
	gboolean good = g_ascii_isalnum(name[0]) && strlen(name) < 128;
	for (const char *c = name; good && *c; c++)
		good = g_ascii_isalnum(*c) || strchr(".+~_-", *c);
	if (good)
		return TRUE;
	g_set_error(error, KM_ERROR, KM_ERROR_USAGE,
		    "'%s' is no name of a kernel: letters, digits and . + ~ _ - only, led by a letter or digit", name);
	return FALSE;
}

char *km_cache_kernel_dir(const char *cache, const char *name)
{
	return g_build_filename(cache, "kernel", name, NULL);
}

/* Is somebody holding it now? Only to tell the user why we wait. */
static gboolean is_held(const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return FALSE;
	gboolean held = flock(fileno(file), LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
	fclose(file);
	return held;
}

KmLock *km_cache_lock(const char *cache, const char *kind, const char *name, KmProgress *progress, GError **error)
{
	g_autofree char *file = g_strdup_printf("%s-%s", kind, name);
	g_autofree char *dir = g_build_filename(cache, "lock", NULL);
	g_autofree char *path = g_build_filename(dir, file, NULL);
	if (!km_make_dirs(dir, error))
		return NULL;
	if (is_held(path))
		km_progress_set(progress, "waiting for another kmend that works on %s %s", kind, name);
	return km_lock_new(path, error);
}

gboolean km_cache_publish(const char *staged, const char *final, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(final);
	if (!km_make_dirs(parent, error))
		return FALSE;
	if (rename(staged, final) == 0)
		return TRUE;
	return km_fail(error, "cannot move %s to %s: %s", staged, final, g_strerror(errno));
}

gboolean km_cache_discard(const char *cache, const char *path, GError **error)
{
	g_autofree char *tmp = g_build_filename(cache, "tmp", NULL);
	if (!km_make_dirs(tmp, error))
		return FALSE;
	g_autoptr(KmTempDir) trash = km_tempdir_new(tmp, "kmend", error);
	if (!trash)
		return FALSE;
	g_autofree char *target = g_build_filename(trash->path, "removed", NULL);
	if (rename(path, target))
		return km_fail(error, "cannot remove %s: %s", path, g_strerror(errno));
	return km_remove_tree(target, error);
}

void km_stage_free(KmStage *stage)
{
	if (!stage)
		return;
	km_tempdir_free(stage->temp);
	km_lock_free(stage->lock);
	g_free(stage->cache);
	g_free(stage->name);
	g_free(stage->final);
	g_free(stage->dir);
	g_free(stage);
}

KmStage *km_stage_new(const char *cache, const char *name, KmProgress *progress, GError **error)
{
	g_autofree char *tmp = g_build_filename(cache, "tmp", NULL);
	if (!km_cache_check_name(name, error) || !km_make_dirs(tmp, error))
		return NULL;
	km_tempdir_sweep(tmp, "kmend");

	g_autoptr(KmStage) stage = g_new0(KmStage, 1);
	stage->cache = g_strdup(cache);
	stage->name = g_strdup(name);
	stage->final = km_cache_kernel_dir(cache, name);
	stage->lock = km_cache_lock(cache, "kernel", name, progress, error);
	if (!stage->lock)
		return NULL;
	stage->temp = km_tempdir_new(tmp, "kmend", error);
	if (!stage->temp)
		return NULL;
	stage->dir = g_build_filename(stage->temp->path, "kernel", NULL);
	g_autofree char *work = g_build_filename(stage->dir, "work", NULL);
	return km_make_dirs(work, error) ? g_steal_pointer(&stage) : NULL;
}

KmKernel *km_stage_commit(KmStage *stage, json_t *record, GError **error)
{
	gboolean written = km_record_write(stage->dir, record, error);
	json_decref(record);
	if (!written || !km_cache_publish(stage->dir, stage->final, error))
		return NULL;
	return km_kernel_load(stage->cache, stage->name, error);
}
