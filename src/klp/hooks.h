/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's struct klp_patch, klp_object and klp_func, written as data: include/linux/livepatch.h. */
#pragma once

#include "elf/object.h"
#include "klp/template.h"

/* One function to redirect. */
typedef struct {
	char *object; /* "vmlinux" or a module */
	char *name;
	guint sympos;
	KmSymbol *replacement; /* in the module under construction */
} KmHook;

void km_hook_free(KmHook *hook);

/* Add the structures for hooks (array of KmHook) and define the template's patch symbol as them. */
gboolean km_hooks_write(KmObject *object, const KmLayout *layout, const GPtrArray *hooks, gboolean replace,
			GError **error);
