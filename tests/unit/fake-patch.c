/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-patch.h"

#include <string.h>

#include "klp/carry.h"
#include "image/patchdata.h"
#include "klp/emit.h"
#include "klp/own.h"
#include "klp/unitwork.h"

#define TRACED "-pg -mfentry -mrecord-mcount"
#define SECTIONED TRACED " -ffunction-sections -fdata-sections"

/* Exports: what the kernel hands to modules, with versions. */
static const char kernel_text[] =
	"int note(const char *format, int x) { return x + *format; }\n"
	"int klp_enable_patch(void *patch) { return patch != 0; }\n"
	"int module_layout;\n"
	"int helper(int x) { return x * 5 + 1; }\n"
	"#define EXPORT(name, crc) asm(\".section __ksymtab_strings,\\\"a\\\"\\nn_\" #name \": .asciz \\\"\" #name "
	"\"\\\"\\n\" \\\n"
	"	\".section __ksymtab,\\\"a\\\"\\n.balign 4\\n.long \" #name \" - ., n_\" #name \" - ., 0\\n\" \\\n"
	"	\".section __kcrctab,\\\"a\\\"\\n.balign 4\\n.long \" #crc \"\\n.text\\n\");\n"
	"EXPORT(klp_enable_patch, 0x1111)\nEXPORT(module_layout, 0x2222)\nEXPORT(note, 0x3333)\n";

static const char unit_head[] = "int note(const char *format, int x) __attribute__((cold));\n"
				"int helper(int x);\n"
				"static int counter;\n"
				"static __attribute__((noinline)) int inner(int x) { return helper(x) + counter++; }\n";

static const char unit_before[] = "__attribute__((noinline)) int target(int x) { return inner(x) * 3; }\n";

/* A new function with a variable of its own, a cold part with a string, rows of a table, data of the kernel. */
static const char unit_after[] = "static __attribute__((noinline)) int added(int x)\n"
				 "{\n"
				 "	static long calls;\n"
				 "	calls += x;\n"
				 "	return helper((int)calls) + counter;\n"
				 "}\n"
				 "#define LOAD(value, from) asm volatile(\"1: mov (%1), %0\\n2:\\n.pushsection "
				 "__ex_table,\\\"a\\\"\\n.balign 4\\n\" \\\n"
				 "	\".long 1b - ., 2b - ., 3\\n.popsection\" : \"=r\"(value) : \"r\"(from))\n"
				 "__attribute__((noinline)) int target(int x)\n"
				 "{\n"
				 "	long one, two;\n"
				 "	LOAD(one, &counter);\n"
				 "	if (__builtin_expect(x > 1000, 0)) {\n"
				 "		note(\"too much: %d\", x);\n"
				 "		counter = 0;\n"
				 "	}\n"
				 "	LOAD(two, &counter);\n"
				 "	return inner(x) * 3 + added(x) + (int)(one + two);\n"
				 "}\n";

static const char unit_tail[] = "__attribute__((no_instrument_function)) int silent(int x) { return x + 1; }\n"
				"int caller(int x) { return target(x) + silent(x); }\n";

