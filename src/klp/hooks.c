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
	g_free(hook);
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
static void annotate_no_landing_pad(Writer *w, const GPtrArray *hooks)
{
	KmSection *notes = km_object_find_section(w->object, ".discard.noendbr");
	if (!notes)
		notes = km_object_add_section(w->object, ".discard.noendbr", SHT_PROGBITS, SHF_ALLOC, 8);
	for (guint i = 0; i < hooks->len; i++) {
		guint64 at = km_section_append(notes, NULL, 8, 8);
		const KmHook *hook = hooks->pdata[i];
		km_section_add_reloc(notes, at, w->object->arch->abs64, hook->replacement, 0);
	}
}

/* The objects, vmlinux first (its name is NULL there), in order of appearance. */
static GPtrArray *objects_of(const GPtrArray *hooks)
{
	GPtrArray *objects = g_ptr_array_new();
	for (guint i = 0; i < hooks->len; i++) {
		char *name = ((const KmHook *)hooks->pdata[i])->object;
		if (g_ptr_array_find_with_equal_func(objects, name, g_str_equal, NULL))
			continue;
		g_ptr_array_insert(objects, strcmp(name, "vmlinux") ? -1 : 0, name);
	}
	return objects;
}

static guint64 put_objects(Writer *w, const GPtrArray *hooks)
{
	const KmLayout *l = w->layout;
	g_autoptr(GPtrArray) objects = objects_of(hooks);
	guint64 array = new_array(w, (gsize)l->object_size * (objects->len + 1));
	for (guint i = 0; i < objects->len; i++) {
		guint64 at = array + (guint64)l->object_size * i;
		const char *name = objects->pdata[i];
		if (strcmp(name, "vmlinux"))
			put_string(w, at + l->object_name, name);
		put_pointer(w, at + l->object_funcs, w->data_symbol, (gint64)put_functions(w, hooks, name));
	}
	return array;
}

gboolean km_hooks_write(KmObject *object, const KmLayout *layout, const GPtrArray *hooks, gboolean replace,
			GError **error)
{
	Writer w = { .object = object, .layout = layout };
	KmSymbol *this_module = km_object_find_symbol(object, "__this_module");
	KmSymbol *patch = km_object_find_symbol(object, KM_TEMPLATE_PATCH_SYMBOL);
	if (!this_module || !patch || patch->section)
		return km_fail(error,
			       "%s: the module template is damaged: remove the kernel's work directory and retry",
			       object->path);
	w.strings = km_object_add_section(object, ".rodata.kmend", SHT_PROGBITS, SHF_ALLOC, 1);
	w.data = km_object_add_section(object, ".data.kmend", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 32);
	w.string_symbol = km_object_section_symbol(object, w.strings);
	w.data_symbol = km_object_section_symbol(object, w.data);
	guint64 objects = put_objects(&w, hooks);
	annotate_no_landing_pad(&w, hooks);
	guint64 at = new_array(&w, layout->patch_size);
	put_pointer(&w, at + layout->patch_mod, this_module, 0);
	put_pointer(&w, at + layout->patch_objs, w.data_symbol, (gint64)objects);
	w.data->data->data[at + layout->patch_replace] = replace ? 1 : 0;
	patch->section = w.data;
	patch->value = at;
	patch->size = layout->patch_size;
	patch->type = STT_OBJECT;
	patch->bind = STB_LOCAL;
	km_section_sort_relocs(w.data);
	km_object_index_drop(object);
	return TRUE;
}
