/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arm64. Instructions are words; an address takes a pair (ADRP for the page, ADD or a load for the low 12 bits), so one field
 * alone tells a symbol's value only for branches, literals and data.
 */
#include <capstone/capstone.h>
#include <elf.h>
#include <string.h>

#include "arch/table.h"
#include "elf/object.h"

#define ROW KM_RELOC_ROW
#define B2 0xffff
#define B4 0xffffffff
#define B8 G_MAXUINT64
#define IMM12 0x003ffc00 /* add, load, store */
#define IMM14 0x0007ffe0 /* tbz */
#define IMM16 0x001fffe0 /* movz, movk */
#define IMM16_SIGNED 0x401fffe0 /* movz that the linker may turn into movn */
#define IMM19 0x00ffffe0 /* b.cond, ldr literal */
#define IMM21 0x60ffffe0 /* adr, adrp */
#define IMM26 0x03ffffff /* b, bl */

/* ELF for the Arm 64-bit Architecture, "Relocation". */
static const KmRelocInfo relocs[] = {
	ROW(0, "R_AARCH64_NONE", KM_RELOC_NONE, 0, 0),
	ROW(256, "R_AARCH64_NONE", KM_RELOC_NONE, 0, 0),
	ROW(257, "R_AARCH64_ABS64", KM_RELOC_ABS, 8, B8),
	ROW(258, "R_AARCH64_ABS32", KM_RELOC_ABS, 4, B4),
	ROW(259, "R_AARCH64_ABS16", KM_RELOC_ABS, 2, B2),
	ROW(260, "R_AARCH64_PREL64", KM_RELOC_PC, 8, B8),
	ROW(261, "R_AARCH64_PREL32", KM_RELOC_PC, 4, B4),
	ROW(262, "R_AARCH64_PREL16", KM_RELOC_PC, 2, B2),
	ROW(263, "R_AARCH64_MOVW_UABS_G0", KM_RELOC_ABS, 4, IMM16),
	ROW(264, "R_AARCH64_MOVW_UABS_G0_NC", KM_RELOC_ABS, 4, IMM16),
	ROW(265, "R_AARCH64_MOVW_UABS_G1", KM_RELOC_ABS, 4, IMM16),
	ROW(266, "R_AARCH64_MOVW_UABS_G1_NC", KM_RELOC_ABS, 4, IMM16),
	ROW(267, "R_AARCH64_MOVW_UABS_G2", KM_RELOC_ABS, 4, IMM16),
	ROW(268, "R_AARCH64_MOVW_UABS_G2_NC", KM_RELOC_ABS, 4, IMM16),
	ROW(269, "R_AARCH64_MOVW_UABS_G3", KM_RELOC_ABS, 4, IMM16),
	ROW(270, "R_AARCH64_MOVW_SABS_G0", KM_RELOC_ABS, 4, IMM16_SIGNED),
	ROW(271, "R_AARCH64_MOVW_SABS_G1", KM_RELOC_ABS, 4, IMM16_SIGNED),
	ROW(272, "R_AARCH64_MOVW_SABS_G2", KM_RELOC_ABS, 4, IMM16_SIGNED),
	ROW(273, "R_AARCH64_LD_PREL_LO19", KM_RELOC_PC, 4, IMM19),
	ROW(274, "R_AARCH64_ADR_PREL_LO21", KM_RELOC_PC, 4, IMM21),
	ROW(275, "R_AARCH64_ADR_PREL_PG_HI21", KM_RELOC_PC, 4, IMM21),
	ROW(276, "R_AARCH64_ADR_PREL_PG_HI21_NC", KM_RELOC_PC, 4, IMM21),
	ROW(277, "R_AARCH64_ADD_ABS_LO12_NC", KM_RELOC_ABS, 4, IMM12),
	ROW(278, "R_AARCH64_LDST8_ABS_LO12_NC", KM_RELOC_ABS, 4, IMM12),
	ROW(279, "R_AARCH64_TSTBR14", KM_RELOC_PC, 4, IMM14),
	ROW(280, "R_AARCH64_CONDBR19", KM_RELOC_PC, 4, IMM19),
	ROW(282, "R_AARCH64_JUMP26", KM_RELOC_CALL, 4, IMM26),
	ROW(283, "R_AARCH64_CALL26", KM_RELOC_CALL, 4, IMM26),
	ROW(284, "R_AARCH64_LDST16_ABS_LO12_NC", KM_RELOC_ABS, 4, IMM12),
	ROW(285, "R_AARCH64_LDST32_ABS_LO12_NC", KM_RELOC_ABS, 4, IMM12),
	ROW(286, "R_AARCH64_LDST64_ABS_LO12_NC", KM_RELOC_ABS, 4, IMM12),
	ROW(287, "R_AARCH64_MOVW_PREL_G0", KM_RELOC_PC, 4, IMM16_SIGNED),
	ROW(288, "R_AARCH64_MOVW_PREL_G0_NC", KM_RELOC_PC, 4, IMM16),
	ROW(289, "R_AARCH64_MOVW_PREL_G1", KM_RELOC_PC, 4, IMM16_SIGNED),
	ROW(290, "R_AARCH64_MOVW_PREL_G1_NC", KM_RELOC_PC, 4, IMM16),
	ROW(291, "R_AARCH64_MOVW_PREL_G2", KM_RELOC_PC, 4, IMM16_SIGNED),
	ROW(292, "R_AARCH64_MOVW_PREL_G2_NC", KM_RELOC_PC, 4, IMM16),
	ROW(293, "R_AARCH64_MOVW_PREL_G3", KM_RELOC_PC, 4, IMM16_SIGNED),
	ROW(299, "R_AARCH64_LDST128_ABS_LO12_NC", KM_RELOC_ABS, 4, IMM12),
	ROW(307, "R_AARCH64_GOTREL64", KM_RELOC_TOC, 8, B8),
	ROW(308, "R_AARCH64_GOTREL32", KM_RELOC_TOC, 4, B4),
	ROW(309, "R_AARCH64_GOT_LD_PREL19", KM_RELOC_GOT, 4, IMM19),
	ROW(310, "R_AARCH64_LD64_GOTOFF_LO15", KM_RELOC_GOT, 4, IMM12),
	ROW(311, "R_AARCH64_ADR_GOT_PAGE", KM_RELOC_GOT, 4, IMM21),
	ROW(312, "R_AARCH64_LD64_GOT_LO12_NC", KM_RELOC_GOT, 4, IMM12),
	ROW(313, "R_AARCH64_LD64_GOTPAGE_LO15", KM_RELOC_GOT, 4, IMM12),
	ROW(314, "R_AARCH64_PLT32", KM_RELOC_CALL, 4, B4),
	ROW(315, "R_AARCH64_GOTPCREL32", KM_RELOC_GOT, 4, B4),
	ROW(512, "R_AARCH64_TLSGD_ADR_PREL21", KM_RELOC_OTHER, 4, IMM21),
	ROW(513, "R_AARCH64_TLSGD_ADR_PAGE21", KM_RELOC_OTHER, 4, IMM21),
	ROW(514, "R_AARCH64_TLSGD_ADD_LO12_NC", KM_RELOC_OTHER, 4, IMM12),
	ROW(539, "R_AARCH64_TLSIE_MOVW_GOTTPREL_G1", KM_RELOC_OTHER, 4, IMM16),
	ROW(540, "R_AARCH64_TLSIE_MOVW_GOTTPREL_G0_NC", KM_RELOC_OTHER, 4, IMM16),
	ROW(541, "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21", KM_RELOC_OTHER, 4, IMM21),
	ROW(542, "R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC", KM_RELOC_OTHER, 4, IMM12),
	ROW(543, "R_AARCH64_TLSIE_LD_GOTTPREL_PREL19", KM_RELOC_OTHER, 4, IMM19),
	ROW(549, "R_AARCH64_TLSLE_ADD_TPREL_HI12", KM_RELOC_OTHER, 4, IMM12),
	ROW(550, "R_AARCH64_TLSLE_ADD_TPREL_LO12", KM_RELOC_OTHER, 4, IMM12),
	ROW(551, "R_AARCH64_TLSLE_ADD_TPREL_LO12_NC", KM_RELOC_OTHER, 4, IMM12),
	ROW(560, "R_AARCH64_TLSDESC_LD_PREL19", KM_RELOC_OTHER, 4, IMM19),
	ROW(561, "R_AARCH64_TLSDESC_ADR_PREL21", KM_RELOC_OTHER, 4, IMM21),
	ROW(562, "R_AARCH64_TLSDESC_ADR_PAGE21", KM_RELOC_OTHER, 4, IMM21),
	ROW(563, "R_AARCH64_TLSDESC_LD64_LO12", KM_RELOC_OTHER, 4, IMM12),
	ROW(564, "R_AARCH64_TLSDESC_ADD_LO12", KM_RELOC_OTHER, 4, IMM12),
	ROW(569, "R_AARCH64_TLSDESC_CALL", KM_RELOC_HINT, 0, 0),
	ROW(1024, "R_AARCH64_COPY", KM_RELOC_OTHER, 0, 0),
	ROW(1025, "R_AARCH64_GLOB_DAT", KM_RELOC_OTHER, 8, B8),
	ROW(1026, "R_AARCH64_JUMP_SLOT", KM_RELOC_OTHER, 8, B8),
	ROW(1027, "R_AARCH64_RELATIVE", KM_RELOC_OTHER, 8, B8),
	KM_RELOC_END,
};

