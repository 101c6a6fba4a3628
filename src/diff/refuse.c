/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diff/refuse.h"

#include <string.h>

#include "diff/lists.h"
#include "diff/skeleton.h"

static KmRefusal *G_GNUC_PRINTF(3, 4) refuse(KmDiff *diff, const char *name, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	KmRefusal *refusal = g_new0(KmRefusal, 1);
	refusal->name = g_strdup(name);
	refusal->why = g_strdup_vprintf(format, args);
	va_end(args);
	g_ptr_array_add(diff->refused, refusal);
	return refusal;
}

static const char *first_reason(const KmItem *item)
{
	return item->reasons && item->reasons->len ? item->reasons->pdata[0] : "it differs";
}

static const char *last_reason(const KmItem *item)
{
	return item->reasons->pdata[item->reasons->len - 1];
}

static void judge_function(KmDiff *diff, const KmItem *item)
{
	const char *how = item->status == KM_NEW ? "new" : "changed";
	if (km_item_is_init(item))
		refuse(diff, item->name,
		       "%s: %s __init code, which has run and is gone (%s); do what it would do from a pre-patch "
		       "callback and leave it out of the patch, or have it left out with --ignore-init",
		       item->section->name, how, first_reason(item))
			->startup = g_strdup_printf("%s __init code", how);
	else if (km_item_is_exit(item))
		refuse(diff, item->name,
		       "%s: %s __exit code, which never runs in a live patch (%s); leave it out of the patch, or have "
		       "it left out with --ignore-init",
		       item->section->name, how, first_reason(item))
			->startup = g_strdup_printf("%s __exit code", how);
}

static const char *data_section(const KmItem *item)
{
	return item->section ? item->section->name : "COMMON";
}

/* Initial content is on one side only, or differs: a callback can bring it in. The value in use has had no other yet. */
static void refuse_value(KmDiff *diff, const KmItem *item, const char *section)
{
	char *skeleton = km_skeleton(item);
	refuse(diff, item->name,
	       "%s: data changed (%s), but the running kernel has its own copy in use; leave its definition as it is "
	       "and set the new value from a pre-patch callback%s, or keep new members in a shadow variable",
	       section, first_reason(item), skeleton ? " (--skeleton FILE writes one to start from)" : "")
		->skeleton = skeleton;
}

static gboolean names_function(const KmItem *item)
{
	const KmRef *refs = km_item_refs(item);
	for (guint i = 0; i < item->n_refs; i++)
		if (!refs[i].item || refs[i].item->kind == KM_ITEM_FUNCTION || refs[i].item->kind == KM_ITEM_OUTSIDE)
			return TRUE;
	return FALSE;
}

static gboolean only_startup_refers(const KmItem *item)
{
	for (guint i = 0; i < item->referrers->len; i++) {
		const KmItem *user = item->referrers->pdata[i];
		if (user->kind != KM_ITEM_FUNCTION || (!km_item_is_init(user) && !km_item_is_exit(user)))
			return FALSE;
	}
	return item->referrers->len > 0;
}

/* Rows that start-up code has looked up and that nothing calls: lists of machines and their quirks. Operations are kept by whom they are given to. */
static gboolean is_startup_table(const KmItem *item)
{
	return item->escape && only_startup_refers(item) && only_startup_refers(item->twin) && !names_function(item) &&
	       !names_function(item->twin);
}

static void judge_changed(KmDiff *diff, const KmItem *item, const char *section)
{
	if (is_startup_table(item)) {
		refuse(diff, item->name,
		       "%s: read-only data changed (%s), and only start-up or exit code uses it, which has run; set "
		       "what it "
		       "decides from a pre-patch callback and leave it out of the patch, or have it left out with "
		       "--ignore-init",
		       section, first_reason(item))
			->startup = g_strdup("changed read-only data of the start-up or exit code");
		return;
	}
	if (item->escape)
		refuse(diff, item->name,
		       "%s: read-only data changed (%s), and not only functions that can be replaced may use it: %s",
		       section, first_reason(item), item->escape);
	else if (item->moved)
		refuse(diff, item->name,
		       "%s (was %s): %s; make the changed functions use a new variable of another name", section,
		       data_section(item->twin), last_reason(item));
	else if (!km_item_is_writable(item))
		refuse(diff, item->name,
		       "%s: read-only data changed (%s), and code that is not patched would still see the old one; "
		       "make the changed functions use new data of another name",
		       section, first_reason(item));
	else if (item->size != item->twin->size)
		refuse(diff, item->name,
		       "%s: its size changes (%s), and the running kernel has room for the old one only; keep what is "
		       "new in "
		       "another variable, or in a shadow variable of each object",
		       section, first_reason(item));
	else if (km_items_same_bytes(item->twin, item) && g_str_has_prefix(first_reason(item), "alignment"))
		refuse(diff, item->name,
		       "%s: its alignment changes (%s), and the running kernel's stays where it is; leave the "
		       "alignment as it "
		       "is, or use a new variable of another name",
		       section, first_reason(item));
	else
		refuse_value(diff, item, section);
}

