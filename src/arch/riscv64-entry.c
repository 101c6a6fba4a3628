/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries of riscv64: NOPs (-fpatchable-function-entry), of two bytes with the C extension, of four without. What -pg calls is late: return addresses are in a
 * register, so the prologue saves it first.
 */
#include "arch/entry.h"
#include "arch/table.h"

#define NOP 0x00000013 /* addi x0, x0, 0 */
#define C_NOP 0x0001

static guint nop(const guint8 *bytes, gsize room)
{
	if (room >= 2 && km_arch_le16(bytes) == C_NOP)
		return 2;
	return room >= 4 && km_arch_le32(bytes) == NOP ? 4 : 0;
}

/* Zicfilp: lpad is auipc without a register to write to. */
static gboolean is_lpad(const KmEntryCode *c)
{
	return c->size >= 4 && (km_arch_le32(c->bytes) & 0xfff) == 0x017;
}

/* auipc ra and jalr ra, or jal ra where a linker relaxed them: their length, or 0. */
static guint hook_call(const KmEntryCode *c, guint at)
{
	const guint8 *code = c->bytes + at;
	gint64 distance;
	if (at + 4 > c->size)
		return 0;
	guint32 insn = km_arch_le32(code);
	if ((insn & 0xfff) == 0x0ef)
		return c->is_hook(c->data, at, at + km_arch_riscv64_jal_distance(insn)) ? 4 : 0;
	if (at + 8 > c->size || (insn & 0xfff) != 0x097 || !km_arch_riscv64_far_call(code, &distance))
		return 0;
	return c->is_hook(c->data, at, at + distance) ? 8 : 0;
}

static void read_entry(const KmEntryCode *c, KmEntryShape *shape)
{
	guint at = is_lpad(c) ? 4 : 0;
	shape->landing = at;
	shape->size = km_entry_run(&km_entry_riscv64, c->bytes + at, c->size - at);
	if (shape->size) {
		shape->kind = KM_ENTRY_NOPS;
		shape->site = at;
		return;
	}
	km_entry_find_late(c, at, 2, hook_call, shape);
}

static const KmEntryText text = {
	.nop = "nop",
	.comments = "#",
	.pad_at_label = TRUE,
};

/* Redirection is auipc t0 and jalr t0. Older kernels saved ra as well and leave twice that room, so this is true of theirs too. */
const KmEntryArch km_entry_riscv64 = {
	.unit = 2,
	.wide = 4,
	.need = 8,
	.text = &text,
	.read = read_entry,
	.nop = nop,
};
