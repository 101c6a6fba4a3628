/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

#include <string.h>

/* Longer lines are shortened in messages. */
#define MAX_SHOWN 60

/* ---- makefiles ---- */

/* Does the line end with a backslash that continues it? Two of them are one that does not. */
static gboolean is_continued(const char *line)
{
	gsize n = strlen(line), count = 0;
	while (count < n && line[n - 1 - count] == '\\')
		count++;
	return count % 2;
}

/* Lines as make sees them: continuations joined. */
static GPtrArray *logical_lines(const char *text)
{
	GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
	g_auto(GStrv) parts = g_strsplit(text, "\n", -1);
	g_autoptr(GString) line = g_string_new(NULL);
	for (char **part = parts; *part; part++) {
		gboolean more = is_continued(*part);
		g_string_append_len(line, *part, (gssize)strlen(*part) - more);
		if (more && part[1]) {
			g_string_append_c(line, ' ');
			continue;
		}
		g_ptr_array_add(lines, g_strdup(line->str));
		g_string_truncate(line, 0);
	}
	return lines;
}

static gboolean is_recipe(const char *line)
{
	return *line == '\t';
}

/*
 * Where a comment begins; the end when there is none. After a semicolon a shell may read the line, and inside parentheses a
 * function: there a '#' is left alone, and so compared.
 */
static gsize comment_at(const char *line)
{
	int depth = 0;
	for (gsize i = 0; line[i]; i++) {
		if (line[i] == '(' || line[i] == '{')
			depth++;
		else if (line[i] == ')' || line[i] == '}')
			depth--;
		else if (line[i] == ';')
			break;
		else if (line[i] == '#' && !depth && !(i && line[i - 1] == '\\'))
			return i;
	}
	return strlen(line);
}

/* Without comment, and with single blanks; recipes and the bodies of definitions stay as they are, a shell may read them. */
static char *simplify(const char *line, gboolean raw)
{
	if (raw || is_recipe(line))
		return g_strdup(line);
	g_autofree char *code = g_strndup(line, comment_at(line));
	g_auto(GStrv) words = g_strsplit_set(code, " \t\r", -1);
	GString *simple = g_string_new(NULL);
	for (char **word = words; *word; word++)
		if (**word)
			g_string_append_printf(simple, "%s%s", simple->len ? " " : "", *word);
	return g_string_free(simple, FALSE);
}

static gboolean consists_of(const char *text, gsize size, const char *more)
{
	for (gsize i = 0; i < size; i++)
		if (!g_ascii_isalnum(text[i]) && !strchr(more, text[i]))
			return FALSE;
	return size > 0;
}

/* The end of a list's name: "y", "m", "objs", "$(CONFIG_X)". */
static gboolean is_list_ending(const char *ending)
{
	static const char option[] = "$(CONFIG_";
	if (!strcmp(ending, "y") || !strcmp(ending, "m") || !strcmp(ending, "objs"))
		return TRUE;
	gsize size = strlen(ending);
	return g_str_has_prefix(ending, option) && ending[size - 1] == ')' &&
	       consists_of(ending + strlen(option), size - strlen(option) - 1, "_");
}

/* "obj-y", "lib-$(CONFIG_X)", "ext4-objs". Some names that look like it are no lists of objects of this directory. */
static gboolean is_list_name(const char *name)
{
	static const char *const others[] = { "ccflags", "asflags",   "ldflags",   "rustflags",	   "subdir-ccflags",
					      "core",	 "drivers",   "libs",	   "subdir-asflags", "head",
					      "net",	 "always",    "extra",	   "targets",	   "subdir",
					      "init",	 "hostprogs", "userprogs", "generated",	   "virt" };
	const char *dash = g_strrstr(name, "-$(");
	dash = dash ? dash : strrchr(name, '-');
	if (!dash || !is_list_ending(dash + 1))
		return FALSE;
	g_autofree char *stem = g_strndup(name, (gsize)(dash - name));
	for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
		if (!strcmp(stem, others[i]))
			return FALSE;
	return consists_of(stem, strlen(stem), "_-");
}

static gboolean is_list_word(const char *word)
{
	gboolean kind = g_str_has_suffix(word, ".o") || g_str_has_suffix(word, "/");
	return kind && (g_ascii_isalnum(*word) || *word == '_') && consists_of(word, strlen(word), "_-./") &&
	       !strstr(word, "..");
}

/* A simplified line that only names objects. */
static gboolean is_list(const char *line)
{
	g_auto(GStrv) words = g_strsplit(line, " ", -1);
	if (g_strv_length(words) < 2 || !is_list_name(words[0]))
		return FALSE;
	if (strcmp(words[1], "+=") && strcmp(words[1], ":=") && strcmp(words[1], "="))
		return FALSE;
	for (char **word = words + 2; *word; word++)
		if (!is_list_word(*word))
			return FALSE;
	return TRUE;
}