static void ignore(KmDiff *diff, const char *name, const char *why)
{
	char *text = g_strdup_printf("%s: %s", name, why);
	if (g_ptr_array_find_with_equal_func(diff->ignored, text, g_str_equal, NULL))
		g_free(text);
	else
		g_ptr_array_add(diff->ignored, text);
}

/*
 * Exports serve modules that are loaded later, and those of this kernel were built before the patch: none asks for a new export,
 * and whoever asks for one that the patch takes away or restricts still gets it. Other units of the same live patch are
 * bound to the function itself. An export whose meaning changes shows in its version, which is judged elsewhere.
 */
static void ignore_export(KmDiff *diff, const KmItem *item)
{
	ignore(diff, item->name,
	       "an export differs: the running kernel's exports stay as they are, and code of this live patch does not "
	       "need "
	       "them");
}

/* Aliases, descriptions, firmware: tools read them in the module's file, the loader once; no code of the kernel does later. */
static void ignore_information(KmDiff *diff, const KmItem *item)
{
	ignore(diff, item->section->name,
	       "module information (aliases, descriptions, names of firmware) differs: it was used when the module was "
	       "loaded, and nothing reads it after");
}

static gboolean is_information(const KmSection *section)
{
	return !strcmp(section->name, ".modinfo");
}

/* name: of the row, or of the section. how: the end of "section x ...". */
static void refuse_list(KmDiff *diff, const KmItem *item, const char *name, const char *how)
{
	const char *words;
	KmListKind kind = km_section_list(item->section, &words);
	const char *section = item->section->name;
	if (kind == KM_LIST_FORGIVEN)
		ignore(diff, section, words);
	else if (kind == KM_LIST_STARTUP)
		refuse(diff, name,
		       "section %s %s, and %s; leave that change out of the patch, or have it left out with "
		       "--ignore-init",
		       section, how, words)
			->startup = g_strdup("a record of the start-up code");
	else if (kind == KM_LIST_WALKED)
		refuse(diff, name, "section %s %s, and %s", section, how, words);
	else
		refuse(diff, name,
		       "section %s %s, and kmend does not know how to bring that into a running kernel; "
		       "leave that change out of the patch",
		       section, how);
}

/* Does it differ in a way in which only a list can differ? New global data of an unknown section may be plain data. */
static gboolean is_list_matter(const KmItem *item)
{
	const char *words;
	KmListKind kind = item->section ? km_section_list(item->section, &words) : KM_LIST_NONE;
	if (kind == KM_LIST_NONE)
		return FALSE;
	return words || (km_item_is_row(item) && (item->status != KM_NEW || item->symbol->bind == STB_LOCAL));
}

static void judge_data(KmDiff *diff, const KmItem *item)
{
	const char *section = data_section(item), *how = item->status == KM_NEW ? "new" : "changed";
	if (item->section && km_section_is_export(item->section))
		ignore_export(diff, item);
	else if (item->section && is_information(item->section))
		ignore_information(diff, item);
	else if (km_item_is_init(item) || km_item_is_exit(item))
		refuse(diff, item->name,
		       "%s: %s data of the start-up or exit code, which is no longer used; leave it out of the patch, "
		       "or have "
		       "it left out with --ignore-init",
		       section, how)
			->startup = g_strdup_printf("%s data of the start-up or exit code", how);
	else if (!strcmp(section, "__param"))
		refuse(diff, item->name,
		       "%s: a module parameter %s, but parameters were read when the kernel or module started; "
		       "leave it out of the patch, or have it left out with --ignore-init",
		       section, item->status == KM_NEW ? "is new" : "changed")
			->startup = g_strdup_printf("%s module parameter", how);
	else if (is_list_matter(item))
		refuse_list(diff, item, item->name,
			    item->status == KM_NEW ? "has a new row" : "has a row that changed");
	else if (item->status == KM_CHANGED)
		judge_changed(diff, item, section);
}

