/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel images: every table layout is read, every wrapper unpacked, every damage refused. */
#include <bzlib.h>
#include <glib/gstdio.h>
#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <zlib.h>
#include <zstd.h>

#include "base/error.h"
#include "base/file.h"
#include "image/image.h"
#include "image/internal.h"
#include "image-writer.h"

static KmImage *open_bytes(GBytes *bytes, GError **error)
{
	return km_image_new(bytes, "test-image", error);
}

static const KmArch *arch_of(gboolean big)
{
	return km_arch_by_name(big ? "s390x" : "x86_64");
}

/* --- kallsyms --- */

static void check_symbols(const KmImage *image, const Writer *w)
{
	gsize n;
	const KmKsym *symbols = km_image_symbols(image, &n);
	g_assert_cmpuint(n, ==, SYMBOLS);
	for (guint i = 0; i < n; i++) {
		g_autofree char *name = symbol_name(i);
		g_assert_cmpstr(symbols[i].name, ==, name);
		g_assert_cmphex(symbols[i].address, ==, symbol_address(w, i));
		g_assert_cmpint(symbols[i].type, ==, i % 2 ? 't' : 'T');
	}
}

static void check_layout(Writer w)
{
	g_autoptr(GError) error = NULL;
	w.base = BASE;
	const KmArch *arch = arch_of(w.big_endian);
	g_autoptr(GBytes) bytes = make_image(&w, arch->machine);
	g_autoptr(KmImage) image = open_bytes(bytes, &error);
	g_assert_no_error(error);
	g_assert_true(km_image_arch(image) == arch);
	check_symbols(image, &w);
}

static void test_layouts(void)
{
	for (guint layout = 0; layout < LAYOUTS; layout++)
		for (guint big = 0; big < 2; big++) {
			check_layout((Writer){ .layout = layout, .big_endian = big });
			if (layout != ADDRESSES) {
				check_layout((Writer){ .layout = layout, .big_endian = big, .percpu = TRUE });
				check_layout((Writer){ .layout = layout, .big_endian = big, .no_base = TRUE });
			}
		}
}

static KmImage *plain_image(void)
{
	g_autoptr(GError) error = NULL;
	Writer w = { .layout = NEW, .base = BASE };
	g_autoptr(GBytes) bytes = make_image(&w, arch_of(FALSE)->machine);
	KmImage *image = open_bytes(bytes, &error);
	g_assert_no_error(error);
	return image;
}

static void test_questions(void)
{
	Writer w = { .layout = NEW, .base = BASE };
	g_autoptr(KmImage) image = plain_image();
	g_assert_cmpstr(km_image_release(image), ==, "9.8.7-test");
	g_assert_true(g_str_has_suffix(km_image_banner(image), "#1 SMP"));
	const GArray *twins = km_image_lookup(image, "twin");
	g_assert_cmpuint(twins->len, ==, SYMBOLS / 10);
	g_assert_cmpuint(g_array_index(twins, guint32, 0), ==, 3);
	g_assert_cmpuint(g_array_index(twins, guint32, 2), ==, 23);
	g_assert_null(km_image_lookup(image, "no_such_symbol"));
	const GArray *at = km_image_symbols_at(image, symbol_address(&w, 20));
	g_assert_cmpuint(at->len, ==, 2);
	g_assert_cmpuint(g_array_index(at, guint32, 0), ==, 20);
	g_assert_true(km_image_symbols_at(image, symbol_address(&w, 20)) == at);
	g_assert_null(km_image_symbols_at(image, symbol_address(&w, 20) + 1));
	g_assert_cmpstr(km_image_nearest(image, symbol_address(&w, 20) + 5)->name, ==, "function_number_21");
	g_assert_null(km_image_nearest(image, BASE - 1));
}

static void test_bytes(void)
{
	g_autoptr(KmImage) image = plain_image();
	g_assert_cmphex(*km_image_bytes(image, BASE, 1), ==, 0x90);
	g_assert_nonnull(km_image_bytes(image, BASE, TEXT_SIZE));
	g_assert_null(km_image_bytes(image, BASE, TEXT_SIZE + 1));
	g_assert_null(km_image_bytes(image, BASE - 1, 1));
	g_assert_null(km_image_bytes(image, BASE + TEXT_SIZE, 1));
	g_assert_null(km_image_bytes(image, BASE + 1, G_MAXSIZE));
	g_assert_null(km_image_bytes(image, G_MAXUINT64, 1));
}

