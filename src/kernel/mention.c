/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/mention.h"

#include <string.h>
#include <sys/stat.h>

typedef struct {
	const char *tree, *arch, *word;
	GPtrArray *found;
} Search;

static gboolean is_word_char(char c)
{
	return g_ascii_isalnum(c) || c == '_';
}

static gboolean has_word(const char *text, const char *word)
{
	gsize length = strlen(word);
	for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
		if ((p == text || !is_word_char(p[-1])) && !is_word_char(p[length]))
			return TRUE;
	return FALSE;
}

static gboolean is_skipped(const Search *search, const char *dir, const char *name)
{
	static const char *const no_code[] = { "Documentation", "tools", "scripts", "samples", "usr", NULL };
	if (*name == '.' || (!*dir && g_strv_contains(no_code, name)))
		return TRUE;
	return search->arch && !strcmp(dir, "arch") && strcmp(name, search->arch);
}

gboolean km_source_mentions(const char *tree, const char *path, const char *word)
{
	g_autofree char *file = g_build_filename(tree, path, NULL);
	g_autofree char *text = NULL;
	return g_file_get_contents(file, &text, NULL, NULL) && has_word(text, word);
}

static void look(const Search *search, const char *dir)
{
	g_autofree char *full = g_build_filename(search->tree, dir, NULL);
	g_autoptr(GDir) open = g_dir_open(full, 0, NULL);
	const char *name;
	while (open && (name = g_dir_read_name(open))) {
		g_autofree char *path = *dir ? g_build_filename(dir, name, NULL) : g_strdup(name);
		g_autofree char *file = g_build_filename(search->tree, path, NULL);
		struct stat st;
		if (is_skipped(search, dir, name) || lstat(file, &st))
			continue;
		if (S_ISDIR(st.st_mode))
			look(search, path);
		else if (g_str_has_suffix(name, ".c") && km_source_mentions(search->tree, path, search->word))
			g_ptr_array_add(search->found, g_steal_pointer(&path));
	}
}

static gint by_path(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *km_sources_mentioning(const char *tree, const char *arch, const char *word)
{
	const Search search = { tree, arch, word, g_ptr_array_new_with_free_func(g_free) };
	look(&search, "");
	g_ptr_array_sort(search.found, by_path);
	return search.found;
}
