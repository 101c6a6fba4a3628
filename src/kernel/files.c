/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The provider "files": a kernel from paths given by hand. What is large stays where it is; nothing given is written to. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/run.h"
#include "image/image.h"
#include "kernel/buildtree.h"
#include "kernel/cache.h"
#include "kernel/compiler.h"
#include "kernel/config.h"
#include "kernel/symvers.h"

/* realpath of a directory; NULL with error. what names the option. Caller owns. */
static char *need_dir(const char *path, const char *what, GError **error)
{
	char *real = realpath(path, NULL);
	if (!real)
		return km_fail_null(error, "%s %s: %s", what, path, g_strerror(errno));
	char *copy = g_strdup(real);
	free(real);
	if (g_file_test(copy, G_FILE_TEST_IS_DIR))
		return copy;
	g_free(copy);
	return km_fail_null(error, "%s %s is not a directory", what, path);
}

static char *find_source(const char *path, GError **error)
{
	g_autofree char *source = need_dir(path, "source", error);
	g_autofree char *kconfig = source ? g_build_filename(source, "Kconfig", NULL) : NULL;
	if (source && !g_file_test(kconfig, G_FILE_TEST_IS_REGULAR))
		return km_fail_null(error, "source %s is no kernel source tree: it has no Kconfig", path);
	return g_steal_pointer(&source);
}

/* The directory that holds kernel/ and modules.*: path, or what it holds for the release. */
static char *find_modules(const char *path, const char *release, GError **error)
{
	g_autofree char *base = need_dir(path, "modules", error);
	if (!base)
		return NULL;
	g_autofree char *usual = g_build_filename(base, "lib/modules", release, NULL);
	g_autofree char *near = g_build_filename(base, release, NULL);
	const char *const places[] = { base, usual, near };
	for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
		g_autofree char *kernel = g_build_filename(places[i], "kernel", NULL);
		if (g_file_test(kernel, G_FILE_TEST_IS_DIR))
			return g_strdup(places[i]);
	}
	return km_fail_null(error, "modules %s holds no kernel/ directory (nor lib/modules/%s/kernel)", path, release);
}

/* The set options of a configuration, apart from the compiler's own description. */
static GHashTable *read_options(const char *path)
{
	g_autofree char *text = NULL;
	GHashTable *options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return options;
	g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
	for (guint i = 0; lines[i]; i++)
		if (g_str_has_prefix(lines[i], "CONFIG_") && !g_str_has_prefix(lines[i], "CONFIG_CC_VERSION_TEXT="))
			g_hash_table_add(options, g_strdup(lines[i]));
	return options;
}

/* kbuild may turn options on or off by the tools it finds; another configuration would be another kernel. */
static gboolean same_options(const char *given, const char *made, GError **error)
{
	g_autoptr(GHashTable) want = read_options(given);
	g_autoptr(GHashTable) have = read_options(made);
	GHashTableIter iter;
	gpointer line;
	g_hash_table_iter_init(&iter, want);
	while (g_hash_table_iter_next(&iter, &line, NULL))
		if (!g_hash_table_contains(have, line))
			return km_refuse(error,
					 "kbuild does not keep %s of %s with the tools of this machine; give the "
					 "kernel's own headers with --headers",
					 (char *)line, given);
	g_hash_table_iter_init(&iter, have);
	while (g_hash_table_iter_next(&iter, &line, NULL))
		if (!g_hash_table_contains(want, line))
			return km_refuse(error,
					 "kbuild adds %s to %s with the tools of this machine; give the kernel's own "
					 "headers with --headers",
					 (char *)line, given);
	return TRUE;
}

/* Without headers: let kbuild make them. O= keeps it out of the source. */
static gboolean prepare_tree(const char *source, const char *config, const char *build, const KmArch *arch,
			     GError **error)
{
	g_autoptr(KmKernel) probe = g_new0(KmKernel, 1);
	probe->name = g_strdup("to add");
	probe->config = g_build_filename(build, ".config", NULL);
	probe->arch = arch;
	km_compiler_find(probe);
	if (!probe->compiler)
		return km_fail(error, "%s", probe->compiler_problem);
	g_autofree char *o = g_strconcat("O=", build, NULL);
	g_autofree char *a = g_strconcat("ARCH=", arch->kbuild, NULL);
	g_autofree char *cc = g_strconcat("CC=", probe->compiler, NULL);
	g_autofree char *cross = g_strdup_printf("CROSS_COMPILE=%s%s", arch == km_arch_host() ? "" : arch->triplet,
						 arch == km_arch_host() ? "" : "-");
	const char *argv[] = { "make", "-s", "-C", source, o, a, cc, cross, "modules_prepare", NULL };
	const char *env[] = { "LC_ALL=C", "MAKEFLAGS=", NULL };
	const KmRunOptions options = { .env = env };
	g_autofree char *said = km_run_checked(argv, &options, error);
	return said && same_options(config, probe->config, error);
}

