/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/users.h"

#include <bpf/btf.h>
#include <string.h>

#include "image/internal.h"

typedef struct {
	const KmImage *image;
	guint64 init_start, init_end;
	gpointer reader;
	GArray *records; /* of Span */
	GPtrArray *users;
} Scan;

typedef struct {
	guint64 start, stop;
} Span;

/* Tables that speak of functions without using them. */
static const struct {
	const char *section, *start, *stop;
} records[] = {
	{ "__mcount_loc", "__start_mcount_loc", "__stop_mcount_loc" },
	{ ".orc_unwind_ip", "__start_orc_unwind_ip", "__stop_orc_unwind_ip" },
	{ ".ibt_endbr_seal", "__ibt_endbr_seal", "__ibt_endbr_seal_end" },
	{ ".return_sites", "__return_sites", "__return_sites_end" },
	{ ".call_sites", "__call_sites", "__call_sites_end" },
	{ ".retpoline_sites", "__retpoline_sites", "__retpoline_sites_end" },
	{ ".altinstructions", "__alt_instructions", "__alt_instructions_end" },
	{ ".parainstructions", "__parainstructions", "__parainstructions_end" },
	{ ".smp_locks", "__smp_locks", "__smp_locks_end" },
	{ "__bug_table", "__start___bug_table", "__stop___bug_table" },
	{ "__jump_table", "__start___jump_table", "__stop___jump_table" },
	{ "_kprobe_blacklist", "__start_kprobe_blacklist", "__stop_kprobe_blacklist" },
	{ "_error_injection_whitelist", "__start_error_injection_whitelist", "__stop_error_injection_whitelist" },
	{ "__ksymtab", "__start___ksymtab", "__stop___ksymtab" },
	{ "__ksymtab_gpl", "__start___ksymtab_gpl", "__stop___ksymtab_gpl" },
};

static GArray *find_records(const KmImage *image)
{
	GArray *found = g_array_new(FALSE, FALSE, sizeof(Span));
	for (gsize i = 0; i < G_N_ELEMENTS(records); i++) {
		Span span;
		if (km_image_table(image, records[i].section, records[i].start, records[i].stop, &span.start,
				   &span.stop))
			g_array_append_val(found, span);
	}
	return found;
}

static gboolean is_record(const Scan *scan, guint64 address)
{
	const KmKallsyms *kallsyms = &scan->image->kallsyms;
	/* Megabytes of packed names, some of which look like an address. */
	if (address >= kallsyms->start && address < kallsyms->stop)
		return TRUE;
	for (guint i = 0; i < scan->records->len; i++) {
		const Span *span = &g_array_index(scan->records, Span, i);
		if (address >= span->start && address < span->stop)
			return TRUE;
	}
	return FALSE;
}

void km_image_user_free(gpointer data)
{
	KmImageUser *user = data;
	g_free(user->name);
	g_free(user);
}

/* Alternatives lie among start-up code, and are copied to where they run. They have no names: one at their start ends what is before. */
static gboolean is_nameless(const KmRange *range)
{
	return range->text && g_str_has_prefix(range->name, ".altinstr");
}

/* The name that covers a place of range. */
static const KmKsym *name_at(const KmImage *image, const KmRange *range, guint64 place)
{
	const KmKsym *symbol = is_nameless(range) ? NULL : km_image_nearest(image, place);
	return symbol && symbol->address >= range->address && symbol->address - range->address < range->size ? symbol
													     : NULL;
}

static guint64 end_of(const KmImage *image, const KmRange *range, const KmKsym *symbol)
{
	return MIN(range->address + range->size, km_image_next_symbol(image, symbol->address));
}

/* The instruction that holds a field of the function at start (of size bytes), told by reading from there. FALSE: there is no way to tell. */
static gboolean instruction_with(const Scan *scan, guint64 start, gsize size, guint64 field, guint64 *at, KmStep *step)
{
	const guint8 *bytes = km_image_bytes(scan->image, start, size);
	if (!bytes || !scan->reader)
		return FALSE;
	g_autoptr(GByteArray) code = g_byte_array_sized_new((guint)size);
	g_byte_array_append(code, bytes, (guint)size);
	const KmSection section = { .name = (char *)"", .size = size, .data = code };
	for (*at = 0; *at <= field; *at += step->size) {
		scan->image->arch->step(scan->reader, &section, *at, G_MAXUINT64, step);
		if (!step->size)
			return FALSE;
		if (*at + step->size > field)
			return TRUE;
	}
	return FALSE;
}

/* Bytes of two instructions that look like one field, or part of an instruction that means something else. What cannot be told counts. */
static gboolean is_chance(const Scan *scan, const KmRange *range, const KmKsym *symbol, const KmMention *mention,
			  guint64 target)
{
	if (mention->sure || !symbol)
		return FALSE;
	guint64 field = range->address + mention->offset - symbol->address, at;
	gsize size = end_of(scan->image, range, symbol) - symbol->address;
	KmStep step;
	if (!instruction_with(scan, symbol->address, size, field, &at, &step))
		return FALSE;
	if (at + step.size < field + mention->size)
		return TRUE;
	if (mention->branch)
		return !step.direct || symbol->address + step.target != target;
	return mention->distance ? !step.near || symbol->address + step.place != target
				 : step.direct && symbol->address + step.target != target;
}

