/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packages to disk: nested archives, where entries go, and archives that lie. */
#include <archive.h>
#include <archive_entry.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/unpack.h"

typedef struct {
	const char *path, *text, *hardlink, *symlink;
} Entry;

/* An archive in memory. */
static GBytes *make(const Entry *entries, gsize n, const char *format, const char *filter)
{
	gsize size = 1 << 20, used = 0;
	guint8 *buffer = g_malloc(size);
	struct archive *out = archive_write_new();
	archive_write_set_format_by_name(out, format);
	if (filter)
		archive_write_add_filter_by_name(out, filter);
	archive_write_set_bytes_in_last_block(out, 1);
	g_assert_cmpint(archive_write_open_memory(out, buffer, size, &used), ==, ARCHIVE_OK);
	for (gsize i = 0; i < n; i++) {
		struct archive_entry *entry = archive_entry_new();
		archive_entry_set_pathname(entry, entries[i].path);
		archive_entry_set_filetype(entry, entries[i].symlink ? AE_IFLNK : AE_IFREG);
		archive_entry_set_perm(entry, 0644);
		if (entries[i].hardlink)
			archive_entry_set_hardlink(entry, entries[i].hardlink);
		if (entries[i].symlink)
			archive_entry_set_symlink(entry, entries[i].symlink);
		if (entries[i].text)
			archive_entry_set_size(entry, (la_int64_t)strlen(entries[i].text));
		archive_write_header(out, entry);
		if (entries[i].text)
			archive_write_data(out, entries[i].text, strlen(entries[i].text));
		archive_entry_free(entry);
	}
	g_assert_cmpint(archive_write_close(out), ==, ARCHIVE_OK);
	archive_write_free(out);
	return g_bytes_new_take(buffer, used);
}

/* ar has one file each here; content of any bytes. */
static void write_deb(const char *path, const char *data_name, GBytes *data)
{
	struct archive *out = archive_write_new();
	archive_write_set_format_ar_bsd(out);
	g_assert_cmpint(archive_write_open_filename(out, path), ==, ARCHIVE_OK);
	const struct {
		const char *name;
		gconstpointer bytes;
		gsize size;
	} parts[] = { { "debian-binary", "2.0\n", 4 },
		      { data_name, g_bytes_get_data(data, NULL), g_bytes_get_size(data) } };
	for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
		struct archive_entry *entry = archive_entry_new();
		archive_entry_set_pathname(entry, parts[i].name);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_size(entry, (la_int64_t)parts[i].size);
		archive_write_header(out, entry);
		archive_write_data(out, parts[i].bytes, parts[i].size);
		archive_entry_free(entry);
	}
	archive_write_close(out);
	archive_write_free(out);
}

static char *map_all(const char *path, const char *unused)
{
	return g_strdup(path);
}

static char *map_usr(const char *path, const char *unused)
{
	return g_str_has_prefix(path, "usr/") ? g_strdup(path + 4) : NULL;
}

static char *map_up(const char *path, const char *unused)
{
	return g_strconcat("../", path, NULL);
}

typedef struct {
	KmTempDir *dir;
	char *deb, *dest;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
	f->dir = km_tempdir_new(NULL, "test", NULL);
	f->deb = g_build_filename(f->dir->path, "x.deb", NULL);
	f->dest = g_build_filename(f->dir->path, "dest", NULL);
	km_make_dirs(f->dest, NULL);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
	km_tempdir_free(f->dir);
	g_free(f->deb);
	g_free(f->dest);
}

static gboolean unpack(Fixture *f, KmUnpackMap map, gboolean tarball, GError **error)
{
	const KmUnpack how = { .deb = f->deb, .dest = f->dest, .map = map, .tarball = tarball };
	return km_unpack_deb(&how, error);
}

static char *content(Fixture *f, const char *path)
{
	g_autofree char *full = g_build_filename(f->dest, path, NULL);
	char *text = NULL;
	g_file_get_contents(full, &text, NULL, NULL);
	return text;
}

