/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s390x, big endian. Branches and larl count in halfwords from the start of the instruction, while the field stands two bytes
 * into it: R_390_PC32DBL carries the addend sym+2.
 */
#include <capstone/capstone.h>
#include <elf.h>
#include <string.h>

#include "arch/table.h"
#include "elf/object.h"

#define ROW KM_RELOC_ROW
#define B1 0xff
#define B2 0xffff
#define B4 0xffffffff
#define B8 G_MAXUINT64
#define DISP12 0x0fff
#define DISP20 0x0fffff00
#define DBL12 0x0fff
#define DBL24 0x00ffffff

/* ELF Application Binary Interface s390x Supplement, "Relocation Types". */
static const KmRelocInfo relocs[] = {
	ROW(0, "R_390_NONE", KM_RELOC_NONE, 0, 0),
	ROW(1, "R_390_8", KM_RELOC_ABS, 1, B1),
	ROW(2, "R_390_12", KM_RELOC_ABS, 2, DISP12),
	ROW(3, "R_390_16", KM_RELOC_ABS, 2, B2),
	ROW(4, "R_390_32", KM_RELOC_ABS, 4, B4),
	ROW(5, "R_390_PC32", KM_RELOC_PC, 4, B4),
	ROW(6, "R_390_GOT12", KM_RELOC_GOT, 2, DISP12),
	ROW(7, "R_390_GOT32", KM_RELOC_GOT, 4, B4),
	ROW(8, "R_390_PLT32", KM_RELOC_CALL, 4, B4),
	ROW(9, "R_390_COPY", KM_RELOC_OTHER, 0, 0),
	ROW(10, "R_390_GLOB_DAT", KM_RELOC_OTHER, 8, B8),
	ROW(11, "R_390_JMP_SLOT", KM_RELOC_OTHER, 8, B8),
	ROW(12, "R_390_RELATIVE", KM_RELOC_OTHER, 8, B8),
	ROW(13, "R_390_GOTOFF32", KM_RELOC_TOC, 4, B4),
	ROW(14, "R_390_GOTPC", KM_RELOC_OTHER, 8, B8),
	ROW(15, "R_390_GOT16", KM_RELOC_GOT, 2, B2),
	ROW(16, "R_390_PC16", KM_RELOC_PC, 2, B2),
	ROW(17, "R_390_PC16DBL", KM_RELOC_PC, 2, B2),
	ROW(18, "R_390_PLT16DBL", KM_RELOC_CALL, 2, B2),
	ROW(19, "R_390_PC32DBL", KM_RELOC_PC, 4, B4),
	ROW(20, "R_390_PLT32DBL", KM_RELOC_CALL, 4, B4),
	ROW(21, "R_390_GOTPCDBL", KM_RELOC_OTHER, 4, B4),
	ROW(22, "R_390_64", KM_RELOC_ABS, 8, B8),
	ROW(23, "R_390_PC64", KM_RELOC_PC, 8, B8),
	ROW(24, "R_390_GOT64", KM_RELOC_GOT, 8, B8),
	ROW(25, "R_390_PLT64", KM_RELOC_CALL, 8, B8),
	ROW(26, "R_390_GOTENT", KM_RELOC_GOT, 4, B4),
	ROW(27, "R_390_GOTOFF16", KM_RELOC_TOC, 2, B2),
	ROW(28, "R_390_GOTOFF64", KM_RELOC_TOC, 8, B8),
	ROW(29, "R_390_GOTPLT12", KM_RELOC_GOT, 2, DISP12),
	ROW(30, "R_390_GOTPLT16", KM_RELOC_GOT, 2, B2),
	ROW(31, "R_390_GOTPLT32", KM_RELOC_GOT, 4, B4),
	ROW(32, "R_390_GOTPLT64", KM_RELOC_GOT, 8, B8),
	ROW(33, "R_390_GOTPLTENT", KM_RELOC_GOT, 4, B4),
	ROW(34, "R_390_PLTOFF16", KM_RELOC_TOC, 2, B2),
	ROW(35, "R_390_PLTOFF32", KM_RELOC_TOC, 4, B4),
	ROW(36, "R_390_PLTOFF64", KM_RELOC_TOC, 8, B8),
	ROW(37, "R_390_TLS_LOAD", KM_RELOC_HINT, 0, 0),
	ROW(38, "R_390_TLS_GDCALL", KM_RELOC_HINT, 0, 0),
	ROW(39, "R_390_TLS_LDCALL", KM_RELOC_HINT, 0, 0),
	ROW(41, "R_390_TLS_GD64", KM_RELOC_OTHER, 8, B8),
	ROW(44, "R_390_TLS_GOTIE64", KM_RELOC_OTHER, 8, B8),
	ROW(46, "R_390_TLS_LDM64", KM_RELOC_OTHER, 8, B8),
	ROW(48, "R_390_TLS_IE64", KM_RELOC_OTHER, 8, B8),
	ROW(49, "R_390_TLS_IEENT", KM_RELOC_OTHER, 4, B4),
	ROW(51, "R_390_TLS_LE64", KM_RELOC_OTHER, 8, B8),
	ROW(53, "R_390_TLS_LDO64", KM_RELOC_OTHER, 8, B8),
	ROW(54, "R_390_TLS_DTPMOD", KM_RELOC_OTHER, 8, B8),
	ROW(55, "R_390_TLS_DTPOFF", KM_RELOC_OTHER, 8, B8),
	ROW(56, "R_390_TLS_TPOFF", KM_RELOC_OTHER, 8, B8),
	ROW(57, "R_390_20", KM_RELOC_ABS, 4, DISP20),
	ROW(58, "R_390_GOT20", KM_RELOC_GOT, 4, DISP20),
	ROW(59, "R_390_GOTPLT20", KM_RELOC_GOT, 4, DISP20),
	ROW(60, "R_390_TLS_GOTIE20", KM_RELOC_OTHER, 4, DISP20),
	ROW(61, "R_390_IRELATIVE", KM_RELOC_OTHER, 8, B8),
	ROW(62, "R_390_PC12DBL", KM_RELOC_PC, 2, DBL12),
	ROW(63, "R_390_PLT12DBL", KM_RELOC_CALL, 2, DBL12),
	ROW(64, "R_390_PC24DBL", KM_RELOC_PC, 3, DBL24),
	ROW(65, "R_390_PLT24DBL", KM_RELOC_CALL, 3, DBL24),
	KM_RELOC_END,
};

