/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cache directory: names, locks, and the one way something gets in (staged below tmp/, then renamed) and out (renamed
 * into tmp/, then removed). What a killed run leaves is below tmp/ only, and the next run sweeps it.
 */
#pragma once

#include <jansson.h>

#include "base/file.h"
#include "base/progress.h"
#include "kernel/kernel.h"

/* A name that becomes one path component and an argument of programs: letters, digits and ".+~_-", not led by '.' or '-'. */
gboolean km_cache_check_name(const char *name, GError **error);

/* kernel/NAME. Caller owns. */
char *km_cache_kernel_dir(const char *cache, const char *name);

/* Lock "kind-name". Tell the user when another run holds it. */
KmLock *km_cache_lock(const char *cache, const char *kind, const char *name, KmProgress *progress, GError **error);

/* Rename a finished staged directory to its place, which must not exist. */
gboolean km_cache_publish(const char *staged, const char *final, GError **error);

/* Remove a published directory: nobody ever sees half of it. */
gboolean km_cache_discard(const char *cache, const char *path, GError **error);

/* A kernel on its way into the cache. */
typedef struct {
	char *cache, *name;
	char *final; /* kernel/NAME */
	char *dir; /* where it is put together: below tmp/, on the same file system */
	KmLock *lock; /* of the name */
	KmTempDir *temp;
} KmStage;

/* Make the cache's directories, sweep, lock the name, and make the staging directory. */
KmStage *km_stage_new(const char *cache, const char *name, KmProgress *progress, GError **error);
void km_stage_free(KmStage *stage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmStage, km_stage_free)

/* Write record (kernel.json, see record.h) into the staged directory, publish it and open it. Takes the record. */
KmKernel *km_stage_commit(KmStage *stage, json_t *record, GError **error);
