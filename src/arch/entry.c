/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "arch/entry.h"

guint km_entry_run(const KmEntryArch *arch, const guint8 *bytes, gsize room)
{
	guint n, at = 0;
	while (at < room && (n = arch->nop(bytes + at, room - at)))
		at += n;
	return at;
}

/* Backwards only NOPs of one unit are sure to be whole instructions. */
guint km_entry_run_before(const KmEntryArch *arch, const guint8 *bytes, gsize room)
{
	gsize from = room;
	while (from >= arch->unit && arch->nop(bytes + from - arch->unit, arch->unit) == arch->unit)
		from -= arch->unit;
	return (guint)(room - from);
}
