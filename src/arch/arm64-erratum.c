/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Erratum 843419 of Cortex-A53: an ADRP among the last two instructions of a page, and a load or store shortly behind it. Linkers that are told to avoid it
 * (--fix-cortex-a53-843419) make the ADRP an ADR where that reaches, and else move the load or store to a stub: it branches there, and back.
 */
#include "arch/table.h"

#define ADR_MASK 0x9f00001f /* all but the immediate */
#define ADRP 0x90000000
#define ADR 0x10000000
#define REGISTER 0x1f

static gboolean is_at_page_end(guint64 place)
{
	return (place & 0xfff) >= 0xff8;
}

/* The target of "b", or 0. */
static guint64 branch_target(guint32 insn, guint64 at)
{
	return (insn & 0xfc000000) == 0x14000000 ? at + (guint64)(km_arch_sign_extend(insn, 26) * 4) : 0;
}

gint64 km_arch_arm64_adr_distance(guint32 insn)
{
	return km_arch_sign_extend((insn >> 5 & 0x7ffff) << 2 | (insn >> 29 & 3), 21);
}

static gboolean is_adr_of_page(guint32 ours, guint32 theirs, guint64 place)
{
	guint32 reg = ours & REGISTER;
	return is_at_page_end(place) && (ours & ADR_MASK) == (ADRP | reg) && (theirs & ADR_MASK) == (ADR | reg) &&
	       !((place + (guint64)km_arch_arm64_adr_distance(theirs)) & 0xfff);
}

/* The load or store is the second or third instruction behind the ADRP. */
static gboolean is_behind_page_end(guint64 place)
{
	return is_at_page_end(place - 8) || is_at_page_end(place - 12);
}

guint64 km_arch_arm64_moved_to(const guint8 *ours, guint64 place, KmReadCode read, gpointer data)
{
	const guint8 *there = read(data, place, 4);
	if (!there)
		return 0;
	if (is_adr_of_page(km_arch_le32(ours), km_arch_le32(there), place))
		return place;
	guint64 stub = is_behind_page_end(place) ? branch_target(km_arch_le32(there), place) : 0;
	const guint8 *code = stub ? read(data, stub, 8) : NULL;
	return code && branch_target(km_arch_le32(code + 4), stub + 4) == place + 4 ? stub : 0;
}
