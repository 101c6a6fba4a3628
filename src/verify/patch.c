/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The structures handed to klp_enable_patch(), decoded from the module's data as the kernel will read them. */
#include <string.h>

#include "image/module.h"
#include "verify/internal.h"

/* Bytes behind a function's address within which its entry can be. */
#define ENTRY_ROOM 24

/* Where a pointer in the module's data leads: FALSE when there is none (NULL). */
gboolean km_pointer_at(const KmChecker *c, const KmSection *section, guint64 offset, KmSection **to, guint64 *at, const KmSymbol **symbol)
{
	gsize n;
	const KmReloc *r = km_section_relocs_in(section, offset, offset + 1, &n);
	if (!n || r->type != c->module->arch->abs64)
		return FALSE;
	*to = r->symbol->section;
	*at = r->symbol->value + (guint64)r->addend;
	*symbol = r->symbol;
	return TRUE;
}

const char *km_string_at(const KmSection *section, guint64 at)
{
	if (!section || !section->data || at >= section->data->len)
		return NULL;
	const guint8 *text = section->data->data + at;
	return memchr(text, 0, section->data->len - at) ? (const char *)text : NULL;
}

/* The bytes of a structure, also of one that is all zeros and has none in the file (.bss). NULL: it does not fit there. */
const guint8 *km_room(const KmSection *section, guint64 at, guint64 size)
{
	static const guint8 zeros[4096];
	if (!section || section->klp_object || at > section->size || size > section->size - at)
		return NULL;
	if (!section->data)
		return size <= sizeof(zeros) ? zeros : NULL;
	return at <= section->data->len && size <= section->data->len - at ? section->data->data + at : NULL;
}

/* A structure whose numbers are all zero but for the field at [field, field + width); its pointers are whole addresses. */
static void check_structure(KmChecker *c, const KmSection *section, guint64 at, guint64 size, guint64 field, guint64 width)
{
	gsize n;
	const guint8 *bytes = km_room(section, at, size);
	const KmReloc *r = km_section_relocs_in(section, at, at + size, &n);
	for (gsize i = 0; i < n; i++)
		if (r[i].type != c->module->arch->abs64 || (r[i].offset - at) % 8)
			km_find_at(c, section, r[i].offset, "no pointer can be there");
	for (guint64 i = 0; bytes && i < size; i++)
		if (bytes[i] && (i < field || i >= field + width)) {
			km_find_at(c, section, at + i, "a number where the kernel wants zero");
			break;
		}
	km_cover(c, section, at, size);
}

/* ---- finding struct klp_patch ---- */

static gboolean is_this_module(const KmReloc *r)
{
	return r->symbol->section && !strcmp(r->symbol->section->name, ".gnu.linkonce.this_module") &&
	       r->symbol->value + (guint64)r->addend == 0;
}

/* It is writable data that points to the module at its "mod" and to data at its "objs". */
static gboolean looks_like_patch(const KmChecker *c, const KmSection *section, const KmReloc *r)
{
	KmSection *to;
	guint64 at;
	const KmSymbol *symbol;
	if (!is_this_module(r) || r->offset < c->layout.patch_mod || !(section->flags & SHF_WRITE))
		return FALSE;
	guint64 start = r->offset - c->layout.patch_mod;
	return km_room(section, start, c->layout.patch_size) &&
	       km_pointer_at(c, section, start + c->layout.patch_objs, &to, &at, &symbol) && to;
}

gboolean km_calls_enable(const KmObject *module)
{
	for (guint s = 0; s < module->sections->len; s++) {
		const KmSection *section = module->sections->pdata[s];
		for (guint i = 0; km_section_is_text(section) && i < section->relocs->len; i++)
			if (strstr(g_array_index(section->relocs, KmReloc, i).symbol->name, "klp_enable_patch"))
				return TRUE;
	}
	return FALSE;
}

guint km_find_patch(KmChecker *c)
{
	guint found = 0;
	for (guint s = 0; s < c->module->sections->len; s++) {
		KmSection *section = c->module->sections->pdata[s];
		if (km_section_is_about_code(section) || km_section_is_text(section))
			continue;
		for (guint i = 0; i < section->relocs->len; i++) {
			const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
			if (!looks_like_patch(c, section, r))
				continue;
			c->patch_section = section;
			c->patch_offset = r->offset - c->layout.patch_mod;
			found++;
		}
	}
	return found;
}