static const char *const hooks[] = { "_mcount", NULL };

static gboolean symbol_value(guint32 type, const guint8 *field, guint64 place, gint64 addend, guint64 *value)
{
	gint64 distance;
	switch (type) {
	case R_AARCH64_ABS64:
		*value = km_arch_le64(field) - addend;
		return TRUE;
	case R_AARCH64_PREL64:
		distance = (gint64)km_arch_le64(field);
		break;
	case R_AARCH64_PREL32:
	case 314: /* R_AARCH64_PLT32 */
		distance = km_arch_sign_extend(km_arch_le32(field), 32);
		break;
	case R_AARCH64_CALL26:
	case R_AARCH64_JUMP26:
		distance = km_arch_sign_extend(km_arch_le32(field), 26) * 4;
		break;
	case R_AARCH64_CONDBR19:
	case R_AARCH64_LD_PREL_LO19:
		distance = km_arch_sign_extend(km_arch_le32(field) >> 5, 19) * 4;
		break;
	case R_AARCH64_TSTBR14:
		distance = km_arch_sign_extend(km_arch_le32(field) >> 5, 14) * 4;
		break;
	case R_AARCH64_ADR_PREL_LO21:
		distance = km_arch_arm64_adr_distance(km_arch_le32(field));
		break;
	default:
		return FALSE;
	}
	*value = place + distance - addend;
	return TRUE;
}

