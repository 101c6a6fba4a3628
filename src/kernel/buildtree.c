/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/buildtree.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <utime.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"

char *km_buildtree_release(const char *build)
{
	static const char key[] = "#define UTS_RELEASE \"";
	g_autofree char *path = g_build_filename(build, "include/generated/utsrelease.h", NULL);
	g_autofree char *text = NULL;
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return NULL;
	const char *from = strstr(text, key);
	if (!from)
		return NULL;
	from += strlen(key);
	return g_strndup(from, strcspn(from, "\"\n"));
}

static gboolean check_pieces(const char *build, GError **error)
{
	const char *const needed[] = { ".config",
				       "include/config/auto.conf",
				       "include/generated/autoconf.h",
				       "include/generated/utsrelease.h",
				       "scripts/basic/fixdep",
				       NULL };
	for (guint i = 0; needed[i]; i++) {
		g_autofree char *path = g_build_filename(build, needed[i], NULL);
		if (!g_file_test(path, G_FILE_TEST_IS_REGULAR))
			return km_fail(error,
				       "the object tree lacks %s: it must come from a linux-headers package (with "
				       "its linux-kbuild) or a built kernel tree",
				       needed[i]);
	}
	return TRUE;
}

/*
 * kbuild compares auto.conf with .config, and reads the list of Kconfig files from auto.conf.cmd, which the packages do not
 * ship: an empty one names none, and an older .config asks for nothing.
 */
static gboolean settle_times(const char *build, GError **error)
{
	g_autofree char *list = g_build_filename(build, "include/config/auto.conf.cmd", NULL);
	g_autofree char *conf = g_build_filename(build, "include/config/auto.conf", NULL);
	g_autofree char *config = g_build_filename(build, ".config", NULL);
	struct stat st;
	if (!km_write_file(list, "", 0, error))
		return FALSE;
	if (stat(conf, &st))
		return km_fail(error, "cannot read %s: %s", conf, g_strerror(errno));
	const struct utimbuf older = { st.st_mtime - 10, st.st_mtime - 10 };
	return utime(config, &older) == 0 || km_fail(error, "cannot set the time of %s: %s", config, g_strerror(errno));
}

gboolean km_buildtree_seal(const char *build, const char *release, GError **error)
{
	if (!check_pieces(build, error))
		return FALSE;
	g_autofree char *found = km_buildtree_release(build);
	if (release && g_strcmp0(found, release))
		return km_refuse(error, "the generated headers are of kernel %s, the image is of %s",
				 found ? found : "(unknown)", release);
	return settle_times(build, error);
}

gboolean km_copy(const char *from, const char *to, GError **error)
{
	/* -H: "scripts" of a headers package is a link into the kbuild package; links inside stay links. */
	const char *argv[] = { "cp", "-a", "-H", "--reflink=auto", "--", from, to, NULL };
	const char *env[] = { "LC_ALL=C", NULL };
	const KmRunOptions options = { .env = env };
	g_autofree char *said = km_run_checked(argv, &options, error);
	return said != NULL;
}

gboolean km_buildtree_copy(const char *headers, const char *build, GError **error)
{
	const char *const pieces[] = { ".config", "Module.symvers", "include", "arch", "scripts", "tools", NULL };
	for (guint i = 0; pieces[i]; i++) {
		g_autofree char *from = g_build_filename(headers, pieces[i], NULL);
		g_autofree char *to = g_build_filename(build, pieces[i], NULL);
		if (g_file_test(from, G_FILE_TEST_EXISTS) && !km_copy(from, to, error))
			return FALSE;
	}
	return TRUE;
}