static void check_exports(gboolean absolute, gboolean big)
{
	g_autoptr(GError) error = NULL;
	Writer w = { .layout = OLD, .base = BASE, .absolute_exports = absolute, .big_endian = big };
	g_autoptr(GBytes) bytes = make_image(&w, arch_of(big)->machine);
	g_autoptr(KmImage) image = open_bytes(bytes, &error);
	g_assert_no_error(error);
	gsize n;
	km_image_exports(image, &n);
	g_assert_cmpuint(n, ==, 2);
	const KmExport *alpha = km_image_export(image, "alpha"), *beta = km_image_export(image, "beta");
	g_assert_cmphex(alpha->address, ==, symbol_address(&w, 20));
	g_assert_cmphex(alpha->crc, ==, 0xc0ffee00 + 20);
	g_assert_true(alpha->has_crc && !alpha->gpl);
	g_assert_cmpstr(alpha->namespace, ==, "");
	g_assert_cmphex(beta->address, ==, symbol_address(&w, 30));
	g_assert_true(beta->gpl);
	g_assert_cmpstr(beta->namespace, ==, "NS");
	g_assert_null(km_image_export(image, "gamma"));
}

static void test_exports(void)
{
	for (guint i = 0; i < 4; i++)
		check_exports(i & 1, i >> 1);
}

static void test_entries(void)
{
	Writer w = { .layout = NEW, .base = BASE };
	g_autoptr(KmImage) image = plain_image();
	guint64 yes = symbol_address(&w, 40), no = symbol_address(&w, 60);
	g_assert_cmpint(km_image_has_entry(image, yes, yes + 0x20), ==, 1);
	g_assert_cmpint(km_image_has_entry(image, yes, yes + 4), ==, 0);
	g_assert_cmpint(km_image_has_entry(image, yes + 5, yes + 0x20), ==, 0);
	g_assert_cmpint(km_image_has_entry(image, no, no + 0x20), ==, 0);
	g_assert_cmpint(km_image_entry_count(image), ==, 2);
}

/* Records of pads before the labels belong to the functions behind them. */
static void test_entries_in_pads(void)
{
	g_autoptr(GError) error = NULL;
	Writer w = { .layout = NEW, .base = BASE, .entry_pad = 8 };
	g_autoptr(GBytes) bytes = make_image(&w, arch_of(FALSE)->machine);
	g_autoptr(KmImage) image = open_bytes(bytes, &error);
	g_assert_no_error(error);
	guint64 yes = symbol_address(&w, 40);
	g_assert_cmpint(km_image_has_entry(image, yes, yes + 0x20), ==, 1);
	g_assert_cmpint(km_image_has_entry(image, yes - 0x20, yes), ==, 0);
}

/* --- wrappers --- */

typedef GByteArray *(*Compressor)(const guint8 *data, gsize size);

static GByteArray *sized(gsize size)
{
	return g_byte_array_set_size(g_byte_array_new(), (guint)size);
}

static GByteArray *gzip(const guint8 *data, gsize size)
{
	GByteArray *out = sized(size + 1000);
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (uInt)size, .next_out = out->data, .avail_out = out->len };
	g_assert_cmpint(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), ==, Z_OK);
	g_assert_cmpint(deflate(&z, Z_FINISH), ==, Z_STREAM_END);
	g_byte_array_set_size(out, (guint)z.total_out);
	deflateEnd(&z);
	return out;
}

/* As the kernel's build does: the x86 filter in front, and CRC-32. */
static GByteArray *xz(const guint8 *data, gsize size)
{
	GByteArray *out = sized(size + 1000);
	lzma_options_lzma options;
	lzma_lzma_preset(&options, 6);
	lzma_filter filters[] = { { LZMA_FILTER_X86, NULL },
				  { LZMA_FILTER_LZMA2, &options },
				  { LZMA_VLI_UNKNOWN, NULL } };
	size_t used = 0;
	g_assert_cmpint(
		lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, data, size, out->data, &used, out->len), ==,
		LZMA_OK);
	return g_byte_array_set_size(out, (guint)used);
}

