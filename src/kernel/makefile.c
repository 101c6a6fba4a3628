/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/makefile.h"

#include <string.h>

/* Composite objects can nest; more than this is a loop. */
#define MAX_DEPTH 8

typedef struct {
	const KmKernel *kernel;
	GPtrArray *options; /* of char*, owned */
} Search;

static char *read_makefile(const KmKernel *kernel, const char *dir)
{
	static const char *const names[] = { "Kbuild", "Makefile" };
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(kernel->source, dir, names[i], NULL);
		char *text = NULL;
		if (g_file_get_contents(path, &text, NULL, NULL))
			return text;
	}
	return NULL;
}

/* Lines with continuations joined. */
static char **logical_lines(const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, "\\\n", -1);
	g_autofree char *joined = g_strjoinv(" ", parts);
	return g_strsplit(joined, "\n", -1);
}

static gboolean has_word(const char *text, const char *word)
{
	g_auto(GStrv) words = g_strsplit_set(text, " \t", -1);
	return g_strv_contains((const char *const *)words, word);
}

/* Note the option in "obj-$(CONFIG_X)" unless it is set. */
static void note_option(Search *search, const char *variable)
{
	const char *start = strstr(variable, "$(CONFIG_");
	const char *end = start ? strchr(start, ')') : NULL;
	if (!end)
		return;
	g_autofree char *option = g_strndup(start + 2, (gsize)(end - start - 2));
	g_autofree char *value = km_kernel_config(search->kernel, option + strlen("CONFIG_"));
	if (!value && !g_ptr_array_find_with_equal_func(search->options, option, g_str_equal, NULL))
		g_ptr_array_add(search->options, g_steal_pointer(&option));
}

static gboolean search_item(Search *search, const char *dir, const char *item, guint depth);

/* "NAME-y", "NAME-objs" or "NAME-$(CONFIG_X)" of a composite object: go on with NAME.o. */
static void follow_composite(Search *search, const char *dir, const char *variable, guint depth)
{
	static const char *const lists[] = { "obj", "lib", "core", "extra", "always", "subdir" };
	const char *dash = g_strrstr(variable, "-$(");
	dash = dash ? dash : strrchr(variable, '-');
	if (!dash)
		return;
	g_autofree char *name = g_strndup(variable, (gsize)(dash - variable));
	for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
		if (!strcmp(name, lists[i]))
			return;
	g_autofree char *object = g_strconcat(name, ".o", NULL);
	search_item(search, dir, object, depth + 1);
}

/* Look for item (an object or "subdir/") on the right side of assignments in dir's makefile. */
static gboolean search_item(Search *search, const char *dir, const char *item, guint depth)
{
	g_autofree char *text = depth < MAX_DEPTH ? read_makefile(search->kernel, dir) : NULL;
	gboolean found = FALSE;
	if (!text)
		return FALSE;
	g_auto(GStrv) lines = logical_lines(text);
	for (char **line = lines; *line; line++) {
		char *equals = strchr(*line, '=');
		if (!equals || !has_word(equals + 1, item))
			continue;
		found = TRUE;
		g_autofree char *variable = g_strndup(*line, strcspn(*line, " \t:+="));
		note_option(search, variable);
		follow_composite(search, dir, variable, depth);
	}
	return found;
}

char *km_makefile_options(const KmKernel *kernel, const char *source)
{
	g_autoptr(GPtrArray) options = g_ptr_array_new_with_free_func(g_free);
	Search search = { .kernel = kernel, .options = options };
	g_autofree char *dir = g_path_get_dirname(source);
	g_autofree char *base = g_path_get_basename(source);
	g_autofree char *item = g_strdup_printf("%.*s.o", (int)(strlen(base) - strlen(".c")), base);
	gboolean listed = FALSE;
	/* From the file's own directory up: whichever makefile lists the object, then each that lists the directory. */
	while (TRUE) {
		listed |= search_item(&search, dir, item, 0);
		if (!strcmp(dir, "."))
			break;
		g_autofree char *name = g_path_get_basename(dir);
		char *above = g_strconcat(name, "/", listed ? "" : item, NULL);
		g_free(item);
		item = above;
		char *parent = g_path_get_dirname(dir);
		g_free(dir);
		dir = parent;
	}
	if (!options->len)
		return NULL;
	g_ptr_array_add(options, NULL);
	return g_strjoinv(", ", (char **)options->pdata);
}
