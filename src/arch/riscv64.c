/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * riscv64. Instructions are words, or halfwords with the C extension. Linkers delete instructions (relaxation), so assemblers leave them every
 * branch and every distance between labels as relocations, and keep the labels.
 */
#include <elf.h>
#include <string.h>

#include "arch/table.h"
#include "elf/object.h"

#define ROW KM_RELOC_ROW
#define B1 0xff
#define B2 0xffff
#define B4 0xffffffff
#define B8 G_MAXUINT64
#define B6BITS 0x3f
#define TYPE_U 0xfffff000 /* lui, auipc; J: jal */
#define TYPE_I 0xfff00000 /* addi, load, jalr */
#define TYPE_S 0xfe000f80 /* store; B: branch */
#define TYPE_CI 0x107c /* c.lui */
#define TYPE_CB 0x1c7c /* c.beqz */
#define TYPE_CJ 0x1ffc /* c.j */
#define OP_LUI 0x37
#define OP_IMM 0x13
#define OP_IMM_32 0x1b
#define SP 2
#define CALL_PAIR ((guint64)TYPE_I << 32 | TYPE_U) /* auipc and jalr */

/* RISC-V ELF psABI, "Relocations"; 46 to 50 are binutils' own. Two that write one field together make a difference: ADD or SET, and SUB. */
static const KmRelocInfo relocs[] = {
	ROW(0, "R_RISCV_NONE", KM_RELOC_NONE, 0, 0),
	ROW(1, "R_RISCV_32", KM_RELOC_ABS, 4, B4),
	ROW(2, "R_RISCV_64", KM_RELOC_ABS, 8, B8),
	ROW(3, "R_RISCV_RELATIVE", KM_RELOC_OTHER, 8, B8),
	ROW(4, "R_RISCV_COPY", KM_RELOC_OTHER, 0, 0),
	ROW(5, "R_RISCV_JUMP_SLOT", KM_RELOC_OTHER, 8, B8),
	ROW(6, "R_RISCV_TLS_DTPMOD32", KM_RELOC_OTHER, 4, B4),
	ROW(7, "R_RISCV_TLS_DTPMOD64", KM_RELOC_OTHER, 8, B8),
	ROW(8, "R_RISCV_TLS_DTPREL32", KM_RELOC_OTHER, 4, B4),
	ROW(9, "R_RISCV_TLS_DTPREL64", KM_RELOC_OTHER, 8, B8),
	ROW(10, "R_RISCV_TLS_TPREL32", KM_RELOC_OTHER, 4, B4),
	ROW(11, "R_RISCV_TLS_TPREL64", KM_RELOC_OTHER, 8, B8),
	ROW(12, "R_RISCV_TLSDESC", KM_RELOC_OTHER, 0, 0),
	ROW(16, "R_RISCV_BRANCH", KM_RELOC_CALL, 4, TYPE_S),
	ROW(17, "R_RISCV_JAL", KM_RELOC_CALL, 4, TYPE_U),
	ROW(18, "R_RISCV_CALL", KM_RELOC_CALL, 8, CALL_PAIR),
	ROW(19, "R_RISCV_CALL_PLT", KM_RELOC_CALL, 8, CALL_PAIR),
	ROW(20, "R_RISCV_GOT_HI20", KM_RELOC_GOT, 4, TYPE_U),
	ROW(21, "R_RISCV_TLS_GOT_HI20", KM_RELOC_OTHER, 4, TYPE_U),
	ROW(22, "R_RISCV_TLS_GD_HI20", KM_RELOC_OTHER, 4, TYPE_U),
	ROW(23, "R_RISCV_PCREL_HI20", KM_RELOC_PC, 4, TYPE_U),
	/* Their symbol is the place of the auipc, whose relocation says what is meant. */
	ROW(24, "R_RISCV_PCREL_LO12_I", KM_RELOC_OTHER, 4, TYPE_I),
	ROW(25, "R_RISCV_PCREL_LO12_S", KM_RELOC_OTHER, 4, TYPE_S),
	ROW(26, "R_RISCV_HI20", KM_RELOC_ABS, 4, TYPE_U),
	ROW(27, "R_RISCV_LO12_I", KM_RELOC_ABS, 4, TYPE_I),
	ROW(28, "R_RISCV_LO12_S", KM_RELOC_ABS, 4, TYPE_S),
	ROW(29, "R_RISCV_TPREL_HI20", KM_RELOC_OTHER, 4, TYPE_U),
	ROW(30, "R_RISCV_TPREL_LO12_I", KM_RELOC_OTHER, 4, TYPE_I),
	ROW(31, "R_RISCV_TPREL_LO12_S", KM_RELOC_OTHER, 4, TYPE_S),
	ROW(32, "R_RISCV_TPREL_ADD", KM_RELOC_HINT, 0, 0),
	ROW(33, "R_RISCV_ADD8", KM_RELOC_OTHER, 1, B1),
	ROW(34, "R_RISCV_ADD16", KM_RELOC_OTHER, 2, B2),
	ROW(35, "R_RISCV_ADD32", KM_RELOC_OTHER, 4, B4),
	ROW(36, "R_RISCV_ADD64", KM_RELOC_OTHER, 8, B8),
	ROW(37, "R_RISCV_SUB8", KM_RELOC_OTHER, 1, B1),
	ROW(38, "R_RISCV_SUB16", KM_RELOC_OTHER, 2, B2),
	ROW(39, "R_RISCV_SUB32", KM_RELOC_OTHER, 4, B4),
	ROW(40, "R_RISCV_SUB64", KM_RELOC_OTHER, 8, B8),
	ROW(41, "R_RISCV_GNU_VTINHERIT", KM_RELOC_OTHER, 0, 0),
	ROW(42, "R_RISCV_GNU_VTENTRY", KM_RELOC_OTHER, 0, 0),
	ROW(43, "R_RISCV_ALIGN", KM_RELOC_HINT, 0, 0),
	ROW(44, "R_RISCV_RVC_BRANCH", KM_RELOC_CALL, 2, TYPE_CB),
	ROW(45, "R_RISCV_RVC_JUMP", KM_RELOC_CALL, 2, TYPE_CJ),
	ROW(46, "R_RISCV_RVC_LUI", KM_RELOC_ABS, 2, TYPE_CI),
	ROW(47, "R_RISCV_GPREL_I", KM_RELOC_TOC, 4, TYPE_I),
	ROW(48, "R_RISCV_GPREL_S", KM_RELOC_TOC, 4, TYPE_S),
	ROW(49, "R_RISCV_TPREL_I", KM_RELOC_OTHER, 4, TYPE_I),
	ROW(50, "R_RISCV_TPREL_S", KM_RELOC_OTHER, 4, TYPE_S),
	ROW(51, "R_RISCV_RELAX", KM_RELOC_HINT, 0, 0),
	ROW(52, "R_RISCV_SUB6", KM_RELOC_OTHER, 1, B6BITS),
	ROW(53, "R_RISCV_SET6", KM_RELOC_OTHER, 1, B6BITS),
	ROW(54, "R_RISCV_SET8", KM_RELOC_OTHER, 1, B1),
	ROW(55, "R_RISCV_SET16", KM_RELOC_OTHER, 2, B2),
	ROW(56, "R_RISCV_SET32", KM_RELOC_OTHER, 4, B4),
	ROW(57, "R_RISCV_32_PCREL", KM_RELOC_PC, 4, B4),
	ROW(58, "R_RISCV_IRELATIVE", KM_RELOC_OTHER, 8, B8),
	ROW(59, "R_RISCV_PLT32", KM_RELOC_CALL, 4, B4),
	/* As many bytes as the number takes: the assembler leaves it there as it was before linking. */
	ROW(60, "R_RISCV_SET_ULEB128", KM_RELOC_OTHER, 0, 0),
	ROW(61, "R_RISCV_SUB_ULEB128", KM_RELOC_OTHER, 0, 0),
	ROW(62, "R_RISCV_TLSDESC_HI20", KM_RELOC_OTHER, 4, TYPE_U),
	ROW(63, "R_RISCV_TLSDESC_LOAD_LO12", KM_RELOC_OTHER, 4, TYPE_I),
	ROW(64, "R_RISCV_TLSDESC_ADD_LO12", KM_RELOC_OTHER, 4, TYPE_I),
	ROW(65, "R_RISCV_TLSDESC_CALL", KM_RELOC_HINT, 0, 0),
	ROW(191, "R_RISCV_VENDOR", KM_RELOC_HINT, 0, 0),
	KM_RELOC_END,
};

