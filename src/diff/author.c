/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diff/author.h"

#include <string.h>

#include "base/error.h"

#define POINTER 8

typedef struct Format Format;

/* One kind of section, and how its content is read. */
struct Format {
	const char *section;
	gboolean (*read)(KmAuthor *, KmObject *, const KmSection *, const Format *, GError **);
	guint stride; /* bytes from one row to the next; a row starts with its pointer */
	KmCallbackKind kind;
	gsize list; /* offset in KmAuthor of the list that the names go to */
};

const char *km_callback_kind_name(KmCallbackKind kind)
{
	static const char *const names[] = { "pre_patch", "post_patch", "pre_unpatch", "post_unpatch" };
	return names[kind];
}

void km_author_free(KmAuthor *author)
{
	if (!author)
		return;
	g_array_unref(author->states);
	g_ptr_array_unref(author->ignored_functions);
	g_ptr_array_unref(author->ignored_sections);
	g_ptr_array_unref(author->forced);
	g_free(author);
}

static KmAuthor *author_new(void)
{
	KmAuthor *author = g_new0(KmAuthor, 1);
	author->states = g_array_new(FALSE, FALSE, sizeof(KmState));
	author->ignored_functions = g_ptr_array_new_with_free_func(g_free);
	author->ignored_sections = g_ptr_array_new_with_free_func(g_free);
	author->forced = g_ptr_array_new_with_free_func(g_free);
	return author;
}

static GPtrArray *list_of(KmAuthor *author, const Format *format)
{
	return *(GPtrArray **)(void *)((char *)author + format->list);
}

/* ---- rows ---- */

static gboolean whole_rows(const KmObject *object, const KmSection *section, guint stride, GError **error)
{
	if (section->data && section->size % stride == 0)
		return TRUE;
	return km_refuse(error,
			 "%s: section %s (%" G_GUINT64_FORMAT " bytes) does not consist of rows of %u bytes: it is not "
			 "what kmend's headers make; include <kmend/kmend.h>",
			 object->path, section->name, section->size, stride);
}

/* The pointer at offset of section: its relocation, or NULL with error. */
static const KmReloc *pointer_at(const KmObject *object, const KmSection *section, guint64 offset, GError **error)
{
	gsize n;
	const KmReloc *r = km_section_relocs_in(section, offset, offset + POINTER, &n);
	if (n == 1 && r->offset == offset && r->type == object->arch->abs64)
		return r;
	km_refuse(error, "%s: section %s has no pointer at +0x%" G_GINT64_MODIFIER "x, where one is expected",
		  object->path, section->name, offset);
	return NULL;
}

static KmSymbol *function_at(KmObject *object, const KmSection *section, guint64 offset, GError **error)
{
	const KmReloc *r = pointer_at(object, section, offset, error);
	if (!r)
		return NULL;
	guint64 at = r->symbol->value + (guint64)r->addend;
	KmSymbol *f = r->symbol->section ? km_object_symbol_at(object, r->symbol->section, at) : NULL;
	if (f && f->type == STT_FUNC && f->value == at)
		return f;
	return km_refuse_null(
		error,
		"%s: section %s names %s, which is no function of this file; put the line for it into the "
		"file that defines it",
		object->path, section->name, *r->symbol->name ? r->symbol->name : "something");
}

/* The text at offset of section, up to its NUL; NULL with error when it has none. */
static const char *string_in(const KmObject *object, const KmSection *section, guint64 offset, GError **error)
{
	gsize size = section && section->data ? section->data->len : 0;
	const char *text = offset < size ? (const char *)section->data->data + offset : NULL;
	if (text && memchr(text, 0, size - offset))
		return text;
	return km_refuse_null(error, "%s: a name that kmend's headers put into the object is cut off", object->path);
}

/* ---- one reader for each format ---- */

static gboolean set_callback(KmAuthor *author, const KmObject *object, KmCallbackKind kind, KmSymbol *function,
			     GError **error)
{
	const KmSymbol *known = author->callbacks[kind];
	if (known)
		return km_refuse(
			error,
			"%s: two %s callbacks, %s and %s: the kernel calls one for an object. Call both from one "
			"function",
			object->path, km_callback_kind_name(kind), known->name, function->name);
	author->callbacks[kind] = function;
	return TRUE;
}

