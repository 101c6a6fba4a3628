/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A type in words: one string that is equal where the representation is, and one that a person reads. */
#include <dwarf.h>
#include <string.h>

#include "types/internal.h"

/* Function types may take pointers to functions that take ...: deeper than this nobody writes by hand. */
#define MAX_DEPTH 24

static void describe_type(Dwarf_Die *type, GString *key, GString *shown, guint depth);

guint64 km_die_number(Dwarf_Die *die, unsigned int attribute, guint64 otherwise)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;
	if (!dwarf_attr_integrate(die, attribute, &attr) || dwarf_formudata(&attr, &value))
		return otherwise;
	return value;
}

gboolean km_die_type(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute attr;
	return dwarf_attr_integrate(die, DW_AT_type, &attr) && dwarf_formref_die(&attr, type);
}

static gboolean is_qualifier(int tag)
{
	return tag == DW_TAG_const_type || tag == DW_TAG_volatile_type || tag == DW_TAG_restrict_type ||
	       tag == DW_TAG_atomic_type;
}

const char *km_die_peel(Dwarf_Die *type)
{
	const char *name = NULL;
	int tag;
	while ((tag = dwarf_tag(type)) == DW_TAG_typedef || is_qualifier(tag)) {
		Dwarf_Die next;
		if (tag == DW_TAG_typedef)
			name = dwarf_diename(type);
		if (!km_die_type(type, &next)) {
			/* `const void`, or a typedef of void. */
			memset(type, 0, sizeof(*type));
			return NULL;
		}
		*type = next;
	}
	return dwarf_diename(type) ? NULL : name;
}

const char *km_die_keyword(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_structure_type:
		return "struct";
	case DW_TAG_union_type:
		return "union";
	case DW_TAG_enumeration_type:
		return "enum";
	default:
		return NULL;
	}
}

static char sign_of(guint64 encoding)
{
	switch (encoding) {
	case DW_ATE_boolean:
		return 'b';
	case DW_ATE_signed:
	case DW_ATE_signed_char:
		return 'i';
	case DW_ATE_unsigned:
	case DW_ATE_unsigned_char:
		return 'u';
	case DW_ATE_float:
		return 'f';
	default:
		return '?';
	}
}

/* Integers and enumerations: what counts is how many bytes they are and whether there is a sign. */
static void describe_number(Dwarf_Die *type, GString *key)
{
	Dwarf_Die base = *type, next;
	guint64 size = km_die_number(type, DW_AT_byte_size, 0);
	if (dwarf_tag(type) == DW_TAG_enumeration_type && km_die_type(type, &next)) {
		km_die_peel(&next);
		base = next;
	}
	g_string_append_printf(key, "%c%" G_GUINT64_FORMAT, sign_of(km_die_number(&base, DW_AT_encoding, 0)), size);
}

static void describe_members(Dwarf_Die *type, GString *key, guint depth)
{
	Dwarf_Die child;
	g_string_append_printf(key, "%s%" G_GUINT64_FORMAT "{", km_die_keyword(type),
			       km_die_number(type, DW_AT_byte_size, 0));
	for (int more = dwarf_child(type, &child); more == 0; more = dwarf_siblingof(&child, &child)) {
		Dwarf_Die member;
		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		g_autoptr(GString) unread = g_string_new(NULL);
		g_string_append_printf(
			key, "%" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT " ",
			km_die_number(&child, DW_AT_data_member_location, 0),
			km_die_number(&child, DW_AT_data_bit_offset, km_die_number(&child, DW_AT_bit_offset, 0)),
			km_die_number(&child, DW_AT_bit_size, 0));
		if (km_die_type(&child, &member))
			describe_type(&member, key, unread, depth + 1);
		g_string_append_c(key, ';');
	}
	g_string_append_c(key, '}');
}

static void describe_aggregate(Dwarf_Die *type, const char *alias, GString *key, GString *shown, guint depth)
{
	const char *name = dwarf_diename(type), *keyword = km_die_keyword(type);
	if (dwarf_tag(type) == DW_TAG_enumeration_type)
		describe_number(type, key);
	else if (name)
		g_string_append_printf(key, "%s %s", keyword, name);
	else if (alias)
		g_string_append(key, alias);
	else
		describe_members(type, key, depth);
	if (name || !alias)
		g_string_append_printf(shown, "%s %s", keyword, name ? name : "{...}");
	else
		g_string_append(shown, alias);
}

