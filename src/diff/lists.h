/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists that the linker puts together: each file adds rows to a section, and some code of the kernel walks all of it. A live
 * patch cannot add to them. Private to this room.
 */
#pragma once

#include "diff/side.h"

typedef enum {
	KM_LIST_NONE, /* an ordinary section of data */
	KM_LIST_UNKNOWN, /* a section that nobody here knows */
	KM_LIST_WALKED, /* while the kernel runs */
	KM_LIST_STARTUP, /* only when it starts */
	KM_LIST_FORGIVEN, /* for tracing and debugging only, which go on without */
} KmListKind;

/* What a section is. *words: who walks it, and what to do instead: the end of a sentence. NULL for NONE and UNKNOWN. */
KmListKind km_section_list(const KmSection *section, const char **words);

/* Is it a row that only whoever walks the list can find? */
gboolean km_item_is_row(const KmItem *item);

/*
 * Do the lists of BTF_ID() (.BTF_ids) name the same types and functions at the same places? The numbers themselves are filled in when the kernel or
 * module is linked; in these objects they are 0.
 */
gboolean km_same_btf_ids(const KmObject *original, const KmObject *patched);
