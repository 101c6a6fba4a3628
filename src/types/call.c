/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a call of a function takes. */
#include <dwarf.h>

#include "types/internal.h"

#define WORD 8

/* Words for a value of die's type behind those that are taken: what is aligned to two of them may leave one out. 0: void, or unknown. */
static guint64 words_of(Dwarf_Die *die, guint64 taken)
{
	Dwarf_Die type;
	Dwarf_Word size;
	if (!km_die_type(die, &type) || dwarf_aggregate_size(&type, &size))
		return 0;
	return (size + WORD - 1) / WORD + (size > WORD ? taken % 2 : 0);
}

/* A result that is a structure may be written to a place that the caller names by an argument of its own. */
static gboolean returns_structure(Dwarf_Die *function)
{
	Dwarf_Die type;
	if (!km_die_type(function, &type))
		return FALSE;
	km_die_peel(&type);
	int tag = type.addr ? dwarf_tag(&type) : 0;
	return tag == DW_TAG_structure_type || tag == DW_TAG_union_type;
}

void km_call_read(Dwarf_Die *function, KmCall *call)
{
	Dwarf_Die child;
	guint64 words = returns_structure(function);
	call->variadic = FALSE;
	for (int more = dwarf_child(function, &child); more == 0; more = dwarf_siblingof(&child, &child)) {
		int tag = dwarf_tag(&child);
		if (tag == DW_TAG_formal_parameter)
			words += MAX(words_of(&child, words), 1);
		call->variadic |= tag == DW_TAG_unspecified_parameters;
	}
	call->words = (guint)MIN(words, G_MAXUINT);
}

const KmCall *km_types_call(const KmTypes *types, const char *name)
{
	return g_hash_table_lookup(types->calls, name);
}
