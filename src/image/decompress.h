/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The compressions a kernel image or module comes in. Internal to this room. */
#pragma once

#include <glib.h>

/* Nothing a kernel ships unpacks to more than this: a larger result is refused, so that no file can eat all memory. */
#define KM_UNPACKED_MAX (G_GUINT64_CONSTANT(1) << 30)

typedef struct KmCompression KmCompression;

/* The compression whose signature starts data, or NULL. */
const KmCompression *km_compression_detect(const guint8 *data, gsize size);
const char *km_compression_name(const KmCompression *compression);
/* The bytes a stream begins with, to look for one inside a larger file. */
const guint8 *km_compression_magic(const KmCompression *compression, gsize *size);
/* All of them, n rows (searching a boot wrapper that does not say where its payload is). */
const KmCompression *km_compression_nth(gsize n);

/*
 * Decompress the stream at data; bytes after its end are ignored (the kernel's build appends the unpacked size). what
 * names the stream in messages.
 */
GBytes *km_decompress(const KmCompression *compression, const guint8 *data, gsize size, const char *what,
		      GError **error);