/* Rows that nothing but the walk over their list finds, and which it goes on finding. */
static void judge_removed_rows(KmDiff *diff, const KmSide *original)
{
	for (guint i = 0; i < original->items->len; i++) {
		const KmItem *item = original->items->pdata[i];
		if (item->status != KM_REMOVED || item->kind != KM_ITEM_DATA || !km_item_is_row(item))
			continue;
		refuse_list(diff, item, item->name, "lost a row");
	}
}

/* Sections of anonymous constants: a difference there shows in whatever refers to it. */
static gboolean seen_by_users(const KmItem *item)
{
	return item->kind == KM_ITEM_STRINGS || item->kind == KM_ITEM_MERGED || item->referrers->len ||
	       g_str_has_prefix(item->section->name, ".rodata") ||
	       g_str_has_prefix(item->section->name, ".data.rel.ro") || !strcmp(item->section->name, ".toc") ||
	       g_str_has_prefix(item->section->name, ".got");
}

static GPtrArray *watched_items(const KmSide *side)
{
	GPtrArray *items = g_ptr_array_new();
	for (guint i = 0; i < side->items->len; i++) {
		KmItem *item = side->items->pdata[i];
		if (item->section && item->size && item->kind == KM_ITEM_ANON && km_section_is_watched(item->section) &&
		    !seen_by_users(item))
			g_ptr_array_add(items, item);
	}
	return items;
}

/* Takes the first of items that says the same as wanted; FALSE when there is none. */
static gboolean take_equal(KmComparison *comparison, const KmItem *wanted, GPtrArray *items, gboolean swap)
{
	for (guint i = 0; i < items->len; i++) {
		const KmItem *item = items->pdata[i];
		if (strcmp(item->section->name, wanted->section->name))
			continue;
		if (swap ? km_items_equal(comparison, item, wanted) : km_items_equal(comparison, wanted, item)) {
			g_ptr_array_remove_index(items, i);
			return TRUE;
		}
	}
	return FALSE;
}

static gboolean is_startup(const KmItem *item)
{
	return km_item_is_init(item) || km_item_is_exit(item) || !strcmp(item->section->name, "__param");
}

static void refuse_section(KmDiff *diff, const KmItem *item, const char *how, GHashTable *seen)
{
	const char *name = item->section->name;
	if (!g_hash_table_add(seen, (gpointer)name))
		return;
	if (km_section_is_export(item->section))
		ignore_export(diff, item);
	else if (is_information(item->section))
		ignore_information(diff, item);
	else if (is_startup(item))
		refuse(diff, name,
		       "section %s %s, but it was used when the kernel or module started; leave that change out of the "
		       "patch, "
		       "or have it left out with --ignore-init",
		       name, how)
			->startup = g_strdup("a record of the start-up code");
	else
		refuse_list(diff, item, name, how);
}

static void judge_sections(KmDiff *diff, const KmSide *original, const KmSide *patched, KmComparison *comparison)
{
	g_autoptr(GPtrArray) before = watched_items(original), after = watched_items(patched);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < after->len; i++)
		if (!take_equal(comparison, after->pdata[i], before, TRUE))
			refuse_section(diff, after->pdata[i], "differs", seen);
	for (guint i = 0; i < before->len; i++)
		refuse_section(diff, before->pdata[i], "lost a record", seen);
}

/* Static locals of macros that only remember whether something was said or done: which of several is which does not matter. */
static gboolean is_any_as_good(const KmItem *item)
{
	static const char *const names[] = {
		"__already_done", "__warned",		"__print_once", "___done",    "___once_key", "_rs", "__key",
		"descriptor",	  "__UNIQUE_ID_ddebug", "_entry",	"_entry_ptr", "__once",	     NULL
	};
	const char *last = strrchr(item->base, '.');
	return g_strv_contains(names, item->base) || (last && g_strv_contains(names, last + 1));
}

