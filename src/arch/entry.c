/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "arch/entry.h"

/* So far behind the label -pg calls it at most: riscv64 without the C extension saves a dozen registers by an instruction of four bytes each, and moves the arguments. */
#define PROLOGUE 128

void km_entry_find_late(const KmEntryCode *code, guint from, guint step,
			guint (*call)(const KmEntryCode *code, guint at), KmEntryShape *shape)
{
	guint length = 0, at = from;
	while (at < MIN(code->size, PROLOGUE) && !(length = call(code, at)))
		at += step;
	if (!length)
		return;
	shape->kind = KM_ENTRY_CALL;
	shape->site = at;
	shape->size = length;
	shape->late = TRUE;
}

guint km_entry_run(const KmEntryArch *arch, const guint8 *bytes, gsize room)
{
	guint n, at = 0;
	while (at < room && (n = arch->nop(bytes + at, room - at)))
		at += n;
	return at;
}

guint km_entry_unit(const KmEntryArch *arch, const guint8 *bytes, gsize room)
{
	return arch->wide && arch->nop(bytes, room) == arch->wide ? arch->wide : arch->unit;
}

static gboolean ends_with_nop(const KmEntryArch *arch, const guint8 *bytes, gsize room, guint size)
{
	return size && room >= size && arch->nop(bytes + room - size, size) == size;
}

/* Backwards only NOPs of one unit are sure to be whole instructions. */
guint km_entry_run_before(const KmEntryArch *arch, const guint8 *bytes, gsize room)
{
	gsize from = room;
	guint unit = ends_with_nop(arch, bytes, room, arch->wide) ? arch->wide : arch->unit;
	while (ends_with_nop(arch, bytes, from, unit))
		from -= unit;
	return (guint)(room - from);
}
