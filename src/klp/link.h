/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Joining the template and the extracted units into one relocatable object. */
#pragma once

#include "elf/object.h"
#include "klp/refs.h"

/* The module under construction. */
typedef struct {
	KmObject *object;
	GHashTable *refs; /* name of an undefined symbol in object (char*) -> KmRef; both owned */
	GHashTable *moved; /* KmSymbol of an extracted object -> KmSymbol of object */
	guint known; /* symbols of object that were there before the unit that is being added */
	GHashTable *pending; /* KmSymbol of object -> the new definition (of an extracted object) that it stands for */
} KmLink;

/* Starts with template_object, whose ownership it takes. */
KmLink *km_link_new(KmObject *template_object);
void km_link_free(KmLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmLink, km_link_free)

/*
 * Add an extracted unit (km_extract). Tables of the same name are joined, everything else keeps its own section; all its
 * definitions become local. Its undefined symbols are bound by c, except the names in definitions: those are new global
 * functions and data of another unit (char* -> KmSymbol of its extracted object), bound by km_link_join().
 * Refused: sections a live patch cannot carry, by name.
 */
gboolean km_link_add(KmLink *link, const KmObject *extracted, const KmRefContext *c, GHashTable *definitions,
		     GError **error);
/* Once all units are in: bind references from one unit to another's new definitions. */
void km_link_join(KmLink *link);

/* The undefined symbol of object for ref, which it takes. Two different things of one name get different names. */
KmSymbol *km_link_undefined(KmLink *link, const char *name, KmRef *ref);
