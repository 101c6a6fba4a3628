/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/decompress.h"

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/error.h"

#define MIB ((gsize)1 << 20)
/* What lz4 -l, which the kernel's build uses, puts into one block at most. */
#define LZ4_LEGACY_BLOCK (8 * MIB)
#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZMA_MEMORY_MAX (256 * (guint64)MIB)

struct KmCompression {
	const char *name;
	const char *magic;
	gsize magic_size;
	/* NULL: done. Otherwise what is wrong with the stream. */
	const char *(*run)(const guint8 *data, gsize size, GByteArray *out);
};

static const char *const truncated = "the stream ends early";
static const char *const corrupt = "the stream is corrupt";
static const char *const too_large = "it unpacks to more than 1 GiB";

/* Room for the next bytes of output: doubles what is there, up to the limit (one byte more, which tells an overrun). */
static gsize grow(GByteArray *out, gsize used)
{
	gsize want = MAX(used * 2, 4 * MIB);
	g_byte_array_set_size(out, (guint)MIN(want, KM_UNPACKED_MAX + 1));
	return out->len - used;
}

static const char *finish(GByteArray *out, gsize used)
{
	g_byte_array_set_size(out, (guint)used);
	return used > KM_UNPACKED_MAX ? too_large : NULL;
}

static const char *run_gzip(const guint8 *data, gsize size, GByteArray *out)
{
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (uInt)MIN(size, G_MAXUINT) };
	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
		return corrupt;
	int ret = Z_OK;
	while (ret == Z_OK && z.total_out <= KM_UNPACKED_MAX) {
		z.avail_out = (uInt)grow(out, z.total_out);
		z.next_out = out->data + z.total_out;
		ret = inflate(&z, Z_NO_FLUSH);
	}
	gsize used = z.total_out;
	inflateEnd(&z);
	if (ret != Z_OK && ret != Z_STREAM_END)
		return ret == Z_BUF_ERROR ? truncated : corrupt;
	return finish(out, used);
}

static const char *lzma_loop(lzma_stream *z, const guint8 *data, gsize size, GByteArray *out)
{
	lzma_ret ret = LZMA_OK;
	z->next_in = data;
	z->avail_in = size;
	while (ret == LZMA_OK && z->total_out <= KM_UNPACKED_MAX) {
		z->avail_out = grow(out, z->total_out);
		z->next_out = out->data + z->total_out;
		ret = lzma_code(z, LZMA_RUN);
		if (ret == LZMA_OK && !z->avail_in && z->avail_out)
			ret = LZMA_BUF_ERROR;
	}
	gsize used = z->total_out;
	lzma_end(z);
	if (ret == LZMA_MEMLIMIT_ERROR)
		return "its dictionary needs more than 256 MiB";
	if (ret != LZMA_OK && ret != LZMA_STREAM_END)
		return ret == LZMA_BUF_ERROR ? truncated : corrupt;
	return finish(out, used);
}

static const char *run_xz(const guint8 *data, gsize size, GByteArray *out)
{
	lzma_stream z = LZMA_STREAM_INIT;
	return lzma_stream_decoder(&z, LZMA_MEMORY_MAX, 0) == LZMA_OK ? lzma_loop(&z, data, size, out) : corrupt;
}

static const char *run_lzma(const guint8 *data, gsize size, GByteArray *out)
{
	lzma_stream z = LZMA_STREAM_INIT;
	return lzma_alone_decoder(&z, LZMA_MEMORY_MAX) == LZMA_OK ? lzma_loop(&z, data, size, out) : corrupt;
}

static const char *run_bzip2(const guint8 *data, gsize size, GByteArray *out)
{
	bz_stream z = { .next_in = (char *)data, .avail_in = (unsigned)MIN(size, G_MAXUINT) };
	if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
		return corrupt;
	int ret = BZ_OK;
	gsize used = 0;
	while (ret == BZ_OK && used <= KM_UNPACKED_MAX) {
		z.avail_out = (unsigned)grow(out, used);
		z.next_out = (char *)out->data + used;
		ret = BZ2_bzDecompress(&z);
		used = (gsize)((guint8 *)z.next_out - out->data);
		if (ret == BZ_OK && !z.avail_in && z.avail_out)
			ret = BZ_UNEXPECTED_EOF;
	}
	BZ2_bzDecompressEnd(&z);
	if (ret != BZ_OK && ret != BZ_STREAM_END)
		return ret == BZ_UNEXPECTED_EOF ? truncated : corrupt;
	return finish(out, used);
}

static const char *run_zstd(const guint8 *data, gsize size, GByteArray *out)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { data, size, 0 };
	gsize used = 0, ret = 1;
	/* The kernel's build uses window logs beyond the library's default limit (zstd -22 --ultra). */
	ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 28);
	while (ret && !ZSTD_isError(ret) && used <= KM_UNPACKED_MAX) {
		ZSTD_outBuffer to = { NULL, grow(out, used), 0 };
		to.dst = out->data + used;
		ret = ZSTD_decompressStream(z, &to, &in);
		used += to.pos;
		if (ret && in.pos == in.size && to.pos < to.size)
			break;
	}
	ZSTD_freeDStream(z);
	if (ZSTD_isError(ret))
		return corrupt;
	return ret && used <= KM_UNPACKED_MAX ? truncated : finish(out, used);
}

static guint32 get_le32(const guint8 *p)
{
	return (guint32)p[0] | (guint32)p[1] << 8 | (guint32)p[2] << 16 | (guint32)p[3] << 24;
}

static guint32 get_be32(const guint8 *p)
{
	return (guint32)p[3] | (guint32)p[2] << 8 | (guint32)p[1] << 16 | (guint32)p[0] << 24;
}

