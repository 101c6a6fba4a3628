/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "listing/assemble.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "listing/wrap.h"

void km_assembled_free(KmAssembled *assembled)
{
	if (!assembled)
		return;
	g_clear_pointer(&assembled->listing, km_listing_free);
	g_clear_pointer(&assembled->object, km_object_free);
	g_free(assembled);
}

/* ---- assembling ---- */

/* A table for linkers that only clang's own assembler can write. */
static void drop_addrsig(KmListing *listing)
{
	for (guint i = 0; i < listing->lines->len; i++) {
		const KmLine *line = km_listing_line(listing, i);
		if (line->kind == KM_LINE_DIRECTIVE && g_str_has_prefix(line->word, ".addrsig"))
			km_listing_drop(listing, i);
	}
}

static KmObject *run_assembler(const char *assembler, const KmListing *listing, const char *path, const KmArch *arch,
			       GError **error)
{
	g_autoptr(KmTempDir) temp = km_tempdir_new(NULL, "kmend-diff", error);
	GString *text = temp ? km_listing_text(listing) : NULL;
	if (!text)
		return NULL;
	g_autofree char *in = g_build_filename(temp->path, "listing.s", NULL),
			*out = g_build_filename(temp->path, "listing.o", NULL);
	gboolean ok = km_write_file(in, text->str, text->len, error);
	g_string_free(text, TRUE);
	const char *const argv[] = { assembler, "-o", out, in, NULL };
	const KmRunOptions options = { .merge_stderr = TRUE };
	g_autoptr(KmRunResult) result = ok ? km_run(argv, &options, error) : NULL;
	if (!result)
		return NULL;
	if (result->status) {
		/* "listing.s:5: Error: ...", behind a heading */
		const char *why = strstr(result->output, "Error: ");
		g_autofree char *line =
			g_strndup(why ? why : result->output, strcspn(why ? why : result->output, "\n"));
		return km_fail_null(error,
				    "%s does not assemble for %s: %s; give --arch if it is for another architecture",
				    path, arch->name, line);
	}
	KmObject *object = km_object_read(out, error);
	if (object) {
		g_free(object->path);
		object->path = g_strdup(path);
	}
	return object;
}

KmAssembled *km_assemble(const char *path, const KmArch *arch, GError **error)
{
	gsize size;
	g_autoptr(GBytes) bytes = km_read_input(path, error);
	const char *text = bytes ? g_bytes_get_data(bytes, &size) : NULL;
	g_autofree char *assembler = bytes ? km_wrap_assembler(arch) : NULL;
	if (!bytes)
		return NULL;
	if (!assembler)
		return km_fail_null(error, "no assembler for %s: install binutils-%s", arch->name, arch->triplet);
	if (size && memchr(text, 0, size))
		return km_fail_null(error, "%s is no assembly listing: there are zero bytes in it", path);
	g_autoptr(KmAssembled) assembled = g_new0(KmAssembled, 1);
	assembled->listing = km_listing_new(text ? text : "", size, arch->entry->text->comments);
	drop_addrsig(assembled->listing);
	assembled->object = run_assembler(assembler, assembled->listing, path, arch, error);
	return assembled->object ? g_steal_pointer(&assembled) : NULL;
}

/* ---- where they differ ---- */

/* An instruction of a function. */
typedef struct {
	char *text; /* without blanks and the numbers of labels */
	guint line; /* of the listing */
	char *place; /* "file.c:12" or NULL */
} Step;

static void step_clear(gpointer data)
{
	Step *step = data;
	g_free(step->text);
	g_free(step->place);
}

/* ".L12", ".LC3", ".LBB0_1": their numbers are the compiler's own. */
static char *plain_text(const KmLine *line)
{
	GString *out = g_string_new(line->word);
	if (line->args && *line->args)
		g_string_append_c(out, ' ');
	for (const char *p = line->args; p && *p; p++) {
		g_string_append_c(out, g_ascii_isspace(*p) ? ' ' : *p);
		if (p[0] != '.' || p[1] != 'L')
			continue;
		while (g_ascii_isalnum(p[1]) || p[1] == '_' || p[1] == '.')
			if (g_ascii_isalpha(*++p))
				g_string_append_c(out, *p);
	}
	return g_string_free(out, FALSE);
}

