/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The headers for authors of patches (include/kmend), which the program carries inside itself. */
#pragma once

#include <glib.h>

/* Write them below dir, which is made, under the names that patches include them by: "kmend/kmend.h", "kpatch-macros.h" ... */
gboolean km_headers_write(const char *dir, GError **error);
