/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From an address of the ground to a name that the kernel's livepatch loader finds: object, name, position. */
#include "match/lay.h"

#include <string.h>

#include "base/error.h"
#include "match/place.h"

void km_place_free(gpointer p)
{
	KmPlace *place = p;
	if (!place)
		return;
	g_free(place->object);
	g_free(place->name);
	g_free(place);
}

/* Without the numbers that the compiler appended: "state.12" and "state.7" are both "state". */
static gsize stem_length(const char *name)
{
	gsize length = strlen(name);
	for (;;) {
		gsize i = length;
		while (i > 0 && g_ascii_isdigit(name[i - 1]))
			i--;
		if (i == length || i < 2 || name[i - 1] != '.')
			return length;
		length = i - 1;
	}
}

/* How well a name at the right address suits: the address alone is proof, so any does, but the own name reads best. */
static guint suitability(const char *candidate, const char *wanted)
{
	if (strcmp(candidate, wanted) == 0)
		return 2;
	gsize length = stem_length(wanted);
	return stem_length(candidate) == length && strncmp(candidate, wanted, length) == 0;
}

gboolean km_place_suits(const char *candidate, const char *wanted)
{
	return suitability(candidate, wanted) > 0;
}

static gboolean name_exactly(const KmMatch *match, const KmSymbol *symbol, guint64 address, KmPlace *place,
			     GError **error)
{
	g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(KmName));
	g_autoptr(GError) why = NULL;
	match->ground->ops->names_at(match->ground, address, names);
	for (gint wanted = 2; wanted >= 0; wanted--)
		for (guint i = 0; i < names->len; i++) {
			const KmName *name = &g_array_index(names, KmName, i);
			if (suitability(name->name, symbol->name) != (guint)wanted)
				continue;
			g_clear_error(&why);
			if (match->ground->ops->identify(match->ground, name, place, &why))
				return TRUE;
		}
	if (why)
		g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

/* Data without a name of its own: from the nearest name below, if that belongs to the same block of the same unit. */
static gboolean name_nearby(const KmMatch *match, const KmSymbol *symbol, guint64 address, KmPlace *place,
			    GError **error)
{
	KmName name;
	if (!symbol->section || symbol->bind == STB_WEAK || km_section_is_text(symbol->section) ||
	    !match->ground->ops->name_below(match->ground, address, &name) ||
	    name.address < match->lays[symbol->section->index].spot.address)
		return km_refuse(error, "%s: %s lies at 0x%" G_GINT64_MODIFIER "x of %s, where nothing has a name",
				 match->plain->path, *symbol->name ? symbol->name : "a section", address,
				 match->ground->owner);
	if (!match->ground->ops->identify(match->ground, &name, place, error))
		return FALSE;
	place->offset = (gint64)(address - name.address);
	place->address += (guint64)place->offset;
	return TRUE;
}

/* Where it lives, if it still does once the kernel or module has started. */
static gboolean lasting_address(const KmMatch *match, const KmSymbol *symbol, guint64 *address, GError **error)
{
	if (!km_witness_address(match, symbol, address, error))
		return FALSE;
	return !match->ground->ops->is_init(match->ground, *address) ||
	       km_refuse(error, "%s: %s lies in init memory of %s, which is freed after start", match->plain->path,
			 *symbol->name ? symbol->name : symbol->section->name, match->ground->owner);
}

gboolean km_match_address(const KmMatch *match, const KmSymbol *symbol, guint64 *address, GError **error)
{
	if (!strcmp(match->ground->owner, "vmlinux"))
		return lasting_address(match, symbol, address, error);
	return km_refuse(error, "%s: %s of module %s has no address before it is loaded", match->plain->path, symbol->name,
			 match->ground->owner);
}

static void judge_entry(KmGround *ground, guint64 address, guint64 size, KmPlace *place)
{
	gboolean has = ground->ops->is_patchable(ground, address, size);
	place->ambiguous = has && ground->ops->is_ambiguous && ground->ops->is_ambiguous(ground, address, size);
	place->patchable = has && !place->ambiguous;
}

KmPlace *km_place_new(const KmMatch *match, const KmSymbol *symbol, GError **error)
{
	guint64 address;
	if (!lasting_address(match, symbol, &address, error))
		return NULL;
	KmPlace *place = g_new0(KmPlace, 1);
	place->symbol = symbol;
	g_autoptr(GError) why = NULL;
	if (!name_exactly(match, symbol, address, place, &why) &&
	    (why || !name_nearby(match, symbol, address, place, &why))) {
		g_propagate_error(error, g_steal_pointer(&why));
		km_place_free(place);
		return NULL;
	}
	if (symbol->type == STT_FUNC && symbol->section)
		judge_entry(match->ground, address, symbol->size, place);
	return place;
}
