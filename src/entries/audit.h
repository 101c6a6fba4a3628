/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which functions of a file can be redirected, by what they begin with and by the records of it; and what is wrong with either. */
#pragma once

#include <jansson.h>

#include "entries/code.h"

/* Why a function cannot be live patched. */
typedef enum {
	KM_PATCHABLE,
	KM_STARTUP, /* it runs only when what it belongs to comes or goes */
	KM_NO_ENTRY, /* it begins with its own code */
	KM_LATE, /* the hook is called behind its prologue */
	KM_SKIPPED, /* the entry comes before the local entry, where calls in the same module go */
	KM_TOO_SMALL, /* the room is too small for the architecture's redirection */
	KM_NO_RECORD, /* it has an entry that no record lists */
	KM_UNTRACEABLE, /* it lies where no tracer may be */
	KM_N_VERDICTS,
} KmPatchable;

typedef enum {
	KM_FINDING_NO_RECORD,
	KM_FINDING_NO_ENTRY, /* a record that is of no entry */
	KM_FINDING_MIXED, /* another kind of entry than most have */
	KM_FINDING_OFFSET, /* another offset than most have */
	KM_FINDING_TOO_SMALL,
	KM_FINDING_SKIPPED, /* calls in the same module go past the entry */
	KM_FINDING_UNTRACEABLE, /* an entry with a record where no tracer may be */
	KM_FINDING_NO_TOC, /* the hook is called before the TOC is set up */
	KM_N_FINDINGS,
} KmFindingKind;

typedef struct {
	const KmCodeFunction *function; /* of the view */
	KmEntryShape shape;
	guint before; /* bytes of room before the label (before its landing pad) */
	guint unit; /* bytes of a NOP of its room */
	guint type_size; /* bytes that tell the type for indirect calls before that; 0: none */
	guint32 type;
	const KmCodeRecord *record; /* the one that makes it known; NULL: none. Of the view */
	KmPatchable verdict;
	gboolean alias; /* another name of the one before: not counted, not checked */
} KmEntry;

typedef struct {
	KmFindingKind kind;
	const KmEntry *entry; /* of the audit; NULL: of none */
	const KmCodeRecord *record; /* of the view; NULL: it is about the entry */
	char *what;
} KmEntryFinding;

typedef struct {
	const KmCode *view; /* not owned: it outlives the audit */
	GArray *entries; /* of KmEntry, in the order of the view's functions */
	GPtrArray *findings; /* of KmEntryFinding */
	guint verdicts[KM_N_VERDICTS];
	guint forms[KM_N_ENTRY_KINDS]; /* of those that can be live patched */
	guint startup_records; /* records of code that runs at start-up or at the end only */
	guint nameless; /* records of entries that no symbol names: of weak functions which were overridden, mostly */
	guint faults[KM_N_FINDINGS];
} KmAudit;

KmAudit *km_audit(const KmCode *view);
void km_audit_free(KmAudit *audit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmAudit, km_audit_free)

/* Can everything that runs after start-up be live patched, with nothing wrong? Calls before the TOC's set-up are only told. */
gboolean km_audit_passes(const KmAudit *audit);

/* "call of the hook", and so on: for people and for JSON ("call"). */
const char *km_entry_kind_text(KmEntryKind kind);
const char *km_patchable_text(KmPatchable verdict);
const char *km_finding_name(KmFindingKind kind);
/* "5+11": as -fpatchable-function-entry counts, N,M; NULL when it is no pad. Caller owns. */
char *km_entry_pad(const KmEntry *entry);

json_t *km_audit_to_json(const KmAudit *audit);