static gboolean make_build(const KmKernelFiles *files, const char *source, const KmArch *arch, const char *build,
			   GError **error)
{
	g_autofree char *config = g_build_filename(build, ".config", NULL);
	g_autofree char *symvers = g_build_filename(build, "Module.symvers", NULL);
	if (!km_make_dirs(build, error) || (files->headers && !km_buildtree_copy(files->headers, build, error)) ||
	    !km_copy(files->config, config, error))
		return FALSE;
	if (!files->headers && !prepare_tree(source, files->config, build, arch, error))
		return FALSE;
	if (!files->symvers)
		return TRUE;
	g_autoptr(GHashTable) table = km_symvers_read(files->symvers, error);
	return table && km_copy(files->symvers, symvers, error);
}

/* The same question for a file: does it hold options at all? */
static gboolean check_config(const char *path, GError **error)
{
	g_autoptr(GHashTable) options = NULL;
	g_autoptr(GBytes) bytes = km_read_file(path, error);
	if (!bytes)
		return FALSE;
	options = read_options(path);
	return g_hash_table_size(options) ||
	       km_fail(error, "%s is no kernel configuration: it sets no CONFIG_ option", path);
}

static KmKernel *add(const KmKernelFiles *files, const char *source, const KmImage *image, KmStage *stage,
		     GError **error)
{
	const char *release = km_image_release(image);
	g_autofree char *modules = NULL;
	g_autofree char *build = g_build_filename(stage->dir, "build", NULL);
	g_autofree char *boot = g_build_filename(stage->dir, "boot", NULL);
	g_autofree char *boot_image = g_build_filename(boot, "vmlinuz", NULL);
	g_autofree char *bare = g_build_filename(stage->dir, "image", NULL);
	g_autofree char *symvers = g_build_filename(build, "Module.symvers", NULL);
	if (files->modules && !(modules = find_modules(files->modules, release, error)))
		return NULL;
	if (!make_build(files, source, km_image_arch(image), build, error) ||
	    !km_buildtree_seal(build, release, error) || !km_make_dirs(boot, error) ||
	    !km_copy(files->image, boot_image, error) || !km_image_unpack(files->image, bare, error))
		return NULL;
	json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "release", release, "version", "",
				   "provider", "files", "arch", km_image_arch(image)->name, "source", source, "build",
				   "build", "image", "image", "boot_image", "boot/vmlinuz");
	if (modules)
		json_object_set_new(record, "modules", json_string(modules));
	if (g_file_test(symvers, G_FILE_TEST_IS_REGULAR))
		json_object_set_new(record, "symvers", json_string("build/Module.symvers"));
	return km_stage_commit(stage, record, error);
}

KmKernel *km_kernel_add_files(const KmKernelFiles *files, KmProgress *progress, GError **error)
{
	g_autofree char *cache = km_kernel_cache_dir(error);
	g_autofree char *source = cache ? find_source(files->source, error) : NULL;
	if (!source || !check_config(files->config, error))
		return NULL;
	km_progress_set(progress, "reading %s", files->image);
	g_autoptr(KmImage) image = km_image_open(files->image, error);
	if (!image)
		return NULL;
	if (!km_image_release(image))
		return km_fail_null(error, "%s names no kernel release: is it a kernel image?", files->image);
	const char *name = files->name ? files->name : km_image_release(image);
	g_autoptr(KmStage) stage = km_stage_new(cache, name, progress, error);
	if (!stage)
		return NULL;
	if (g_file_test(stage->final, G_FILE_TEST_IS_DIR))
		return km_fail_null(
			error, "there is a kernel %s already; give another --name, or `kmend kernel remove %s` first",
			name, name);
	km_progress_set(progress, "preparing %s", name);
	return add(files, source, image, stage, error);
}
