/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A unit is laid over a small image: what equals is found with all its references, what differs is refused. */
#include "fake-image.h"

#include <string.h>

#include "base/error.h"
#include "base/run.h"
#include "image/image.h"
#include "image/module.h"
#include "match/match.h"

#define COMMON                                                                                                         \
	"#define noinline __attribute__((noinline, noclone))\n"                                                        \
	"#define __init __attribute__((section(\".init.text\")))\n"

/* Built into the image, and the unit of most tests. VARIANT makes it differ. */
static const char unit_text[] =
	COMMON "extern int far(int); extern int remote, remote_two; int near_data = 5;\n"
	       "static int counter; static int zero_a[4], zero_b[4];\n"
	       "static noinline int twin(int x) { return x * 3 + 1; }\n"
	       "static noinline int quiet(int x) { counter += x; return counter; }\n"
	       "__attribute__((weak)) noinline int arch_hook(int x) { return x + 100; }\n"
	       "static int by_table(int x) { return x ^ zero_b[x & 3]++; }\n"
	       "struct ops { int (*fn)(int); int *data; };\n"
	       "static const struct ops table[] = { { by_table, &remote_two }, { twin, zero_a } };\n"
	       "noinline int first(int x) { static int calls; calls++; return twin(x) + quiet(x) + far(x) + remote + "
	       "calls; }\n"
	       "#ifdef VARIANT\n"
	       "noinline int second(int x) { return arch_hook(x) - near_data + 77; }\n"
	       "#else\n"
	       "noinline int second(int x) { return arch_hook(x) - near_data + 76; }\n"
	       "#endif\n"
	       "noinline int third(int x) { return table[x & 1].fn(x) + *table[x & 1].data; }\n"
	       "extern void say(const char *); void speak(void) { say(\"hello\"); }\n"
	       "static __init noinline int early(int x) { return x + near_data; } __init int start(int x) { return "
	       "early(x) + 1; }\n";

static const char other_text[] = COMMON "int remote = 1, remote_two = 2; int far(int x) { return x - 1; }\n"
					"static noinline int twin(int x) { return x * 3 + 1; }\n"
					"int arch_hook(int x) { return twin(x) + 5; }\n"
					"void say(const char *s) { remote = *s; }\n"
					"int uses(int x) { static int calls; return calls += twin(x) + 9; }\n";

typedef struct {
	KmTempDir *dir;
	char *unit, *other;
	FakeImage *fake;
	KmImage *image;
	KmObject *plain;
} World;

static KmObject *read_object(const char *path)
{
	g_autoptr(GError) error = NULL;
	KmObject *object = km_object_read(path, &error);
	g_assert_no_error(error);
	return object;
}

static World *world_new(const char *unit, const char *in_image_flags, const char *flags)
{
	g_autoptr(GError) error = NULL;
	World *w = g_new0(World, 1);
	w->dir = km_tempdir_new(NULL, "test-match", NULL);
	w->unit = fake_image_compile(w->dir, "unit.c", unit, in_image_flags);
	w->other = fake_image_compile(w->dir, "other.c", other_text, NULL);
	g_autofree char *fentry =
		fake_image_compile(w->dir, "fentry.S", "\t.globl __fentry__\n__fentry__: ret\n", NULL);
	const char *const objects[] = { w->other, w->unit, fentry, NULL };
	w->fake = fake_image_new(objects);
	w->image = km_image_open(w->fake->path, &error);
	g_assert_no_error(error);
	g_autofree char *plain = fake_image_compile(w->dir, "plain.c", unit, flags);
	w->plain = read_object(plain);
	return w;
}

static void world_free(World *w)
{
	km_object_free(w->plain);
	km_image_free(w->image);
	fake_image_free(w->fake);
	km_tempdir_free(w->dir);
	g_free(w->unit);
	g_free(w->other);
	g_free(w);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)

