/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Modules: tags, positions as the livepatch core counts them, versions, and what inspect says about them. */
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/error.h"
#include "base/file.h"
#include "image/inspect.h"
#include "image/module.h"

static KmSection *section(KmObject *object, const char *name, guint64 flags, const void *data, gsize size)
{
	KmSection *s = km_object_add_section(object, name, SHT_PROGBITS, flags, 8);
	if (size)
		km_section_append(s, data, size, 8);
	return s;
}

static void add_version(const KmObject *object, KmSection *versions, guint32 crc, const char *name)
{
	guint8 entry[64] = { 0 };
	km_object_put_u64(object, entry, crc);
	g_strlcpy((char *)entry + 8, name, 56);
	km_section_append(versions, entry, sizeof(entry), 8);
}

static KmSymbol *function(KmObject *object, const char *name, KmSection *in, guint64 value)
{
	return km_object_add_symbol(object, name, STB_LOCAL, STT_FUNC, in, value, 16);
}

static const char info[] =
	"license=GPL\0name=sample\0\0alias=one\0alias=two\0depends=mii,usbnet\0vermagic=9.8.7 SMP\0aliasx=no";

/* Two functions "same" in .text, and in .init.text one "early" that .text has too, later in the table. */
static KmObject *sample(const KmArch *arch)
{
	KmObject *object = km_object_new(arch, "sample.ko");
	guint8 code[64] = { 0 };
	KmSection *text = section(object, ".text", SHF_ALLOC | SHF_EXECINSTR, code, 64);
	KmSection *init = section(object, ".init.text", SHF_ALLOC | SHF_EXECINSTR, code, 32);
	section(object, ".modinfo", SHF_ALLOC, info, sizeof(info));
	KmSection *versions = section(object, "__versions", SHF_ALLOC, NULL, 0);
	KmSection *comment = section(object, ".comment", 0, "x", 2);
	KmSection *records = section(object, "__mcount_loc", SHF_ALLOC, code, 16);
	add_version(object, versions, 0x12345678, "module_layout");
	add_version(object, versions, 0xdeadbeef, "printk");
	function(object, "same", text, 0);
	km_object_add_symbol(object, "same", STB_LOCAL, STT_NOTYPE, comment, 0, 0);
	km_object_add_symbol(object, "printk", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	function(object, "early", init, 0);
	KmSymbol *second = function(object, "other", text, 16);
	function(object, "early", text, 32);
	function(object, "other", text, 48);
	km_section_add_reloc(records, 0, arch->abs64, second, 4);
	km_section_add_reloc(records, 8, arch->abs64, km_object_section_symbol(object, text), 0);
	return object;
}

static KmSymbol *nth(const KmObject *object, const char *name, guint n)
{
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (!strcmp(symbol->name, name) && !n--)
			return symbol;
	}
	g_assert_not_reached();
}

static void test_info(void)
{
	g_autoptr(KmObject) object = sample(km_arch_by_name("x86_64"));
	g_assert_cmpstr(km_module_info(object, "license"), ==, "GPL");
	g_assert_cmpstr(km_module_info(object, "name"), ==, "sample");
	g_assert_cmpstr(km_module_info(object, "vermagic"), ==, "9.8.7 SMP");
	g_assert_null(km_module_info(object, "nam"));
	g_assert_null(km_module_info(object, "livepatch"));
	const char *first = km_module_info_next(object, "alias", NULL);
	g_assert_cmpstr(first, ==, "one");
	const char *second = km_module_info_next(object, "alias", first);
	g_assert_cmpstr(second, ==, "two");
	g_assert_null(km_module_info_next(object, "alias", second));
}

static void test_info_unterminated(void)
{
	g_autoptr(KmObject) object = km_object_new(km_arch_by_name("x86_64"), "x.ko");
	section(object, ".modinfo", SHF_ALLOC, "a=b\0name=cut", 12);
	g_assert_cmpstr(km_module_info(object, "a"), ==, "b");
	g_assert_null(km_module_info(object, "name"));
}

