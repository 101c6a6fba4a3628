/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Below the caller's directory stands the whole path to the source once more: real directories on the way, links to everything
 * beside it, and for the source itself a real directory for each of its own with links to the files. So makefiles find whatever
 * they include, also through "..", and what kbuild writes stays with us. In the answers our prefix is taken away again.
 */
#include "kernel/external.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "image/module.h"

#define MAX_DEPTH 32
#define MAX_FILES 200000
/* An object to get kbuild going with; it need not exist. */
#define ANY_OBJECT "kmend-any.o"

void km_external_free(KmExternal *external)
{
	if (!external)
		return;
	g_clear_pointer(&external->kbuild, km_kbuild_free);
	g_free(external->source);
	g_free(external->root);
	g_free(external->cwd);
	g_free(external);
}

static gboolean make_link(const char *target, const char *link, GError **error)
{
	return !symlink(target, link) || errno == EEXIST ||
	       km_fail(error, "cannot write %s: %s", link, g_strerror(errno));
}

static gboolean is_real_dir(const char *path)
{
	struct stat st;
	return !lstat(path, &st) && S_ISDIR(st.st_mode);
}

/* Links to all entries of from but except; what cannot be read is of no use to make either. */
static gboolean link_entries(const char *from, const char *to, const char *except, GError **error)
{
	g_autoptr(GDir) dir = g_dir_open(from, 0, NULL);
	const char *name;
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *target = g_build_filename(from, name, NULL);
		g_autofree char *link = g_build_filename(to, name, NULL);
		if (strcmp(name, except) && !make_link(target, link, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean mirror(const char *from, const char *to, guint depth, guint *files, GError **error)
{
	g_autoptr(GDir) dir = g_dir_open(from, 0, NULL);
	const char *name;
	if (!dir || depth > MAX_DEPTH || !km_make_dirs(to, error))
		return (error && *error) || km_fail(error, "cannot read the directory %s", from);
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *target = g_build_filename(from, name, NULL);
		g_autofree char *link = g_build_filename(to, name, NULL);
		if (!strcmp(name, ".git"))
			continue;
		if (++*files > MAX_FILES)
			return km_refuse(error, "%s has more than %u files: give the directory of the module alone",
					 from, MAX_FILES);
		if (is_real_dir(target) ? !mirror(target, link, depth + 1, files, error)
					: !make_link(target, link, error))
			return FALSE;
	}
	return TRUE;
}

/* The way from "/" to source, once more below root. */
static gboolean make_way(const char *root, const char *source, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(source + 1, "/", -1);
	g_autofree char *there = g_strdup("/");
	for (char **part = parts; *part; part++) {
		g_autofree char *here = g_build_filename(root, there, NULL);
		if (!km_make_dirs(here, error) || !link_entries(there, here, *part, error))
			return FALSE;
		char *next = g_build_filename(there, *part, NULL);
		g_free(there);
		there = next;
	}
	return TRUE;
}

static gboolean check_source(const char *source, GError **error)
{
	static const char *const makefiles[] = { "Kbuild", "Makefile" };
	gboolean found = FALSE;
	for (gsize i = 0; i < G_N_ELEMENTS(makefiles); i++) {
		g_autofree char *path = g_build_filename(source, makefiles[i], NULL);
		found |= g_file_test(path, G_FILE_TEST_IS_REGULAR);
	}
	if (strpbrk(source, " \t\n:%#$'\"\\"))
		return km_refuse(error, "%s: kbuild cannot work in a directory of such a name", source);
	return found || km_refuse(error,
				  "%s has neither Kbuild nor Makefile: give the directory that M= names when "
				  "the module is built",
				  source);
}

static char *without_root(const KmExternal *external, const char *word)
{
	g_auto(GStrv) parts = g_strsplit(word, external->root, -1);
	return g_strjoinv("", parts);
}

KmExternal *km_external_new(KmKernel *kernel, const char *source, const char *dir, GError **error)
{
	g_autoptr(KmExternal) external = g_new0(KmExternal, 1);
	guint files = 0;
	external->source = g_strdup(source);
	external->root = g_canonicalize_filename(dir, NULL);
	g_autofree char *place = g_strconcat(external->root, source, NULL);
	if (!check_source(source, error) || !make_way(external->root, source, error) ||
	    !mirror(source, place, 0, &files, error))
		return NULL;
	external->kbuild = km_kbuild_new_external(kernel, place, ANY_OBJECT, error);
	if (!external->kbuild) {
		g_prefix_error(error, "out-of-tree source %s: ", source);
		return NULL;
	}
	external->cwd = without_root(external, external->kbuild->cwd);
	return g_steal_pointer(&external);
}

static void replace(const KmExternal *external, char **word)
{
	char *changed = without_root(external, *word);
	g_free(*word);
	*word = changed;
}

static void localize(const KmExternal *external, KmRecipe *recipe)
{
	for (char **word = recipe->argv; *word; word++)
		replace(external, word);
	replace(external, &recipe->source);
	replace(external, &recipe->dir);
	replace(external, &recipe->object);
	gsize length = strlen(external->source);
	if (g_str_has_prefix(recipe->object, external->source) && recipe->object[length] == '/')
		memmove(recipe->object, recipe->object + length + 1, strlen(recipe->object + length + 1) + 1);
}

GPtrArray *km_external_recipes(KmExternal *external, const char *const *objects, GError **error)
{
	GPtrArray *recipes = km_kbuild_recipes(external->kbuild, objects, error);
	for (guint i = 0; recipes && i < recipes->len; i++)
		localize(external, recipes->pdata[i]);
	return recipes;
}

/* The text that ends (with its NUL) in ending and begins with '/', found in data; NULL when there is none. */
static const char *find_path(const GByteArray *data, const char *ending)
{
	gsize size = strlen(ending) + 1;
	const char *start = (const char *)data->data, *end = start + data->len;
	for (const char *p = start; (gsize)(end - p) >= size; p++) {
		p = memmem(p, (gsize)(end - p), ending, size);
		if (!p)
			return NULL;
		const char *from = p;
		while (from > start && from[-1] > ' ')
			from--;
		if (*from == '/')
			return from;
	}
	return NULL;
}

char *km_external_built_at(const char *path, const char *source, GError **error)
{
	g_autoptr(KmObject) module = km_module_read(path, error);
	g_autofree char *ending = g_strconcat("/", source, NULL);
	for (guint i = 0; module && i < module->sections->len; i++) {
		const KmSection *section = module->sections->pdata[i];
		const char *found =
			section->flags & SHF_ALLOC && section->data ? find_path(section->data, ending) : NULL;
		if (found)
			return g_strndup(found, strlen(found) - strlen(source));
	}
	return NULL;
}
