/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A finished module under verify/: with what a build has at hand, or with what must be compiled again for it. */
#pragma once

#include "base/progress.h"
#include "klp/klp.h"
#include "klp/template.h"
#include "verify/verify.h"

/* The layout that the module template has, as the check takes it. */
void km_recheck_layout(const KmLayout *from, KmVerifyLayout *to);

/*
 * Check the module at path. options: what the build was given. Its patches' units are compiled again and compared; without patches the
 * module is checked by itself. Of the rest only jobs, tables, scripts and out-of-tree sources and modules count. The result may hold
 * findings.
 */
KmVerify *km_recheck(KmKernel *kernel, const char *path, const KmBuildOptions *options, KmProgress *progress,
		     GError **error);

/* For a build: check object, as read from path, with its compiled units. FALSE with the findings. */
gboolean km_recheck_built(KmKernel *kernel, const KmImage *image, const char *path, const char *output, const GPtrArray *units,
			  const KmModuleTools *tools, const KmLayout *layout, const char *const *tables,
			  GError **error);