static KmMatch *match_new(World *w)
{
	g_autoptr(GError) error = NULL;
	KmMatch *match = km_match_new(w->plain, "vmlinux", w->image, NULL, &error);
	g_assert_no_error(error);
	return match;
}

static void assert_refused(GError *error, const char *pattern)
{
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	if (!g_pattern_match_simple(pattern, error->message))
		g_error("message '%s' is not like '%s'", error->message, pattern);
	g_assert_null(strchr(error->message, '\n'));
}

static const KmPlace *place_of(World *w, KmMatch *match, const char *name)
{
	g_autoptr(GError) error = NULL;
	const KmPlace *place = km_match_place(match, km_object_find_symbol(w->plain, name), &error);
	g_assert_no_error(error);
	g_assert_nonnull(place);
	return place;
}

static void assert_unique(World *w, KmMatch *match, const char *name)
{
	const KmPlace *place = place_of(w, match, name);
	g_assert_cmpstr(place->object, ==, "vmlinux");
	g_assert_cmpstr(place->name, ==, name);
	g_assert_cmphex(place->address, ==, fake_image_address(w->fake, name));
	g_assert_cmpuint(place->sympos, ==, 1);
	g_assert_true(place->unique);
	g_assert_cmpint(place->offset, ==, 0);
}

static gboolean cannot(void)
{
	if (fake_image_can())
		return FALSE;
	g_test_skip("needs gcc, ld and nm for x86-64");
	return TRUE;
}

/* Code, data found through code, and data and code found through a table of pointers. */
static void test_references(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, NULL);
	g_autoptr(KmMatch) match = match_new(w);
	static const char *const names[] = { "first",	  "second", "third",  "quiet",	    "counter",
					     "near_data", "far",    "remote", "remote_two", "by_table",
					     "table",	  "zero_a", "zero_b", "speak",	    "say" };
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		assert_unique(w, match, names[i]);
	g_assert_cmpuint(km_match_compared(match), ==, 9);
}

static void test_twins(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, NULL);
	g_autoptr(KmMatch) match = match_new(w);
	const GArray *both = g_hash_table_lookup(w->fake->symbols, "twin");
	const KmPlace *place = place_of(w, match, "twin");
	g_assert_cmpuint(both->len, ==, 2);
	/* The other unit is linked first. */
	g_assert_cmphex(place->address, ==, g_array_index(both, guint64, 1));
	g_assert_cmpuint(place->sympos, ==, 2);
	g_assert_false(place->unique);
}

/* A static local keeps the number that the image has, not ours. */
static void test_static_local(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, NULL);
	for (guint i = 0; i < w->plain->symbols->len; i++) {
		KmSymbol *symbol = w->plain->symbols->pdata[i];
		if (g_str_has_prefix(symbol->name, "calls.")) {
			g_free(symbol->name);
			symbol->name = g_strdup("calls.4711");
		}
	}
	g_autoptr(KmMatch) match = match_new(w);
	const KmPlace *place = place_of(w, match, "calls.4711");
	g_assert_true(g_str_has_prefix(place->name, "calls."));
	g_assert_cmpstr(place->name, !=, "calls.4711");
	g_assert_cmpint(place->offset, ==, 0);
}

static void test_overridden(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, NULL);
	g_autoptr(KmMatch) match = match_new(w);
	const GPtrArray *overridden = km_match_overridden(match);
	g_assert_cmpuint(overridden->len, ==, 1);
	g_assert_cmpstr(overridden->pdata[0], ==, "arch_hook");
	/* The name means the strong one. */
	assert_unique(w, match, "arch_hook");
}

static void test_init(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, NULL);
	g_autoptr(KmMatch) match = match_new(w);
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_place(match, km_object_find_symbol(w->plain, "early"), &error));
	assert_refused(error, "*early lies in init memory*");
}