/* clang before 13 called it by the second name. */
static const char *const hooks[] = { "_mcount", "mcount", NULL };

/* ---- immediates: the manual's pictures of the formats, from the lowest bit up ---- */

/* width bits of insn from bit from on, to stand at bit to. */
static guint32 piece(guint32 insn, guint from, guint width, guint to)
{
	return (insn >> from & ((1u << width) - 1)) << to;
}

static gint64 distance_b(guint32 insn)
{
	return km_arch_sign_extend(
		piece(insn, 8, 4, 1) | piece(insn, 25, 6, 5) | piece(insn, 7, 1, 11) | piece(insn, 31, 1, 12), 13);
}

static gint64 distance_j(guint32 insn)
{
	return km_arch_sign_extend(
		piece(insn, 21, 10, 1) | piece(insn, 20, 1, 11) | piece(insn, 12, 8, 12) | piece(insn, 31, 1, 20), 21);
}

static gint64 distance_cb(guint32 insn)
{
	return km_arch_sign_extend(piece(insn, 3, 2, 1) | piece(insn, 10, 2, 3) | piece(insn, 2, 1, 5) |
					   piece(insn, 5, 2, 6) | piece(insn, 12, 1, 8),
				   9);
}

static gint64 distance_cj(guint32 insn)
{
	return km_arch_sign_extend(piece(insn, 3, 3, 1) | piece(insn, 11, 1, 4) | piece(insn, 2, 1, 5) |
					   piece(insn, 7, 1, 6) | piece(insn, 6, 1, 7) | piece(insn, 9, 2, 8) |
					   piece(insn, 8, 1, 10) | piece(insn, 12, 1, 11),
				   12);
}

