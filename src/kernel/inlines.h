/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the compiler inlined and cloned: its own report, gcc's -fdump-ipa-clones. */
#pragma once

#include <glib.h>

/* A function whose code another one holds. */
typedef struct {
	char *name;
	char *file; /* as the compiler names it */
	guint line; /* of its definition, by #line */
} KmInlined;

typedef struct KmInlines KmInlines;

/* Lines of another form are passed over: the report explains, and nothing depends on it. */
KmInlines *km_inlines_parse(const char *text);
void km_inlines_free(KmInlines *inlines);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmInlines, km_inlines_free)

/* All functions whose code is in function, also through each other and through clones. Array of KmInlined, not owned. */
GPtrArray *km_inlines_in(const KmInlines *inlines, const char *function);
