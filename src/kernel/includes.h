/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The #include lines of one file, read without a preprocessor; private to this room. */
#pragma once

#include <glib.h>

typedef enum {
	KM_INCLUDE_QUOTE, /* "name": the file's own directory first */
	KM_INCLUDE_ANGLE, /* <name> */
	KM_INCLUDE_ANY, /* any file whose path ends with name: an include made by a macro, #include_next */
	KM_INCLUDE_FORCED, /* a makefile's -include: for every file of its directory and below */
} KmIncludeKind;

/* name is only valid during the call. */
typedef void (*KmIncludeFunc)(KmIncludeKind kind, const char *name, gpointer data);

/*
 * Every include that text may hold, also those in comments, strings and skipped #if branches. Names that reach an #include
 * through a macro are found where the macro is defined: #define X <name.h>, and TRACE_SYSTEM / TRACE_INCLUDE_FILE of tracepoints.
 */
void km_includes_read(const char *text, gsize size, KmIncludeFunc found, gpointer data);

/* The headers after -include in a makefile. */
void km_includes_read_makefile(const char *text, gsize size, KmIncludeFunc found, gpointer data);