static void test_package(Fixture *f, gconstpointer filter)
{
	const Entry entries[] = { { "./usr/a", "one", NULL, NULL },
				  { "./usr/lib/b", "two", NULL, NULL },
				  { "./etc/c", "three", NULL, NULL },
				  { "./usr/d", NULL, "./usr/a", NULL } };
	g_autofree char *name = g_strdup_printf("data.tar%s", filter ? ".xz" : "");
	g_autoptr(GBytes) data = make(entries, G_N_ELEMENTS(entries), "ustar", filter);
	g_autoptr(GError) error = NULL;
	write_deb(f->deb, name, data);
	g_assert_true(unpack(f, map_usr, FALSE, &error));
	g_assert_no_error(error);
	g_autofree char *a = content(f, "a"), *b = content(f, "lib/b"), *c = content(f, "etc/c"), *d = content(f, "d");
	g_assert_cmpstr(a, ==, "one");
	g_assert_cmpstr(b, ==, "two");
	g_assert_null(c);
	g_assert_cmpstr(d, ==, "one");
}

/* Programs that are to find each other below a root of their own: their absolute links lead there, wherever it is moved. */
static void test_root(Fixture *f, gconstpointer own)
{
	const Entry entries[] = { { "./usr/lib/loader", "here", NULL, NULL },
				  { "./usr/lib64/deep/link", NULL, NULL, "/usr/lib/loader" },
				  { "./usr/relative", NULL, NULL, "lib/loader" },
				  { "./usr/away", NULL, NULL, "/etc/nothing" } };
	const KmUnpack how = { .deb = f->deb, .dest = f->dest, .map = map_usr, .own_root = own != NULL };
	g_autoptr(GBytes) data = make(entries, G_N_ELEMENTS(entries), "ustar", NULL);
	g_autoptr(GError) error = NULL;
	write_deb(f->deb, "data.tar", data);
	g_assert_true(km_unpack_deb(&how, &error));
	g_assert_no_error(error);
	g_autofree char *moved = g_build_filename(f->dir->path, "moved", NULL);
	g_assert_cmpint(g_rename(f->dest, moved), ==, 0);
	g_free(f->dest);
	f->dest = g_steal_pointer(&moved);
	g_autofree char *link = g_build_filename(f->dest, "away", NULL), *away = g_file_read_link(link, NULL);
	g_autofree char *deep = content(f, "lib64/deep/link"), *relative = content(f, "relative");
	g_assert_cmpstr(deep, ==, own ? "here" : NULL);
	g_assert_cmpstr(relative, ==, "here");
	/* What it leads to is not unpacked. */
	g_assert_cmpstr(away, ==, "/etc/nothing");
}

/* The source: a tar.xz in a tar.xz in an ar. */
static void write_source_deb(Fixture *f, gsize cut)
{
	const Entry files[] = { { "linux-source-6.1/Makefile", "all:\n", NULL, NULL } };
	g_autoptr(GBytes) whole = make(files, 1, "ustar", "xz");
	g_autoptr(GBytes) tar = g_bytes_new_from_bytes(whole, 0, g_bytes_get_size(whole) - cut);
	struct archive *out = archive_write_new();
	guint8 *buffer = g_malloc(1 << 20);
	size_t used = 0;
	archive_write_set_format_ustar(out);
	archive_write_add_filter_xz(out);
	archive_write_open_memory(out, buffer, 1 << 20, &used);
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, "./usr/src/linux-source-6.1.tar.xz");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_size(entry, (la_int64_t)g_bytes_get_size(tar));
	archive_write_header(out, entry);
	archive_write_data(out, g_bytes_get_data(tar, NULL), g_bytes_get_size(tar));
	archive_entry_free(entry);
	archive_write_close(out);
	archive_write_free(out);
	g_autoptr(GBytes) data = g_bytes_new_take(buffer, used);
	write_deb(f->deb, "data.tar.xz", data);
}

static void test_tarball(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	write_source_deb(f, 0);
	g_assert_true(unpack(f, map_all, TRUE, &error));
	g_assert_no_error(error);
	g_autofree char *text = content(f, "linux-source-6.1/Makefile");
	g_assert_cmpstr(text, ==, "all:\n");
}

