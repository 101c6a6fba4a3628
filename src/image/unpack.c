/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The boot wrappers: a row each, tried in order. What a wrapper holds may be wrapped again (an EFI zboot file holds
 * an arm64 Image), so unpacking repeats until something bare is left.
 */
#include "image/unpack.h"

#include <elf.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "image/decompress.h"
#include "image/image.h"

#define MAX_LAYERS 4
/* Streams tried inside a wrapper that does not say where its payload is. */
#define MAX_STREAMS 64

typedef struct {
	const guint8 *data;
	gsize size;
	const char *path;
} Input;

typedef struct {
	const char *name;
	gboolean (*probe)(const Input *in);
	/* The payload; NULL row: bare. */
	GBytes *(*unpack)(const Input *in, GError **error);
} Wrapper;

static gboolean has(const Input *in, gsize offset, const char *bytes, gsize n)
{
	return in->size >= offset + n && !memcmp(in->data + offset, bytes, n);
}

static guint32 get_le32(const guint8 *p)
{
	return (guint32)p[0] | (guint32)p[1] << 8 | (guint32)p[2] << 16 | (guint32)p[3] << 24;
}

static guint16 get_le16(const guint8 *p)
{
	return (guint16)(p[0] | p[1] << 8);
}

/*
 * Where a PE file (every kernel with an EFI stub is one) should end: behind its last section and its signature. 0:
 * no PE file. A cut file can hold a whole kernel still, but it is not what was shipped.
 */
static guint64 pe_end(const Input *in)
{
	guint64 end = 0, pe = in->size >= 0x40 ? get_le32(in->data + 0x3c) : 0, optional = pe + 24;
	if (!has(in, 0, "MZ", 2) || !has(in, pe, "PE\0\0", 4) || in->size < optional + 152)
		return 0;
	const guint8 *directory = in->data + optional + 112 + 4 * 8; /* certificates: offset and size */
	guint64 section = optional + get_le16(in->data + pe + 20);
	if (get_le16(in->data + optional) == 0x20b && get_le32(in->data + optional + 108) > 4)
		end = (guint64)get_le32(directory) + get_le32(directory + 4);
	for (guint i = 0; i < get_le16(in->data + pe + 6); i++, section += 40) {
		if (section + 40 > in->size)
			return section + 40;
		const guint8 *p = in->data + section;
		end = MAX(end, (guint64)get_le32(p + 16) + get_le32(p + 20));
	}
	return end;
}

static gboolean check_pe(const Input *in, GError **error)
{
	guint64 end = pe_end(in);
	return end <= in->size || km_fail(error,
					  "%s is truncated: its PE header tells of %" G_GUINT64_FORMAT
					  " bytes, the file has %" G_GSIZE_FORMAT "; get it again",
					  in->path, end, in->size);
}

/* A stream at a place that a header gives: both numbers come from the file. */
static GBytes *unpack_at(const Input *in, guint64 offset, guint64 size, const char *header, GError **error)
{
	if (!size || offset > in->size || size > in->size - offset)
		return km_fail_null(error,
				    "%s is truncated: its %s puts the kernel at bytes %" G_GUINT64_FORMAT
				    " to %" G_GUINT64_FORMAT ", the file has %" G_GSIZE_FORMAT "; get it again",
				    in->path, header, offset, offset + size, in->size);
	const guint8 *data = in->data + offset;
	const KmCompression *compression = km_compression_detect(data, size);
	if (compression)
		return km_decompress(compression, data, size, in->path, error);
	if (size >= SELFMAG && !memcmp(data, ELFMAG, SELFMAG))
		return g_bytes_new(data, size);
	return km_fail_null(error,
			    "%s: the payload at byte %" G_GUINT64_FORMAT
			    " that its %s names is of no compression kmend knows; the file is damaged, get it again",
			    in->path, offset, header);
}

/* --- x86 bzImage: the boot protocol's setup header (Documentation/arch/x86/boot.rst) --- */

static gboolean probe_bzimage(const Input *in)
{
	return has(in, 0x1fe, "\x55\xaa", 2) && has(in, 0x202, "HdrS", 4);
}

static GBytes *unpack_bzimage(const Input *in, GError **error)
{
	if (in->size < 0x250)
		return km_fail_null(error, "%s is truncated: the setup header of a bzImage ends at byte 592", in->path);
	guint version = in->data[0x206] | in->data[0x207] << 8;
	if (version < 0x208)
		return km_fail_null(error,
				    "%s: boot protocol %u.%02u does not say where the kernel is (2.08 and later do)",
				    in->path, version >> 8, version & 0xff);
	guint sectors = in->data[0x1f1] ? in->data[0x1f1] : 4;
	guint64 offset = (sectors + 1) * 512 + (guint64)get_le32(in->data + 0x248);
	return unpack_at(in, offset, get_le32(in->data + 0x24c), "setup header", error);
}

/* --- EFI zboot (zboot-header.S): a PE file with "zimg", offset and size of the payload --- */

static gboolean probe_zboot(const Input *in)
{
	return has(in, 0, "MZ", 2) && has(in, 4, "zimg", 4) && in->size >= 0x40;
}

static GBytes *unpack_zboot(const Input *in, GError **error)
{
	return unpack_at(in, get_le32(in->data + 8), get_le32(in->data + 12), "EFI zboot header", error);
}

/* --- a compressed file around anything --- */

