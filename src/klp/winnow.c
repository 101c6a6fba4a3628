/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/winnow.h"

#include <string.h>

#include "base/error.h"
#include "diff/diff.h"
#include "kernel/narrow.h"

/* Units to have seen before an estimate means anything. */
#define MIN_SEEN 8

typedef struct {
	KmCompiler *compiler;
	KmHeaderCounts *counts;
	KmProgress *progress;
	guint total;
	gint64 started;
	GMutex mutex; /* guards what follows, and counts */
	guint done;
	GHashTable *reading; /* set of directories in which the unit that was asked last reads a touched file */
	guint failed; /* the first unit with an error; what comes after it does not matter any more */
	GError *error;
} Winnow;

typedef struct {
	Winnow *winnow;
	KmUnit *unit;
	guint index;
} Task;

char *km_winnow_estimate(guint done, guint total, gint64 elapsed_us)
{
	if (done < MIN_SEEN || done >= total)
		return g_strdup("");
	gint64 seconds = elapsed_us / done * (total - done) / G_USEC_PER_SEC;
	if (seconds < 90)
		return g_strdup_printf("about %u s left", (guint)MAX(seconds, 1));
	return g_strdup_printf("about %u min left", (guint)((seconds + 59) / 60));
}

/* Assembly must have the same lines; C must mean the same. */
static KmTexts compare_sides(const KmUnit *unit, const char *original, const char *patched)
{
	if (!g_str_has_suffix(unit->source, ".S"))
		return km_narrow_texts(original, patched);
	return km_narrow_assembly(original, patched) ? KM_TEXTS_SAME : KM_TEXTS_DIFFER;
}

static gboolean compare_texts(Winnow *w, const KmUnit *unit, KmTexts *verdict, GError **error)
{
	/* Where both sides fail it is not the patch's fault. */
	g_autofree char *original = km_compiler_preprocess(w->compiler, unit, FALSE, error);
	g_autofree char *patched = original ? km_compiler_preprocess(w->compiler, unit, TRUE, error) : NULL;
	if (!patched)
		return FALSE;
	*verdict = compare_sides(unit, original, patched);
	return TRUE;
}

/* Whatever is not the same for certain is for the build itself to look at, and to complain about. */
static gboolean objects_differ(const KmUnit *unit)
{
	KmObject *original = km_object_read(unit->original, NULL);
	KmObject *patched = original ? km_object_read(unit->patched, NULL) : NULL;
	g_autoptr(KmDiff) diff = patched ? km_diff_new(original, patched, TRUE, NULL) : NULL;
	gboolean differ = !diff || diff->functions->len || diff->data->len || diff->refused->len;
	g_clear_pointer(&diff, km_diff_free);
	km_object_free(original);
	km_object_free(patched);
	return differ;
}

static void count(Winnow *w, guint *counter)
{
	g_mutex_lock(&w->mutex);
	(*counter)++;
	g_mutex_unlock(&w->mutex);
}

static gboolean same_listing(Winnow *w, const KmUnit *unit)
{
	g_autofree char *original = km_compiler_list(w->compiler, unit, FALSE, NULL);
	g_autofree char *patched = original ? km_compiler_list(w->compiler, unit, TRUE, NULL) : NULL;
	return patched && !strcmp(original, patched);
}

/* What we cannot patch must stay the same: if it changes, a live patch without it would be half of the patch. */
static gboolean look_at_unpatchable(Winnow *w, const KmUnit *unit, GError **error)
{
	gboolean assembly = g_str_has_suffix(unit->source, ".S");
	KmTexts verdict = KM_TEXTS_DIFFER;
	g_autoptr(GError) local = NULL;
	if (!compare_texts(w, unit, &verdict, &local))
		return km_refuse(error, "%s may change with the headers of the patch, and cannot be looked at (%s): %s",
				 unit->source, local->message, unit->unpatchable);
	if (verdict == KM_TEXTS_SAME || (!assembly && (verdict == KM_TEXTS_UNUSED || same_listing(w, unit))))
		return TRUE;
	return km_refuse(error, "%s changes with the headers of the patch: %s", unit->source, unit->unpatchable);
}

/*
 * To ask what a unit reads pays where it reads nothing that is touched: km_reach() takes in too many. Neighbours are alike; where one
 * read it, only every so many are asked.
 */