static GByteArray *lzma(const guint8 *data, gsize size)
{
	GByteArray *out = sized(size + 1000);
	lzma_options_lzma options;
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_lzma_preset(&options, 6);
	g_assert_cmpint(lzma_alone_encoder(&z, &options), ==, LZMA_OK);
	z.next_in = data;
	z.avail_in = size;
	z.next_out = out->data;
	z.avail_out = out->len;
	g_assert_cmpint(lzma_code(&z, LZMA_FINISH), ==, LZMA_STREAM_END);
	g_byte_array_set_size(out, (guint)z.total_out);
	lzma_end(&z);
	return out;
}

static GByteArray *zstd(const guint8 *data, gsize size)
{
	GByteArray *out = sized(ZSTD_compressBound(size));
	return g_byte_array_set_size(out, (guint)ZSTD_compress(out->data, out->len, data, size, 3));
}

static GByteArray *bzip2(const guint8 *data, gsize size)
{
	GByteArray *out = sized(size + 1000);
	unsigned used = out->len;
	g_assert_cmpint(BZ2_bzBuffToBuffCompress((char *)out->data, &used, (char *)data, (unsigned)size, 9, 0, 0), ==,
			BZ_OK);
	return g_byte_array_set_size(out, used);
}

static GByteArray *lz4(const guint8 *data, gsize size)
{
	GByteArray *out = sized(8 + (gsize)LZ4_COMPRESSBOUND((int)size));
	int n = LZ4_compress_default((const char *)data, (char *)out->data + 8, (int)size, (int)out->len - 8);
	const guint32 head[2] = { GUINT32_TO_LE(0x184c2102), GUINT32_TO_LE((guint32)n) };
	memcpy(out->data, head, 8);
	return g_byte_array_set_size(out, 8 + (guint)n);
}

static GByteArray *lzo(const guint8 *data, gsize size)
{
	static const guint8 head[] =
		"\x89LZO\0\r\n\x1a\n\x10\x40\x20\x80\x09\x40\x01\x05\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	GByteArray *out = g_byte_array_append(g_byte_array_new(), head, 38);
	g_autofree guint8 *packed = g_malloc(size * 2), *work = g_malloc(LZO1X_1_MEM_COMPRESS);
	lzo_uint n = 0;
	g_assert_cmpint(lzo1x_1_compress(data, size, packed, &n, work), ==, LZO_E_OK);
	put(out, size, 4, TRUE);
	put(out, n, 4, TRUE);
	put(out, 0, 4, TRUE); /* Adler-32, which we do not check */
	g_byte_array_append(out, packed, (guint)n);
	put(out, 0, 4, TRUE);
	return out;
}

/* A bzImage: setup code of five sectors with the header, then the payload and the unpacked size behind it. */
static GBytes *make_bzimage(GByteArray *payload, gsize unpacked)
{
	GByteArray *out = sized(5 * 512);
	memset(out->data, 0, out->len);
	out->data[0x1f1] = 4;
	memcpy(out->data + 0x1fe, "\x55\xaaxxHdrS\x0f\x02", 10);
	guint32 offset = GUINT32_TO_LE(0x40), size = GUINT32_TO_LE(payload->len + 4);
	memcpy(out->data + 0x248, &offset, 4);
	memcpy(out->data + 0x24c, &size, 4);
	g_byte_array_set_size(out, out->len + 0x40);
	g_byte_array_append(out, payload->data, payload->len);
	put(out, unpacked, 4, FALSE);
	return g_byte_array_free_to_bytes(out);
}

static GBytes *make_zboot(GByteArray *payload)
{
	GByteArray *out = sized(0x40);
	memset(out->data, 0, out->len);
	memcpy(out->data, "MZ\0\0zimg\x40\0\0\0", 12);
	guint32 size = GUINT32_TO_LE(payload->len);
	memcpy(out->data + 12, &size, 4);
	g_byte_array_append(out, payload->data, payload->len);
	return g_byte_array_free_to_bytes(out);
}

static GBytes *make_s390(GByteArray *payload)
{
	GByteArray *out = sized(0x11000);
	memset(out->data, 0, out->len);
	memcpy(out->data + 0x10008, "S390EP\0\1", 8);
	memcpy(out->data + 0x10800,
	       "\xfd"
	       "7zXZ\0",
	       6); /* not a stream, only looks like one */
	g_byte_array_append(out, payload->data, payload->len);
	g_byte_array_append(out, (const guint8 *)"tail", 4);
	return g_byte_array_free_to_bytes(out);
}

