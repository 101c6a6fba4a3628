/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/file.h"
#include "cmd/cmd.h"
#include "kernel/kernel.h"

/* Who makes which: km_tempdir_new() of that name. The farm prefers memory. */
static const struct {
	const char *parent; /* NULL: where temporary files go */
	const char *prefix;
} left[] = {
	{ NULL, "kmend-build" },      { NULL, "kmend-verify" },	 { NULL, "kmend-try" },
	{ NULL, "kmend-lines" },      { NULL, "kmend-unwind" },	 { NULL, "kmend-farm" },
	{ "/dev/shm", "kmend-farm" }, { NULL, "kmend-runtime" }, { NULL, "kmend-try-runtime" },
	{ NULL, "kmend-asm" },	      { NULL, "kmend-as" },	 { NULL, "kmend-diff" },
};

void km_cmd_tidy(void)
{
	g_autofree char *cache = km_kernel_cache_dir(NULL);
	g_autofree char *staging = cache ? g_build_filename(cache, "tmp", NULL) : NULL;
	for (gsize i = 0; i < G_N_ELEMENTS(left); i++)
		km_tempdir_sweep(left[i].parent, left[i].prefix);
	if (staging)
		km_tempdir_sweep(staging, "kmend");
}
