/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only counts when the kernel or a module starts or leaves: left out of a live patch on the author's word. */
#include <string.h>

#include "diff/diff.h"

static gboolean is_named(const KmChange *change, GHashTable *names)
{
	return change->init || g_hash_table_contains(names, change->name);
}

static void forget(GPtrArray *changes, GHashTable *names)
{
	for (guint i = changes->len; i-- > 0;)
		if (is_named(changes->pdata[i], names))
			g_ptr_array_remove_index(changes, i);
}

/* Is all of it zero when the live patch is loaded? Then it is likely that somebody has to set it before it is used. */
static gboolean starts_as_zero(const KmSymbol *symbol)
{
	const GByteArray *data = symbol->section->data;
	for (guint64 i = symbol->value; data && i < symbol->value + symbol->size && i < data->len; i++)
		if (data->data[i])
			return FALSE;
	gsize n;
	km_section_relocs_in(symbol->section, symbol->value, symbol->value + symbol->size, &n);
	return n == 0;
}

static gboolean is_in_startup(const KmSection *section)
{
	return g_str_has_prefix(section->name, ".init.") || g_str_has_prefix(section->name, ".exit.");
}

static gboolean refers_to(const KmSection *section, gsize index, const KmObject *object, const KmSymbol *datum)
{
	const KmSymbol *symbol = g_array_index(section->relocs, KmReloc, index).symbol;
	if (!symbol || symbol->section != datum->section)
		return FALSE;
	guint64 at = symbol->value + (guint64)object->arch->target_offset(section, index);
	return symbol == datum || (at >= datum->value && at - datum->value < MAX(datum->size, 1));
}

/* Does code that is left out use it, and code that stays as well? */
static gboolean is_shared_with_startup(const KmObject *object, const KmSymbol *datum)
{
	gboolean startup = FALSE, stays = FALSE;
	for (guint i = 0; i < object->sections->len; i++) {
		const KmSection *section = object->sections->pdata[i];
		if (!(section->flags & SHF_EXECINSTR))
			continue;
		for (guint k = 0; k < section->relocs->len; k++)
			if (refers_to(section, k, object, datum))
				*(is_in_startup(section) ? &startup : &stays) = TRUE;
	}
	return startup && stays;
}

/*
 * `static struct kmem_cache *cache;` that new start-up code would set and changed code uses: without the one the other goes wrong.
 */
static void refuse_unset(KmDiff *diff)
{
	for (guint i = 0; i < diff->data->len; i++) {
		const KmChange *change = diff->data->pdata[i];
		const KmSymbol *datum = change->patched;
		if (change->status != KM_NEW || !datum || !datum->section || !(datum->section->flags & SHF_WRITE) ||
		    km_special_find(datum->section->name) || !starts_as_zero(datum) ||
		    !is_shared_with_startup(diff->patched, datum))
			continue;
		KmRefusal *refusal = g_new0(KmRefusal, 1);
		refusal->name = g_strdup(change->name);
		refusal->why = g_strdup_printf(
			"%s: new data that start-up or exit code uses, which is left out, and code that "
			"stays as well: nothing would set it; set it from a pre-patch callback in the "
			"same file (KMEND_PRE_PATCH of <kmend/kmend.h>)",
			datum->section->name);
		g_ptr_array_add(diff->refused, refusal);
	}
}

void km_diff_leave_out_startup(KmDiff *diff, gboolean has_callbacks)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < diff->refused->len;) {
		const KmRefusal *refusal = diff->refused->pdata[i];
		if (!refusal->startup) {
			i++;
			continue;
		}
		g_hash_table_add(names, g_strdup(refusal->name));
		g_ptr_array_add(diff->ignored, g_strdup_printf("%s: %s, left out as --ignore-init asks", refusal->name,
							       refusal->startup));
		g_ptr_array_remove_index(diff->refused, i);
	}
	forget(diff->functions, names);
	forget(diff->data, names);
	if (!has_callbacks && g_hash_table_size(names))
		refuse_unset(diff);
}
