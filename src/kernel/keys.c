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
 * The last addend holds flags: bit 0 says which value of the key means to jump, bit 1 is objtool's. On arm64:
 *
 *	1:	nop
 *		.pushsection	__jump_table, "aw"
 *		.align		3
 *		.long		1b - ., .L354 - .
 *		.quad		__tracepoint_x+9 - .
 *		.popsection
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

/* The operands of the directive that a line holds: "1b - ., .L2 - ." of ".long 1b - ., .L2 - .". NULL when it is none of these. */
static char **relative_operands(const char *line, const char *const *directives)
{
	for (; *directives; directives++) {
		gsize n = strlen(*directives);
		if (strncmp(line, *directives, n) || !g_ascii_isspace(line[n]))
			continue;
		g_auto(GStrv) operands = g_strsplit(line + n, ",", -1);
		for (char **o = operands; *o; o++) {
			gsize length = strlen(g_strstrip(*o));
			if (length <= 3 || strcmp(*o + length - 3, "- ."))
				return NULL;
			(*o)[length - 3] = '\0';
			g_strchomp(*o);
		}
		return g_steal_pointer(&operands);
	}
	return NULL;
}

/* The number that ends text after a sign, which is taken off. FALSE: there is none. */
static gboolean take_number(GString *text, gint64 *number)
{
	gsize n = text->len;
	while (n && g_ascii_isdigit(text->str[n - 1]))
		n--;
	if (n < 2 || n == text->len || !strchr("+-", text->str[n - 1]))
		return FALSE;
	*number = g_ascii_strtoll(text->str + n, NULL, 10) * (text->str[n - 1] == '-' ? -1 : 1);
	g_string_truncate(text, n - 1);
	return TRUE;
}

/* "__tracepoint_x+8 + 2": the flags are what is added last. */
static gboolean split_flags(Site *site, const char *operand, const char *plus)
{
	char *end;
	guint64 flags = g_ascii_strtoull(plus + 3, &end, 10);
	if (end == plus + 3 || *end || flags > 3)
		return FALSE;
	site->key = g_strstrip(g_strndup(operand, (gsize)(plus - operand)));
	site->branch = flags & 1;
	return *site->key != '\0';
}

/* "__tracepoint_x+9": where the compiler has added it up, keys are aligned, and what is odd is the flag. */
static gboolean split_key(Site *site, const char *operand)
{
	const char *plus = g_strrstr(operand, " + ");
	if (plus)
		return split_flags(site, operand, plus);
	g_autoptr(GString) name = g_string_new(operand);
	gint64 number = 0;
	take_number(name, &number);
	if (!name->len || g_ascii_isdigit(*name->str) || strpbrk(name->str, " +-") || number & 2)
		return FALSE;
	site->branch = number & 1;
	number &= ~1;
	if (number)
		g_string_append_printf(name, "%+" G_GINT64_FORMAT, number);
	site->key = g_strdup(name->str);
	return TRUE;
}

/* The next operand of a row: its place, target and key come in this order. */
static gboolean add_operand(Site *site, guint index, const char *operand)
{
	switch (index) {
	case 0:
		return !strcmp(operand, "1b");
	case 1:
		site->target = g_strdup(operand);
		return TRUE;
	case 2:
		return split_key(site, operand);
	default:
		return FALSE;
	}
}

/* The rows after .pushsection, in their fixed order; one directive may have several operands. */
static gboolean read_row(Site *site, const char **p)
{
	static const char *const places[] = { ".long", NULL }, *const keys[] = { ".quad", ".long", NULL };
	for (guint found = 0; found < 3;) {
		g_autofree char *line = take_line(p);
		if (!line)
			return FALSE;
		if (!*line || g_str_has_prefix(line, ".balign") || g_str_has_prefix(line, ".align"))
			continue;
		g_auto(GStrv) operands = relative_operands(line, found == 2 ? keys : places);
		if (!operands)
			return FALSE;
		for (char **o = operands; *o; o++)
			if (!add_operand(site, found++, *o))
				return FALSE;
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

/* ".pushsection __jump_table" with any blank between. */
static const char *next_row(const char *p)
{
	const char *mark = ".pushsection";
	while ((p = strstr(p, mark))) {
		const char *name = p + strlen(mark);
		name += strspn(name, " \t");
		if (g_str_has_prefix(name, "__jump_table"))
			return p;
		p = name;
	}
	return NULL;
}

/* The next jump label from p on, or FALSE. */
static gboolean find_site(const char *listing, const char *p, Site *site)
{
	while ((p = next_row(p))) {
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
