/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structures as the kernel itself describes them: its type information (BTF), read with libbpf. */
#include <bpf/btf.h>
#include <string.h>

#include "base/error.h"
#include "image/patchdata.h"
#include "verify/internal.h"

typedef struct {
	const char *structure, *member; /* member NULL: the size of the structure */
	gsize place; /* in KmVerifyLayout */
} Wanted;

#define SIZE(s, field) { s, NULL, G_STRUCT_OFFSET(KmVerifyLayout, field) }
#define MEMBER(s, m, field) { s, m, G_STRUCT_OFFSET(KmVerifyLayout, field) }

static const Wanted wanted[] = {
	SIZE("module", module_size),
	MEMBER("module", "name", module_name),
	SIZE("klp_func", func_size),
	MEMBER("klp_func", "old_name", func_old_name),
	MEMBER("klp_func", "new_func", func_new_func),
	MEMBER("klp_func", "old_sympos", func_old_sympos),
	SIZE("klp_object", object_size),
	MEMBER("klp_object", "name", object_name),
	MEMBER("klp_object", "funcs", object_funcs),
	SIZE("klp_patch", patch_size),
	MEMBER("klp_patch", "mod", patch_mod),
	MEMBER("klp_patch", "objs", patch_objs),
	MEMBER("klp_patch", "states", patch_states),
	MEMBER("klp_patch", "replace", patch_replace),
	SIZE("klp_state", state_size),
	MEMBER("klp_state", "id", state_id),
};

/* Tables whose rows are a structure of the kernel. */
static const struct {
	const char *section, *structure;
} tables[] = {
	{ ".altinstructions", "alt_instr" },	    { "__bug_table", "bug_entry" },
	{ "__ex_table", "exception_table_entry" },  { "__jump_table", "jump_entry" },
	{ ".static_call_sites", "static_call_site" }, { ".orc_unwind", "orc_entry" },
};

static const struct btf_type *structure(const struct btf *btf, const char *name)
{
	gint32 id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
	return id > 0 ? btf__type_by_id(btf, (guint32)id) : NULL;
}

static gboolean member_offset(const struct btf *btf, const struct btf_type *type, const char *name, guint32 *offset)
{
	const struct btf_member *members = btf_members(type);
	for (guint i = 0; i < btf_vlen(type); i++) {
		const char *found = btf__name_by_offset(btf, members[i].name_off);
		if (!found || strcmp(found, name))
			continue;
		*offset = btf_member_bit_offset(type, i) / 8;
		return TRUE;
	}
	return FALSE;
}

/* own: without the livepatch core's structures, which the kernel may not have. */
static gboolean fill(const struct btf *btf, gboolean own, KmVerifyLayout *layout)
{
	for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++) {
		if (own && g_str_has_prefix(wanted[i].structure, "klp_"))
			continue;
		const struct btf_type *type = structure(btf, wanted[i].structure);
		guint32 *number = (guint32 *)(gpointer)((char *)layout + wanted[i].place);
		if (!type)
			return FALSE;
		if (!wanted[i].member)
			*number = type->size;
		else if (!member_offset(btf, type, wanted[i].member, number))
			return FALSE;
	}
	return TRUE;
}

/* struct module's name is an array of MODULE_NAME_LEN characters. */
static guint32 array_length(const struct btf *btf, const char *name, const char *member)
{
	const struct btf_type *type = structure(btf, name);
	for (guint i = 0; type && i < btf_vlen(type); i++) {
		const struct btf_member *m = &btf_members(type)[i];
		const char *found = btf__name_by_offset(btf, m->name_off);
		const struct btf_type *array = found && !strcmp(found, member) ? btf__type_by_id(btf, m->type) : NULL;
		if (array && btf_is_array(array))
			return btf_array(array)->nelems;
	}
	return 0;
}

static void fill_sizes(const struct btf *btf, GHashTable *sizes)
{
	for (gsize i = 0; i < G_N_ELEMENTS(tables); i++) {
		const struct btf_type *type = structure(btf, tables[i].structure);
		if (type && type->size)
			g_hash_table_insert(sizes, (gpointer)tables[i].section, GUINT_TO_POINTER(type->size));
	}
}

static void take_given(KmChecker *c, gboolean from_types)
{
	const KmVerifyLayout *given = c->input->layout;
	if (!given || !given->module_size)
		return;
	if (from_types && memcmp(given, &c->layout, sizeof(*given)))
		km_find(c, "struct klp_patch", "the kernel's type information and the module template disagree on its layout");
	c->layout = *given;
	c->has_layout = TRUE;
}

/* runtime/kmend-patch.h: the same for all kernels. */
static void take_own(KmChecker *c)
{
	c->layout.patch_size = KM_DATA_PATCH_WORDS * KM_PATCHDATA_WORD;
	c->layout.patch_mod = KM_DATA_PATCH_MOD * KM_PATCHDATA_WORD;
	c->layout.patch_objs = KM_DATA_PATCH_OBJECTS * KM_PATCHDATA_WORD;
	c->layout.patch_states = KM_DATA_PATCH_STATES * KM_PATCHDATA_WORD;
	c->layout.patch_replace = KM_DATA_PATCH_REPLACE * KM_PATCHDATA_WORD;
	c->has_layout = TRUE;
}

gboolean km_read_layout(KmChecker *c, GError **error)
{
	gsize size;
	const guint8 *data = km_image_btf(c->input->image, &size);
	struct btf *btf = data && size <= G_MAXUINT32 ? btf__new(data, (guint32)size) : NULL;
	if (data && !btf)
		return km_fail(error, "%s: its type information (BTF) cannot be read", km_image_path(c->input->image));
	if (btf) {
		c->has_layout = fill(btf, c->own, &c->layout);
		c->layout.module_name_len = array_length(btf, "module", "name");
		fill_sizes(btf, c->sizes);
	}
	btf__free(btf);
	take_given(c, c->has_layout);
	if (c->own)
		take_own(c);
	return TRUE;
}