/* ---- functions ---- */

static int has_entry(const KmImage *image, guint64 address)
{
	return km_image_has_entry(image, address, MIN(address + ENTRY_ROOM, km_image_next_symbol(image, address)));
}

static int has_entry_in_stock(const KmObject *module, const KmAt *at)
{
	const KmSection *records = km_object_find_section(module, "__mcount_loc");
	if (!records)
		records = km_object_find_section(module, "__patchable_function_entries");
	guint pad = records ? km_module_entry_pad(module, records) : 0;
	for (guint i = 0; records && i < records->relocs->len; i++) {
		const KmReloc *r = &g_array_index(records->relocs, KmReloc, i);
		guint64 place = r->symbol->value + (guint64)r->addend + pad;
		if (r->symbol->section == at->section && place >= at->address && place < at->address + ENTRY_ROOM)
			return 1;
	}
	return records ? 0 : -1;
}

static void check_original(KmChecker *c, KmSwitch *s, const char *where)
{
	g_autofree char *why = NULL;
	/* That has been said. */
	if (strcmp(s->object, "vmlinux") && !km_stock(c, s->object))
		return;
	s->original = km_at_named(c, s->object, s->name, s->sympos, &why);
	int entry = 1;
	if (!s->original.kind)
		km_find(c, where, "%s", why);
	else if (s->original.kind == KM_AT_VMLINUX)
		entry = has_entry(c->input->image, s->original.address);
	else
		entry = has_entry_in_stock(km_stock(c, s->object), &s->original);
	if (entry == 0)
		km_find(c, where, "has no patchable entry: klp_enable_patch() would fail");
	if (s->original.kind == KM_AT_VMLINUX && km_image_entry_is_ambiguous(c->input->image, s->original.address, 0))
		km_find(c, where, "another entry without a name is behind it, and the kernel may redirect that one");
}

static void check_replacement(KmChecker *c, const KmSwitch *s, const char *where)
{
	if (!s->section || !km_section_is_text(s->section)) {
		km_find(c, where, "its replacement is no code of the module");
		return;
	}
	const KmSymbol *f = km_object_symbol_at(c->module, s->section, s->offset);
	if (!f || f->value != s->offset || f->type != STT_FUNC)
		km_find(c, where, "its replacement (%s+0x%" G_GINT64_MODIFIER "x) is not the start of a function",
			s->section->name, s->offset);
}

KmSwitch *km_add_switch(KmChecker *c, const char *object, const char *name, guint64 sympos, KmSection *section, guint64 offset)
{
	KmSwitch *s = g_new0(KmSwitch, 1);
	*s = (KmSwitch){ .object = g_strdup(object), .name = g_strdup(name), .sympos = sympos, .section = section,
			 .offset = offset };
	g_autofree char *where = g_strdup_printf("%s %s:%s,%" G_GUINT64_FORMAT,
						     c->own ? "kmend_func" : "klp_func", object, name, sympos);
	check_original(c, s, where);
	check_replacement(c, s, where);
	for (guint i = 0; i < c->switches->len; i++) {
		const KmSwitch *other = c->switches->pdata[i];
		if (km_at_equal(&other->original, &s->original))
			km_find(c, where, "the same function is replaced twice");
		if (other->section == section && other->offset == offset)
			km_find(c, where, "shares its replacement with %s", other->name);
	}
	g_ptr_array_add(c->switches, s);
	c->result->functions++;
	return s;
}