/* By how many bits the type's instructions shift their immediate; G_MAXUINT: it is none of the low 12 bits of an address. */
static guint low_shift(guint32 type)
{
	switch (type) {
	case R_AARCH64_ADD_ABS_LO12_NC:
	case R_AARCH64_LDST8_ABS_LO12_NC:
		return 0;
	case R_AARCH64_LDST16_ABS_LO12_NC:
		return 1;
	case R_AARCH64_LDST32_ABS_LO12_NC:
		return 2;
	case R_AARCH64_LDST64_ABS_LO12_NC:
		return 3;
	case R_AARCH64_LDST128_ABS_LO12_NC:
		return 4;
	default:
		return G_MAXUINT;
	}
}

/* ADRP tells the page, ADD and loads and stores tell the place in it. The linker may have made an ADRP an ADR (arm64-erratum.c). */
static gboolean address_part(guint32 type, const guint8 *field, guint64 place, guint64 *bits, guint64 *mask)
{
	const guint64 in_page = 0xfff;
	guint32 word = km_arch_le32(field);
	guint shift = low_shift(type);
	gint64 distance = km_arch_arm64_adr_distance(word);
	gboolean page = type == R_AARCH64_ADR_PREL_PG_HI21 || type == R_AARCH64_ADR_PREL_PG_HI21_NC;
	if (!page && shift == G_MAXUINT)
		return FALSE;
	*mask = page ? ~in_page : in_page;
	if (page)
		*bits = word >> 31 ? (place & ~in_page) + ((guint64)distance << 12) : place + (guint64)distance;
	else
		*bits = (guint64)(word >> 10 & in_page) << shift;
	return (*bits & ~*mask) == 0;
}

