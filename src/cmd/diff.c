/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend diff [--json] [--same-lines] [-o OUT.o] ORIG.o PATCHED.o */
#include <stdio.h>

#include "base/error.h"
#include "cmd/cmd.h"
#include "diff/diff.h"

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

gboolean km_cmd_diff(int argc, char **argv, int *exit_code, GError **error)
{
	gboolean json = FALSE, same_lines = FALSE;
	g_autofree char *output = NULL;
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL },
		{ "same-lines", 0, 0, G_OPTION_ARG_NONE, &same_lines,
		  "Unchanged lines have the same numbers in both: a number that differs is a change", NULL },
		{ "output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "Write the changed functions and what they need",
		  "OUT.o" },
		G_OPTION_ENTRY_NULL,
	};
	if (!km_cmd_parse(&argc, &argv, "ORIG.o PATCHED.o",
			  "Which functions and data differ between two objects made from one source file, and why.",
			  entries, error))
		return FALSE;
	if (argc != 3) {
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE,
			    "give two objects, the original and the patched one; see `kmend diff --help`");
		return FALSE;
	}
	g_autoptr(KmObject) original = km_object_read(argv[1], error);
	g_autoptr(KmObject) patched = original ? km_object_read(argv[2], error) : NULL;
	g_autoptr(KmDiff) diff = patched ? km_diff_new(original, patched, same_lines, error) : NULL;
	return diff && finish(diff, output, json, exit_code, error);
}
