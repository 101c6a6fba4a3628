/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the audit found, as words and as JSON. */
#include "entries/audit.h"

#include "base/json.h"

const char *km_entry_kind_text(KmEntryKind kind)
{
	static const char *const texts[KM_N_ENTRY_KINDS] = { "nothing", "a call of the hook",
							     "two instructions that call the hook", "NOPs",
							     "a NOP for a branch to a stub" };
	return texts[kind];
}

static const char *kind_name(KmEntryKind kind)
{
	static const char *const names[KM_N_ENTRY_KINDS] = { "none", "call", "pair", "nops", "stub" };
	return names[kind];
}

const char *km_patchable_text(KmPatchable verdict)
{
	static const char *const texts[KM_N_VERDICTS] = {
		"can be live patched",
		"runs at start-up or at the end only",
		"begins with its own code",
		"calls the hook behind its prologue",
		"has its entry where calls in the same module go past it",
		"has too little room",
		"has an entry that nothing records",
		"lies where no tracer may be",
	};
	return texts[verdict];
}

static const char *verdict_name(KmPatchable verdict)
{
	static const char *const names[KM_N_VERDICTS] = { "patchable", "startup",   "no-entry",	 "late",
							  "skipped",   "too-small", "no-record", "untraceable" };
	return names[verdict];
}

const char *km_finding_name(KmFindingKind kind)
{
	static const char *const names[KM_N_FINDINGS] = { "no-record",	 "record-of-no-entry", "mixed",
							  "odd-offset",	 "too-small",	       "skipped",
							  "untraceable", "before-toc" };
	return names[kind];
}

char *km_entry_pad(const KmEntry *entry)
{
	gboolean pad = entry->shape.kind == KM_ENTRY_NOPS || entry->shape.kind == KM_ENTRY_STUB;
	if (!pad && !entry->before)
		return NULL;
	return g_strdup_printf("%u,%u", ((pad ? entry->shape.size : 0) + entry->before) / entry->unit,
			       entry->before / entry->unit);
}

static json_t *place_of(const KmCode *view, guint64 address)
{
	gboolean rel = view->object && view->object->type == ET_REL;
	g_autofree char *hex = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", rel ? address & G_MAXUINT32 : address);
	return json_string(hex);
}

static json_t *entry_json(const KmCode *view, const KmEntry *e)
{
	const KmCodeFunction *f = e->function;
	json_t *row = json_pack("{s:o, s:o, s:o, s:I, s:s, s:s, s:i, s:i}", "name", km_json_text(f->name), "section",
				km_json_text(f->section), "address", place_of(view, f->address), "size",
				(json_int_t)f->size, "entry", kind_name(e->shape.kind), "verdict",
				verdict_name(e->verdict), "before", (int)e->before, "landing", (int)e->shape.landing);
	g_autofree char *pad = km_entry_pad(e);
	if (pad)
		json_object_set_new(row, "pad", json_string(pad));
	if (e->shape.kind != KM_ENTRY_NONE) {
		json_object_set_new(row, "site", json_integer(e->shape.site));
		json_object_set_new(row, "site_from_local", json_integer((json_int_t)e->shape.site - f->local));
		json_object_set_new(row, "site_size", json_integer(e->shape.size));
	}
	if (f->local)
		json_object_set_new(row, "local_entry", json_integer(f->local));
	if (e->record) {
		json_object_set_new(row, "record",
				    json_pack("{s:o, s:I}", "section", km_json_text(e->record->section), "offset",
					      (json_int_t)e->record->place));
		json_object_set_new(row, "recorded", place_of(view, e->record->address));
	}
	if (e->type_size)
		json_object_set_new(row, "type", json_integer(e->type));
	if (e->alias)
		json_object_set_new(row, "alias", json_true());
	return row;
}

static json_t *finding_json(const KmEntryFinding *f)
{
	json_t *row = json_pack("{s:s, s:s}", "kind", km_finding_name(f->kind), "what", f->what);
	if (f->entry)
		json_object_set_new(row, "function", km_json_text(f->entry->function->name));
	if (f->record)
		json_object_set_new(row, "record",
				    json_pack("{s:o, s:I}", "section", km_json_text(f->record->section), "offset",
					      (json_int_t)f->record->place));
	return row;
}

json_t *km_audit_to_json(const KmAudit *audit)
{
	const KmCode *view = audit->view;
	json_t *root =
		json_pack("{s:s, s:s, s:b, s:i, s:i, s:i}", "kind", view->kind, "arch", view->arch->name, "passes",
			  km_audit_passes(audit), "records", (int)view->records->len, "startup_records",
			  (int)audit->startup_records, "nameless_records", (int)audit->nameless);
	json_t *functions = json_array(), *findings = json_array(), *counts = json_object();
	for (guint i = 0; i < audit->entries->len; i++)
		json_array_append_new(functions, entry_json(view, &g_array_index(audit->entries, KmEntry, i)));
	for (guint i = 0; i < audit->findings->len; i++)
		json_array_append_new(findings, finding_json(audit->findings->pdata[i]));
	for (guint i = 0; i < KM_N_VERDICTS; i++)
		json_object_set_new(counts, verdict_name(i), json_integer(audit->verdicts[i]));
	json_object_set_new(root, "functions", functions);
	json_object_set_new(root, "findings", findings);
	json_object_set_new(root, "counts", counts);
	return root;
}