/* Blocks of a size each, without an end mark: what comes last may be the size the kernel's build appends (no block). */
static const char *run_lz4(const guint8 *data, gsize size, GByteArray *out)
{
	gsize pos = 4, used = 0;
	while (size - pos >= 4) {
		guint32 n = get_le32(data + pos);
		if (n == LZ4_LEGACY_MAGIC) {
			pos += 4;
			continue;
		}
		if (size - pos == 4)
			break;
		if (!n || n > (guint32)LZ4_COMPRESSBOUND((int)LZ4_LEGACY_BLOCK))
			return used ? finish(out, used) : corrupt;
		if (n > size - pos - 4)
			return truncated;
		if (used + LZ4_LEGACY_BLOCK > KM_UNPACKED_MAX)
			return too_large;
		g_byte_array_set_size(out, (guint)(used + LZ4_LEGACY_BLOCK));
		int got = LZ4_decompress_safe((const char *)data + pos + 4, (char *)out->data + used, (int)n,
					      (int)LZ4_LEGACY_BLOCK);
		if (got < 0)
			return corrupt;
		used += (gsize)got;
		pos += 4 + (gsize)n;
		if ((gsize)got < LZ4_LEGACY_BLOCK) /* only the last one is shorter */
			break;
	}
	return used ? finish(out, used) : truncated;
}

/* Bytes of an lzop file's header, from what follows the signature on; 0 when it is none we can read. */
static gsize lzop_header_size(const guint8 *data, gsize size, guint32 *flags)
{
	const gsize fixed = 9 + 2 + 2 + 2 + 1 + 1 + 4 + 4 + 4 + 4;
	if (size < fixed + 1)
		return 0;
	*flags = get_be32(data + 17);
	gsize name = data[fixed];
	gsize end = fixed + 1 + name + 4;
	/* F_H_FILTER and F_H_EXTRA_FIELD: never written for a kernel */
	return end <= size && !(*flags & 0x840) ? end : 0;
}

/*
 * Block checksums that precede the data: Adler-32 and CRC-32, of the unpacked and (only if it differs) of the
 * packed.
 */
static gsize lzop_checksums(guint32 flags, gboolean stored)
{
	gsize n = 0;
	n += flags & 0x1 ? 4 : 0;
	n += flags & 0x100 ? 4 : 0;
	n += flags & 0x2 && !stored ? 4 : 0;
	n += flags & 0x200 && !stored ? 4 : 0;
	return n;
}

static const char *lzop_block(const guint8 *data, gsize packed, gsize unpacked, GByteArray *out)
{
	gsize used = out->len;
	if (used + unpacked > KM_UNPACKED_MAX)
		return too_large;
	g_byte_array_set_size(out, (guint)(used + unpacked));
	if (packed == unpacked) {
		memcpy(out->data + used, data, packed);
		return NULL;
	}
	lzo_uint got = unpacked;
	if (lzo1x_decompress_safe(data, packed, out->data + used, &got, NULL) != LZO_E_OK || got != unpacked)
		return corrupt;
	return NULL;
}

static const char *run_lzo(const guint8 *data, gsize size, GByteArray *out)
{
	guint32 flags;
	gsize pos = lzop_header_size(data, size, &flags);
	if (!pos)
		return corrupt;
	for (;;) {
		if (size - pos < 4)
			return truncated;
		guint32 unpacked = get_be32(data + pos);
		if (!unpacked)
			return NULL;
		if (size - pos < 8)
			return truncated;
		guint32 packed = get_be32(data + pos + 4);
		gsize head = 8 + lzop_checksums(flags, packed == unpacked);
		if (unpacked > 64 * MIB || packed > unpacked)
			return corrupt;
		if (size - pos < head + packed)
			return truncated;
		const char *problem = lzop_block(data + pos + head, packed, unpacked, out);
		if (problem)
			return problem;
		pos += head + packed;
	}
}

static const KmCompression compressions[] = {
	{ "gzip", "\x1f\x8b\x08", 3, run_gzip },
	{ "xz",
	  "\xfd"
	  "7zXZ\0",
	  6, run_xz },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, run_zstd },
	{ "lz4", "\x02\x21\x4c\x18", 4, run_lz4 },
	{ "bzip2", "BZh", 3, run_bzip2 },
	{ "lzo", "\x89LZO\0\r\n\x1a\n", 9, run_lzo },
	{ "lzma", "\x5d\0\0", 3, run_lzma },
};

const KmCompression *km_compression_nth(gsize n)
{
	return n < G_N_ELEMENTS(compressions) ? &compressions[n] : NULL;
}

const KmCompression *km_compression_detect(const guint8 *data, gsize size)
{
	for (gsize i = 0; i < G_N_ELEMENTS(compressions); i++)
		if (size >= compressions[i].magic_size &&
		    !memcmp(data, compressions[i].magic, compressions[i].magic_size))
			return &compressions[i];
	return NULL;
}

const char *km_compression_name(const KmCompression *compression)
{
	return compression->name;
}

const guint8 *km_compression_magic(const KmCompression *compression, gsize *size)
{
	*size = compression->magic_size;
	return (const guint8 *)compression->magic;
}

GBytes *km_decompress(const KmCompression *compression, const guint8 *data, gsize size, const char *what,
		      GError **error)
{
	g_autoptr(GByteArray) out = g_byte_array_new();
	const char *problem = compression->run(data, size, out);
	if (problem == too_large)
		return km_fail_null(error, "cannot unpack %s: %s (%s); no kernel or module does", what, problem,
				    compression->name);
	if (problem)
		return km_fail_null(error, "cannot unpack %s: %s (%s); the file is truncated or damaged, get it again",
				    what, problem, compression->name);
	return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}
