/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries of arm64: NOPs (-fpatchable-function-entry), or what -pg leaves: a call of _mcount behind the frame's set-up, or, with compilers that were taught so,
 * mov x9, x30; bl _mcount at the label.
 */
#include "arch/entry.h"
#include "arch/table.h"

#define NOP 0xd503201f
#define MOV_X9_X30 0xaa1e03e9
#define PACIASP 0xd503233f
#define PACIBSP 0xd503237f

static guint32 word(const KmEntryCode *c, guint at)
{
	return at + 4 <= c->size ? km_arch_le32(c->bytes + at) : 0;
}

static guint nop(const guint8 *bytes, gsize room)
{
	return room >= 4 && km_arch_le32(bytes) == NOP ? 4 : 0;
}

/* Arm ARM, "BTI": hint instructions 32, 34, 36 and 38. Signing the return address (paciasp) is one too, but not before the pad. */
static gboolean is_bti(guint32 insn)
{
	return (insn & 0xffffff3f) == 0xd503241f;
}

/* Its length, or 0. */
static guint hook_call(const KmEntryCode *c, guint at)
{
	guint32 insn = word(c, at);
	return (insn & 0xfc000000) == 0x94000000 && c->is_hook(c->data, at, at + km_arch_sign_extend(insn, 26) * 4) ? 4
														    : 0;
}

static void read_entry(const KmEntryCode *c, KmEntryShape *shape)
{
	guint at = is_bti(word(c, 0)) || word(c, 0) == PACIASP || word(c, 0) == PACIBSP ? 4 : 0;
	shape->landing = at;
	shape->site = at;
	if (word(c, at) == MOV_X9_X30 && hook_call(c, at + 4)) {
		shape->kind = KM_ENTRY_PAIR;
		shape->size = 8;
		return;
	}
	if ((shape->size = km_entry_run(&km_entry_arm64, c->bytes + at, c->size - at))) {
		shape->kind = KM_ENTRY_NOPS;
		return;
	}
	km_entry_find_late(c, at, 4, hook_call, shape);
}

static guint type_word(const guint8 *end, gsize room, guint32 *type)
{
	if (room < 4)
		return 0;
	*type = km_arch_le32(end - 4);
	return 4;
}

static const char *const landing_pads[] = { "hint 34", "bti c", "bti jc", "bti j", "hint 38", "hint 36", NULL };
static const char *const signing[] = { "hint 25", "hint 27", "paciasp", "pacibsp", NULL };
static const char *const calling[] = { "bl", "b", NULL };
static const KmEntryText text = {
	.nop = "nop",
	.save = "mov\tx9, x30",
	.hook = "bl\t_mcount",
	.landing = landing_pads,
	.signs = signing,
	.lands = "hint\t34",
	.property = 0xc0000000, /* GNU_PROPERTY_AARCH64_FEATURE_1_AND, bit 0: BTI */
	.calls = calling,
	.comments = "",
	.pad_at_label = TRUE,
};

const KmEntryArch km_entry_arm64 = {
	.moves = TRUE, /* to the second of its two instructions */
	.unit = 4,
	.need = 8,
	.branch = 4,
	.text = &text,
	.read = read_entry,
	.nop = nop,
	.type_word = type_word,
};
