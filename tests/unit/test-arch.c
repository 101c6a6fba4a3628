/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of architectures, and what a field says about its symbol. */
#include <string.h>

#include "elf/object.h"

static void test_lookup(void)
{
	for (const KmArch *const *a = km_arch_all(); *a; a++) {
		g_assert_true(km_arch_by_name((*a)->name) == *a);
		g_assert_true(km_arch_by_name((*a)->debian) == *a);
		g_assert_true(km_arch_by_elf((*a)->machine, (*a)->big_endian) == *a);
		g_assert_null(km_arch_by_elf((*a)->machine, !(*a)->big_endian));
	}
	g_assert_null(km_arch_by_name("vax"));
}

/* Rows ascend, are named, and write no bit outside their field. */
static void test_tables(void)
{
	for (const KmArch *const *a = km_arch_all(); *a; a++) {
		for (const KmRelocInfo *row = (*a)->relocs; row->name; row++) {
			g_assert_true(!row[1].name || row[1].type > row->type);
			g_assert_true(g_str_has_prefix(row->name, "R_"));
			g_assert_true(row->size == 8 || row->mask >> (8 * row->size) == 0);
			g_assert_true(!row->size == !row->mask);
			g_assert_true(km_arch_reloc(*a, row->type) == row);
		}
		g_assert_cmpuint(km_arch_reloc(*a, (*a)->abs64)->size, ==, 8);
		g_assert_cmpuint(km_arch_reloc(*a, (*a)->pc32)->size, ==, 4);
		g_assert_null(km_arch_reloc(*a, 99999));
	}
}

typedef struct {
	const char *what;
	guint8 code[16];
	guint size;
	guint field;
	gint64 addend;
	gint64 expected;
} Bias;

static const Bias biases[] = {
	{ "call x", { 0xe8 }, 5, 1, -4, 0 },
	{ "jne x", { 0x0f, 0x85 }, 6, 2, -4, 0 },
	{ "mov x(%rip),%eax", { 0x8b, 0x05 }, 6, 2, -4, 0 },
	{ "mov x+8(%rip),%rax", { 0x48, 0x8b, 0x05 }, 7, 3, 4, 8 },
	{ "cmpb $1,x(%rip)", { 0x80, 0x3d, 0, 0, 0, 0, 1 }, 7, 2, -5, 0 },
	{ "cmpl $1,x(%rip)", { 0x83, 0x3d, 0, 0, 0, 0, 1 }, 7, 2, -5, 0 },
	{ "movw $1,x(%rip)", { 0x66, 0xc7, 0x05, 0, 0, 0, 0, 1, 0 }, 9, 3, -6, 0 },
	{ "movl $1,x(%rip)", { 0xc7, 0x05, 0, 0, 0, 0, 1 }, 10, 2, -8, 0 },
	{ "movq $1,x+16(%rip)", { 0x48, 0xc7, 0x05, 0, 0, 0, 0, 1 }, 11, 3, 8, 16 },
	{ "testb $1,x(%rip)", { 0xf6, 0x05, 0, 0, 0, 0, 1 }, 7, 2, -5, 0 },
	{ "notb x(%rip)", { 0xf6, 0x15 }, 6, 2, -4, 0 },
	{ "imul $3,x(%rip),%eax", { 0x6b, 0x05, 0, 0, 0, 0, 3 }, 7, 2, -5, 0 },
	{ "bts $3,x(%rip)", { 0x0f, 0xba, 0x2d, 0, 0, 0, 0, 3 }, 8, 3, -5, 0 },
	{ "lock incl x(%rip)", { 0xf0, 0xff, 0x05 }, 7, 3, -4, 0 },
};

