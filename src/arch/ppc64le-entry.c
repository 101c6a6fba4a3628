/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries of ppc64le. The TOC's set-up comes first (8 bytes, the local entry follows it), unless the function uses none; then -mprofile-kernel leaves
 * mflr r0, in older compilers std r0,16(r1), and a call of _mcount. Or there are NOPs: two, or one where the kernel keeps the rest out of line. GCC 12
 * puts them before the TOC's set-up, later ones behind it.
 */
#include "arch/entry.h"
#include "arch/table.h"

#define NOP 0x60000000
#define MFLR_R0 0x7c0802a6
#define STD_R0 0xf8010010 /* std r0,16(r1) */

static guint32 word(const KmEntryCode *c, guint at)
{
	return at + 4 <= c->size ? km_arch_le32(c->bytes + at) : 0;
}

static guint nop(const guint8 *bytes, gsize room)
{
	return room >= 4 && km_arch_le32(bytes) == NOP ? 4 : 0;
}

/* Its length, or 0. */
static guint hook_call(const KmEntryCode *c, guint at)
{
	guint32 insn = word(c, at);
	gint64 target = at + km_arch_sign_extend(insn & 0x03fffffc, 26);
	return (insn & 0xfc000003) == 0x48000001 && c->is_hook(c->data, at, target) ? 4 : 0;
}

/* addis r2,r12 or lis r2, and addi r2,r2; or, with the large model, ld r2,-8(r12) and add r2,r2,r12. */
static gboolean is_toc_setup(const KmEntryCode *c, guint at)
{
	guint32 first = word(c, at), second = word(c, at + 4);
	gboolean near = (first >> 16 == 0x3c4c || first >> 16 == 0x3c40) && second >> 16 == 0x3842;
	return near || (first >> 16 == 0xe84c && (first & 3) == 0 && second == 0x7c426214);
}

/* mflr r0, perhaps std r0,16(r1), bl: their size, or 0. */
static guint profiled(const KmEntryCode *c, guint at)
{
	guint call = at + (word(c, at + 4) == STD_R0 ? 8 : 4);
	return word(c, at) == MFLR_R0 && hook_call(c, call) ? call + 4 - at : 0;
}

static gboolean read_at(const KmEntryCode *c, guint at, KmEntryShape *shape)
{
	guint size = profiled(c, at);
	shape->kind = KM_ENTRY_PAIR;
	if (!size && (size = km_entry_run(&km_entry_ppc64le, c->bytes + at, c->size - at)))
		shape->kind = size == 4 ? KM_ENTRY_STUB : KM_ENTRY_NOPS;
	if (!size)
		shape->kind = KM_ENTRY_NONE;
	shape->site = at;
	shape->size = size;
	return size != 0;
}

static void read_entry(const KmEntryCode *c, KmEntryShape *shape)
{
	guint local = MIN(c->local, c->size);
	if (read_at(c, 0, shape))
		return;
	shape->sets_toc = local >= 8 && is_toc_setup(c, local - 8);
	if (local && read_at(c, local, shape))
		return;
	/* -pg alone: behind the frame's set-up. */
	km_entry_find_late(c, local, 4, hook_call, shape);
}

static const KmEntryText text = {
	.nop = "nop",
	.save = "mflr 0",
	.hook = "bl _mcount",
	.comments = "#",
	.pad_at_label = TRUE,
};

const KmEntryArch km_entry_ppc64le = {
	.unit = 4,
	.need = 8,
	.toc = TRUE,
	.text = &text,
	.read = read_entry,
	.nop = nop,
};