gboolean km_arch_riscv64_far_call(const guint8 *code, gint64 *distance)
{
	guint32 first = km_arch_le32(code), second = km_arch_le32(code + 4);
	guint32 reg = first >> 7 & 31;
	if ((first & 0x7f) != 0x17 || (second & 0x707f) != 0x67 || !reg || (second >> 15 & 31) != reg)
		return FALSE;
	*distance = km_arch_sign_extend(first & TYPE_U, 32) + km_arch_sign_extend(second >> 20, 12);
	return TRUE;
}

gint64 km_arch_riscv64_jal_distance(guint32 insn)
{
	return distance_j(insn);
}

static gboolean is_c_lui(guint32 insn)
{
	return (insn & 3) == 1 && (insn >> 13 & 7) == 3;
}

/* "Base Instruction-Length Encoding": the low bits of the first byte; longer ones than eight bytes are nobody's. */
static guint insn_length(const guint8 *insn)
{
	if ((*insn & 3) != 3)
		return 2;
	if ((*insn & 0x1f) != 0x1f)
		return 4;
	return (*insn & 0x3f) == 0x1f ? 6 : 8;
}

/* ---- what a linker wrote; not where it relaxed, for that leaves another instruction ---- */

static gboolean symbol_value(guint32 type, const guint8 *field, guint64 place, gint64 addend, guint64 *value)
{
	gint64 distance;
	switch (type) {
	case R_RISCV_64:
		*value = km_arch_le64(field) - addend;
		return TRUE;
	case R_RISCV_32_PCREL:
	case 59: /* R_RISCV_PLT32 */
		distance = km_arch_sign_extend(km_arch_le32(field), 32);
		break;
	case R_RISCV_BRANCH:
		distance = distance_b(km_arch_le32(field));
		break;
	case R_RISCV_JAL:
		distance = distance_j(km_arch_le32(field));
		break;
	case R_RISCV_CALL:
	case R_RISCV_CALL_PLT:
		if (!km_arch_riscv64_far_call(field, &distance))
			return FALSE;
		break;
	case R_RISCV_RVC_BRANCH:
		distance = distance_cb(km_arch_le16(field));
		break;
	case R_RISCV_RVC_JUMP:
		distance = distance_cj(km_arch_le16(field));
		break;
	default:
		return FALSE;
	}
	*value = place + (guint64)distance - (guint64)addend;
	return TRUE;
}

/* ---- branches ---- */

/* c.j, c.beqz, c.bnez. */
static gboolean decode_short(guint32 insn, gint64 *distance, guint32 *type)
{
	if ((insn & 3) != 1 || (insn >> 13) < 5)
		return FALSE;
	gboolean jump = insn >> 13 == 5;
	*type = jump ? R_RISCV_RVC_JUMP : R_RISCV_RVC_BRANCH;
	*distance = jump ? distance_cj(insn) : distance_cb(insn);
	return TRUE;
}

/* jal, beq and its like, or auipc and jalr. size: of the field. */
static gboolean decode_long(const guint8 *code, guint64 room, gint64 *distance, guint32 *type, guint *size)
{
	guint32 insn = km_arch_le32(code), opcode = insn & 0x7f;
	*size = 4;
	if (opcode == 0x63) {
		*type = R_RISCV_BRANCH;
		*distance = distance_b(insn);
		return TRUE;
	}
	if (opcode == 0x6f) {
		*type = R_RISCV_JAL;
		*distance = distance_j(insn);
		return TRUE;
	}
	*type = R_RISCV_CALL_PLT;
	*size = 8;
	return room >= 8 && km_arch_riscv64_far_call(code, distance);
}

