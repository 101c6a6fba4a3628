/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The provider "tree": a kernel that was built here. The tree is referred to, not copied, and never written to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "image/image.h"
#include "kernel/buildtree.h"
#include "kernel/cache.h"

/* The source of an object directory made with O= is behind its link "source". */
static char *find_source(const char *tree, GError **error)
{
	const char *const places[] = { "source", "." };
	for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
		g_autofree char *kconfig = g_build_filename(tree, places[i], "Kconfig", NULL);
		if (!g_file_test(kconfig, G_FILE_TEST_IS_REGULAR))
			continue;
		g_autofree char *dir = g_path_get_dirname(kconfig);
		char *real = realpath(dir, NULL);
		char *copy = g_strdup(real);
		free(real);
		return copy;
	}
	return km_fail_null(error, "%s is no kernel tree: neither it nor its \"source\" link has a Kconfig", tree);
}

/* What a boot loader gets; kernels without a boot wrapper boot vmlinux. */
static char *find_boot_image(const char *tree, const KmArch *arch, const char *vmlinux)
{
	const char *const names[] = { "bzImage", "Image.gz", "Image", "vmlinuz", "zImage" };
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(tree, "arch", arch->kbuild, "boot", names[i], NULL);
		if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
			return g_steal_pointer(&path);
	}
	return g_strdup(vmlinux);
}

/* "kernel/fs/x.ko" (older kernels), "fs/x.ko" or "fs/x.o" (newer) -> "fs/x.ko"; NULL when it is none or leaves the tree. */
static char *module_file(const char *line)
{
	const char *path = g_str_has_prefix(line, "kernel/") ? line + strlen("kernel/") : line;
	const char *dot = strrchr(path, '.');
	g_auto(GStrv) parts = g_strsplit(path, "/", 0);
	if (!dot || (strcmp(dot, ".ko") && strcmp(dot, ".o")) || *path == '/' ||
	    g_strv_contains((const char *const *)parts, ".."))
		return NULL;
	return g_strdup_printf("%.*s.ko", (int)(dot - path), path);
}

static gboolean link_module(const char *tree, const char *modules, const char *file, GString *order, GError **error)
{
	g_autofree char *target = g_build_filename(tree, file, NULL);
	g_autofree char *link = g_build_filename(modules, "kernel", file, NULL);
	g_autofree char *dir = g_path_get_dirname(link);
	if (!g_file_test(target, G_FILE_TEST_IS_REGULAR))
		return TRUE;
	if (!km_make_dirs(dir, error))
		return FALSE;
	if (symlink(target, link) && errno != EEXIST)
		return km_fail(error, "cannot link %s: %s", link, g_strerror(errno));
	g_string_append_printf(order, "kernel/%s\n", file);
	return TRUE;
}

/* A directory as `make modules_install` would make it, of links. */
static gboolean link_modules(const char *tree, const char *modules, GError **error)
{
	g_autofree char *from = g_build_filename(tree, "modules.order", NULL);
	g_autofree char *to = g_build_filename(modules, "modules.order", NULL);
	g_autofree char *kernel = g_build_filename(modules, "kernel", NULL);
	g_autofree char *text = NULL;
	g_autoptr(GString) order = g_string_new(NULL);
	if (!km_make_dirs(kernel, error))
		return FALSE;
	g_file_get_contents(from, &text, NULL, NULL);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", 0);
	for (guint i = 0; lines[i]; i++) {
		g_autofree char *file = module_file(lines[i]);
		if (file && !link_module(tree, modules, file, order, error))
			return FALSE;
	}
	const char *const lists[] = { "modules.builtin", "modules.builtin.modinfo" };
	for (gsize i = 0; i < G_N_ELEMENTS(lists); i++) {
		g_autofree char *list = g_build_filename(tree, lists[i], NULL);
		if (g_file_test(list, G_FILE_TEST_IS_REGULAR) && !km_copy(list, modules, error))
			return FALSE;
	}
	return km_write_file(to, order->str, order->len, error);
}

static KmKernel *add(const char *tree, const char *source, const KmImage *image, KmStage *stage, GError **error)
{
	g_autofree char *boot = g_build_filename(stage->dir, "boot", NULL);
	g_autofree char *boot_image = g_build_filename(boot, "vmlinuz", NULL);
	g_autofree char *bare = g_build_filename(stage->dir, "image", NULL);
	g_autofree char *modules = g_build_filename(stage->dir, "modules", NULL);
	g_autofree char *symvers = g_build_filename(tree, "Module.symvers", NULL);
	g_autofree char *from = find_boot_image(tree, km_image_arch(image), km_image_path(image));
	if (!km_make_dirs(boot, error) || !km_copy(from, boot_image, error) || !link_modules(tree, modules, error) ||
	    !km_image_unpack(km_image_path(image), bare, error))
		return NULL;
	json_t *record =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "release", km_image_release(image),
			  "version", "", "provider", "tree", "arch", km_image_arch(image)->name, "source", source,
			  "build", tree, "image", "image", "boot_image", "boot/vmlinuz", "modules", "modules");
	if (g_file_test(symvers, G_FILE_TEST_IS_REGULAR))
		json_object_set_new(record, "symvers", json_string(symvers));
	return km_stage_commit(stage, record, error);
}

/* The release its headers were generated for must be the one that vmlinux says. */
static gboolean check_release(const char *tree, const KmImage *image, GError **error)
{
	g_autofree char *release = km_buildtree_release(tree);
	if (!release)
		return km_fail(error, "%s is not built: it has no include/generated/utsrelease.h", tree);
	if (!g_strcmp0(release, km_image_release(image)))
		return TRUE;
	return km_refuse(error, "%s/vmlinux is of kernel %s, the tree is configured as %s: build it again", tree,
			 km_image_release(image) ? km_image_release(image) : "(unknown)", release);
}

KmKernel *km_kernel_add_tree(const char *path, const char *name, KmProgress *progress, GError **error)
{
	g_autofree char *cache = km_kernel_cache_dir(error);
	if (!cache)
		return NULL;
	char *real = realpath(path, NULL);
	if (!real)
		return km_fail_null(error, "tree %s: %s", path, g_strerror(errno));
	g_autofree char *tree = g_strdup(real);
	free(real);
	g_autofree char *vmlinux = g_build_filename(tree, "vmlinux", NULL);
	g_autofree char *source = find_source(tree, error);
	if (!source)
		return NULL;
	km_progress_set(progress, "reading %s", vmlinux);
	g_autoptr(KmImage) image = km_image_open(vmlinux, error);
	if (!image || !check_release(tree, image, error))
		return NULL;
	const char *known_as = name ? name : km_image_release(image);
	g_autoptr(KmStage) stage = km_stage_new(cache, known_as, progress, error);
	if (!stage)
		return NULL;
	if (g_file_test(stage->final, G_FILE_TEST_IS_DIR))
		return km_fail_null(
			error, "there is a kernel %s already; give another --name, or `kmend kernel remove %s` first",
			known_as, known_as);
	return add(tree, source, image, stage, error);
}
