/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "match/match.h"

#include "base/error.h"
#include "match/lay.h"
#include "match/place.h"

static void mismatch_free(gpointer p)
{
	KmMismatch *mismatch = p;
	g_free(mismatch->function);
	g_free(mismatch->why);
	g_free(mismatch);
}

static void lay_clear(KmLay *lay)
{
	g_free(lay->ignore);
	g_clear_pointer(&lay->sites, g_array_unref);
	g_clear_pointer(&lay->functions, g_array_unref);
	g_clear_pointer(&lay->bases, g_array_unref);
}

void km_match_free(KmMatch *match)
{
	if (!match)
		return;
	for (guint i = 0; i < match->plain->sections->len; i++)
		lay_clear(&match->lays[i]);
	g_free(match->lays);
	g_free(match->spots);
	g_free(match->differs);
	g_ptr_array_unref(match->overridden);
	g_ptr_array_unref(match->mismatches);
	g_hash_table_unref(match->places);
	km_ground_free(match->ground);
	g_free(match);
}

KmMatch *km_match_over(KmObject *plain, KmGround *ground, GError **error)
{
	g_autoptr(KmMatch) match = g_new0(KmMatch, 1);
	match->plain = plain;
	match->ground = ground;
	match->lays = g_new0(KmLay, plain->sections->len + 1);
	match->spots = g_new0(KmSpot, plain->symbols->len + 1);
	match->differs = g_new0(gboolean, plain->symbols->len + 1);
	match->overridden = g_ptr_array_new_with_free_func(g_free);
	match->mismatches = g_ptr_array_new_with_free_func(mismatch_free);
	match->places = g_hash_table_new_full(NULL, NULL, NULL, km_place_free);
	if (!km_lay_all(match, error))
		return NULL;
	if (!match->mismatches->len) {
		km_witness_all(match);
		km_witness_judge(match);
	}
	if (match->mismatches->len) {
		km_verdict_refuse(match, error);
		return NULL;
	}
	return g_steal_pointer(&match);
}

static gboolean same_arch(const KmObject *plain, const KmArch *arch, const char *path, GError **error)
{
	if (plain->arch == arch)
		return TRUE;
	return km_refuse(error, "%s is %s code, but %s is for %s: compile for that architecture", plain->path,
			 plain->arch->name, path, arch->name);
}

KmMatch *km_match_new(KmObject *plain, const char *owner, const KmImage *image, KmObject *module, GError **error)
{
	const char *path = module ? module->path : km_image_path(image);
	if (!same_arch(plain, module ? module->arch : km_image_arch(image), path, error))
		return NULL;
	return km_match_over(plain, module ? km_ground_module(module, owner) : km_ground_image(image), error);
}

const KmPlace *km_match_place(KmMatch *match, const KmSymbol *symbol, GError **error)
{
	KmPlace *place = symbol ? g_hash_table_lookup(match->places, symbol) : NULL;
	if (!symbol)
		return km_fail_null(error, "%s has no such symbol", match->plain->path);
	if (place)
		return place;
	place = km_place_new(match, symbol, error);
	if (place)
		g_hash_table_insert(match->places, (gpointer)symbol, place);
	return place;
}

guint km_match_compared(const KmMatch *match)
{
	return match->compared;
}

const GPtrArray *km_match_overridden(const KmMatch *match)
{
	return match->overridden;
}