/* FALSE at the empty entry that ends the array, or when it cannot be read. */
static gboolean read_func(KmChecker *c, const char *object, const KmSection *section, guint64 at)
{
	const KmVerifyLayout *l = &c->layout;
	const guint8 *bytes = km_room(section, at, l->func_size);
	KmSection *names = NULL, *code = NULL;
	guint64 name_at = 0, code_at = 0;
	const KmSymbol *symbol;
	if (!bytes) {
		km_find_at(c, section, at, "struct klp_func of %s outside the section's bytes: the array has no end", object);
		return FALSE;
	}
	gboolean named = km_pointer_at(c, section, at + l->func_old_name, &names, &name_at, &symbol);
	gboolean coded = km_pointer_at(c, section, at + l->func_new_func, &code, &code_at, &symbol);
	guint64 sympos = km_object_get_u64(c->module, bytes + l->func_old_sympos);
	check_structure(c, section, at, l->func_size, l->func_old_sympos, 8);
	if (!named && !coded && !sympos)
		return FALSE;
	const char *name = km_string_at(names, name_at);
	if (!named || !name || !*name) {
		km_find_at(c, section, at, "a struct klp_func of %s without a name", object);
		return TRUE;
	}
	km_cover(c, names, name_at, strlen(name) + 1);
	km_add_switch(c, object, name, sympos, code, code_at);
	return TRUE;
}

/* ---- objects ---- */

void km_check_object_name(KmChecker *c, const char *name)
{
	if (!g_hash_table_add(c->objects, g_strdup(name)))
		km_find(c, name, "two descriptions of one object");
	if (strcmp(name, "vmlinux") && !km_stock(c, name))
		km_find(c, name,
			"the kernel has no module of that name to patch (one that is not the kernel's own is given "
			"with "
			"--oot-module)");
}

void km_add_callback(KmChecker *c, const char *object, const KmReloc *r)
{
	KmSwitch *call = g_new0(KmSwitch, 1);
	*call = (KmSwitch){ .object = g_strdup(object), .section = r->symbol->section,
			    .offset = r->symbol->value + (guint64)r->addend };
	g_ptr_array_add(c->callbacks, call);
	check_replacement(c, call, object);
}

/* What else a struct klp_object points to is code that the kernel calls. How many there are. */
static guint read_callbacks(KmChecker *c, const KmSection *section, guint64 at, const char *object)
{
	guint found = 0;
	gsize n;
	const KmReloc *r = km_section_relocs_in(section, at, at + c->layout.object_size, &n);
	for (gsize i = 0; i < n; i++) {
		guint64 field = r[i].offset - at;
		if (field == c->layout.object_name || field == c->layout.object_funcs)
			continue;
		km_add_callback(c, object, &r[i]);
		found++;
	}
	return found;
}

/* The states that cumulative patches share, up to the one without an id. */
static void read_states(KmChecker *c)
{
	const KmVerifyLayout *l = &c->layout;
	KmSection *section = NULL;
	guint64 at = 0;
	const KmSymbol *symbol;
	if (!km_pointer_at(c, c->patch_section, c->patch_offset + l->patch_states, &section, &at, &symbol))
		return;
	for (const guint8 *state; (state = km_room(section, at, l->state_size)); at += l->state_size) {
		km_cover(c, section, at, l->state_size);
		if (!km_object_get_u64(c->module, state + l->state_id))
			return;
	}
	km_find(c, "struct klp_state", "the array has no end within its section");
}

static gboolean read_object(KmChecker *c, const KmSection *section, guint64 at)
{
	const KmVerifyLayout *l = &c->layout;
	KmSection *names = NULL, *funcs = NULL;
	guint64 name_at = 0, funcs_at = 0;
	const KmSymbol *symbol;
	if (!km_room(section, at, l->object_size)) {
		km_find_at(c, section, at, "struct klp_object outside the section's bytes: the array has no end");
		return FALSE;
	}
	gboolean named = km_pointer_at(c, section, at + l->object_name, &names, &name_at, &symbol);
	gboolean filled = km_pointer_at(c, section, at + l->object_funcs, &funcs, &funcs_at, &symbol);
	check_structure(c, section, at, l->object_size, 0, 0);
	if (!named && !filled)
		return FALSE;
	const char *name = named ? km_string_at(names, name_at) : "vmlinux";
	if (!name || !*name || !filled || !funcs) {
		km_find_at(c, section, at, "a struct klp_object without %s", name && *name ? "functions" : "a readable name");
		return TRUE;
	}
	if (named)
		km_cover(c, names, name_at, strlen(name) + 1);
	km_check_object_name(c, name);
	guint before = c->switches->len;
	while (read_func(c, name, funcs, funcs_at))
		funcs_at += l->func_size;
	if (!read_callbacks(c, section, at, name) && c->switches->len == before)
		km_find(c, name, "a struct klp_object without functions and callbacks");
	return TRUE;
}