static void expect_sympos(const KmObject *object, KmSymbol *symbol, guint want)
{
	g_autoptr(GError) error = NULL;
	guint sympos = 0;
	g_assert_true(km_module_sympos(object, symbol, &sympos, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(sympos, ==, want);
}

static void expect_no_sympos(const KmObject *object, KmSymbol *symbol)
{
	g_autoptr(GError) error = NULL;
	guint sympos = 77;
	g_assert_false(km_module_sympos(object, symbol, &sympos, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_nonnull(strstr(error->message, symbol->name));
	g_assert_cmpuint(sympos, ==, 77);
}

static void test_sympos(void)
{
	g_autoptr(KmObject) object = sample(km_arch_by_name("x86_64"));
	expect_sympos(object, nth(object, "same", 0), 1);
	expect_sympos(object, nth(object, "other", 0), 1);
	expect_sympos(object, nth(object, "other", 1), 2);
	expect_no_sympos(object, nth(object, "early", 0)); /* an init symbol */
	expect_no_sympos(object, nth(object, "early", 1)); /* first when live, second while loading */
	expect_no_sympos(object, nth(object, "printk", 0)); /* not its own */
	g_assert_cmpuint(km_module_count(object, "same"), ==, 1);
	g_assert_cmpuint(km_module_count(object, "other"), ==, 2);
	g_assert_cmpuint(km_module_count(object, "early"), ==, 1);
	g_assert_cmpuint(km_module_count(object, "printk"), ==, 0);
}

static void test_versions(void)
{
	static const char *const names[] = { "x86_64", "s390x" };
	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autoptr(KmObject) object = sample(km_arch_by_name(names[i]));
		guint32 crc = 1;
		g_assert_true(km_module_import_crc(object, "printk", &crc));
		g_assert_cmphex(crc, ==, 0xdeadbeef);
		crc = 1;
		g_assert_false(km_module_import_crc(object, "print", &crc));
		g_assert_cmphex(crc, ==, 1);
	}
}

static void test_extended_versions(void)
{
	g_autoptr(KmObject) object = km_object_new(km_arch_by_name("x86_64"), "x.ko");
	guint8 crcs[8];
	km_object_put_u32(object, crcs, 7);
	km_object_put_u32(object, crcs + 4, 9);
	section(object, "__version_ext_crcs", SHF_ALLOC, crcs, 8);
	section(object, "__version_ext_names", SHF_ALLOC, "one\0two", 8);
	guint32 crc = 0;
	g_assert_true(km_module_import_crc(object, "two", &crc));
	g_assert_cmpuint(crc, ==, 9);
	g_assert_false(km_module_import_crc(object, "three", &crc));
}

/* --- files --- */

static GBytes *packed_xz(const guint8 *data, gsize size)
{
	g_autofree guint8 *out = g_malloc(size + 1000);
	size_t used = 0;
	g_assert_cmpint(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, data, size, out, &used, size + 1000), ==,
			LZMA_OK);
	return g_bytes_new(out, used);
}

static GBytes *packed_zstd(const guint8 *data, gsize size)
{
	g_autofree guint8 *out = g_malloc(ZSTD_compressBound(size));
	return g_bytes_new(out, ZSTD_compress(out, ZSTD_compressBound(size), data, size, 3));
}

static GBytes *packed_gzip(const guint8 *data, gsize size)
{
	g_autofree guint8 *out = g_malloc(size + 1000);
	z_stream z = {
		.next_in = (Bytef *)data, .avail_in = (uInt)size, .next_out = out, .avail_out = (uInt)size + 1000
	};
	deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
	g_assert_cmpint(deflate(&z, Z_FINISH), ==, Z_STREAM_END);
	gsize used = z.total_out;
	deflateEnd(&z);
	return g_bytes_new(out, used);
}

static void check_file(const char *path, GBytes *bytes)
{
	g_autoptr(GError) error = NULL;
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);
	g_assert_true(km_write_file(path, data, size, &error));
	g_autoptr(KmObject) object = km_module_read(path, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(km_module_info(object, "name"), ==, "sample");
	g_assert_true(km_write_file(path, data, size / 2, &error));
	g_autoptr(KmObject) half = km_module_read(path, &error);
	g_assert_null(half);
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	g_assert_nonnull(strstr(error->message, path));
}

static void test_files(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-test", &error);
	g_autofree char *path = g_build_filename(dir->path, "sample.ko", NULL);
	g_autoptr(KmObject) object = sample(km_arch_by_name("x86_64"));
	g_autoptr(GBytes) plain = km_object_to_bytes(object, &error);
	g_assert_no_error(error);
	gsize size;
	const guint8 *data = g_bytes_get_data(plain, &size);
	g_autoptr(GBytes) xz = packed_xz(data, size);
	g_autoptr(GBytes) zst = packed_zstd(data, size);
	g_autoptr(GBytes) gz = packed_gzip(data, size);
	check_file(path, plain);
	check_file(path, xz);
	check_file(path, zst);
	check_file(path, gz);
}

/* --- inspect --- */

static json_t *inspect(KmObject *object)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = km_object_to_bytes(object, &error);
	g_assert_no_error(error);
	json_t *root = km_inspect_bytes(bytes, "sample.ko", &error);
	g_assert_no_error(error);
	return root;
}

static const char *get(const json_t *root, const char *key)
{
	return json_string_value(json_object_get(root, key));
}

static void expect_names(const json_t *root, const char *key, const char *want)
{
	const json_t *list = json_object_get(root, key), *item;
	g_autoptr(GString) names = g_string_new(NULL);
	size_t i;
	json_array_foreach((json_t *)list, i, item) g_string_append_printf(
		names, "%s ", json_is_string(item) ? json_string_value(item) : get(item, "name"));
	g_assert_cmpstr(names->str, ==, want);
}

static void test_inspect_module(void)
{
	g_autoptr(KmObject) object = sample(km_arch_by_name("x86_64"));
	json_t *root = inspect(object);
	g_assert_cmpstr(get(root, "kind"), ==, "module");
	g_assert_cmpstr(get(root, "arch"), ==, "x86_64");
	g_assert_cmpstr(get(root, "vermagic"), ==, "9.8.7 SMP");
	expect_names(root, "depends", "mii usbnet ");
	expect_names(root, "imports", "printk ");
	expect_names(root, "versions", "module_layout printk ");
	/* Records are at 0 and 20 of .text: "same", and the first "other". */
	expect_names(root, "without_entry", "early early other ");
	g_assert_cmpint(json_integer_value(json_object_get(root, "functions_total")), ==, 5);
	g_assert_cmpint(json_integer_value(json_object_get(root, "entries")), ==, 2);
	json_decref(root);
}

static KmObject *livepatch(const char *tags, gsize size)
{
	KmObject *object = km_object_new(km_arch_by_name("x86_64"), "patch.ko");
	guint8 code[64] = { 0 };
	KmSection *text = section(object, ".text.f", SHF_ALLOC | SHF_EXECINSTR, code, 64);
	section(object, ".modinfo", SHF_ALLOC, tags, size);
	function(object, "f", text, 0);
	KmSymbol *a = km_object_add_symbol(object, ".klp.sym.vmlinux.foo.isra.0,2", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	KmSymbol *b = km_object_add_symbol(object, ".klp.sym.ext4.bar,1", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	a->shndx = b->shndx = KM_SHN_LIVEPATCH;
	KmSection *relocs = km_object_add_section(object, ".klp.rela.vmlinux..text.f", SHT_RELA,
						  SHF_ALLOC | KM_SHF_RELA_LIVEPATCH, 8);
	relocs->klp_object = g_strdup("vmlinux");
	relocs->klp_target = text;
	km_section_add_reloc(relocs, 8, object->arch->abs64, a, 0);
	km_section_add_reloc(relocs, 16, object->arch->abs64, a, 4);
	return object;
}

static void test_inspect_livepatch(void)
{
	static const char tags[] = "livepatch=Y\0kmend=0.1.0\0kmend_func=vmlinux:do_it,2\0kmend_func=ext4:bar,1";
	g_autoptr(KmObject) object = livepatch(tags, sizeof(tags));
	json_t *root = inspect(object);
	g_assert_cmpstr(get(root, "kind"), ==, "livepatch");
	g_assert_cmpstr(get(root, "kmend"), ==, "0.1.0");
	expect_names(root, "functions", "do_it bar ");
	const json_t *first = json_array_get(json_object_get(root, "functions"), 0);
	g_assert_cmpstr(get(first, "object"), ==, "vmlinux");
	g_assert_cmpint(json_integer_value(json_object_get(first, "sympos")), ==, 2);
	g_assert_cmpstr(get(root, "runtime"), ==, "kernel");
	expect_names(root, "livepatch_symbols", "foo.isra.0 bar ");
	expect_names(root, "imports", "");
	const json_t *relocs = json_object_get(root, "livepatch_relocations");
	g_assert_cmpuint(json_array_size(relocs), ==, 1);
	g_assert_cmpstr(get(json_array_get(relocs, 0), "section"), ==, ".text.f");
	g_assert_cmpint(json_integer_value(json_object_get(json_array_get(relocs, 0), "count")), ==, 2);
	g_assert_true(json_is_null(json_object_get(root, "replace")));
	json_decref(root);
}

/* One that calls kmend's own runtime. */
static void test_inspect_own(void)
{
	static const char tags[] = "kmend=0.1.0\0kmend_func=vmlinux:do_it,2\0vermagic=6.1";
	g_autoptr(KmObject) object = livepatch(tags, sizeof(tags));
	km_object_add_symbol(object, "kmend_enable_patch", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	json_t *root = inspect(object);
	g_assert_cmpstr(get(root, "kind"), ==, "livepatch");
	g_assert_cmpstr(get(root, "runtime"), ==, "own");
	expect_names(root, "functions", "do_it ");
	json_decref(root);
}

static void test_inspect_foreign_livepatch(void)
{
	static const char tags[] = "livepatch=Y\0name=patch";
	g_autoptr(KmObject) object = livepatch(tags, sizeof(tags));
	json_t *root = inspect(object);
	g_assert_true(json_is_null(json_object_get(root, "kmend")));
	expect_names(root, "functions", "f ");
	g_assert_true(json_is_null(json_object_get(json_array_get(json_object_get(root, "functions"), 0), "object")));
	json_decref(root);
}

/* Cut anywhere it is refused; flipped anywhere it is refused or answered, never a crash. */
static void test_damaged(void)
{
	static const char tags[] = "livepatch=Y\0kmend_func=vmlinux:do_it,2\0depends=a";
	g_autoptr(KmObject) module = sample(km_arch_by_name("x86_64"));
	g_autoptr(KmObject) patch = livepatch(tags, sizeof(tags));
	KmObject *const objects[] = { module, patch };
	for (guint k = 0; k < G_N_ELEMENTS(objects); k++) {
		g_autoptr(GBytes) bytes = km_object_to_bytes(objects[k], NULL);
		gsize size;
		g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
		size = g_bytes_get_size(bytes);
		for (gsize n = 0; n < size; n++) {
			g_autoptr(GError) error = NULL;
			g_autoptr(GBytes) part = g_bytes_new(copy, n);
			g_assert_null(km_inspect_bytes(part, "cut.ko", &error));
			g_assert_nonnull(strstr(error->message, "cut.ko"));
		}
		for (gsize at = 0; at < size; at++) {
			copy[at] ^= (guint8)(1u << at % 8 | 0x80);
			g_autoptr(GBytes) flipped = g_bytes_new(copy, size);
			json_t *root = km_inspect_bytes(flipped, "flipped.ko", NULL);
			json_decref(root);
			copy[at] ^= (guint8)(1u << at % 8 | 0x80);
		}
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/module/info", test_info);
	g_test_add_func("/module/info-unterminated", test_info_unterminated);
	g_test_add_func("/module/sympos", test_sympos);
	g_test_add_func("/module/versions", test_versions);
	g_test_add_func("/module/extended-versions", test_extended_versions);
	g_test_add_func("/module/files", test_files);
	g_test_add_func("/inspect/module", test_inspect_module);
	g_test_add_func("/inspect/livepatch", test_inspect_livepatch);
	g_test_add_func("/inspect/foreign-livepatch", test_inspect_foreign_livepatch);
	g_test_add_func("/inspect/livepatch-of-the-own-runtime", test_inspect_own);
	g_test_add_func("/inspect/damaged", test_damaged);
	return g_test_run();
}
