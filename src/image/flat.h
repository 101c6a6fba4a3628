/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flat images (arm64 Image, s390x): bytes without a word on where they run. Internal to this room. */
#pragma once

#include "image/internal.h"

/* Find the image's own relocation table (.rela.dyn, linked in) and fill image->pointers from it. */
void km_flat_pointers(KmImage *image);

/*
 * Tell where the image runs from kallsyms_relative_base, which is at file offset place: sets the address of the
 * image's one range, and *base to the value the kernel reads there.
 */
gboolean km_flat_place(KmImage *image, gsize place, guint64 *base, GError **error);
