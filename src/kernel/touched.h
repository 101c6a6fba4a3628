/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a patch touches, in words of the source: functions, macros, types, variables. */
#pragma once

#include "kernel/outline.h"
#include "kernel/patch.h"

typedef struct {
	const KmTouched *file;
	KmThing *thing; /* of the patched text; of the original where the patch takes it away */
	gboolean gone;
	guint line; /* the first changed line in it, of the patched text (of the original when gone) */
} KmTouchedThing;

/* A touched file, read for questions about its patched text. */
typedef struct {
	const KmTouched *file;
	char *text;
	GPtrArray *things; /* of KmThing */
} KmTouchedText;

typedef struct {
	GPtrArray *texts; /* of KmTouchedText, order of the overlay */
	GPtrArray *things; /* of KmTouchedThing, in order of files and lines; each thing once */
} KmTouches;

/* overlay must outlive the result. */
KmTouches *km_touches_new(const KmOverlay *overlay, GError **error);
void km_touches_free(KmTouches *touches);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmTouches, km_touches_free)

/* The patched text of a file by its path in the tree, or NULL when the patch does not touch it. */
const KmTouchedText *km_touches_text(const KmTouches *touches, const char *path);