static void test_cut_off(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) inner = NULL, outer = NULL;
	write_source_deb(f, 30);
	g_assert_false(unpack(f, map_all, TRUE, &inner));
	g_assert_error(inner, KM_ERROR, KM_ERROR_FAILED);

	write_source_deb(f, 0);
	g_autofree char *text = NULL;
	gsize size;
	g_assert_true(g_file_get_contents(f->deb, &text, &size, NULL));
	g_assert_true(g_file_set_contents(f->deb, text, (gssize)size / 2, NULL));
	g_assert_false(unpack(f, map_all, TRUE, &outer));
	g_assert_error(outer, KM_ERROR, KM_ERROR_FAILED);
}

static void test_lies(Fixture *f, gconstpointer unused)
{
	const Entry up[] = { { "./usr/../../evil", "x", NULL, NULL } };
	const Entry link[] = { { "usr/a", NULL, "../../evil", NULL } };
	const Entry plain[] = { { "usr/a", "x", NULL, NULL } };
	const struct {
		const Entry *entry;
		KmUnpackMap map;
	} cases[] = { { up, map_all }, { link, map_all }, { plain, map_up } };
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GBytes) data = make(cases[i].entry, 1, "ustar", NULL);
		g_autoptr(GError) error = NULL;
		write_deb(f->deb, "data.tar", data);
		g_assert_false(unpack(f, cases[i].map, FALSE, &error));
		g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	}
	g_autofree char *evil = g_build_filename(f->dir->path, "evil", NULL);
	g_assert_false(g_file_test(evil, G_FILE_TEST_EXISTS));
}

static void test_no_package(Fixture *f, gconstpointer unused)
{
	const char *const texts[] = { "", "hello", "!<arch>\n" };
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_true(g_file_set_contents(f->deb, texts[i], -1, NULL));
		g_assert_false(unpack(f, map_all, FALSE, &error));
		g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	}
}

static void test_cannot_write(Fixture *f, gconstpointer unused)
{
	const Entry entries[] = { { "full", "no room for this", NULL, NULL } };
	g_autoptr(GBytes) data = make(entries, 1, "ustar", NULL);
	g_autoptr(GError) error = NULL;
	g_autofree char *place = g_build_filename(f->dest, "full", NULL);
	write_deb(f->deb, "data.tar", data);
	/* A directory of that name that is not empty: the file cannot be written. */
	g_autofree char *inside = g_build_filename(place, "x", NULL);
	g_assert_true(km_make_dirs(inside, NULL));
	g_assert_false(unpack(f, map_all, FALSE, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	g_assert_nonnull(strstr(error->message, "cannot write"));
}

static void test_stop(Fixture *f, gconstpointer unused)
{
	const Entry entries[] = { { "a", "x", NULL, NULL } };
	g_autoptr(GBytes) data = make(entries, 1, "ustar", NULL);
	g_autoptr(GError) error = NULL;
	gint stop = 1;
	const KmUnpack how = { .deb = f->deb, .dest = f->dest, .map = map_all, .stop = &stop };
	write_deb(f->deb, "data.tar", data);
	g_assert_false(km_unpack_deb(&how, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/kernel/unpack/plain", Fixture, NULL, set_up, test_package, tear_down);
	g_test_add("/kernel/unpack/xz", Fixture, "xz", set_up, test_package, tear_down);
	g_test_add("/kernel/unpack/root", Fixture, NULL, set_up, test_root, tear_down);
	g_test_add("/kernel/unpack/own-root", Fixture, "own", set_up, test_root, tear_down);
	g_test_add("/kernel/unpack/tarball", Fixture, NULL, set_up, test_tarball, tear_down);
	g_test_add("/kernel/unpack/cut-off", Fixture, NULL, set_up, test_cut_off, tear_down);
	g_test_add("/kernel/unpack/lies", Fixture, NULL, set_up, test_lies, tear_down);
	g_test_add("/kernel/unpack/no-package", Fixture, NULL, set_up, test_no_package, tear_down);
	g_test_add("/kernel/unpack/cannot-write", Fixture, NULL, set_up, test_cannot_write, tear_down);
	g_test_add("/kernel/unpack/stop", Fixture, NULL, set_up, test_stop, tear_down);
	return g_test_run();
}
