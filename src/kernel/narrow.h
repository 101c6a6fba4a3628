/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Can two preprocessed texts of one unit compile to different objects? Answered from the texts, before anything is compiled. */
#pragma once

#include <glib.h>

typedef enum {
	KM_TEXTS_SAME, /* token by token */
	KM_TEXTS_UNUSED, /* they differ in declarations and static inline functions that nothing uses */
	KM_TEXTS_DIFFER, /* in what may reach the object */
} KmTexts;

/* Do two source texts differ in comments and white space only, each directive on a line of its own? */
gboolean km_narrow_source(const char *original, const char *patched);

/* Do two preprocessed texts of assembly have the same lines? */
gboolean km_narrow_assembly(const char *original, const char *patched);

/*
 * Both as `gcc -E -P` writes them. Whatever is not understood for certain counts as used. See docs/headers.md for why what is called
 * unused cannot reach the object.
 */
KmTexts km_narrow_texts(const char *original, const char *patched);