static void test_x86_bias(void)
{
	const KmArch *arch = km_arch_by_name("x86_64");
	for (gsize i = 0; i < G_N_ELEMENTS(biases); i++) {
		const Bias *b = &biases[i];
		g_autoptr(KmObject) object = km_object_new(arch, "x.o");
		KmSection *text = km_object_add_section(object, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 1);
		KmSymbol *x = km_object_add_symbol(object, "x", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
		const guint8 around[4] = { 0x90, 0x90, 0x90, 0x90 };
		km_section_append(text, around, 4, 1);
		km_section_append(text, b->code, b->size, 1);
		km_section_append(text, around, 4, 1);
		km_section_add_reloc(text, 4 + b->field, arch->pc32, x, b->addend);
		g_test_message("%s", b->what);
		g_assert_cmpint(arch->target_offset(text, 0), ==, b->expected);
	}
}

static void test_data_has_no_bias(void)
{
	for (const KmArch *const *a = km_arch_all(); *a; a++) {
		g_autoptr(KmObject) object = km_object_new(*a, "x.o");
		KmSection *data = km_object_add_section(object, ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 1);
		KmSymbol *x = km_object_add_symbol(object, "x", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
		km_section_append(data, NULL, 16, 1);
		km_section_add_reloc(data, 4, (*a)->pc32, x, 12);
		g_assert_cmpint((*a)->target_offset(data, 0), ==, 12);
	}
}

typedef struct {
	const char *arch;
	guint32 type;
	guint8 field[8];
	gint64 addend;
	guint64 value;
} Linked;

/* Fields as a linker writes them at 0x1000 for a symbol at value. */
static const Linked linked[] = {
	{ "x86_64", 2, { 0xfc, 0x0f, 0, 0 }, -4, 0x2000 },
	{ "x86_64", 4, { 0xfc, 0xef, 0xff, 0xff }, -4, 0 },
	{ "x86_64", 11, { 0x10, 0, 0, 0x81 }, 0x10, 0xffffffff81000000 },
	{ "x86_64", 1, { 8, 0, 0, 0x81, 0xff, 0xff, 0xff, 0xff }, 8, 0xffffffff81000000 },
	{ "arm64", 283, { 0, 4, 0, 0x94 }, 0, 0x2000 },
	{ "arm64", 283, { 0xff, 0xff, 0xff, 0x97 }, 0, 0xffc },
	{ "arm64", 280, { 0x40, 0, 0, 0x54 }, 0, 0x1008 },
	{ "ppc64le", 10, { 1, 0x10, 0, 0x48 }, 0, 0x2000 },
	{ "ppc64le", 10, { 0xf9, 0xff, 0xff, 0x4b }, 0, 0xff8 },
	{ "s390x", 20, { 0, 0, 8, 1 }, 2, 0x2000 },
	{ "s390x", 22, { 0, 0, 0, 0, 0, 0, 0x20, 4 }, 4, 0x2000 },
	{ "riscv64", 2, { 8, 0x20 }, 8, 0x2000 },
	{ "riscv64", 57, { 0, 0x10 }, 0, 0x2000 },
	{ "riscv64", 17, { 0x6f, 0x10, 0, 0 }, 0, 0x2000 }, /* j */
	{ "riscv64", 17, { 0x6f, 0xf0, 0xdf, 0xff }, 0, 0xffc },
	{ "riscv64", 16, { 0x63, 0x04, 0xb5, 0x02 }, 0, 0x1028 }, /* beq a0, a1 */
	{ "riscv64", 16, { 0xe3, 0x0e, 0xb5, 0xfe }, 0, 0xffc },
	{ "riscv64", 19, { 0x97, 0x10, 0, 0, 0xe7, 0x80, 0xc0, 0xff }, 0, 0x1ffc }, /* auipc ra, 1; jalr ra, -4(ra) */
	{ "riscv64", 44, { 0x05, 0xcd }, 0, 0x1038 }, /* c.beqz a0 */
	{ "riscv64", 44, { 0x75, 0xfd }, 0, 0xffc }, /* c.bnez a0 */
	{ "riscv64", 45, { 0x41, 0xa0 }, 0, 0x1080 }, /* c.j */
	{ "riscv64", 45, { 0xf5, 0xbf }, 0, 0xffc },
};

static void test_symbol_value(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(linked); i++) {
		const Linked *l = &linked[i];
		guint64 value = 0;
		g_assert_true(km_arch_by_name(l->arch)->symbol_value(l->type, l->field, 0x1000, l->addend, &value));
		g_assert_cmphex(value, ==, l->value);
	}
	guint64 untouched = 5;
	const guint8 field[8] = { 0 };
	g_assert_false(km_arch_by_name("arm64")->symbol_value(275, field, 0, 0, &untouched));
	g_assert_false(km_arch_by_name("x86_64")->symbol_value(9, field, 0, 0, &untouched));
	g_assert_cmpuint(untouched, ==, 5);
}

static void test_annotations(void)
{
	KmSymbol symbol = { .name = (char *)"$x.3", .type = STT_NOTYPE };
	g_assert_true(km_arch_by_name("arm64")->is_annotation(&symbol));
	g_assert_false(km_arch_by_name("x86_64")->is_annotation(&symbol));
	symbol.name = (char *)".LANCHOR0";
	g_assert_true(km_arch_by_name("s390x")->is_annotation(&symbol));
	g_assert_true(km_arch_by_name("riscv64")->is_annotation(&symbol));
	symbol.name = (char *)"$xrv64i2p1_m2p0_c2p0";
	g_assert_true(km_arch_by_name("riscv64")->is_annotation(&symbol));
	symbol.name = (char *)"$xylophone";
	g_assert_false(km_arch_by_name("riscv64")->is_annotation(&symbol));
	symbol.other = 3 << 5;
	g_assert_cmpuint(km_arch_by_name("ppc64le")->local_entry(&symbol), ==, 8);
	g_assert_cmpuint(km_arch_by_name("x86_64")->local_entry(&symbol), ==, 0);
}

#define STDU(frame) (0xf8210001 | (-(frame) & 0xfffc))
#define LD(offset) (0xe8610000 | (offset)) /* r3 from r1 */

/* Up to eight arguments have room in the caller's frame, which is as far away as the function's own is big; those behind do not come in registers. */
static void test_stacked(void)
{
	static const struct {
		guint32 code[4];
		gboolean uses;
	} rows[] = {
		{ { 0x7c0802a6, 0xf8010010, STDU(64), LD(32) }, FALSE }, /* mflr r0; std r0,16(r1) */
		{ { LD(88), 0x4e800020, 0, 0 }, FALSE },
		{ { LD(96), 0x4e800020, 0, 0 }, TRUE },
		{ { STDU(64), LD(152), 0x38210040, 0x4e800020 }, FALSE }, /* addi r1,r1,64 */
		{ { STDU(64), LD(160), 0x38210040, 0x4e800020 }, TRUE },
		{ { STDU(64), 0x386100a0, 0, 0 }, TRUE }, /* addi r3,r1,160 */
		{ { STDU(64), 0x806100a4, 0, 0 }, TRUE }, /* lwz r3,164(r1) */
		{ { STDU(64), 0x806300a4, 0, 0 }, FALSE }, /* lwz r3,164(r3) */
		{ { STDU(64), 0x7c3f0b78, 0, 0 }, TRUE }, /* mr r31,r1 */
		{ { 0x7c21496a, 0, 0, 0 }, TRUE }, /* stdux r1,r1,r9 */
	};
	const KmArch *arch = km_arch_by_name("ppc64le");
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		guint8 code[16];
		for (guint k = 0; k < 4; k++)
			for (guint b = 0; b < 4; b++)
				code[4 * k + b] = (guint8)(rows[i].code[k] >> (8 * b));
		g_test_message("row %zu", i);
		g_assert_cmpint(arch->uses_stacked(code, sizeof(code)), ==, rows[i].uses);
	}
}

