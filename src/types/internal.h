/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What reading leaves and comparing reads. Private to this room. */
#pragma once

#include <elfutils/libdw.h>

#include "types/types.h"

typedef struct {
	char *name; /* "a.b" inside a structure without a name of its own; "" possible (padding bit-fields) */
	guint64 offset; /* in bits; of an enumerator its value */
	guint64 bits; /* width of a bit-field, else 0 */
	guint64 size; /* in bytes */
	char *key; /* equal exactly for types of the same representation */
	char *shown; /* for people */
} KmMember;

typedef struct {
	char *name;
	char *place;
	gboolean is_enum;
	guint64 size;
	GPtrArray *members; /* of KmMember */
} KmType;

typedef struct {
	char *name;
	char *place;
	char *key;
	char *shown;
} KmPrototype;

struct KmTypes {
	GHashTable *types; /* name -> KmType */
	GHashTable *functions; /* name -> KmPrototype */
	GHashTable *calls; /* name -> KmCall: static functions too */
};

/* The type a DIE refers to, without typedefs of named types and without qualifiers. FALSE: void. */
gboolean km_die_type(Dwarf_Die *die, Dwarf_Die *type);
/* Follow typedefs and qualifiers from type, which is changed. Returns the last typedef's name before a type without one, else NULL. */
const char *km_die_peel(Dwarf_Die *type);
/* "struct", "union", "enum" of such a DIE, else NULL. */
const char *km_die_keyword(Dwarf_Die *die);
/* Append what identifies the representation of die's type (DW_AT_type), and how to print it. */
void km_describe(Dwarf_Die *die, GString *key, GString *shown);
/* The same for a function or function type itself: result and parameters. */
void km_describe_function(Dwarf_Die *function, GString *key, GString *shown);

/* What a call of a function takes. */
void km_call_read(Dwarf_Die *function, KmCall *call);

guint64 km_die_number(Dwarf_Die *die, unsigned int attribute, guint64 otherwise);
