/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Live patches for kmend's own runtime: written, read back, compared; and what the check says of spoilt ones. */
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "fake-patch.h"
#include "image/patchdata.h"
#include "klp/own.h"
#include "klp/refs.h"
#include "mutations.h"
#include "runtime/kmend-patch.h"

#define WORD KM_PATCHDATA_WORD
#define IS_WORD(type, field, word) g_assert_cmpuint(offsetof(struct type, field), ==, (gsize)(word)*WORD)
#define HAS_WORDS(type, words) g_assert_cmpuint(sizeof(struct type), ==, (gsize)(words)*WORD)

/* ---- the numbers ---- */

static void check_small_structures(void)
{
	HAS_WORDS(kmend_symbol, KM_DATA_SYMBOL_WORDS);
	IS_WORD(kmend_symbol, object, KM_DATA_SYMBOL_OBJECT);
	IS_WORD(kmend_symbol, section, KM_DATA_SYMBOL_SECTION);
	IS_WORD(kmend_symbol, name, KM_DATA_SYMBOL_NAME);
	IS_WORD(kmend_symbol, address, KM_DATA_SYMBOL_ADDRESS);
	IS_WORD(kmend_symbol, index, KM_DATA_SYMBOL_INDEX);
	HAS_WORDS(kmend_reloc, KM_DATA_RELOC_WORDS);
	IS_WORD(kmend_reloc, place, KM_DATA_RELOC_PLACE);
	IS_WORD(kmend_reloc, symbol, KM_DATA_RELOC_SYMBOL);
	IS_WORD(kmend_reloc, addend, KM_DATA_RELOC_ADDEND);
	IS_WORD(kmend_reloc, type, KM_DATA_RELOC_TYPE);
	HAS_WORDS(kmend_part, KM_DATA_PART_WORDS);
	IS_WORD(kmend_part, symbol, KM_DATA_PART_SYMBOL);
	IS_WORD(kmend_part, start, KM_DATA_PART_START);
	IS_WORD(kmend_part, size, KM_DATA_PART_SIZE);
	HAS_WORDS(kmend_state, KM_DATA_STATE_WORDS);
	IS_WORD(kmend_state, id, KM_DATA_STATE_ID);
	IS_WORD(kmend_state, version, KM_DATA_STATE_VERSION);
	IS_WORD(kmend_state, data, KM_DATA_STATE_DATA);
}

static void check_functions(void)
{
	HAS_WORDS(kmend_func, KM_DATA_FUNC_WORDS);
	IS_WORD(kmend_func, old_parts, KM_DATA_FUNC_OLD_PARTS);
	IS_WORD(kmend_func, nr_old_parts, KM_DATA_FUNC_NR_OLD_PARTS);
	IS_WORD(kmend_func, new_parts, KM_DATA_FUNC_NEW_PARTS);
	IS_WORD(kmend_func, nr_new_parts, KM_DATA_FUNC_NR_NEW_PARTS);
	IS_WORD(kmend_func, sympos, KM_DATA_FUNC_SYMPOS);
}

static void check_objects(void)
{
	HAS_WORDS(kmend_object, KM_DATA_OBJECT_WORDS);
	IS_WORD(kmend_object, name, KM_DATA_OBJECT_NAME);
	IS_WORD(kmend_object, build_id, KM_DATA_OBJECT_BUILD_ID);
	IS_WORD(kmend_object, build_id_size, KM_DATA_OBJECT_BUILD_ID_SIZE);
	IS_WORD(kmend_object, funcs, KM_DATA_OBJECT_FUNCS);
	IS_WORD(kmend_object, nr_funcs, KM_DATA_OBJECT_NR_FUNCS);
	IS_WORD(kmend_object, relocs, KM_DATA_OBJECT_RELOCS);
	IS_WORD(kmend_object, nr_relocs, KM_DATA_OBJECT_NR_RELOCS);
	IS_WORD(kmend_object, pre_patch, KM_DATA_OBJECT_CALLBACKS + KM_PRE_PATCH);
	IS_WORD(kmend_object, post_patch, KM_DATA_OBJECT_CALLBACKS + KM_POST_PATCH);
	IS_WORD(kmend_object, pre_unpatch, KM_DATA_OBJECT_CALLBACKS + KM_PRE_UNPATCH);
	IS_WORD(kmend_object, post_unpatch, KM_DATA_OBJECT_CALLBACKS + KM_POST_UNPATCH);
}

