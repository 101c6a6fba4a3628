/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sectioned original against sectioned patched: which functions and data differ, and why. Works on any two objects of an
 * architecture in arch/, from any compiler; needs no kernel.
 */
#pragma once

#include <jansson.h>

#include "elf/object.h"

typedef enum { KM_SAME, KM_CHANGED, KM_NEW, KM_REMOVED } KmStatus;

typedef struct {
	char *name;		/* in the patched object (original for removed ones) */
	KmStatus status;
	KmSymbol *original;	/* NULL for new */
	KmSymbol *patched;	/* NULL for removed */
	GPtrArray *reasons;	/* of char*: "its own code: 12 bytes from +0x40", "calls new function foo", "bug table entry" */
	gboolean init;		/* start-up or exit code or data: never part of a live patch */
	char *carried_for;	/* replaced only because this callee has no entry of its own; else NULL */
} KmChange;

typedef struct {
	char *name;
	char *why;		/* with the place and what to do */
	char *skeleton;		/* C text of functions that do it, part of km_diff_skeleton(); NULL: none */
	char *startup;		/* "changed __init code": it can be left out, for the kernel or module has started; NULL: no such thing */
} KmRefusal;

typedef struct {
	KmObject *original;	/* not owned */
	KmObject *patched;	/* not owned */
	GPtrArray *functions;	/* of KmChange, not KM_SAME; sorted by name */
	GPtrArray *data;	/* of KmChange, not KM_SAME; sorted by name */
	GPtrArray *refused;	/* of KmRefusal: what a live patch cannot express (changed __init code, changed initialised data) */
	GPtrArray *ignored;	/* of char*: differences that are none for the running kernel, and why */
	GHashTable *twins;	/* KmSymbol* of patched -> KmSymbol* of original: every pair, same or changed */
} KmDiff;

/*
 * Compare. lines_kept: both were compiled so that unchanged lines have the same numbers (#line), so every number that differs is
 * a difference; without it, numbers that look like __LINE__ and moved together are taken for noise.
 * An error only when the objects cannot be compared at all (other architecture, malformed).
 */
KmDiff *km_diff_new(KmObject *original, KmObject *patched, gboolean lines_kept, GError **error);
/* The same. tables: names of changed read-only tables whose address, by the author's word, nobody keeps; NULL-ended, or NULL. */
KmDiff *km_diff_new_allowing(KmObject *original, KmObject *patched, gboolean lines_kept, const char *const *tables,
			     GError **error);
void km_diff_free(KmDiff *diff);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmDiff, km_diff_free)

/*
 * Leave out what only counts when the kernel or a module starts or leaves (changed or new __init and __exit code, its data, module
 * parameters): no longer listed nor refused, but told in diff->ignored. Refused instead is new data that start-up code would set and
 * run-time code uses, unless callbacks can set it (has_callbacks).
 */
void km_diff_leave_out_startup(KmDiff *diff, gboolean has_callbacks);

/*
 * C text of callbacks that give the refused variables their new values while the live patch is in, and their old ones back after, by
 * means of include/kmend/kmend.h; to add to the source file. NULL: there are none. Caller owns.
 */
char *km_diff_skeleton(const KmDiff *diff);

/* No function and no data differ. */
gboolean km_diff_empty(const KmDiff *diff);
/* {"functions":[{"name","status","section","reasons"}],"data":[...],"refused":[{"name","why"}],"ignored":["..."]} */
json_t *km_diff_to_json(const KmDiff *diff);

/* One special section of the kernel (.altinstructions, __bug_table ...): a row in the one table of special.c. */
typedef enum {
	KM_SPECIAL_TABLE,	/* entries of one size; an entry belongs to the function its owner relocation points into */
	KM_SPECIAL_CODE,	/* out-of-line code that tables refer to (.altinstr_replacement, .fixup) */
	KM_SPECIAL_SLOTS,	/* entries of one size that code refers to one by one (.toc) */
	KM_SPECIAL_DROP,	/* made again for the output by objtool or the linker, or of no use there */
	KM_SPECIAL_MARK,	/* objtool annotations: kept for entries of kept functions */
} KmSpecialKind;

typedef struct {
	const char *name;	/* a trailing '*' matches any ending */
	KmSpecialKind kind;
	guint entry_size;	/* bytes, where it is the same everywhere; 0: inferred from relocation strides */
	guint min_size;		/* bytes an entry has at least, for the inference */
	guint max_relocs;	/* relocations an entry has at most, likewise */
	guint owner;		/* byte offset in the entry of the relocation that names the owner */
	gboolean before;	/* the owner relocation names the byte after the code that is meant */
	gboolean compare;	/* a differing entry makes its function changed */
} KmSpecial;

/* NULL: not a special section. */
const KmSpecial *km_special_find(const char *section_name);
/* Is it one about code, rather than one of slots, whose pointers mean what they would in the code that reads them? */
gboolean km_section_is_about_code(const KmSection *section);
/* Bytes of one entry of this section; 0 when it cannot be told (error set). */
guint km_special_entry_size(const KmSpecial *special, const KmSection *section, GError **error);

/* Is name that of a part which the compiler split off from a function ("foo.cold", "foo.cold.3")? Such parts have no entry of their
 * own and are only ever jumped to from their function. */
gboolean km_name_is_cold_part(const char *name);

/* The source function of a clone or part: "foo.isra.0.cold" -> "foo". Caller owns. */
char *km_name_root(const char *name);

/* Debug messages' records (__dyndbg): named data that every module registers for itself when it is loaded. What one says is what
 * tells which one it is; a message that says something else has another record, not a changed one. */
gboolean km_section_is_record(const KmSection *section);
/* Is it a list that names functions, and through which nobody calls them (those that take no probes)? */
gboolean km_section_names_functions(const KmSection *section);

/*
 * The extracted object: every changed and new function, and everything they need that is not in the running kernel
 * (new data, strings, constants, their rows of special sections). References to what stays in the kernel become undefined
 * symbols that carry the patched object's name for it. extracted->symbols[i]->user is the patched object's KmSymbol it came
 * from (NULL for none), so callers can go on to twins. Caller owns.
 */
KmObject *km_extract(const KmDiff *diff, GError **error);
