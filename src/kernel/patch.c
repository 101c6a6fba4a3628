/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading unified diffs as diff -u, git diff and git format-patch write them. patch(1) applies them later, but it only ever
 * sees text rebuilt from what was understood here: one file at a time, under a name that was checked.
 */
#include "kernel/patch-file.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

typedef struct {
	const char *name; /* of the patch, for messages */
	const char *next; /* the rest of the text */
	const char *end;
	guint line; /* number of the line taken last */
	GPtrArray *files;
	KmPatchFile *pending; /* owned; a "diff --git" header whose hunks may follow */
	gboolean explained; /* the pending header needs no hunks: mode change, rename, empty or binary file */
} Reader;

void km_patch_file_free(KmPatchFile *file)
{
	if (!file)
		return;
	g_free(file->path);
	g_string_free(file->text, TRUE);
	g_array_unref(file->hunks);
	g_free(file);
}

/* A line of the patch: text without the line end. */
typedef struct {
	const char *text;
	gsize size;
	gboolean cr; /* a carriage return stood at its end; size does not count it */
} Line;

static gboolean peek_line(const Reader *r, Line *line, const char **after)
{
	if (r->next >= r->end)
		return FALSE;
	const char *newline = memchr(r->next, '\n', (gsize)(r->end - r->next));
	line->text = r->next;
	line->size = (gsize)((newline ? newline : r->end) - r->next);
	line->cr = line->size && line->text[line->size - 1] == '\r';
	if (line->cr)
		line->size--;
	*after = newline ? newline + 1 : r->end;
	return TRUE;
}

static gboolean take_line(Reader *r, Line *line)
{
	const char *after;
	if (!peek_line(r, line, &after))
		return FALSE;
	r->next = after;
	r->line++;
	return TRUE;
}

static gboolean starts(const Line *line, const char *prefix)
{
	gsize n = strlen(prefix);
	return line->size >= n && !memcmp(line->text, prefix, n);
}

static gboolean next_starts(const Reader *r, const char *prefix)
{
	Line line;
	const char *after;
	return peek_line(r, &line, &after) && starts(&line, prefix);
}

/* The file name in a header line: git's C-style quotes, or everything up to a tab (diff puts a time stamp after it). */
static char *header_name(const char *text, gsize size)
{
	g_autofree char *raw = g_strndup(text, size);
	if (*raw == '"') {
		char *close = strrchr(raw + 1, '"');
		if (!close)
			return NULL;
		*close = '\0';
		return g_strcompress(raw + 1);
	}
	raw[strcspn(raw, "\t")] = '\0';
	return g_strdup(g_strchomp(raw));
}

static gboolean has_control(const char *name)
{
	for (const char *c = name; *c; c++)
		if (g_ascii_iscntrl(*c))
			return TRUE;
	return FALSE;
}

/* Drop the first component, as patch -p1 does, and refuse whatever could lead out of the tree. NULL: refused. */
static char *strip_name(const Reader *r, const char *name, GError **error)
{
	const char *slash = strchr(name, '/');
	if (g_path_is_absolute(name) || has_control(name))
		return km_refuse_null(error, "%s:%u: the name '%.200s' is not a path inside the kernel tree", r->name,
				      r->line, has_control(name) ? "(control characters)" : name);
	if (!slash)
		return km_refuse_null(
			error, "%s:%u: '%.200s' has no leading directory; make the patch at the top of the tree (a/%s)",
			r->name, r->line, name, name);
	g_auto(GStrv) parts = g_strsplit(slash + 1, "/", -1);
	g_autoptr(GPtrArray) kept = g_ptr_array_new();
	for (char **part = parts; *part; part++) {
		if (!strcmp(*part, ".."))
			return km_refuse_null(error, "%s:%u: the name '%.200s' leaves the kernel tree", r->name,
					      r->line, name);
		if (**part && strcmp(*part, "."))
			g_ptr_array_add(kept, *part);
	}
	if (!kept->len)
		return km_refuse_null(error, "%s:%u: the name '%.200s' names no file", r->name, r->line, name);
	g_ptr_array_add(kept, NULL);
	return g_strjoinv("/", (char **)kept->pdata);
}

static KmPatchFile *file_new(char *path, guint line)
{
	KmPatchFile *file = g_new0(KmPatchFile, 1);
	file->path = path;
	file->line = line;
	file->text = g_string_new(NULL);
	file->hunks = g_array_new(FALSE, FALSE, sizeof(guint));
	return file;
}

/* The pending git header is over: keep it, or complain when it announced a change that never came. */
static gboolean flush_pending(Reader *r, GError **error)
{
	g_autoptr(KmPatchFile) file = g_steal_pointer(&r->pending);
	if (!file)
		return TRUE;
	if (!r->explained)
		return km_refuse(error, "%s:%u: no hunks follow for %s: the patch is truncated", r->name, file->line,
				 file->path);
	if (file->kind)
		g_ptr_array_add(r->files, g_steal_pointer(&file));
	return TRUE;
}

