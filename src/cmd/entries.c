/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend entries: which functions of a file can be live patched. */
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "entries/audit.h"

/* Lines of a list before "and N more": --list and --json have them all. */
#define SHOWN 10

typedef struct {
	gboolean json, list, check;
} Options;

static void print_place(const KmAudit *audit, const KmCodeFunction *f)
{
	const KmCode *view = audit->view;
	if (view->object && view->object->type == ET_REL)
		printf("%s+0x%" G_GINT64_MODIFIER "x", f->section, f->address & G_MAXUINT32);
	else
		printf("0x%" G_GINT64_MODIFIER "x", f->address);
}

/* NAME PLACE KIND at SITE, pad, record. */
static void print_entry(const KmAudit *audit, const KmEntry *e)
{
	g_autofree char *pad = km_entry_pad(e);
	printf("  %-40s ", e->function->name);
	print_place(audit, e->function);
	if (e->shape.kind != KM_ENTRY_NONE)
		printf("  %s at +%u", km_entry_kind_text(e->shape.kind), e->shape.site);
	if (e->function->local)
		printf(", local entry +%u", e->function->local);
	if (e->shape.landing)
		printf(", landing pad");
	if (pad)
		printf(", pad %s", pad);
	if (e->type_size)
		printf(", type 0x%08x", e->type);
	if (e->record)
		printf(", record %s+0x%" G_GINT64_MODIFIER "x", e->record->section, e->record->place);
	printf("  %s%s\n", e->verdict == KM_PATCHABLE ? "" : km_patchable_text(e->verdict), e->alias ? " (alias)" : "");
}

static void print_list(const KmAudit *audit)
{
	for (guint i = 0; i < audit->entries->len; i++)
		print_entry(audit, &g_array_index(audit->entries, KmEntry, i));
}

static void print_finding(const KmEntryFinding *f)
{
	if (f->entry)
		printf("  %s: %s %s\n", km_finding_name(f->kind), f->entry->function->name, f->what);
	else
		printf("  %s: %s+0x%" G_GINT64_MODIFIER "x %s\n", km_finding_name(f->kind), f->record->section,
		       f->record->place, f->what);
}

static void print_findings(const KmAudit *audit, gboolean all)
{
	printf("%-14s %u\n", "findings", audit->findings->len);
	guint shown[KM_N_FINDINGS] = { 0 };
	for (guint i = 0; i < audit->findings->len; i++) {
		const KmEntryFinding *f = audit->findings->pdata[i];
		if (all || shown[f->kind]++ < SHOWN)
			print_finding(f);
	}
	for (guint i = 0; i < KM_N_FINDINGS; i++)
		if (shown[i] > SHOWN)
			printf("  %s: and %u more\n", km_finding_name(i), shown[i] - SHOWN);
}

static void print_without(const KmAudit *audit, KmPatchable verdict)
{
	guint n = 0;
	printf("  %-12u %s:", audit->verdicts[verdict], km_patchable_text(verdict));
	for (guint i = 0; i < audit->entries->len && n < SHOWN; i++) {
		const KmEntry *e = &g_array_index(audit->entries, KmEntry, i);
		if (e->verdict != verdict || e->alias)
			continue;
		printf(" %s", e->function->name);
		n++;
	}
	if (audit->verdicts[verdict] > n)
		printf(" and %u more", audit->verdicts[verdict] - n);
	putchar('\n');
}

static void print_summary(const KmAudit *audit, const char *path)
{
	guint total = 0;
	for (guint i = 0; i < KM_N_VERDICTS; i++)
		total += audit->verdicts[i];
	printf("%s: %s, %s\n", path, audit->view->kind, audit->view->arch->name);
	printf("%-14s %u\n", "functions", total);
	printf("  %-12u %s", audit->verdicts[KM_PATCHABLE], km_patchable_text(KM_PATCHABLE));
	for (guint i = 0; i < KM_N_ENTRY_KINDS; i++)
		if (audit->forms[i])
			printf("; %u begin with %s", audit->forms[i], km_entry_kind_text(i));
	putchar('\n');
	for (guint i = KM_PATCHABLE + 1; i < KM_N_VERDICTS; i++)
		if (audit->verdicts[i])
			print_without(audit, i);
	if (audit->view->has_records)
		printf("%-14s %u\n", "records", audit->view->records->len);
	else
		printf("%-14s none\n", "records");
	if (audit->startup_records)
		printf("  %-12u of code that %s\n", audit->startup_records, km_patchable_text(KM_STARTUP));
	if (audit->nameless)
		printf("  %-12u of entries that no symbol names\n", audit->nameless);
}

static gboolean report(const KmAudit *audit, const char *path, const Options *options, GError **error)
{
	if (options->json) {
		json_t *root = km_audit_to_json(audit);
		json_object_set_new(root, "path", km_json_text(path));
		return km_cmd_print_json(root, error);
	}
	print_summary(audit, path);
	if (options->list)
		print_list(audit);
	print_findings(audit, options->list);
	return TRUE;
}

static gboolean audit_file(const char *path, const Options *options, int *exit_code, GError **error)
{
	g_autoptr(KmCode) view = km_code_open(path, error);
	if (!view)
		return FALSE;
	g_autoptr(KmAudit) audit = km_audit(view);
	if (options->check && !km_audit_passes(audit))
		*exit_code = KM_ERROR_REFUSED;
	return report(audit, path, options, error);
}

gboolean km_cmd_entries(int argc, char **argv, int *exit_code, GError **error)
{
	Options options = { 0 };
	const GOptionEntry entries[] = {
		{ "list", 'l', 0, G_OPTION_ARG_NONE, &options.list, "List every function", NULL },
		{ "check", 'c', 0, G_OPTION_ARG_NONE, &options.check,
		  "Exit with 3 unless every function that runs after start-up can be live patched", NULL },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &options.json, "Print everything as JSON", NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	if (!km_cmd_parse(&argc, &argv, "FILE...",
			  "Tells what the functions of an object, a module, a program or a kernel image begin with, "
			  "where it is recorded, and\n"
			  "which of them can be live patched.",
			  entries, error))
		return FALSE;
	if (argc < 2 || (options.json && argc > 2)) {
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "%s; see `kmend entries --help`",
			    argc < 2 ? "a file is needed" : "--json takes one file");
		return FALSE;
	}
	for (int i = 1; i < argc; i++)
		if (!audit_file(argv[i], &options, exit_code, error))
			return FALSE;
	return TRUE;
}
