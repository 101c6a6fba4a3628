/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of a match, shared by the files of this room. */
#pragma once

#include "match/ground.h"

/* Where a section starts, or where a symbol that is tied to no section of ours is; and who said so. */
typedef struct {
	gboolean known;
	gboolean conflict; /* two witnesses disagree: nothing that depends on it may be used */
	guint64 address;
	guint64 other; /* what the second witness says */
	const KmSection *by, *other_by; /* witness: a relocation at this offset; NULL: its global name */
	guint64 by_offset, other_offset;
} KmSpot;

/* What is done per section of the plain object. */
typedef struct {
	KmSpot spot;
	guint8 *ignore; /* text: per byte the bits that relocations write */
	GArray *sites; /* text: of guint64, ascending: offsets of branches that the build may turn into NOPs */
	GArray *functions; /* text: of const KmSymbol* */
	GArray *bases; /* text that fits several places equally: of guint64, until one is told; else NULL */
	gboolean laid; /* its functions were found at its address */
	gboolean followed; /* its relocations were read */
} KmLay;

struct KmMatch {
	KmObject *plain;
	KmGround *ground;
	KmLay *lays; /* by section index */
	KmSpot *spots; /* by symbol index: undefined and weak symbols */
	gboolean *differs; /* by symbol index: functions that did not match */
	guint compared;
	GPtrArray *overridden; /* of char* */
	GPtrArray *mismatches; /* of KmMismatch */
	GHashTable *places; /* const KmSymbol* -> KmPlace* */
};

/* lay.c: masks, functions, and the base of every text section. Fills mismatches and overridden. */
gboolean km_lay_all(KmMatch *match, GError **error);
/* Note that function f differs, and why (taken). */
void km_lay_mismatch(KmMatch *match, const KmSymbol *f, char *why);
/* Settle sections in match->lays[].bases with what is known by now; TRUE when one was. */
gboolean km_lay_settle(KmMatch *match);
/* Is relocation offset of section inside a branch that became a NOP at this base? */
gboolean km_lay_is_nop(const KmMatch *match, const KmSection *section, guint64 offset, guint64 base);
/*
 * size bytes of a linked field, of the instruction at offset of section if that starts base in the ground; NULL: there are none. The linker may have moved
 * the instruction.
 */
const guint8 *km_lay_field(const KmMatch *match, const KmSection *section, guint64 offset, guint64 base, guint size);
/* Mergeable constants are pooled by the linker: such a section has no one place. */
gboolean km_lay_is_pooled(const KmSection *section);
/* The one global definition of name in the ground. */
gboolean km_lay_global(const KmMatch *match, const char *name, guint64 *address);

/* witness.c: follow relocations from matched code, then from data found by them. */
void km_witness_all(KmMatch *match);
/* Code that refers to something else than the unit's source does is another source: adds to mismatches. */
void km_witness_judge(KmMatch *match);
/* Address of a symbol of plain. FALSE with the reason. */
gboolean km_witness_address(const KmMatch *match, const KmSymbol *symbol, guint64 *address, GError **error);

/* place.c: would kallsyms give that name to ours? Equal but for numbers that compilers append. */
gboolean km_place_suits(const char *candidate, const char *wanted);

/* verdict.c: the refusal for a unit with mismatches; always FALSE. */
gboolean km_verdict_refuse(const KmMatch *match, GError **error);
/* The compiler named in .comment, or NULL. Caller owns. */
char *km_verdict_compiler(const KmObject *object);
