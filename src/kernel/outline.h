/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The top-level things of a C text: which function, macro, type or variable a line belongs to. */
#pragma once

#include <glib.h>

typedef enum {
	KM_THING_FUNCTION, /* a definition with a body */
	KM_THING_MACRO, /* #define */
	KM_THING_TYPE, /* struct, union, enum, typedef */
	KM_THING_DATA, /* a variable, or a macro call at file scope that stands for one: DEFINE_MUTEX(name) */
	KM_THING_OTHER, /* a prototype, anything else */
} KmThingKind;

typedef struct {
	KmThingKind kind;
	char *name; /* "" when it has none; of SYSCALL_DEFINE1(name, ...) { } the name, not the macro's */
	gboolean by_macro; /* a macro makes the real name out of name: __do_sys_name */
	guint first, last; /* lines, from 1, both included */
} KmThing;

/*
 * The things of text in their order. It is read as it stands, without preprocessing: every branch of an #if counts. Text that
 * is not C gives things of no use, never an error. Array of KmThing, owned.
 */
GPtrArray *km_outline(const char *text);

/* The thing that a line lies in, or NULL. */
const KmThing *km_outline_at(const GPtrArray *things, guint line);

/* The thing that defines name (no prototypes), or NULL. A compiler's additions to a name (".isra.0") must be off. */
const KmThing *km_outline_find(const GPtrArray *things, const char *name);

/* Does a thing, by its own name or the one a macro makes of it, mean the symbol? */
gboolean km_thing_is(const KmThing *thing, const char *symbol);

/* Does text from line first to last hold name as a word of its own, outside comments and strings? */
gboolean km_text_mentions(const char *text, guint first, guint last, const char *name);

/* What a patch changes in a file: a range of lines. Counts may be 0: then lines are added or gone before that line. */
typedef struct {
	guint old_first, old_count;
	guint new_first, new_count;
} KmHunk;

/* The lines in which two texts differ, by diff(1). Array of KmHunk, owned. */
GArray *km_lines_changed(const char *original, const char *patched, GError **error);