/* The second of the two names of "diff --git a/x b/x"; unquoted names with blanks are split where both halves agree. */
static char *git_name(const Line *line)
{
	g_autofree char *rest = g_strndup(line->text + strlen("diff --git "), line->size - strlen("diff --git "));
	gsize size = strlen(rest);
	if (size && rest[size - 1] == '"') {
		char *open = g_strrstr(rest, " \"");
		return open ? header_name(open + 1, strlen(open + 1)) : NULL;
	}
	const char *half = rest + size / 2;
	if (size % 2 && *half == ' ')
		return g_strdup(half + 1);
	const char *blank = strrchr(rest, ' ');
	return blank ? g_strdup(blank + 1) : NULL;
}

static gboolean begin_git(Reader *r, const Line *line, GError **error)
{
	if (!flush_pending(r, error))
		return FALSE;
	g_autofree char *name = git_name(line);
	if (!name)
		return km_refuse(error, "%s:%u: cannot read the names in this diff header", r->name, r->line);
	char *path = strip_name(r, name, error);
	if (!path)
		return FALSE;
	r->pending = file_new(path, r->line);
	r->explained = FALSE;
	return TRUE;
}

/* Git's extended header lines. */
static void extend_git(Reader *r, const Line *line)
{
	static const struct {
		const char *prefix;
		guint kind;
	} rows[] = {
		{ "new file mode ", KM_PATCH_NEW },	 { "deleted file mode ", KM_PATCH_DELETED },
		{ "rename from ", KM_PATCH_RENAMED },	 { "rename to ", KM_PATCH_RENAMED },
		{ "copy from ", KM_PATCH_NEW },		 { "copy to ", KM_PATCH_NEW },
		{ "old mode ", KM_PATCH_EDIT },		 { "new mode ", KM_PATCH_EDIT },
		{ "GIT binary patch", KM_PATCH_BINARY }, { "Binary files ", KM_PATCH_BINARY },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (!starts(line, rows[i].prefix))
			continue;
		r->pending->kind |= rows[i].kind;
		r->explained = TRUE;
	}
}

/* "12" or "12,3" after *p; a missing count is 1. FALSE when there is no number or it is absurd. */
static gboolean parse_range(const char **p, guint64 *start, guint64 *count)
{
	char *end;
	if (!g_ascii_isdigit(**p))
		return FALSE;
	*start = g_ascii_strtoull(*p, &end, 10);
	*count = 1;
	if (*end == ',') {
		if (!g_ascii_isdigit(end[1]))
			return FALSE;
		*count = g_ascii_strtoull(end + 1, &end, 10);
	}
	*p = end;
	return *start <= G_MAXINT && *count <= G_MAXINT;
}

typedef struct {
	guint64 old_start, old_count, new_start, new_count;
} Range;

static gboolean parse_hunk_header(const Line *line, Range *range)
{
	g_autofree char *text = g_strndup(line->text, line->size);
	const char *p = text;
	if (!g_str_has_prefix(p, "@@ -"))
		return FALSE;
	p += strlen("@@ -");
	if (!parse_range(&p, &range->old_start, &range->old_count) || !g_str_has_prefix(p, " +"))
		return FALSE;
	p += strlen(" +");
	return parse_range(&p, &range->new_start, &range->new_count) && g_str_has_prefix(p, " @@");
}

static void add_line(KmPatchFile *file, const Line *line, gboolean strip_cr)
{
	g_string_append_len(file->text, line->text, (gssize)line->size);
	if (line->cr && !strip_cr)
		g_string_append_c(file->text, '\r');
	g_string_append_c(file->text, '\n');
}

/* One line of a hunk's body. FALSE when it is none. */
static gboolean count_line(const Line *line, guint64 *old_left, guint64 *new_left)
{
	/* Mail programs drop the blank of an empty context line. */
	char kind = line->size ? *line->text : ' ';
	gboolean is_old = kind == ' ' || kind == '-', is_new = kind == ' ' || kind == '+';
	if ((is_old && !*old_left) || (is_new && !*new_left))
		return FALSE;
	*old_left -= is_old;
	*new_left -= is_new;
	return is_old || is_new || kind == '\\';
}

static gboolean read_hunk(Reader *r, KmPatchFile *file, gboolean strip_cr, GError **error)
{
	Line line;
	Range range;
	take_line(r, &line);
	guint begin = r->line;
	if (!parse_hunk_header(&line, &range))
		return km_refuse(error, "%s:%u: malformed hunk header in the part for %s", r->name, r->line,
				 file->path);
	if (!range.old_count && !range.old_start)
		file->kind |= KM_PATCH_NEW;
	if (!range.new_count && !range.new_start)
		file->kind |= KM_PATCH_DELETED;
	g_array_append_val(file->hunks, begin);
	add_line(file, &line, strip_cr);
	while (range.old_count || range.new_count) {
		if (!take_line(r, &line))
			return km_refuse(error, "%s:%u: the patch ends in the middle of a hunk for %s: it is truncated",
					 r->name, begin, file->path);
		if (!count_line(&line, &range.old_count, &range.new_count))
			return km_refuse(error, "%s:%u: malformed hunk for %s: this line does not belong into it",
					 r->name, r->line, file->path);
		add_line(file, &line, strip_cr);
	}
	while (next_starts(r, "\\")) {
		take_line(r, &line);
		add_line(file, &line, strip_cr);
	}
	return TRUE;
}

