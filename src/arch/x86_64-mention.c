/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KmArch.mentions for x86-64. An address is written as a distance of 32 bits from the end of the instruction, which an immediate operand of
 * 1, 2 or 4 bytes puts further behind the field; of 8 bits in short jumps; as 32 bits that the CPU extends to 64 (the
 * kernel lies in the top 2 GiB); as 64 bits in data and movabs; and as a distance of 32 bits from the field itself in data.
 */
#include "arch/table.h"

static void add(GArray *found, KmMention mention)
{
	g_array_append_val(found, mention);
}

/* Behind the opcode of call, jmp or a conditional jump. */
static gboolean is_branch(const guint8 *field, gsize before)
{
	return (before >= 1 && (field[-1] == 0xe8 || field[-1] == 0xe9)) ||
	       (before >= 2 && field[-2] == 0x0f && (field[-1] & 0xf0) == 0x80);
}

/* Behind a ModRM byte that says "relative to rip". */
static gboolean is_relative_operand(const guint8 *field, gsize before)
{
	return before >= 2 && (field[-1] & 0xc7) == 0x05;
}

/* Short jumps: only around the target. */
static gboolean is_short(const guint8 *bytes, gsize at, guint64 address, guint64 target)
{
	if (!at || address + at + 1 + (guint64)(gint64)(gint8)bytes[at] != target)
		return FALSE;
	guint8 opcode = bytes[at - 1];
	return opcode == 0xeb || (opcode & 0xf0) == 0x70 || (opcode & 0xfc) == 0xe0;
}

static void in_code(const guint8 *bytes, gsize size, guint64 address, guint64 target, GArray *found)
{
	guint64 from = target - 128 - address, to = target + 128 - address;
	guint32 distance = (guint32)(target - address), low = (guint32)target;
	for (gsize at = 0; at < size; at++) {
		if ((at - from) <= to - from && is_short(bytes, at, address, target))
			add(found, (KmMention){ .offset = at, .size = 1, .branch = TRUE });
		if (size - at < 4)
			continue;
		guint32 field = km_arch_le32(bytes + at);
		/* Bytes from the end of the field to the end of the instruction, if it is such a distance. */
		guint32 behind = distance - (guint32)at - field - 4;
		if (behind == 0 && is_branch(bytes + at, at))
			add(found, (KmMention){ .offset = at, .size = 4, .branch = TRUE, .sure = TRUE });
		else if (behind <= 4 && behind != 3 && is_relative_operand(bytes + at, at))
			add(found, (KmMention){ .offset = at, .size = 4, .distance = TRUE });
		else if (field == low)
			add(found, (KmMention){ .offset = at, .size = 4 });
	}
}

/* Tables of distances are aligned; pointers need not be, in packed structures. */
static void in_data(const guint8 *bytes, gsize size, guint64 address, guint64 target, GArray *found)
{
	guint32 distance = (guint32)(target - address), low = (guint32)target;
	for (gsize at = 0; size >= 4 && at <= size - 4; at++) {
		guint32 field = km_arch_le32(bytes + at);
		if (field == distance - (guint32)at && !((address + at) & 3))
			add(found, (KmMention){ .offset = at, .size = 4, .sure = TRUE });
		else if (field == low && size - at >= 8 && km_arch_le64(bytes + at) == target)
			add(found, (KmMention){ .offset = at, .size = 8, .sure = TRUE });
	}
}

void km_arch_x86_64_mentions(const guint8 *bytes, gsize size, guint64 address, gboolean text, guint64 target,
			     GArray *found)
{
	if (text)
		in_code(bytes, size, address, target, found);
	else
		in_data(bytes, size, address, target, found);
}
