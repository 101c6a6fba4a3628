/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One of the two objects, cut into items: functions, data, anonymous constants, and the symbols it only refers to. Private to
 * this room. Sections that hold several symbols are split by symbol, so it does not matter how the object was compiled.
 */
#pragma once

#include "diff/diff.h"

typedef struct KmItem KmItem;
typedef struct KmSide KmSide;

typedef enum {
	KM_ITEM_FUNCTION,
	KM_ITEM_DATA, /* named */
	KM_ITEM_ANON, /* bytes without a symbol: jump tables, compound literals, out-of-line code */
	KM_ITEM_STRINGS, /* a whole section of mergeable strings: what counts is the string referred to */
	KM_ITEM_MERGED, /* a whole section of mergeable constants (.rodata.cst16) */
	KM_ITEM_OUTSIDE, /* undefined, or an absolute value */
} KmItemKind;

/* A relocation, or a branch that needs none, by meaning. */
typedef struct {
	guint64 offset; /* in the section */
	guint32 type; /* r_type */
	const KmRelocInfo *info; /* NULL: of a type this architecture does not know */
	KmItem *item; /* what it refers to */
	gint64 at; /* offset in item */
	guint64 position; /* offset in the section referred to, before items were known */
	KmSection *section; /* section referred to, NULL for outside symbols */
	KmSymbol *symbol; /* NULL for a branch without relocation */
} KmRef;

/* A row of a special section that belongs to a function. */
typedef struct {
	const KmSpecial *special;
	KmSection *section;
	guint64 start, size;
} KmEntry;

struct KmItem {
	KmSide *side;
	KmItemKind kind;
	KmSection *section; /* NULL for KM_ITEM_OUTSIDE and common symbols */
	guint64 start, size;
	KmSymbol *symbol; /* the representative of all aliases; NULL for KM_ITEM_ANON and the merged ones */
	const char *name; /* the symbol's, or the section's */
	const char *base; /* name without the numbers compilers add; interned for both sides: compare pointers */
	guint refs, n_refs; /* its part of the section's refs */
	GPtrArray *referrers; /* of KmItem: functions and data that refer to it; may repeat neighbours once */
	GArray *entries; /* of KmEntry, in section order; NULL when none */
	KmItem *parent; /* foo of foo.cold */
	KmItem *body; /* foo of __pfx_foo, __cfi_foo: belongs to it and is never reported */
	gboolean constant; /* its content is its identity: string literals, switch tables, __func__ */
	gboolean dropped;  /* only serves records that are of no use here (.printk_index) */
	gboolean moved; /* to where the running kernel's is not */
	gboolean whole; /* the only item of its section */
	/* The result. */
	KmItem *twin;
	KmItem *formerly; /* a table that was replaced: the one it was the twin of */
	char *escape; /* why a changed table cannot be replaced; NULL: no such thing */
	const char *guess; /* how the twin was found, when that was no proof */
	KmStatus status;
	GPtrArray *reasons; /* of char*, NULL when none */
};

typedef struct {
	GByteArray *plain; /* contents with all relocated bits zero; NULL for SHT_NOBITS */
	GArray *refs; /* of KmRef, ascending by offset */
	GPtrArray *items; /* of KmItem, ascending by start */
	gboolean several; /* more than one function */
} KmPart;

struct KmSide {
	KmObject *object;
	GPtrArray *items; /* of KmItem, owned */
	KmPart *parts; /* by section index */
	KmItem **by_symbol; /* by symbol index; NULL for section symbols and annotations */
	KmItem *null_item; /* of the null symbol */
	GStringChunk *names; /* interned names, shared by both sides; not owned */
};

/* object must outlive the result. names must be shared by the two sides of one comparison. */
KmSide *km_side_new(KmObject *object, GStringChunk *names, GError **error);
void km_side_free(KmSide *side);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmSide, km_side_free)

/* The item's refs, item->n_refs of them. */
const KmRef *km_item_refs(const KmItem *item);
/* The refs with start <= offset < end. */
const KmRef *km_side_refs_in(const KmSide *side, const KmSection *section, guint64 start, guint64 end, guint *n);
KmPart *km_side_part(const KmSide *side, const KmSection *section);
/* Is it in memory only while the kernel or module starts, or only when it leaves? */
gboolean km_item_is_init(const KmItem *item);
gboolean km_item_is_exit(const KmItem *item);
gboolean km_item_is_writable(const KmItem *item);

/* Records of exports: the loader and other modules have used them already. */
gboolean km_section_is_export(const KmSection *section);
/* Holds what the kernel used when it or the module started, so that no difference there may go unnoticed. */
gboolean km_section_is_watched(const KmSection *section);

/* names.c: "foo.isra.0.cold.12" -> "foo.isra.cold", "count.5" -> "count", "__UNIQUE_ID_ddebug12.3" -> "__UNIQUE_ID_ddebug" */
char *km_name_base(const char *name);
/* Did a compiler number it, so that the number means nothing? "count.5", "__UNIQUE_ID_x12", "foo.isra.0" */
gboolean km_name_is_numbered(const char *name);
/* Data whose name says that a compiler made it out of code: CSWTCH.3, switch.table.foo, __func__.2, .LC5 */
gboolean km_name_is_constant(const char *name);