static const Compressor compressors[] = { gzip, xz, zstd, lz4, bzip2, lzo, lzma };

static void expect_kernel(GBytes *file, const Writer *w)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmImage) image = open_bytes(file, &error);
	g_assert_no_error(error);
	check_symbols(image, w);
}

static void test_wrappers(void)
{
	Writer w = { .layout = NEW, .base = BASE };
	g_autoptr(GBytes) bare = make_image(&w, arch_of(FALSE)->machine);
	gsize size;
	const guint8 *data = g_bytes_get_data(bare, &size);
	for (guint i = 0; i < G_N_ELEMENTS(compressors); i++) {
		g_autoptr(GByteArray) packed = compressors[i](data, size);
		g_autoptr(GBytes) bzimage = make_bzimage(packed, size), zboot = make_zboot(packed);
		g_autoptr(GBytes) s390 = make_s390(packed), alone = g_bytes_new(packed->data, packed->len);
		expect_kernel(bzimage, &w);
		expect_kernel(zboot, &w);
		expect_kernel(s390, &w);
		expect_kernel(alone, &w);
	}
}

static void put_relocation(GByteArray *out, const Writer *w, guint64 place, guint64 value)
{
	put(out, w->base + place, 8, w->big_endian);
	put(out, 0x403, 8, w->big_endian);
	put(out, w->base + value, 8, w->big_endian);
}

#define PLAIN_EXPORTS 100 /* their names are those of symbols from 300 on */
#define GPL_EXPORTS 40 /* from 200 on */
#define ENTRIES 70
#define ENTRIES_AT 0x9000

/* The symbol that is exported by the record. */
static guint exported(guint record)
{
	return record < PLAIN_EXPORTS ? 300 + record : 200 + record - PLAIN_EXPORTS;
}

/* As a linker puts them: both tables, the checksums, the names. gap: something is between the latter two. */
static void put_exports(GByteArray *out, const Writer *w, guint gap, guint wrong)
{
	const guint n = PLAIN_EXPORTS + GPL_EXPORTS;
	guint64 start = w->base + out->len, strings = start + n * 16 + gap;
	g_autoptr(GString) names = g_string_new(NULL);
	for (guint i = 0; i < n; i++) {
		g_autofree char *name = g_strdup_printf("function_number_%u", exported(i));
		guint64 at = start + i * 12, value = symbol_address(w, exported(i) + (i == wrong ? 2 : 0));
		put(out, value - at, 4, w->big_endian);
		put(out, strings + names->len - (at + 4), 4, w->big_endian);
		g_string_append_len(names, name, (gssize)strlen(name) + 1);
		put(out, strings + names->len - (i == 7 ? 0 : 1) - (at + 8), 4, w->big_endian);
		if (i == 7)
			g_string_append_len(names, "SPACE", 6);
	}
	for (guint i = 0; i < n; i++)
		put(out, 0xc0ffee00 + exported(i), 4, w->big_endian);
	g_byte_array_set_size(out, out->len + gap);
	g_byte_array_append(out, (const guint8 *)names->str, (guint)names->len);
}

/* Records of every second symbol from 20 on, at equal instructions; then pointers to other code. */
static void put_entries(GByteArray *out, const Writer *w, guint8 *code)
{
	for (guint i = 0; i < ENTRIES + 3; i++) {
		guint64 function = symbol_address(w, 20 + 4 * i) - w->base;
		if (i < ENTRIES)
			memset(code + function + 4, 0x1f, 4);
		put_relocation(out, w, ENTRIES_AT + i * 8, function + 4);
	}
}

/*
 * A flat relocatable arm64 Image: the base of its symbols is only in its relocations. tables: where kallsyms names no data, too.
 */
