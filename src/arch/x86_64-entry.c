/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of x86-64: call __fentry__ (-pg -mfentry), a NOP in its place (-mnop-mcount), NOPs of a byte each (-fpatchable-function-entry). */
#include "arch/entry.h"
#include "arch/table.h"

#define CALL_SIZE 5

static const guint8 endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
/* What -mnop-mcount and the kernel's own tools write over the call. */
static const guint8 nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

/* Intel SDM, "NOP": 90; 0f 1f /0 with any addressing; each with any number of 66 prefixes, and 2e as assemblers do for long ones. */
static guint nop(const guint8 *b, gsize room)
{
	guint n = 0;
	while (n < room && n < 10 && (b[n] == 0x66 || b[n] == 0x2e))
		n++;
	if (n < room && b[n] == 0x90)
		return n + 1;
	if (n + 3 > room || b[n] != 0x0f || b[n + 1] != 0x1f || (b[n + 2] & 0x38))
		return 0;
	guint mod = b[n + 2] >> 6, has_sib = (b[n + 2] & 7) == 4;
	guint length = n + 3 + has_sib + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
	return mod != 3 && length <= room ? length : 0;
}

/* A call at offset, direct or through the global offset table: its length, or 0. */
static guint hook_call(const KmEntryCode *c, guint at)
{
	guint opcode = at + 2 <= c->size && c->bytes[at] == 0xff && c->bytes[at + 1] == 0x15 ? 2 : 1;
	if (at + opcode + 4 > c->size || (opcode == 1 && c->bytes[at] != 0xe8))
		return 0;
	gint64 target = at + opcode + 4 + km_arch_sign_extend(km_arch_le32(c->bytes + at + opcode), 32);
	return c->is_hook(c->data, at + opcode, target) ? opcode + 4 : 0;
}

static void set(KmEntryShape *shape, KmEntryKind kind, guint site, guint size)
{
	shape->kind = kind;
	shape->site = site;
	shape->size = size;
}

static void read_entry(const KmEntryCode *c, KmEntryShape *shape)
{
	guint at = c->size >= 4 && !memcmp(c->bytes, endbr64, 4) ? 4 : 0, length;
	shape->landing = at;
	if ((length = hook_call(c, at))) {
		set(shape, KM_ENTRY_CALL, at, length);
		return;
	}
	if (c->size >= at + CALL_SIZE && !memcmp(c->bytes + at, nop5, CALL_SIZE)) {
		set(shape, KM_ENTRY_NOPS, at, CALL_SIZE);
		return;
	}
	if ((length = km_entry_run(&km_entry_x86_64, c->bytes + at, c->size - at))) {
		set(shape, KM_ENTRY_NOPS, at, length);
		return;
	}
	km_entry_find_late(c, at + 1, 1, hook_call, shape);
}

/* mov $type, %eax, which nobody executes. */
static guint type_word(const guint8 *end, gsize room, guint32 *type)
{
	if (room < 5 || end[-5] != 0xb8)
		return 0;
	*type = km_arch_le32(end - 4);
	return 5;
}

static const char *const landing_pads[] = { "endbr64", NULL };
static const KmEntryText text = {
	.nop = "nop",
	.hook = "call\t__fentry__",
	.hook_nops = ".byte\t0x0f, 0x1f, 0x44, 0x00, 0x00",
	.landing = landing_pads,
	.comments = "#",
};

const KmEntryArch km_entry_x86_64 = {
	.unit = 1,
	.need = CALL_SIZE,
	.branch = 2,
	.text = &text,
	.read = read_entry,
	.nop = nop,
	.type_word = type_word,
};