/* An address in two parts: ADRP has the page, ADD and loads have the place in it. */
static void test_address_part(void)
{
	static const struct {
		guint32 type, word;
		guint64 bits, mask;
	} parts[] = {
		{ 275, 0xb0000000, 0x2000, ~G_GUINT64_CONSTANT(0xfff) }, /* adrp x0, 1 page on */
		{ 275, 0xf0ffffe0, 0x0, ~G_GUINT64_CONSTANT(0xfff) }, /* adrp x0, 1 page back */
		{ 277, 0x9112d000, 0x4b4, 0xfff }, /* add x0, x0, #0x4b4 */
		{ 285, 0xb944b400, 0x4b4, 0xfff }, /* ldr w0, [x0, #0x4b4] */
		{ 286, 0xf9425c00, 0x4b8, 0xfff }, /* ldr x0, [x0, #0x4b8] */
	};
	const KmArch *arch = km_arch_by_name("arm64");
	guint64 bits, mask;
	for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
		guint32 word = GUINT32_TO_LE(parts[i].word);
		g_assert_true(arch->address_part(parts[i].type, (const guint8 *)&word, 0x1004, &bits, &mask));
		g_assert_cmphex(bits, ==, parts[i].bits);
		g_assert_cmphex(mask, ==, parts[i].mask);
	}
	const guint8 field[4] = { 0, 4, 0, 0x94 };
	g_assert_false(arch->address_part(283, field, 0x1000, &bits, &mask));
	/* Shifted, it is beyond the page: no linker makes that. */
	const guint8 beyond[4] = { 0x00, 0xfc, 0x7f, 0xf9 };
	g_assert_false(arch->address_part(286, beyond, 0x1000, &bits, &mask));
}