static void test_numbers(void)
{
	check_small_structures();
	check_functions();
	check_objects();
	g_assert_cmpuint(KMEND_PATCH_FORMAT, ==, KM_PATCHDATA_FORMAT);
	HAS_WORDS(kmend_patch, KM_DATA_PATCH_WORDS);
	IS_WORD(kmend_patch, format, KM_DATA_PATCH_FORMAT);
	IS_WORD(kmend_patch, mod, KM_DATA_PATCH_MOD);
	IS_WORD(kmend_patch, build_id, KM_DATA_PATCH_BUILD_ID);
	IS_WORD(kmend_patch, build_id_size, KM_DATA_PATCH_BUILD_ID_SIZE);
	IS_WORD(kmend_patch, objects, KM_DATA_PATCH_OBJECTS);
	IS_WORD(kmend_patch, nr_objects, KM_DATA_PATCH_NR_OBJECTS);
	IS_WORD(kmend_patch, states, KM_DATA_PATCH_STATES);
	IS_WORD(kmend_patch, nr_states, KM_DATA_PATCH_NR_STATES);
	IS_WORD(kmend_patch, replace, KM_DATA_PATCH_REPLACE);
	IS_WORD(kmend_patch, code, KM_DATA_PATCH_CODE);
	IS_WORD(kmend_patch, nr_code, KM_DATA_PATCH_NR_CODE);
}

/* ---- a module ---- */

static KmObject *read_module(const FakePatch *w)
{
	g_autoptr(GError) error = NULL;
	KmObject *object = km_object_read_bytes(w->bytes, w->path, &error);
	g_assert_no_error(error);
	return object;
}

static KmVerify *verify(KmObject *object, const KmVerifyInput *input)
{
	g_autoptr(GError) error = NULL;
	KmVerify *result = km_verify(object, input, &error);
	g_assert_no_error(error);
	for (guint i = 0; i < result->findings->len; i++) {
		const KmFinding *f = result->findings->pdata[i];
		g_test_message("%s: %s", f->where, f->what);
	}
	return result;
}

static void test_sound(gconstpointer data)
{
	FakePatch *w = (FakePatch *)data;
	KmVerifyInput input = fake_patch_input(w);
	g_autoptr(KmObject) object = read_module(w), again = read_module(w);
	g_assert_true(km_verify_is_own(object));
	g_autoptr(KmVerify) with = verify(object, &input);
	g_assert_cmpuint(with->findings->len, ==, 0);
	g_assert_cmpuint(with->functions, ==, 1);
	g_assert_cmpuint(with->symbols, >=, 3); /* helper, inner, counter */
	g_assert_true(with->compared);
	input.units = NULL;
	g_autoptr(KmVerify) alone = verify(again, &input);
	g_assert_cmpuint(alone->findings->len, ==, 0);
}

/* ---- spoiling ---- */

/* Where a pointer of the description leads: to another part of the same section. */
static guint64 follow(KmObject *object, guint64 at, guint word)
{
	KmSection *data = km_object_find_section(object, ".data.kmend");
	gsize n;
	const KmReloc *r = km_section_relocs_in(data, at + (guint64)word * WORD, at + (guint64)word * WORD + 1, &n);
	g_assert_cmpuint(n, ==, 1);
	return r->symbol->value + (guint64)r->addend;
}

