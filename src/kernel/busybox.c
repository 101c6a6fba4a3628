/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/busybox.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "kernel/apt.h"
#include "kernel/cache.h"
#include "kernel/unpack.h"

#define PACKAGE "busybox-static"

static char *installed(GError **error)
{
	static const char *const places[] = { "/bin/busybox", "/usr/bin/busybox" };
	for (gsize i = 0; i < G_N_ELEMENTS(places); i++)
		if (!access(places[i], X_OK))
			return g_strdup(places[i]);
	return km_fail_null(error, "busybox is missing: install the package " PACKAGE);
}

static char *map_busybox(const char *path, const char *unused)
{
	const char *below = g_str_has_prefix(path, "usr/") ? path + 4 : path;
	return strcmp(below, "bin/busybox") ? NULL : g_strdup("busybox");
}

/* Download the package into dir, and unpack it to dir/out. */
static gboolean unpack(KmApt *apt, const char *dir, const char *out, GError **error)
{
	g_autoptr(GPtrArray) packages = km_apt_show(apt, PACKAGE, error);
	if (!packages)
		return FALSE;
	if (!packages->len)
		return km_fail(error, "the archive has no package " PACKAGE " for %s", apt->arch);
	const KmAptPackage *newest = packages->pdata[0];
	g_autofree char *deb = km_apt_download(apt, dir, PACKAGE, newest->version, error);
	g_autofree char *file = g_build_filename(out, "busybox", NULL);
	const KmUnpack how = { .deb = deb, .dest = out, .map = map_busybox };
	if (!deb || !km_make_dirs(out, error) || !km_unpack_deb(&how, error))
		return FALSE;
	if (access(file, X_OK))
		return km_fail(error, "package " PACKAGE " %s for %s holds no busybox", newest->version, apt->arch);
	return TRUE;
}

/* Into the cache, unless another run put it there while we waited. final: busybox/ARCH */
static gboolean fetch(const char *cache, const KmArch *arch, const char *final, KmProgress *progress, GError **error)
{
	g_autoptr(KmLock) lock = km_cache_lock(cache, "busybox", arch->name, progress, error);
	if (!lock || g_file_test(final, G_FILE_TEST_IS_DIR))
		return lock != NULL;
	g_autofree char *tmp = g_build_filename(cache, "tmp", NULL);
	if (!km_make_dirs(tmp, error))
		return FALSE;
	g_autoptr(KmTempDir) dir = km_tempdir_new(tmp, "kmend", error);
	g_autoptr(KmApt) apt = dir ? km_apt_new(cache, arch->debian, progress, error) : NULL;
	if (!apt)
		return FALSE;
	km_progress_set(progress, "fetching busybox for %s", arch->name);
	g_autofree char *out = g_build_filename(dir->path, "busybox", NULL);
	return unpack(apt, dir->path, out, error) && km_cache_publish(out, final, error);
}

char *km_busybox(const KmArch *arch, KmProgress *progress, GError **error)
{
	if (arch == km_arch_host())
		return installed(error);
	g_autofree char *cache = km_kernel_cache_dir(error);
	if (!cache)
		return NULL;
	g_autofree char *final = g_build_filename(cache, "busybox", arch->name, NULL);
	if (!g_file_test(final, G_FILE_TEST_IS_DIR) && !fetch(cache, arch, final, progress, error)) {
		g_prefix_error(error, "a VM for %s needs a busybox of that architecture: ", arch->name);
		return NULL;
	}
	return g_build_filename(final, "busybox", NULL);
}