static GBytes *make_flat_with(Writer *w, const char *magic, gboolean tables_too, guint gap, guint wrong)
{
	GByteArray *out = sized(0x10000);
	memset(out->data, 0xaa, out->len);
	memcpy(out->data + 0x38, magic, strlen(magic));
	g_byte_array_append(out, (const guint8 *)BANNER, sizeof(BANNER));
	pad(out, 4096);
	gsize at = out->len;
	g_autoptr(GByteArray) tables = make_kallsyms(w);
	g_byte_array_append(out, tables->data, tables->len);
	pad(out, 4096);
	if (tables_too)
		put_exports(out, w, gap, wrong);
	pad(out, 4096);
	g_autoptr(GByteArray) relocations = g_byte_array_new();
	for (guint i = 0; i < 200; i++) {
		if (i == 77 || i == 78) /* the true one, and one that would start the image a page later */
			put_relocation(relocations, w, at + w->base_at + (i - 77) * 4096, (i - 77) * 0x3000);
		else
			put_relocation(relocations, w, 0x8000 + i * 8, 0x4008 + i);
	}
	if (tables_too) {
		memset(out->data + ENTRIES_AT, 0, 8 * (ENTRIES + 3));
		put_entries(relocations, w, out->data);
	}
	g_byte_array_append(out, relocations->data, relocations->len);
	pad(out, 4096);
	return g_byte_array_free_to_bytes(out);
}

static GBytes *make_flat(Writer *w, const char *magic)
{
	return make_flat_with(w, magic, FALSE, 0, 0);
}

static void test_flat(void)
{
	for (guint big = 0; big < 2; big++) {
		Writer w = { .layout = OLD,
			     .zero_base = TRUE,
			     .base = G_GUINT64_CONSTANT(0xffff800008000000),
			     .big_endian = big };
		g_autoptr(GBytes) flat = make_flat(&w, big ? "none" : "ARMd");
		g_autoptr(GError) error = NULL;
		g_autoptr(KmImage) image = open_bytes(flat, &error);
		g_assert_no_error(error);
		g_assert_cmpstr(km_image_arch(image)->name, ==, big ? "s390x" : "arm64");
		check_symbols(image, &w);
		g_assert_cmphex(*km_image_bytes(image, w.base, 1), ==, 0xaa);
		g_assert_cmpint(km_image_has_entry(image, w.base, w.base + 100), ==, -1);
		gsize n;
		km_image_exports(image, &n);
		g_assert_cmpuint(n, ==, 0);
	}
}

static KmImage *open_flat_with(Writer *w, gboolean big, guint gap, guint wrong)
{
	*w = (Writer){
		.layout = OLD, .zero_base = TRUE, .base = G_GUINT64_CONSTANT(0xffff800008000000), .big_endian = big
	};
	g_autoptr(GBytes) bytes = make_flat_with(w, big ? "none" : "ARMd", TRUE, gap, wrong);
	g_autoptr(GError) error = NULL;
	KmImage *image = open_bytes(bytes, &error);
	g_assert_no_error(error);
	return image;
}

/* Tables whose bounds have no names, by their structure. */
static void test_flat_exports(void)
{
	Writer w;
	gsize n;
	for (guint big = 0; big < 2; big++) {
		g_autoptr(KmImage) image = open_flat_with(&w, big, 0, G_MAXUINT);
		const KmExport *all = km_image_exports(image, &n);
		g_assert_cmpuint(n, ==, PLAIN_EXPORTS + GPL_EXPORTS);
		for (guint i = 0; i < n; i++) {
			g_autofree char *name = g_strdup_printf("function_number_%u", exported(i));
			g_assert_cmpstr(all[i].name, ==, name);
			g_assert_cmphex(all[i].address, ==, symbol_address(&w, exported(i)));
			g_assert_true(all[i].has_crc);
			g_assert_cmphex(all[i].crc, ==, 0xc0ffee00 + exported(i));
			g_assert_cmpint(all[i].gpl, ==, i >= PLAIN_EXPORTS);
			g_assert_cmpstr(all[i].namespace, ==, i == 7 ? "SPACE" : "");
		}
	}
	/* What follows the tables is not what should, or kallsyms has such a function elsewhere: not told. */
	g_autoptr(KmImage) gap = open_flat_with(&w, FALSE, 8, G_MAXUINT);
	g_autoptr(KmImage) other = open_flat_with(&w, FALSE, 0, 10);
	km_image_exports(gap, &n);
	g_assert_cmpuint(n, ==, 0);
	km_image_exports(other, &n);
	g_assert_cmpuint(n, ==, 0);
}

static void test_flat_entries(void)
{
	Writer w;
	for (guint big = 0; big < 2; big++) {
		g_autoptr(KmImage) image = open_flat_with(&w, big, 0, G_MAXUINT);
		for (guint i = 0; i < ENTRIES + 3; i++) {
			guint64 address = symbol_address(&w, 20 + 4 * i);
			g_assert_cmpint(km_image_has_entry(image, address, address + 0x20), ==, i < ENTRIES);
			g_assert_cmpint(km_image_has_entry(image, address + 0x20, address + 0x40), ==, 0);
		}
	}
}

