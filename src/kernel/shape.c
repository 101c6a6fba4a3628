/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/shape.h"

#include <string.h>

#include "base/error.h"
#include "kernel/outline.h"

/* A line of text, from 1; without the newline. "" beyond the end. */
static const char *line_at(char **lines, guint n, guint line)
{
	return line && line <= n ? lines[line - 1] : "";
}

/* Line of the brace in the first column that opens the function's body; 0: it is not written so. */
static guint body_of(char **lines, guint n, const KmThing *function)
{
	gboolean parameters = FALSE;
	for (guint i = function->first; i <= function->last && i <= n; i++) {
		const char *line = line_at(lines, n, i);
		if (*line == '{')
			return parameters ? i : 0;
		parameters |= strchr(line, ')') != NULL;
	}
	return 0;
}

/* Does a struct, union or enum begin within the lines? */
static gboolean defines_type(char **lines, guint n, guint first, guint last)
{
	g_autoptr(GString) text = g_string_new(NULL);
	for (guint i = first; i <= last && i <= n; i++) {
		g_string_append(text, line_at(lines, n, i));
		g_string_append_c(text, '\n');
	}
	return g_regex_match_simple("\\b(struct|union|enum)\\b[^;(){}=,]*\\{", text->str, 0, 0) ||
	       g_regex_match_simple("\\b(struct|union|enum)\\b\\s*__[^;{}=]*\\{", text->str, 0, 0);
}

/* Are these lines surely statements? */
static gboolean only_statements(const GPtrArray *things, char **lines, guint n, guint first, guint count)
{
	for (guint i = first; i < first + count; i++) {
		const char *line = line_at(lines, n, i);
		const char *text = line + strspn(line, " \t");
		if (!*text)
			continue;
		const KmThing *thing = km_outline_at(things, i);
		if (*text == '#' || !thing || thing->kind != KM_THING_FUNCTION)
			return FALSE;
		guint body = body_of(lines, n, thing);
		if (!body || i <= body || defines_type(lines, n, body, thing->last))
			return FALSE;
		/* The line before may be a directive that goes on. */
		if (g_str_has_suffix(line_at(lines, n, i - 1), "\\"))
			return FALSE;
	}
	return TRUE;
}

gboolean km_texts_may_change_types(const char *original, const char *patched, gboolean *may, GError **error)
{
	g_autoptr(GArray) hunks = km_lines_changed(original, patched, error);
	if (!hunks)
		return FALSE;
	g_autoptr(GPtrArray) before = km_outline(original), after = km_outline(patched);
	g_auto(GStrv) old = g_strsplit(original, "\n", -1), new = g_strsplit(patched, "\n", -1);
	guint old_n = g_strv_length(old), new_n = g_strv_length(new);
	*may = FALSE;
	for (guint i = 0; i < hunks->len && !*may; i++) {
		const KmHunk *hunk = &g_array_index(hunks, KmHunk, i);
		*may = !only_statements(before, old, old_n, hunk->old_first, hunk->old_count) ||
		       !only_statements(after, new, new_n, hunk->new_first, hunk->new_count);
	}
	return TRUE;
}

gboolean km_overlay_may_change_types(const KmOverlay *overlay, gboolean *may, GError **error)
{
	*may = FALSE;
	for (guint i = 0; i < overlay->files->len && !*may; i++) {
		const KmTouched *touched = overlay->files->pdata[i];
		g_autofree char *pristine = g_build_filename(overlay->source, touched->path, NULL);
		g_autofree char *original = NULL, *patched = NULL;
		/* A new file can hold any type, and one that goes may have. */
		if (touched->is_deleted || !g_file_get_contents(pristine, &original, NULL, NULL) ||
		    !g_file_get_contents(touched->patched, &patched, NULL, NULL))
			*may = TRUE;
		else if (!km_texts_may_change_types(original, patched, may, error))
			return FALSE;
	}
	return TRUE;
}

/* ---- objects with debug information ---- */

typedef struct {
	KmKernel *kernel;
	const KmOverlay *overlay;
	const KmUnit *unit;
	gboolean patched;
	const char *output;
	GError *error;
} Side;

static gpointer compile_side(gpointer data)
{
	static const char *const flags[] = { "-gdwarf-5", "-c", NULL };
	Side *side = data;
	gboolean ok = km_unit_compile_as(side->kernel, side->overlay, side->unit, side->patched, flags, side->output,
					 &side->error);
	return GINT_TO_POINTER(ok);
}

gboolean km_unit_compile_debug(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, char **original,
			       char **patched, GError **error)
{
	g_autofree char *was = g_strconcat(unit->original, ".debug.o", NULL);
	g_autofree char *now = g_strconcat(unit->patched, ".debug.o", NULL);
	Side sides[] = { { kernel, overlay, unit, FALSE, was, NULL }, { kernel, overlay, unit, TRUE, now, NULL } };
	GThread *thread = g_thread_new("debug", compile_side, &sides[0]);
	gboolean ok = compile_side(&sides[1]) != NULL;
	ok = g_thread_join(thread) != NULL && ok;
	GError *first = sides[0].error ? sides[0].error : sides[1].error;
	if (first)
		g_propagate_error(error, g_error_copy(first));
	g_clear_error(&sides[0].error);
	g_clear_error(&sides[1].error);
	if (!ok)
		return FALSE;
	*original = g_steal_pointer(&was);
	*patched = g_steal_pointer(&now);
	return TRUE;
}

gboolean km_unit_preprocess(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, gboolean patched, char **text,
			    GError **error)
{
	static const char *const flags[] = { "-E", NULL };
	g_autofree char *output = g_strconcat(patched ? unit->patched : unit->original, ".i", NULL);
	g_autoptr(GError) local = NULL;
	if (!km_unit_compile_as(kernel, overlay, unit, patched, flags, output, error))
		return FALSE;
	return g_file_get_contents(output, text, NULL, &local) ||
	       km_fail(error, "cannot read %s: %s", output, local->message);
}
