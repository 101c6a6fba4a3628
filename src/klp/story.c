/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/story.h"

#include <string.h>

#include "base/json.h"
#include "kernel/inlines.h"
#include "klp/checks.h"
#include "klp/unitwork.h"

/* More causes than this do not help a reader. */
#define MAX_CAUSES 8

typedef struct {
	const KmUnitWork *work;
	const KmOverlay *overlay;
	const KmTouches *touches;
	const KmLink *link;
	KmInlines *inlines;
	const KmTouchedText *text; /* of the unit's source; NULL when the patch does not touch it */
} Teller;

static void cause_free(gpointer data)
{
	KmCause *cause = data;
	g_free(cause->through);
	g_free(cause->file);
	g_free(cause);
}

static void use_free(gpointer data)
{
	KmUse *use = data;
	g_free(use->name);
	g_free(use->object);
	g_free(use);
}

static void function_story_free(gpointer data)
{
	KmFunctionStory *story = data;
	g_free(story->name);
	g_ptr_array_unref(story->causes);
	g_ptr_array_unref(story->reasons);
	g_ptr_array_unref(story->uses);
	g_ptr_array_unref(story->checks);
	g_free(story);
}

static void unit_story_free(gpointer data)
{
	KmUnitStory *story = data;
	g_free(story->source);
	g_free(story->object);
	g_free(story->owner);
	g_ptr_array_unref(story->functions);
	g_ptr_array_unref(story->checks);
	g_ptr_array_unref(story->ignored);
	g_free(story);
}

/* ---- causes ---- */

static void add_cause(KmFunctionStory *story, const char *how, const char *through, const char *file, guint line)
{
	if (story->causes->len >= MAX_CAUSES)
		return;
	KmCause *cause = g_new0(KmCause, 1);
	*cause = (KmCause){ .how = how, .through = g_strdup(through), .file = g_strdup(file), .line = line };
	g_ptr_array_add(story->causes, cause);
}

/* The changed function that means symbol, or NULL. */
static const KmTouchedThing *touched_function(const Teller *t, const char *symbol)
{
	for (guint i = 0; i < t->touches->things->len; i++) {
		const KmTouchedThing *touched = t->touches->things->pdata[i];
		if (touched->thing->kind == KM_THING_FUNCTION && km_thing_is(touched->thing, symbol))
			return touched;
	}
	return NULL;
}

/* Is the touched thing named in the lines of a function, as far as we have its text? */
static gboolean is_named_in(const Teller *t, const KmTouchedThing *touched, const char *function)
{
	for (guint i = 0; i < t->touches->texts->len; i++) {
		const KmTouchedText *text = t->touches->texts->pdata[i];
		const KmThing *thing = km_outline_find(text->things, function);
		if (thing && thing->kind == KM_THING_FUNCTION &&
		    km_text_mentions(text->text, thing->first, thing->last, touched->thing->name))
			return TRUE;
	}
	return FALSE;
}

static const char *how_named(KmThingKind kind)
{
	static const char *const words[] = {
		[KM_THING_MACRO] = "macro", [KM_THING_TYPE] = "type", [KM_THING_DATA] = "data"
	};
	return (gsize)kind < G_N_ELEMENTS(words) ? words[kind] : NULL;
}

/* Macros, types and variables that the patch changes and the function, or what is inlined into it, names. */
static void find_named(const Teller *t, const char *root, const GPtrArray *inlined, KmFunctionStory *story)
{
	for (guint i = 0; i < t->touches->things->len; i++) {
		const KmTouchedThing *touched = t->touches->things->pdata[i];
		const char *how = how_named(touched->thing->kind);
		gboolean named = how && is_named_in(t, touched, root);
		for (guint k = 0; how && !named && k < inlined->len; k++)
			named = is_named_in(t, touched, ((const KmInlined *)inlined->pdata[k])->name);
		if (named)
			add_cause(story, how, touched->thing->name, touched->file->path, touched->line);
	}
}

static void find_causes(const Teller *t, const KmChange *change, const char *root, KmFunctionStory *story)
{
	const KmTouchedThing *own = touched_function(t, root);
	g_autoptr(GPtrArray) inlined = km_inlines_in(t->inlines, change->name);
	if (own)
		add_cause(story, "lines", NULL, own->file->path, own->line);
	for (guint i = 0; i < inlined->len; i++) {
		const KmInlined *inner = inlined->pdata[i];
		const KmTouchedThing *touched = touched_function(t, inner->name);
		if (touched && touched != own)
			add_cause(story, "inlined", inner->name, touched->file->path, touched->line);
	}
	if (!own)
		find_named(t, root, inlined, story);
	if (change->carried_for)
		add_cause(story, "caller", change->carried_for, NULL, 0);
	if (!story->causes->len)
		add_cause(story, "compiler", NULL, NULL, 0);
}

/* ---- uses ---- */