static guint64 patch_of(const KmObject *object)
{
	const KmSymbol *patch = km_object_find_symbol(object, KM_TEMPLATE_PATCH_SYMBOL);
	g_assert_nonnull(patch);
	return patch->value;
}

static void add(KmObject *object, guint64 at, guint word, gint64 what)
{
	guint8 *p = km_object_find_section(object, ".data.kmend")->data->data + at + (gsize)word * WORD;
	km_object_put_u64(object, p, km_object_get_u64(object, p) + (guint64)what);
}

static guint64 object_of(KmObject *object)
{
	return follow(object, patch_of(object), KM_DATA_PATCH_OBJECTS);
}

static guint64 func_of(KmObject *object)
{
	return follow(object, object_of(object), KM_DATA_OBJECT_FUNCS);
}

static guint64 reloc_of(KmObject *object)
{
	return follow(object, object_of(object), KM_DATA_OBJECT_RELOCS);
}

static void other_format(KmObject *object)
{
	add(object, patch_of(object), KM_DATA_PATCH_FORMAT, 1);
}

static void other_kernel(KmObject *object)
{
	guint64 at = follow(object, patch_of(object), KM_DATA_PATCH_BUILD_ID);
	km_object_find_section(object, ".rodata.kmend")->data->data[at] ^= 1;
}

static void short_build_id(KmObject *object)
{
	add(object, patch_of(object), KM_DATA_PATCH_BUILD_ID_SIZE, -1);
}

static void smaller_old_part(KmObject *object)
{
	add(object, follow(object, func_of(object), KM_DATA_FUNC_OLD_PARTS), KM_DATA_PART_SIZE, -1);
}

static void larger_new_part(KmObject *object)
{
	add(object, follow(object, func_of(object), KM_DATA_FUNC_NEW_PARTS), KM_DATA_PART_SIZE, 1);
}

/* The replacement's cold part. */
static void fewer_new_parts(KmObject *object)
{
	add(object, func_of(object), KM_DATA_FUNC_NR_NEW_PARTS, -1);
}

static void other_position(KmObject *object)
{
	add(object, func_of(object), KM_DATA_FUNC_SYMPOS, 1);
}

static void other_old_address(KmObject *object)
{
	guint64 part = follow(object, func_of(object), KM_DATA_FUNC_OLD_PARTS);
	add(object, follow(object, part, KM_DATA_PART_SYMBOL), KM_DATA_SYMBOL_ADDRESS, 16);
}

static void other_addend(KmObject *object)
{
	add(object, reloc_of(object), KM_DATA_RELOC_ADDEND, 4);
}

static void other_type(KmObject *object)
{
	add(object, reloc_of(object), KM_DATA_RELOC_TYPE, 200);
}

static void other_address(KmObject *object)
{
	add(object, follow(object, reloc_of(object), KM_DATA_RELOC_SYMBOL), KM_DATA_SYMBOL_ADDRESS, 8);
}

static void fewer_relocs(KmObject *object)
{
	add(object, object_of(object), KM_DATA_OBJECT_NR_RELOCS, -1);
}

static void countless_relocs(KmObject *object)
{
	add(object, object_of(object), KM_DATA_OBJECT_NR_RELOCS, 1 << 30);
}

static void relocs_beyond_the_end(KmObject *object)
{
	add(object, object_of(object), KM_DATA_OBJECT_NR_RELOCS, 1000);
}

static void neither_replace(KmObject *object)
{
	add(object, patch_of(object), KM_DATA_PATCH_REPLACE, 2);
}

static void less_code(KmObject *object)
{
	add(object, patch_of(object), KM_DATA_PATCH_NR_CODE, -1);
}

static void smaller_code(KmObject *object)
{
	add(object, follow(object, patch_of(object), KM_DATA_PATCH_CODE), KM_DATA_PART_SIZE, -4);
}

