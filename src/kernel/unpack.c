/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <gio/gio.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

typedef struct archive Archive;
static void read_done(Archive *archive)
{
	archive_read_free(archive);
}
static void write_done(Archive *archive)
{
	archive_write_free(archive);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Archive, read_done)

typedef struct archive Writer;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Writer, write_done)

enum { CHUNK = 1 << 20 };

/* The data of one entry of an outer archive, decompressed when it is xz: what the inner archive is read from. */
typedef struct {
	Archive *outer;
	gboolean is_xz;
	gboolean ended;
	lzma_stream xz;
	guint8 *in, *out;
} Layer;

static void layer_clear(Layer *layer)
{
	lzma_end(&layer->xz);
	g_clear_pointer(&layer->in, g_free);
	g_clear_pointer(&layer->out, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Layer, layer_clear)

static la_ssize_t fill_xz(Archive *inner, Layer *layer)
{
	lzma_ret ret = LZMA_OK;
	layer->xz.next_out = layer->out;
	layer->xz.avail_out = CHUNK;
	while (layer->xz.avail_out && ret == LZMA_OK) {
		if (!layer->xz.avail_in && !layer->ended) {
			la_ssize_t n = archive_read_data(layer->outer, layer->in, CHUNK);
			if (n < 0) {
				archive_set_error(inner, EIO, "%s", archive_error_string(layer->outer));
				return -1;
			}
			layer->xz.next_in = layer->in;
			layer->xz.avail_in = (size_t)n;
			layer->ended = n == 0;
		}
		ret = lzma_code(&layer->xz, layer->ended ? LZMA_FINISH : LZMA_RUN);
	}
	if (ret != LZMA_OK && ret != LZMA_STREAM_END) {
		archive_set_error(inner, EIO, "the xz data is damaged or cut off (liblzma error %d)", (int)ret);
		return -1;
	}
	return (la_ssize_t)(CHUNK - layer->xz.avail_out);
}

static la_ssize_t read_layer(Archive *inner, void *data, const void **buffer)
{
	Layer *layer = data;
	*buffer = layer->out;
	if (layer->is_xz)
		return fill_xz(inner, layer);
	la_ssize_t n = archive_read_data(layer->outer, layer->out, CHUNK);
	if (n < 0)
		archive_set_error(inner, EIO, "%s", archive_error_string(layer->outer));
	return n;
}

/* An archive within the current entry of outer, whose name tells how it is compressed. */
static Archive *open_layer(Layer *layer, Archive *outer, const char *name, GError **error)
{
	layer->outer = outer;
	layer->is_xz = g_str_has_suffix(name, ".xz");
	layer->in = g_malloc(CHUNK);
	layer->out = g_malloc(CHUNK);
	if (layer->is_xz) {
		const lzma_mt options = { .flags = LZMA_CONCATENATED,
					  .threads = g_get_num_processors(),
					  .memlimit_threading = (guint64)512 << 20,
					  .memlimit_stop = (guint64)1 << 30 };
		lzma_ret ret = lzma_stream_decoder_mt(&layer->xz, &options);
		if (ret != LZMA_OK)
			return km_fail_null(error, "cannot start the xz decoder (liblzma error %d)", (int)ret);
	}
	Archive *inner = archive_read_new();
	archive_read_support_filter_all(inner);
	archive_read_support_format_tar(inner);
	if (archive_read_open(inner, layer, NULL, read_layer, NULL) == ARCHIVE_OK)
		return inner;
	km_fail(error, "%s: %s", name, archive_error_string(inner));
	archive_read_free(inner);
	return NULL;
}

/* "./usr//src/x" -> "usr/src/x"; NULL when it would leave the destination. */
static char *clean_path(const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", 0);
	g_autoptr(GPtrArray) kept = g_ptr_array_new();
	for (guint i = 0; parts[i]; i++) {
		if (!strcmp(parts[i], ".."))
			return NULL;
		if (*parts[i] && strcmp(parts[i], "."))
			g_ptr_array_add(kept, parts[i]);
	}
	g_ptr_array_add(kept, NULL);
	return g_strjoinv("/", (char **)kept->pdata);
}

/* The place of path, "" when it is left out, NULL when it is refused. */
static char *place_of(const KmUnpack *unpack, const char *path)
{
	g_autofree char *clean = path ? clean_path(path) : NULL;
	if (!clean)
		return NULL;
	g_autofree char *below = *clean ? unpack->map(clean, unpack->map_data) : NULL;
	g_autofree char *checked = below ? clean_path(below) : g_strdup("");
	return checked && *checked ? g_build_filename(unpack->dest, checked, NULL) : g_steal_pointer(&checked);
}

/* An absolute link's target as seen from path below dest, which may be moved; NULL: it is relative, or its target is not unpacked. */
static char *target_below(const KmUnpack *unpack, const char *path, const char *target)
{
	g_autofree char *place = target && *target == '/' ? place_of(unpack, target + 1) : NULL;
	if (!place || !*place)
		return NULL;
	gsize dest = strlen(unpack->dest);
	GString *link = g_string_new(NULL);
	for (const char *p = path + dest + 1; *p; p++)
		if (*p == '/')
			g_string_append(link, "../");
	g_string_append(link, place + dest + 1);
	return g_string_free(link, FALSE);
}

/* Give entry its place on disk. *wanted FALSE: it is left out. */
static gboolean place_entry(const KmUnpack *unpack, struct archive_entry *entry, gboolean *wanted, GError **error)
{
	const char *name = archive_entry_pathname(entry);
	g_autofree char *path = place_of(unpack, name);
	if (!path)
		return km_fail(error, "it holds a path that leaves the directory: %s", name ? name : "(no name)");
	*wanted = *path != 0;
	if (!*wanted)
		return TRUE;
	archive_entry_set_pathname(entry, path);
	const char *link = archive_entry_hardlink(entry);
	if (link) {
		g_autofree char *target = place_of(unpack, link);
		if (!target || !*target)
			return km_fail(error, "%s is a hard link to %s, which is not unpacked", name, link);
		archive_entry_set_hardlink(entry, target);
		return TRUE;
	}
	mode_t type = archive_entry_filetype(entry);
	if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
		return km_fail(error, "%s is neither file, directory nor link", name);
	g_autofree char *target =
		unpack->own_root && type == AE_IFLNK ? target_below(unpack, path, archive_entry_symlink(entry)) : NULL;
	if (target)
		archive_entry_set_symlink(entry, target);
	return TRUE;
}

/* libarchive's own words ("Write failed") often leave out the reason. */
static gboolean writer_failed(Writer *writer, struct archive_entry *entry, GError **error)
{
	const char *why = archive_error_string(writer);
	int code = archive_errno(writer);
	return km_fail(error, "cannot write %s: %s (%s)%s", archive_entry_pathname(entry), why ? why : "failed",
		       code > 0 ? g_strerror(code) : "unknown error",
		       code == ENOSPC ? "; make room, or set KMEND_CACHE to another file system" : "");
}

static gboolean write_entry(Archive *from, Writer *to, struct archive_entry *entry, GError **error)
{
	if (archive_write_header(to, entry) != ARCHIVE_OK)
		return writer_failed(to, entry, error);
	const void *block;
	size_t size;
	la_int64_t offset;
	int ret;
	while ((ret = archive_read_data_block(from, &block, &size, &offset)) == ARCHIVE_OK)
		if (archive_write_data_block(to, block, size, offset) != ARCHIVE_OK)
			return writer_failed(to, entry, error);
	if (ret != ARCHIVE_EOF)
		return km_fail(error, "%s: %s", archive_entry_pathname(entry), archive_error_string(from));
	if (archive_write_finish_entry(to) != ARCHIVE_OK)
		return writer_failed(to, entry, error);
	return TRUE;
}

static gboolean write_entries(const KmUnpack *unpack, Archive *from, Writer *to, GError **error)
{
	struct archive_entry *entry;
	int ret;
	while ((ret = archive_read_next_header(from, &entry)) == ARCHIVE_OK) {
		gboolean wanted = FALSE;
		if (unpack->stop && g_atomic_int_get(unpack->stop)) {
			g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
			return FALSE;
		}
		if (!place_entry(unpack, entry, &wanted, error) || (wanted && !write_entry(from, to, entry, error)))
			return FALSE;
	}
	if (ret != ARCHIVE_EOF)
		return km_fail(error, "%s", archive_error_string(from));
	/* Directory times are set last. */
	if (archive_write_close(to) != ARCHIVE_OK)
		return km_fail(error, "%s", archive_error_string(to));
	return TRUE;
}

static gboolean write_tar(const KmUnpack *unpack, Archive *tar, GError **error)
{
	/* libarchive reads the umask by setting it for a moment: not in two threads at a time. Modes are set as shipped. */
	if (unpack->umask_lock)
		g_mutex_lock(unpack->umask_lock);
	g_autoptr(Writer) writer = archive_write_disk_new();
	if (unpack->umask_lock)
		g_mutex_unlock(unpack->umask_lock);
	archive_write_disk_set_options(writer, ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM |
						       ARCHIVE_EXTRACT_SECURE_NODOTDOT |
						       ARCHIVE_EXTRACT_SECURE_SYMLINKS);
	return write_entries(unpack, tar, writer, error);
}

/* Go forward to the entry that matches; NULL with error when there is none. */
static const char *seek_entry(Archive *archive, const char *pattern, GError **error)
{
	struct archive_entry *entry;
	int ret;
	while ((ret = archive_read_next_header(archive, &entry)) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(entry);
		if (name && g_pattern_match_simple(pattern, name))
			return name;
	}
	return km_fail_null(error, "it holds no %s%s%s", pattern, ret == ARCHIVE_EOF ? "" : ": ",
			    ret == ARCHIVE_EOF ? "" : archive_error_string(archive));
}

static gboolean unpack_data(const KmUnpack *unpack, Archive *ar, GError **error)
{
	g_auto(Layer) layer = { 0 };
	g_auto(Layer) inner_layer = { 0 };
	const char *name = seek_entry(ar, "data.tar*", error);
	g_autoptr(Archive) data = name ? open_layer(&layer, ar, name, error) : NULL;
	if (!data)
		return FALSE;
	if (!unpack->tarball)
		return write_tar(unpack, data, error);
	name = seek_entry(data, "*usr/src/*.tar*", error);
	g_autoptr(Archive) inner = name ? open_layer(&inner_layer, data, name, error) : NULL;
	return inner && write_tar(unpack, inner, error);
}

gboolean km_unpack_deb(const KmUnpack *unpack, GError **error)
{
	/* The secure options take a symbolic link in the destination's own path for an attack. */
	char *real = realpath(unpack->dest, NULL);
	if (!real)
		return km_fail(error, "cannot unpack to %s: %s", unpack->dest, g_strerror(errno));
	KmUnpack resolved = *unpack;
	resolved.dest = real;
	g_autoptr(Archive) ar = archive_read_new();
	archive_read_support_format_ar(ar);
	gboolean done;
	if (archive_read_open_filename(ar, unpack->deb, CHUNK) != ARCHIVE_OK)
		done = km_fail(error, "%s", archive_error_string(ar));
	else
		done = unpack_data(&resolved, ar, error);
	free(real);
	if (!done)
		g_prefix_error(error, "cannot unpack %s: ", unpack->deb);
	return done;
}