static const char template_text[] =
	"typedef unsigned long u64;\n"
	"struct module { u64 state, list[2]; char name[56]; u64 rest[8]; void *init; u64 more[4]; void *exit; };\n"
	"struct version { u64 crc; char name[56]; };\n"
	"struct func { const char *old_name; void *new_func; u64 old_sympos; void *old; u64 rest[6]; };\n"
	"struct object { const char *name; struct func *funcs; void *callbacks[4]; u64 rest[7]; };\n"
	"struct state { u64 id; unsigned version; void *data; };\n"
	"struct patch { struct module *mod; struct object *objs; struct state *states; _Bool replace; u64 rest[9]; };\n"
	"#define OFFSET(type, field) __builtin_offsetof(struct type, field)\n"
	"#define INFO(n, text) static const char info_##n[] __attribute__((section(\".modinfo\"), used, aligned(1))) = "
	"text;\n"
	"extern struct patch " KM_TEMPLATE_PATCH_SYMBOL ";\n"
	"int klp_enable_patch(struct patch *);\n"
	"int " KM_PATCHDATA_ENABLE "(const struct patch *);\n"
	"void " KM_PATCHDATA_REMOVE "(const struct patch *);\n"
	"int init_module(void);\n"
	"void cleanup_module(void);\n"
	"#ifdef OWN\n"
	"int init_module(void) { return " KM_PATCHDATA_ENABLE "(&" KM_TEMPLATE_PATCH_SYMBOL "); }\n"
	"void cleanup_module(void) { " KM_PATCHDATA_REMOVE "(&" KM_TEMPLATE_PATCH_SYMBOL "); }\n"
	"#else\n"
	"int init_module(void) { return klp_enable_patch(&" KM_TEMPLATE_PATCH_SYMBOL "); }\n"
	"void cleanup_module(void) { }\n"
	"INFO(2, \"livepatch=Y\")\n"
	"#endif\n"
	"struct module __this_module __attribute__((section(\"" KM_TEMPLATE_MODULE_SECTION "\"))) =\n"
	"	{ .name = \"kmend\", .init = init_module, .exit = cleanup_module };\n"
	"INFO(1, \"license=GPL\") INFO(3, \"vermagic=6.1.0-fake SMP\")\n"
	"static const unsigned layout[] __attribute__((section(\"" KM_TEMPLATE_LAYOUT_SECTION "\"), used)) = {\n"
	"	sizeof(struct module), OFFSET(module, name), 56,\n"
	"	sizeof(struct version), OFFSET(version, crc), OFFSET(version, name),\n"
	"#ifndef OWN\n"
	"	sizeof(struct func), OFFSET(func, old_name), OFFSET(func, new_func), OFFSET(func, old_sympos),\n"
	"	sizeof(struct object), OFFSET(object, name), OFFSET(object, funcs), OFFSET(object, callbacks[0]),\n"
	"	OFFSET(object, callbacks[1]), OFFSET(object, callbacks[2]), OFFSET(object, callbacks[3]),\n"
	"	sizeof(struct state), OFFSET(state, id), OFFSET(state, version),\n"
	"	sizeof(struct patch), OFFSET(patch, mod), OFFSET(patch, objs), OFFSET(patch, states), OFFSET(patch, "
	"replace),\n"
	"#endif\n"
	"};\n";

/* ---- what objtool does ---- */

static void add_row(KmSection *places, KmSection *rows, KmObject *object, KmSection *code, guint64 at, guint8 depth)
{
	const guint8 row[6] = { depth, 0, 0, 0, depth ? 0x05 : 0, depth ? 2 : 0 };
	/* What holds already is not said again. */
	if (at && rows->size && !memcmp(rows->data->data + rows->size - sizeof(row), row, sizeof(row)))
		return;
	guint64 offset = km_section_append(places, NULL, 4, 1);
	km_section_append(rows, row, sizeof(row), 1);
	km_section_add_reloc(places, offset, object->arch->pc32, km_object_section_symbol(object, code), (gint64)at);
}

/* Each function pushes something with its first instruction, and what lies behind it is unknown. */
static void add_unwind(KmObject *object)
{
	guint n = object->sections->len;
	KmSection *places = km_object_add_section(object, ".orc_unwind_ip", SHT_PROGBITS, SHF_ALLOC, 1);
	KmSection *rows = km_object_add_section(object, ".orc_unwind", SHT_PROGBITS, SHF_ALLOC, 1);
	for (guint s = 0; s < n; s++) {
		KmSection *code = object->sections->pdata[s];
		for (guint64 at = 0; km_section_is_text(code) && at < code->size; at++) {
			const KmSymbol *f = km_object_symbol_at(object, code, at);
			gboolean starts = f && f->type == STT_FUNC && f->value == at;
			if (starts)
				add_row(places, rows, object, code, at, 8);
			if (starts && f->size > 1)
				add_row(places, rows, object, code, at + 1, 16);
		}
		if (km_section_is_text(code) && code->size)
			add_row(places, rows, object, code, code->size, 0);
	}
	km_object_index_drop(object);
}

int fake_patch_unwind(const char *path)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) object = km_object_read(path, &error);
	if (object)
		add_unwind(object);
	return !object || !km_object_write(object, path, &error);
}

/* ---- the world ---- */

static char *compile(const FakePatch *w, const char *name, const char *middle, const char *flags)
{
	g_autofree char *text = g_strconcat(unit_head, middle, unit_tail, NULL);
	return fake_image_compile(w->dir, name, text, flags);
}