static gboolean read_callbacks(KmAuthor *author, KmObject *object, const KmSection *section, const Format *format,
			       GError **error)
{
	if (!whole_rows(object, section, format->stride, error))
		return FALSE;
	for (guint64 at = 0; at < section->size; at += format->stride) {
		KmSymbol *function = function_at(object, section, at, error);
		if (!function || !set_callback(author, object, format->kind, function, error))
			return FALSE;
	}
	return TRUE;
}

/* "__klp_pre_patch_callback_vmlinux": include/linux/livepatch_external.h of kernels that have klp-build. */
static gboolean kind_of_pointer(const char *name, KmCallbackKind *kind)
{
	for (guint k = 0; k < KM_N_CALLBACKS; k++) {
		g_autofree char *start = g_strdup_printf("__klp_%s_callback_", km_callback_kind_name(k));
		if (!g_str_has_prefix(name, start))
			continue;
		*kind = k;
		return TRUE;
	}
	return FALSE;
}

/* klp-build's pointers tell their kind by their own name. */
static gboolean read_named_pointers(KmAuthor *author, KmObject *object, const KmSection *section, const Format *format,
				    GError **error)
{
	if (!whole_rows(object, section, POINTER, error))
		return FALSE;
	for (guint64 at = 0; at < section->size; at += POINTER) {
		const KmSymbol *pointer = km_object_symbol_at(object, section, at);
		KmCallbackKind kind;
		if (!pointer || !kind_of_pointer(pointer->name, &kind))
			return km_refuse(error, "%s: section %s has a pointer %s, which is of no kind that kmend knows",
					 object->path, section->name, pointer ? pointer->name : "without a name");
		KmSymbol *function = function_at(object, section, at, error);
		if (!function || !set_callback(author, object, kind, function, error))
			return FALSE;
	}
	return TRUE;
}