/* A text in which lines are not what they look like. */
static gboolean is_strange(const char *line)
{
	return strstr(line, ".RECIPEPREFIX") || strstr(line, ".ONESHELL") || strstr(line, ".POSIX");
}

typedef struct {
	GPtrArray *rest; /* of char*: simplified lines that are no object lists, in order */
	GPtrArray *all; /* of char*: all simplified lines that say something */
	gboolean strange;
} Makefile;

static void makefile_clear(Makefile *m)
{
	g_clear_pointer(&m->rest, g_ptr_array_unref);
	g_clear_pointer(&m->all, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Makefile, makefile_clear)

static Makefile read_makefile(const char *text)
{
	Makefile m = { .rest = g_ptr_array_new_with_free_func(g_free),
		       .all = g_ptr_array_new_with_free_func(g_free) };
	g_autoptr(GPtrArray) lines = logical_lines(text);
	guint defines = 0;
	for (guint i = 0; i < lines->len; i++) {
		g_autofree char *line = simplify(lines->pdata[i], defines > 0);
		g_autofree char *bare = g_strstrip(g_strdup(line));
		m.strange |= is_strange(line);
		defines += g_str_has_prefix(bare, "define ") || g_str_has_prefix(bare, "override define ") ||
			   g_str_has_prefix(bare, "export define ");
		if (*bare)
			g_ptr_array_add(m.all, g_strdup(line));
		if (*bare && (defines || is_recipe(line) || !is_list(line)))
			g_ptr_array_add(m.rest, g_strdup(line));
		defines -= defines && g_str_has_prefix(bare, "endef");
	}
	return m;
}

static char *shorten(const char *line)
{
	g_autofree char *text = g_strstrip(g_strdup(line));
	return strlen(text) > MAX_SHOWN ? g_strdup_printf("%.*s...", MAX_SHOWN, text) : g_steal_pointer(&text);
}

/* The first row of patched that original does not have at that place; TRUE when all are the same. */
static gboolean same_rows(const GPtrArray *original, const GPtrArray *patched, char **line)
{
	guint at = 0;
	while (at < original->len && at < patched->len && !strcmp(original->pdata[at], patched->pdata[at]))
		at++;
	if (at == original->len && at == patched->len)
		return TRUE;
	if (line)
		*line = at < patched->len ? shorten(patched->pdata[at]) : NULL;
	return FALSE;
}

KmScriptChange km_script_makefile(const char *original, const char *patched, char **line)
{
	g_auto(Makefile) before = read_makefile(original);
	g_auto(Makefile) after = read_makefile(patched);
	*line = NULL;
	if (same_rows(before.all, after.all, NULL))
		return KM_SCRIPT_SAME;
	if (!same_rows(before.rest, after.rest, line))
		return KM_SCRIPT_OTHER;
	return before.strange || after.strange ? KM_SCRIPT_OTHER : KM_SCRIPT_LISTS;
}

/* ---- Kconfig ---- */

static guint indentation(const char *line)
{
	guint column = 0;
	for (; *line == ' ' || *line == '\t'; line++)
		column = *line == '\t' ? (column | 7) + 1 : column + 1;
	return column;
}

/* Lines that say something about the configuration: no comments, no help texts. */
static GPtrArray *read_kconfig(const char *text)
{
	GPtrArray *rows = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) lines = logical_lines(text);
	gboolean help = FALSE;
	guint column = 0;
	for (guint i = 0; i < lines->len; i++) {
		g_autofree char *bare = g_strstrip(g_strdup(lines->pdata[i]));
		g_autofree char *line = simplify(bare, FALSE);
		guint own = indentation(lines->pdata[i]);
		/* The first line of a help text decides how far it is moved in; it ends where one is less so. */
		column = help && !column && *bare ? own : column;
		help = help && (!*bare || (own && own >= column));
		if (help || !*bare)
			continue;
		if (*line)
			g_ptr_array_add(rows, g_strdup(line));
		help = !strcmp(bare, "help") || !strcmp(bare, "---help---");
		column = 0;
	}
	return rows;
}

KmScriptChange km_script_kconfig(const char *original, const char *patched, char **line)
{
	g_autoptr(GPtrArray) before = read_kconfig(original);
	g_autoptr(GPtrArray) after = read_kconfig(patched);
	*line = NULL;
	return same_rows(before, after, line) ? KM_SCRIPT_SAME : KM_SCRIPT_OTHER;
}
