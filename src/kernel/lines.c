/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Line numbers reach object code (__LINE__ in WARN, in names of static data, in strings), so a line that a patch adds would
 * change every function below it. #line directives give unchanged lines their old numbers back.
 */
#include "kernel/patch.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/outline.h"

/* An open #if. */
typedef struct {
	int depth; /* of parentheses where it began */
	gboolean numbered; /* a #line stands inside: whether it counts depends on the branch taken */
} Branch;

/* What the text is in at some place, as far as it decides whether a directive may stand there. */
typedef struct {
	gboolean comment; /* inside a block comment */
	gboolean directive; /* inside a preprocessor line, which a backslash may continue */
	char quote; /* inside a string or character constant */
	gboolean spliced; /* the line before ended with a backslash */
	int depth; /* open parentheses and brackets */
	GArray *branches; /* of Branch, innermost last */
	gboolean unsure; /* the number of the line that comes depends on a branch */
} Lexer;

static Branch *innermost(const Lexer *lexer)
{
	return lexer->branches->len ? &g_array_index(lexer->branches, Branch, lexer->branches->len - 1) : NULL;
}

/*
 * Branches of #if each open the same parenthesis, and only one of them is compiled; a #line in one that is skipped does nothing,
 * so after it the number must be said again.
 */
static void enter_directive(Lexer *lexer, const char *p)
{
	lexer->directive = TRUE;
	p++;
	while (*p == ' ' || *p == '\t')
		p++;
	Branch *branch = innermost(lexer);
	if (g_str_has_prefix(p, "if")) {
		Branch opened = { .depth = lexer->depth };
		g_array_append_val(lexer->branches, opened);
	} else if (branch && g_str_has_prefix(p, "el")) {
		lexer->depth = branch->depth;
		lexer->unsure |= branch->numbered;
	} else if (branch && g_str_has_prefix(p, "endif")) {
		lexer->unsure |= branch->numbered;
		g_array_set_size(lexer->branches, lexer->branches->len - 1);
	}
}

static void count_bracket(Lexer *lexer, char c)
{
	if (lexer->directive)
		return;
	if (c == '(' || c == '[')
		lexer->depth++;
	else if ((c == ')' || c == ']') && lexer->depth > 0)
		lexer->depth--;
}

/* One character outside comments and quotes; returns how many were used, 0 for "the rest of the line is a comment". */
static gsize scan_code(Lexer *lexer, const char *p, gsize left)
{
	if (left > 1 && p[0] == '/' && p[1] == '/')
		return 0;
	if (left > 1 && p[0] == '/' && p[1] == '*') {
		lexer->comment = TRUE;
		return 2;
	}
	if (*p == '"' || *p == '\'')
		lexer->quote = *p;
	else
		count_bracket(lexer, *p);
	return 1;
}

static gsize scan_one(Lexer *lexer, const char *p, gsize left)
{
	if (lexer->comment) {
		if (left < 2 || p[0] != '*' || p[1] != '/')
			return 1;
		lexer->comment = FALSE;
		return 2;
	}
	if (lexer->quote) {
		if (*p == '\\' && left > 1)
			return 2;
		if (*p == lexer->quote)
			lexer->quote = 0;
		return 1;
	}
	return scan_code(lexer, p, left);
}

static void scan_line(Lexer *lexer, const char *line, gsize size)
{
	gsize body = size && line[size - 1] == '\r' ? size - 1 : size;
	gboolean splice = body && line[body - 1] == '\\';
	gsize at = 0;
	if (!lexer->comment && !lexer->quote && !lexer->spliced) {
		/* A brace in the first column ends a function: whatever we miscounted inside is over. */
		if (body && *line == '}')
			lexer->depth = 0;
		while (at < body && (line[at] == ' ' || line[at] == '\t'))
			at++;
		if (at < body && line[at] == '#')
			enter_directive(lexer, line + at);
	}
	gsize end = splice ? body - 1 : body;
	while (at < end) {
		gsize used = scan_one(lexer, line + at, end - at);
		if (!used)
			break;
		at += used;
	}
	lexer->spliced = splice;
	if (splice)
		return;
	lexer->quote = 0;
	/* A comment that begins in a directive carries the directive on over its line ends. */
	if (!lexer->comment)
		lexer->directive = FALSE;
}

/* May a directive stand before the line that comes now? */
static gboolean is_harmless(const Lexer *lexer)
{
	return !lexer->comment && !lexer->quote && !lexer->spliced && !lexer->directive && lexer->depth == 0;
}

/* A range of lines in diff's normal format: "12" or "12,14". */
static gboolean take_range(const char **p, guint *first, guint *last)
{
	char *end;
	if (!g_ascii_isdigit(**p))
		return FALSE;
	*first = *last = (guint)g_ascii_strtoull(*p, &end, 10);
	if (*end == ',')
		*last = (guint)g_ascii_strtoull(end + 1, &end, 10);
	*p = end;
	return TRUE;
}

/* One line of diff's normal format that tells a range: "12,14c13", "7a8,9", "3d2". FALSE for any other line. */
static gboolean take_hunk(const char *row, KmHunk *hunk)
{
	guint a, b, c, d;
	if (!take_range(&row, &a, &b) || !*row || !strchr("acd", *row))
		return FALSE;
	char kind = *row++;
	if (!take_range(&row, &c, &d))
		return FALSE;
	/* An 'a' names the old line before it, a 'd' the new one. */
	*hunk = (KmHunk){ .old_first = kind == 'a' ? a + 1 : a,
			  .old_count = kind == 'a' ? 0 : b - a + 1,
			  .new_first = kind == 'd' ? c + 1 : c,
			  .new_count = kind == 'd' ? 0 : d - c + 1 };
	return TRUE;
}

