/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/checks.h"

#include <string.h>

/* ---- what a function calls ---- */

static gboolean is_part_of(const KmSymbol *symbol, const KmSymbol *function)
{
	if (symbol == function)
		return TRUE;
	gsize length = strlen(function->name);
	return symbol->type == STT_FUNC && !strncmp(symbol->name, function->name, length) &&
	       km_name_is_cold_part(symbol->name) && symbol->name[length] == '.';
}

static const KmSymbol *meant_by(KmObject *object, const KmSection *section, gsize index)
{
	const KmReloc *r = &g_array_index(section->relocs, KmReloc, index);
	if (r->symbol->type != STT_SECTION || !r->symbol->section)
		return r->symbol;
	gint64 at = object->arch->target_offset(section, index);
	return at < 0 ? NULL : km_object_symbol_at(object, r->symbol->section, (guint64)at);
}

static void count_calls_in(KmObject *object, const KmSymbol *part, GHashTable *calls)
{
	gsize n = 0;
	const KmReloc *first = km_section_relocs_in(part->section, part->value, part->value + part->size, &n);
	gsize start = n ? (gsize)(first - &g_array_index(part->section->relocs, KmReloc, 0)) : 0;
	for (gsize i = start; i < start + n; i++) {
		const KmSymbol *to = meant_by(object, part->section, i);
		if (!to || !*to->name || !km_arch_is_branch(object->arch, part->section, i))
			continue;
		guint count = GPOINTER_TO_UINT(g_hash_table_lookup(calls, to->name));
		g_hash_table_insert(calls, to->name, GUINT_TO_POINTER(count + 1));
	}
}

/* Name -> how often it is called, cold part included. */
static GHashTable *calls_of(KmObject *object, const KmSymbol *function)
{
	GHashTable *calls = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; function && i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		if (symbol->section && is_part_of(symbol, function))
			count_calls_in(object, symbol, calls);
	}
	return calls;
}

/* ---- locks ---- */

/* mutex_lock, _raw_spin_unlock_irq, rcu_read_lock, down_write, up_read. */
static gboolean is_locking(const char *name)
{
	static const char *const words[] = { "lock", "unlock", "trylock", "relock", NULL };
	if (g_str_has_prefix(name, "down_") || g_str_has_prefix(name, "up_") || !strcmp(name, "down") ||
	    !strcmp(name, "up"))
		return TRUE;
	g_auto(GStrv) parts = g_strsplit(name, "_", -1);
	for (char **part = parts; *part; part++)
		if (g_strv_contains(words, *part))
			return TRUE;
	return FALSE;
}

static gint by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

/* "+1 mutex_lock, -1 mutex_unlock", or NULL when both lock alike. */
static char *locking_difference(GHashTable *before, GHashTable *after)
{
	g_autoptr(GHashTable) all = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GString) words = g_string_new(NULL);
	GHashTable *const both[] = { before, after };
	for (guint i = 0; i < G_N_ELEMENTS(both); i++) {
		GHashTableIter iter;
		gpointer name;
		g_hash_table_iter_init(&iter, both[i]);
		while (g_hash_table_iter_next(&iter, &name, NULL))
			if (is_locking(name))
				g_hash_table_add(all, name);
	}
	GList *names = g_list_sort(g_hash_table_get_keys(all), by_text);
	for (GList *n = names; n; n = n->next) {
		gint was = GPOINTER_TO_INT(g_hash_table_lookup(before, n->data));
		gint now = GPOINTER_TO_INT(g_hash_table_lookup(after, n->data));
		if (was != now)
			g_string_append_printf(words, "%s%+d %s", words->len ? ", " : "", now - was, (char *)n->data);
	}
	g_list_free(names);
	return words->len ? g_strdup(words->str) : NULL;
}

/* ---- waiting ---- */