/* Mapping symbols "$x", "$d", "$x.0", "$d.foo" tell code from data. */
static gboolean is_annotation(const KmSymbol *symbol)
{
	const char *name = symbol->name;
	if (name[0] == '$' && (name[1] == 'x' || name[1] == 'd') && (!name[2] || name[2] == '.'))
		return TRUE;
	return km_arch_is_label(symbol);
}

/* Arm ARM, C4.1 "Branches": B and BL (imm26), B.cond, CBZ, CBNZ (imm19), TBZ, TBNZ (imm14), in words from themselves. */
static gboolean decode_branch(guint32 insn, guint64 at, KmBranch *branch)
{
	gint64 words;
	*branch = (KmBranch){ .field = at };
	if ((insn & 0x7c000000) == 0x14000000) {
		words = km_arch_sign_extend(insn, 26);
		branch->type = insn & 0x80000000 ? R_AARCH64_CALL26 : R_AARCH64_JUMP26;
	} else if ((insn & 0xff000010) == 0x54000000 || (insn & 0x7e000000) == 0x34000000) {
		words = km_arch_sign_extend(insn >> 5, 19);
		branch->type = R_AARCH64_CONDBR19;
	} else if ((insn & 0x7e000000) == 0x36000000) {
		words = km_arch_sign_extend(insn >> 5, 14);
		branch->type = R_AARCH64_TSTBR14;
	} else {
		return FALSE;
	}
	branch->target = at + (guint64)(words * 4);
	return TRUE;
}

static GArray *branches_out(const KmSection *section, guint64 start, guint64 end)
{
	return km_arch_word_branches(section, start, end, decode_branch);
}

/* ldr x16, slot; br x16: x16 is for code between a caller and a function. */
static const guint8 stub_code[16] = { 0x50, 0x00, 0x00, 0x58, 0x00, 0x02, 0x1f, 0xd6 };
static const KmCallStub call_stub = { .code = stub_code, .size = sizeof(stub_code), .slot = 8 };

/* arch/arm64/kernel/module-plts.c fills them with stubs for far exports, and for branches that the ftrace hook needs. */
static const char *const module_sections[] = { ".plt", ".init.plt", ".text.ftrace_trampoline",
						".init.text.ftrace_trampoline", NULL };

const KmArch km_arch_arm64 = {
	.name = "arm64",
	.debian = "arm64",
	.kbuild = "arm64",
	.triplet = "aarch64-linux-gnu",
	.qemu = "aarch64",
	.qemu_user = "aarch64",
	.machine = EM_AARCH64,
	.big_endian = FALSE,
	.can_build = TRUE,
	.has_runtime = TRUE,
	.capstone_arch = CS_ARCH_ARM64,
	.capstone_mode = (int)(CS_MODE_ARM),
	.insn_size = 4,
	.abs64 = R_AARCH64_ABS64,
	.pc32 = R_AARCH64_PREL32,
	.relocs = relocs,
	.hooks = hooks,
	.target_offset = km_arch_plain_offset,
	.symbol_value = symbol_value,
	.address_part = address_part,
	.moved_to = km_arch_arm64_moved_to,
	.test_key = km_arch_arm64_test_key,
	.read_constant = km_arch_arm64_read_constant,
	.branches_out = branches_out,
	.is_annotation = is_annotation,
	.call_stub = &call_stub,
	.module_sections = module_sections,
	.entry = &km_entry_arm64,
	.local_entry = km_arch_no_local_entry,
};
