/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of `kmend build --explain`. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "klp/story.h"

/* Lists of names are wrapped at this many characters. */
#define LINE_LENGTH 108

/* What a cause says about the function, before its place. */
static char *cause_words(const KmCause *cause)
{
	static const struct {
		const char *how, *words;
	} rows[] = {
		{ "lines", "the patch changes it" },
		{ "inlined", "through the inlined function %s" },
		{ "macro", "through the macro %s" },
		{ "type", "through the type %s" },
		{ "data", "through the variable %s" },
		{ "caller", "it calls %s, which has no entry of its own to redirect" },
		{ "compiler", "no changed line is in it: the compiler treats it differently" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (strcmp(rows[i].how, cause->how))
			continue;
		const char *hole = strstr(rows[i].words, "%s");
		return hole ? g_strdup_printf("%.*s%s%s", (int)(hole - rows[i].words), rows[i].words, cause->through,
					      hole + 2)
			    : g_strdup(rows[i].words);
	}
	return g_strdup(cause->how);
}

static void print_line(const char *label, gboolean first, const char *text)
{
	printf("    %-8s %s\n", first ? label : "", text);
}

static void print_texts(const char *label, const GPtrArray *texts, gboolean continued)
{
	for (guint i = 0; i < texts->len; i++)
		print_line(label, i == 0 && !continued, texts->pdata[i]);
}

static void print_causes(const KmFunctionStory *story)
{
	for (guint i = 0; i < story->causes->len; i++) {
		const KmCause *cause = story->causes->pdata[i];
		g_autofree char *words = cause_words(cause);
		g_autofree char *line =
			cause->file ? g_strdup_printf("%s (%s:%u)", words, cause->file, cause->line) : g_strdup(words);
		print_line("why", i == 0, line);
	}
	print_texts("code", story->reasons, FALSE);
}

/* "name", "name,2" for the second of that name, "name+16". */
static char *use_words(const KmUse *use)
{
	g_autofree char *position = use->sympos > 1 ? g_strdup_printf(",%u", use->sympos) : g_strdup("");
	g_autofree char *offset = use->offset ? g_strdup_printf("%+" G_GINT64_FORMAT, use->offset) : g_strdup("");
	return g_strconcat(use->name, position, offset, NULL);
}

/* Names of one group, as many in a line as fit. */
static void print_group(const char *label, const char *group, const GPtrArray *names)
{
	g_autoptr(GString) line = g_string_new(group);
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		if (line->len + strlen(name) + 2 > LINE_LENGTH) {
			g_string_append_c(line, ',');
			print_line(label, TRUE, line->str);
			label = "";
			g_string_assign(line, " ");
		}
		g_string_append_printf(line, "%s %s", i && line->len > 1 ? "," : "", name);
	}
	print_line(label, TRUE, line->str);
}

static const char *group_of(const KmUse *use)
{
	return use->object ? use->object : !strcmp(use->how, "import") ? "exported" : "inside";
}

/* What it refers to, by who has it. */
static void print_uses(const KmFunctionStory *story)
{
	g_autoptr(GHashTable) done = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < story->uses->len; i++) {
		const char *group = group_of(story->uses->pdata[i]);
		g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
		for (guint k = i; k < story->uses->len; k++)
			if (!strcmp(group_of(story->uses->pdata[k]), group))
				g_ptr_array_add(names, use_words(story->uses->pdata[k]));
		g_autofree char *title = g_strconcat(group, ":", NULL);
		const char *label = g_hash_table_size(done) ? "" : "uses";
		if (g_hash_table_add(done, (gpointer)group))
			print_group(label, title, names);
	}
}

static void print_function(const KmUnitStory *unit, const KmFunctionStory *story)
{
	const char *role = !strcmp(story->role, "carried") ? "replaced through its callers" : story->role;
	if (story->line)
		printf("  %s (%s:%u): %s\n", story->name, unit->source, story->line, role);
	else
		printf("  %s: %s\n", story->name, role);
	print_causes(story);
	print_uses(story);
	print_texts("check", story->checks, FALSE);
}

void km_cmd_print_stories(const GPtrArray *stories)
{
	for (guint i = 0; i < stories->len; i++) {
		const KmUnitStory *unit = stories->pdata[i];
		printf("%s (%s)%s\n", unit->source, unit->owner, unit->functions->len ? "" : ": nothing to patch");
		for (guint k = 0; k < unit->functions->len; k++)
			print_function(unit, unit->functions->pdata[k]);
		print_texts("check", unit->checks, FALSE);
		print_texts("ignored", unit->ignored, FALSE);
	}
}
