/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/hooks.h"

#include <string.h>

#include "base/error.h"

typedef struct {
	KmObject *object;
	const KmLayout *layout;
	KmSection *strings, *data;
	KmSymbol *string_symbol, *data_symbol;
} Writer;

void km_hook_free(KmHook *hook)
{
	if (!hook)
		return;
	g_free(hook->object);
	g_free(hook->name);
	g_clear_pointer(&hook->old_parts, g_ptr_array_unref);
	g_clear_pointer(&hook->new_parts, g_ptr_array_unref);
	g_free(hook);
}

void km_old_part_free(KmOldPart *part)
{
	if (!part)
		return;
	g_free(part->section);
	g_free(part->name);
	g_free(part);
}

void km_callback_free(KmCallback *callback)
{
	if (!callback)
		return;
	g_free(callback->object);
	g_free(callback->source);
	g_free(callback);
}

void km_contents_init(KmContents *contents)
{
	contents->hooks = g_ptr_array_new_with_free_func((GDestroyNotify)km_hook_free);
	contents->callbacks = g_ptr_array_new_with_free_func((GDestroyNotify)km_callback_free);
	contents->states = g_array_new(FALSE, FALSE, sizeof(KmState));
	contents->called_in = g_ptr_array_new_with_free_func(g_free);
}

void km_contents_clear(KmContents *contents)
{
	g_clear_pointer(&contents->hooks, g_ptr_array_unref);
	g_clear_pointer(&contents->callbacks, g_ptr_array_unref);
	g_clear_pointer(&contents->states, g_array_unref);
	g_clear_pointer(&contents->called_in, g_ptr_array_unref);
}

static const KmCallback *find_callback(const KmContents *contents, const char *object, KmCallbackKind kind)
{
	for (guint i = 0; i < contents->callbacks->len; i++) {
		const KmCallback *callback = contents->callbacks->pdata[i];
		if (callback->kind == kind && !strcmp(callback->object, object))
			return callback;
	}
	return NULL;
}

gboolean km_contents_add_callback(KmContents *contents, KmCallback *callback, GError **error)
{
	const KmCallback *known = find_callback(contents, callback->object, callback->kind);
	if (!known) {
		g_ptr_array_add(contents->callbacks, callback);
		return TRUE;
	}
	km_refuse(error,
		  "two %s callbacks for %s, %s in %s and %s in %s: the kernel calls one for an object. Call both from "
		  "one "
		  "function",
		  km_callback_kind_name(known->kind), known->object, known->function->name, known->source,
		  callback->function->name, callback->source);
	km_callback_free(callback);
	return FALSE;
}

gboolean km_contents_add_state(KmContents *contents, const KmState *state, const char *source, GError **error)
{
	for (guint i = 0; i < contents->states->len; i++) {
		const KmState *known = &g_array_index(contents->states, KmState, i);
		if (known->id != state->id)
			continue;
		return known->version == state->version ||
		       km_refuse(error,
				 "%s: state %" G_GUINT64_FORMAT
				 " in version %u, but the patch has it in version %u too: a patch makes one version",
				 source, state->id, state->version, known->version);
	}
	g_array_append_val(contents->states, *state);
	return TRUE;
}

/* A pointer field at offset of the data. */
static void put_pointer(Writer *w, guint64 offset, KmSymbol *symbol, gint64 addend)
{
	km_section_add_reloc(w->data, offset, w->object->arch->abs64, symbol, addend);
}

static void put_string(Writer *w, guint64 offset, const char *text)
{
	guint64 at = km_section_append(w->strings, text, strlen(text) + 1, 1);
	put_pointer(w, offset, w->string_symbol, (gint64)at);
}

static guint64 new_array(Writer *w, gsize size)
{
	return km_section_append(w->data, NULL, size, 32);
}

/* The functions of one object, ended by an empty one. */
static guint64 put_functions(Writer *w, const GPtrArray *hooks, const char *object)
{
	const KmLayout *l = w->layout;
	guint count = 0;
	for (guint i = 0; i < hooks->len; i++)
		count += !strcmp(((const KmHook *)hooks->pdata[i])->object, object);
	guint64 array = new_array(w, (gsize)l->func_size * (count + 1)), at = array;
	for (guint i = 0; i < hooks->len; i++) {
		const KmHook *hook = hooks->pdata[i];
		if (strcmp(hook->object, object))
			continue;
		put_string(w, at + l->func_old_name, hook->name);
		put_pointer(w, at + l->func_new_func, hook->replacement, 0);
		km_object_put_u64(w->object, w->data->data->data + at + l->func_old_sympos, hook->sympos);
		at += l->func_size;
	}
	return array;
}

/*
 * A function that is never called through a pointer has no landing pad (ENDBR). The livepatch core enters it by a return, not by
 * an indirect branch, so it needs none: tell objtool, which would warn about our pointer to it.
 */