static KmImage *make_image(FakePatch *w, const char *unit, FakeImage **fake)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *kernel = fake_image_compile(w->dir, "kernel.c", kernel_text, TRACED);
	g_autofree char *fentry =
		fake_image_compile(w->dir, "fentry.S", "\t.globl __fentry__\n__fentry__: ret\n", NULL);
	const char *const objects[] = { kernel, unit, fentry, NULL };
	*fake = fake_image_new(objects);
	KmImage *image = km_image_open((*fake)->path, &error);
	g_assert_no_error(error);
	return image;
}

static void make_kernel(FakePatch *w)
{
	w->kernel = (KmKernel){ .arch = km_arch_by_name("x86_64") };
	w->kernel.name = w->kernel.release = g_strdup("6.1.0-fake");
	w->kernel.config = g_build_filename(w->dir->path, "config", NULL);
	w->kernel.symvers = g_build_filename(w->dir->path, "Module.symvers", NULL);
	g_assert_true(g_file_set_contents(w->kernel.config, "CONFIG_MODVERSIONS=y\nCONFIG_LIVEPATCH=y\n", -1, NULL));
	g_assert_true(g_file_set_contents(w->kernel.symvers, "0x00003333\tnote\tvmlinux\tEXPORT_SYMBOL\t\n", -1, NULL));
}

static void make_unit(FakePatch *w)
{
	w->unit.source = g_strdup("unit.c");
	w->unit.object = g_strdup("unit.o");
	w->unit.owner = g_strdup("vmlinux");
	w->unit.plain = compile(w, "plain.c", unit_before, TRACED);
	w->unit.original = compile(w, "original.c", unit_before, SECTIONED);
	w->unit.patched = compile(w, "patched.c", unit_after, SECTIONED);
	w->tools.template_object = fake_image_compile(w->dir, "template.c", template_text, w->own ? "-DOWN" : NULL);
	w->tools.cwd = w->dir->path;
}

static void patched_function_free(gpointer data)
{
	KmPatchedFunction *f = data;
	g_free(f->object);
	g_free(f->name);
	g_free(f->source);
	g_ptr_array_unref(f->reasons);
	g_free(f);
}

/* What `kmend build` does with one unit alone. */
static KmUnitWork *work_unit(FakePatch *w, GError **error)
{
	KmBuildOptions options = { .name = "fixture", .runtime = w->own ? KM_RUNTIME_OWN : KM_RUNTIME_KERNEL };
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free), works = g_ptr_array_new();
	const KmCarryOptions carry = { .notes = notes };
	KmUnitWork *work = km_unit_work_new(&w->kernel, w->image, &w->unit, &options, notes, error);
	g_assert_nonnull(work);
	g_ptr_array_add(works, work);
	g_assert_true(km_carry(works, &carry, error) && km_unit_work_extract(work, error));
	return work;
}

static KmObject *link_module(FakePatch *w, KmContents *contents, GHashTable **refs)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) functions = g_ptr_array_new_with_free_func(patched_function_free);
	g_autoptr(GHashTable) none = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(KmUnitWork) work = work_unit(w, &error);
	g_assert_true(km_unit_work_hooks(work, contents->hooks, functions, &error));
	KmObject *template_object = km_object_read(w->tools.template_object, &error);
	g_assert_true(km_template_layout(template_object, &w->layout, &error));
	g_autoptr(KmLink) link = km_link_new(template_object);
	g_assert_true(km_link_add(link, work->extracted, &work->context, none, &error));
	km_link_join(link);
	KmHook *hook = contents->hooks->pdata[0];
	hook->replacement = g_hash_table_lookup(link->moved, hook->replacement);
	for (guint i = 0; hook->new_parts && i < hook->new_parts->len; i++)
		hook->new_parts->pdata[i] = g_hash_table_lookup(link->moved, hook->new_parts->pdata[i]);
	const KmOwn own = { .kernel = &w->kernel, .image = w->image, .contents = contents, .refs = link->refs };
	g_assert_true(w->own ? km_own_write(link->object, &own, &error)
			     : km_hooks_write(link->object, &w->layout, contents, &error));
	*refs = g_hash_table_ref(link->refs);
	g_assert_true(km_object_write(link->object, w->path, &error));
	g_assert_cmpint(fake_patch_unwind(w->path), ==, 0);
	KmObject *object = km_object_read(w->path, &error);
	g_assert_no_error(error);
	return object;
}