/* ---- together ---- */

/* Relocations of an object that the patch does not patch are never applied. */
static void check_owners(KmChecker *c)
{
	for (guint s = 0; s < c->module->sections->len; s++) {
		const KmSection *klp = c->module->sections->pdata[s];
		if (klp->klp_object && strcmp(klp->klp_object, "vmlinux") && !g_hash_table_contains(c->objects, klp->klp_object))
			km_find(c, klp->name, "relocations of %s, which the live patch does not patch: they are never applied",
				klp->klp_object);
	}
}

static gint by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *joined(GPtrArray *lines)
{
	g_ptr_array_sort(lines, by_text);
	g_ptr_array_add(lines, NULL);
	return g_strjoinv(" ", (char **)lines->pdata);
}

/* What modinfo says is replaced is what users are told. */
void km_check_told(KmChecker *c)
{
	g_autoptr(GPtrArray) told = g_ptr_array_new(), true_ones = g_ptr_array_new_with_free_func(g_free);
	const char *replace = km_module_info(c->module, "kmend_replace");
	const guint8 *bytes = c->patch_section ? km_room(c->patch_section, c->patch_offset, c->layout.patch_size) : NULL;
	gboolean ours = km_module_info(c->module, "kmend") != NULL;
	if (!ours && c->input->units)
		km_find(c, ".modinfo", "does not say that kmend made it");
	if (!ours || !bytes)
		return;
	for (const char *v = NULL; (v = km_module_info_next(c->module, "kmend_func", v));)
		g_ptr_array_add(told, (gpointer)v);
	for (guint i = 0; i < c->switches->len; i++) {
		const KmSwitch *s = c->switches->pdata[i];
		g_ptr_array_add(true_ones, g_strdup_printf("%s:%s,%" G_GUINT64_FORMAT, s->object, s->name, s->sympos));
	}
	g_autofree char *a = joined(told), *b = joined(true_ones);
	if (strcmp(a, b))
		km_find(c, ".modinfo", "kmend_func says '%s', the structures replace '%s'", a, b);
	if (!replace || strcmp(replace, bytes[c->layout.patch_replace] ? "Y" : "N"))
		km_find(c, ".modinfo", "kmend_replace says otherwise than struct klp_patch");
}

void km_check_patch(KmChecker *c)
{
	KmSection *objects = NULL;
	guint64 at = 0;
	const KmSymbol *symbol;
	if (!km_calls_enable(c->module))
		km_find(c, c->module->path, "nothing in it calls klp_enable_patch()");
	if (!c->has_layout) {
		km_note(c, "the kernel has no type information (BTF): what is replaced was not decoded");
		return;
	}
	guint found = km_find_patch(c);
	if (!found) {
		/* Some tools' modules fill the structures in when they are loaded. */
		km_note(c, "no struct klp_patch in its data: it is made at run time, and was not decoded");
		return;
	}
	if (found > 1)
		km_find(c, c->patch_section->name, "%u structures look like struct klp_patch", found);
	check_structure(c, c->patch_section, c->patch_offset, c->layout.patch_size, c->layout.patch_replace, 1);
	const guint8 *bytes = km_room(c->patch_section, c->patch_offset, c->layout.patch_size);
	if (bytes && bytes[c->layout.patch_replace] > 1)
		km_find_at(c, c->patch_section, c->patch_offset + c->layout.patch_replace, "\"replace\" is neither true nor false");
	km_pointer_at(c, c->patch_section, c->patch_offset + c->layout.patch_objs, &objects, &at, &symbol);
	while (read_object(c, objects, at))
		at += c->layout.object_size;
	if (!c->switches->len && !c->callbacks->len)
		km_find(c, c->patch_section->name, "struct klp_patch does nothing");
	read_states(c);
	check_owners(c);
	km_check_told(c);
}