static gboolean probe_compressed(const Input *in)
{
	return km_compression_detect(in->data, in->size) != NULL;
}

static GBytes *unpack_compressed(const Input *in, GError **error)
{
	return km_decompress(km_compression_detect(in->data, in->size), in->data, in->size, in->path, error);
}

/* --- bare ones --- */

static gboolean probe_elf(const Input *in)
{
	return has(in, 0, ELFMAG, SELFMAG);
}

static gboolean probe_flat(const Input *in)
{
	return km_flat_arch(in->data, in->size) != NULL;
}

static gboolean probe_banner(const Input *in)
{
	gsize n;
	return km_find_banner(in->data, in->size, &n) != NULL;
}

/* --- a wrapper that does not say where its payload is (s390x): the first stream that holds a kernel --- */

static gboolean probe_s390(const Input *in)
{
	return has(in, 0x10008, "S390EP", 6);
}

static GBytes *try_streams(const Input *in, const KmCompression *compression)
{
	gsize magic_size;
	const guint8 *magic = km_compression_magic(compression, &magic_size);
	const guint8 *end = in->data + in->size, *p = in->data;
	for (guint i = 0; i < MAX_STREAMS && (p = memmem(p, (gsize)(end - p), magic, magic_size)); i++, p++) {
		g_autoptr(GBytes) out = km_decompress(compression, p, (gsize)(end - p), in->path, NULL);
		gsize size = 0, n;
		const guint8 *data = out ? g_bytes_get_data(out, &size) : NULL;
		if (size && (km_find_banner(data, size, &n) || !memcmp(data, ELFMAG, MIN(size, SELFMAG))))
			return g_steal_pointer(&out);
	}
	return NULL;
}

static GBytes *unpack_search(const Input *in, GError **error)
{
	const KmCompression *compression;
	for (gsize i = 0; (compression = km_compression_nth(i)); i++) {
		GBytes *out = try_streams(in, compression);
		if (out)
			return out;
	}
	return km_fail_null(
		error,
		"%s is truncated or damaged: it starts like a compressed s390x kernel, but holds no complete "
		"compressed stream; get it again",
		in->path);
}

static const Wrapper wrappers[] = {
	{ "ELF vmlinux", probe_elf, NULL },
	{ "EFI zboot", probe_zboot, unpack_zboot },
	{ "arm64 Image", probe_flat, NULL },
	{ "x86 bzImage", probe_bzimage, unpack_bzimage },
	{ "s390x bzImage", probe_s390, unpack_search },
	{ "compressed file", probe_compressed, unpack_compressed },
	{ "flat image", probe_banner, NULL },
};

static const Wrapper *find_wrapper(const Input *in)
{
	for (gsize i = 0; i < G_N_ELEMENTS(wrappers); i++)
		if (wrappers[i].probe(in))
			return &wrappers[i];
	return NULL;
}

GBytes *km_image_bare(GBytes *file, const char *path, GError **error)
{
	g_autoptr(GBytes) layer = g_bytes_ref(file);
	for (guint i = 0; i < MAX_LAYERS; i++) {
		Input in = { .path = path };
		in.data = g_bytes_get_data(layer, &in.size);
		const Wrapper *wrapper = in.size ? find_wrapper(&in) : NULL;
		if (!wrapper)
			return km_fail_null(
				error, "%s is no kernel image: %s; give the vmlinuz, vmlinux or Image of a kernel",
				path,
				in.size ? "neither ELF, bzImage, arm64 Image, EFI zboot, s390x nor compressed, and "
					  "without a \"Linux version\" banner"
					: "it is empty");
		if (!check_pe(&in, error))
			return NULL;
		if (!wrapper->unpack)
			return g_steal_pointer(&layer);
		GBytes *next = wrapper->unpack(&in, error);
		if (!next)
			return NULL;
		g_bytes_unref(layer);
		layer = next;
	}
	return km_fail_null(error, "%s is no kernel image: wrapped more than %d times", path, MAX_LAYERS);
}

const char *km_flat_arch(const guint8 *data, gsize size)
{
	/* Documentation/arch/arm64/booting.rst */
	return size >= 0x40 && !memcmp(data + 0x38, "ARMd", 4) ? "arm64" : NULL;
}

/* A weak copy with a placeholder for the build number ("... # SMP ") can precede the one that is used. */
static gboolean is_placeholder(const char *banner, gsize n)
{
	const char *hash = memmem(banner, n, ") #", 3);
	return !hash || hash + 3 >= banner + n || !g_ascii_isdigit(hash[3]);
}

const char *km_find_banner(const guint8 *data, gsize data_size, gsize *size)
{
	static const char start[] = "Linux version ";
	const guint8 *end = data + data_size, *p = data;
	const char *weak = NULL;
	while ((p = memmem(p, (gsize)(end - p), start, sizeof(start) - 1))) {
		const char *banner = (const char *)p;
		gsize max = MIN((gsize)(end - p), 1024), n = strnlen(banner, max);
		const char *eol = memchr(banner, '\n', n);
		p += sizeof(start) - 1;
		if (n == max || p == end || !g_ascii_isdigit(*p))
			continue;
		gboolean placeholder = is_placeholder(banner, n);
		if (placeholder && weak)
			continue;
		*size = eol ? (gsize)(eol - banner) : n;
		if (!placeholder)
			return banner;
		weak = banner;
	}
	return weak;
}
