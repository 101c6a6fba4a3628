/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every livepatch module of one kernel has in common: struct module, init and exit, modinfo, and the layout of the
 * kernel's livepatch structures. Compiled once per kernel from C (km_module_tools), because only the compiler knows how
 * this kernel's configuration lays them out.
 */
#pragma once

#include "diff/author.h"
#include "elf/object.h"

/* C text of the template: for the kernel's livepatch core, or (own) for kmend's own runtime. */
const char *km_template_source(gboolean own);

/*
 * Offsets and sizes in bytes, as the template's layout section lists them. The structures of the own runtime are the same everywhere
 * (image/patchdata.h): its template lists those of struct module and of versions only, and the rest here is 0.
 */
typedef struct {
	guint32 module_size, module_name, module_name_len;
	guint32 version_size, version_crc, version_name;
	guint32 func_size, func_old_name, func_new_func, func_old_sympos;
	guint32 object_size, object_name, object_funcs, object_callbacks[KM_N_CALLBACKS];
	guint32 state_size, state_id, state_version;
	guint32 patch_size, patch_mod, patch_objs, patch_states, patch_replace;
} KmLayout;

/* Read the layout out of the compiled template. */
gboolean km_template_layout(const KmObject *template_object, KmLayout *layout, GError **error);

#define KM_TEMPLATE_LAYOUT_SECTION ".kmend.layout"
#define KM_TEMPLATE_PATCH_SYMBOL "kmend_patch"
#define KM_TEMPLATE_MODULE_SECTION ".gnu.linkonce.this_module"
