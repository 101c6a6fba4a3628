/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From what a distribution ships to the bare image. Internal to this room. */
#pragma once

#include <glib.h>

/* The bare image inside file: a reference to file itself when it is bare. path is for messages. */
GBytes *km_image_bare(GBytes *file, const char *path, GError **error);

/* Is this the flat Image of an architecture that marks it with a header? Its name (see arch/), or NULL. */
const char *km_flat_arch(const guint8 *data, gsize size);
/* The kernel's banner in data ("Linux version 6..."), NULL when there is none; size gets its length. */
const char *km_find_banner(const guint8 *data, gsize data_size, gsize *size);
