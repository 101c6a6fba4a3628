/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A jump label in a compiler's listing, from arch/<any>/include/asm/jump_label.h:
 *
 *	1:jmp .L261 # objtool NOPs this
 *	.pushsection __jump_table,  "aw"
 *	.balign 8
 *	.long 1b - .
 *	.long .L261 - .
 *	.quad __tracepoint_x+8 + 2 - .
 *	.popsection
 *
 * The last addend holds flags: bit 0 says which value of the key means to jump, bit 1 is objtool's.
 */
#include "kernel/keys.h"

#include <stdlib.h>
#include <string.h>

/* A jump label as found between start and end of the listing. */
typedef struct {
	const char *start, *end;
	char *target; /* label to jump to */
	char *key; /* operand: "__tracepoint_x+8" */
	gboolean branch; /* bit 0 of the row's key */
} Site;

static void site_clear(Site *site)
{
	g_free(site->target);
	g_free(site->key);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Site, site_clear)

/* The line at *p without surrounding blanks, and *p after it. NULL at the end. */
static char *take_line(const char **p)
{
	if (!**p)
		return NULL;
	const char *newline = strchr(*p, '\n');
	gsize size = newline ? (gsize)(newline - *p) : strlen(*p);
	char *line = g_strstrip(g_strndup(*p, size));
	*p += size + (newline ? 1 : 0);
	return line;
}

/* What stands between a directive and " - .": "1b - ." -> "1b". NULL when line is no such directive. */
static char *relative_operand(const char *line, const char *const *directives)
{
	for (; *directives; directives++) {
		gsize n = strlen(*directives);
		if (strncmp(line, *directives, n) || !g_ascii_isspace(line[n]))
			continue;
		g_autofree char *rest = g_strstrip(g_strdup(line + n));
		gsize length = strlen(rest);
		if (length <= 3 || strcmp(rest + length - 3, "- ."))
			return NULL;
		rest[length - 3] = '\0';
		return g_strstrip(g_steal_pointer(&rest));
	}
	return NULL;
}

/* "__tracepoint_x+8 + 2": the flags are what is added last. */
static gboolean split_key(Site *site, const char *operand)
{
	const char *plus = g_strrstr(operand, " + ");
	if (!plus)
		return FALSE;
	char *end;
	guint64 flags = g_ascii_strtoull(plus + 3, &end, 10);
	if (end == plus + 3 || *end || flags > 3)
		return FALSE;
	site->key = g_strstrip(g_strndup(operand, (gsize)(plus - operand)));
	site->branch = flags & 1;
	return *site->key != '\0';
}

/* The rows after .pushsection, in their fixed order. */
static gboolean read_row(Site *site, const char **p)
{
	static const char *const places[] = { ".long", NULL }, *const keys[] = { ".quad", ".long", NULL };
	for (guint found = 0; found < 3;) {
		g_autofree char *line = take_line(p);
		if (!line)
			return FALSE;
		if (!*line || g_str_has_prefix(line, ".balign") || g_str_has_prefix(line, ".align"))
			continue;
		g_autofree char *operand = relative_operand(line, found == 2 ? keys : places);
		if (!operand || (found == 0 && strcmp(operand, "1b")))
			return FALSE;
		if (found == 1)
			site->target = g_steal_pointer(&operand);
		else if (found == 2 && !split_key(site, operand))
			return FALSE;
		found++;
	}
	g_autofree char *last = take_line(p);
	return last && !strcmp(last, ".popsection");
}

/* The start of the line "1:..." that the row at row belongs to: the instruction is one line, or one and a blank one. */
static const char *site_start(const char *listing, const char *row)
{
	const char *p = row;
	for (guint lines = 0; lines < 3 && p > listing; lines++) {
		const char *line = p - 1;
		while (line > listing && line[-1] != '\n')
			line--;
		const char *text = line;
		while (*text == ' ' || *text == '\t')
			text++;
		if (g_str_has_prefix(text, "1:"))
			return line;
		p = line;
	}
	return NULL;
}

/* The next jump label from p on, or FALSE. */
static gboolean find_site(const char *listing, const char *p, Site *site)
{
	const char *mark = ".pushsection __jump_table";
	while ((p = strstr(p, mark))) {
		const char *row = p;
		while (row > listing && row[-1] != '\n')
			row--;
		p = strchr(p, '\n');
		if (!p)
			return FALSE;
		p++;
		site_clear(site);
		*site = (Site){ .start = site_start(listing, row) };
		const char *end = p;
		if (!site->start || !read_row(site, &end))
			continue;
		site->end = end;
		return TRUE;
	}
	return FALSE;
}

char *km_test_keys(const char *listing, const KmArch *arch)
{
	GString *out = g_string_sized_new(strlen(listing) + 1);
	const char *p = listing;
	g_auto(Site) site = { 0 };
	while (arch->test_key && find_site(listing, p, &site)) {
		g_string_append_len(out, p, site.start - p);
		/* The row says: jump when the key is set, or with bit 0: when it is not. */
		g_autofree char *test = arch->test_key(site.key, !site.branch, site.target);
		g_string_append(out, test);
		p = site.end;
	}
	g_string_append(out, p);
	return g_string_free(out, FALSE);
}