static void test_patchable(void)
{
	if (cannot())
		return;
	const char *hooked = "-pg -mfentry -mrecord-mcount";
	g_autoptr(World) w = world_new(unit_text, hooked, hooked);
	g_autoptr(KmMatch) match = match_new(w);
	g_assert_true(place_of(w, match, "first")->patchable);
	g_assert_true(place_of(w, match, "quiet")->patchable);
	g_autoptr(World) bare = world_new(unit_text, NULL, NULL);
	g_autoptr(KmMatch) bare_match = match_new(bare);
	g_assert_false(place_of(bare, bare_match, "first")->patchable);
}

/* The function whose code ends where arch_hook's begins, alignment aside. */
static const KmSymbol *before_hook(World *w)
{
	const KmSymbol *hook = km_object_find_symbol(w->plain, "arch_hook"), *found = NULL;
	for (guint i = 0; i < w->plain->symbols->len; i++) {
		const KmSymbol *f = w->plain->symbols->pdata[i];
		if (f->type == STT_FUNC && f->section == hook->section && f->value < hook->value &&
		    (!found || f->value > found->value))
			found = f;
	}
	g_assert_nonnull(found);
	return found;
}

/* Behind a landing pad the kernel looks for an entry in all that bears a name: also in the code that lost its own to a strong one. */
static void test_two_entries(void)
{
	static const char hooked[] = "-pg -mfentry -mrecord-mcount",
			  landing[] = "-pg -mfentry -mrecord-mcount -fcf-protection=branch";
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, hooked, hooked);
	g_autoptr(KmMatch) match = match_new(w);
	const KmPlace *place = place_of(w, match, before_hook(w)->name);
	g_assert_true(place->patchable && !place->ambiguous);
	g_autoptr(World) behind = world_new(unit_text, landing, landing);
	g_autoptr(KmMatch) behind_match = match_new(behind);
	place = place_of(behind, behind_match, before_hook(behind)->name);
	g_assert_true(!place->patchable && place->ambiguous);
	place = place_of(behind, behind_match, "first");
	g_assert_true(place->patchable && !place->ambiguous);
}

/* A constant, one function: the source is another one. */
static void test_one_differs(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, "-DVARIANT");
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_new(w->plain, "vmlinux", w->image, NULL, &error));
	assert_refused(
		error,
		"*1 of 9 functions differ*: second (1 of * bytes differ from +0x*); the source is of another version*");
}

static void test_all_differ(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, "-O0");
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_new(w->plain, "vmlinux", w->image, NULL, &error));
	assert_refused(error, "*9 of 9*first (* bytes differ from +0x0)*and 4 more; nothing of it matches*");
}

static void test_not_there(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new("int a(int x) { return x; }\n", NULL, NULL);
	g_autofree char *path = fake_image_compile(
		w->dir, "stranger.c", "int stranger(int x) { return x + 9; } int odd(int x) { return x; }\n", NULL);
	g_autoptr(KmObject) plain = read_object(path);
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_new(plain, "vmlinux", w->image, NULL, &error));
	assert_refused(error, "*2 of 2*stranger (not in vmlinux)*none of it is there*");
}

/* A section that only differs in what stands between its functions: one of them shifted. */
static void test_shifted(void)
{
	if (cannot())
		return;
	static const char text[] = "#define S(x) #x\n#define X(x) S(x)\n"
				   "int one(int x) { return x * 7; }\n"
				   "__asm__(\".pushsection .text\\n.skip \" X(GAP) \", 0x90\\n.popsection\");\n"
				   "int two(int x) { return x * 9; }\n";
	const char *flags[] = { "-fno-toplevel-reorder -DGAP=16", "-fno-toplevel-reorder -DGAP=48" };
	g_autoptr(World) w = world_new(text, flags[0], flags[1]);
	g_autoptr(GError) error = NULL;
	KmMatch *match = km_match_new(w->plain, "vmlinux", w->image, NULL, &error);
	g_assert_null(match);
	assert_refused(error, "*not where its neighbours*");
}

