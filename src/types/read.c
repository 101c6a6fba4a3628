/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From an object's DWARF to its types. libdwfl, because the sections of a relocatable object must be relocated first. */
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <string.h>

#include "base/error.h"
#include "types/internal.h"

/* DIEs nest as blocks of a source do. */
#define MAX_NESTING 256

typedef struct {
	KmTypes *types;
	const char *tree;
} Reader;

static void member_free(KmMember *member)
{
	g_free(member->name);
	g_free(member->key);
	g_free(member->shown);
	g_free(member);
}

static void type_free(KmType *type)
{
	g_free(type->name);
	g_free(type->place);
	g_ptr_array_unref(type->members);
	g_free(type);
}

static void prototype_free(KmPrototype *prototype)
{
	g_free(prototype->name);
	g_free(prototype->place);
	g_free(prototype->key);
	g_free(prototype->shown);
	g_free(prototype);
}

void km_types_free(KmTypes *types)
{
	if (!types)
		return;
	g_hash_table_unref(types->types);
	g_hash_table_unref(types->functions);
	g_hash_table_unref(types->calls);
	g_free(types);
}

/* "include/linux/foo.h:12" */
static char *place_of(const Reader *reader, Dwarf_Die *die)
{
	const char *file = dwarf_decl_file(die);
	int line;
	Dwarf_Die unit;
	if (dwarf_decl_line(die, &line))
		return g_strdup("");
	/* Version 5 numbers files from 0, the unit's own, where libdw says that there is none. */
	if (!file)
		file = dwarf_diecu(die, &unit, NULL, NULL) ? dwarf_diename(&unit) : NULL;
	if (!file)
		return g_strdup("");
	gsize cut = reader->tree ? strlen(reader->tree) : 0;
	if (cut && !strncmp(file, reader->tree, cut) && file[cut] == '/')
		file += cut + 1;
	while (g_str_has_prefix(file, "./"))
		file += 2;
	return g_strdup_printf("%s:%d", file, line);
}

static guint64 size_of(Dwarf_Die *type)
{
	Dwarf_Word size;
	return dwarf_aggregate_size(type, &size) ? 0 : size;
}

/* Where a member begins, in bits; of bit-fields both ways of DWARF to say it, which one compiler does not mix. */
static guint64 bit_offset(Dwarf_Die *member)
{
	guint64 bytes = km_die_number(member, DW_AT_data_member_location, 0);
	return bytes * 8 + km_die_number(member, DW_AT_data_bit_offset, km_die_number(member, DW_AT_bit_offset, 0));
}

static void add_members(KmType *type, Dwarf_Die *from, const char *prefix, guint64 offset, guint depth);

static void add_member(KmType *type, Dwarf_Die *die, const char *prefix, guint64 offset, guint depth)
{
	Dwarf_Die of;
	const char *own = dwarf_diename(die);
	if (!km_die_type(die, &of))
		return;
	g_autofree char *name = g_strconcat(prefix, own ? own : "", NULL);
	offset += bit_offset(die);
	Dwarf_Die peeled = of;
	const char *alias = km_die_peel(&peeled);
	int tag = peeled.addr ? dwarf_tag(&peeled) : 0;
	gboolean nested = tag == DW_TAG_structure_type || tag == DW_TAG_union_type;
	/* What a structure without a name holds belongs to the one around it. */
	if (nested && !alias && !dwarf_diename(&peeled) && depth < MAX_NESTING) {
		g_autofree char *inner = own ? g_strconcat(name, ".", NULL) : g_strdup(prefix);
		add_members(type, &peeled, inner, offset, depth + 1);
		return;
	}
	g_autoptr(GString) key = g_string_new(NULL), shown = g_string_new(NULL);
	km_describe(die, key, shown);
	KmMember *member = g_new0(KmMember, 1);
	member->name = g_steal_pointer(&name);
	member->offset = offset;
	member->bits = km_die_number(die, DW_AT_bit_size, 0);
	member->size = size_of(&of);
	member->key = g_string_free(g_steal_pointer(&key), FALSE);
	member->shown = g_string_free(g_steal_pointer(&shown), FALSE);
	g_ptr_array_add(type->members, member);
}

static void add_members(KmType *type, Dwarf_Die *from, const char *prefix, guint64 offset, guint depth)
{
	Dwarf_Die child;
	for (int more = dwarf_child(from, &child); more == 0; more = dwarf_siblingof(&child, &child))
		if (dwarf_tag(&child) == DW_TAG_member)
			add_member(type, &child, prefix, offset, depth);
}

static KmType *add_type(Reader *reader, Dwarf_Die *die, char *name)
{
	KmType *type = g_new0(KmType, 1);
	type->name = name;
	type->place = place_of(reader, die);
	type->size = size_of(die);
	type->members = g_ptr_array_new_with_free_func((GDestroyNotify)member_free);
	g_hash_table_replace(reader->types->types, type->name, type);
	return type;
}

static void add_enumerator(KmType *type, Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Sword value;
	if (!dwarf_attr(die, DW_AT_const_value, &attr) || dwarf_formsdata(&attr, &value))
		return;
	KmMember *member = g_new0(KmMember, 1);
	member->name = g_strdup(dwarf_diename(die));
	member->offset = (guint64)value;
	g_ptr_array_add(type->members, member);
}

/* The enumerators of an enum without a name are constants on their own. */
static void add_enum(Reader *reader, Dwarf_Die *die, char *name)
{
	KmType *type = name ? add_type(reader, die, name) : NULL;
	Dwarf_Die child;
	for (int more = dwarf_child(die, &child); more == 0; more = dwarf_siblingof(&child, &child)) {
		if (dwarf_tag(&child) != DW_TAG_enumerator || !dwarf_diename(&child))
			continue;
		if (!name)
			type = add_type(reader, die, g_strconcat("enumerator ", dwarf_diename(&child), NULL));
		type->is_enum = TRUE;
		add_enumerator(type, &child);
	}
}