/* The first relocation is to be filled into a table. */
static void late_table(KmObject *object)
{
	KmSection *data = km_object_find_section(object, ".data.kmend"),
		  *table = km_object_find_section(object, "__ex_table");
	gsize n;
	KmReloc *r = (KmReloc *)km_section_relocs_in(data, reloc_of(object), reloc_of(object) + 1, &n);
	g_assert_true(n == 1 && table);
	r->symbol = km_object_section_symbol(object, table);
	r->addend = 0;
}

static void replace_text(KmObject *object, const char *old, const char *new)
{
	GByteArray *data = km_object_find_section(object, ".modinfo")->data;
	guint8 *found = memmem(data->data, data->len, old, strlen(old));
	g_assert_nonnull(found);
	g_assert_cmpuint(strlen(old), ==, strlen(new));
	memcpy(found, new, strlen(new));
}

static void no_dependency(KmObject *object)
{
	replace_text(object, "depends=kmend_runtime", "depends=other_runtime");
}

static void marked_as_livepatch(KmObject *object)
{
	static const char tag[] = "livepatch=Y";
	km_section_append(km_object_find_section(object, ".modinfo"), tag, sizeof(tag), 1);
}

static const struct {
	const char *name;
	void (*spoil)(KmObject *object);
	const char *says;
} spoilt[] = {
	{ "other-format", other_format, "format 3" },
	{ "other-kernel", other_kernel, "build-id" },
	{ "short-build-id", short_build_id, "build-id" },
	{ "smaller-old-part", smaller_old_part, "does not have the old target" },
	{ "larger-new-part", larger_new_part, "does not have the new target" },
	{ "fewer-new-parts", fewer_new_parts, "1 new parts, the patched file has 2" },
	{ "other-position", other_position, "position 2" },
	{ "other-old-address", other_old_address, "is not what is redirected" },
	{ "other-addend", other_addend, "is at" },
	{ "other-type", other_type, "relocation" },
	{ "other-address", other_address, "is at" },
	{ "fewer-relocs", fewer_relocs, "is missing" },
	{ "countless-relocs", countless_relocs, "relocations, and a pointer" },
	{ "relocs-beyond-the-end", relocs_beyond_the_end, "do not fit where the pointer leads" },
	{ "neither-replace", neither_replace, "neither true nor false" },
	{ "less-code", less_code, "is not in the description's list of code" },
	{ "smaller-code", smaller_code, "is not in the description's list of code" },
	{ "late-table", late_table, "filled in after the kernel has read __ex_table" },
	{ "no-dependency", no_dependency, "does not depend on kmend_runtime" },
	{ "marked-as-livepatch", marked_as_livepatch, "livepatch=Y" },
};

static gboolean finds(const KmVerify *result, const char *words)
{
	for (guint i = 0; i < result->findings->len; i++)
		if (strstr(((const KmFinding *)result->findings->pdata[i])->what, words))
			return TRUE;
	return FALSE;
}

static void test_spoilt(gconstpointer data)
{
	FakePatch *w = (FakePatch *)data;
	KmVerifyInput input = fake_patch_input(w);
	for (gsize i = 0; i < G_N_ELEMENTS(spoilt); i++) {
		g_autoptr(KmObject) object = read_module(w);
		g_test_message("-- %s", spoilt[i].name);
		spoilt[i].spoil(object);
		g_autoptr(KmVerify) result = verify(object, &input);
		g_assert_true(finds(result, spoilt[i].says));
	}
}

/* Every byte, and every relocation, of the description too. */
static void test_mutations(gconstpointer data)
{
	FakePatch *w = (FakePatch *)data;
	KmVerifyInput input = fake_patch_input(w);
	g_autoptr(GArray) classes = mutations_run(&input, w->bytes, w->path, 1, "# ");
	guint applied = 0;
	for (guint i = 0; i < classes->len; i++) {
		const MutationClass *class = &g_array_index(classes, MutationClass, i);
		g_test_message("%s: %u of %u", class->name, class->caught, class->applied);
		g_assert_cmpuint(class->caught, ==, class->applied);
		applied += class->applied;
	}
	g_assert_cmpuint(applied, >, 1000);
}