/* A program for user space with one segment, of notes. */
static void put_program(GByteArray *out, guint8 id)
{
	const Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
				    .e_type = GUINT16_TO_LE(ET_DYN),
				    .e_version = GUINT32_TO_LE(EV_CURRENT),
				    .e_phoff = GUINT64_TO_LE(sizeof(Elf64_Ehdr)),
				    .e_ehsize = GUINT16_TO_LE(sizeof(Elf64_Ehdr)),
				    .e_phentsize = GUINT16_TO_LE(sizeof(Elf64_Phdr)),
				    .e_phnum = GUINT16_TO_LE(1) };
	const Elf64_Phdr notes = { .p_type = GUINT32_TO_LE(PT_NOTE),
				   .p_offset = GUINT64_TO_LE(sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr)),
				   .p_filesz = GUINT64_TO_LE(36) };
	pad(out, 4096);
	g_byte_array_append(out, (const guint8 *)&header, sizeof(header));
	g_byte_array_append(out, (const guint8 *)&notes, sizeof(notes));
	put_note(out, id, FALSE);
}

/* The build-id of a flat image with these notes in it; 0 when it has none that is certain. */
static guint8 flat_build_id(guint notes, guint programs)
{
	Writer w = { .layout = OLD, .zero_base = TRUE, .base = G_GUINT64_CONSTANT(0xffff800008000000) };
	GByteArray *out = g_bytes_unref_to_array(make_flat(&w, "ARMd"));
	for (guint i = 0; i < programs; i++)
		put_program(out, (guint8)(0x10 + i));
	for (guint i = 0; i < notes; i++)
		put_note(out, (guint8)(0x50 + i), FALSE);
	gsize size = 0, at = out->len - 20;
	guint64 address = 0;
	g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(out);
	g_autoptr(KmImage) image = open_bytes(bytes, NULL);
	const guint8 *id = km_image_build_id(image, &size, &address);
	if (!id)
		return 0;
	g_assert_cmpuint(size, ==, 20);
	g_assert_cmphex(address, ==, w.base + at);
	return id[19];
}

/* With sections, .notes has it, whatever stands elsewhere. */
static void check_elf_build_id(guint8 id, gboolean big)
{
	Writer w = { .layout = NEW, .base = BASE, .big_endian = big, .build_id = id };
	g_autoptr(GBytes) bytes = make_image(&w, big ? EM_S390 : EM_X86_64);
	g_autoptr(KmImage) image = open_bytes(bytes, NULL);
	gsize size;
	guint64 address;
	const guint8 *found = km_image_build_id(image, &size, &address);
	g_assert_cmpint(found != NULL, ==, id != 0);
	if (!found)
		return;
	g_assert_cmpuint(size, ==, 20);
	g_assert_cmphex(*found, ==, id);
	g_assert_true(km_image_bytes(image, address, size) == found);
}

static void test_build_id(void)
{
	check_elf_build_id(0, FALSE);
	check_elf_build_id(0x33, FALSE);
	check_elf_build_id(0x33, TRUE);
	g_assert_cmphex(flat_build_id(1, 0), ==, 0x50);
	g_assert_cmphex(flat_build_id(1, 2), ==, 0x50);
	g_assert_cmphex(flat_build_id(0, 1), ==, 0);
	g_assert_cmphex(flat_build_id(2, 0), ==, 0);
}

/* --- refusals --- */

static void expect_refused(const void *data, gsize size, const char *why)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(KmImage) image = open_bytes(bytes, &error);
	g_assert_null(image);
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	if (!strstr(error->message, why))
		g_error("'%s' does not say '%s'", error->message, why);
}

static void test_foreign(void)
{
	expect_refused("", 0, "empty");
	expect_refused("#!/bin/sh\necho Linux version of something\n", 41, "no kernel image");
	expect_refused("\x1f\x8b\x08junk", 7, "gzip");
	guint8 zeros[70000] = { 0 };
	expect_refused(zeros, sizeof(zeros), "no kernel image");
	memcpy(zeros,
	       "\x7f"
	       "ELF",
	       4);
	expect_refused(zeros, sizeof(zeros), "ELF");
	g_autoptr(KmObject) module = km_object_new(arch_of(FALSE), "x.ko");
	g_autoptr(GBytes) object = km_object_to_bytes(module, NULL);
	expect_refused(g_bytes_get_data(object, NULL), g_bytes_get_size(object), "relocatable object");
}

