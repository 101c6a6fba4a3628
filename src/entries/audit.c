/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "entries/audit.h"

#include <string.h>

/* ---- one function ---- */

typedef struct {
	const KmCode *view;
	guint64 start;
} Place;

static gboolean is_hook(gpointer data, guint field, gint64 target)
{
	const Place *place = data;
	return km_code_is_hook(place->view, place->start + field, place->start + (guint64)target);
}

static void read_shape(const KmCode *view, const KmCodeFunction *f, KmEntryShape *shape)
{
	Place place = { view, f->address };
	guint size = (guint)MIN(f->size, 256);
	const guint8 *bytes = NULL;
	/* An image's last function of a section seems to reach beyond it. */
	while (size && !(bytes = km_code_bytes(view, f->address, size)))
		size /= 2;
	const KmEntryCode code = { bytes, size, f->local, is_hook, &place };
	*shape = (KmEntryShape){ 0 };
	if (bytes)
		view->arch->entry->read(&code, shape);
	/* Nobody knows where a function of an image ends: that may be the next one's, which lost its name. */
	if (shape->late && view->image)
		*shape = (KmEntryShape){ .landing = shape->landing };
}

/* The first record at or above address. */
static guint lower_record(const KmCode *view, guint64 address)
{
	guint low = 0, high = view->records->len;
	while (low < high) {
		guint mid = low + (high - low) / 2;
		if (g_array_index(view->records, KmCodeRecord, mid).address < address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static gboolean calls_hook(const KmEntry *e)
{
	return e->shape.kind == KM_ENTRY_CALL || e->shape.kind == KM_ENTRY_PAIR;
}

/*
 * A record is of what is rewritten, of the landing pad before it, or of the room before the label. Calls of the hook are known by __mcount_loc only; where
 * that is, a record of the room alone (CONFIG_CALL_PADDING) makes no function known.
 */
static const KmCodeRecord *find_record(const KmCode *view, const KmEntry *e)
{
	guint64 start = e->function->address, site = start + e->shape.site;
	const KmCodeRecord *found = NULL;
	for (guint i = lower_record(view, start - e->before); i < view->records->len; i++) {
		const KmCodeRecord *r = &g_array_index(view->records, KmCodeRecord, i);
		if (r->address >= site + MAX(e->shape.size, 1))
			break;
		if ((view->calls_recorded || calls_hook(e)) && !r->call)
			continue;
		if (r->address >= site || r->address <= start + e->shape.landing ||
		    r->address == start + e->function->local)
			found = r;
	}
	return found;
}

/* How much room there is before a label is told by the record of it or by a symbol; NOPs alone could fill a gap. */
static guint room_before(const KmCode *view, const KmCodeFunction *f, guint64 floor)
{
	gsize room = MIN(km_code_room_before(view, f->address), f->address - floor);
	const guint8 *bytes = room ? km_code_bytes(view, f->address - room, room) : NULL;
	guint run = bytes ? km_entry_run_before(view->arch->entry, bytes, room) : 0;
	if (f->prefix >= 0)
		return MIN(run, (guint)f->prefix);
	guint i = lower_record(view, f->address - run);
	const KmCodeRecord *r = i < view->records->len ? &g_array_index(view->records, KmCodeRecord, i) : NULL;
	return r && r->address < f->address ? (guint)(f->address - r->address) : 0;
}

/* Where the room has NOPs of either size, its first one tells. */
static guint unit_of(const KmCode *view, const KmEntry *e)
{
	const KmEntryArch *arch = view->arch->entry;
	guint64 start = e->function->address + (e->before ? -(guint64)e->before : e->shape.site);
	const guint8 *bytes = arch->wide ? km_code_bytes(view, start, arch->wide) : NULL;
	return bytes ? km_entry_unit(arch, bytes, arch->wide) : arch->unit;
}

static void read_type(const KmCode *view, KmEntry *e)
{
	const KmEntryArch *arch = view->arch->entry;
	gsize room = km_code_room_before(view, e->function->address);
	const guint8 *bytes = e->function->typed && arch->type_word && room > e->before
				      ? km_code_bytes(view, e->function->address - room, room)
				      : NULL;
	if (bytes)
		e->type_size = arch->type_word(bytes + room - e->before, room - e->before, &e->type);
}

/* Room at the label, or a branch there and room before it. */
static gboolean is_big_enough(const KmEntryArch *arch, const KmEntry *e)
{
	if (e->shape.kind != KM_ENTRY_NOPS || e->shape.size >= arch->need)
		return TRUE;
	return arch->branch && e->shape.size >= arch->branch && e->before >= arch->need;
}

static KmPatchable judge(const KmCode *view, const KmEntry *e)
{
	if (e->function->startup)
		return KM_STARTUP;
	if (e->shape.kind == KM_ENTRY_NONE)
		return KM_NO_ENTRY;
	if (e->function->untraceable)
		return KM_UNTRACEABLE;
	if (e->shape.late)
		return KM_LATE;
	if (e->shape.site < e->function->local)
		return KM_SKIPPED;
	if (!e->record)
		return KM_NO_RECORD;
	return is_big_enough(view->arch->entry, e) ? KM_PATCHABLE : KM_TOO_SMALL;
}

/* Is the NOP at address a branch that is off (jump label)? Only an object tells. */
static gboolean is_jump_label(const KmCode *view, guint64 address)
{
	const KmSection *table = view->object ? km_object_find_section(view->object, "__jump_table") : NULL;
	for (guint i = 0; table && i < table->relocs->len; i++) {
		const KmReloc *r = &g_array_index(table->relocs, KmReloc, i);
		if (r->symbol->section && km_code_address(view, r->symbol) + (guint64)r->addend == address)
			return TRUE;
	}
	return FALSE;
}

/* NOPs that nothing records may be the function's own: a branch that is off, or a loop that is aligned. In a linked file nothing tells. */
static void forget_chance(const KmCode *view, KmEntry *e)
{
	gboolean nops = e->shape.kind == KM_ENTRY_NOPS || e->shape.kind == KM_ENTRY_STUB;
	gboolean linked = view->image || view->object->type != ET_REL;
	if (!nops || e->record)
		return;
	if ((linked && view->records->len) || e->shape.size < view->arch->entry->need ||
	    is_jump_label(view, e->function->address + e->shape.site))
		e->shape = (KmEntryShape){ .landing = e->shape.landing };
}

static void read_entries(KmAudit *audit)
{
	const KmCode *view = audit->view;
	guint64 floor = 0, end = 0;
	for (guint i = 0; i < view->functions->len; i++) {
		KmEntry e = { .function = &g_array_index(view->functions, KmCodeFunction, i) };
		const KmCodeFunction *f = e.function;
		e.alias = i && f[-1].address == f->address;
		if (end <= f->address && !e.alias)
			floor = end;
		end = MAX(end, f->address + (view->image ? 0 : f->size));
		read_shape(view, f, &e.shape);
		e.before = room_before(view, f, MIN(floor, f->address));
		e.unit = unit_of(view, &e);
		read_type(view, &e);
		e.record = find_record(view, &e);
		g_array_append_val(audit->entries, e);
	}
}

/*
 * A record of the room before a label is not of what else begins there: a symbol that marks where a section starts (_stext) stands before the room of its
 * first function.
 */
static void settle_records(KmAudit *audit)
{
	g_autoptr(GHashTable) rooms = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < audit->entries->len; i++) {
		const KmEntry *e = &g_array_index(audit->entries, KmEntry, i);
		if (e->before && e->record && e->record->address == e->function->address - e->before)
			g_hash_table_add(rooms, (gpointer)e->record);
	}
	for (guint i = 0; i < audit->entries->len; i++) {
		KmEntry *e = &g_array_index(audit->entries, KmEntry, i);
		if (e->record && g_hash_table_contains(rooms, e->record) && e->record->address >= e->function->address)
			e->record = NULL;
	}
}

static void judge_all(KmAudit *audit)
{
	for (guint i = 0; i < audit->entries->len; i++) {
		KmEntry *e = &g_array_index(audit->entries, KmEntry, i);
		forget_chance(audit->view, e);
		e->verdict = judge(audit->view, e);
		audit->verdicts[e->verdict] += !e->alias;
		audit->forms[e->shape.kind] += !e->alias && e->verdict == KM_PATCHABLE;
	}
}

/* ---- what is wrong ---- */

static void G_GNUC_PRINTF(5, 6)
	find(KmAudit *audit, KmFindingKind kind, const KmEntry *e, const KmCodeRecord *r, const char *format, ...)
{
	va_list args;
	KmEntryFinding *finding = g_new0(KmEntryFinding, 1);
	va_start(args, format);
	*finding = (KmEntryFinding){ kind, e, r, g_strdup_vprintf(format, args) };
	va_end(args);
	audit->faults[kind]++;
	g_ptr_array_add(audit->findings, finding);
}

static void finding_free(gpointer data)
{
	KmEntryFinding *finding = data;
	g_free(finding->what);
	g_free(finding);
}

/* What a function's site is told from: its landing pad's end or its local entry, whichever precedes it. */
static guint origin_of(const KmEntry *e)
{
	return e->shape.site >= e->function->local && e->function->local ? e->function->local : e->shape.landing;
}

/* Kind and offset, as a number: what most have is how this file does it. */
static guint form_of(const KmEntry *e)
{
	return (guint)e->shape.kind << 16 | (e->shape.late ? 0 : e->shape.site - origin_of(e));
}

static guint usual_form(const KmAudit *audit)
{
	g_autoptr(GHashTable) counts = g_hash_table_new(NULL, NULL);
	guint best = 0, most = 0;
	for (guint i = 0; i < audit->entries->len; i++) {
		const KmEntry *e = &g_array_index(audit->entries, KmEntry, i);
		if (e->alias || e->shape.kind == KM_ENTRY_NONE || (audit->view->records->len && !e->record))
			continue;
		gpointer form = GUINT_TO_POINTER(form_of(e));
		guint n = GPOINTER_TO_UINT(g_hash_table_lookup(counts, form)) + 1;
		g_hash_table_insert(counts, form, GUINT_TO_POINTER(n));
		if (n > most) {
			most = n;
			best = form_of(e);
		}
	}
	return best;
}

static void check_form(KmAudit *audit, const KmEntry *e, guint usual)
{
	guint form = form_of(e);
	if (form >> 16 != usual >> 16)
		find(audit, KM_FINDING_MIXED, e, NULL, "begins with %s, most others with %s",
		     km_entry_kind_text(e->shape.kind), km_entry_kind_text((KmEntryKind)(usual >> 16)));
	else if (form != usual && !e->shape.late)
		find(audit, KM_FINDING_OFFSET, e, NULL, "%s is %u bytes from where it could begin, most others' %u",
		     km_entry_kind_text(e->shape.kind), form & 0xffff, usual & 0xffff);
}

static void check_entry(KmAudit *audit, const KmEntry *e, guint usual)
{
	const KmEntryArch *arch = audit->view->arch->entry;
	if (e->shape.kind == KM_ENTRY_NONE)
		return;
	if (!e->record && audit->view->has_records && !e->function->untraceable)
		find(audit, KM_FINDING_NO_RECORD, e, NULL, "has %s, and no record lists it",
		     km_entry_kind_text(e->shape.kind));
	if (e->record && e->function->untraceable)
		find(audit, KM_FINDING_UNTRACEABLE, e, NULL, "can be traced, but lies where no tracer may be");
	if (e->shape.site < e->function->local)
		find(audit, KM_FINDING_SKIPPED, e, NULL,
		     "has %s before its local entry: calls in the same module go past it",
		     km_entry_kind_text(e->shape.kind));
	if (!is_big_enough(arch, e))
		find(audit, KM_FINDING_TOO_SMALL, e, NULL,
		     "has %u bytes of room at its label and %u before it; redirection takes %u", e->shape.size,
		     e->before, arch->need);
	if (e->shape.kind == KM_ENTRY_PAIR && !e->shape.sets_toc && arch->toc)
		find(audit, KM_FINDING_NO_TOC, e, NULL,
		     "calls the hook before any TOC is set up: what it leads to must not rely on r2");
	check_form(audit, e, usual);
}

/* Does an entry stand at address, though no symbol does? The record can be of its second or third instruction. */
static gboolean is_entry(const KmCode *view, guint64 address)
{
	for (guint back = 0; back <= 8; back += 4) {
		const KmCodeFunction f = { .address = address - back, .size = 64 };
		KmEntryShape shape;
		read_shape(view, &f, &shape);
		if (shape.kind != KM_ENTRY_NONE && !shape.late && shape.site <= back && back < shape.site + shape.size)
			return TRUE;
	}
	return FALSE;
}

/* Records that are of an entry, or of the room before a label. */
static GHashTable *records_in_use(const KmAudit *audit)
{
	GHashTable *used = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < audit->entries->len; i++) {
		const KmEntry *e = &g_array_index(audit->entries, KmEntry, i);
		guint64 start = e->function->address, end = start + (e->shape.kind ? e->shape.site + e->shape.size : 0);
		for (guint k = lower_record(audit->view, start - e->before); k < audit->view->records->len; k++) {
			KmCodeRecord *r = &g_array_index(audit->view->records, KmCodeRecord, k);
			if (r->address >= end && !(e->before && r->address == start - e->before))
				break;
			g_hash_table_add(used, r);
		}
	}
	return used;
}

static void check_records(KmAudit *audit)
{
	const KmCode *view = audit->view;
	g_autoptr(GHashTable) used = records_in_use(audit);
	for (guint i = 0; i < view->records->len; i++) {
		const KmCodeRecord *r = &g_array_index(view->records, KmCodeRecord, i);
		audit->startup_records += km_code_is_startup(view, r->address);
		if (g_hash_table_contains(used, r))
			continue;
		if (is_entry(view, r->address))
			audit->nameless++;
		else
			find(audit, KM_FINDING_NO_ENTRY, NULL, r, "is of no function's entry");
	}
}

/* ---- the whole ---- */

KmAudit *km_audit(const KmCode *view)
{
	KmAudit *audit = g_new0(KmAudit, 1);
	audit->view = view;
	audit->entries = g_array_sized_new(FALSE, FALSE, sizeof(KmEntry), view->functions->len);
	audit->findings = g_ptr_array_new_with_free_func(finding_free);
	read_entries(audit);
	settle_records(audit);
	judge_all(audit);
	guint usual = usual_form(audit);
	for (guint i = 0; i < audit->entries->len; i++) {
		const KmEntry *e = &g_array_index(audit->entries, KmEntry, i);
		if (!e->alias)
			check_entry(audit, e, usual);
	}
	check_records(audit);
	return audit;
}

void km_audit_free(KmAudit *audit)
{
	if (!audit)
		return;
	g_array_unref(audit->entries);
	g_ptr_array_unref(audit->findings);
	g_free(audit);
}

gboolean km_audit_passes(const KmAudit *audit)
{
	for (guint i = 0; i < KM_N_VERDICTS; i++)
		if (i != KM_PATCHABLE && i != KM_STARTUP && audit->verdicts[i])
			return FALSE;
	for (guint i = 0; i < KM_N_FINDINGS; i++)
		if (i != KM_FINDING_NO_TOC && audit->faults[i])
			return FALSE;
	return TRUE;
}
