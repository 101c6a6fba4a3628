/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which types and prototypes of two objects differ, in words. */
#include <string.h>

#include "types/internal.h"

/* More differences of one type than this are counted. */
#define MAX_SHOWN 4

static void change_free(KmTypeChange *change)
{
	g_free(change->name);
	g_free(change->place);
	g_ptr_array_unref(change->what);
	g_free(change);
}

static KmTypeChange *change_new(const char *name, const char *place)
{
	KmTypeChange *change = g_new0(KmTypeChange, 1);
	change->name = g_strdup(name);
	change->place = g_strdup(place);
	change->what = g_ptr_array_new_with_free_func(g_free);
	return change;
}

static void G_GNUC_PRINTF(2, 3) say(KmTypeChange *change, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	g_ptr_array_add(change->what, g_strdup_vprintf(format, args));
	va_end(args);
}

static const KmMember *find_member(const KmType *type, const char *name)
{
	for (guint i = 0; *name && i < type->members->len; i++) {
		const KmMember *member = type->members->pdata[i];
		if (!strcmp(member->name, name))
			return member;
	}
	return NULL;
}

static gboolean same_memory(const KmMember *a, const KmMember *b)
{
	return a->offset == b->offset && a->bits == b->bits && a->size == b->size && !strcmp(a->key, b->key);
}

/* The member of other that lies where member does and bears a name that type does not know: then it was renamed. */
static const KmMember *find_renamed(const KmType *type, const KmMember *member, const KmType *other)
{
	for (guint i = 0; i < other->members->len; i++) {
		const KmMember *candidate = other->members->pdata[i];
		if (same_memory(member, candidate) && !find_member(type, candidate->name))
			return candidate;
	}
	return NULL;
}

/* "16", or "16 bit 3". */
static char *position(const KmMember *member)
{
	if (!member->bits && member->offset % 8 == 0)
		return g_strdup_printf("%" G_GUINT64_FORMAT, member->offset / 8);
	return g_strdup_printf("%" G_GUINT64_FORMAT " bit %" G_GUINT64_FORMAT, member->offset / 8, member->offset % 8);
}

static void compare_member(KmTypeChange *change, const KmMember *was, const KmMember *now)
{
	g_autofree char *from = position(was), *to = position(now);
	if (was->offset != now->offset)
		say(change, "member %s at %s -> %s", was->name, from, to);
	if (was->bits != now->bits)
		say(change, "member %s has %" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT " bits", was->name,
		    was->bits ? was->bits : was->size * 8, now->bits ? now->bits : now->size * 8);
	if (strcmp(was->key, now->key))
		say(change, "member %s is %s -> %s", was->name, was->shown, now->shown);
	else if (was->size != now->size)
		say(change, "member %s has %" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT " bytes", was->name, was->size,
		    now->size);
}

/* What is new comes first: it is why the rest moved. */
static void compare_members(KmTypeChange *change, const KmType *original, const KmType *patched)
{
	for (guint i = 0; i < patched->members->len; i++) {
		const KmMember *now = patched->members->pdata[i];
		g_autofree char *at = position(now);
		if (*now->name && !find_member(original, now->name) && !find_renamed(patched, now, original))
			say(change, "member %s at %s is new", now->name, at);
	}
	for (guint i = 0; i < original->members->len; i++) {
		const KmMember *was = original->members->pdata[i];
		const KmMember *now = find_member(patched, was->name);
		g_autofree char *at = position(was);
		if (now)
			compare_member(change, was, now);
		else if (*was->name && !find_renamed(original, was, patched))
			say(change, "member %s at %s is gone", was->name, at);
	}
}

static gboolean has_value(const KmType *type, guint64 value)
{
	for (guint i = 0; i < type->members->len; i++)
		if (((const KmMember *)type->members->pdata[i])->offset == value)
			return TRUE;
	return FALSE;
}