static GArray *read_hunks(const char *diff)
{
	GArray *hunks = g_array_new(FALSE, FALSE, sizeof(KmHunk));
	g_auto(GStrv) rows = g_strsplit(diff, "\n", -1);
	for (char **row = rows; *row; row++) {
		KmHunk hunk;
		if (take_hunk(*row, &hunk))
			g_array_append_val(hunks, hunk);
	}
	return hunks;
}

/* Number in the original of each line of the patched text (index 0 unused), 0 for lines that are not in it. */
static GArray *map_lines(const GArray *hunks, guint lines)
{
	GArray *map = g_array_sized_new(FALSE, TRUE, sizeof(guint), lines + 1);
	g_array_set_size(map, lines + 1);
	guint old = 1, now = 1;
	for (guint i = 0; i < hunks->len; i++) {
		const KmHunk *hunk = &g_array_index(hunks, KmHunk, i);
		for (; now < hunk->new_first && now <= lines; now++)
			g_array_index(map, guint, now) = old++;
		old = hunk->old_first + hunk->old_count;
		now = hunk->new_first + hunk->new_count;
	}
	for (; now <= lines; now++)
		g_array_index(map, guint, now) = old++;
	return map;
}

static char *run_diff(const char *original, const char *patched, const char *flag, GError **error)
{
	km_tempdir_sweep(NULL, "kmend-lines");
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-lines", error);
	if (!dir)
		return NULL;
	g_autofree char *path = g_build_filename(dir->path, "original", NULL);
	g_autoptr(GError) local = NULL;
	if (!g_file_set_contents(path, original, -1, &local))
		return km_fail_null(error, "cannot write %s: %s", path, local->message);
	const char *argv[] = { "diff", flag, path, "-", NULL };
	const char *env[] = { "LC_ALL=C", NULL };
	KmRunOptions options = { .env = env, .stdin_text = patched };
	g_autoptr(KmRunResult) result = km_run(argv, &options, error);
	if (!result)
		return NULL;
	if (result->status > 1)
		return km_fail_null(error, "comparing two versions of a source failed: %s", g_strchomp(result->errors));
	return g_steal_pointer(&result->output);
}

static guint count_lines(const char *text)
{
	guint lines = 0;
	for (const char *p = text; *p; lines++) {
		const char *newline = strchr(p, '\n');
		p = newline ? newline + 1 : p + strlen(p);
	}
	return lines;
}

/* A path as a C string constant. */
static char *quote_path(const char *path)
{
	GString *quoted = g_string_new("\"");
	for (const char *c = path; *c; c++) {
		if (*c == '"' || *c == '\\')
			g_string_append_c(quoted, '\\');
		g_string_append_c(quoted, *c);
	}
	g_string_append_c(quoted, '"');
	return g_string_free(quoted, FALSE);
}

static char *number_lines(const char *patched, const GArray *map, const char *path)
{
	g_autofree char *quoted = path ? quote_path(path) : g_strdup("");
	GString *out = g_string_sized_new(strlen(patched) + 4096);
	g_autoptr(GArray) branches = g_array_new(FALSE, FALSE, sizeof(Branch));
	Lexer lexer = { .branches = branches };
	if (path)
		g_string_append_printf(out, "#line 1 %s\n", quoted);
	guint current = 1, number = 1;
	for (const char *p = patched; *p; number++, current++) {
		const char *newline = strchr(p, '\n');
		gsize size = newline ? (gsize)(newline - p) : strlen(p);
		guint wanted = number < map->len ? g_array_index(map, guint, number) : 0;
		if (wanted && (wanted != current || lexer.unsure) && is_harmless(&lexer)) {
			g_string_append_printf(out, "#line %u %s\n", wanted, quoted);
			current = wanted;
			lexer.unsure = FALSE;
			if (innermost(&lexer))
				innermost(&lexer)->numbered = TRUE;
		}
		scan_line(&lexer, p, size);
		g_string_append_len(out, p, (gssize)size + (newline != NULL));
		p += size + (newline != NULL);
	}
	return g_string_free(out, FALSE);
}

static GArray *hunks_between(const char *original, const char *patched, const char *flag, GError **error)
{
	g_autofree char *diff = strcmp(original, patched) ? run_diff(original, patched, flag, error) : g_strdup("");
	return diff ? read_hunks(diff) : NULL;
}

GArray *km_lines_changed(const char *original, const char *patched, GError **error)
{
	return hunks_between(original, patched, "--text", error);
}

/* The same text, line by line, with blanks for comments. */
static char *without_comments(const char *text)
{
	char *out = g_strdup(text);
	Lexer lexer = { 0 };
	gsize size = strlen(text);
	for (gsize at = 0, end; at < size; at = end) {
		gboolean within = lexer.comment;
		gsize used = scan_one(&lexer, text + at, size - at);
		end = at + (used ? used : strcspn(text + at, "\n"));
		for (gsize i = at; (within || lexer.comment || !used) && i < end; i++)
			out[i] = text[i] == '\n' ? '\n' : ' ';
		/* An apostrophe in a text for people: no constant goes on over the end of the line. */
		if (text[at] == '\n')
			lexer.quote = 0;
	}
	return out;
}

char *km_lines_keep(const char *original, const char *patched, const char *path, GError **error)
{
	/* A line that was only indented anew, or got a remark, is the same line. */
	g_autofree char *a = without_comments(original), *b = without_comments(patched);
	g_autoptr(GArray) hunks = hunks_between(a, b, "-aw", error);
	if (!hunks)
		return NULL;
	g_autoptr(GArray) map = map_lines(hunks, count_lines(patched));
	return number_lines(patched, map, path);
}