/* Callbacks, unlike those, are called through pointers, for which the compiler has given them one. */
void km_hooks_annotate(KmObject *object, const GPtrArray *hooks)
{
	KmSection *notes = km_object_find_section(object, ".discard.noendbr");
	if (!notes)
		notes = km_object_add_section(object, ".discard.noendbr", SHT_PROGBITS, SHF_ALLOC, 8);
	for (guint i = 0; i < hooks->len; i++) {
		guint64 at = km_section_append(notes, NULL, 8, 8);
		const KmHook *hook = hooks->pdata[i];
		km_section_add_reloc(notes, at, object->arch->abs64, hook->replacement, 0);
	}
}

static void add_object(GPtrArray *objects, char *name)
{
	if (!g_ptr_array_find_with_equal_func(objects, name, g_str_equal, NULL))
		g_ptr_array_insert(objects, strcmp(name, "vmlinux") ? -1 : 0, name);
}

/* The objects, vmlinux first (its name is NULL there), in order of appearance. */
static GPtrArray *objects_of(const KmContents *contents)
{
	GPtrArray *objects = g_ptr_array_new();
	for (guint i = 0; i < contents->hooks->len; i++)
		add_object(objects, ((const KmHook *)contents->hooks->pdata[i])->object);
	for (guint i = 0; i < contents->callbacks->len; i++)
		add_object(objects, ((const KmCallback *)contents->callbacks->pdata[i])->object);
	return objects;
}

/* An object with callbacks only has an empty array of functions: the kernel takes a missing one for the end of the objects. */
static guint64 put_objects(Writer *w, const KmContents *contents)
{
	const KmLayout *l = w->layout;
	g_autoptr(GPtrArray) objects = objects_of(contents);
	guint64 array = new_array(w, (gsize)l->object_size * (objects->len + 1));
	for (guint i = 0; i < objects->len; i++) {
		guint64 at = array + (guint64)l->object_size * i;
		const char *name = objects->pdata[i];
		if (strcmp(name, "vmlinux"))
			put_string(w, at + l->object_name, name);
		put_pointer(w, at + l->object_funcs, w->data_symbol, (gint64)put_functions(w, contents->hooks, name));
		for (guint kind = 0; kind < KM_N_CALLBACKS; kind++) {
			const KmCallback *callback = find_callback(contents, name, kind);
			if (callback)
				put_pointer(w, at + l->object_callbacks[kind], callback->function, 0);
		}
	}
	return array;
}

/* Ended by an empty one: no state has the id 0. */
static guint64 put_states(Writer *w, const GArray *states)
{
	const KmLayout *l = w->layout;
	guint64 array = new_array(w, (gsize)l->state_size * (states->len + 1));
	for (guint i = 0; i < states->len; i++) {
		const KmState *state = &g_array_index(states, KmState, i);
		guint8 *row = w->data->data->data + array + (guint64)l->state_size * i;
		km_object_put_u64(w->object, row + l->state_id, state->id);
		km_object_put_u32(w->object, row + l->state_version, state->version);
	}
	return array;
}

static gboolean start(Writer *w, KmSymbol *this_module, KmSymbol *patch, GError **error)
{
	KmObject *object = w->object;
	if (!this_module || !patch || patch->section)
		return km_fail(error,
			       "%s: the module template is damaged: remove the kernel's work directory and retry",
			       object->path);
	w->strings = km_object_add_section(object, ".rodata.kmend", SHT_PROGBITS, SHF_ALLOC, 1);
	w->data = km_object_add_section(object, ".data.kmend", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 32);
	w->string_symbol = km_object_section_symbol(object, w->strings);
	w->data_symbol = km_object_section_symbol(object, w->data);
	return TRUE;
}

gboolean km_hooks_write(KmObject *object, const KmLayout *layout, const KmContents *contents, GError **error)
{
	Writer w = { .object = object, .layout = layout };
	KmSymbol *this_module = km_object_find_symbol(object, "__this_module");
	KmSymbol *patch = km_object_find_symbol(object, KM_TEMPLATE_PATCH_SYMBOL);
	if (!start(&w, this_module, patch, error))
		return FALSE;
	guint64 objects = put_objects(&w, contents);
	km_hooks_annotate(object, contents->hooks);
	guint64 states = contents->states->len ? put_states(&w, contents->states) : 0;
	guint64 at = new_array(&w, layout->patch_size);
	put_pointer(&w, at + layout->patch_mod, this_module, 0);
	put_pointer(&w, at + layout->patch_objs, w.data_symbol, (gint64)objects);
	if (contents->states->len)
		put_pointer(&w, at + layout->patch_states, w.data_symbol, (gint64)states);
	w.data->data->data[at + layout->patch_replace] = contents->replace ? 1 : 0;
	patch->section = w.data;
	patch->value = at;
	patch->size = layout->patch_size;
	patch->type = STT_OBJECT;
	patch->bind = STB_LOCAL;
	km_section_sort_relocs(w.data);
	km_object_index_drop(object);
	return TRUE;
}