static void make_module(FakePatch *w)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GHashTable) refs = NULL;
	g_auto(KmContents) contents = { 0 };
	guint references = 0;
	km_contents_init(&contents);
	g_autoptr(KmObject) object = link_module(w, &contents, &refs);
	g_assert_cmpuint(contents.hooks->len, ==, 1);
	const KmOwn own = { .kernel = &w->kernel, .image = w->image, .contents = &contents, .refs = refs };
	const KmEmit emit = { .image = w->image,
			      .own = w->own ? &own : NULL,
			      .kernel = &w->kernel,
			      .layout = &w->layout,
			      .refs = refs,
			      .contents = &contents,
			      .name = "fixture" };
	km_emit(object, &emit, &references, &error);
	g_assert_no_error(error);
	w->bytes = km_object_to_bytes(object, &error);
	g_assert_no_error(error);
}

static void give_layout(FakePatch *w)
{
	const KmLayout *l = &w->layout;
	w->given = (KmVerifyLayout){
		.module_size = l->module_size,
		.module_name = l->module_name,
		.module_name_len = l->module_name_len,
		.func_size = l->func_size,
		.func_old_name = l->func_old_name,
		.func_new_func = l->func_new_func,
		.func_old_sympos = l->func_old_sympos,
		.object_size = l->object_size,
		.object_name = l->object_name,
		.object_funcs = l->object_funcs,
		.patch_size = l->patch_size,
		.patch_mod = l->patch_mod,
		.patch_objs = l->patch_objs,
		.patch_states = l->patch_states,
		.patch_replace = l->patch_replace,
		.state_size = l->state_size,
		.state_id = l->state_id,
	};
}

/* From now on the units have rows, or a tool that makes them. */
static void give_unwind(FakePatch *w, const char *objtool)
{
	w->objtool[0] = g_strdup(objtool);
	w->objtool[1] = g_strdup("--unwind");
	if (objtool)
		w->tools.objtool_argv = w->objtool;
	else if (fake_patch_unwind(w->unit.patched) || fake_patch_unwind(w->tools.template_object))
		g_error("the units cannot be rewritten");
}

static FakePatch *new_patch(const char *objtool, gboolean own)
{
	g_autoptr(GError) error = NULL;
	FakePatch *w = g_new0(FakePatch, 1);
	w->own = own;
	w->dir = km_tempdir_new(NULL, "test-verify", NULL);
	w->path = g_build_filename(w->dir->path, "fixture.ko", NULL);
	g_autofree char *unit = compile(w, "unit.c", unit_before, TRACED);
	g_autofree char *deaf = compile(w, "deaf.c", unit_before, NULL);
	w->image = make_image(w, unit, &w->fake);
	w->deaf_image = make_image(w, deaf, &w->deaf);
	make_kernel(w);
	make_unit(w);
	make_module(w);
	give_layout(w);
	give_unwind(w, objtool);
	g_autoptr(GPtrArray) units = g_ptr_array_new();
	g_ptr_array_add(units, &w->unit);
	w->units = km_verify_units_new(&w->kernel, w->image, units, &w->tools, NULL, &error);
	g_assert_no_error(error);
	return w;
}

FakePatch *fake_patch_new(const char *objtool)
{
	return new_patch(objtool, FALSE);
}

FakePatch *fake_patch_new_own(void)
{
	return new_patch(NULL, TRUE);
}

void fake_patch_free(FakePatch *w)
{
	if (!w)
		return;
	km_verify_units_free(w->units);
	g_bytes_unref(w->bytes);
	km_image_free(w->image);
	km_image_free(w->deaf_image);
	fake_image_free(w->fake);
	fake_image_free(w->deaf);
	g_clear_pointer(&w->kernel.exports, g_hash_table_unref);
	g_clear_pointer(&w->kernel.outside, g_hash_table_unref);
	char *owned[] = { w->kernel.name,  w->kernel.config, w->kernel.symvers, w->unit.source,
			  w->unit.object,  w->unit.owner,    w->unit.plain,	w->unit.original,
			  w->unit.patched, w->objtool[0],    w->objtool[1],	w->tools.template_object,
			  w->path };
	for (gsize i = 0; i < G_N_ELEMENTS(owned); i++)
		g_free(owned[i]);
	km_tempdir_free(w->dir);
	g_free(w);
}

KmVerifyInput fake_patch_input(FakePatch *w)
{
	return (KmVerifyInput){ .kernel = &w->kernel, .image = w->image, .units = w->units, .layout = &w->given };
}
