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
/* Beside the way to the source: what kbuild is told besides its makefiles. */
#define OWN_DIR ".kmend-kbuild"

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

gboolean km_external_make_way(const char *root, const char *source, GError **error)
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

KmKbuild *km_external_new(KmKernel *kernel, const char *source, const char *dir, GError **error)
{
	guint files = 0;
	g_autofree char *root = g_canonicalize_filename(dir, NULL);
	g_autofree char *place = g_strconcat(root, source, NULL);
	if (!check_source(source, error) || !km_external_make_way(root, source, error) ||
	    !mirror(source, place, 0, &files, error))
		return NULL;
	g_autoptr(KmKbuild) kbuild = km_kbuild_new_external(kernel, place, ANY_OBJECT, error);
	if (!kbuild) {
		g_prefix_error(error, "out-of-tree source %s: ", source);
		return NULL;
	}
	kbuild->dir = g_build_filename(root, OWN_DIR, NULL);
	kbuild->root = g_steal_pointer(&root);
	kbuild->outside = g_strdup(source);
	return km_make_dirs(kbuild->dir, error) ? g_steal_pointer(&kbuild) : NULL;
}

KmKbuild *km_external_over(const KmKbuild *kbuild, const char *farm, const char *dir)
{
	g_autofree char *from = g_strconcat(kbuild->root, kbuild->outside, NULL);
	KmKbuild *over = km_kbuild_over(kbuild, from, farm, dir);
	over->outside = g_strdup(kbuild->outside);
	over->root = g_strndup(farm, strlen(farm) - strlen(kbuild->outside));
	return over;
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
