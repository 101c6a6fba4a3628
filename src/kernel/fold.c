/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/fold.h"

#include <string.h>

typedef struct {
	const char *text;
	gsize size; /* without the line end */
} Line;

static gboolean next_line(const char **p, Line *line)
{
	if (!**p)
		return FALSE;
	const char *newline = strchr(*p, '\n');
	line->text = *p;
	line->size = newline ? (gsize)(newline - *p) : strlen(*p);
	*p = newline ? newline + 1 : *p + line->size;
	return TRUE;
}

static gboolean line_is(const Line *line, const char *start)
{
	gsize n = strlen(start);
	return line->size >= n && !memcmp(line->text, start, n);
}

/*
 * The section that a compiler's .section line names, or NULL. The marks of inline assembly (#APP) are no help to tell whose line
 * it is: gcc leaves them open over its own directives. Tabs, and the check that a function of that name follows, are.
 */
static char *section_name(const Line *line)
{
	const char *start = "\t.section\t";
	if (!line_is(line, start))
		return NULL;
	const char *name = line->text + strlen(start);
	gsize left = line->size - strlen(start), size = 0;
	while (size < left && name[size] != ',')
		size++;
	return g_strndup(name, size);
}

/* Does the line leave the section without naming a new one by .section? */
static gboolean is_switch(const Line *line)
{
	return line_is(line, "\t.text") || line_is(line, "\t.data") || line_is(line, "\t.bss");
}

/* SYMBOL of "\t.type\tSYMBOL, @function", or NULL. */
static char *function_name(const Line *line)
{
	const char *start = "\t.type\t";
	if (!line_is(line, start))
		return NULL;
	const char *comma = memchr(line->text, ',', line->size);
	gsize rest = comma ? line->size - (gsize)(comma - line->text) : 0;
	if (!comma || !g_strstr_len(comma, (gssize)rest, "function"))
		return NULL;
	const char *name = line->text + strlen(start);
	return g_strndup(name, (gsize)(comma - name));
}

/* The part of a function that is split off keeps the section suffix of the whole: foo.cold, and foo.cold.3 in old compilers. */
static gboolean names_function(const char *suffix, const char *function)
{
	gsize n = strlen(suffix);
	return g_str_has_prefix(function, suffix) && (!function[n] || g_str_has_prefix(function + n, ".cold"));
}

/* The section that holds this function without -ffunction-sections, or NULL when section is not made by that option. */
static const char *folded_name(const char *section, const char *function)
{
	static const char *const plain[] = { ".text.unlikely", ".text.hot", ".text.startup", ".text.exit", ".text" };
	for (gsize i = 0; i < G_N_ELEMENTS(plain); i++) {
		gsize n = strlen(plain[i]);
		if (g_str_has_prefix(section, plain[i]) && section[n] == '.' &&
		    names_function(section + n + 1, function))
			return plain[i];
	}
	return NULL;
}

/* Which section becomes which: name -> constant name. A section is the option's when the function in it bears its name. */
static GHashTable *find_sections(const char *listing)
{
	GHashTable *folded = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *section = NULL;
	Line line;
	while (next_line(&listing, &line)) {
		char *name = section_name(&line);
		if (name || is_switch(&line)) {
			g_free(section);
			section = name;
			continue;
		}
		g_autofree char *function = section ? function_name(&line) : NULL;
		const char *plain = function ? folded_name(section, function) : NULL;
		if (plain)
			g_hash_table_insert(folded, g_strdup(section), (gpointer)plain);
	}
	return folded;
}

static void add_folded(GString *out, const Line *line, const char *name, const char *plain)
{
	const char *rest = line->text + strlen("\t.section\t") + strlen(name);
	if (!strcmp(plain, ".text"))
		g_string_append(out, "\t.text");
	else
		g_string_append_printf(out, "\t.section\t%s%.*s", plain, (int)(line->text + line->size - rest), rest);
}

char *km_fold_sections(const char *listing)
{
	g_autoptr(GHashTable) folded = find_sections(listing);
	GString *out = g_string_sized_new(strlen(listing) + 1);
	Line line;
	while (next_line(&listing, &line)) {
		g_autofree char *name = section_name(&line);
		const char *plain = name ? g_hash_table_lookup(folded, name) : NULL;
		if (plain)
			add_folded(out, &line, name, plain);
		else
			g_string_append_len(out, line.text, (gssize)line.size);
		g_string_append_c(out, '\n');
	}
	return g_string_free(out, FALSE);
}