static gboolean share_referrer(const KmItem *a, const KmItem *b)
{
	for (guint i = 0; i < a->referrers->len; i++)
		if (g_ptr_array_find(b->referrers, a->referrers->pdata[i], NULL))
			return TRUE;
	return FALSE;
}

/*
 * `static int n;` twice in one function, and one of the two is new or goes: the compiler numbers them as it likes, and nothing in
 * the objects tells which is which. The wrong choice would have the new code go on with the state of the other.
 */
static void judge_static_locals(KmDiff *diff, const KmSide *side, KmComparison *comparison, const char *how)
{
	for (guint i = 0; i < side->items->len; i++) {
		const KmItem *odd = side->items->pdata[i];
		if (odd->kind != KM_ITEM_DATA || odd->twin || !odd->symbol || odd->symbol->bind != STB_LOCAL ||
		    !km_item_is_writable(odd) || !km_name_is_numbered(odd->name) || is_any_as_good(odd))
			continue;
		for (guint k = 0; k < side->items->len; k++) {
			const KmItem *kept = side->items->pdata[k];
			if (kept->base != odd->base || !kept->twin || kept->kind != KM_ITEM_DATA ||
			    kept->size != odd->size || !share_referrer(odd, kept) ||
			    !km_content_equal(comparison, odd, 0, kept, 0))
				continue;
			refuse(diff, odd->name,
			       "%s: %s, and its function has another static variable of that name which stays: which "
			       "of them "
			       "is which cannot be told. Give the one in the patch another name",
			       data_section(odd), how);
			break;
		}
	}
}

static void refuse_alias(KmDiff *diff, const char *name, const KmItem *was, const KmItem *now)
{
	if (now->twin)
		refuse(diff, name,
		       "%s: the patch makes it another name of %s, but the running kernel has two functions; let it "
		       "call %s "
		       "instead",
		       was->section->name, now->name, now->name);
	else
		refuse(diff, name,
		       "%s: the running kernel has one function of two names, %s and %s, and the patch makes it two; "
		       "give "
		       "the new one another name, and change its callers",
		       was->section->name, name, was->name);
}

/*
 * `int b(int) __attribute__((alias("a")))` that comes or goes. Callers in other files go by the name, and it must lead to what
 * replaces the function they have called so far. All users of a static function are in this file, and change with it.
 */
static void judge_aliases(KmDiff *diff, const KmSide *original, const KmSide *patched)
{
	g_autoptr(GHashTable) before = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < original->object->symbols->len; i++) {
		const KmSymbol *symbol = original->object->symbols->pdata[i];
		KmItem *item = original->by_symbol[symbol->index];
		if (symbol->bind != STB_LOCAL && item && item->kind == KM_ITEM_FUNCTION)
			g_hash_table_insert(before, symbol->name, item);
	}
	for (guint i = 0; i < patched->object->symbols->len; i++) {
		const KmSymbol *symbol = patched->object->symbols->pdata[i];
		const KmItem *now = patched->by_symbol[symbol->index], *was = g_hash_table_lookup(before, symbol->name);
		if (symbol->bind != STB_LOCAL && was && now && now->kind == KM_ITEM_FUNCTION && was->twin != now &&
		    !was->body && !now->body)
			refuse_alias(diff, symbol->name, was, now);
	}
}

void km_refuse_changes(KmDiff *diff, const KmSide *original, const KmSide *patched, KmComparison *comparison)
{
	for (guint i = 0; i < patched->items->len; i++) {
		const KmItem *item = patched->items->pdata[i];
		if (item->status == KM_SAME || item->body)
			continue;
		if (item->kind == KM_ITEM_FUNCTION)
			judge_function(diff, item);
		else if (item->kind == KM_ITEM_DATA || item->kind == KM_ITEM_ANON)
			judge_data(diff, item);
	}
	judge_aliases(diff, original, patched);
	judge_static_locals(diff, patched, comparison, "it is new");
	judge_static_locals(diff, original, comparison, "it is gone");
	judge_removed_rows(diff, original);
	if (!km_same_btf_ids(original->object, patched->object))
		refuse(diff, ".BTF_ids",
		       "section .BTF_ids differs, and the numbers of types and functions in it are filled in when the "
		       "kernel "
		       "or module is linked; leave lists of BTF_ID() as they are");
	judge_sections(diff, original, patched, comparison);
}
