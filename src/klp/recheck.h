/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A finished module under verify/: with what a build has at hand, or with what must be compiled again for it. */
#pragma once

#include "base/progress.h"
#include "klp/template.h"
#include "verify/verify.h"

/*
 * Check the module at path. patches: NULL-ended, those it is said to be built from: their units are compiled and compared;
 * NULL: the module by itself. tables: as for the build. jobs: compilers at once, 0: number of CPUs. The result may hold findings.
 */
KmVerify *km_recheck(KmKernel *kernel, const char *path, const char *const *patches, const char *const *tables, guint jobs,
		     KmProgress *progress, GError **error);

/* For a build: check object, as read from path, with its compiled units. FALSE with the findings. */
gboolean km_recheck_built(KmKernel *kernel, const KmImage *image, const char *path, const char *output, const GPtrArray *units,
			  const KmModuleTools *tools, const KmLayout *layout, const char *const *tables,
			  GError **error);
