/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses that linked code tells in two fields (arm64: page, and place in it), of data that nothing names. */
#include <string.h>

#include "base/error.h"
#include "match/ground.h"

#define BASE 0xffff800008100000
#define DATA 0xffff8000093454b8

/* A ground of one function, which has a name, and nothing else that has. */
typedef struct {
	KmGround ground;
	guint32 code[4];
} OneFunction;

static void nothing(KmGround *ground)
{
}

static const guint8 *bytes(KmGround *ground, guint64 address, gsize size)
{
	OneFunction *g = (OneFunction *)ground;
	guint64 at = address - BASE;
	return at <= sizeof(g->code) && size <= sizeof(g->code) - at ? (const guint8 *)g->code + at : NULL;
}

static void named(KmGround *ground, const char *name, GArray *names)
{
	KmName f = { .name = "f", .address = BASE, .global = TRUE };
	if (!strcmp(name, "f"))
		g_array_append_val(names, f);
}

static void names_at(KmGround *ground, guint64 address, GArray *names)
{
	if (address == BASE)
		named(ground, "f", names);
}

static gboolean name_below(KmGround *ground, guint64 address, KmName *name)
{
	*name = (KmName){ .name = "f", .address = BASE, .global = TRUE };
	return address >= BASE;
}

static gboolean no_value(KmGround *ground, const KmSection *section, gsize index, guint64 place, guint64 *value)
{
	return FALSE;
}

static gboolean never(KmGround *ground, guint64 address)
{
	return FALSE;
}

static gboolean patchable(KmGround *ground, guint64 address, guint64 size)
{
	return TRUE;
}

static gboolean identify(KmGround *ground, const KmName *name, KmPlace *place, GError **error)
{
	place->object = g_strdup("vmlinux");
	place->name = g_strdup(name->name);
	place->sympos = 1;
	place->address = name->address;
	return TRUE;
}

static const char *no_compiler(KmGround *ground)
{
	return NULL;
}

static const KmGroundOps ops = { .free = nothing,
				 .bytes = bytes,
				 .named = named,
				 .names_at = names_at,
				 .name_below = name_below,
				 .symbol_value = no_value,
				 .is_init = never,
				 .is_patchable = patchable,
				 .identify = identify,
				 .compiler = no_compiler };

static guint32 adrp(guint64 place, guint64 target)
{
	guint64 pages = (target >> 12) - (place >> 12);
	return 0x90000000 | (guint32)(pages & 3) << 29 | (guint32)(pages >> 2 & 0x7ffff) << 5;
}

static void ground_init(OneFunction *g, guint64 target)
{
	const guint32 code[] = { adrp(BASE, target), 0xf9400000 | (guint32)(target >> 3 & 0x1ff) << 10,
				 adrp(BASE + 8, target), 0xd65f03c0 };
	*g = (OneFunction){ .ground = { .ops = &ops, .owner = "vmlinux", .what = "the image" } };
	for (gsize i = 0; i < G_N_ELEMENTS(code); i++)
		g->code[i] = GUINT32_TO_LE(code[i]);
}

/* The unit: "adrp x0, datum; ldr x0, [x0, :lo12:datum]; adrp x0, other; ret". */
static KmObject *new_unit(KmSymbol **datum, KmSymbol **other)
{
	static const guint32 code[] = { 0x90000000, 0xf9400000, 0x90000000, 0xd65f03c0 };
	KmObject *unit = km_object_new(km_arch_by_name("arm64"), "unit.o");
	KmSection *text = km_object_add_section(unit, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 4);
	km_section_append(text, code, sizeof(code), 4);
	km_object_add_symbol(unit, "f", STB_GLOBAL, STT_FUNC, text, 0, sizeof(code));
	*datum = km_object_add_symbol(unit, "datum", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	*other = km_object_add_symbol(unit, "other", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	km_section_add_reloc(text, 0, R_AARCH64_ADR_PREL_PG_HI21, *datum, 8);
	km_section_add_reloc(text, 4, R_AARCH64_LDST64_ABS_LO12_NC, *datum, 8);
	km_section_add_reloc(text, 8, R_AARCH64_ADR_PREL_PG_HI21, *other, 0);
	return unit;
}

static void test_joined(void)
{
	OneFunction ground;
	KmSymbol *datum, *other;
	guint64 address;
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) unit = new_unit(&datum, &other);
	ground_init(&ground, DATA);
	g_autoptr(KmMatch) match = km_match_over(unit, &ground.ground, &error);
	g_assert_no_error(error);
	g_assert_true(km_match_address(match, datum, &address, &error));
	g_assert_cmphex(address, ==, DATA - 8);
	/* It has no name there: whoever looks for one gets none. */
	g_assert_null(km_match_place(match, datum, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
}

/* A page alone could be that of anything in it. */
static void test_page_alone(void)
{
	OneFunction ground;
	KmSymbol *datum, *other;
	guint64 address;
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) unit = new_unit(&datum, &other);
	ground_init(&ground, DATA);
	g_autoptr(KmMatch) match = km_match_over(unit, &ground.ground, &error);
	g_assert_no_error(error);
	g_assert_false(km_match_address(match, other, &address, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
}

/* Fields about the same symbol with other addends are of two places. */
static void test_other_addend(void)
{
	OneFunction ground;
	KmSymbol *datum, *other;
	guint64 address;
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) unit = new_unit(&datum, &other);
	KmSection *text = km_object_find_section(unit, ".text");
	g_array_index(text->relocs, KmReloc, 1).addend = 16;
	ground_init(&ground, DATA);
	g_autoptr(KmMatch) match = km_match_over(unit, &ground.ground, &error);
	g_assert_no_error(error);
	g_assert_false(km_match_address(match, datum, &address, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
}

/* Two pairs in one unit that disagree: nothing that depends on them is believed. */
static void test_contradiction(void)
{
	OneFunction ground;
	KmSymbol *datum, *other;
	guint64 address;
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) unit = new_unit(&datum, &other);
	KmSection *text = km_object_find_section(unit, ".text");
	KmReloc *third = &g_array_index(text->relocs, KmReloc, 2);
	third->symbol = datum;
	third->addend = 8;
	ground_init(&ground, DATA);
	ground.code[2] = GUINT32_TO_LE(adrp(BASE + 8, DATA + 0x1000));
	g_autoptr(KmMatch) match = km_match_over(unit, &ground.ground, &error);
	g_assert_true(!match || !km_match_address(match, datum, &address, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/parts/joined", test_joined);
	g_test_add_func("/parts/page-alone", test_page_alone);
	g_test_add_func("/parts/other-addend", test_other_addend);
	g_test_add_func("/parts/contradiction", test_contradiction);
	return g_test_run();
}
