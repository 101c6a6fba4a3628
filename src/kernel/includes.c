/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/includes.h"

#include <string.h>

/* The longest name of a file that is looked at; longer ones are not names. */
#define MAX_NAME 512

typedef struct {
	const char *p, *end;
} Span;

static Span skip_blanks(Span s)
{
	while (s.p < s.end && (*s.p == ' ' || *s.p == '\t'))
		s.p++;
	return s;
}

static gboolean starts(Span s, const char *word)
{
	gsize length = strlen(word);
	return (gsize)(s.end - s.p) >= length && !memcmp(s.p, word, length);
}

static Span skip_name(Span s)
{
	while (s.p < s.end && (g_ascii_isalnum(*s.p) || *s.p == '_'))
		s.p++;
	return s;
}

static void report(KmIncludeKind kind, Span name, KmIncludeFunc found, gpointer data)
{
	char text[MAX_NAME + 1];
	gsize length = (gsize)(name.end - name.p);
	if (!length || length > MAX_NAME)
		return;
	memcpy(text, name.p, length);
	text[length] = '\0';
	found(kind, text, data);
}

/* <name> or "name" at the start of rest. */
static gboolean read_name(Span rest, KmIncludeKind *kind, Span *name)
{
	if (rest.p >= rest.end || (*rest.p != '<' && *rest.p != '"'))
		return FALSE;
	*kind = *rest.p == '"' ? KM_INCLUDE_QUOTE : KM_INCLUDE_ANGLE;
	const char *close = memchr(rest.p + 1, *rest.p == '"' ? '"' : '>', (gsize)(rest.end - rest.p - 1));
	*name = (Span){ rest.p + 1, close };
	return close != NULL;
}

static void read_include(Span rest, KmIncludeFunc found, gpointer data)
{
	gboolean next = starts(rest, "_next");
	if (next)
		rest.p += strlen("_next");
	/* A comment between the word and the name. */
	rest = skip_blanks(rest);
	while (starts(rest, "/*")) {
		const char *close = g_strstr_len(rest.p, rest.end - rest.p, "*/");
		if (!close)
			return;
		rest = skip_blanks((Span){ close + 2, rest.end });
	}
	KmIncludeKind kind;
	Span name;
	if (read_name(rest, &kind, &name))
		report(next ? KM_INCLUDE_ANY : kind, name, found, data);
}

/* The header of a trace system: its own name in its own directory, unless it says otherwise; events of the kernel lie together. */
static void read_trace(gboolean system, Span name, KmIncludeFunc found, gpointer data)
{
	if (name.p == name.end)
		return;
	g_autofree char *file = g_strdup_printf("%.*s.h", (int)MIN(name.end - name.p, MAX_NAME), name.p);
	found(system ? KM_INCLUDE_QUOTE : KM_INCLUDE_ANY, file, data);
	if (!system)
		return;
	g_autofree char *event = g_strconcat("trace/events/", file, NULL);
	found(KM_INCLUDE_ANY, event, data);
}

/* A macro whose value is a header, and what include/trace/define_trace.h makes names of. */
static void read_define(Span rest, KmIncludeFunc found, gpointer data)
{
	Span name = skip_blanks(rest), value = skip_blanks(skip_name(name)), header;
	KmIncludeKind kind;
	if (value.p < value.end && (*value.p == '<' || *value.p == '"')) {
		if (read_name(value, &kind, &header) && header.end - header.p > 2 && !memcmp(header.end - 2, ".h", 2))
			report(KM_INCLUDE_ANY, header, found, data);
		return;
	}
	if (starts(name, "TRACE_SYSTEM") || starts(name, "TRACE_INCLUDE_FILE"))
		read_trace(starts(name, "TRACE_SYSTEM"), (Span){ value.p, skip_name(value).p }, found, data);
}

void km_includes_read(const char *text, gsize size, KmIncludeFunc found, gpointer data)
{
	const char *end = text + size;
	for (const char *p = text; size && (p = memchr(p, '#', (gsize)(end - p)));) {
		Span rest = skip_blanks((Span){ ++p, end });
		gboolean include = starts(rest, "include"), define = !include && starts(rest, "define");
		if (!include && !define)
			continue;
		const char *newline = memchr(rest.p, '\n', (gsize)(end - rest.p));
		rest.end = newline ? newline : end;
		rest.p += include ? strlen("include") : strlen("define");
		if (include)
			read_include(rest, found, data);
		else
			read_define(rest, found, data);
	}
}

/* "$(srctree)/include/linux/kconfig.h" -> "include/linux/kconfig.h" */
static Span skip_variable(Span word)
{
	if (!starts(word, "$("))
		return word;
	const char *close = memchr(word.p, ')', (gsize)(word.end - word.p));
	return close && close + 1 < word.end && close[1] == '/' ? (Span){ close + 2, word.end } : word;
}

void km_includes_read_makefile(const char *text, gsize size, KmIncludeFunc found, gpointer data)
{
	static const char option[] = "-include";
	const char *end = text + size;
	for (const char *p = text; size && (p = g_strstr_len(p, end - p, option));) {
		p += strlen(option);
		Span word = skip_blanks((Span){ p, end });
		const char *stop = word.p;
		while (stop < end && !g_ascii_isspace(*stop) && *stop != '\\')
			stop++;
		word = skip_variable((Span){ word.p, stop });
		if (word.end - word.p > 2 && !memcmp(word.end - 2, ".h", 2))
			report(KM_INCLUDE_FORCED, word, found, data);
	}
}
