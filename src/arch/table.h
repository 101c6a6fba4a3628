/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the architecture files share: their tables, and small arithmetic on fields. Private to this room. */
#pragma once

#include <string.h>

#include "arch/arch.h"

extern const KmArch km_arch_x86_64;
extern const KmArch km_arch_arm64;
extern const KmArch km_arch_ppc64le;
extern const KmArch km_arch_s390x;
extern const KmArch km_arch_riscv64;

/* ARCH-entry.c: KmArch.entry */
extern const KmEntryArch km_entry_x86_64;
extern const KmEntryArch km_entry_arm64;
extern const KmEntryArch km_entry_ppc64le;
extern const KmEntryArch km_entry_s390x;
extern const KmEntryArch km_entry_riscv64;

/* A row of a relocation table: the name is the one of the psABI. */
#define KM_RELOC_ROW(number, reloc_name, reloc_kind, bytes, bits)                                                      \
	{                                                                                                              \
		.type = (number), .name = (reloc_name), .kind = (reloc_kind), .size = (bytes), .mask = (bits)          \
	}
#define KM_RELOC_END                                                                                                   \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

/* value's lowest bits (1..63) as a signed number. */
static inline gint64 km_arch_sign_extend(guint64 value, guint bits)
{
	guint64 sign = G_GUINT64_CONSTANT(1) << (bits - 1);
	value &= (sign << 1) - 1;
	return (gint64)((value ^ sign) - sign);
}

/* Little-endian numbers at a field of any alignment. */
static inline guint16 km_arch_le16(const guint8 *field)
{
	return (guint16)(field[0] | field[1] << 8);
}

static inline guint32 km_arch_le32(const guint8 *field)
{
	guint32 word;
	memcpy(&word, field, sizeof(word));
	return GUINT32_FROM_LE(word);
}

static inline guint64 km_arch_le64(const guint8 *field)
{
	guint64 word;
	memcpy(&word, field, sizeof(word));
	return GUINT64_FROM_LE(word);
}

/* The addend as it is: for architectures whose fields are relative to where they stand. */
gint64 km_arch_plain_offset(const struct KmSection *section, gsize reloc_index);
/* For KmArch.branches_out: is there a relocation on the field at offset? And: append if it leaves [start, end). */
gboolean km_arch_has_reloc(const struct KmSection *section, guint64 offset, guint size);
void km_arch_add_branch(GArray *branches, const KmBranch *branch, guint64 start, guint64 end);
/* The kind of section's reloc_index-th relocation in a table of rows; KM_RELOC_OTHER when it is unknown. */
KmRelocKind km_arch_kind(const KmRelocInfo *rows, const struct KmSection *section, gsize reloc_index);
/* KmArch.branches_out where every instruction is a little-endian word: decode() tells whether insn at offset at is a branch. */
GArray *km_arch_word_branches(const struct KmSection *section, guint64 start, guint64 end,
			      gboolean (*decode)(guint32 insn, guint64 at, KmBranch *branch));
/* KmArch.read_constant for x86-64. */
char *km_arch_x86_64_read_constant(const char *kind, const char *symbol, const char *instruction);
/* arm64-listing.c: KmArch.test_key, KmArch.read_constant */
char *km_arch_arm64_test_key(const char *key, gboolean when_set, const char *target);
char *km_arch_arm64_read_constant(const char *kind, const char *symbol, const char *instruction);
/* arm64-erratum.c: KmArch.moved_to; bytes from an ADR to what it tells the address of, or pages for ADRP */
guint64 km_arch_arm64_moved_to(const guint8 *ours, guint64 place, KmReadCode read, gpointer data);
gint64 km_arch_arm64_adr_distance(guint32 insn);
/* riscv64.c: is it auipc and jalr through the same register, and how far do they go? And how far jal goes. */
gboolean km_arch_riscv64_far_call(const guint8 *code, gint64 *distance);
gint64 km_arch_riscv64_jal_distance(guint32 insn);
/* What km_arch_reader_new() makes. */
typedef struct {
	size_t handle; /* csh */
	struct cs_insn *insn;
} KmArchReader;

/* x86_64-step.c: KmArch.step */
void km_arch_x86_64_step(gpointer reader, const struct KmSection *section, guint64 offset, guint64 field, KmStep *step);

/* x86_64-mention.c: KmArch.mentions */
void km_arch_x86_64_mentions(const guint8 *bytes, gsize size, guint64 address, gboolean text, guint64 target, GArray *found);

/* Compiler labels (.L*), the same everywhere. */
gboolean km_arch_is_label(const struct KmSymbol *symbol);
guint km_arch_no_local_entry(const struct KmSymbol *symbol);
