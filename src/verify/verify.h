/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The finished live patch, checked by an independent path: read back as the kernel's loader reads it, every reference resolved
 * against the image and the stock modules, and, where the compiled units are at hand, compared with what they say. Shares nothing
 * with the room that writes modules, so that one mistake does not hide the other.
 */
#pragma once

#include <jansson.h>

#include "elf/object.h"
#include "image/image.h"
#include "kernel/kernel.h"
#include "kernel/unit.h"

/* Something wrong with the module. */
typedef struct {
	char *where; /* ".text.foo+0x12", "klp_func vmlinux:foo" */
	char *what;
} KmFinding;

typedef struct {
	GPtrArray *findings; /* of KmFinding; empty: verified */
	gboolean compared; /* with the units, not only by itself */
	guint relocations, symbols, imports, functions, rows; /* checked as the loader sees them */
	guint pieces; /* functions, data and constants compared with the units */
	guint64 bytes; /* in those */
	char *note; /* what could not be looked at by its nature, or NULL */
} KmVerify;

/* Offsets and sizes in bytes of the kernel's livepatch structures; all zero when unknown. */
typedef struct {
	guint32 module_size, module_name, module_name_len;
	guint32 func_size, func_old_name, func_new_func, func_old_sympos;
	guint32 object_size, object_name, object_funcs;
	guint32 patch_size, patch_mod, patch_objs, patch_states, patch_replace;
	guint32 state_size, state_id;
} KmVerifyLayout;

/* The compiled units, read and proved again; can serve several checks, one after the other. */
typedef struct KmVerifyUnits KmVerifyUnits;

/*
 * units: of KmUnit, compiled: those whose code the module carries. tools: the parts that every module of kmend has in
 * common, and what makes the unwinder's rows of a unit. tables: of the author's word about read-only tables, as for km_diff_new_allowing(). kernel and image must
 * outlive the result.
 */
KmVerifyUnits *km_verify_units_new(KmKernel *kernel, const KmImage *image, const GPtrArray *units,
				   const KmModuleTools *tools, const char *const *tables, GError **error);
void km_verify_units_free(KmVerifyUnits *units);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmVerifyUnits, km_verify_units_free)

/* What the module is held against. Nothing in it is owned. */
typedef struct {
	KmKernel *kernel;
	const KmImage *image;
	KmVerifyUnits *units; /* NULL: the module by itself */
	const KmVerifyLayout *layout; /* where the kernel has no type information; NULL: none known */
} KmVerifyInput;

/* Is it a live patch for kmend's own runtime? */
gboolean km_verify_is_own(const KmObject *module);

/* module is changed: its livepatch relocations are joined with the others. An error only when something cannot be read. */
KmVerify *km_verify(KmObject *module, const KmVerifyInput *input, GError **error);
void km_verify_free(KmVerify *verify);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmVerify, km_verify_free)

/* FALSE with KM_ERROR_REFUSED and the first findings when there are any. path is for the message. */
gboolean km_verify_passed(const KmVerify *verify, const char *path, GError **error);
/* {"verified", "compared", "findings": [{"where", "what"}], counts} */
json_t *km_verify_to_json(const KmVerify *verify);
