/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend diff [--json] [--same-lines] [-o OUT.o] ORIG.o PATCHED.o, or two listings */
#include <stdio.h>

#include "base/error.h"
#include "cmd/cmd.h"
#include "diff/diff.h"
#include "listing/assemble.h"

static const char *status_word(KmStatus status)
{
	return status == KM_NEW ? "new" : status == KM_REMOVED ? "removed" : "changed";
}

static void print_changes(const char *title, const GPtrArray *changes)
{
	if (changes->len)
		printf("%s:\n", title);
	for (guint i = 0; i < changes->len; i++) {
		const KmChange *change = changes->pdata[i];
		printf("  %-8s %s\n", status_word(change->status), change->name);
		for (guint r = 0; r < change->reasons->len; r++)
			printf("           - %s\n", (const char *)change->reasons->pdata[r]);
	}
}

static void print_diff(const KmDiff *diff)
{
	print_changes("functions", diff->functions);
	print_changes("data", diff->data);
	if (diff->refused->len)
		printf("refused:\n");
	for (guint i = 0; i < diff->refused->len; i++) {
		const KmRefusal *refusal = diff->refused->pdata[i];
		printf("  %s\n           - %s\n", refusal->name, refusal->why);
	}
	if (km_diff_empty(diff))
		printf("no difference\n");
}

static gboolean write_extracted(const KmDiff *diff, const char *path, GError **error)
{
	g_autoptr(KmObject) extracted = km_extract(diff, error);
	return extracted && km_object_write(extracted, path, error);
}

static gboolean finish(const KmDiff *diff, const char *output, gboolean json, int *exit_code, GError **error)
{
	gboolean refused = diff->refused->len > 0, empty = km_diff_empty(diff);
	/* Write first: a result on standard output must not be followed by a failure to write. */
	if (output && !refused && !empty && !write_extracted(diff, output, error))
		return FALSE;
	if (json && !km_cmd_print_json(km_diff_to_json(diff), error))
		return FALSE;
	if (!json)
		print_diff(diff);
	*exit_code = refused ? KM_ERROR_REFUSED : empty ? KM_ERROR_UNCHANGED : 0;
	return TRUE;
}

typedef struct {
	gboolean json, same_lines;
	char *output, *arch;
} Options;

static void options_clear(Options *o)
{
	g_free(o->output);
	g_free(o->arch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static gboolean diff_objects(char **paths, const Options *o, int *exit_code, GError **error)
{
	g_autoptr(KmObject) original = km_object_read(paths[0], error);
	g_autoptr(KmObject) patched = original ? km_object_read(paths[1], error) : NULL;
	g_autoptr(KmDiff) diff = patched ? km_diff_new(original, patched, o->same_lines, error) : NULL;
	return diff && finish(diff, o->output, o->json, exit_code, error);
}

/* What the listings tell beyond the objects. */
static void add_places(const KmDiff *diff, const KmAssembled *original, const KmAssembled *patched)
{
	for (guint i = 0; i < diff->functions->len; i++) {
		const KmChange *change = diff->functions->pdata[i];
		char *where = change->status == KM_CHANGED
				      ? km_listing_difference(original->listing, patched->listing, change->name)
				      : NULL;
		if (where)
			g_ptr_array_add(change->reasons, where);
	}
}

static gboolean diff_listings(char **paths, const Options *o, int *exit_code, GError **error)
{
	const KmArch *arch = o->arch ? km_arch_by_name(o->arch) : km_arch_host();
	if (!arch) {
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "unknown architecture %s",
			    o->arch ? o->arch : "of this machine; give --arch");
		return FALSE;
	}
	g_autoptr(KmAssembled) original = km_assemble(paths[0], arch, error);
	g_autoptr(KmAssembled) patched = original ? km_assemble(paths[1], arch, error) : NULL;
	g_autoptr(KmDiff) diff = patched ? km_diff_new(original->object, patched->object, o->same_lines, error) : NULL;
	if (!diff)
		return FALSE;
	add_places(diff, original, patched);
	return finish(diff, o->output, o->json, exit_code, error);
}

gboolean km_cmd_diff(int argc, char **argv, int *exit_code, GError **error)
{
	g_auto(Options) o = { 0 };
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &o.json, "Print JSON", NULL },
		{ "same-lines", 0, 0, G_OPTION_ARG_NONE, &o.same_lines,
		  "Unchanged lines have the same numbers in both: a number that differs is a change", NULL },
		{ "arch", 0, 0, G_OPTION_ARG_STRING, &o.arch, "Of two listings (default: this machine's)", "ARCH" },
		{ "output", 'o', 0, G_OPTION_ARG_FILENAME, &o.output, "Write the changed functions and what they need",
		  "OUT.o" },
		G_OPTION_ENTRY_NULL,
	};
	if (!km_cmd_parse(&argc, &argv, "ORIG.o PATCHED.o | ORIG.s PATCHED.s",
			  "Which functions and data differ between two objects made from one source file, and why. "
			  "Assembly listings are assembled\n"
			  "first; then the place in them is told too, and the source lines if they have any.",
			  entries, error))
		return FALSE;
	if (argc != 3) {
		g_set_error(
			error, KM_ERROR, KM_ERROR_USAGE,
			"give two objects or two listings, the original and the patched one; see `kmend diff --help`");
		return FALSE;
	}
	gboolean first = g_str_has_suffix(argv[1], ".s"), second = g_str_has_suffix(argv[2], ".s");
	if (first != second) {
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "%s is a listing (.s) and %s is not: give two of a kind",
			    argv[first ? 1 : 2], argv[first ? 2 : 1]);
		return FALSE;
	}
	return first ? diff_listings(argv + 1, &o, exit_code, error) : diff_objects(argv + 1, &o, exit_code, error);
}
