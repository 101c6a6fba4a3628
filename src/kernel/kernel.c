/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/kernel.h"

#include <string.h>
#include <sys/utsname.h>

#include "base/error.h"
#include "kernel/cache.h"
#include "kernel/record.h"

void km_kernel_free(KmKernel *kernel)
{
	if (!kernel)
		return;
	char *texts[] = { kernel->name,	    kernel->release,	      kernel->version,	     kernel->provider,
			  kernel->dir,	    kernel->source,	      kernel->build,	     kernel->config,
			  kernel->image,    kernel->boot_image,	      kernel->modules,	     kernel->symvers,
			  kernel->compiler, kernel->compiler_problem, kernel->compiler_note, kernel->work };
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(texts[i]);
	g_clear_pointer(&kernel->exports, g_hash_table_unref);
	g_clear_pointer(&kernel->outside, g_hash_table_unref);
	g_free(kernel);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **list_names(const char *cache)
{
	g_autofree char *kernels = g_build_filename(cache, "kernel", NULL);
	g_autoptr(GDir) dir = g_dir_open(kernels, 0, NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	const char *name;
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(kernels, name, NULL);
		if (km_cache_check_name(name, NULL) && g_file_test(path, G_FILE_TEST_IS_DIR))
			g_ptr_array_add(names, g_strdup(name));
	}
	g_ptr_array_sort(names, compare_names);
	g_ptr_array_add(names, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

char **km_kernel_list(GError **error)
{
	g_autofree char *cache = km_kernel_cache_dir(error);
	return cache ? list_names(cache) : NULL;
}

static KmKernel *open_default(const char *cache, GError **error)
{
	g_auto(GStrv) names = list_names(cache);
	struct utsname uts;
	if (uname(&uts) == 0 && g_strv_contains((const char *const *)names, uts.release))
		return km_kernel_load(cache, uts.release, error);
	if (!names[0])
		return km_fail_null(error, "no kernel is prepared in %s; `kmend kernel fetch` gets one", cache);
	if (!names[1])
		return km_kernel_load(cache, names[0], error);
	g_autofree char *all = g_strjoinv(" ", names);
	return km_fail_null(error, "which kernel? the running one is not prepared, these are: %s; name one with -k",
			    all);
}

KmKernel *km_kernel_open(const char *name, GError **error)
{
	g_autofree char *cache = km_kernel_cache_dir(error);
	if (!cache)
		return NULL;
	if (!name)
		return open_default(cache, error);
	if (!km_cache_check_name(name, error))
		return NULL;
	g_autofree char *dir = km_cache_kernel_dir(cache, name);
	if (!g_file_test(dir, G_FILE_TEST_IS_DIR))
		return km_fail_null(error,
				    "kernel %s is not prepared in %s; `kmend kernel fetch %s` gets it, "
				    "`kmend kernel list` shows those that are",
				    name, cache, name);
	return km_kernel_load(cache, name, error);
}

static gboolean source_is_used(const char *cache, const char *source)
{
	g_auto(GStrv) names = list_names(cache);
	for (guint i = 0; names[i]; i++) {
		g_autofree char *other = km_record_source(cache, names[i]);
		/* One whose record cannot be read may use it: keep. */
		if (!other || !strcmp(other, source))
			return TRUE;
	}
	return FALSE;
}

/* The lock keeps a fetch that has found this source, but has not published its kernel yet, from losing it. */
static gboolean remove_unused_source(const char *cache, const char *source, GError **error)
{
	g_autofree char *ours = g_build_filename(cache, "source", NULL);
	g_autofree char *parent = g_path_get_dirname(source);
	g_autofree char *version = g_path_get_basename(source);
	if (strcmp(parent, ours) || !g_file_test(source, G_FILE_TEST_IS_DIR))
		return TRUE;
	g_autoptr(KmLock) lock = km_cache_lock(cache, "source", version, NULL, error);
	if (!lock)
		return FALSE;
	return source_is_used(cache, source) || km_cache_discard(cache, source, error);
}

gboolean km_kernel_remove(const char *name, GError **error)
{
	g_autofree char *cache = km_kernel_cache_dir(error);
	if (!cache || !km_cache_check_name(name, error))
		return FALSE;
	g_autofree char *dir = km_cache_kernel_dir(cache, name);
	if (!g_file_test(dir, G_FILE_TEST_IS_DIR))
		return km_fail(error, "there is no kernel %s in %s; `kmend kernel list` shows those there are", name,
			       cache);
	g_autoptr(KmLock) lock = km_cache_lock(cache, "kernel", name, NULL, error);
	if (!lock)
		return FALSE;
	g_autofree char *source = km_record_source(cache, name);
	if (!km_cache_discard(cache, dir, error))
		return FALSE;
	return !source || remove_unused_source(cache, source, error);
}

json_t *km_kernel_to_json(const KmKernel *k)
{
	g_autofree char *text = km_kernel_config(k, "CC_VERSION_TEXT");
	g_autofree char *livepatch = km_kernel_config(k, "LIVEPATCH");
	json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name", k->name, "release", k->release, "version",
				 k->version, "provider", k->provider, "arch", k->arch->name, "directory", k->dir);
	const struct {
		const char *key, *value;
	} rest[] = {
		{ "source", k->source },
		{ "build", k->build },
		{ "config", k->config },
		{ "image", k->image },
		{ "boot_image", k->boot_image },
		{ "modules", k->modules },
		{ "symvers", k->symvers },
		{ "work", k->work },
		{ "compiler", k->compiler },
		{ "built_by", text },
		{ "compiler_problem", k->compiler_problem },
		{ "compiler_note", k->compiler_note },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(rest); i++)
		json_object_set_new(root, rest[i].key, rest[i].value ? json_string(rest[i].value) : json_null());
	json_object_set_new(root, "livepatch", json_boolean(livepatch && !strcmp(livepatch, "y")));
	return root;
}

/* "kernel/drivers/net/dummy.ko.xz" -> is it the module of that name? */
static gboolean is_module(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *dot = strstr(base, ".ko");
	if (!dot || (dot[3] && dot[3] != '.') || strlen(name) != (gsize)(dot - base))
		return FALSE;
	for (const char *c = base; c < dot; c++, name++)
		if (*c != *name && !(strchr("-_", *c) && strchr("-_", *name)))
			return FALSE;
	return TRUE;
}

static char *find_module(const char *dir, const char *name)
{
	g_autoptr(GDir) handle = g_dir_open(dir, 0, NULL);
	const char *entry;
	while (handle && (entry = g_dir_read_name(handle))) {
		g_autofree char *path = g_build_filename(dir, entry, NULL);
		if (is_module(entry, name))
			return g_steal_pointer(&path);
		/* Links to directories ("build", "source") lead out of the module tree. */
		if (g_file_test(path, G_FILE_TEST_IS_SYMLINK) || !g_file_test(path, G_FILE_TEST_IS_DIR))
			continue;
		char *found = find_module(path, name);
		if (found)
			return found;
	}
	return NULL;
}

/* The path as modules.order has it, with whatever suffix the package compressed it to. */
static char *existing_module(const char *modules, const char *path)
{
	const char *const suffixes[] = { "", ".xz", ".zst", ".gz", NULL };
	for (guint i = 0; suffixes[i]; i++) {
		g_autofree char *file = g_strconcat(modules, "/", path, suffixes[i], NULL);
		if (g_file_test(file, G_FILE_TEST_IS_REGULAR))
			return g_steal_pointer(&file);
	}
	return NULL;
}

static char *stock_module_path(const KmKernel *kernel, const char *name)
{
	if (!kernel->modules)
		return NULL;
	g_autofree char *order = g_build_filename(kernel->modules, "modules.order", NULL);
	g_autofree char *text = NULL;
	if (g_file_get_contents(order, &text, NULL, NULL)) {
		g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
		for (guint i = 0; lines[i]; i++) {
			char *found = is_module(lines[i], name) ? existing_module(kernel->modules, lines[i]) : NULL;
			if (found)
				return found;
		}
	}
	return find_module(kernel->modules, name);
}

gboolean km_kernel_is_outside(const KmKernel *kernel, const char *name)
{
	g_autofree char *spelled = g_strdelimit(g_strdup(name), "-", '_');
	return kernel->outside && g_hash_table_contains(kernel->outside, spelled);
}

char *km_kernel_module_path(const KmKernel *kernel, const char *name)
{
	g_autofree char *spelled = g_strdelimit(g_strdup(name), "-", '_');
	const char *path = kernel->outside ? g_hash_table_lookup(kernel->outside, spelled) : NULL;
	return path ? g_strdup(path) : stock_module_path(kernel, name);
}