static gint by_use(gconstpointer a, gconstpointer b)
{
	const KmUse *x = *(const KmUse *const *)a, *y = *(const KmUse *const *)b;
	gint order = strcmp(x->name, y->name);
	return order ? order : g_strcmp0(x->object, y->object);
}

static gboolean is_known_use(const KmFunctionStory *story, const KmUse *use)
{
	for (guint i = 0; i < story->uses->len; i++) {
		const KmUse *known = story->uses->pdata[i];
		if (!strcmp(known->name, use->name) && !g_strcmp0(known->object, use->object) &&
		    known->sympos == use->sympos && known->offset == use->offset)
			return TRUE;
	}
	return FALSE;
}

/* A name for a place inside the live patch: its symbol's, else its section's. */
static char *inside_name(KmObject *object, const KmSection *section, gsize index)
{
	const KmReloc *r = &g_array_index(section->relocs, KmReloc, index);
	const KmSymbol *symbol = r->symbol;
	if (symbol->type == STT_SECTION) {
		gint64 at = object->arch->target_offset(section, index);
		symbol = at < 0 ? NULL : km_object_symbol_at(object, r->symbol->section, (guint64)at);
	}
	return g_strdup(symbol && *symbol->name ? symbol->name : r->symbol->section->name);
}

static KmUse *use_of(const Teller *t, const KmSection *section, gsize index)
{
	const KmSymbol *symbol = g_array_index(section->relocs, KmReloc, index).symbol;
	const KmRef *ref = symbol->section ? NULL : g_hash_table_lookup(t->link->refs, symbol->name);
	if (!symbol->section && !ref)
		return NULL;
	KmUse *use = g_new0(KmUse, 1);
	if (!ref) {
		*use = (KmUse){ .name = inside_name(t->link->object, section, index), .how = "inside" };
		return use;
	}
	gboolean klp = ref->kind == KM_REF_KLP;
	*use = (KmUse){ .name = g_strdup(ref->name), .how = klp ? "livepatch" : "import" };
	if (klp) {
		use->object = g_strdup(ref->object);
		use->sympos = ref->sympos;
		use->offset = ref->offset;
	}
	return use;
}

static void add_uses_of(const Teller *t, const KmSymbol *moved, KmFunctionStory *story)
{
	gsize n = 0;
	const KmSection *section = moved->section;
	const KmReloc *first = km_section_relocs_in(section, moved->value, moved->value + moved->size, &n);
	gsize start = n ? (gsize)(first - &g_array_index(section->relocs, KmReloc, 0)) : 0;
	for (gsize i = start; i < start + n; i++) {
		KmUse *use = use_of(t, section, i);
		if (use && !is_known_use(story, use))
			g_ptr_array_add(story->uses, use);
		else if (use)
			use_free(use);
	}
}

static gboolean belongs_to(const char *symbol, const char *function)
{
	gsize length = strlen(function);
	return !strncmp(symbol, function, length) &&
	       (!symbol[length] || (symbol[length] == '.' && km_name_is_cold_part(symbol)));
}

/* What the function and its cold part refer to. */
static void find_uses(const Teller *t, const KmChange *change, KmFunctionStory *story)
{
	const KmObject *extracted = t->work->extracted;
	for (guint i = 0; extracted && i < extracted->symbols->len; i++) {
		const KmSymbol *symbol = extracted->symbols->pdata[i];
		const KmSymbol *moved = symbol->section ? g_hash_table_lookup(t->link->moved, symbol) : NULL;
		if (moved && moved->section && belongs_to(symbol->name, change->name))
			add_uses_of(t, moved, story);
	}
	g_ptr_array_sort(story->uses, by_use);
}

/* ---- stories ---- */

static KmFunctionStory *tell_function(const Teller *t, const KmChange *change)
{
	KmFunctionStory *story = g_new0(KmFunctionStory, 1);
	g_autofree char *root = km_name_root(change->name);
	const KmThing *definition = t->text ? km_outline_find(t->text->things, root) : NULL;
	story->name = g_strdup(change->name);
	story->role = change->status == KM_NEW					 ? "new"
		      : g_hash_table_contains(t->work->carried, change->patched) ? "carried"
										 : "replaced";
	story->line = definition ? definition->first : 0;
	story->causes = g_ptr_array_new_with_free_func(cause_free);
	story->reasons = g_ptr_array_ref(change->reasons);
	story->uses = g_ptr_array_new_with_free_func(use_free);
	story->checks = g_ptr_array_new_with_free_func(g_free);
	find_causes(t, change, root, story);
	find_uses(t, change, story);
	km_checks_of_function(t->work->diff, change, story->checks);
	return story;
}

static void add_ignored(KmUnitStory *story, char *text)
{
	g_ptr_array_add(story->ignored, text);
}

