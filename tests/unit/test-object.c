/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects of every architecture survive write and read; damaged ones are refused, never crash. */
#include <string.h>

#include "elf/object.h"

static KmObject *sample(const KmArch *arch)
{
	KmObject *object = km_object_new(arch, "sample.o");
	KmSection *text = km_object_add_section(object, ".text.f", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 16);
	KmSection *bss = km_object_add_section(object, ".bss.x", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 8);
	guint8 code[32] = { 1, 2, 3, 4 };
	km_section_append(text, code, sizeof(code), 16);
	km_section_append(bss, NULL, 24, 8);
	km_object_add_symbol(object, "f", STB_GLOBAL, STT_FUNC, text, 0, 32);
	KmSymbol *x = km_object_add_symbol(object, "x", STB_LOCAL, STT_OBJECT, bss, 8, 16);
	KmSymbol *outside = km_object_add_symbol(object, "outside", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	km_section_add_reloc(text, 16, arch->abs64, outside, 5);
	km_section_add_reloc(text, 8, arch->abs64, x, -4);
	km_section_sort_relocs(text);
	return object;
}

static KmObject *reread(const KmObject *object)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = km_object_to_bytes(object, &error);
	g_assert_no_error(error);
	KmObject *copy = km_object_read_bytes(bytes, "copy.o", &error);
	g_assert_no_error(error);
	return copy;
}

static void test_round_trip(gconstpointer data)
{
	const KmArch *arch = data;
	g_autoptr(KmObject) object = sample(arch);
	g_autoptr(KmObject) copy = reread(object);
	g_assert_true(copy->arch == arch);
	g_assert_cmpuint(copy->sections->len, ==, 2);
	const KmSection *text = km_object_find_section(copy, ".text.f");
	g_assert_cmpuint(text->size, ==, 32);
	g_assert_cmpuint(text->relocs->len, ==, 2);
	const KmReloc *r = &g_array_index(text->relocs, KmReloc, 0);
	g_assert_cmpuint(r->offset, ==, 8);
	g_assert_cmpuint(r->type, ==, arch->abs64);
	g_assert_cmpint(r->addend, ==, -4);
	g_assert_cmpstr(r->symbol->name, ==, "x");
	g_assert_true(km_object_find_symbol(copy, "outside")->section == NULL);
	g_assert_cmpuint(km_object_find_section(copy, ".bss.x")->size, ==, 24);
	g_assert_null(km_object_find_section(copy, ".bss.x")->data);
}

static void test_same_bytes_every_time(void)
{
	g_autoptr(KmObject) a = sample(km_arch_by_name("x86_64"));
	g_autoptr(KmObject) b = sample(km_arch_by_name("x86_64"));
	g_autoptr(GBytes) x = km_object_to_bytes(a, NULL);
	g_autoptr(GBytes) y = km_object_to_bytes(b, NULL);
	g_assert_true(g_bytes_equal(x, y));
}