static const char *first_called(GHashTable *calls, const char *const *prefixes)
{
	GHashTableIter iter;
	gpointer name;
	const char *found = NULL;
	g_hash_table_iter_init(&iter, calls);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		for (const char *const *p = prefixes; *p; p++)
			if (g_str_has_prefix(name, *p) && (!found || strcmp(name, found) < 0))
				found = name;
	return found;
}

static const char *thread_call(GHashTable *calls)
{
	static const char *const names[] = { "kthread_should_", "kthread_freezable_should_", "__kthread_should_",
					     NULL };
	return first_called(calls, names);
}

static const char *waiting_call(GHashTable *calls)
{
	static const char *const names[] = { "schedule",   "io_schedule", "wait_for_completion",  "prepare_to_wait",
					     "wait_woken", "msleep",	  "out_of_line_wait_on_", "usleep_range",
					     NULL };
	return first_called(calls, names);
}

/* ---- addresses ---- */

/* The function that takes function's address, or the data that holds it; NULL: nobody does. */
static const char *address_taker(KmObject *object, const KmSymbol *function)
{
	for (guint s = 0; s < object->sections->len; s++) {
		const KmSection *section = object->sections->pdata[s];
		if (!(section->flags & SHF_ALLOC) || km_section_is_about_code(section))
			continue;
		for (guint i = 0; i < section->relocs->len; i++) {
			if (meant_by(object, section, i) != function || km_arch_is_branch(object->arch, section, i))
				continue;
			guint64 at = g_array_index(section->relocs, KmReloc, i).offset;
			const KmSymbol *by = km_object_symbol_at(object, section, at);
			return by ? by->name : section->name;
		}
	}
	return NULL;
}

static void G_GNUC_PRINTF(2, 3) add(GPtrArray *checks, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	g_ptr_array_add(checks, g_strdup_vprintf(format, args));
	va_end(args);
}

static void check_changed(const KmDiff *diff, const KmChange *change, GHashTable *after, GPtrArray *checks)
{
	g_autoptr(GHashTable) before = calls_of(diff->original, change->original);
	g_autofree char *locking = locking_difference(before, after);
	const char *thread = thread_call(after), *waits = waiting_call(after);
	if (locking)
		add(checks,
		    "it locks differently (%s): until every task has switched, old and new code run side by side, so "
		    "both "
		    "must keep one order of locks and guard the same data",
		    locking);
	if (thread)
		add(checks,
		    "it calls %s: a kernel thread that never leaves this function keeps the old code, and the "
		    "transition "
		    "waits for it",
		    thread);
	else if (waits)
		add(checks, "it waits (%s): the transition takes as long as tasks sleep in it", waits);
}

void km_checks_of_function(const KmDiff *diff, const KmChange *change, GPtrArray *checks)
{
	if (!change->patched)
		return;
	g_autoptr(GHashTable) after = calls_of(diff->patched, change->patched);
	const char *taker = change->status == KM_NEW ? address_taker(diff->patched, change->patched) : NULL;
	if (change->status == KM_CHANGED)
		check_changed(diff, change, after, checks);
	if (taker)
		add(checks,
		    "%s takes the address of this new function: whoever keeps it (a timer, a work item, a table of "
		    "operations) would call into the live patch after it is removed; cancel it from a post-unpatch "
		    "callback",
		    taker);
}

void km_checks_of_data(const KmDiff *diff, GPtrArray *checks)
{
	for (guint i = 0; i < diff->data->len; i++) {
		const KmChange *change = diff->data->pdata[i];
		const KmSection *section = change->patched ? change->patched->section : NULL;
		if (change->status != KM_NEW || change->init || !section || !(section->flags & SHF_WRITE) ||
		    km_section_is_record(section) || km_special_find(section->name) || *change->name == '.')
			continue;
		add(checks,
		    "new variable %s starts with its initial value when the live patch is loaded, and is gone when it "
		    "is "
		    "removed; nothing that lives longer may point to it",
		    change->name);
	}
}
