/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why each function is in the live patch, what it refers to and how that is bound, what was ignored, and what its author should
 * look at by hand. Made from what the build decided; it decides nothing itself.
 */
#pragma once

#include <jansson.h>

#include "kernel/touched.h"
#include "klp/link.h"

/* One way in which the patch reached a function. */
typedef struct {
	const char *how; /* "lines", "inlined", "macro", "type", "data", "caller" or "compiler"; docs/build.md */
	char *through; /* the inlined function, macro, type, variable or callee; NULL for its own lines */
	char *file; /* where the patch changes it; NULL when the patch does not say */
	guint line;
} KmCause;

/* One thing that the new code refers to. */
typedef struct {
	char *name;
	const char *how; /* "inside" the live patch, "import" of an export, "livepatch" symbol */
	char *object; /* livepatch: who owns it; else NULL */
	guint sympos; /* livepatch: its position among those of its name */
	gint64 offset; /* livepatch: bytes from it */
} KmUse;

typedef struct {
	char *name;
	const char *role; /* "replaced", "carried" (no entry: only through its callers), "new" */
	guint line; /* of the definition in the patched source; 0: not found */
	GPtrArray *causes; /* of KmCause */
	GPtrArray *reasons; /* of char*: what differs in the object code */
	GPtrArray *uses; /* of KmUse, by name */
	GPtrArray *checks; /* of char* */
} KmFunctionStory;

typedef struct {
	char *source, *object, *owner;
	GPtrArray *functions; /* of KmFunctionStory */
	GPtrArray *checks; /* of char*: about the unit's new data */
	GPtrArray *ignored; /* of char*: differences that need no patching, and why */
} KmUnitStory;

/* works: of KmUnitWork, linked into link (not emitted yet). Array of KmUnitStory, owned; units in which nothing changed are in
 * it with what was ignored. */
GPtrArray *km_stories_new(const GPtrArray *works, const KmOverlay *overlay, const KmLink *link, GError **error);
json_t *km_stories_to_json(const GPtrArray *stories);
