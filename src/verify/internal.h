/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of one check. Private to this room. */
#pragma once

#include "diff/diff.h"
#include "match/match.h"
#include "verify/verify.h"

/* Where something is at run time. */
typedef enum {
	KM_AT_NOWHERE, /* unresolved */
	KM_AT_VALUE, /* a number, no place */
	KM_AT_VMLINUX, /* address */
	KM_AT_STOCK, /* address is an offset in section of a stock module */
	KM_AT_INSIDE, /* the same in the live patch */
	KM_AT_LOADER, /* what the module loader gives a value by itself */
	KM_AT_RUNTIME, /* a function of kmend's own runtime; address tells which */
} KmAtKind;

typedef struct {
	KmAtKind kind;
	const KmSection *section;
	guint64 address;
} KmAt;

/* The rows of the unwinder in one object (unwind.c). */
typedef struct KmUnwind KmUnwind;

/* A struct klp_func as decoded from the module's data. */
typedef struct {
	char *object, *name;
	guint64 sympos;
	KmAt original;
	KmSection *section; /* of the replacement */
	guint64 offset;
	gboolean used; /* a unit speaks of it */
	/* In a live patch for the own runtime: the code of both; else NULL. */
	GArray *old_parts, *new_parts; /* of KmPart */
} KmSwitch;

/* A stretch of code. */
typedef struct {
	KmAt at;
	guint64 size;
} KmPart;

/* A range of a unit and the range of the module that must say the same. */
typedef struct {
	KmSection *from;
	guint64 start, size;
	KmSection *to;
	guint64 at;
} KmPair;

/* One compiled unit, read again. */
typedef struct {
	const KmUnit *unit; /* NULL: the frame */
	KmObject *original, *plain, *patched;
	KmMatch *match;
	KmDiff *diff;
	GHashTable *changed; /* KmSymbol of patched -> KmChange */
	GHashTable *plain_twins; /* KmSymbol of original -> KmSymbol of plain */
	GHashTable *pairs; /* KmSection of patched -> GPtrArray of KmPair (not owned) */
	GHashTable *rows; /* "section start": rows that were paired */
	GHashTable *replaced; /* KmSymbol of patched that a klp_func leads to */
	KmObject *unwound; /* patched with what the kernel's tool adds, or NULL */
	KmUnwind *unwind; /* its rows, or NULL */
} KmView;

struct KmVerifyUnits {
	GHashTable *stock; /* module name -> KmObject, owned */
	GHashTable *named; /* "object.name,position" -> KmAt, owned: what was found */
	GPtrArray *views; /* of KmView; the frame first */
};

typedef struct {
	const KmVerifyInput *input;
	KmVerify *result;
	KmObject *module;
	GHashTable *stock; /* module name -> KmObject; shared with the units */
	GHashTable *named; /* likewise */
	KmVerifyLayout layout;
	gboolean has_layout;
	GHashTable *sizes; /* special section -> bytes of an entry, from the kernel's types */
	KmSection *patch_section; /* of struct klp_patch; NULL: not found */
	guint64 patch_offset;
	GPtrArray *switches; /* of KmSwitch */
	GPtrArray *callbacks; /* of KmSwitch: functions of the module that the kernel calls, without an original */
	GHashTable *objects; /* names the patch patches: "vmlinux" too */
	const GPtrArray *views; /* of KmView; the frame first */
	GPtrArray *pairs; /* of KmPair, owned; those from work on are still to be compared */
	GPtrArray *owners; /* KmView of each pair */
	guint work;
	GHashTable *used; /* "section start": rows of the module that a unit has */
	GHashTable *covered; /* KmSection of module -> GArray of KmSpan */
	KmUnwind *unwind; /* of the module; NULL: it has none that could be read */
	gboolean own; /* it is for kmend's own runtime */
	GHashTable *places; /* KmSymbol that stands for a struct kmend_symbol -> KmAt; both owned */
	GHashTable *fills; /* "section offset" of fields that the own runtime writes */
	GHashTable *referred; /* modules in which those fields' symbols are */
} KmChecker;

/* A stretch of a section that something accounts for. */
typedef struct {
	guint64 start, end;
} KmSpan;

