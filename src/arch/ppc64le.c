/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ppc64le, ELFv2 ABI. Data is reached through the TOC pointer by pairs of halfwords (TOC16_HA and TOC16_LO), so a field alone
 * does not tell a symbol. A branch goes to the callee's local entry when both share a TOC.
 */
#include <capstone/capstone.h>
#include <elf.h>
#include <string.h>

#include "arch/table.h"
#include "elf/object.h"

#define ROW KM_RELOC_ROW
#define HALF 0xffff
#define HALF_DS 0xfffc /* the two low bits belong to the opcode */
#define B4 0xffffffff
#define B8 G_MAXUINT64
#define LI 0x03fffffc
#define BD 0x0000fffc
#define D34 G_GUINT64_CONSTANT(0x0000ffff0003ffff) /* 18 bits in the prefix, 16 in the suffix word */
#define D28 G_GUINT64_CONSTANT(0x0000ffff00000fff)

/* Power Architecture 64-Bit ELF V2 ABI, "Relocation Types". */
static const KmRelocInfo relocs[] = {
	ROW(0, "R_PPC64_NONE", KM_RELOC_NONE, 0, 0),
	ROW(1, "R_PPC64_ADDR32", KM_RELOC_ABS, 4, B4),
	ROW(2, "R_PPC64_ADDR24", KM_RELOC_ABS, 4, LI),
	ROW(3, "R_PPC64_ADDR16", KM_RELOC_ABS, 2, HALF),
	ROW(4, "R_PPC64_ADDR16_LO", KM_RELOC_ABS, 2, HALF),
	ROW(5, "R_PPC64_ADDR16_HI", KM_RELOC_ABS, 2, HALF),
	ROW(6, "R_PPC64_ADDR16_HA", KM_RELOC_ABS, 2, HALF),
	ROW(7, "R_PPC64_ADDR14", KM_RELOC_ABS, 4, BD),
	ROW(8, "R_PPC64_ADDR14_BRTAKEN", KM_RELOC_ABS, 4, BD | 0x200000),
	ROW(9, "R_PPC64_ADDR14_BRNTAKEN", KM_RELOC_ABS, 4, BD | 0x200000),
	ROW(10, "R_PPC64_REL24", KM_RELOC_CALL, 4, LI),
	ROW(11, "R_PPC64_REL14", KM_RELOC_PC, 4, BD),
	ROW(12, "R_PPC64_REL14_BRTAKEN", KM_RELOC_PC, 4, BD | 0x200000),
	ROW(13, "R_PPC64_REL14_BRNTAKEN", KM_RELOC_PC, 4, BD | 0x200000),
	ROW(14, "R_PPC64_GOT16", KM_RELOC_GOT, 2, HALF),
	ROW(15, "R_PPC64_GOT16_LO", KM_RELOC_GOT, 2, HALF),
	ROW(16, "R_PPC64_GOT16_HI", KM_RELOC_GOT, 2, HALF),
	ROW(17, "R_PPC64_GOT16_HA", KM_RELOC_GOT, 2, HALF),
	ROW(19, "R_PPC64_COPY", KM_RELOC_OTHER, 0, 0),
	ROW(20, "R_PPC64_GLOB_DAT", KM_RELOC_OTHER, 8, B8),
	ROW(21, "R_PPC64_JMP_SLOT", KM_RELOC_OTHER, 8, B8),
	ROW(22, "R_PPC64_RELATIVE", KM_RELOC_OTHER, 8, B8),
	ROW(24, "R_PPC64_UADDR32", KM_RELOC_ABS, 4, B4),
	ROW(25, "R_PPC64_UADDR16", KM_RELOC_ABS, 2, HALF),
	ROW(26, "R_PPC64_REL32", KM_RELOC_PC, 4, B4),
	ROW(27, "R_PPC64_PLT32", KM_RELOC_OTHER, 4, B4),
	ROW(28, "R_PPC64_PLTREL32", KM_RELOC_OTHER, 4, B4),
	ROW(29, "R_PPC64_PLT16_LO", KM_RELOC_GOT, 2, HALF),
	ROW(30, "R_PPC64_PLT16_HI", KM_RELOC_GOT, 2, HALF),
	ROW(31, "R_PPC64_PLT16_HA", KM_RELOC_GOT, 2, HALF),
	ROW(33, "R_PPC64_SECTOFF", KM_RELOC_OTHER, 2, HALF),
	ROW(34, "R_PPC64_SECTOFF_LO", KM_RELOC_OTHER, 2, HALF),
	ROW(35, "R_PPC64_SECTOFF_HI", KM_RELOC_OTHER, 2, HALF),
	ROW(36, "R_PPC64_SECTOFF_HA", KM_RELOC_OTHER, 2, HALF),
	ROW(37, "R_PPC64_ADDR30", KM_RELOC_PC, 4, 0xfffffffc),
	ROW(38, "R_PPC64_ADDR64", KM_RELOC_ABS, 8, B8),
	ROW(39, "R_PPC64_ADDR16_HIGHER", KM_RELOC_ABS, 2, HALF),
	ROW(40, "R_PPC64_ADDR16_HIGHERA", KM_RELOC_ABS, 2, HALF),
	ROW(41, "R_PPC64_ADDR16_HIGHEST", KM_RELOC_ABS, 2, HALF),
	ROW(42, "R_PPC64_ADDR16_HIGHESTA", KM_RELOC_ABS, 2, HALF),
	ROW(43, "R_PPC64_UADDR64", KM_RELOC_ABS, 8, B8),
	ROW(44, "R_PPC64_REL64", KM_RELOC_PC, 8, B8),
	ROW(45, "R_PPC64_PLT64", KM_RELOC_OTHER, 8, B8),
	ROW(46, "R_PPC64_PLTREL64", KM_RELOC_OTHER, 8, B8),
	ROW(47, "R_PPC64_TOC16", KM_RELOC_TOC, 2, HALF),
	ROW(48, "R_PPC64_TOC16_LO", KM_RELOC_TOC, 2, HALF),
	ROW(49, "R_PPC64_TOC16_HI", KM_RELOC_TOC, 2, HALF),
	ROW(50, "R_PPC64_TOC16_HA", KM_RELOC_TOC, 2, HALF),
	ROW(51, "R_PPC64_TOC", KM_RELOC_OTHER, 8, B8),
	ROW(56, "R_PPC64_ADDR16_DS", KM_RELOC_ABS, 2, HALF_DS),
	ROW(57, "R_PPC64_ADDR16_LO_DS", KM_RELOC_ABS, 2, HALF_DS),
	ROW(58, "R_PPC64_GOT16_DS", KM_RELOC_GOT, 2, HALF_DS),
	ROW(59, "R_PPC64_GOT16_LO_DS", KM_RELOC_GOT, 2, HALF_DS),
	ROW(60, "R_PPC64_PLT16_LO_DS", KM_RELOC_GOT, 2, HALF_DS),
	ROW(61, "R_PPC64_SECTOFF_DS", KM_RELOC_OTHER, 2, HALF_DS),
	ROW(62, "R_PPC64_SECTOFF_LO_DS", KM_RELOC_OTHER, 2, HALF_DS),
	ROW(63, "R_PPC64_TOC16_DS", KM_RELOC_TOC, 2, HALF_DS),
	ROW(64, "R_PPC64_TOC16_LO_DS", KM_RELOC_TOC, 2, HALF_DS),
	ROW(67, "R_PPC64_TLS", KM_RELOC_HINT, 0, 0),
	ROW(68, "R_PPC64_DTPMOD64", KM_RELOC_OTHER, 8, B8),
	ROW(69, "R_PPC64_TPREL16", KM_RELOC_OTHER, 2, HALF),
	ROW(70, "R_PPC64_TPREL16_LO", KM_RELOC_OTHER, 2, HALF),
	ROW(71, "R_PPC64_TPREL16_HI", KM_RELOC_OTHER, 2, HALF),
	ROW(72, "R_PPC64_TPREL16_HA", KM_RELOC_OTHER, 2, HALF),
	ROW(73, "R_PPC64_TPREL64", KM_RELOC_OTHER, 8, B8),
	ROW(78, "R_PPC64_DTPREL64", KM_RELOC_OTHER, 8, B8),
	ROW(87, "R_PPC64_GOT_TPREL16_DS", KM_RELOC_OTHER, 2, HALF_DS),
	ROW(88, "R_PPC64_GOT_TPREL16_LO_DS", KM_RELOC_OTHER, 2, HALF_DS),
	ROW(90, "R_PPC64_GOT_TPREL16_HA", KM_RELOC_OTHER, 2, HALF),
	ROW(95, "R_PPC64_TPREL16_DS", KM_RELOC_OTHER, 2, HALF_DS),
	ROW(96, "R_PPC64_TPREL16_LO_DS", KM_RELOC_OTHER, 2, HALF_DS),
	ROW(107, "R_PPC64_TLSGD", KM_RELOC_HINT, 0, 0),
	ROW(108, "R_PPC64_TLSLD", KM_RELOC_HINT, 0, 0),
	ROW(109, "R_PPC64_TOCSAVE", KM_RELOC_HINT, 0, 0),
	ROW(110, "R_PPC64_ADDR16_HIGH", KM_RELOC_ABS, 2, HALF),
	ROW(111, "R_PPC64_ADDR16_HIGHA", KM_RELOC_ABS, 2, HALF),
	ROW(116, "R_PPC64_REL24_NOTOC", KM_RELOC_CALL, 4, LI),
	ROW(117, "R_PPC64_ADDR64_LOCAL", KM_RELOC_ABS, 8, B8),
	ROW(118, "R_PPC64_ENTRY", KM_RELOC_HINT, 0, 0),
	ROW(119, "R_PPC64_PLTSEQ", KM_RELOC_HINT, 0, 0),
	ROW(120, "R_PPC64_PLTCALL", KM_RELOC_HINT, 0, 0),
	ROW(121, "R_PPC64_PLTSEQ_NOTOC", KM_RELOC_HINT, 0, 0),
	ROW(122, "R_PPC64_PLTCALL_NOTOC", KM_RELOC_HINT, 0, 0),
	ROW(123, "R_PPC64_PCREL_OPT", KM_RELOC_HINT, 0, 0),
	ROW(124, "R_PPC64_REL24_P9NOTOC", KM_RELOC_CALL, 4, LI),
	ROW(128, "R_PPC64_D34", KM_RELOC_ABS, 8, D34),
	ROW(129, "R_PPC64_D34_LO", KM_RELOC_ABS, 8, D34),
	ROW(130, "R_PPC64_D34_HI30", KM_RELOC_ABS, 8, D34),
	ROW(131, "R_PPC64_D34_HA30", KM_RELOC_ABS, 8, D34),
	ROW(132, "R_PPC64_PCREL34", KM_RELOC_PC, 8, D34),
	ROW(133, "R_PPC64_GOT_PCREL34", KM_RELOC_GOT, 8, D34),
	ROW(134, "R_PPC64_PLT_PCREL34", KM_RELOC_GOT, 8, D34),
	ROW(135, "R_PPC64_PLT_PCREL34_NOTOC", KM_RELOC_GOT, 8, D34),
	ROW(144, "R_PPC64_D28", KM_RELOC_ABS, 8, D28),
	ROW(145, "R_PPC64_PCREL28", KM_RELOC_PC, 8, D28),
	ROW(240, "R_PPC64_REL16_HIGH", KM_RELOC_PC, 2, HALF),
	ROW(241, "R_PPC64_REL16_HIGHA", KM_RELOC_PC, 2, HALF),
	ROW(246, "R_PPC64_REL16DX_HA", KM_RELOC_PC, 4, 0x001fffc1),
	ROW(248, "R_PPC64_IRELATIVE", KM_RELOC_OTHER, 8, B8),
	ROW(249, "R_PPC64_REL16", KM_RELOC_PC, 2, HALF),
	ROW(250, "R_PPC64_REL16_LO", KM_RELOC_PC, 2, HALF),
	ROW(251, "R_PPC64_REL16_HI", KM_RELOC_PC, 2, HALF),
	ROW(252, "R_PPC64_REL16_HA", KM_RELOC_PC, 2, HALF),
	KM_RELOC_END,
};

