/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types and function prototypes of a unit as its debug information (DWARF) tells them, and what differs between two of
 * them. Objects of any architecture in arch/; relocatable ones, as the compiler makes them with -g.
 */
#pragma once

#include <glib.h>

/* All types and global functions of one object. */
typedef struct KmTypes KmTypes;

/* tree: directory that is cut off file names, or NULL. Refused: an object without debug information. */
KmTypes *km_types_read(const char *object, const char *tree, GError **error);
void km_types_free(KmTypes *types);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmTypes, km_types_free)

/* What a call of a function takes along. */
typedef struct {
	guint words; /* of 8 bytes, for its arguments */
	gboolean variadic; /* and possibly more */
} KmCall;

/* Of a function that the object defines, static or not; NULL: it does not. Owned by types. */
const KmCall *km_types_call(const KmTypes *types, const char *name);

/* A type (or a function's prototype) that both sides have and that differs. */
typedef struct {
	char *name; /* "struct foo", "union u", "enum e", "foo_t", "enumerator FOO" (of an enum without a name); functions: "foo" */
	char *place; /* "include/linux/foo.h:12" in the patched source, "" when unknown */
	GPtrArray *what; /* of char*: "size 64 -> 72", "member bar at 16 -> 24" */
} KmTypeChange;

/*
 * Structures, unions and enumerations whose memory or values mean something else. No difference: a type that only one side has,
 * a member that only changed its name, qualifiers, an integer or enumeration of another name but the same size and sign, an
 * enumerator that is new and moves no other. Sorted by name; array of KmTypeChange, owned.
 */
GPtrArray *km_types_compare(const KmTypes *original, const KmTypes *patched);

/* Global functions of both sides whose parameters or result are passed differently. */
GPtrArray *km_types_compare_functions(const KmTypes *original, const KmTypes *patched);

/* Do both sides have the type or global function of exactly this name, and without a difference? */
gboolean km_types_agree(const KmTypes *original, const KmTypes *patched, const char *name);

/* "struct foo (include/linux/foo.h:12): size 64 -> 72, member bar at 16 -> 24". Long lists are cut. Caller owns. */
char *km_type_change_text(const KmTypeChange *change);

/* Is change about the type that a user calls name ("foo" or "struct foo")? */
gboolean km_type_change_is(const KmTypeChange *change, const char *name);
