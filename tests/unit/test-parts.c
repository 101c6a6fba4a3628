/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses that linked code tells in two fields (arm64: page, and place in it), of data that nothing names. */
#include <string.h>

#include "base/error.h"
#include "match/ground.h"

#define BASE 0xffff800008100000
#define PAGE_END 0xffff800008100ff8 /* where erratum 843419 begins */
#define DATA 0xffff8000093454b8

/* A ground of one function, which has a name, and nothing else that has. */
typedef struct {
	KmGround ground;
	guint64 base;
	guint32 code[8];
} OneFunction;

static void nothing(KmGround *ground)
{
}

static const guint8 *bytes(KmGround *ground, guint64 address, gsize size)
{
	OneFunction *g = (OneFunction *)ground;
	guint64 at = address - g->base;
	return at <= sizeof(g->code) && size <= sizeof(g->code) - at ? (const guint8 *)g->code + at : NULL;
}

static void named(KmGround *ground, const char *name, GArray *names)
{
	KmName f = { .name = "f", .address = ((OneFunction *)ground)->base, .global = TRUE };
	if (!strcmp(name, "f"))
		g_array_append_val(names, f);
}

static void names_at(KmGround *ground, guint64 address, GArray *names)
{
	if (address == ((OneFunction *)ground)->base)
		named(ground, "f", names);
}

static gboolean name_below(KmGround *ground, guint64 address, KmName *name)
{
	OneFunction *g = (OneFunction *)ground;
	*name = (KmName){ .name = "f", .address = g->base, .global = TRUE };
	return address >= g->base;
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

static guint32 ldr(guint64 target)
{
	return 0xf9400000 | (guint32)(target >> 3 & 0x1ff) << 10;
}

static void ground_of(OneFunction *g, guint64 base, const guint32 *code, gsize words)
{
	*g = (OneFunction){ .ground = { .ops = &ops, .owner = "vmlinux", .what = "the image" }, .base = base };
	for (gsize i = 0; i < words; i++)
		g->code[i] = GUINT32_TO_LE(code[i]);
}

static void ground_init(OneFunction *g, guint64 target)
{
	const guint32 code[] = { adrp(BASE, target), ldr(target), adrp(BASE + 8, target), 0xd65f03c0 };
	ground_of(g, BASE, code, G_N_ELEMENTS(code));
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

/* ---- what linkers do about erratum 843419 ---- */

#define NOP 0xd503201f
#define RET 0xd65f03c0
#define ADR_X0(place, target)                                                                                          \
	(0x10000000 | (guint32)(((target) - (place)) & 3) << 29 | (guint32)(((target) - (place)) >> 2 & 0x7ffff) << 5)
#define B(place, target) (0x14000000 | (guint32)(((target) - (place)) >> 2 & 0x3ffffff))
#define NEARBY 0xffff8000081404b8

/* The unit: "adrp x0, datum; nop; ldr x0, [x0, :lo12:datum]; ret". What it tells of datum over a ground of that code; 0: nothing. */
static guint64 datum_over(guint64 base, const guint32 *code, gsize words)
{
	static const guint32 ours[] = { 0x90000000, NOP, 0xf9400000, RET };
	OneFunction ground;
	guint64 address = 0;
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) unit = km_object_new(km_arch_by_name("arm64"), "unit.o");
	KmSection *text = km_object_add_section(unit, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 4);
	km_section_append(text, ours, sizeof(ours), 4);
	km_object_add_symbol(unit, "f", STB_GLOBAL, STT_FUNC, text, 0, sizeof(ours));
	KmSymbol *datum = km_object_add_symbol(unit, "datum", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	km_section_add_reloc(text, 0, R_AARCH64_ADR_PREL_PG_HI21, datum, 0);
	km_section_add_reloc(text, 8, R_AARCH64_LDST64_ABS_LO12_NC, datum, 0);
	ground_of(&ground, base, code, words);
	g_autoptr(KmMatch) match = km_match_over(unit, &ground.ground, &error);
	if (!match || !km_match_address(match, datum, &address, &error))
		g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	return address;
}
#define DATUM_OVER(base, ...)                                                                                          \
	datum_over(base, (const guint32[]){ __VA_ARGS__ }, G_N_ELEMENTS(((const guint32[]){ __VA_ARGS__ })))

static void test_erratum_adr(void)
{
	const guint64 page = NEARBY & ~G_GUINT64_CONSTANT(0xfff);
	g_assert_cmphex(DATUM_OVER(PAGE_END, adrp(PAGE_END, NEARBY), NOP, ldr(NEARBY), RET), ==, NEARBY);
	g_assert_cmphex(DATUM_OVER(PAGE_END, ADR_X0(PAGE_END, page), NOP, ldr(NEARBY), RET), ==, NEARBY);
	g_assert_cmphex(DATUM_OVER(PAGE_END + 4, ADR_X0(PAGE_END + 4, page), NOP, ldr(NEARBY), RET), ==, NEARBY);
	/* Of no page, into another register, and where the erratum does not occur. */
	g_assert_cmphex(DATUM_OVER(PAGE_END, ADR_X0(PAGE_END, page + 8), NOP, ldr(NEARBY), RET), ==, 0);
	g_assert_cmphex(DATUM_OVER(PAGE_END, ADR_X0(PAGE_END, page) | 1, NOP, ldr(NEARBY), RET), ==, 0);
	g_assert_cmphex(DATUM_OVER(PAGE_END - 4, ADR_X0(PAGE_END - 4, page), NOP, ldr(NEARBY), RET), ==, 0);
}

static void test_erratum_stub(void)
{
	const guint64 load = PAGE_END + 8, stub = PAGE_END + 16;
	g_assert_cmphex(
		DATUM_OVER(PAGE_END, adrp(PAGE_END, DATA), NOP, B(load, stub), RET, ldr(DATA), B(stub + 4, load + 4)),
		==, DATA);
	/* Back to elsewhere, another load, and where the erratum does not occur. */
	g_assert_cmphex(
		DATUM_OVER(PAGE_END, adrp(PAGE_END, DATA), NOP, B(load, stub), RET, ldr(DATA), B(stub + 4, load)), ==,
		0);
	g_assert_cmphex(DATUM_OVER(PAGE_END, adrp(PAGE_END, DATA), NOP, B(load, stub), RET, ldr(DATA) | 1,
				   B(stub + 4, load + 4)),
			==, 0);
	g_assert_cmphex(DATUM_OVER(BASE + 64, adrp(BASE, DATA), NOP, B(0, 8), RET, ldr(DATA), B(12, 4)), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/parts/joined", test_joined);
	g_test_add_func("/parts/page-alone", test_page_alone);
	g_test_add_func("/parts/other-addend", test_other_addend);
	g_test_add_func("/parts/contradiction", test_contradiction);
	g_test_add_func("/parts/erratum-843419-page", test_erratum_adr);
	g_test_add_func("/parts/erratum-843419-stub", test_erratum_stub);
	return g_test_run();
}