static const char *const hooks[] = { "_mcount", "__fentry__", NULL };

/* How far into its instruction a field stands that counts from the instruction's start; 0 for all others. */
static guint bias(guint32 type)
{
	switch (type) {
	case R_390_PC16DBL:
	case R_390_PLT16DBL:
	case R_390_PC32DBL:
	case R_390_PLT32DBL:
	case R_390_GOTPCDBL:
	case R_390_GOTENT:
	case R_390_GOTPLTENT:
	case R_390_TLS_IEENT:
		return 2;
	case 64: /* R_390_PC24DBL, the second target of bprp */
	case 65: /* R_390_PLT24DBL */
		return 3;
	case 62: /* R_390_PC12DBL, the first target of bprp */
	case 63: /* R_390_PLT12DBL */
		return 1;
	default:
		return 0;
	}
}

static gint64 target_offset(const KmSection *section, gsize reloc_index)
{
	const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, reloc_index);
	return section->flags & SHF_EXECINSTR ? reloc->addend - bias(reloc->type) : reloc->addend;
}

static guint64 number_at(const guint8 *field, guint size)
{
	guint64 value = 0;
	for (guint i = 0; i < size; i++)
		value = value << 8 | field[i];
	return value;
}

static gboolean symbol_value(guint32 type, const guint8 *field, guint64 place, gint64 addend, guint64 *value)
{
	gint64 distance;
	switch (type) {
	case R_390_64:
		*value = number_at(field, 8) - addend;
		return TRUE;
	case R_390_32:
		*value = number_at(field, 4) - addend;
		return TRUE;
	case R_390_PC64:
	case R_390_PLT64:
		distance = (gint64)number_at(field, 8);
		break;
	case R_390_PC32:
	case R_390_PLT32:
		distance = km_arch_sign_extend(number_at(field, 4), 32);
		break;
	case R_390_PC32DBL:
	case R_390_PLT32DBL:
		distance = km_arch_sign_extend(number_at(field, 4), 32) * 2;
		break;
	case R_390_PC16DBL:
	case R_390_PLT16DBL:
		distance = km_arch_sign_extend(number_at(field, 2), 16) * 2;
		break;
	case 62: /* R_390_PC12DBL */
	case 63: /* R_390_PLT12DBL */
		distance = km_arch_sign_extend(number_at(field, 2), 12) * 2;
		break;
	case 64: /* R_390_PC24DBL */
	case 65: /* R_390_PLT24DBL */
		distance = km_arch_sign_extend(number_at(field, 3), 24) * 2;
		break;
	default:
		return FALSE;
	}
	*value = place + distance - addend;
	return TRUE;
}

