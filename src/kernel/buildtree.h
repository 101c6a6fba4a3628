/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The object tree for kbuild (O=): .config, generated headers, scripts and tools of this machine, Module.symvers. Sealed, it
 * looks configured and up to date to kbuild, which else would run syncconfig and might change the configuration.
 */
#pragma once

#include <glib.h>

/*
 * Check that all pieces are there and belong to release (NULL: any), and make kbuild take the configuration for up to date.
 */
gboolean km_buildtree_seal(const char *build, const char *release, GError **error);

/* Copy the pieces of an object tree out of headers (a linux-headers directory or a built tree) into build, which exists. */
gboolean km_buildtree_copy(const char *headers, const char *build, GError **error);

/* UTS_RELEASE of its generated headers; NULL when there is none. Caller owns. */
char *km_buildtree_release(const char *build);

/* Copy a file or directory as it is (links inside stay links, from itself may be one). */
gboolean km_copy(const char *from, const char *to, GError **error);