static void describe_array(Dwarf_Die *type, GString *key, GString *shown, guint depth)
{
	Dwarf_Die child, element;
	g_autoptr(GString) lengths = g_string_new(NULL);
	for (int more = dwarf_child(type, &child); more == 0; more = dwarf_siblingof(&child, &child)) {
		if (dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		guint64 last = km_die_number(&child, DW_AT_upper_bound, G_MAXUINT64);
		guint64 count = km_die_number(&child, DW_AT_count, last + 1);
		if (count)
			g_string_append_printf(lengths, "[%" G_GUINT64_FORMAT "]", count);
		else
			g_string_append(lengths, "[]");
	}
	g_string_append(key, lengths->str);
	if (km_die_type(type, &element))
		describe_type(&element, key, shown, depth + 1);
	g_string_append(shown, lengths->str);
}

static void describe_function(Dwarf_Die *function, GString *key, GString *shown, const char *between, guint depth)
{
	Dwarf_Die type, child;
	g_string_append(key, "F(");
	if (km_die_type(function, &type)) {
		describe_type(&type, key, shown, depth + 1);
	} else {
		g_string_append(key, "void");
		g_string_append(shown, "void");
	}
	g_string_append_printf(shown, " %s(", between);
	guint n = 0;
	for (int more = dwarf_child(function, &child); more == 0; more = dwarf_siblingof(&child, &child)) {
		int tag = dwarf_tag(&child);
		if (tag != DW_TAG_formal_parameter && tag != DW_TAG_unspecified_parameters)
			continue;
		g_string_append_c(key, ',');
		if (n++)
			g_string_append(shown, ", ");
		if (tag == DW_TAG_formal_parameter && km_die_type(&child, &type)) {
			describe_type(&type, key, shown, depth + 1);
		} else {
			g_string_append(key, "...");
			g_string_append(shown, "...");
		}
	}
	g_string_append_c(key, ')');
	g_string_append(shown, n ? ")" : "void)");
}

static void describe_pointer(Dwarf_Die *type, GString *key, GString *shown, guint depth)
{
	Dwarf_Die target;
	g_string_append_c(key, '*');
	if (!km_die_type(type, &target)) {
		g_string_append(shown, "void *");
		return;
	}
	Dwarf_Die peeled = target;
	km_die_peel(&peeled);
	if (peeled.addr && dwarf_tag(&peeled) == DW_TAG_subroutine_type) {
		describe_function(&peeled, key, shown, "(*)", depth + 1);
		return;
	}
	describe_type(&target, key, shown, depth + 1);
	g_string_append(shown, g_str_has_suffix(shown->str, "*") ? "*" : " *");
}

/* The name a person knows it by: the first typedef's, whatever that stands for. */
static gboolean show_alias(Dwarf_Die *type, GString *shown)
{
	Dwarf_Die at = *type, next;
	while (is_qualifier(dwarf_tag(&at)) && km_die_type(&at, &next))
		at = next;
	if (dwarf_tag(&at) != DW_TAG_typedef || !dwarf_diename(&at))
		return FALSE;
	g_string_append(shown, dwarf_diename(&at));
	return TRUE;
}

static void describe_peeled(Dwarf_Die *type, const char *alias, GString *key, GString *shown, guint depth)
{
	switch (dwarf_tag(type)) {
	case DW_TAG_base_type:
		describe_number(type, key);
		g_string_append(shown, dwarf_diename(type) ? dwarf_diename(type) : "?");
		break;
	case DW_TAG_pointer_type:
		describe_pointer(type, key, shown, depth);
		break;
	case DW_TAG_array_type:
		describe_array(type, key, shown, depth);
		break;
	case DW_TAG_subroutine_type:
		describe_function(type, key, shown, "", depth);
		break;
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
		describe_aggregate(type, alias, key, shown, depth);
		break;
	default:
		g_string_append_printf(key, "tag%d", dwarf_tag(type));
		g_string_append(shown, "?");
	}
}

static void describe_type(Dwarf_Die *type, GString *key, GString *shown, guint depth)
{
	Dwarf_Die peeled = *type;
	const char *alias = km_die_peel(&peeled);
	if (!peeled.addr || depth > MAX_DEPTH) {
		g_string_append(key, "void");
		g_string_append(shown, "void");
		return;
	}
	g_autoptr(GString) unread = g_string_new(NULL);
	GString *to = show_alias(type, shown) ? unread : shown;
	describe_peeled(&peeled, alias, key, to, depth);
}

void km_describe(Dwarf_Die *die, GString *key, GString *shown)
{
	Dwarf_Die type;
	if (km_die_type(die, &type)) {
		describe_type(&type, key, shown, 0);
	} else {
		g_string_append(key, "void");
		g_string_append(shown, "void");
	}
}

void km_describe_function(Dwarf_Die *function, GString *key, GString *shown)
{
	describe_function(function, key, shown, "", 0);
}