/* z/Architecture: BRAS, BRC (a7, 16 bits) and BRASL, BRCL (c0, 32 bits), in halfwords from the instruction. */
static gboolean decode_branch(const guint8 *insn, guint64 at, KmBranch *branch)
{
	guint op = insn[1] & 0x0f;
	gint64 halfwords;
	if (insn[0] == 0xa7 && (op == 4 || op == 5)) {
		halfwords = (gint16)(insn[2] << 8 | insn[3]);
		*branch = (KmBranch){ .field = at + 2, .type = R_390_PC16DBL, .addend = 2 };
	} else if (insn[0] == 0xc0 && (op == 4 || op == 5)) {
		halfwords = (gint32)((guint32)insn[2] << 24 | (guint32)insn[3] << 16 | (guint32)insn[4] << 8 | insn[5]);
		*branch = (KmBranch){ .field = at + 2, .type = R_390_PLT32DBL, .addend = 2 };
	} else {
		return FALSE;
	}
	branch->target = at + (guint64)(halfwords * 2);
	return TRUE;
}

/* The two high bits of an instruction tell its length: 2, 4, 4 or 6 bytes. */
static guint insn_length(const guint8 *insn)
{
	return *insn < 0x40 ? 2 : *insn < 0xc0 ? 4 : 6;
}

static GArray *branches_out(const KmSection *section, guint64 start, guint64 end)
{
	GArray *found = g_array_new(FALSE, FALSE, sizeof(KmBranch));
	guint64 at = start;
	while (section->data && end <= section->data->len && at + 2 <= end) {
		const guint8 *insn = section->data->data + at;
		guint length = insn_length(insn);
		KmBranch branch;
		if (at + length > end)
			break;
		if (length > 2 && decode_branch(insn, at, &branch) && !km_arch_has_reloc(section, branch.field, length - 2))
			km_arch_add_branch(found, &branch, start, end);
		at += length;
	}
	return found;
}

/* LARL and BRASL, BRCL (c0) carry the same relocation for a symbol of the same file; the second nibble tells them apart. */
static gboolean is_branch(const KmSection *section, gsize reloc_index)
{
	guint64 offset = g_array_index(section->relocs, KmReloc, reloc_index).offset;
	if (km_arch_kind(relocs, section, reloc_index) == KM_RELOC_CALL)
		return TRUE;
	if (!km_section_is_text(section) || offset < 2 || offset > section->data->len)
		return FALSE;
	const guint8 *insn = section->data->data + offset - 2;
	guint op = insn[1] & 0x0f;
	return (insn[0] == 0xc0 || insn[0] == 0xa7) && (op == 4 || op == 5);
}

const KmArch km_arch_s390x = {
	.name = "s390x",
	.debian = "s390x",
	.kbuild = "s390",
	.triplet = "s390x-linux-gnu",
	.qemu = "s390x",
	.qemu_user = "s390x",
	.machine = EM_S390,
	.big_endian = TRUE,
	.capstone_arch = CS_ARCH_SYSZ,
	.capstone_mode = (int)(CS_MODE_BIG_ENDIAN),
	.insn_length = insn_length,
	.abs64 = R_390_64,
	.pc32 = R_390_PC32,
	.relocs = relocs,
	.hooks = hooks,
	.is_branch = is_branch,
	.target_offset = target_offset,
	.symbol_value = symbol_value,
	.branches_out = branches_out,
	.is_annotation = km_arch_is_label,
	.entry = &km_entry_s390x,
	.local_entry = km_arch_no_local_entry,
};
