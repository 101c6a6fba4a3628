/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/scatter.h"

#include <string.h>

typedef struct {
	GString *out;
	GHashTable *rests; /* section name -> what followed its name when it was first named: flags and type */
	char *section; /* the current one when it is shared data, else NULL */
	gsize run; /* in out: where the directives before the next label begin */
	guint n; /* number of the next section */
	gboolean fresh; /* nothing was put into a section of ours since it began */
} Scatter;

static gboolean has_prefix_of(const char *text, const char *const *prefixes)
{
	for (; *prefixes; prefixes++)
		if (g_str_has_prefix(text, *prefixes))
			return TRUE;
	return FALSE;
}

/* Does an attribute make such a name? "..": include/linux/cache.h and percpu-defs.h; the others: include/linux/init.h. */
static gboolean is_shared_data(const char *name, const char *rest)
{
	static const char *const attributes[] = { ".data..",	".bss..",	 ".rodata..",
						  ".init.data", ".init.rodata",	 ".ref.data",
						  ".exit.data", ".meminit.data", NULL };
	const char *flags = *rest ? rest + 1 : "";
	const char *end = *flags == '"' ? strchr(flags + 1, '"') : NULL;
	if (!has_prefix_of(name, attributes) || !end)
		return FALSE;
	/* Merged strings, groups, linked order: others have a say in what becomes of those. */
	for (const char *f = flags + 1; f < end; f++)
		if (!strchr("aw", *f))
			return FALSE;
	return !end[1] || !strchr(end + 2, ',');
}

/* A line "\t.section\tNAME[,rest]" changes what comes; *name is the caller's. */
static void enter_section(Scatter *s, const char *line)
{
	const char *name = line + strlen("\t.section\t");
	g_autofree char *key = g_strndup(name, strcspn(name, ","));
	const char *rest = g_hash_table_lookup(s->rests, key);
	if (!rest || name[strlen(key)] == ',') {
		g_hash_table_insert(s->rests, g_strdup(key), g_strdup(name + strlen(key)));
		rest = g_hash_table_lookup(s->rests, key);
	}
	g_clear_pointer(&s->section, g_free);
	if (is_shared_data(key, rest))
		s->section = g_steal_pointer(&key);
	s->fresh = FALSE;
}

static gboolean leaves_section(const char *line)
{
	static const char *const others[] = { "\t.text",       "\t.data",     "\t.bss", "\t.pushsection",
					      "\t.popsection", "\t.previous", NULL };
	return has_prefix_of(line, others);
}

/* What compilers write about a symbol before its label. */
static gboolean is_about_symbol(const char *line)
{
	static const char *const directives[] = { ".globl",    ".global", ".weak",  ".hidden",	".protected",
						  ".internal", ".local",  ".align", ".p2align", ".balign",
						  ".type",     ".size",	  NULL };
	return has_prefix_of(line + (*line == '\t'), directives);
}

static gboolean is_label(const char *line)
{
	const char *colon = strchr(line, ':');
	return colon && colon > line && (g_ascii_isalpha(*line) || *line == '_') &&
	       !colon[1 + strspn(colon + 1, " \t")];
}

/* The run of directives before this label, and what follows the label, go into a section of their own. */
static void begin_section(Scatter *s)
{
	const char *rest = g_hash_table_lookup(s->rests, s->section);
	const char *type = strchr(strchr(rest + 1, '"') + 1, '"') + 1;
	g_autofree char *line =
		g_strdup_printf("\t.section\t%s%s%s,unique,%u\n", s->section, rest, *type ? "" : ",%progbits", s->n++);
	g_string_insert(s->out, (gssize)s->run, line);
	s->fresh = TRUE;
}

static void take_line(Scatter *s, const char *line)
{
	if (g_str_has_prefix(line, "\t.section\t"))
		enter_section(s, line);
	else if (leaves_section(line))
		g_clear_pointer(&s->section, g_free);
	else if (s->section && is_label(line) && !s->fresh)
		begin_section(s);
	else if (s->section && !is_about_symbol(line) && !is_label(line))
		s->fresh = FALSE;
	g_string_append(s->out, line);
	g_string_append_c(s->out, '\n');
	if (!is_about_symbol(line))
		s->run = s->out->len;
}

char *km_scatter_data(const char *listing)
{
	if (strstr(listing, ".LANCHOR"))
		return g_strdup(listing);
	g_autoptr(GHashTable) rests = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	Scatter s = { .out = g_string_sized_new(strlen(listing) + 4096), .rests = rests };
	g_auto(GStrv) lines = g_strsplit(listing, "\n", -1);
	guint n = g_strv_length(lines);
	/* A text that ends with a line end has nothing after the last one. */
	for (guint i = 0; i < n && (i + 1 < n || *lines[i]); i++)
		take_line(&s, lines[i]);
	g_free(s.section);
	return g_string_free(s.out, FALSE);
}