/* ---- filling in ---- */

/* An object for the architecture with what a template has, and a reference of that type to a symbol that only the runtime finds. */
typedef struct {
	KmObject *object;
	KmSection *section;
	GHashTable *refs;
	KmContents contents;
	KmOwn own;
} Part;

static void part_new(Part *p, FakePatch *w, const char *arch, const char *section, guint64 flags, guint32 type)
{
	KmRef *ref = g_new0(KmRef, 1);
	*p = (Part){ .object = km_object_new(km_arch_by_name(arch), "part.o") };
	p->refs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)km_ref_free);
	*ref = (KmRef){ .kind = KM_REF_KLP,
			.object = g_strdup("vmlinux"),
			.name = g_strdup("secret"),
			.sympos = 1,
			.owner = g_strdup("vmlinux"),
			.address = 0x1000 };
	g_hash_table_insert(p->refs, g_strdup("secret"), ref);
	km_contents_init(&p->contents);
	p->own = (KmOwn){ &w->kernel, w->image, &p->contents, p->refs };
	KmSection *module =
		km_object_add_section(p->object, KM_TEMPLATE_MODULE_SECTION, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 8);
	km_section_append(module, NULL, 64, 8);
	km_object_add_symbol(p->object, "__this_module", STB_GLOBAL, STT_OBJECT, module, 0, 64);
	km_object_add_symbol(p->object, KM_TEMPLATE_PATCH_SYMBOL, STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	KmSymbol *secret = km_object_add_symbol(p->object, "secret", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	p->section = km_object_add_section(p->object, section, SHT_PROGBITS, flags, 8);
	km_section_append(p->section, NULL, 16, 8);
	km_section_add_reloc(p->section, 8, type, secret, 0);
}

static void part_clear(Part *p)
{
	km_object_free(p->object);
	g_hash_table_unref(p->refs);
	km_contents_clear(&p->contents);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Part, part_clear)

static void test_listed(gconstpointer data)
{
	g_auto(Part) p;
	g_autoptr(GError) error = NULL;
	guint symbols = 0;
	part_new(&p, (FakePatch *)data, "x86_64", ".text", SHF_ALLOC | SHF_EXECINSTR, R_X86_64_PLT32);
	g_assert_true(km_own_write(p.object, &p.own, &error) && km_own_fill(p.object, &p.own, &symbols, &error));
	g_assert_cmpuint(symbols, ==, 1);
	g_assert_cmpuint(p.section->relocs->len, ==, 0);
	guint64 row = reloc_of(p.object);
	const guint8 *words = km_object_find_section(p.object, ".data.kmend")->data->data + row;
	g_assert_cmpuint(km_object_get_u64(p.object, words + KM_DATA_RELOC_TYPE * WORD), ==, R_X86_64_PLT32);
	g_assert_cmpuint(follow(p.object, row, KM_DATA_RELOC_PLACE), ==, 8);
}

/* A call that may not reach goes through a stub, whose slot is what the runtime fills in. */
static void test_stub(gconstpointer data)
{
	g_auto(Part) p;
	g_autoptr(GError) error = NULL;
	guint symbols = 0;
	part_new(&p, (FakePatch *)data, "arm64", ".text", SHF_ALLOC | SHF_EXECINSTR, R_AARCH64_CALL26);
	g_assert_true(km_own_write(p.object, &p.own, &error) && km_own_fill(p.object, &p.own, &symbols, &error));
	g_assert_cmpuint(p.section->relocs->len, ==, 1);
	const KmReloc *call = &g_array_index(p.section->relocs, KmReloc, 0);
	const KmSection *stubs = call->symbol->section;
	g_assert_true(stubs && !strcmp(stubs->name, KM_PATCHDATA_STUBS));
	g_assert_cmpuint(stubs->size, ==, 16);
	g_assert_cmphex(km_object_get_u32(p.object, stubs->data->data), ==, 0x58000050); /* ldr x16, #8 */
	g_assert_cmphex(km_object_get_u32(p.object, stubs->data->data + 4), ==, 0xd61f0200); /* br x16 */
	guint64 row = reloc_of(p.object);
	const guint8 *words = km_object_find_section(p.object, ".data.kmend")->data->data + row;
	g_assert_cmpuint(km_object_get_u64(p.object, words + KM_DATA_RELOC_TYPE * WORD), ==, R_AARCH64_ABS64);
	g_assert_cmpuint(follow(p.object, row, KM_DATA_RELOC_PLACE), ==, 8);
}

#define PPC64LE_BL 0x48000001
#define PPC64LE_NOP 0x60000000

/* A part with such a call, and whether it is filled in. */
static gboolean fill_ppc64le(Part *p, FakePatch *w, guint32 call, guint32 behind, GError **error)
{
	guint symbols = 0;
	part_new(p, w, "ppc64le", ".text", SHF_ALLOC | SHF_EXECINSTR, R_PPC64_REL24);
	km_object_put_u32(p->object, p->section->data->data + 8, call);
	km_object_put_u32(p->object, p->section->data->data + 12, behind);
	return km_own_write(p->object, &p->own, error) && km_own_fill(p->object, &p->own, &symbols, error);
}

/* The stub finds its slot through the TOC, and behind the call r2 is restored. */
static void test_toc_stub(gconstpointer data)
{
	g_auto(Part) p;
	g_autoptr(GError) error = NULL;
	g_assert_true(fill_ppc64le(&p, (FakePatch *)data, PPC64LE_BL, PPC64LE_NOP, &error));
	g_assert_cmphex(km_object_get_u32(p.object, p.section->data->data + 12), ==, 0xe8410018); /* ld r2,24(r1) */
	const KmSection *stubs = g_array_index(p.section->relocs, KmReloc, 0).symbol->section;
	static const guint32 wanted[] = { 0xf8410018, 0x3d820000, 0xe98c0000, 0x7d8903a6, 0x4e800420, 0, 0, 0 };
	g_assert_cmpuint(stubs->size, ==, sizeof(wanted));
	for (guint i = 0; i < G_N_ELEMENTS(wanted); i++)
		g_assert_cmphex(km_object_get_u32(p.object, stubs->data->data + (gsize)4 * i), ==, wanted[i]);
	g_assert_cmpuint(stubs->relocs->len, ==, 2);
	for (guint i = 0; i < 2; i++) {
		const KmReloc *r = &g_array_index(stubs->relocs, KmReloc, i);
		g_assert_cmpuint(r->type, ==, i ? R_PPC64_TOC16_LO_DS : R_PPC64_TOC16_HA);
		g_assert_true(r->symbol->section == stubs && r->symbol->value + (guint64)r->addend == 24);
	}
	g_assert_cmpuint(follow(p.object, reloc_of(p.object), KM_DATA_RELOC_PLACE), ==, 24);
}

static void test_toc_calls_refused(gconstpointer data)
{
	static const struct {
		guint32 call, behind;
		const char *why;
	} rows[] = { { PPC64LE_BL, 0x7c0802a6, "no NOP behind the call" },
		     { PPC64LE_BL - 1, PPC64LE_NOP, "a jump in place of a call" } };
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(Part) p;
		g_autoptr(GError) error = NULL;
		g_assert_false(fill_ppc64le(&p, (FakePatch *)data, rows[i].call, rows[i].behind, &error));
		g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
		g_assert_nonnull(strstr(error->message, rows[i].why));
	}
}