static void compare_enumerators(KmTypeChange *change, const KmType *original, const KmType *patched)
{
	for (guint i = 0; i < original->members->len; i++) {
		const KmMember *was = original->members->pdata[i];
		const KmMember *now = find_member(patched, was->name);
		if (now && now->offset != was->offset)
			say(change, "%s is %" G_GINT64_FORMAT " -> %" G_GINT64_FORMAT, was->name, (gint64)was->offset,
			    (gint64)now->offset);
		else if (!now && !has_value(patched, was->offset))
			say(change, "%s (%" G_GINT64_FORMAT ") is gone", was->name, (gint64)was->offset);
	}
}

static KmTypeChange *compare_type(const KmType *original, const KmType *patched)
{
	KmTypeChange *change = change_new(patched->name, patched->place);
	if (original->size != patched->size)
		say(change, "size %" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT, original->size, patched->size);
	if (patched->is_enum)
		compare_enumerators(change, original, patched);
	else
		compare_members(change, original, patched);
	if (change->what->len)
		return change;
	change_free(change);
	return NULL;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
	return strcmp((*(const KmTypeChange *const *)a)->name, (*(const KmTypeChange *const *)b)->name);
}

GPtrArray *km_types_compare(const KmTypes *original, const KmTypes *patched)
{
	GPtrArray *changes = g_ptr_array_new_with_free_func((GDestroyNotify)change_free);
	GHashTableIter iter;
	gpointer name, value;
	g_hash_table_iter_init(&iter, patched->types);
	while (g_hash_table_iter_next(&iter, &name, &value)) {
		const KmType *was = g_hash_table_lookup(original->types, name);
		KmTypeChange *change = was ? compare_type(was, value) : NULL;
		if (change)
			g_ptr_array_add(changes, change);
	}
	g_ptr_array_sort(changes, by_name);
	return changes;
}

GPtrArray *km_types_compare_functions(const KmTypes *original, const KmTypes *patched)
{
	GPtrArray *changes = g_ptr_array_new_with_free_func((GDestroyNotify)change_free);
	GHashTableIter iter;
	gpointer name, value;
	g_hash_table_iter_init(&iter, patched->functions);
	while (g_hash_table_iter_next(&iter, &name, &value)) {
		const KmPrototype *was = g_hash_table_lookup(original->functions, name), *now = value;
		if (!was || !strcmp(was->key, now->key))
			continue;
		KmTypeChange *change = change_new(name, now->place);
		say(change, "%s -> %s", was->shown, now->shown);
		g_ptr_array_add(changes, change);
	}
	g_ptr_array_sort(changes, by_name);
	return changes;
}

char *km_type_change_text(const KmTypeChange *change)
{
	g_autoptr(GString) text = g_string_new(change->name);
	if (*change->place)
		g_string_append_printf(text, " (%s)", change->place);
	for (guint i = 0; i < change->what->len && i < MAX_SHOWN; i++)
		g_string_append_printf(text, "%s%s", i ? ", " : ": ", (const char *)change->what->pdata[i]);
	if (change->what->len > MAX_SHOWN)
		g_string_append_printf(text, " and %u more", change->what->len - MAX_SHOWN);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

gboolean km_type_change_is(const KmTypeChange *change, const char *name)
{
	const char *blank = strchr(change->name, ' ');
	return !strcmp(change->name, name) || (blank && !strcmp(blank + 1, name));
}

gboolean km_types_agree(const KmTypes *original, const KmTypes *patched, const char *name)
{
	const KmType *was = g_hash_table_lookup(original->types, name),
		     *now = g_hash_table_lookup(patched->types, name);
	const KmPrototype *from = g_hash_table_lookup(original->functions, name);
	const KmPrototype *to = g_hash_table_lookup(patched->functions, name);
	if (from && to)
		return !strcmp(from->key, to->key);
	KmTypeChange *change = was && now ? compare_type(was, now) : NULL;
	gboolean agree = was && now && !change;
	g_clear_pointer(&change, change_free);
	return agree;
}
