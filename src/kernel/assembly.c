/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/assembly.h"

#include <string.h>

/* Does the rest of a directive name what is defined for assembly? The kernel's makefiles, and since Linux 6.15 the compiler. */
static gboolean names_assembly(const char *rest)
{
	static const char *const names[] = { "__ASSEMBLY__", "__ASSEMBLER__" };
	g_autofree char *word = g_strstrip(g_strdup(rest));
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		if (!strcmp(word, names[i]))
			return TRUE;
	return FALSE;
}

/* Comments become one blank, as in the compiler; quoted text stays. Caller owns. */
static char *without_comments(const char *text)
{
	GString *out = g_string_sized_new(strlen(text));
	char quote = 0;
	for (const char *p = text; *p; p++) {
		if (!quote && p[0] == '/' && p[1] == '*') {
			const char *end = strstr(p + 2, "*/");
			g_string_append_c(out, ' ');
			p = end ? end + 1 : p + strlen(p) - 1;
			continue;
		}
		if (!quote && p[0] == '/' && p[1] == '/') {
			p += strcspn(p, "\n");
			if (!*p)
				break;
		}
		if (quote && *p == '\\' && p[1])
			g_string_append_c(out, *p++);
		else if (quote)
			quote = *p == quote || *p == '\n' ? 0 : quote;
		else if (*p == '"' || *p == '\'')
			quote = *p;
		g_string_append_c(out, *p);
	}
	return g_string_free(out, FALSE);
}

/* An open #if: hidden is what stands in its present branch. */
typedef struct {
	gboolean about_assembly;
	gboolean hidden;
} Branch;

static gboolean is_hidden(const GArray *branches)
{
	for (guint i = 0; i < branches->len; i++)
		if (g_array_index(branches, Branch, i).hidden)
			return TRUE;
	return FALSE;
}

/* An #if opens, an #else turns, an #endif closes a branch. */
static void follow_directive(GArray *branches, const char *directive)
{
	Branch *inner = branches->len ? &g_array_index(branches, Branch, branches->len - 1) : NULL;
	if (g_str_has_prefix(directive, "if")) {
		gboolean without = g_str_has_prefix(directive, "ifndef"), with = g_str_has_prefix(directive, "ifdef");
		Branch branch = { .about_assembly =
					  (without || with) && names_assembly(directive + (without ? 6 : 5)) };
		branch.hidden = branch.about_assembly && without;
		g_array_append_val(branches, branch);
	} else if (inner && g_str_has_prefix(directive, "else")) {
		inner->hidden = inner->about_assembly && !inner->hidden;
	} else if (inner && g_str_has_prefix(directive, "elif")) {
		/* Whatever that asks: it counts. */
		*inner = (Branch){ 0 };
	} else if (inner && g_str_has_prefix(directive, "endif")) {
		g_array_set_size(branches, branches->len - 1);
	}
}

static void append_words(GString *out, const char *line)
{
	g_auto(GStrv) words = g_strsplit_set(line, " \t\r\f\v", -1);
	for (char **word = words; *word; word++)
		if (**word)
			g_string_append_printf(out, "%s ", *word);
}

/* The text as assembly sees it, blanks made equal. Caller owns. */
static char *seen_text(const char *text)
{
	g_autofree char *bare = without_comments(text);
	g_auto(GStrv) lines = g_strsplit(bare, "\n", -1);
	g_autoptr(GArray) branches = g_array_new(FALSE, FALSE, sizeof(Branch));
	GString *out = g_string_new(NULL);
	gboolean continued = FALSE;
	for (char **line = lines; *line; line++) {
		const char *code = *line + strspn(*line, " \t");
		gsize length = strlen(*line);
		if (*code == '#' && !continued)
			follow_directive(branches, code + 1 + strspn(code + 1, " \t"));
		continued = length && (*line)[length - 1] == '\\';
		if (is_hidden(branches) || !*code)
			continue;
		append_words(out, *line);
		g_string_append_c(out, '\n');
	}
	return g_string_free(out, FALSE);
}

gboolean km_assembly_sees(const char *original, const char *patched)
{
	g_autofree char *before = seen_text(original), *after = seen_text(patched);
	return strcmp(before, after) != 0;
}