static const char *const hooks[] = { "_mcount", NULL };

/*
 * A call's answer is where the branch goes: the callee's local entry, or a linkage stub when it is far or has another TOC.
 * The caller subtracts local_entry() and asks whether a symbol of that name is there.
 */
static gboolean symbol_value(guint32 type, const guint8 *field, guint64 place, gint64 addend, guint64 *value)
{
	gint64 distance;
	switch (type) {
	case R_PPC64_ADDR64:
	case R_PPC64_UADDR64:
		*value = km_arch_le64(field) - addend;
		return TRUE;
	case R_PPC64_REL64:
		distance = (gint64)km_arch_le64(field);
		break;
	case R_PPC64_REL32:
		distance = km_arch_sign_extend(km_arch_le32(field), 32);
		break;
	case R_PPC64_REL24:
	case 116: /* R_PPC64_REL24_NOTOC */
	case 124: /* R_PPC64_REL24_P9NOTOC */
		distance = km_arch_sign_extend(km_arch_le32(field) & LI, 26);
		break;
	case R_PPC64_REL14:
		distance = km_arch_sign_extend(km_arch_le32(field) & BD, 16);
		break;
	default:
		return FALSE;
	}
	*value = place + distance - addend;
	return TRUE;
}

/* st_other bits 5..7: 0 and 1 mean one entry, n means 2^n bytes to the local one. */
static guint local_entry(const KmSymbol *symbol)
{
	guint code = symbol->other >> 5;
	return code < 2 || code == 7 ? 0 : 1U << code;
}