/* Cut anywhere, it is refused, but for what comes after everything that is needed. */
static void cut(GBytes *file, gsize step, gsize slack)
{
	gsize size;
	const guint8 *data = g_bytes_get_data(file, &size);
	for (gsize n = 0; n + slack < size; n += step)
		expect_refused(data, n, "");
}

static void test_truncated(void)
{
	Writer w = { .layout = NEW, .base = BASE };
	g_autoptr(GBytes) bare = make_image(&w, arch_of(FALSE)->machine);
	gsize size;
	const guint8 *data = g_bytes_get_data(bare, &size);
	cut(bare, 97, 0);
	for (guint i = 0; i < G_N_ELEMENTS(compressors); i++) {
		g_autoptr(GByteArray) packed = compressors[i](data, size);
		g_autoptr(GBytes) bzimage = make_bzimage(packed, size);
		cut(bzimage, 331, 0);
	}
	Writer flat = { .layout = OLD, .zero_base = TRUE, .base = G_GUINT64_CONSTANT(0xffff800008000000) };
	g_autoptr(GBytes) image = make_flat(&flat, "ARMd");
	cut(image, 1013, 8192);
}

/* The kernel is whole, what comes behind it is cut: only the PE header tells. */
static void test_truncated_signature(void)
{
	Writer w = { .layout = OLD, .zero_base = TRUE, .base = G_GUINT64_CONSTANT(0xffff800008000000) };
	g_autoptr(GBytes) flat = make_flat(&w, "ARMd");
	gsize size;
	g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(flat, NULL), g_bytes_get_size(flat));
	size = g_bytes_get_size(flat);
	guint32 end = GUINT32_TO_LE((guint32)size - 16), signature = GUINT32_TO_LE(16);
	memcpy(copy, "MZ", 2);
	memcpy(copy + 0x3c, "\x40\0\0\0PE\0\0\x64\xaa\0\0", 12);
	memcpy(copy + 0x40 + 20, "\xf0\0", 2);
	memcpy(copy + 0x40 + 24, "\x0b\x02", 2);
	memcpy(copy + 0x40 + 24 + 108, "\x06\0\0\0", 4);
	memcpy(copy + 0x40 + 24 + 144, &end, 4);
	memcpy(copy + 0x40 + 24 + 148, &signature, 4);
	g_autoptr(GBytes) whole = g_bytes_new(copy, size);
	expect_kernel(whole, &w);
	expect_refused(copy, size - 1, "truncated");
}

/* Flipped anywhere: read or refused, never a crash; whatever opens must answer. */
static void flip(GBytes *file, gsize step)
{
	gsize size, n;
	g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(file, NULL), g_bytes_get_size(file));
	size = g_bytes_get_size(file);
	for (gsize at = 0; at < size; at += step) {
		guint8 saved = copy[at];
		copy[at] ^= (guint8)(1u << at % 8 | 0x80);
		g_autoptr(GBytes) bytes = g_bytes_new(copy, size);
		g_autoptr(KmImage) image = open_bytes(bytes, NULL);
		if (image) {
			km_image_lookup(image, "twin");
			km_image_exports(image, &n);
			km_image_has_entry(image, BASE, BASE + 100);
			km_image_symbols_at(image, BASE);
		}
		copy[at] = saved;
	}
}

static void test_flipped(void)
{
	Writer w = { .layout = NEW, .base = BASE };
	g_autoptr(GBytes) bare = make_image(&w, arch_of(FALSE)->machine);
	gsize size;
	const guint8 *data = g_bytes_get_data(bare, &size);
	flip(bare, 61);
	for (guint i = 0; i < G_N_ELEMENTS(compressors); i++) {
		g_autoptr(GByteArray) packed = compressors[i](data, size);
		g_autoptr(GBytes) bzimage = make_bzimage(packed, size);
		flip(bzimage, 211);
	}
}

/* --- files --- */