static void test_slots(gconstpointer data)
{
	g_auto(Part) p;
	g_autoptr(GError) error = NULL;
	guint symbols = 0;
	part_new(&p, (FakePatch *)data, "ppc64le", ".toc", SHF_ALLOC | SHF_WRITE, R_PPC64_ADDR64);
	g_assert_true(km_own_write(p.object, &p.own, &error) && km_own_fill(p.object, &p.own, &symbols, &error));
	g_assert_cmpuint(p.section->relocs->len, ==, 0);
	g_assert_cmpuint(follow(p.object, reloc_of(p.object), KM_DATA_RELOC_PLACE), ==, 8);
}

static void test_table_refused(gconstpointer data)
{
	g_auto(Part) p;
	g_autoptr(GError) error = NULL;
	guint symbols = 0;
	part_new(&p, (FakePatch *)data, "x86_64", "__jump_table", SHF_ALLOC | SHF_WRITE, R_X86_64_PC64);
	g_assert_true(km_own_write(p.object, &p.own, &error));
	g_assert_false(km_own_fill(p.object, &p.own, &symbols, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_nonnull(strstr(error->message, "__jump_table refers to secret"));
}

/* Two rows of struct alt_instr, the first about the code that is to be filled in. */
static void test_alternative_refused(gconstpointer data)
{
	g_auto(Part) p;
	g_autoptr(GError) error = NULL;
	guint symbols = 0;
	part_new(&p, (FakePatch *)data, "x86_64", ".text", SHF_ALLOC | SHF_EXECINSTR, R_X86_64_PLT32);
	KmSection *table = km_object_add_section(p.object, ".altinstructions", SHT_PROGBITS, SHF_ALLOC, 1);
	KmSymbol *text = km_object_section_symbol(p.object, p.section);
	for (guint i = 0; i < 2; i++) {
		const guint8 row[14] = { [12] = 5, [13] = 0 };
		guint64 at = km_section_append(table, row, sizeof(row), 1);
		km_section_add_reloc(table, at, R_X86_64_PC32, text, i ? 0 : 7);
		km_section_add_reloc(table, at + 4, R_X86_64_PC32, text, 0);
	}
	g_assert_true(km_own_write(p.object, &p.own, &error));
	g_assert_false(km_own_fill(p.object, &p.own, &symbols, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_nonnull(strstr(error->message, ".text+0x7"));
}

static void test_objtool(void)
{
	char **argv = g_strsplit("objtool --ibt --hacks=skylake --orc", " ", 0);
	km_own_adapt_objtool(argv);
	g_autofree char *left = g_strjoinv(" ", argv);
	g_assert_cmpstr(left, ==, "objtool --ibt --orc");
	g_strfreev(argv);
	km_own_adapt_objtool(NULL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/own/numbers-are-those-of-the-header", test_numbers);
	g_test_add_func("/own/no-list-of-calls", test_objtool);
	if (!fake_image_can()) {
		g_test_message("no compiler for x86_64 here: modules are not looked at");
		return g_test_run();
	}
	g_autoptr(FakePatch) w = fake_patch_new_own();
	g_test_add_data_func("/own/a-sound-one-passes", w, test_sound);
	g_test_add_data_func("/own/spoilt-ones-do-not", w, test_spoilt);
	g_test_add_data_func("/own/every-byte-counts", w, test_mutations);
	g_test_add_data_func("/own/what-is-not-exported-is-listed", w, test_listed);
	g_test_add_data_func("/own/far-calls-go-through-stubs", w, test_stub);
	g_test_add_data_func("/own/stubs-find-their-slots-by-the-toc", w, test_toc_stub);
	g_test_add_data_func("/own/calls-that-nothing-leads-back-from", w, test_toc_calls_refused);
	g_test_add_data_func("/own/slots-are-read-in-time", w, test_slots);
	g_test_add_data_func("/own/tables-are-read-too-early", w, test_table_refused);
	g_test_add_data_func("/own/alternatives-are-chosen-too-early", w, test_alternative_refused);
	return g_test_run();
}
