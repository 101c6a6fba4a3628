/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/touched.h"

#include <string.h>

#include "base/error.h"

static void text_free(gpointer data)
{
	KmTouchedText *text = data;
	g_free(text->text);
	g_clear_pointer(&text->things, g_ptr_array_unref);
	g_free(text);
}

static void touched_thing_free(gpointer data)
{
	KmTouchedThing *touched = data;
	g_free(touched->thing->name);
	g_free(touched->thing);
	g_free(touched);
}

void km_touches_free(KmTouches *touches)
{
	if (!touches)
		return;
	g_ptr_array_unref(touches->texts);
	g_ptr_array_unref(touches->things);
	g_free(touches);
}

static char *read_text(const char *path, GError **error)
{
	g_autoptr(GError) local = NULL;
	char *text = NULL;
	if (g_file_get_contents(path, &text, NULL, &local))
		return text;
	return km_fail_null(error, "cannot read %s: %s", path, local->message);
}

/* A file that the patch adds has no original: an empty one. */
static char *read_original(const KmOverlay *overlay, const KmTouched *file, GError **error)
{
	g_autofree char *path = g_build_filename(overlay->source, file->path, NULL);
	return g_file_test(path, G_FILE_TEST_EXISTS) ? read_text(path, error) : g_strdup("");
}

static gboolean is_listed(const KmTouches *touches, const KmTouched *file, const KmThing *thing)
{
	for (guint i = 0; i < touches->things->len; i++) {
		const KmTouchedThing *known = touches->things->pdata[i];
		if (known->file == file && known->thing->kind == thing->kind &&
		    !strcmp(known->thing->name, thing->name))
			return TRUE;
	}
	return FALSE;
}

static void add_lines(KmTouches *touches, const KmTouched *file, const GPtrArray *outline, guint first, guint count,
		      gboolean gone)
{
	for (guint line = first; line < first + count; line++) {
		const KmThing *thing = km_outline_at(outline, line);
		if (!thing || !*thing->name || is_listed(touches, file, thing))
			continue;
		KmTouchedThing *touched = g_new0(KmTouchedThing, 1);
		*touched = (KmTouchedThing){ .file = file, .gone = gone, .line = line };
		touched->thing = g_memdup2(thing, sizeof(*thing));
		touched->thing->name = g_strdup(thing->name);
		g_ptr_array_add(touches->things, touched);
	}
}

/* Where lines only go, the place they went from is what the patched text has to show. */
static void add_hunks(KmTouches *touches, const KmTouchedText *text, const GPtrArray *original, const GArray *hunks)
{
	for (guint i = 0; i < hunks->len; i++) {
		const KmHunk *h = &g_array_index(hunks, KmHunk, i);
		add_lines(touches, text->file, text->things, h->new_first, h->new_count, FALSE);
	}
	for (guint i = 0; i < hunks->len; i++) {
		const KmHunk *h = &g_array_index(hunks, KmHunk, i);
		for (guint line = h->old_first; line < h->old_first + h->old_count; line++) {
			const KmThing *was = km_outline_at(original, line);
			const KmThing *now = was ? km_outline_at(text->things, h->new_first) : NULL;
			if (now && !strcmp(now->name, was->name))
				add_lines(touches, text->file, text->things, h->new_first, 1, FALSE);
			else if (was)
				add_lines(touches, text->file, original, line, 1, TRUE);
		}
	}
}

static gboolean add_file(KmTouches *touches, const KmOverlay *overlay, const KmTouched *file, GError **error)
{
	g_autofree char *original = file->is_new ? g_strdup("") : read_original(overlay, file, error);
	g_autofree char *patched = original ? read_text(file->patched, error) : NULL;
	g_autoptr(GArray) hunks = patched ? km_lines_changed(original, patched, error) : NULL;
	if (!hunks)
		return FALSE;
	g_autoptr(GPtrArray) before = km_outline(original);
	KmTouchedText *text = g_new0(KmTouchedText, 1);
	text->file = file;
	text->things = km_outline(patched);
	text->text = g_steal_pointer(&patched);
	g_ptr_array_add(touches->texts, text);
	add_hunks(touches, text, before, hunks);
	return TRUE;
}

KmTouches *km_touches_new(const KmOverlay *overlay, GError **error)
{
	g_autoptr(KmTouches) touches = g_new0(KmTouches, 1);
	touches->texts = g_ptr_array_new_with_free_func(text_free);
	touches->things = g_ptr_array_new_with_free_func(touched_thing_free);
	for (guint i = 0; i < overlay->files->len; i++) {
		const KmTouched *file = overlay->files->pdata[i];
		if (!file->is_makefile && !file->is_deleted && !add_file(touches, overlay, file, error))
			return NULL;
	}
	return g_steal_pointer(&touches);
}

const KmTouchedText *km_touches_text(const KmTouches *touches, const char *path)
{
	for (guint i = 0; i < touches->texts->len; i++) {
		const KmTouchedText *text = touches->texts->pdata[i];
		if (!strcmp(text->file->path, path))
			return text;
	}
	return NULL;
}