/* Nothing tells which of two equal functions is ours: the unit is proved, the place is not. */
static void test_ambiguous(void)
{
	if (cannot())
		return;
	static const char text[] =
		"__attribute__((noinline, noclone, used)) static int twin(int x) { return x * 3 + 1; }\n";
	g_autoptr(World) w = world_new(text, NULL, NULL);
	g_autoptr(KmMatch) match = match_new(w);
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_place(match, km_object_find_symbol(w->plain, "twin"), &error));
	assert_refused(error, "*twin fits 2 places*");
}

/* The same, but a table of pointers, itself found through code, leads to the right one. */
static void test_told_by_table(void)
{
	if (cannot())
		return;
	static const char text[] =
		"static __attribute__((section(\".text.apart\"))) int twin(int x) { return x * 3 + 1; }\n"
		"static int (*const table[2])(int) = { twin, twin };\n"
		"int pick(int i) { return table[i & 1](i); }\n";
	g_autoptr(World) w = world_new(text, "-fno-ipa-cp", "-fno-ipa-cp");
	g_autoptr(KmMatch) match = match_new(w);
	const GArray *both = g_hash_table_lookup(w->fake->symbols, "twin");
	g_assert_cmphex(place_of(w, match, "twin")->address, ==, g_array_index(both, guint64, 1));
}

/* Bytes outside relocations are equal, but the code refers to something else than the source. */
static void test_other_reference(void)
{
	if (cannot())
		return;
	static const char text[] = "extern int remote, remote_two, SECOND;\n"
				   "int one(void) { return remote; }\nint two(void) { return SECOND; }\n";
	g_autoptr(World) both = world_new(text, "-DSECOND=remote_two", "-DSECOND=remote");
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_new(both->plain, "vmlinux", both->image, NULL, &error));
	assert_refused(error,
		       "*: 1 of 2 functions *two (refers at +0x* to remote, but * bytes off from where one has it)*");
	g_clear_error(&error);
	static const char single[] = "extern int SECOND;\nint two(void) { return SECOND; }\n";
	g_autoptr(World) w = world_new(single, "-DSECOND=remote_two", "-DSECOND=remote");
	g_assert_null(km_match_new(w->plain, "vmlinux", w->image, NULL, &error));
	assert_refused(error, "*two (refers at +0x* to remote, there to remote_two)*");
}

/* Another member of a static structure: only the addend differs. */
static void test_other_member(void)
{
	if (cannot())
		return;
	static const char text[] = "static struct { int a, b, c; } state;\n"
				   "void set(int x) { state.a = x; state.b = x; state.c = 1; }\n"
				   "int get(void) { return state.MEMBER; }\n";
	g_autoptr(World) w = world_new(text, "-DMEMBER=a", "-DMEMBER=b");
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_new(w->plain, "vmlinux", w->image, NULL, &error));
	assert_refused(error, "*get (refers at +0x* to .bss, but * bytes off*");
}

