/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a patch: parsed or refused, never a crash; and what is accepted stays inside the tree. */
#include <string.h>

#include "base/error.h"
#include "kernel/patch-file.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) files = km_patch_parse("fuzz.patch", (const char *)data, size, &error);
	g_assert_true((files == NULL) == (error != NULL));
	for (guint i = 0; files && i < files->len; i++) {
		const KmPatchFile *file = files->pdata[i];
		g_auto(GStrv) parts = g_strsplit(file->path, "/", -1);
		g_assert_false(g_path_is_absolute(file->path));
		g_assert_false(g_strv_contains((const char *const *)parts, ".."));
		g_assert_null(strpbrk(file->path, "\n\r"));
	}
	return 0;
}
