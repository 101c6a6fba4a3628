/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands at a function's start for a tracer to rewrite. */
#pragma once

#include <glib.h>

typedef enum {
	KM_ENTRY_NONE,
	KM_ENTRY_CALL, /* one instruction that calls the hook: call __fentry__ */
	KM_ENTRY_PAIR, /* one that saves the return address, one that calls the hook: mov x9, x30; bl _mcount */
	KM_ENTRY_NOPS, /* room for that */
	KM_ENTRY_STUB, /* room for a branch only, to a stub elsewhere that does the rest */
	KM_N_ENTRY_KINDS,
} KmEntryKind;

/* Offsets and sizes in bytes, from the function's value. */
typedef struct {
	KmEntryKind kind;
	guint landing; /* size of a landing pad (endbr64, bti c) at the start; 0: none */
	guint site; /* where what is rewritten begins */
	guint size; /* of it */
	gboolean late; /* code of the function's own comes before it: redirection there would find a frame */
	gboolean sets_toc; /* the code before it sets up the TOC */
} KmEntryShape;

/* The code of a function to look at. */
typedef struct {
	const guint8 *bytes; /* from the function's value on */
	guint size;
	guint local; /* offset of its local entry */
	/* Is the branch a call of a hook, whose relocation would be at field and which, as linked, goes to target? Both are offsets from the function's value. */
	gboolean (*is_hook)(gpointer data, guint field, gint64 target);
	gpointer data;
} KmEntryCode;

/* The same as text for the assembler. */
typedef struct {
	const char *nop; /* a NOP of one unit */
	const char *save; /* what comes before the hook's call and saves the return address; NULL: nothing */
	const char *hook; /* the call of the hook; NULL: no compiler puts it at a function's start */
	const char *hook_nops; /* in place of the call; NULL: no compiler does that */
	const char *const *landing; /* landing pads, "mnemonic operands"; NULL-ended, or NULL */
	/* What signs the return address, and is a landing pad too, unless it moves behind the room; what lands then; the property by which a listing wants that. */
	const char *const *signs;
	const char *lands;
	guint32 property;
	const char *const
		*calls; /* instructions whose operand is a function that is called, not one whose address is taken */
	const char *comments; /* characters that begin a comment, beside "//" */
	gboolean pad_at_label; /* gcc puts NOPs right behind the label, not behind what begins the unwind information */
} KmEntryText;

/* How an architecture does it. */
typedef struct {
	guint unit; /* the N and M of -fpatchable-function-entry=N,M count NOPs of so many bytes */
	guint wide; /* or of so many, by what the code may use: then the first NOP tells; 0: never */
	guint need; /* so many bytes at the function's label have to be there for redirection */
	guint branch; /* or so many there that branch back, with need of them before the label; 0: no such scheme */
	gboolean moves; /* the kernel keeps an entry's place elsewhere than where its record points */
	gboolean toc; /* functions set up a register for their data, some of them */
	const KmEntryText *text;
	/* The entry of a function. */
	void (*read)(const KmEntryCode *code, KmEntryShape *shape);
	/* Length of the NOP (of those that compilers put into pads, or that tracers write) that bytes begin with; 0: it is none. */
	guint (*nop)(const guint8 *bytes, gsize room);
	/* Bytes before a function's pad that tell its type to a check of indirect calls (kCFI): returns their number, and that type; 0: there are none. NULL: unknown. */
	guint (*type_word)(const guint8 *end, gsize room, guint32 *type);
} KmEntryArch;

/* Look for a call of the hook behind a function's prologue, from offset from on in steps of step bytes. call: length of the one at an offset, or 0. */
void km_entry_find_late(const KmEntryCode *code, guint from, guint step,
			guint (*call)(const KmEntryCode *code, guint at), KmEntryShape *shape);
/* Of the pad at bytes: how long the run of NOPs is. */
guint km_entry_run(const KmEntryArch *arch, const guint8 *bytes, gsize room);
/* The N and M of the room that begins at bytes count NOPs of so many bytes. */
guint km_entry_unit(const KmEntryArch *arch, const guint8 *bytes, gsize room);
/* How many bytes of NOPs end at bytes + room. */
guint km_entry_run_before(const KmEntryArch *arch, const guint8 *bytes, gsize room);