/* A free name for a type that is known as name inside scope (a function, or ""): two blocks may use the same one. */
static char *scoped_name(const Reader *reader, const char *scope, const char *keyword, const char *name)
{
	g_autofree char *plain = *keyword ? g_strdup_printf("%s %s", keyword, name) : g_strdup(name);
	if (!*scope)
		return g_steal_pointer(&plain);
	g_autofree char *full = g_strdup_printf("%s of %s()", plain, scope);
	for (guint n = 2; g_hash_table_contains(reader->types->types, full); n++) {
		g_free(full);
		full = g_strdup_printf("%s (%u) of %s()", plain, n, scope);
	}
	return g_steal_pointer(&full);
}

static void read_type(Reader *reader, Dwarf_Die *die, const char *scope)
{
	const char *name = dwarf_diename(die), *keyword = km_die_keyword(die);
	gboolean is_enum = dwarf_tag(die) == DW_TAG_enumeration_type;
	if (dwarf_hasattr(die, DW_AT_declaration) || (!name && !is_enum))
		return;
	char *full = name ? scoped_name(reader, scope, keyword, name) : NULL;
	if (is_enum)
		add_enum(reader, die, full);
	else
		add_members(add_type(reader, die, full), die, "", 0, 0);
}

/* typedef struct { ... } foo_t: the typedef's name is the only one it has. */
static void read_typedef(Reader *reader, Dwarf_Die *die, const char *scope)
{
	Dwarf_Die type;
	if (!km_die_type(die, &type) || dwarf_tag(&type) == DW_TAG_typedef || !dwarf_diename(die))
		return;
	km_die_peel(&type);
	int tag = type.addr ? dwarf_tag(&type) : 0;
	if ((tag == DW_TAG_structure_type || tag == DW_TAG_union_type) && !dwarf_diename(&type))
		add_members(add_type(reader, &type, scoped_name(reader, scope, "", dwarf_diename(die))), &type, "", 0,
			    0);
}

static void read_function(Reader *reader, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);
	/* A copy for one caller only points at what it is a copy of; that one is read. */
	if (!name || dwarf_hasattr(die, DW_AT_declaration) || dwarf_hasattr(die, DW_AT_abstract_origin))
		return;
	KmCall *call = g_new0(KmCall, 1);
	km_call_read(die, call);
	g_hash_table_replace(reader->types->calls, g_strdup(name), call);
	if (!dwarf_hasattr_integrate(die, DW_AT_external))
		return;
	g_autoptr(GString) key = g_string_new(NULL), shown = g_string_new(NULL);
	km_describe_function(die, key, shown);
	KmPrototype *prototype = g_new0(KmPrototype, 1);
	prototype->name = g_strdup(name);
	prototype->place = place_of(reader, die);
	prototype->key = g_string_free(g_steal_pointer(&key), FALSE);
	prototype->shown = g_string_free(g_steal_pointer(&shown), FALSE);
	g_hash_table_replace(reader->types->functions, prototype->name, prototype);
}

static void read_die(Reader *reader, Dwarf_Die *die, const char *scope, guint depth)
{
	int tag = dwarf_tag(die);
	if (km_die_keyword(die))
		read_type(reader, die, scope);
	else if (tag == DW_TAG_typedef)
		read_typedef(reader, die, scope);
	else if (tag == DW_TAG_subprogram)
		read_function(reader, die);
	/* Inlined copies repeat nothing that their origin does not say. */
	if ((tag != DW_TAG_compile_unit && tag != DW_TAG_subprogram && tag != DW_TAG_lexical_block) ||
	    depth > MAX_NESTING || (tag == DW_TAG_subprogram && dwarf_hasattr(die, DW_AT_abstract_origin)))
		return;
	const char *inner = tag == DW_TAG_subprogram && dwarf_diename(die) ? dwarf_diename(die) : scope;
	Dwarf_Die child;
	for (int more = dwarf_child(die, &child); more == 0; more = dwarf_siblingof(&child, &child))
		read_die(reader, &child, inner, depth + 1);
}

static gboolean read_module(Reader *reader, Dwfl_Module *module, const char *path, GError **error)
{
	Dwarf_Die *unit = NULL;
	Dwarf_Addr bias;
	gboolean any = FALSE;
	while ((unit = dwfl_module_nextcu(module, unit, &bias))) {
		any = TRUE;
		read_die(reader, unit, "", 0);
	}
	return any ||
	       km_refuse(error, "%s holds no debug information (%s): was it compiled with -g?", path, dwfl_errmsg(-1));
}

/* Everything is in the object itself. */
static int find_nothing(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base, const char *file,
			const char *link, GElf_Word crc, char **found)
{
	return -1;
}

KmTypes *km_types_read(const char *object, const char *tree, GError **error)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = find_nothing,
		.section_address = dwfl_offline_section_address,
	};
	g_autoptr(KmTypes) types = g_new0(KmTypes, 1);
	types->types = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)type_free);
	types->functions = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)prototype_free);
	types->calls = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	Reader reader = { .types = types, .tree = tree };
	Dwfl *dwfl = dwfl_begin(&callbacks);
	Dwfl_Module *module = dwfl ? dwfl_report_offline(dwfl, object, object, -1) : NULL;
	gboolean ok = module ? read_module(&reader, module, object, error)
			     : km_fail(error, "cannot read %s: %s", object, dwfl_errmsg(-1));
	dwfl_end(dwfl);
	return ok ? g_steal_pointer(&types) : NULL;
}
