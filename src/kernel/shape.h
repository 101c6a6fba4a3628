/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a patch may do to types: whether it can, objects with debug information to see it in, and versions of exported symbols. */
#pragma once

#include "kernel/unit.h"

/*
 * Can the patches change a type or a prototype? No only when every changed line, before and after, lies in the body of a function
 * that defines no type itself, and is no directive. An error when diff(1) fails.
 */
gboolean km_overlay_may_change_types(const KmOverlay *overlay, gboolean *may, GError **error);

/* The same question for one text. */
gboolean km_texts_may_change_types(const char *original, const char *patched, gboolean *may, GError **error);

/* Compile both sides of unit with debug information, next to its objects. The paths are the caller's. */
gboolean km_unit_compile_debug(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, char **original,
			       char **patched, GError **error);

/* One side of unit as the compiler reads it, preprocessed. The text is the caller's. */
gboolean km_unit_preprocess(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, gboolean patched, char **text,
			    GError **error);

/* An exported symbol whose type, as the kernel's own genksyms sees it, is another one with the patch. */
typedef struct {
	char *symbol;
	guint32 was, now; /* CRCs */
	GPtrArray *
		types; /* of char*: the types behind it that differ: "struct foo", "foo_t"; the symbol itself: its name */
} KmVersionChange;

void km_version_change_free(KmVersionChange *change);

/*
 * Compare the versions of what unit exports: array of KmVersionChange, owned. Empty where nothing can be said: a kernel without
 * CONFIG_MODVERSIONS or without genksyms, or one whose Module.symvers says something else than our run over the pristine source.
 * A type of which only one side knows the members is no change: more or fewer headers are read.
 */
GPtrArray *km_unit_compare_versions(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, GError **error);

/* For tests: what genksyms printed, and the types it wrote (-T), of both sides. */
GPtrArray *km_versions_compare(const char *was_crcs, const char *was_types, const char *now_crcs,
			       const char *now_types);