/* What an assembler resolved by itself: both sizes of jumps and branches, and a call by a pair of instructions. */
static void test_riscv64_branches(void)
{
	static const guint8 code[] = {
		0x01, 0x00, /* 0: c.nop */
		0x05, 0xcd, /* 2: c.beqz a0, 0x3a */
		0x63, 0x04, 0xb5, 0x02, /* 4: beq a0, a1, 0x2c */
		0xf5, 0xbf, /* 8: c.j 4, which stays */
		0x6f, 0xf0, 0xdf, 0xff, /* 10: j 6, which stays */
		0x97, 0x00, 0x00, 0x00, 0xe7, 0x80, 0x00, 0x10, /* 14: auipc ra, 0; jalr ra, 0x100(ra) */
		0x97, 0x00, 0x00, 0x00, 0x67, 0x80, 0x05, 0x10, /* 22: auipc ra, 0; jr 0x100(a1), no pair */
		0x41, 0xa0, /* 30: c.j 0x9e, with a relocation */
	};
	static const struct {
		guint64 field, target;
		guint32 type;
	} expected[] = { { 2, 0x3a, 44 }, { 4, 0x2c, 16 }, { 14, 0x10e, 19 } };
	const KmArch *arch = km_arch_by_name("riscv64");
	g_autoptr(KmObject) object = km_object_new(arch, "x.o");
	KmSection *text = km_object_add_section(object, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 2);
	km_section_append(text, code, sizeof(code), 2);
	km_section_append(text, NULL, 0x200, 2);
	km_section_add_reloc(text, 30, 45, object->null_symbol, 0);
	g_autoptr(GArray) found = arch->branches_out(text, 0, sizeof(code));
	g_assert_cmpuint(found->len, ==, G_N_ELEMENTS(expected));
	for (guint i = 0; i < found->len; i++) {
		const KmBranch *branch = &g_array_index(found, KmBranch, i);
		g_assert_cmphex(branch->field, ==, expected[i].field);
		g_assert_cmphex(branch->target, ==, expected[i].target);
		g_assert_cmpuint(branch->type, ==, expected[i].type);
	}
}

/* Numbers in which two pieces of code differ; NULL for anything else. */
static void test_riscv64_numbers(void)
{
	static const struct {
		const char *what;
		guint8 a[8], b[8];
		guint size;
		gint64 was, now; /* equal: refused */
	} rows[] = {
		{ "li a1, 100", { 0x93, 0x05, 0x40, 0x06 }, { 0x93, 0x05, 0x50, 0x06 }, 4, 100, 101 },
		{ "c.li a1, 20", { 0xd1, 0x45 }, { 0xd5, 0x45 }, 2, 20, 21 },
		{ "c.li a1, -1", { 0xfd, 0x55 }, { 0x81, 0x45 }, 2, -1, 0 },
		{ "c.lui a1, 1; addi a1, a1, -96",
		  { 0x85, 0x65, 0x93, 0x85, 0x05, 0xfa },
		  { 0x85, 0x65, 0x93, 0x85, 0x15, 0xfa },
		  6,
		  4000,
		  4001 },
		{ "lui a1, 100; addiw a1, a1, 1",
		  { 0xb7, 0x45, 0x06, 0x00, 0x9b, 0x85, 0x15, 0x00 },
		  { 0xb7, 0x45, 0x06, 0x00, 0x9b, 0x85, 0x25, 0x00 },
		  8,
		  0x64001,
		  0x64002 },
		{ "li into another register", { 0x93, 0x05, 0x40, 0x06 }, { 0x13, 0x05, 0x50, 0x06 }, 4, 0, 0 },
		{ "slli a1, a1, 1", { 0x93, 0x95, 0x15, 0x00 }, { 0x93, 0x95, 0x25, 0x00 }, 4, 0, 0 },
		{ "lw a0, 4(a1)", { 0x03, 0xa5, 0x45, 0x00 }, { 0x03, 0xa5, 0x85, 0x00 }, 4, 0, 0 },
		{ "c.j", { 0x41, 0xa0 }, { 0x51, 0xa0 }, 2, 0, 0 },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].what);
		g_autoptr(GArray) found =
			km_arch_immediates(km_arch_by_name("riscv64"), rows[i].a, rows[i].b, rows[i].size);
		g_assert_true(!found == (rows[i].was == rows[i].now));
		if (!found)
			continue;
		g_assert_cmpuint(found->len, ==, 1);
		g_assert_cmpint(g_array_index(found, KmImmediate, 0).was, ==, rows[i].was);
		g_assert_cmpint(g_array_index(found, KmImmediate, 0).now, ==, rows[i].now);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/arch/lookup", test_lookup);
	g_test_add_func("/arch/tables", test_tables);
	g_test_add_func("/arch/x86-bias", test_x86_bias);
	g_test_add_func("/arch/data-has-no-bias", test_data_has_no_bias);
	g_test_add_func("/arch/symbol-value", test_symbol_value);
	g_test_add_func("/arch/address-part", test_address_part);
	g_test_add_func("/arch/annotations", test_annotations);
	g_test_add_func("/arch/riscv64-branches", test_riscv64_branches);
	g_test_add_func("/arch/riscv64-numbers", test_riscv64_numbers);
	g_test_add_func("/arch/arguments-on-the-stack", test_stacked);
	return g_test_run();
}