/* Power ISA, 2.4 "Branch Instructions": I-form (LI, 24 bits) and B-form (BD, 14 bits), in words; absolute forms are not used. */
static gboolean decode_branch(guint32 insn, guint64 at, KmBranch *branch)
{
	gint64 words;
	*branch = (KmBranch){ .field = at };
	if ((insn & 0xfc000002) == 0x48000000) {
		words = km_arch_sign_extend(insn >> 2, 24);
		branch->type = R_PPC64_REL24;
	} else if ((insn & 0xfc000002) == 0x40000000) {
		words = km_arch_sign_extend(insn >> 2, 14);
		branch->type = R_PPC64_REL14;
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

/* ---- the TOC ---- */

#define NOP 0x60000000
#define OP(insn) ((insn) >> 26)
#define OP_ADDI 14
#define OP_LD 58 /* and lwa: the two lowest bits tell */
#define RA_IS(insn, n) (((insn) >> 16 & 31) == (n))
#define RA 0x001f0000

/* addis r2,r12 and addi r2,r2: the distance from the function's start, where r12 points. */
static gboolean toc_setup(const guint8 *code, gsize room, guint64 address, guint64 *toc)
{
	if (room < 8)
		return FALSE;
	guint32 first = km_arch_le32(code), second = km_arch_le32(code + 4);
	if (first >> 16 != 0x3c4c || second >> 16 != 0x3842)
		return FALSE;
	*toc = address + (guint64)km_arch_sign_extend(first, 16) * 65536 + (guint64)km_arch_sign_extend(second, 16);
	return TRUE;
}

/* The upper half is 0 where the linker took the instruction out. */
static gboolean address_part(guint32 type, const guint8 *field, guint64 place, guint64 *bits, guint64 *mask)
{
	const guint64 low = HALF;
	guint32 insn = km_arch_le32(field);
	switch (type) {
	case R_PPC64_TOC16_HA:
		*mask = ~low;
		*bits = insn == NOP ? 0 : (guint64)km_arch_sign_extend(insn, 16) * 65536;
		return TRUE;
	case R_PPC64_TOC16_LO:
	case R_PPC64_TOC16_LO_DS:
		*mask = low;
		/* An instruction of the DS form has other things in its two lowest bits. */
		*bits = (guint64)km_arch_sign_extend(
			type == R_PPC64_TOC16_LO || OP(insn) == OP_ADDI ? insn : insn & HALF_DS, 16);
		return TRUE;
	default:
		return FALSE;
	}
}

/* An addis of the upper half 0 goes, and who used its result uses r2; what is read from the TOC only to have an address is computed where it is near. */
static gboolean relaxed(guint32 type, guint32 ours, guint32 theirs)
{
	guint32 field = type == R_PPC64_TOC16_LO_DS ? HALF_DS : HALF;
	if (type == R_PPC64_TOC16_HA)
		return theirs == NOP && ours >> 26 == 15 && RA_IS(ours, 2);
	if (type != R_PPC64_TOC16_LO && type != R_PPC64_TOC16_LO_DS)
		return FALSE;
	gboolean same_base = !((ours ^ theirs) & RA) || RA_IS(theirs, 2);
	if (type == R_PPC64_TOC16_LO_DS && OP(ours) == OP_LD && !(ours & 3) && OP(theirs) == OP_ADDI)
		return same_base && !((ours ^ theirs) & 0x03e00000);
	return same_base && !((ours ^ theirs) & ~(RA | field));
}

static gboolean reads_place(const guint8 *insn)
{
	return OP(km_arch_le32(insn)) == OP_LD;
}

/* ---- the kernel's module loader: arch/powerpc/kernel/module_64.c ---- */

static const guint32 loader_relocs[] = { R_PPC64_ADDR32,
					 R_PPC64_ADDR64,
					 R_PPC64_TOC,
					 R_PPC64_TOC16,
					 R_PPC64_TOC16_LO,
					 R_PPC64_TOC16_DS,
					 R_PPC64_TOC16_LO_DS,
					 R_PPC64_TOC16_HA,
					 R_PPC64_REL24,
					 R_PPC64_REL64,
					 R_PPC64_REL32,
					 R_PPC64_REL16_HA,
					 R_PPC64_REL16_LO,
					 109, /* R_PPC64_TOCSAVE */
					 118, /* R_PPC64_ENTRY */
					 0 };
static const char *const loader_symbols[] = { ".TOC.", NULL };

/* What goes to another TOC goes through a stub, which saves r2 in the frame of whoever runs; the loader has it restored in the word behind the call. */
static const char *call_problem(const guint8 *insn, gsize room)
{
	guint32 word = km_arch_le32(insn);
	if (OP(word) != 18)
		return "a branch that cannot lead there";
	if (!(word & 1))
		return "a jump in place of a call: the stub would save r2 in the caller's frame";
	if (room < 8 || km_arch_le32(insn + 4) != NOP)
		return "no NOP behind the call, where the loader has r2 restored";
	return NULL;
}

#define RESTORE_TOC 0xe8410018 /* ld r2,24(r1) */

/* std r2,24(r1); addis r12,r2,slot@toc@ha; ld r12,slot@toc@l(r12); mtctr r12; bctr: the callee sets up its TOC pointer from r12, and the caller gets its own back. */
static const guint8 stub_code[32] = { 0x18, 0x00, 0x41, 0xf8, 0x00, 0x00, 0x82, 0x3d, 0x00, 0x00,
				      0x8c, 0xe9, 0xa6, 0x03, 0x89, 0x7d, 0x20, 0x04, 0x80, 0x4e };
static const KmStubField stub_fields[] = { { R_PPC64_TOC16_HA, 4 }, { R_PPC64_TOC16_LO_DS, 8 }, { 0, 0 } };
static const KmCallStub call_stub = { .code = stub_code,
				      .size = sizeof(stub_code),
				      .slot = 24,
				      .fields = stub_fields,
				      .room = NOP,
				      .behind = RESTORE_TOC };

/* The large model has addresses of all data in the TOC, which the loader can fill with any. */
static const char *const apart_options[] = { "-mcmodel=large", "-fno-optimize-sibling-calls", NULL };

/* ---- arguments on the stack ---- */

#define FIRST_STACKED 96 /* behind the caller's r1: its header, and room for those in registers */
#define RT_IS(insn, n) (((insn) >> 21 & 31) == (n))

/* The stack pointer goes to another register, or is moved by a register: where it is from there on is not followed. */
static gboolean loses_frame(guint32 insn)
{
	gboolean copies = (insn & 0x7fe) == 444 << 1 && RT_IS(insn, 1) && !RA_IS(insn, 1); /* or rA,r1,rB */
	gboolean moves = (insn & 0x7fe) == 181 << 1 && RT_IS(insn, 1) && RA_IS(insn, 1); /* stdux r1,r1,rB */
	return OP(insn) == 31 && (copies || moves);
}

/* By its distance from r1: where the function has made its frame, that is so much further away. */
static gboolean uses_stacked(const guint8 *code, gsize size)
{
	gint64 frame = 0;
	for (gsize at = 0; at + 4 <= size; at += 4) {
		guint32 insn = km_arch_le32(code + at);
		gint64 distance = km_arch_sign_extend(OP(insn) >= OP_LD ? insn & HALF_DS : insn, 16);
		gboolean near = OP(insn) == OP_ADDI || (OP(insn) >= 32 && OP(insn) <= 62);
		if (OP(insn) == 62 && (insn & 3) == 1 && RT_IS(insn, 1) && RA_IS(insn, 1))
			frame -= distance; /* stdu r1,-frame(r1) */
		else if (loses_frame(insn) || (near && RA_IS(insn, 1) && distance >= frame + FIRST_STACKED))
			return TRUE;
	}
	return FALSE;
}

const KmArch km_arch_ppc64le = {
	.name = "ppc64le",
	.debian = "ppc64el",
	.kbuild = "powerpc",
	.triplet = "powerpc64le-linux-gnu",
	.qemu = "ppc64",
	.qemu_user = "ppc64le",
	.machine = EM_PPC64,
	.big_endian = FALSE,
	.can_build = TRUE,
	.has_runtime = TRUE,
	.capstone_arch = CS_ARCH_PPC,
	.capstone_mode = (int)(CS_MODE_64 | CS_MODE_LITTLE_ENDIAN),
	.insn_size = 4,
	.abs64 = R_PPC64_ADDR64,
	.pc32 = R_PPC64_REL32,
	.relocs = relocs,
	.hooks = hooks,
	.target_offset = km_arch_plain_offset,
	.symbol_value = symbol_value,
	.address_part = address_part,
	.apart_options = apart_options,
	.call_nops = TRUE,
	.call_stub = &call_stub,
	.loader_relocs = loader_relocs,
	.loader_symbols = loader_symbols,
	.call_problem = call_problem,
	.toc_setup = toc_setup,
	.relaxed = relaxed,
	.reads_place = reads_place,
	.branches_out = branches_out,
	.is_annotation = km_arch_is_label,
	.entry = &km_entry_ppc64le,
	.frame_arguments = 8,
	.uses_stacked = uses_stacked,
	.local_entry = local_entry,
};