/* Bit 1 of the key says that the build made the branch a NOP; without the bit it may not differ. */
static void test_jump_label(void)
{
	if (cannot())
		return;
	static const char text[] = "\t.text\n\t.globl f\n\t.type f, @function\nf:\tmov %edi, %eax\n"
				   "1:\n#ifdef DONE\n\t.byte 0x66, 0x90\n#else\n\tjmp 2f\n#endif\n\tadd $3, %eax\n"
				   "2:\n3:\n#ifdef DONE\n\t.byte 0x0f, 0x1f, 0x44, 0, 0\n#else\n\t.byte 0xe9\n"
				   "\t.long remote - . - 4\n#endif\n\tret\n\t.size f, . - f\n"
				   "\t.section __jump_table, \"aw\"\n\t.long 1b - ., 2b - .\n\t.quad remote + BIT - .\n"
				   "\t.long 3b - ., 2b - .\n\t.quad remote + BIT - .\n";
	for (guint bit = 0; bit <= 2; bit += 2) {
		g_autoptr(World) w = world_new("int x;\n", NULL, NULL);
		g_autofree char *done = fake_image_compile(w->dir, "done.S", text, "-DDONE -DBIT=2");
		g_autofree char *path = fake_image_compile(w->dir, "jump.S", text, bit ? "-DBIT=2" : "-DBIT=0");
		const char *const objects[] = { w->unit, done, NULL };
		g_autofree char *remote = fake_image_compile(w->dir, "remote.c", "int remote;\n", NULL);
		const char *const all[] = { objects[0], objects[1], remote, NULL };
		g_autoptr(FakeImage) fake = fake_image_new(all);
		g_autoptr(GError) error = NULL;
		g_autoptr(KmImage) image = km_image_open(fake->path, &error);
		g_assert_no_error(error);
		g_autoptr(KmObject) plain = read_object(path);
		km_match_free(km_match_new(plain, "vmlinux", image, NULL, &error));
		if (bit)
			g_assert_no_error(error);
		else
			assert_refused(error, "*f (*differ*");
	}
}

/* What kallsyms leaves out: data is reached from a neighbour of its own unit, functions are not. */
static void test_nameless(void)
{
	if (cannot())
		return;
	static const char text[] = COMMON "int pad[3] = { 1, 2, 3 }; static int hidden_data[2] = { 4, 5 };\n"
					  "static noinline int hidden_code(int x) { return hidden_data[x & 1]++; }\n"
					  "int seen(int x) { return hidden_code(x + 1) + pad[x & 1]; }\n";
	g_autoptr(World) w = world_new(text, "-fno-toplevel-reorder", "-fno-toplevel-reorder");
	g_autoptr(KmMatch) match = match_new(w);
	g_assert_cmpuint(km_match_compared(match), ==, 2);
	const KmPlace *place = place_of(w, match, "hidden_data");
	g_assert_cmpstr(place->name, ==, "pad");
	g_assert_cmphex(place->address, ==, fake_image_address(w->fake, "hidden_data"));
	g_assert_cmphex(place->address - (guint64)place->offset, ==, fake_image_address(w->fake, "pad"));
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_place(match, km_object_find_symbol(w->plain, "hidden_code"), &error));
	assert_refused(error, "*hidden_code lies at 0x* of vmlinux, where nothing has a name*");
}

/* String constants are pooled with those of other units. */
static void test_pooled(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, NULL);
	KmSection *strings = NULL;
	for (guint i = 0; i < w->plain->sections->len; i++) {
		KmSection *section = w->plain->sections->pdata[i];
		if (km_section_is_string(section) && g_str_has_prefix(section->name, ".rodata.str"))
			strings = section;
	}
	g_assert_nonnull(strings);
	KmSymbol *symbol = km_object_section_symbol(w->plain, strings);
	g_autoptr(KmMatch) match = match_new(w);
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_place(match, symbol, &error));
	assert_refused(error, "*linker pools*");
}

static void test_other_architecture(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, NULL);
	g_autoptr(KmObject) foreign = km_object_new(km_arch_by_name("arm64"), "foreign.o");
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_new(foreign, "vmlinux", w->image, NULL, &error));
	assert_refused(error, "*foreign.o is arm64 code*");
}

/* A stock module made of two units, the second of them ours. */
static KmObject *module_new(World *w, const char *flags)
{
	g_autofree char *unit = fake_image_compile(w->dir, "in-module.c", unit_text, flags);
	g_autofree char *path = g_build_filename(w->dir->path, "mod.ko", NULL);
	const char *const argv[] = { "ld", "-r", "-o", path, w->other, unit, NULL };
	g_autoptr(GError) error = NULL;
	g_free(km_run_checked(argv, NULL, &error));
	g_assert_no_error(error);
	return read_object(path);
}

