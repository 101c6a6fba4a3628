/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compiler's assembly listing, line by line: just enough of the assembler's language to find functions, labels, directives and instructions in what gcc and clang
 * write, and to put lines between others. What a person wrote (between #APP and #NO_APP, or a file that went through the preprocessor) is left alone.
 */
#pragma once

#include <glib.h>

typedef enum {
	KM_LINE_EMPTY, /* nothing, or a comment */
	KM_LINE_LABEL,
	KM_LINE_DIRECTIVE,
	KM_LINE_INSTRUCTION,
	KM_LINE_HAND, /* inline assembly */
} KmLineKind;

typedef struct {
	KmLineKind kind;
	char *text; /* the line as it is, without its end */
	char *word; /* label, directive (with its dot) or mnemonic; NULL when empty */
	char *args; /* what follows it, without comment and outer blanks; NULL when empty */
	gboolean dropped; /* it is not written */
	GString *before, *after; /* lines to put before or after it; NULL: none */
} KmLine;

typedef struct {
	char *name;
	guint label; /* line of its label */
	guint end; /* line of its .size, or the last one */
	gboolean part; /* what was moved out of another function (.cold) */
	char *section; /* it is in */
	char *group; /* comdat group that is in, or NULL */
	guint first; /* index of the first function of that section */
} KmListed;

typedef struct {
	GPtrArray *lines; /* of KmLine */
	GPtrArray *functions; /* of KmListed, in the order of the listing */
	gboolean clang; /* its dialect; else gcc's */
	gboolean by_hand; /* no compiler wrote it: there are no functions to be seen */
} KmListing;

/* Any text is a listing. comments: further characters that begin a comment anywhere in a line ("#"; "" for none), beside "//". */
KmListing *km_listing_new(const char *text, gsize size, const char *comments);
void km_listing_free(KmListing *listing);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmListing, km_listing_free)

const KmLine *km_listing_line(const KmListing *listing, guint i);
/* The function of that name, or NULL. */
const KmListed *km_listing_find(const KmListing *listing, const char *name);
/* The next line from i on, before end, that is an instruction; end when there is none. */
guint km_listing_instruction(const KmListing *listing, guint i, guint end);
/* The names of functions whose address is taken, or that others can see: all words of operands but for those of calls. Caller owns the set. */
GHashTable *km_listing_targets(const KmListing *listing, const char *const *calls);
/* Put text, whole lines, before or after line i, behind what was put there already. */
void km_listing_put_before(KmListing *listing, guint i, const char *text);
void km_listing_put_after(KmListing *listing, guint i, const char *text);

/* Leave line i out. */
void km_listing_drop(KmListing *listing, guint i);

/* The text with all that was put in. */
GString *km_listing_text(const KmListing *listing);