static gint by_id(gconstpointer a, gconstpointer b)
{
	const KmState *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

static gboolean read_states(KmAuthor *author, KmObject *object, const KmSection *section, const Format *format,
			    GError **error)
{
	if (!whole_rows(object, section, format->stride, error))
		return FALSE;
	for (guint64 at = 0; at < section->size; at += format->stride) {
		const guint8 *row = section->data->data + at;
		guint64 id = km_object_get_u64(object, row), version = km_object_get_u64(object, row + POINTER);
		if (!id || version > G_MAXUINT32 || section->relocs->len)
			return km_refuse(error,
					 "%s: state %" G_GUINT64_FORMAT " in version %" G_GUINT64_FORMAT
					 ": the kernel wants an id that is not 0 and a version of 32 bits",
					 object->path, id, version);
		KmState state = { .id = id, .version = (guint32)version };
		g_array_append_val(author->states, state);
	}
	/* Compilers write variables in an order of their own. */
	g_array_sort(author->states, by_id);
	return TRUE;
}

static gboolean read_names(KmAuthor *author, KmObject *object, const KmSection *section, const Format *format,
			   GError **error)
{
	for (guint64 at = 0; at < section->size;) {
		const char *name = string_in(object, section, at, error);
		if (!name)
			return FALSE;
		g_ptr_array_add(list_of(author, format), g_strdup(name));
		at += strlen(name) + 1;
	}
	return TRUE;
}

static gboolean read_function_pointers(KmAuthor *author, KmObject *object, const KmSection *section,
				       const Format *format, GError **error)
{
	if (!whole_rows(object, section, POINTER, error))
		return FALSE;
	for (guint64 at = 0; at < section->size; at += POINTER) {
		const KmSymbol *function = function_at(object, section, at, error);
		if (!function)
			return FALSE;
		g_ptr_array_add(list_of(author, format), g_strdup(function->name));
	}
	return TRUE;
}

static gboolean read_string_pointers(KmAuthor *author, KmObject *object, const KmSection *section, const Format *format,
				     GError **error)
{
	if (!whole_rows(object, section, POINTER, error))
		return FALSE;
	for (guint64 at = 0; at < section->size; at += POINTER) {
		const KmReloc *r = pointer_at(object, section, at, error);
		const char *name =
			r ? string_in(object, r->symbol->section, r->symbol->value + (guint64)r->addend, error) : NULL;
		if (!name)
			return FALSE;
		g_ptr_array_add(list_of(author, format), g_strdup(name));
	}
	return TRUE;
}

#define LIST(member) .list = G_STRUCT_OFFSET(KmAuthor, member)

static const Format formats[] = {
	{ ".kmend.callbacks.pre_patch", read_callbacks, POINTER, KM_PRE_PATCH, 0 },
	{ ".kmend.callbacks.post_patch", read_callbacks, POINTER, KM_POST_PATCH, 0 },
	{ ".kmend.callbacks.pre_unpatch", read_callbacks, POINTER, KM_PRE_UNPATCH, 0 },
	{ ".kmend.callbacks.post_unpatch", read_callbacks, POINTER, KM_POST_UNPATCH, 0 },
	{ ".kmend.states", read_states, .stride = 2 * POINTER },
	{ ".kmend.ignore.functions", read_names, LIST(ignored_functions) },
	{ ".kmend.ignore.sections", read_names, LIST(ignored_sections) },
	{ ".kmend.force", read_names, LIST(forced) },
	/* kpatch-build's header: each callback with a place for the name of its object */
	{ ".kpatch.callbacks.pre_patch", read_callbacks, 2 * POINTER, KM_PRE_PATCH, 0 },
	{ ".kpatch.callbacks.post_patch", read_callbacks, 2 * POINTER, KM_POST_PATCH, 0 },
	{ ".kpatch.callbacks.pre_unpatch", read_callbacks, 2 * POINTER, KM_PRE_UNPATCH, 0 },
	{ ".kpatch.callbacks.post_unpatch", read_callbacks, 2 * POINTER, KM_POST_UNPATCH, 0 },
	{ ".kpatch.ignore.functions", read_function_pointers, LIST(ignored_functions) },
	{ ".kpatch.ignore.sections", read_string_pointers, LIST(ignored_sections) },
	{ ".kpatch.force", read_function_pointers, LIST(forced) },
	/* include/linux/livepatch_helpers.h */
	{ ".discard.klp_callback_ptrs", read_named_pointers, .stride = POINTER },
};

/* ---- taking ---- */

static const Format *format_of(const KmSection *section)
{
	for (gsize i = 0; i < G_N_ELEMENTS(formats); i++)
		if (!strcmp(formats[i].section, section->name))
			return &formats[i];
	return NULL;
}

static gboolean is_the_authors(const KmSection *section, gpointer unused)
{
	return format_of(section) != NULL;
}

static gboolean read_section(KmAuthor *author, KmObject *object, const KmSection *section, GError **error)
{
	const Format *format = format_of(section);
	if (format)
		return format->read(author, object, section, format, error);
	if (!g_str_has_prefix(section->name, ".kmend.") && !g_str_has_prefix(section->name, ".kpatch."))
		return TRUE;
	return km_refuse(
		error, "%s: section %s means something that this kmend does not know; use the names in <kmend/kmend.h>",
		object->path, section->name);
}

/* What stays must not refer to what goes: code that uses the variable behind a macro would read nothing. */
static gboolean check_unused(const KmObject *object, GError **error)
{
	for (guint i = 0; i < object->sections->len; i++) {
		const KmSection *section = object->sections->pdata[i];
		for (guint k = 0; !format_of(section) && k < section->relocs->len; k++) {
			const KmSymbol *symbol = g_array_index(section->relocs, KmReloc, k).symbol;
			if (symbol->section && format_of(symbol->section))
				return km_refuse(error,
						 "%s: %s refers to section %s, which is not part of a live patch",
						 object->path, section->name, symbol->section->name);
		}
	}
	return TRUE;
}

KmAuthor *km_author_take(KmObject *patched, GError **error)
{
	g_autoptr(KmAuthor) author = author_new();
	for (guint i = 0; i < patched->sections->len; i++)
		if (!read_section(author, patched, patched->sections->pdata[i], error))
			return NULL;
	if (!check_unused(patched, error))
		return NULL;
	km_object_drop_sections(patched, is_the_authors, NULL);
	return g_steal_pointer(&author);
}

/* ---- applying ---- */

static gboolean is_in(const GPtrArray *names, const char *name)
{
	return g_ptr_array_find_with_equal_func((GPtrArray *)names, name, g_str_equal, NULL);
}

static gboolean is_ignored_function(const KmAuthor *author, const char *name)
{
	const char *cold = km_name_is_cold_part(name) ? strstr(name, ".cold") : NULL;
	g_autofree char *whole = cold ? g_strndup(name, (gsize)(cold - name)) : g_strdup(name);
	return is_in(author->ignored_functions, whole);
}

static const char *section_of(const KmChange *change)
{
	const KmSymbol *symbol = change->patched ? change->patched : change->original;
	return symbol && symbol->section ? symbol->section->name : "";
}

static void forget_refusals(KmDiff *diff, const char *name)
{
	for (guint i = diff->refused->len; i-- > 0;)
		if (!strcmp(((const KmRefusal *)diff->refused->pdata[i])->name, name))
			g_ptr_array_remove_index(diff->refused, i);
}

/* What is new stays listed: something that is not ignored may need it. */
static void ignore_change(KmDiff *diff, GPtrArray *changes, guint index)
{
	const KmChange *change = changes->pdata[index];
	forget_refusals(diff, change->name);
	if (change->status == KM_NEW)
		return;
	g_ptr_array_add(diff->ignored, g_strdup_printf("%s differs, and the patch says to ignore it", change->name));
	g_ptr_array_remove_index(changes, index);
}

static void ignore_functions(const KmAuthor *author, KmDiff *diff)
{
	for (guint i = diff->functions->len; i-- > 0;) {
		const KmChange *change = diff->functions->pdata[i];
		if (change->status == KM_CHANGED && is_ignored_function(author, change->name))
			ignore_change(diff, diff->functions, i);
	}
}

static void ignore_section(const char *section, KmDiff *diff)
{
	GPtrArray *const lists[] = { diff->functions, diff->data };
	forget_refusals(diff, section);
	for (gsize l = 0; l < G_N_ELEMENTS(lists); l++)
		for (guint i = lists[l]->len; i-- > 0;)
			if (!strcmp(section_of(lists[l]->pdata[i]), section))
				ignore_change(diff, lists[l], i);
}

static void note_useless_names(const KmAuthor *author, const KmDiff *diff, GPtrArray *notes)
{
	for (guint i = 0; i < author->ignored_functions->len; i++) {
		const char *name = author->ignored_functions->pdata[i];
		const KmSymbol *symbol = km_object_find_symbol(diff->patched, name);
		if (!symbol || symbol->type != STT_FUNC)
			g_ptr_array_add(notes,
					g_strdup_printf("ignoring %s has no effect: the object has no function of that "
							"name (is it inlined everywhere?)",
							name));
	}
	for (guint i = 0; i < author->ignored_sections->len; i++) {
		const char *name = author->ignored_sections->pdata[i];
		if (km_special_find(name))
			g_ptr_array_add(notes,
					g_strdup_printf("ignoring %s has no effect: its rows go with the functions "
							"they belong to",
							name));
	}
	for (guint i = 0; i < author->forced->len; i++)
		g_ptr_array_add(notes,
				g_strdup_printf("forcing %s has no effect: the kernel's livepatch core waits until "
						"no task is in the old function",
						(const char *)author->forced->pdata[i]));
}

void km_author_apply(const KmAuthor *author, KmDiff *diff, GPtrArray *notes)
{
	ignore_functions(author, diff);
	for (guint i = 0; i < author->ignored_sections->len; i++)
		ignore_section(author->ignored_sections->pdata[i], diff);
	note_useless_names(author, diff, notes);
}
