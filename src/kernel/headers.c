/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/headers.h"

#include <gio/gio.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel-headers.h"

#define ROOT "/kmend/include/"

static gboolean write_one(const char *dir, const char *name, GError **error)
{
	g_autoptr(GError) local = NULL;
	g_autofree char *resource = g_strconcat(ROOT, name, NULL);
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);
	g_autoptr(GBytes) bytes = g_resource_lookup_data(km_headers_get_resource(), resource, 0, &local);
	if (!bytes)
		return km_fail(error, "kmend was built without its header %s: %s", name, local->message);
	gsize size;
	const char *text = g_bytes_get_data(bytes, &size);
	return km_make_dirs(parent, error) && (g_file_set_contents(path, text, (gssize)size, &local) ||
					       km_fail(error, "cannot write %s: %s", path, local->message));
}

gboolean km_headers_write(const char *dir, GError **error)
{
	static const char *const names[] = { "kmend/kmend.h", "kpatch-macros.h", "kpatch-syscall.h",
					     "linux/livepatch_helpers.h" };
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		if (!write_one(dir, names[i], error))
			return FALSE;
	return TRUE;
}
