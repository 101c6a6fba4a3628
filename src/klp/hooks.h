/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's struct klp_patch, klp_object and klp_func, written as data: include/linux/livepatch.h. */
#pragma once

#include "elf/object.h"
#include "klp/template.h"

/* Where code of the running kernel is that a live patch replaces: the function itself, or what the compiler moved out of line (.cold). */
typedef struct {
	char *section; /* of the module; NULL: of the kernel itself */
	char *name;
	guint64 address; /* in that section, or as the kernel was linked */
	guint index; /* of a symbol of that name and address in the module's own table; 0: of none */
	guint64 size;
} KmOldPart;

/* One function to redirect. */
typedef struct {
	char *object; /* "vmlinux" or a module */
	char *name;
	guint sympos;
	const KmSymbol *original; /* in its unit's object */
	KmSymbol *replacement; /* in the module under construction */
	/* For kmend's own runtime; else NULL. The function comes first. */
	GPtrArray *old_parts; /* of KmOldPart */
	GPtrArray *new_parts; /* of KmSymbol: the replacement, in the module under construction */
} KmHook;

void km_hook_free(KmHook *hook);
void km_old_part_free(KmOldPart *part);

/* One function that the kernel calls when the patch goes in or out of object. */
typedef struct {
	char *object; /* "vmlinux" or a module */
	KmCallbackKind kind;
	char *source; /* unit */
	KmSymbol *function; /* in the module under construction */
} KmCallback;

void km_callback_free(KmCallback *callback);

/* What a klp_patch consists of. */
typedef struct {
	GPtrArray *hooks; /* of KmHook */
	GPtrArray *callbacks; /* of KmCallback: at most one of a kind for an object */
	GArray *states; /* of KmState: at most one of an id */
	GPtrArray *called_in; /* of char*, "OWNER:SOURCE": units that no patch touches, whose functions call one that is replaced with them */
	gboolean replace; /* earlier live patches */
} KmContents;

void km_contents_init(KmContents *contents);
void km_contents_clear(KmContents *contents);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KmContents, km_contents_clear)

/* Add one; takes callback. Refused: a second of its kind for its object; another version of a state. */
gboolean km_contents_add_callback(KmContents *contents, KmCallback *callback, GError **error);
gboolean km_contents_add_state(KmContents *contents, const KmState *state, const char *source, GError **error);

/* Tell objtool that the replacements need no landing pad: nothing enters them by an indirect branch. */
void km_hooks_annotate(KmObject *object, const GPtrArray *hooks);

/* Add the structures for contents and define the template's patch symbol as them. */
gboolean km_hooks_write(KmObject *object, const KmLayout *layout, const KmContents *contents, GError **error);
