/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/exact.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/apt.h"
#include "kernel/cache.h"
#include "kernel/compiler.h"
#include "kernel/unpack.h"

/* cc1 needs about ten packages; more than this would be something else. */
#define MAX_PACKAGES 40

/* One compiler: what its name and its packages are. */
typedef struct {
	const KmArch *arch;
	char *version; /* of the package: "12.2.0-14+deb12u1" */
	char *major;
	char *identity; /* "(Debian 12.2.0-14+deb12u1) 12.2.0" */
	char *driver; /* of the cross compiler: "aarch64-linux-gnu-gcc-12" */
	char *dir; /* in the cache; NULL unless asked for */
} Exact;

static void exact_clear(Exact *exact)
{
	g_free(exact->version);
	g_free(exact->major);
	g_free(exact->identity);
	g_free(exact->driver);
	g_free(exact->dir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Exact, exact_clear)

/* "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0" -> "12.2.0-14+deb12u1", NULL when the parentheses hold no version of a package. */
static char *package_version(const char *identity)
{
	const char *close = *identity == '(' ? strchr(identity, ')') : NULL;
	const char *space = close ? memchr(identity, ' ', (gsize)(close - identity)) : NULL;
	g_autofree char *version = space ? g_strndup(space + 1, (gsize)(close - space - 1)) : NULL;
	return version && g_ascii_isdigit(*version) && km_cache_check_name(version, NULL) ? g_steal_pointer(&version)
											  : NULL;
}

static gboolean exact_init(Exact *exact, const char *cache, const KmArch *arch, const char *text)
{
	const char *space = strchr(text, ' ');
	g_autofree char *number = km_compiler_version(text);
	exact->arch = arch;
	exact->identity = g_strdup(space ? space + 1 : "");
	exact->version = package_version(exact->identity);
	if (!exact->version || !number || strpbrk(text, "'\n") || strstr(text, "clang"))
		return FALSE;
	exact->major = g_strndup(number, strcspn(number, "."));
	exact->driver = g_strdup_printf("%s-gcc-%s", arch->triplet, exact->major);
	if (!cache)
		return TRUE;
	g_autofree char *name = g_strdup_printf("%s-gcc-%s-%s", arch->name, exact->major, exact->version);
	exact->dir = g_build_filename(cache, "compiler", name, NULL);
	return TRUE;
}

gboolean km_exact_applies(const KmArch *arch, const char *text)
{
	g_auto(Exact) exact = { 0 };
	return km_arch_host() && arch != km_arch_host() && arch->qemu_user && exact_init(&exact, NULL, arch, text);
}

char *km_exact_find(const char *cache, const KmArch *arch, const char *text)
{
	g_auto(Exact) exact = { 0 };
	if (!km_exact_applies(arch, text) || !exact_init(&exact, cache, arch, text))
		return NULL;
	g_autofree char *command = g_build_filename(exact.dir, "bin", exact.driver, NULL);
	return g_file_test(command, G_FILE_TEST_IS_EXECUTABLE) ? g_steal_pointer(&command) : NULL;
}

static gboolean has_emulator(const KmArch *arch)
{
	g_autofree char *name = g_strconcat("qemu-", arch->qemu_user, NULL);
	g_autofree char *static_name = g_strconcat(name, "-static", NULL);
	g_autofree char *one = g_find_program_in_path(static_name), *other = g_find_program_in_path(name);
	return one || other;
}

char *km_exact_missing(const KmArch *arch, const char *text)
{
	g_auto(Exact) exact = { 0 };
	if (!exact_init(&exact, NULL, arch, text))
		return NULL;
	g_autofree char *driver = g_find_program_in_path(exact.driver);
	g_autofree char *package = g_strdup_printf("gcc-%s-%s", exact.major, arch->triplet);
	gboolean emulated = has_emulator(arch);
	if (driver && emulated)
		return NULL;
	return g_strdup_printf("%s%s%s", driver ? "" : g_strdelimit(package, "_", '-'), driver || emulated ? "" : " ",
			       emulated ? "" : "qemu-user-static");
}

/* Old packages have /lib and new ones /usr/lib: both become the latter. Only what programs need to run is kept. */
static char *map_root(const char *path, const char *unused)
{
	static const char *const tops[] = { "lib/", "lib64/", "usr/lib/", "usr/lib64/", "usr/libexec/" };
	for (gsize i = 0; i < G_N_ELEMENTS(tops); i++)
		if (g_str_has_prefix(path, tops[i]))
			return g_strconcat(g_str_has_prefix(path, "usr/") ? "" : "usr/", path, NULL);
	return NULL;
}

/* That version of it (NULL: the newest); NULL without error when it is a name that others provide. */
static const KmAptPackage *pick(const GPtrArray *found, const char *version)
{
	for (guint i = 0; i < found->len; i++) {
		const KmAptPackage *package = found->pdata[i];
		if (!version || !strcmp(package->version, version))
			return package;
	}
	return NULL;
}

static gboolean install(const KmApt *apt, const KmAptPackage *package, const char *downloads, const char *root,
			GError **error)
{
	g_autofree char *deb = km_apt_download(apt, downloads, package->package, package->version, error);
	const KmUnpack unpack = { .deb = deb, .dest = root, .map = map_root, .own_root = TRUE };
	gboolean done = deb && km_unpack_deb(&unpack, error);
	if (deb)
		unlink(deb);
	return done;
}

/* The compiler's package and all that it depends on. */
static gboolean install_all(const Exact *exact, KmApt *apt, const char *downloads, const char *root, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(names, g_strconcat("cpp-", exact->major, NULL));
	for (guint i = 0; i < names->len; i++) {
		g_autoptr(GPtrArray) found = km_apt_show(apt, names->pdata[i], error);
		if (!found)
			return FALSE;
		const KmAptPackage *package = pick(found, i ? NULL : exact->version);
		if (!i && !package)
			return km_fail(error, "the archive has no %s %s for %s", (char *)names->pdata[i],
				       exact->version, exact->arch->debian);
		if (!package)
			continue;
		if (names->len > MAX_PACKAGES)
			return km_fail(error, "%s depends on too many packages", (char *)names->pdata[0]);
		if (!install(apt, package, downloads, root, error))
			return FALSE;
		km_apt_add_dependencies(package->depends, names);
	}
	return TRUE;
}

/* The parent directories that programs were linked to look in. */
static gboolean link_tops(const char *root, GError **error)
{
	static const char *const tops[] = { "lib", "lib64" };
	for (gsize i = 0; i < G_N_ELEMENTS(tops); i++) {
		g_autofree char *link = g_build_filename(root, tops[i], NULL);
		g_autofree char *target = g_build_filename("usr", tops[i], NULL);
		if (symlink(target, link))
			return km_fail(error, "cannot make the link %s: %s", link, g_strerror(errno));
	}
	return TRUE;
}

/* The compiler proper below root; the packages have moved it once. */
static char *find_cc1(const Exact *exact, const char *root, GError **error)
{
	static const char *const dirs[] = { "usr/libexec/gcc", "usr/lib/gcc" };
	for (gsize i = 0; i < G_N_ELEMENTS(dirs); i++) {
		g_autofree char *path = g_build_filename(dirs[i], exact->arch->triplet, exact->major, "cc1", NULL);
		g_autofree char *full = g_build_filename(root, path, NULL);
		if (g_file_test(full, G_FILE_TEST_IS_EXECUTABLE))
			return g_steal_pointer(&path);
	}
	return km_fail_null(error, "the packages of %s %s hold no cc1", exact->driver, exact->version);
}

static gboolean write_script(const char *dir, const char *below, const char *name, const char *text, GError **error)
{
	g_autofree char *parent = g_build_filename(dir, below, NULL);
	g_autofree char *path = g_build_filename(parent, name, NULL);
	if (!km_make_dirs(parent, error) || !km_write_file(path, text, strlen(text), error))
		return FALSE;
	return g_chmod(path, 0755) == 0 || km_fail(error, "cannot make %s executable: %s", path, g_strerror(errno));
}

/*
 * They find each other by where they stand, so the directory may be renamed. To the question for its version the command answers
 * what the real one does: the driver would tell its own.
 */
static gboolean write_scripts(const Exact *exact, const char *dir, const char *cc1, GError **error)
{
	g_autofree char *command = g_strdup_printf("#!/bin/sh\n"
						   "if [ \"$*\" = --version ]; then\n"
						   "\techo '%s %s'\n"
						   "\texit\n"
						   "fi\n"
						   "exec %s -B \"${0%%/*}/../exec/\" \"$@\"\n",
						   exact->driver, exact->identity, exact->driver);
	g_autofree char *proper = g_strdup_printf(
		"#!/bin/sh\n"
		"root=${0%%/*}/../root\n"
		"emulator=$(command -v qemu-%s-static || command -v qemu-%s) || {\n"
		"\techo 'cc1 of %s needs qemu-%s-static: apt-get install qemu-user-static' >&2\n"
		"\texit 1\n"
		"}\n"
		"exec \"$emulator\" -L \"$root\" \"$root/%s\" \"$@\"\n",
		exact->arch->qemu_user, exact->arch->qemu_user, exact->arch->name, exact->arch->qemu_user, cc1);
	return write_script(dir, "bin", exact->driver, command, error) &&
	       write_script(dir, "exec", "cc1", proper, error);
}

/* It must run, and be the one. */
static gboolean check(const Exact *exact, const char *dir, GError **error)
{
	g_autofree char *cc1 = g_build_filename(dir, "exec", "cc1", NULL);
	g_autofree char *said = NULL;
	g_autofree char *brand = g_strndup(exact->identity, strcspn(exact->identity, ")") + 1);
	const char *argv[] = { cc1, "-quiet", "-version", "-fsyntax-only", "/dev/null", NULL };
	const char *env[] = { "LC_ALL=C", NULL };
	const KmRunOptions options = { .env = env, .stdin_text = "", .merge_stderr = TRUE };
	said = km_run_checked(argv, &options, error);
	if (!said)
		return FALSE;
	return strstr(said, brand) ? TRUE
				   : km_fail(error, "the packages of %s %s hold another compiler: %.200s",
					     exact->driver, exact->version, g_strstrip(said));
}

static gboolean put_together(const Exact *exact, const char *cache, const char *temp, const char *dir,
			     KmProgress *progress, GError **error)
{
	g_autofree char *downloads = g_build_filename(temp, "download", NULL);
	g_autofree char *root = g_build_filename(dir, "root", NULL);
	g_autoptr(KmApt) apt = km_apt_new(cache, exact->arch->debian, progress, error);
	if (!apt || !km_make_dirs(downloads, error) || !km_make_dirs(root, error))
		return FALSE;
	km_progress_set(progress, "fetching the compiler %s %s", exact->driver, exact->version);
	if (!install_all(exact, apt, downloads, root, error) || !link_tops(root, error))
		return FALSE;
	g_autofree char *cc1 = find_cc1(exact, root, error);
	return cc1 && write_scripts(exact, dir, cc1, error) && check(exact, dir, error);
}

gboolean km_exact_provide(const char *cache, const KmArch *arch, const char *text, KmProgress *progress, GError **error)
{
	g_auto(Exact) exact = { 0 };
	if (!exact_init(&exact, cache, arch, text))
		return km_fail(error, "%s names no package of a compiler", text);
	if (g_file_test(exact.dir, G_FILE_TEST_IS_DIR))
		return TRUE;
	g_autofree char *name = g_path_get_basename(exact.dir);
	g_autofree char *tmp = g_build_filename(cache, "tmp", NULL);
	g_autoptr(KmLock) lock = km_cache_lock(cache, "compiler", name, progress, error);
	if (!lock || !km_make_dirs(tmp, error))
		return FALSE;
	/* Another run may have made it while we waited. */
	if (g_file_test(exact.dir, G_FILE_TEST_IS_DIR))
		return TRUE;
	km_tempdir_sweep(tmp, "kmend");
	g_autoptr(KmTempDir) temp = km_tempdir_new(tmp, "kmend", error);
	g_autofree char *staged = temp ? g_build_filename(temp->path, "compiler", NULL) : NULL;
	return temp && put_together(&exact, cache, temp->path, staged, progress, error) &&
	       km_cache_publish(staged, exact.dir, error);
}
