/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any two objects: compared and extracted, or refused. Input: u32 size of the first (little endian), the first, the second. */
#include <string.h>

#include "diff/diff.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static KmObject *object_from(const guint8 *data, gsize size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	return km_object_read_bytes(bytes, "fuzz", NULL);
}

static void try_diff(KmObject *original, KmObject *patched)
{
	g_autoptr(KmDiff) diff = km_diff_new(original, patched, FALSE, NULL);
	if (!diff)
		return;
	json_decref(km_diff_to_json(diff));
	g_autoptr(KmObject) extracted = km_extract(diff, NULL);
	GBytes *bytes = extracted ? km_object_to_bytes(extracted, NULL) : NULL;
	g_bytes_unref(bytes);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
	guint32 first;
	if (size < sizeof(first))
		return 0;
	memcpy(&first, data, sizeof(first));
	gsize left = size - sizeof(first), split = MIN(GUINT32_FROM_LE(first), left);
	g_autoptr(KmObject) a = object_from(data + sizeof(first), split);
	g_autoptr(KmObject) b = object_from(data + sizeof(first) + split, left - split);
	if (a && b)
		try_diff(a, b);
	return 0;
}