static void test_unpack(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-test", &error);
	g_assert_no_error(error);
	g_autofree char *in = g_build_filename(dir->path, "vmlinuz", NULL),
			*out = g_build_filename(dir->path, "vmlinux", NULL);
	Writer w = { .layout = NEW, .base = BASE };
	g_autoptr(GBytes) bare = make_image(&w, arch_of(FALSE)->machine);
	gsize size;
	const guint8 *data = g_bytes_get_data(bare, &size);
	g_autoptr(GByteArray) packed = xz(data, size);
	g_autoptr(GBytes) bzimage = make_bzimage(packed, size);
	const guint8 *file = g_bytes_get_data(bzimage, NULL);
	gsize file_size = g_bytes_get_size(bzimage);
	g_assert_true(km_write_file(in, file, file_size - 100, &error));
	g_assert_false(km_image_unpack(in, out, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	g_assert_nonnull(strstr(error->message, in));
	g_assert_false(g_file_test(out, G_FILE_TEST_EXISTS));
	g_clear_error(&error);
	g_assert_true(km_write_file(in, file, file_size, &error));
	g_assert_true(km_image_unpack(in, out, &error));
	g_assert_no_error(error);
	g_autoptr(GBytes) written = km_read_file(out, &error);
	g_assert_true(g_bytes_equal(written, bare));
}

/* --- real kernels, when some are in the cache --- */

static guint compare_symvers(const KmImage *image, const char *path)
{
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	guint n = 0;
	for (char **line = lines; *line; line++) {
		g_auto(GStrv) field = g_strsplit(*line, "\t", -1);
		if (g_strv_length(field) < 4 || strcmp(field[2], "vmlinux"))
			continue;
		const KmExport *export = km_image_export(image, field[1]);
		g_assert_nonnull(export);
		g_assert_cmphex(export->crc, ==, g_ascii_strtoull(field[0], NULL, 16));
		g_assert_cmpint(export->gpl, ==, !strcmp(field[3], "EXPORT_SYMBOL_GPL"));
		g_assert_cmpstr(export->namespace, ==, field[4] ? field[4] : "");
		n++;
	}
	return n;
}

static void test_real(void)
{
	const char *cache = g_getenv("KMEND_CACHE");
	g_autofree char *dir =
		g_build_filename(cache ? cache : g_get_user_cache_dir(), cache ? "kernel" : "kmend/kernel", NULL);
	g_autoptr(GDir) kernels = g_dir_open(dir, 0, NULL);
	const char *name;
	guint seen = 0;
	while (kernels && (name = g_dir_read_name(kernels))) {
		g_autofree char *path = g_build_filename(dir, name, "image", NULL);
		g_autofree char *symvers = g_build_filename(dir, name, "build", "Module.symvers", NULL);
		g_autoptr(GError) error = NULL;
		if (!g_file_test(path, G_FILE_TEST_EXISTS) || !g_file_test(symvers, G_FILE_TEST_EXISTS))
			continue;
		g_autoptr(KmImage) image = km_image_open(path, &error);
		g_assert_no_error(error);
		gsize n;
		km_image_exports(image, &n);
		g_test_message("%s: %zu exports", name, n);
		g_assert_cmpuint(compare_symvers(image, symvers), ==, n);
		seen++;
	}
	if (!seen)
		g_test_skip("no kernel with Module.symvers in the cache (kmend kernel fetch)");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/image/kallsyms-layouts", test_layouts);
	g_test_add_func("/image/questions", test_questions);
	g_test_add_func("/image/bytes", test_bytes);
	g_test_add_func("/image/exports", test_exports);
	g_test_add_func("/image/entries", test_entries);
	g_test_add_func("/image/entries-in-pads", test_entries_in_pads);
	g_test_add_func("/image/wrappers", test_wrappers);
	g_test_add_func("/image/flat", test_flat);
	g_test_add_func("/image/flat-exports", test_flat_exports);
	g_test_add_func("/image/flat-entries", test_flat_entries);
	g_test_add_func("/image/build-id", test_build_id);
	g_test_add_func("/image/foreign", test_foreign);
	g_test_add_func("/image/truncated", test_truncated);
	g_test_add_func("/image/truncated-signature", test_truncated_signature);
	g_test_add_func("/image/flipped", test_flipped);
	g_test_add_func("/image/unpack", test_unpack);
	g_test_add_func("/image/real-exports", test_real);
	return g_test_run();
}