static void test_livepatch_relocations(void)
{
	g_autoptr(KmObject) object = sample(km_arch_by_name("x86_64"));
	KmSection *text = km_object_find_section(object, ".text.f");
	KmSection *klp = km_object_add_section(object, ".klp.rela.ext4..text.f", SHT_RELA,
					       SHF_ALLOC | KM_SHF_RELA_LIVEPATCH, 8);
	KmSymbol *symbol = km_object_add_symbol(object, ".klp.sym.ext4.g,1", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	symbol->shndx = KM_SHN_LIVEPATCH;
	klp->klp_object = g_strdup("ext4");
	klp->klp_target = text;
	km_section_add_reloc(klp, 24, object->arch->pc32, symbol, -4);
	g_autoptr(KmObject) copy = reread(object);
	const KmSection *found = km_object_find_section(copy, ".klp.rela.ext4..text.f");
	g_assert_cmpstr(found->klp_object, ==, "ext4");
	g_assert_cmpstr(found->klp_target->name, ==, ".text.f");
	g_assert_cmpuint(found->relocs->len, ==, 1);
	g_assert_cmpuint(g_array_index(found->relocs, KmReloc, 0).symbol->shndx, ==, KM_SHN_LIVEPATCH);
	g_assert_cmpuint(found->klp_target->relocs->len, ==, 2);
}

static void test_symbol_at(void)
{
	g_autoptr(KmObject) object = km_object_new(km_arch_by_name("x86_64"), "s.o");
	KmSection *data = km_object_add_section(object, ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 8);
	km_section_append(data, NULL, 64, 8);
	km_object_add_symbol(object, "outer", STB_LOCAL, STT_OBJECT, data, 0, 40);
	km_object_add_symbol(object, "inner", STB_LOCAL, STT_OBJECT, data, 8, 4);
	km_object_add_symbol(object, "alias", STB_GLOBAL, STT_OBJECT, data, 0, 40);
	km_object_add_symbol(object, "mark", STB_LOCAL, STT_NOTYPE, data, 48, 0);
	g_assert_cmpstr(km_object_symbol_at(object, data, 0)->name, ==, "alias");
	g_assert_cmpstr(km_object_symbol_at(object, data, 9)->name, ==, "inner");
	g_assert_cmpstr(km_object_symbol_at(object, data, 12)->name, ==, "alias");
	g_assert_null(km_object_symbol_at(object, data, 40));
	g_assert_cmpstr(km_object_symbol_at(object, data, 48)->name, ==, "mark");
	g_assert_null(km_object_symbol_at(object, data, 49));
}

static gboolean is_bss(const KmSection *section, gpointer unused)
{
	return section->type == SHT_NOBITS;
}

static void test_drop_section_takes_its_symbols(void)
{
	g_autoptr(KmObject) object = sample(km_arch_by_name("x86_64"));
	g_array_set_size(km_object_find_section(object, ".text.f")->relocs, 0);
	km_object_drop_sections(object, is_bss, NULL);
	g_assert_null(km_object_find_symbol(object, "x"));
	g_assert_nonnull(km_object_find_symbol(object, "f"));
	g_autoptr(KmObject) copy = reread(object);
	g_assert_cmpuint(copy->sections->len, ==, 1);
}

static void try_read(const guint8 *data, gsize size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(KmObject) object = km_object_read_bytes(bytes, "damaged.o", &error);
	g_assert_true(object != NULL || error != NULL);
}

/* Cut anywhere, any byte changed: an object or an error, never a crash (run under ASan and UBSan too). */
static void test_damaged(void)
{
	g_autoptr(KmObject) object = sample(km_arch_by_name("x86_64"));
	g_autoptr(GBytes) bytes = km_object_to_bytes(object, NULL);
	gsize size;
	const guint8 *good = g_bytes_get_data(bytes, &size);
	for (gsize cut = 0; cut < size; cut++)
		try_read(good, cut);
	g_autofree guint8 *copy = g_memdup2(good, size);
	for (gsize i = 0; i < size; i++) {
		for (guint value = 0; value < 256; value += 51) {
			copy[i] = (guint8)value;
			try_read(copy, size);
		}
		copy[i] = good[i];
	}
}

static void test_truncated_is_refused(void)
{
	g_autoptr(KmObject) object = sample(km_arch_by_name("x86_64"));
	g_autoptr(GBytes) bytes = km_object_to_bytes(object, NULL);
	g_autoptr(GBytes) half = g_bytes_new_from_bytes(bytes, 0, g_bytes_get_size(bytes) / 2);
	g_autoptr(GError) error = NULL;
	g_assert_null(km_object_read_bytes(half, "half.o", &error));
	g_assert_nonnull(strstr(error->message, "half.o"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (const KmArch *const *arch = km_arch_all(); *arch; arch++) {
		g_autofree char *name = g_strconcat("/object/round-trip/", (*arch)->name, NULL);
		g_test_add_data_func(name, *arch, test_round_trip);
	}
	g_test_add_func("/object/same-bytes-every-time", test_same_bytes_every_time);
	g_test_add_func("/object/livepatch-relocations", test_livepatch_relocations);
	g_test_add_func("/object/symbol-at", test_symbol_at);
	g_test_add_func("/object/drop-section-takes-its-symbols", test_drop_section_takes_its_symbols);
	g_test_add_func("/object/damaged", test_damaged);
	g_test_add_func("/object/truncated-is-refused", test_truncated_is_refused);
	return g_test_run();
}