/* The files that a listing numbers: ".file 1 "dir" "name"". */
static GHashTable *files_of(const KmListing *listing)
{
	GHashTable *files = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	for (guint i = 0; i < listing->lines->len; i++) {
		const KmLine *line = km_listing_line(listing, i);
		if (line->kind != KM_LINE_DIRECTIVE || strcmp(line->word, ".file") || !g_ascii_isdigit(line->args[0]))
			continue;
		g_auto(GStrv) part = g_strsplit(line->args, "\"", -1);
		guint n = g_strv_length(part);
		const char *name = n >= 5 ? part[3] : n >= 2 ? part[1] : "?";
		g_hash_table_insert(files, GUINT_TO_POINTER((guint)g_ascii_strtoull(line->args, NULL, 10)),
				    g_path_get_basename(name));
	}
	return files;
}

/* ".loc 1 12 5": "name.c:12". Caller owns it. */
static char *place_of(const KmLine *line, GHashTable *files)
{
	char *end;
	guint file = (guint)g_ascii_strtoull(line->args, &end, 10), number = (guint)g_ascii_strtoull(end, NULL, 10);
	const char *name = g_hash_table_lookup(files, GUINT_TO_POINTER(file));
	return name ? g_strdup_printf("%s:%u", name, number) : NULL;
}

static GArray *steps_of(const KmListing *listing, const KmListed *f)
{
	GArray *steps = g_array_new(FALSE, FALSE, sizeof(Step));
	g_autoptr(GHashTable) files = files_of(listing);
	g_autofree char *place = NULL;
	g_array_set_clear_func(steps, step_clear);
	for (guint i = f->label + 1; i < f->end; i++) {
		const KmLine *line = km_listing_line(listing, i);
		if (line->kind == KM_LINE_DIRECTIVE && !strcmp(line->word, ".loc")) {
			g_free(place);
			place = place_of(line, files);
		}
		const Step step = { line->kind == KM_LINE_INSTRUCTION ? plain_text(line)
								      : g_strstrip(g_strdup(line->text)),
				    i + 1, g_strdup(place) };
		if (line->kind == KM_LINE_INSTRUCTION || line->kind == KM_LINE_HAND)
			g_array_append_val(steps, step);
		else
			step_clear((gpointer)&step);
	}
	return steps;
}

static const Step *step_at(const GArray *steps, guint i)
{
	return &g_array_index(steps, Step, i);
}

/* "line 25, `imull edi, edi`", or the function's end. */
static char *tell_step(const GArray *steps, guint i)
{
	return i < steps->len ? g_strdup_printf("line %u of the listing, `%s`", step_at(steps, i)->line,
						step_at(steps, i)->text)
			      : g_strdup("the end of the function");
}

/* "; source lines a.c:12 to a.c:15", from the first differing one up to end. */
static char *tell_source(const GArray *steps, guint from, guint end)
{
	if (from >= end || !step_at(steps, from)->place)
		return g_strdup("");
	const char *first = step_at(steps, from)->place, *last = step_at(steps, end - 1)->place;
	return last && strcmp(first, last) ? g_strdup_printf("; source %s to %s", first, last)
					   : g_strdup_printf("; source %s", first);
}

char *km_listing_difference(const KmListing *original, const KmListing *patched, const char *function)
{
	const KmListed *f = km_listing_find(original, function), *g = km_listing_find(patched, function);
	if (!f || !g)
		return NULL;
	g_autoptr(GArray) a = steps_of(original, f), b = steps_of(patched, g);
	guint from = 0, tail = 0, shorter = MIN(a->len, b->len);
	while (from < shorter && !strcmp(step_at(a, from)->text, step_at(b, from)->text))
		from++;
	if (from == a->len && from == b->len)
		return NULL;
	while (tail < shorter - from &&
	       !strcmp(step_at(a, a->len - 1 - tail)->text, step_at(b, b->len - 1 - tail)->text))
		tail++;
	g_autofree char *was = tell_step(a, from), *is = tell_step(b, from),
			*source = tell_source(b, from, b->len - tail);
	return g_strdup_printf("first differs at %s; was %s%s", is, was, source);
}
