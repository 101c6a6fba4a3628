/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A constant in a compiler's listing, from arch/<any>/include/asm/runtime-const.h:
 *
 *		mov $81985529216486895,%rdx
 *	1:
 *	.pushsection runtime_ptr_dentry_hashtable,"a"
 *		.long 1b - 8 - .
 *	.popsection
 *
 * or with the label before the instructions, and ".long 1b - ." in the section.
 */
#include "kernel/constants.h"

#include <string.h>

#define MARK ".pushsection runtime_"

/* A constant as found between start and end of the listing. */
typedef struct {
	const char *start, *end;
	char *kind, *symbol; /* "ptr", "dentry_hashtable" */
	char *instruction; /* or several, line by line */
} Place;

static void place_clear(Place *place)
{
	g_free(place->kind);
	g_free(place->symbol);
	g_free(place->instruction);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Place, place_clear)

static const char *line_before(const char *listing, const char *line)
{
	if (line == listing)
		return NULL;
	for (line--; line > listing && line[-1] != '\n';)
		line--;
	return line;
}

/* The line at p without surrounding blanks. */
static char *line_text(const char *p)
{
	return g_strstrip(g_strndup(p, strcspn(p, "\n")));
}

static const char *next_line(const char *p)
{
	p += strcspn(p, "\n");
	return *p ? p + 1 : p;
}

/* "runtime_ptr_dentry_hashtable,"a"" is what follows the mark from its kind on. */
static gboolean read_name(Place *place, const char *rest)
{
	const char *end = rest + strcspn(rest, ",\n"), *bar = memchr(rest, '_', (gsize)(end - rest));
	if (!bar || bar == rest || bar + 1 == end)
		return FALSE;
	place->kind = g_strndup(rest, (gsize)(bar - rest));
	place->symbol = g_strstrip(g_strndup(bar + 1, (gsize)(end - bar - 1)));
	return TRUE;
}

/* The one row, which names a place at or before the label, and the end of the section. */
static gboolean read_row(Place *place, const char *p, gboolean label_first)
{
	g_autofree char *row = line_text(p);
	p = next_line(p);
	g_autofree char *last = line_text(p);
	place->end = next_line(p);
	gboolean named = label_first ? !strcmp(row, ".long 1b - .")
				     : g_str_has_prefix(row, ".long 1b - ") && g_str_has_suffix(row, " - .") &&
					       strcmp(row, ".long 1b - .");
	return named && !strcmp(last, ".popsection");
}

/* "1:" of its own behind the one instruction before section. */
static gboolean read_before_label(Place *place, const char *listing, const char *section)
{
	const char *label = line_before(listing, section);
	g_autofree char *text = label ? line_text(label) : NULL;
	place->start = text && !strcmp(text, "1:") ? line_before(listing, label) : NULL;
	if (place->start)
		place->instruction = line_text(place->start);
	return place->start != NULL;
}

/* From a line that begins with "1:" on to section: up to four instructions. */
static gboolean read_after_label(Place *place, const char *listing, const char *section)
{
	g_autoptr(GString) code = g_string_new(NULL);
	const char *line = section;
	for (guint lines = 0; lines < 4 && (line = line_before(listing, line)); lines++) {
		g_autofree char *text = line_text(line);
		gboolean first = g_str_has_prefix(text, "1:");
		g_string_prepend(code, code->len ? "\n" : "");
		g_string_prepend(code, first ? text + 2 + strspn(text + 2, " \t") : text);
		if (!first)
			continue;
		place->start = line;
		place->instruction = g_strdup(code->str);
		return TRUE;
	}
	return FALSE;
}

static gboolean read_place(Place *place, const char *listing, const char *mark)
{
	const char *section = mark;
	while (section > listing && section[-1] != '\n')
		section--;
	gboolean behind = read_before_label(place, listing, section);
	return (behind || read_after_label(place, listing, section)) && read_name(place, mark + strlen(MARK)) &&
	       read_row(place, next_line(mark), !behind);
}

char *km_read_constants(const char *listing, const KmArch *arch)
{
	GString *out = g_string_sized_new(strlen(listing) + 1);
	const char *done = listing;
	for (const char *mark = strstr(listing, MARK); mark && arch->read_constant; mark = strstr(mark + 1, MARK)) {
		g_auto(Place) place = { 0 };
		if (!read_place(&place, listing, mark) || place.start < done)
			continue;
		g_autofree char *text = arch->read_constant(place.kind, place.symbol, place.instruction);
		if (!text)
			continue;
		g_string_append_len(out, done, place.start - done);
		g_string_append(out, text);
		done = place.end;
	}
	g_string_append(out, done);
	return g_string_free(out, FALSE);
}