static guint64 value_in(const KmObject *module, const char *name)
{
	const KmSymbol *symbol = km_object_find_symbol(module, name);
	g_assert_nonnull(symbol);
	return symbol->value;
}

static void test_module(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, NULL);
	g_autoptr(KmObject) module = module_new(w, NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmMatch) match = km_match_new(w->plain, "mod", NULL, module, &error);
	g_assert_no_error(error);
	static const char *const names[] = { "first",  "second", "third",      "quiet",	   "counter", "near_data",
					     "far",    "remote", "remote_two", "by_table", "table",   "zero_a",
					     "zero_b", "speak",	 "say",	       "arch_hook" };
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		const KmPlace *place = place_of(w, match, names[i]);
		g_assert_cmpstr(place->object, ==, "mod");
		g_assert_cmpstr(place->name, ==, names[i]);
		g_assert_cmpuint(place->sympos, ==, 1);
		g_assert_cmphex(place->address, ==, value_in(module, names[i]));
	}
	const KmPlace *twin = place_of(w, match, "twin");
	g_assert_cmpuint(twin->sympos, ==, 2);
	g_assert_false(twin->unique);
	g_assert_null(km_match_place(match, km_object_find_symbol(w->plain, "early"), &error));
	assert_refused(error, "*early lies in init memory of mod*");
}

static void test_module_patchable(void)
{
	if (cannot())
		return;
	const char *hooked = "-pg -mfentry -mrecord-mcount";
	g_autoptr(World) w = world_new(unit_text, hooked, hooked);
	g_autoptr(KmObject) module = module_new(w, hooked);
	g_autoptr(KmMatch) match = km_match_new(w->plain, "mod", NULL, module, NULL);
	g_assert_nonnull(match);
	g_assert_true(place_of(w, match, "first")->patchable);
	g_assert_true(place_of(w, match, "twin")->patchable);
	/* The module does not define the hook: it imports it. */
	const KmPlace *hook = place_of(w, match, "__fentry__");
	g_assert_cmpstr(hook->object, ==, "");
	g_assert_cmpstr(hook->name, ==, "__fentry__");
}

static void test_module_differs(void)
{
	if (cannot())
		return;
	g_autoptr(World) w = world_new(unit_text, NULL, NULL);
	g_autoptr(KmObject) module = module_new(w, "-DVARIANT");
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_new(w->plain, "mod", NULL, module, &error));
	assert_refused(error, "*1 of 9 functions differ from the module *second (1 of * bytes differ*");
}

/* Same bytes, same relocations, another symbol. */
static void test_module_other_reference(void)
{
	if (cannot())
		return;
	static const char text[] = "extern int remote, remote_two, far(int);\nint two(void) { return far(SECOND); }\n";
	g_autoptr(World) w = world_new(text, "-DSECOND=remote", "-DSECOND=remote");
	g_autofree char *path = fake_image_compile(w->dir, "two.c", text, "-DSECOND=remote_two");
	g_autoptr(KmObject) module = read_object(path);
	g_autoptr(GError) error = NULL;
	g_assert_null(km_match_new(w->plain, "mod", NULL, module, &error));
	assert_refused(error, "*two (refers at +0x* to remote, there to remote_two)*");
}

/* Another relocation inside a function: bytes under a mask must not hide it. */
static void test_module_other_layout(void)
{
	if (cannot())
		return;
	static const char text[] =
		"\t.text\n\t.globl f\n\t.type f, @function\nf:\n#ifdef LAYOUT\n\t.byte 0xe8\n"
		"\t.long x - .\n\tcmp $0, %eax\n#else\n\t.byte 0xe8\n\t.long 0\n\tcmp $0, %eax\n#endif\n"
		"\tret\n\t.size f, . - f\n";
	g_autoptr(World) w = world_new("int x;\n", NULL, NULL);
	g_autofree char *with = fake_image_compile(w->dir, "with.S", text, "-DLAYOUT");
	g_autofree char *without = fake_image_compile(w->dir, "without.S", text, NULL);
	for (guint i = 0; i < 2; i++) {
		g_autoptr(KmObject) plain = read_object(i ? with : without);
		g_autoptr(KmObject) module = read_object(i ? without : with);
		g_autoptr(GError) error = NULL;
		g_assert_null(km_match_new(plain, "mod", NULL, module, &error));
		assert_refused(error, "*f (other relocations*");
	}
}