void km_find(KmChecker *c, const char *where, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* where: section+offset, with the symbol that covers it. */
void km_find_at(KmChecker *c, const KmSection *section, guint64 offset, const char *format, ...) G_GNUC_PRINTF(4, 5);
/* Something that could not be looked at. */
void km_note(KmChecker *c, const char *format, ...) G_GNUC_PRINTF(2, 3);
void km_cover(KmChecker *c, const KmSection *section, guint64 start, guint64 size);
gboolean km_is_covered(const KmChecker *c, const KmSection *section, guint64 offset);

/* layout.c: the kernel's types. */
gboolean km_read_layout(KmChecker *c, GError **error);

/* world.c: names to places. why (owned by the caller) says what is wrong when kind is KM_AT_NOWHERE. */
KmObject *km_stock(KmChecker *c, const char *name);
KmAt km_at_named(KmChecker *c, const char *object, const char *name, guint64 sympos, char **why);
KmAt km_at_global(KmChecker *c, const char *owner, const char *name);
/* What a symbol of the module means. */
KmAt km_at_symbol(KmChecker *c, const KmSymbol *symbol);
gboolean km_at_equal(const KmAt *a, const KmAt *b);
gboolean km_parse_klp_symbol(const char *symbol, char **object, char **name, guint64 *sympos);
char *km_at_describe(const KmChecker *c, const KmAt *at);

/* load.c, patch.c, tables.c: the module by itself. */
void km_check_load(KmChecker *c);
void km_check_patch(KmChecker *c);
gboolean km_calls_enable(const KmObject *module);

/* What reading the description of either kind takes. Where a pointer leads: FALSE when there is none (NULL). */
gboolean km_pointer_at(const KmChecker *c, const KmSection *section, guint64 offset, KmSection **to, guint64 *at,
		       const KmSymbol **symbol);
const char *km_string_at(const KmSection *section, guint64 at);
/* The bytes of a structure, also of one that is all zeros and has none in the file (.bss). NULL: it does not fit there. */
const guint8 *km_room(const KmSection *section, guint64 at, guint64 size);
/* How many structures look like the description; sets patch_section and patch_offset to the last of them. */
guint km_find_patch(KmChecker *c);
KmSwitch *km_add_switch(KmChecker *c, const char *object, const char *name, guint64 sympos, KmSection *section, guint64 offset);
void km_add_callback(KmChecker *c, const char *object, const KmReloc *r);
void km_check_object_name(KmChecker *c, const char *name);
void km_check_told(KmChecker *c);

/*
 * own.c: of a live patch for the own runtime. What the runtime fills in becomes relocations of the module, before anything else looks at those; then the
 * rest of the description; then its parts against the units, once all is paired.
 */
void km_read_own_relocs(KmChecker *c);
void km_check_own(KmChecker *c);
void km_compare_own(KmChecker *c);
/* Where a call at that place of the live patch really leads: through a stub to what its slot says. */
KmAt km_follow_stub(KmChecker *c, const KmAt *at);
/* Does a relocation of the live patch make a call lead to a stub? */
gboolean km_calls_stub(const KmChecker *c, const KmReloc *r);
/* Does an instruction stand there that must follow such a call, rather than the room that compilers leave? */
gboolean km_is_behind_call(const KmChecker *c, const KmSection *section, guint64 offset);
void km_check_tables(KmChecker *c);

/* unwind.c: by itself; the rows of a unit; the module against the units, once all is paired. */
void km_check_unwind(KmChecker *c);
void km_view_unwind(KmView *view, const KmKernel *kernel, const KmModuleTools *tools);
void km_compare_unwind(KmChecker *c);
void km_unwind_free(KmUnwind *unwind);

/* view.c: of a unit, or (unit NULL) of the frame. */
KmView *km_view_new(KmChecker *c, const KmUnit *unit, const KmModuleTools *tools, const char *const *tables,
		    GError **error);
void km_view_free(KmView *view);
/* Forget what an earlier check paired. */
void km_view_reset(KmView *view);
KmSymbol *km_view_thing(const KmView *view, KmSymbol *symbol, KmSection *section, gint64 target);
void km_view_extent(const KmView *view, const KmSymbol *thing, guint64 *start, guint64 *size);
/* Where a symbol that the patch did not make lives. */
KmAt km_view_place(KmChecker *c, KmView *view, const KmSymbol *patched, char **why);
const KmPair *km_view_pair_at(const KmView *view, const KmSection *section, guint64 offset);

/* compare.c: the module against the units. */
void km_pair(KmChecker *c, KmView *view, KmSection *from, guint64 start, guint64 size, KmSection *to, gint64 at);
void km_compare_all(KmChecker *c);
void km_compare_range(KmChecker *c, KmView *view, const KmPair *pair);
/* refer.c */
void km_compare_reference(KmChecker *c, KmView *view, const KmPair *pair, const KmReloc *ours, gint64 bias, gboolean branch,
			  const KmReloc *theirs);

/* rows.c: rows that units have for what was paired; TRUE when one was added. Then what is left over. */
void km_compare_rows(KmChecker *c);
void km_check_left_over(KmChecker *c);