/* Assemblers that need not care for relaxation (-mno-relax) resolve branches within a section. */
static GArray *branches_out(const KmSection *section, guint64 start, guint64 end)
{
	GArray *found = g_array_new(FALSE, FALSE, sizeof(KmBranch));
	guint length;
	for (guint64 at = start; section->data && end <= section->data->len && at + 2 <= end; at += length) {
		const guint8 *code = section->data->data + at;
		KmBranch branch = { .field = at };
		gint64 distance;
		guint size = length = insn_length(code);
		gboolean is = length == 2 ? decode_short(km_arch_le16(code), &distance, &branch.type)
					  : length == 4 && at + 4 <= end &&
						    decode_long(code, end - at, &distance, &branch.type, &size);
		if (!is || km_arch_has_reloc(section, at, size))
			continue;
		branch.target = at + (guint64)distance;
		km_arch_add_branch(found, &branch, start, end);
	}
	return found;
}

/* ---- numbers ---- */

/* lui, addi and its like, c.li, c.addi, c.addiw, c.lui; not those that shift or make addresses. */
static guint one_number(const guint8 *code, gsize room, gint64 *value, guint64 *rest)
{
	guint length = room >= 2 ? insn_length(code) : 0;
	if (length > room)
		return 0;
	guint32 insn = length == 4 ? km_arch_le32(code) : length == 2 ? km_arch_le16(code) : 0;
	guint32 opcode = insn & 0x7f, reg = insn >> 7 & 31;
	guint32 field = length == 2 ? TYPE_CI : opcode == OP_LUI ? TYPE_U : TYPE_I;
	*rest = insn & ~field;
	*value = opcode == OP_LUI ? km_arch_sign_extend(insn & TYPE_U, 32) : km_arch_sign_extend(insn >> 20, 12);
	if (length == 4)
		return opcode == OP_LUI || ((opcode == OP_IMM || opcode == OP_IMM_32) && (insn >> 12 & 3) != 1) ? 4 : 0;
	*value = km_arch_sign_extend(piece(insn, 2, 5, 0) | piece(insn, 12, 1, 5), 6);
	if (is_c_lui(insn))
		*value *= 4096;
	return length == 2 && (insn & 3) == 1 && insn >> 13 < 4 && (insn >> 13 < 3 || reg != SP) ? 2 : 0;
}

/* Does insn add a number to the register that first, a lui of either size, loads? */
static gboolean adds_to(const guint8 *first, const guint8 *insn, guint size)
{
	guint32 lui = km_arch_le16(first), add = km_arch_le16(insn), reg = lui >> 7 & 31;
	if (((lui & 0x7f) != OP_LUI && !is_c_lui(lui)) || (add >> 7 & 31) != reg)
		return FALSE;
	return size == 2 ? add >> 13 < 2 : !(add & 0x7000) && (km_arch_le32(insn) >> 15 & 31) == reg;
}

/* A number beyond twelve bits takes lui and addi or addiw. */
static guint number(const guint8 *code, gsize room, gint64 *value, guint64 *rest)
{
	gint64 low;
	guint64 low_rest;
	guint first = one_number(code, room, value, rest);
	guint second = first ? one_number(code + first, room - first, &low, &low_rest) : 0;
	if (!second || !adds_to(code, code + first, second))
		return first;
	*value += low;
	*rest |= low_rest << 32;
	return first + second;
}

/* Mapping symbols tell code from data: "$x", "$d", and "$xrv64i2p1_..." with what the code may use. */
static gboolean is_annotation(const KmSymbol *symbol)
{
	const char *name = symbol->name;
	if (name[0] == '$' && (name[1] == 'x' || name[1] == 'd') &&
	    (!name[2] || name[2] == '.' || (name[1] == 'x' && g_str_has_prefix(name + 2, "rv"))))
		return TRUE;
	return km_arch_is_label(symbol);
}

const KmArch km_arch_riscv64 = {
	.name = "riscv64",
	.debian = "riscv64",
	.kbuild = "riscv",
	.triplet = "riscv64-linux-gnu",
	.qemu = "riscv64",
	.qemu_user = "riscv64",
	.machine = EM_RISCV,
	.big_endian = FALSE,
	.capstone_arch = -1, /* not before version 5 */
	.number = number,
	.insn_length = insn_length,
	.abs64 = R_RISCV_64,
	.pc32 = R_RISCV_32_PCREL,
	.relocs = relocs,
	.hooks = hooks,
	.target_offset = km_arch_plain_offset,
	.symbol_value = symbol_value,
	.branches_out = branches_out,
	.is_annotation = is_annotation,
	.keeps_labels = TRUE,
	.entry = &km_entry_riscv64,
	.local_entry = km_arch_no_local_entry,
};
