/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/cmd.h"

#include <stdio.h>

#include "base/error.h"

gboolean km_cmd_print_json(json_t *root, GError **error)
{
	int failed = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(root);
	if (failed || putchar('\n') == EOF || fflush(stdout))
		return km_fail(error, "cannot write JSON to standard output: %s", g_strerror(errno));
	return TRUE;
}

gboolean km_cmd_parse(int *argc, char ***argv, const char *synopsis, const char *summary, const GOptionEntry *entries,
		      GError **error)
{
	g_autoptr(GOptionContext) context = g_option_context_new(synopsis);
	g_autoptr(GError) local = NULL;
	g_autofree char *program = g_strconcat("kmend ", (*argv)[0], NULL);

	g_set_prgname(program);
	g_option_context_set_summary(context, summary);
	g_option_context_add_main_entries(context, entries, NULL);
	if (g_option_context_parse(context, argc, argv, &local))
		return TRUE;
	g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "%s; see `%s --help`", local->message, program);
	return FALSE;
}
