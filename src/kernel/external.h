/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kbuild of a module that is built outside the kernel's tree; private to this room. */
#pragma once

#include "kernel/kbuild.h"

/*
 * Open kbuild for the directory source (a real path). dir exists, empty, the caller's: kbuild works there, on links, because even
 * a dry run puts trial files into the directory of the module. The makefiles of source are run, as by any make. Objects are
 * relative to source, and the commands name the files of source.
 */
KmKbuild *km_external_new(KmKernel *kernel, const char *source, const char *dir, GError **error);

/*
 * The same kbuild over a farm (see farm.h) whose path is some root with that of source behind it: it reads the farm's makefiles, and
 * works in it. dir: for what it needs itself, empty, the caller's. The commands name the files of source all the same.
 */
KmKbuild *km_external_over(const KmKbuild *kbuild, const char *farm, const char *dir);

/* Below root, the way from "/" to source: real directories, and links to all that lies beside it; not source itself. */
gboolean km_external_make_way(const char *root, const char *source, GError **error);

/*
 * Where the module was compiled, with a '/' at the end, as far as a __FILE__ of this source in it tells; NULL when
 * nothing does. Caller owns.
 */
char *km_external_built_at(const char *module, const char *source, GError **error);
