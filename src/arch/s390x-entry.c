/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of s390x: brasl %r0,__fentry__ (-pg -mfentry), a branch that never branches in its place (-mnop-mcount, -mhotpatch), or NOPs of two bytes. */
#include "arch/entry.h"
#include "arch/table.h"

#define CALL_SIZE 6

static guint16 half(const guint8 *b)
{
	return (guint16)(b[0] << 8 | b[1]);
}

static gint64 words(const guint8 *b)
{
	return km_arch_sign_extend((guint64)half(b) << 16 | half(b + 2), 32) * 2;
}

/* z/Architecture Principles of Operation: BCR, BC and BRCL whose mask is 0 go nowhere; BCR to register 0 neither. */
static guint nop(const guint8 *b, gsize room)
{
	if (room >= 2 && b[0] == 0x07 && ((b[1] & 0xf0) == 0 || b[1] == 0x70))
		return 2;
	if (room >= 4 && b[0] == 0x47 && (b[1] & 0xf0) == 0)
		return 4;
	return room >= 6 && b[0] == 0xc0 && b[1] == 0x04 ? 6 : 0;
}

/* brasl %r0 or %r14: its length, or 0. */
static guint hook_call(const KmEntryCode *c, guint at)
{
	const guint8 *b = c->bytes + at;
	gboolean call = at + CALL_SIZE <= c->size && b[0] == 0xc0 && (b[1] & 0x0f) == 0x05;
	return call && c->is_hook(c->data, at + 2, at + words(b + 2)) ? CALL_SIZE : 0;
}

static void read_entry(const KmEntryCode *c, KmEntryShape *shape)
{
	if (hook_call(c, 0)) {
		shape->kind = KM_ENTRY_CALL;
		shape->size = CALL_SIZE;
		return;
	}
	/* One long NOP is the whole site. */
	shape->size = c->size >= 6 && nop(c->bytes, 6) == 6 ? 6 : km_entry_run(&km_entry_s390x, c->bytes, c->size);
	if (shape->size) {
		shape->kind = KM_ENTRY_NOPS;
		return;
	}
	km_entry_find_late(c, 2, 2, hook_call, shape);
}

static const KmEntryText text = {
	.nop = "nopr\t%r0",
	.hook = "brasl\t0,__fentry__@PLT",
	.hook_nops = "brcl\t0,0",
	.comments = "#",
	.pad_at_label = TRUE,
};

const KmEntryArch km_entry_s390x = {
	.unit = 2,
	.need = CALL_SIZE,
	.text = &text,
	.read = read_entry,
	.nop = nop,
};