static void tell_ignored(const KmUnitWork *work, KmUnitStory *story)
{
	const KmDiff *diff = work->diff;
	for (guint i = 0; i < diff->functions->len; i++) {
		const KmChange *change = diff->functions->pdata[i];
		if (change->status == KM_REMOVED && !km_name_is_cold_part(change->name))
			add_ignored(story,
				    g_strdup_printf("%s is gone from the source: the running kernel keeps it, unused",
						    change->name));
	}
	for (guint i = 0; i < diff->data->len; i++) {
		const KmChange *change = diff->data->pdata[i];
		if (change->status == KM_REMOVED && !km_section_is_record(change->original->section))
			add_ignored(story,
				    g_strdup_printf("%s is gone from the source: the running kernel keeps it, unused",
						    change->name));
	}
	for (guint i = 0; i < diff->ignored->len; i++)
		add_ignored(story, g_strdup(diff->ignored->pdata[i]));
}

static KmInlines *read_inlines(const KmUnit *unit)
{
	g_autofree char *text = NULL;
	if (unit->clones)
		g_file_get_contents(unit->clones, &text, NULL, NULL);
	return km_inlines_parse(text ? text : "");
}

static KmUnitStory *tell_unit(Teller *t)
{
	KmUnitStory *story = g_new0(KmUnitStory, 1);
	const KmUnit *unit = t->work->unit;
	story->source = g_strdup(unit->source);
	story->object = g_strdup(unit->object);
	story->owner = g_strdup(unit->owner);
	story->functions = g_ptr_array_new_with_free_func(function_story_free);
	story->checks = g_ptr_array_new_with_free_func(g_free);
	story->ignored = g_ptr_array_new_with_free_func(g_free);
	t->text = km_touches_text(t->touches, unit->source);
	t->inlines = read_inlines(unit);
	for (guint i = 0; i < t->work->diff->functions->len; i++) {
		const KmChange *change = t->work->diff->functions->pdata[i];
		if (change->status != KM_REMOVED && !change->init && !km_name_is_cold_part(change->name))
			g_ptr_array_add(story->functions, tell_function(t, change));
	}
	km_checks_of_data(t->work->diff, story->checks);
	tell_ignored(t->work, story);
	g_clear_pointer(&t->inlines, km_inlines_free);
	return story;
}

GPtrArray *km_stories_new(const GPtrArray *works, const KmOverlay *overlay, const KmLink *link, GError **error)
{
	g_autoptr(KmTouches) touches = km_touches_new(overlay, error);
	if (!touches)
		return NULL;
	GPtrArray *stories = g_ptr_array_new_with_free_func(unit_story_free);
	for (guint i = 0; i < works->len; i++) {
		Teller teller = { .work = works->pdata[i], .overlay = overlay, .touches = touches, .link = link };
		g_ptr_array_add(stories, tell_unit(&teller));
	}
	return stories;
}

/* ---- JSON ---- */

static json_t *texts_to_json(const GPtrArray *texts)
{
	json_t *list = json_array();
	for (guint i = 0; i < texts->len; i++)
		json_array_append_new(list, km_json_text(texts->pdata[i]));
	return list;
}

static json_t *cause_to_json(const KmCause *cause)
{
	json_t *json =
		json_pack("{s:s, s:s?, s:s?}", "how", cause->how, "through", cause->through, "file", cause->file);
	if (cause->line)
		json_object_set_new(json, "line", json_integer(cause->line));
	return json;
}

static json_t *use_to_json(const KmUse *use)
{
	json_t *json = json_pack("{s:s, s:s}", "name", use->name, "how", use->how);
	if (!use->object)
		return json;
	json_object_set_new(json, "object", json_string(use->object));
	json_object_set_new(json, "sympos", json_integer(use->sympos));
	if (use->offset)
		json_object_set_new(json, "offset", json_integer(use->offset));
	return json;
}

static json_t *function_to_json(const KmFunctionStory *story)
{
	json_t *causes = json_array(), *uses = json_array();
	for (guint i = 0; i < story->causes->len; i++)
		json_array_append_new(causes, cause_to_json(story->causes->pdata[i]));
	for (guint i = 0; i < story->uses->len; i++)
		json_array_append_new(uses, use_to_json(story->uses->pdata[i]));
	return json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "name", story->name, "role", story->role, "line",
			 (int)story->line, "causes", causes, "reasons", texts_to_json(story->reasons), "uses", uses,
			 "checks", texts_to_json(story->checks));
}

json_t *km_stories_to_json(const GPtrArray *stories)
{
	json_t *list = json_array();
	for (guint i = 0; i < stories->len; i++) {
		const KmUnitStory *story = stories->pdata[i];
		json_t *functions = json_array();
		for (guint k = 0; k < story->functions->len; k++)
			json_array_append_new(functions, function_to_json(story->functions->pdata[k]));
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "source", story->source,
						      "object", story->object, "owner", story->owner, "functions",
						      functions, "checks", texts_to_json(story->checks), "ignored",
						      texts_to_json(story->ignored)));
	}
	return list;
}