static gboolean reads_touched(Winnow *w, const KmUnit *unit, guint index)
{
	g_autofree char *dir = g_path_get_dirname(unit->source);
	g_mutex_lock(&w->mutex);
	gboolean likely = g_hash_table_contains(w->reading, dir);
	g_mutex_unlock(&w->mutex);
	if (likely && index % MIN_SEEN)
		return TRUE;
	gboolean reads = km_compiler_reads_touched(w->compiler, unit);
	g_mutex_lock(&w->mutex);
	if (reads)
		g_hash_table_add(w->reading, g_steal_pointer(&dir));
	else
		g_hash_table_remove(w->reading, dir);
	g_mutex_unlock(&w->mutex);
	return reads;
}

static gboolean look_at(Winnow *w, KmUnit *unit, guint index, GError **error)
{
	if (unit->unpatchable)
		return look_at_unpatchable(w, unit, error);
	KmTexts verdict = KM_TEXTS_SAME;
	if (reads_touched(w, unit, index) && !compare_texts(w, unit, &verdict, error))
		return FALSE;
	if (verdict != KM_TEXTS_DIFFER) {
		count(w, &w->counts->narrowed);
		return TRUE;
	}
	if (!km_compiler_unit(w->compiler, unit, error))
		return FALSE;
	count(w, &w->counts->compiled);
	if (unit->original && objects_differ(unit))
		count(w, &w->counts->changed);
	else
		km_compiler_forget(w->compiler, unit);
	return TRUE;
}

static gboolean is_moot(Winnow *w, guint index)
{
	g_mutex_lock(&w->mutex);
	gboolean moot = w->error && w->failed < index;
	g_mutex_unlock(&w->mutex);
	return moot;
}

static void run_task(gpointer data, gpointer unused)
{
	g_autofree Task *task = data;
	Winnow *w = task->winnow;
	g_autoptr(GError) local = NULL;
	if (is_moot(w, task->index))
		return;
	gboolean ok = look_at(w, task->unit, task->index, &local);
	g_mutex_lock(&w->mutex);
	if (!ok && (!w->error || task->index < w->failed)) {
		g_clear_error(&w->error);
		w->error = g_steal_pointer(&local);
		w->failed = task->index;
	}
	guint done = ++w->done, changed = w->counts->changed;
	g_mutex_unlock(&w->mutex);
	g_autofree char *left = km_winnow_estimate(done, w->total, g_get_monotonic_time() - w->started);
	km_progress_set(w->progress, "units that a header reaches: %u of %u, %u change%s%s (%s)", done, w->total,
			changed, *left ? ", " : "", left, task->unit->source);
}

static gboolean run(Winnow *w, GPtrArray *units, guint jobs, GError **error)
{
	g_autoptr(GError) local = NULL;
	GThreadPool *pool = g_thread_pool_new(run_task, NULL, (gint)jobs, FALSE, &local);
	if (!pool)
		return km_fail(error, "cannot start threads: %s", local->message);
	for (guint i = 0; i < units->len; i++) {
		Task *task = g_new0(Task, 1);
		*task = (Task){ .winnow = w, .unit = units->pdata[i], .index = i };
		g_thread_pool_push(pool, task, NULL);
	}
	g_thread_pool_free(pool, FALSE, TRUE);
	return TRUE;
}

gboolean km_winnow(KmKernel *kernel, const KmOverlay *overlay, const GPtrArray *units, const char *dir, guint jobs,
		   KmHeaderCounts *counts, KmProgress *progress, GError **error)
{
	g_autoptr(GPtrArray) reached = g_ptr_array_new();
	/* First what would refuse the patch. */
	for (guint i = 0; i < units->len; i++)
		if (((const KmUnit *)units->pdata[i])->reached && ((const KmUnit *)units->pdata[i])->unpatchable)
			g_ptr_array_add(reached, units->pdata[i]);
	for (guint i = 0; i < units->len; i++)
		if (((const KmUnit *)units->pdata[i])->reached && !((const KmUnit *)units->pdata[i])->unpatchable)
			g_ptr_array_add(reached, units->pdata[i]);
	if (!reached->len)
		return TRUE;
	g_autoptr(KmCompiler) compiler = km_compiler_new(kernel, overlay, reached->pdata[0], dir, progress, error);
	if (!compiler)
		return FALSE;
	Winnow w = { .compiler = compiler, .counts = counts, .progress = progress, .total = reached->len };
	g_autoptr(GHashTable) reading = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	w.reading = reading;
	w.started = g_get_monotonic_time();
	for (guint i = 0; i < reached->len; i++)
		counts->reached += !((const KmUnit *)reached->pdata[i])->unpatchable;
	g_mutex_init(&w.mutex);
	gboolean ran = run(&w, reached, jobs ? jobs : g_get_num_processors(), error);
	g_mutex_clear(&w.mutex);
	if (w.error)
		g_propagate_error(error, w.error);
	return ran && !w.error;
}
