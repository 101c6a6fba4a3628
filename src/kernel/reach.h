/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which files of a source tree can include a given file, directly or through others: what a changed header reaches. Nothing is
 * compiled: the #include lines of the whole tree are read. An include that could mean a file counts, whatever #if it is in, so the
 * answer has too much in it, never too little; docs/headers.md says how what cannot change is taken out again.
 */
#pragma once

#include <glib.h>

typedef struct {
	const char *source; /* pristine tree */
	const char *build; /* object tree: the headers generated there belong to the graph; NULL: none */
	const char *arch; /* directory below arch/ (kernel->arch->kbuild): the others are left out; NULL: take all */
	/* Directory that holds the patched text of files under their path in the tree (KmOverlay's dir/patched), or NULL. Where a
	 * file is there too, the includes of both texts count. A file that is only there counts as well. */
	const char *patched;
	gboolean outside; /* no kernel's tree: no directory of it comes before others */
	const char *
		memory; /* file in which the includes of the tree are remembered for the next time (index.h); NULL: none */
} KmReachTree;

typedef struct {
	GPtrArray *
		sources; /* of char*, sorted: the .c files that can include one of the paths, and those of the paths that
			     * are .c files. Whether one is compiled at all is kbuild's to say. */
	GPtrArray *others; /* of char*, sorted: assembly (.S), and texts that sources are generated from (.uc) */
	GPtrArray *headers; /* of char*, sorted: all other files that can, those of the paths among them */
	guint scanned; /* files read */
} KmReach;

void km_reach_free(KmReach *reach);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmReach, km_reach_free)

/*
 * paths: NULL-ended, relative to the tree ("include/linux/list.h", "kernel/sched/fair.c"); they need not exist. Headers that
 * the makefiles give to every unit of a directory by -include (linux/kconfig.h, linux/compiler_types.h) reach all files there.
 * jobs: threads; 0: number of CPUs. Fails only when the tree cannot be read.
 */
KmReach *km_reach(const KmReachTree *tree, const char *const *paths, guint jobs, GError **error);
