/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kbuild of a module that is built outside the kernel's tree; private to this room. */
#pragma once

#include "kernel/kbuild.h"

/* kbuild of one out-of-tree source, ready to be asked. */
typedef struct {
	KmKbuild *kbuild;
	char *source; /* real path of the directory */
	char *root; /* what stands before source in kbuild's eyes */
	char *cwd; /* where its compilers run */
} KmExternal;

void km_external_free(KmExternal *external);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmExternal, km_external_free)

/*
 * Open kbuild for the directory source (a real path). dir exists, empty, the caller's: kbuild works there, on links, because even
 * a dry run puts trial files into the directory of the module. The makefiles of source are run, as by any make.
 */
KmExternal *km_external_new(KmKernel *kernel, const char *source, const char *dir, GError **error);

/* Like km_kbuild_recipes(); objects and recipes are relative to source, and the commands name the files of source. */
GPtrArray *km_external_recipes(KmExternal *external, const char *const *objects, GError **error);

/*
 * Where the module was compiled, with a '/' at the end, as far as a __FILE__ of this source in it tells; NULL when
 * nothing does. Caller owns.
 */
char *km_external_built_at(const char *module, const char *source, GError **error);
