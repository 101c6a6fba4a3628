/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a finished live patch: checked by itself and against units, as a build and `kmend verify` do. Starts from the module that
 * tests/unit/fake-patch.c makes; what is changed are bytes, or one thing of the object at a time, so that it stays readable.
 */
#include <string.h>

#include "fake-patch.h"
#include "image/module.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);
gsize LLVMFuzzerCustomMutator(guint8 *data, gsize size, gsize max_size, unsigned int seed);
gsize LLVMFuzzerMutate(guint8 *data, gsize size, gsize max_size);

/* The library calls us without a pointer of ours: made once, for the whole run. */
static FakePatch *the_patch(void)
{
	static FakePatch *patch;
	if (!patch)
		patch = fake_patch_new(NULL);
	return patch;
}

static void check(GBytes *bytes, gboolean units)
{
	KmVerifyInput input = fake_patch_input(the_patch());
	g_autoptr(KmObject) object = km_object_read_bytes(bytes, "fuzz", NULL);
	if (!units)
		input.units = NULL;
	g_autoptr(KmVerify) verify = object ? km_verify(object, &input, NULL) : NULL;
	if (verify)
		json_decref(km_verify_to_json(verify));
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
	g_autoptr(GBytes) bytes = size ? g_bytes_new(data, size) : g_bytes_ref(the_patch()->bytes);
	check(bytes, FALSE);
	check(bytes, TRUE);
	return 0;
}

/* A number near the old one, or near an end of what is possible. */
static guint64 another(GRand *rand, guint64 value)
{
	static const guint64 ends[] = { 0, 1, G_MAXINT32, G_MAXUINT32, G_MAXINT64, G_MAXUINT64 };
	switch (g_rand_int_range(rand, 0, 4)) {
	case 0:
		return ends[g_rand_int_range(rand, 0, G_N_ELEMENTS(ends))];
	case 1:
		return value ^ (G_GUINT64_CONSTANT(1) << g_rand_int_range(rand, 0, 64));
	default:
		return value + (guint64)(gint64)g_rand_int_range(rand, -16, 17);
	}
}

static gpointer any(GRand *rand, const GPtrArray *list)
{
	return list->len ? list->pdata[g_rand_int_range(rand, 0, (gint32)list->len)] : NULL;
}

static void change_reloc(GRand *rand, const KmObject *object, KmReloc *r)
{
	switch (g_rand_int_range(rand, 0, 4)) {
	case 0:
		r->addend = (gint64)another(rand, (guint64)r->addend);
		break;
	case 1:
		r->offset = another(rand, r->offset);
		break;
	case 2:
		r->type = (guint32)g_rand_int_range(rand, 0, 48);
		break;
	default:
		r->symbol = any(rand, object->symbols);
	}
}

static void change_symbol(GRand *rand, const KmObject *object, KmSymbol *symbol)
{
	switch (g_rand_int_range(rand, 0, 4)) {
	case 0:
		symbol->value = another(rand, symbol->value);
		break;
	case 1:
		symbol->size = another(rand, symbol->size);
		break;
	case 2:
		symbol->type = (guint8)g_rand_int_range(rand, 0, 5);
		break;
	default:
		symbol->section = any(rand, object->sections);
	}
}

static void change_section(GRand *rand, KmSection *section)
{
	gint32 n = section->data ? (gint32)section->data->len : 0;
	switch (g_rand_int_range(rand, 0, 4)) {
	case 0:
		section->flags ^= G_GUINT64_CONSTANT(1) << g_rand_int_range(rand, 0, 12);
		break;
	case 1:
		if (n)
			section->data->data[g_rand_int_range(rand, 0, n)] ^=
				(guint8)(1u << g_rand_int_range(rand, 0, 8));
		break;
	case 2:
		if (n)
			g_byte_array_set_size(section->data, (guint)g_rand_int_range(rand, 0, n));
		if (n)
			section->size = section->data->len;
		break;
	default:
		section->entsize = another(rand, section->entsize);
		section->addralign = G_GUINT64_CONSTANT(1) << g_rand_int_range(rand, 0, 14);
	}
}

static void change(GRand *rand, KmObject *object)
{
	KmSection *section = any(rand, object->sections);
	KmSymbol *symbol = any(rand, object->symbols);
	gint32 kind = g_rand_int_range(rand, 0, 4);
	if (kind == 0 && symbol)
		change_symbol(rand, object, symbol);
	else if (kind == 1 && section)
		change_section(rand, section);
	else if (section && symbol && section->relocs->len)
		change_reloc(rand, object,
			     &g_array_index(section->relocs, KmReloc,
					    g_rand_int_range(rand, 0, (gint32)section->relocs->len)));
}

gsize LLVMFuzzerCustomMutator(guint8 *data, gsize size, gsize max_size, unsigned int seed)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
	g_autoptr(GBytes) bytes = size > 64 ? g_bytes_new(data, size) : g_bytes_ref(the_patch()->bytes);
	g_autoptr(KmObject) object = km_object_read_bytes(bytes, "fuzz", NULL);
	for (gint32 i = g_rand_int_range(rand, 1, 4); object && i; i--)
		change(rand, object);
	g_autoptr(GBytes) changed = object && g_rand_int_range(rand, 0, 8) ? km_object_to_bytes(object, NULL) : NULL;
	gsize new_size = changed ? g_bytes_get_size(changed) : 0;
	if (!changed || new_size > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	memcpy(data, g_bytes_get_data(changed, NULL), new_size);
	return new_size;
}