/* The path that a pair of header names speaks of; kind gets NEW, DELETED or RENAMED. */
static char *pair_path(const Reader *r, const char *old_name, const char *new_name, guint *kind, GError **error)
{
	if (!strcmp(old_name, "/dev/null"))
		*kind |= KM_PATCH_NEW;
	if (!strcmp(new_name, "/dev/null"))
		*kind |= KM_PATCH_DELETED;
	if ((*kind & KM_PATCH_NEW) && (*kind & KM_PATCH_DELETED))
		return km_refuse_null(error, "%s:%u: both names are /dev/null", r->name, r->line);
	if (*kind & KM_PATCH_NEW)
		return strip_name(r, new_name, error);
	g_autofree char *old_path = strip_name(r, old_name, error);
	if (!old_path || *kind & KM_PATCH_DELETED)
		return g_steal_pointer(&old_path);
	g_autofree char *new_path = strip_name(r, new_name, error);
	if (new_path && strcmp(old_path, new_path))
		*kind |= KM_PATCH_RENAMED;
	return g_steal_pointer(&new_path);
}

/* "--- a/x", "+++ b/x" and the hunks; first is the line just taken. */
static gboolean read_file(Reader *r, const Line *first, GError **error)
{
	Line second;
	guint line = r->line;
	take_line(r, &second);
	g_autofree char *old_name = header_name(first->text + 4, first->size - 4);
	g_autofree char *new_name = header_name(second.text + 4, second.size - 4);
	guint kind = KM_PATCH_EDIT;
	if (!old_name || !new_name)
		return km_refuse(error, "%s:%u: cannot read the file names", r->name, line);
	char *path = pair_path(r, old_name, new_name, &kind, error);
	if (!path)
		return FALSE;
	g_autoptr(KmPatchFile) file = file_new(path, line);
	if (r->pending && strcmp(r->pending->path, path))
		return km_refuse(error, "%s:%u: the diff header names %s and this line %s", r->name, line,
				 r->pending->path, path);
	file->kind = kind | (r->pending ? r->pending->kind : 0);
	g_clear_pointer(&r->pending, km_patch_file_free);

	g_string_append_printf(file->text, "--- a/%s\n+++ b/%s\n", path, path);
	if (!next_starts(r, "@@ "))
		return km_refuse(error, "%s:%u: no hunks follow for %s: the patch is truncated", r->name, line, path);
	while (next_starts(r, "@@ "))
		if (!read_hunk(r, file, second.cr, error))
			return FALSE;
	g_ptr_array_add(r->files, g_steal_pointer(&file));
	return TRUE;
}

static gboolean read_line(Reader *r, GError **error)
{
	Line line;
	take_line(r, &line);
	if (starts(&line, "diff --git "))
		return begin_git(r, &line, error);
	if (starts(&line, "--- ") && next_starts(r, "+++ "))
		return read_file(r, &line, error);
	if (starts(&line, "*** ") && next_starts(r, "--- "))
		return km_refuse(error, "%s:%u: this is a context diff; make a unified one (diff -u)", r->name,
				 r->line);
	if (starts(&line, "@@ -") && !r->pending)
		return km_refuse(error, "%s:%u: a hunk without a file name before it", r->name, r->line);
	if (starts(&line, "Binary files ") && !r->pending)
		return km_refuse(error, "%s:%u: binary changes cannot be live patched: %.*s", r->name, r->line,
				 (int)MIN(line.size, 200), line.text);
	if (r->pending)
		extend_git(r, &line);
	return TRUE;
}

GPtrArray *km_patch_parse(const char *name, const char *text, gsize size, GError **error)
{
	if (memchr(text, '\0', size))
		return km_refuse_null(error, "%s: holds NUL bytes: not a text patch", name);
	g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)km_patch_file_free);
	/* Some editors put a byte order mark before the first header. */
	static const char mark[] = "\xef\xbb\xbf";
	if (size >= strlen(mark) && !memcmp(text, mark, strlen(mark))) {
		text += strlen(mark);
		size -= strlen(mark);
	}
	Reader r = { .name = name, .next = text, .end = text + size, .files = files };
	gboolean ok = TRUE;
	while (ok && r.next < r.end)
		ok = read_line(&r, error);
	ok = ok && flush_pending(&r, error);
	g_clear_pointer(&r.pending, km_patch_file_free);
	if (!ok)
		return NULL;
	if (!files->len)
		return km_refuse_null(error, "%s: no change of a file found in it: it is empty or no unified diff",
				      name);
	return g_steal_pointer(&files);
}