/* The stock kernel whose packages are unpacked in $KMEND_TEST_KERNEL_DIR, or NULL with the test skipped. */
static KmImage *stock_image(const char *root)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *boot = root ? g_build_filename(root, "boot", NULL) : NULL;
	g_autoptr(GDir) dir = boot ? g_dir_open(boot, 0, NULL) : NULL;
	const char *name;
	while (dir && (name = g_dir_read_name(dir)))
		if (g_str_has_prefix(name, "vmlinuz-")) {
			g_autofree char *path = g_build_filename(boot, name, NULL);
			KmImage *image = km_image_open(path, &error);
			g_assert_no_error(error);
			return image;
		}
	g_test_skip("needs KMEND_TEST_KERNEL_DIR, where a stock kernel's packages are unpacked");
	return NULL;
}

/* A module lies over itself, and not over the image. */
static void lay_module(const KmImage *image, const char *path)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) plain = km_module_read(path, &error);
	g_assert_no_error(error);
	g_autoptr(KmObject) module = km_module_read(path, &error);
	g_autoptr(KmMatch) match = km_match_new(plain, "self", image, module, &error);
	g_assert_no_error(error);
	if (!km_match_compared(match))
		return;
	g_assert_null(km_match_new(plain, "vmlinux", image, NULL, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
}

static void test_stock(void)
{
	const char *root = g_getenv("KMEND_TEST_KERNEL_DIR");
	g_autoptr(KmImage) image = stock_image(root);
	if (!image)
		return;
	g_autofree char *top = g_build_filename(root, "lib/modules", NULL);
	const char *const argv[] = { "find", top, "-name", "v*.ko*", "-type", "f", NULL };
	g_autofree char *listing = km_run_checked(argv, NULL, NULL);
	g_assert_nonnull(listing);
	g_auto(GStrv) paths = g_strsplit(listing, "\n", 0);
	for (char **path = paths; *path && **path; path++)
		lay_module(image, *path);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/match/references", test_references);
	g_test_add_func("/match/twins", test_twins);
	g_test_add_func("/match/static-local", test_static_local);
	g_test_add_func("/match/overridden", test_overridden);
	g_test_add_func("/match/init", test_init);
	g_test_add_func("/match/patchable", test_patchable);
	g_test_add_func("/match/two-entries", test_two_entries);
	g_test_add_func("/match/one-differs", test_one_differs);
	g_test_add_func("/match/all-differ", test_all_differ);
	g_test_add_func("/match/not-there", test_not_there);
	g_test_add_func("/match/shifted", test_shifted);
	g_test_add_func("/match/ambiguous", test_ambiguous);
	g_test_add_func("/match/told-by-table", test_told_by_table);
	g_test_add_func("/match/other-reference", test_other_reference);
	g_test_add_func("/match/other-member", test_other_member);
	g_test_add_func("/match/jump-label", test_jump_label);
	g_test_add_func("/match/nameless", test_nameless);
	g_test_add_func("/match/pooled", test_pooled);
	g_test_add_func("/match/other-architecture", test_other_architecture);
	g_test_add_func("/match/module", test_module);
	g_test_add_func("/match/module-patchable", test_module_patchable);
	g_test_add_func("/match/module-differs", test_module_differs);
	g_test_add_func("/match/module-other-reference", test_module_other_reference);
	g_test_add_func("/match/module-other-layout", test_module_other_layout);
	g_test_add_func("/match/stock", test_stock);
	return g_test_run();
}
