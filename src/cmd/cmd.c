/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

gboolean km_cmd_print_json(json_t *root, GError **error)
{
	if (!root)
		return km_fail(error, "the result cannot be told as JSON: a name in it is not UTF-8");
	int failed = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(root);
	if (failed || putchar('\n') == EOF || fflush(stdout))
		return km_fail(error, "cannot write JSON to standard output: %s", g_strerror(errno));
	return TRUE;
}

static const GOptionEntry *find_short(const GOptionEntry *entries, char letter)
{
	for (; entries->long_name; entries++)
		if (entries->short_name == letter)
			return entries;
	return NULL;
}

/* In "-qj4": where the value "4" of -j begins; NULL when the word has no value of its own in it. */
static char *glued_value(const GOptionEntry *entries, char *word)
{
	if (word[0] != '-' || word[1] == '-')
		return NULL;
	for (char *letter = word + 1; *letter; letter++) {
		const GOptionEntry *entry = find_short(entries, *letter);
		if (!entry)
			return NULL;
		if (entry->arg != G_OPTION_ARG_NONE)
			return letter[1] ? letter + 1 : NULL;
	}
	return NULL;
}

/* GOption wants the value of a short option in a word of its own. New words go to strings, the rest stays as it is. */
static GPtrArray *separate_values(int argc, char **argv, const GOptionEntry *entries, GPtrArray *strings)
{
	GPtrArray *words = g_ptr_array_new();
	gboolean options = TRUE;
	for (int i = 0; i < argc; i++) {
		options = options && strcmp(argv[i], "--");
		char *value = i && options ? glued_value(entries, argv[i]) : NULL;
		if (value) {
			g_ptr_array_add(strings, g_strndup(argv[i], (gsize)(value - argv[i])));
			g_ptr_array_add(words, strings->pdata[strings->len - 1]);
		}
		g_ptr_array_add(words, value ? value : argv[i]);
	}
	g_ptr_array_add(words, NULL);
	return words;
}

static gboolean parse_words(GOptionContext *context, int *argc, char **argv, const GOptionEntry *entries,
			    GError **error)
{
	g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) words = separate_values(*argc, argv, entries, strings);
	char **left = (char **)words->pdata;
	int n = (int)words->len - 1;
	if (!g_option_context_parse(context, &n, &left, error))
		return FALSE;
	/* No more than there were: only options were taken apart, and those are gone. */
	memcpy(argv, left, ((gsize)n + 1) * sizeof(*left));
	*argc = n;
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
	if (parse_words(context, argc, *argv, entries, &local))
		return TRUE;
	g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "%s; see `%s --help`", local->message, program);
	return FALSE;
}