static gboolean is_init(const Scan *scan, const KmRange *range)
{
	return !is_nameless(range) && range->address >= scan->init_start && range->address < scan->init_end;
}

static KmImageUser *user_new(const Scan *scan, const KmRange *range, const KmKsym *symbol, gboolean calls)
{
	KmImageUser *user = g_new0(KmImageUser, 1);
	user->name = g_strdup(symbol ? symbol->name : range->name);
	user->named = symbol != NULL;
	user->address = symbol ? symbol->address : range->address;
	user->calls = calls;
	user->code = range->text;
	user->init = is_init(scan, range);
	const GArray *same = symbol ? km_image_lookup(scan->image, symbol->name) : NULL;
	user->of_name = same ? same->len : 0;
	guint64 end = symbol ? MIN(end_of(scan->image, range, symbol), symbol->address + KM_IMAGE_PROLOGUE) : 0;
	user->has_entry =
		symbol && range->text && !user->init && km_image_has_entry(scan->image, symbol->address, end) == 1;
	return user;
}

static void add_user(const Scan *scan, const KmRange *range, const KmKsym *symbol, gboolean calls)
{
	guint64 address = symbol ? symbol->address : range->address;
	for (guint i = scan->users->len; i-- > 0;) {
		const KmImageUser *known = scan->users->pdata[i];
		if (known->address != address)
			break;
		if (known->calls == calls)
			return;
	}
	g_ptr_array_add(scan->users, user_new(scan, range, symbol, calls));
}

static void scan_range(const Scan *scan, const KmRange *range, guint64 target)
{
	const KmImage *image = scan->image;
	g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(KmMention));
	image->arch->mentions(image->data + range->offset, range->size, range->address, range->text, target, found);
	for (guint i = 0; i < found->len; i++) {
		const KmMention *mention = &g_array_index(found, KmMention, i);
		guint64 place = range->address + mention->offset;
		const KmKsym *symbol = name_at(image, range, place);
		if ((range->text || !is_record(scan, place)) && !is_chance(scan, range, symbol, mention, target))
			add_user(scan, range, symbol, mention->branch);
	}
}

/* No code and no pointers. */
static gboolean is_inert(const KmRange *range)
{
	return !*range->name || !strcmp(range->name, ".BTF") || !strcmp(range->name, ".notes");
}

GPtrArray *km_image_users(const KmImage *image, guint64 address)
{
	gboolean has_text = FALSE;
	for (guint i = 0; i < image->ranges->len; i++) {
		const KmRange *range = &g_array_index(image->ranges, KmRange, i);
		has_text |= range->text && *range->name;
	}
	if (!image->arch->mentions || !has_text)
		return NULL;
	const KmKsym *start = km_image_find(image, "__init_begin"), *end = km_image_find(image, "__init_end");
	Scan scan = {
		.image = image,
		.init_start = start ? start->address : 0,
		.init_end = start && end ? end->address : 0,
		.reader = km_arch_reader_new(image->arch),
		.records = find_records(image),
		.users = g_ptr_array_new_with_free_func(km_image_user_free),
	};
	for (guint i = 0; i < image->ranges->len; i++) {
		const KmRange *range = &g_array_index(image->ranges, KmRange, i);
		if (!is_inert(range))
			scan_range(&scan, range, address);
	}
	g_array_unref(scan.records);
	km_arch_reader_free(scan.reader);
	return scan.users;
}

gboolean km_image_is_exported(const KmImage *image, guint64 address)
{
	gsize n;
	const KmExport *exports = km_image_exports(image, &n);
	for (gsize i = 0; i < n; i++)
		if (exports[i].address == address)
			return TRUE;
	return FALSE;
}

static gboolean is_listed(const KmImage *image, guint32 id)
{
	guint64 start, stop;
	if (!km_image_table(image, ".BTF_ids", "__start_BTF_ids", "__stop_BTF_ids", &start, &stop))
		return FALSE;
	for (guint64 at = start; at + 4 <= stop; at += 4) {
		const guint8 *p = km_image_bytes(image, at, 4);
		if (p && km_image_get_u32(image, p) == id)
			return TRUE;
	}
	return FALSE;
}

gboolean km_image_is_kfunc(const KmImage *image, const char *name)
{
	gsize size = 0;
	const guint8 *bytes = km_image_btf(image, &size);
	struct btf *btf = bytes && size <= G_MAXUINT32 ? btf__new(bytes, (guint32)size) : NULL;
	gboolean found = bytes && !btf; /* it cannot be told */
	for (guint32 id = 1; btf && !found && id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		found = btf_is_func(type) && !g_strcmp0(btf__name_by_offset(btf, type->name_off), name) &&
			is_listed(image, id);
	}
	btf__free(btf);
	return found;
}
