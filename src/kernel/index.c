/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* Change it when the form changes, or what km_includes_read() finds. */
#define FORM "kmend includes 1"
/* A file written to so shortly before it was read may have changed after that, within one tick of its clock. */
#define UNSURE_NS (2 * G_GINT64_CONSTANT(1000000000))

struct KmIndex {
	char *text; /* each line ends with a NUL */
	GHashTable *files; /* path -> the line that begins with '=' */
	gint64 started; /* ns */
};

static gint64 in_ns(const struct timespec *time)
{
	return (gint64)time->tv_sec * G_GINT64_CONSTANT(1000000000) + time->tv_nsec;
}

/* What changes whenever a file is written to, or another is put in its place. */
static void append_state(GString *text, const struct stat *st)
{
	g_string_append_printf(text,
			       "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GUINT64_FORMAT,
			       (gint64)st->st_size, in_ns(&st->st_mtim), in_ns(&st->st_ctim), (guint64)st->st_ino);
}

static char *checksum(const char *text, gsize size)
{
	return g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text, size);
}

/* The text between the first line and the checksum; NULL when it is not whole. */
static char *check_form(char *text, gsize size, gint64 *started)
{
	g_autofree char *start = g_strdup_printf("%s ", FORM);
	gsize sum = (gsize)g_checksum_type_get_length(G_CHECKSUM_SHA256) * 2 + 1;
	if (!g_str_has_prefix(text, start) || size < strlen(start) + sum || strlen(text) != size)
		return NULL;
	g_autofree char *right = checksum(text, size - sum), *line = g_strconcat(right, "\n", NULL);
	if (strcmp(text + size - sum, line))
		return NULL;
	text[size - sum] = '\0';
	char *end;
	*started = g_ascii_strtoll(text + strlen(start), &end, 10) * 1000;
	return *end == '\n' ? end + 1 : NULL;
}

/* The path stands behind four numbers. */
static char *path_in(char *line)
{
	for (guint i = 0; line && i < 4; i++)
		line = (line = strchr(line, ' ')) ? line + 1 : NULL;
	return line;
}

static void take_lines(KmIndex *index, char *p)
{
	for (char *newline; (newline = strchr(p, '\n')); p = newline + 1) {
		*newline = '\0';
		char *path = *p == '=' ? path_in(p + 1) : NULL;
		if (path)
			g_hash_table_insert(index->files, path, p);
	}
	/* Where the last file's includes end. */
	*p = '\0';
}

KmIndex *km_index_read(const char *file)
{
	KmIndex *index = g_new0(KmIndex, 1);
	gsize size;
	index->files = g_hash_table_new(g_str_hash, g_str_equal);
	char *lines = file && g_file_get_contents(file, &index->text, &size, NULL)
			      ? check_form(index->text, size, &index->started)
			      : NULL;
	if (lines)
		take_lines(index, lines);
	return index;
}

void km_index_free(KmIndex *index)
{
	if (!index)
		return;
	g_hash_table_unref(index->files);
	g_free(index->text);
	g_free(index);
}

gboolean km_index_tell(const KmIndex *index, const char *path, const struct stat *st, KmIncludeFunc found,
		       gpointer data)
{
	const char *line = g_hash_table_lookup(index->files, path);
	if (!line || MAX(in_ns(&st->st_mtim), in_ns(&st->st_ctim)) > index->started - UNSURE_NS)
		return FALSE;
	g_autoptr(GString) wanted = g_string_new("=");
	append_state(wanted, st);
	if (strncmp(line, wanted->str, wanted->len) || line[wanted->len] != ' ')
		return FALSE;
	for (line += strlen(line) + 1; *line == '+'; line += strlen(line) + 1)
		found((KmIncludeKind)(line[1] - '0'), line + 2, data);
	return TRUE;
}

gboolean km_index_add_file(GString *text, const char *path, const struct stat *st)
{
	if (strchr(path, '\n'))
		return FALSE;
	g_string_append_c(text, '=');
	append_state(text, st);
	g_string_append_printf(text, " %s\n", path);
	return TRUE;
}

void km_index_add_include(GString *text, KmIncludeKind kind, const char *name)
{
	g_string_append_printf(text, "+%c%s\n", (char)('0' + kind), name);
}

void km_index_write(const char *file, const GPtrArray *texts, gint64 started)
{
	g_autoptr(GString) all = g_string_new(NULL);
	g_string_append_printf(all, "%s %" G_GINT64_FORMAT "\n", FORM, started);
	for (guint i = 0; i < texts->len; i++) {
		const GString *text = texts->pdata[i];
		g_string_append_len(all, text->str, (gssize)text->len);
	}
	g_autofree char *sum = checksum(all->str, all->len);
	g_string_append_printf(all, "%s\n", sum);
	km_write_file(file, all->str, all->len, NULL);
}
