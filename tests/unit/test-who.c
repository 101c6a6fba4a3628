/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which callers would do where a function cannot be redirected: asked of a small image and of a small module with the same code. */
#include <string.h>

#include "base/run.h"
#include "fake-image.h"
#include "kernel/unit.h"
#include "klp/callers.h"

#define FLAGS                                                                                                          \
	"-pg -mfentry -mrecord-mcount -fno-inline -fno-ipa-cp -fno-ipa-sra -fno-ipa-pure-const -fno-ipa-ra "           \
	"-fno-optimize-sibling-calls"

/* BARE functions have no entry. The one that is asked for is f. */
#define HEAD                                                                                                           \
	"#define BARE __attribute__((no_instrument_function)) int\n"                                                   \
	"#define START __attribute__((section(\".init.text\"))) int\n"                                                 \
	"extern volatile int out;\n"
#define F "BARE f(int x) { return out += x; }\n"

static const struct {
	const char *name, *text;
	const char *words; /* both of image and module; NULL: */
	const char *image, *module;
} cases[] = {
	{ .name = "caller", .text = F "int g(int x) { return f(x) + 1; }", .words = "in what calls it instead: g" },
	{ .name = "local",
	  .text = "static " F "int g(int x) { return f(x) + f(x + 1); }",
	  .words = "in what calls it instead: g" },
	{ .name = "not all",
	  .text = F "int g(int x) { return f(x) + 1; } BARE h(int x) { return f(x) + 2; }",
	  .words = "instead: g (h: not redirected either)" },
	{ .name = "further up",
	  .text = F "BARE g(int x) { return f(x) + 1; } int h(int x) { return g(x) + 1; }",
	  .words = "what calls it (g) cannot be redirected either; make the change further up: h" },
	{ .name = "nobody up there",
	  .text = F "BARE g(int x) { return f(x) + 1; }",
	  .words = "nothing that calls it can be redirected either: g" },
	{ .name = "in a circle",
	  .text = F "BARE h(int x); BARE g(int x) { return x ? f(x) : h(x); } BARE h(int x) { return g(x) + 1; }",
	  .words = "nothing that calls it can be redirected either: g" },
	{ .name = "itself",
	  .text = "BARE f(int x) { return x ? f(out) + 1 : 7; }",
	  .image = "nothing in the kernel calls",
	  .module = "nothing in m calls" },
	{ .name = "pointer",
	  .text = F "int (*keep)(int) = f;",
	  .words = "nothing calls it by name: its address is in keep; make the change in the code" },
	{ .name = "caller and pointer",
	  .text = F "int (*keep)(int) = f; int g(int x) { return f(x) + 1; }",
	  .words = "instead: g; code that calls it through a pointer finds it in keep" },
	{ .name = "many",
	  .text = F
	  "int a(int x) { return f(x) + 1; } int b(int x) { return f(x) + 2; } int c(int x) { return f(x) + 3; }"
	  "int d(int x) { return f(x) + 4; } int e(int x) { return f(x) + 5; }",
	  .words = "instead: a, b, c and 2 more" },
	{ .name = "cold part",
	  .text = "__attribute__((cold)) " F "int g(int x) { if (x) f(x); return out + (x ? f(x) : 1); }",
	  .words = "instead: g" },
	{ .name = "start-up code",
	  .text = F "START g(void) { return f(1); }",
	  .image = "only start-up code calls it (g), and that has run",
	  .module = "only code that runs when the module is loaded or removed calls it (g)" },
	{ .name = "start-up code and other",
	  .text = F "START g(void) { return f(1); } int h(int x) { return f(x) + 1; }",
	  .words = "instead: h" },
	{ .name = "alternative",
	  .text = F "asm(\".pushsection .altinstr_replacement,\\\"ax\\\"\\ncall f\\n.popsection\");",
	  .words = "nothing that calls it can be redirected either: .altinstr_replacement" },
	{ .name = "records",
	  .text = F "asm(\".pushsection .smp_locks,\\\"a\\\"\\n.balign 4\\n.long f - .\\n.popsection\");",
	  .image = "nothing in the kernel calls",
	  .module = "nothing in m calls" },
};

typedef struct {
	KmTempDir *dir;
	KmObject *unit;
	GHashTable *twins;
	KmKernel kernel;
	KmRefContext context;
} World;

static KmObject *read_object(const char *path)
{
	g_autoptr(GError) error = NULL;
	KmObject *object = km_object_read(path, &error);
	g_assert_no_error(error);
	return object;
}

static char *compile_unit(World *w, const char *text)
{
	g_autofree char *whole = g_strconcat(HEAD, text, NULL);
	char *path = fake_image_compile(w->dir, "unit.c", whole, FLAGS);
	w->unit = read_object(path);
	w->twins = km_plain_twins(w->unit, w->unit);
	w->context =
		(KmRefContext){ .kernel = &w->kernel, .owner = "vmlinux", .plain = w->unit, .plain_twins = w->twins };
	return path;
}

static void ask(World *w, const char *words)
{
	g_autoptr(GError) error = NULL;
	w->context.match = km_match_new(w->unit, w->context.owner, w->context.image, w->context.module, &error);
	g_assert_no_error(error);
	g_autofree char *said = km_who_would_do(&w->context, km_object_find_symbol(w->unit, "f"));
	if (!g_str_has_suffix(said, words) && !strstr(said, words))
		g_error("'%s' does not say '%s'", said, words);
	km_match_free(w->context.match);
}

static void world_clear(World *w)
{
	g_hash_table_unref(w->twins);
	km_object_free(w->unit);
	km_tempdir_free(w->dir);
}

static const char *rest = "volatile int out;\nasm(\".text\\n.globl __fentry__\\n__fentry__: ret\");\n";

static void test_image(gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	World w = { .dir = km_tempdir_new(NULL, "test-who", NULL) };
	g_autofree char *unit = compile_unit(&w, cases[i].text);
	g_autofree char *other = fake_image_compile(w.dir, "rest.c", rest, NULL);
	const char *const objects[] = { other, unit, NULL };
	g_autoptr(FakeImage) fake = fake_image_new(objects);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmImage) image = km_image_open(fake->path, &error);
	g_assert_no_error(error);
	w.context.image = image;
	ask(&w, cases[i].words ? cases[i].words : cases[i].image);
	world_clear(&w);
}

static void test_module(gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	World w = { .dir = km_tempdir_new(NULL, "test-who", NULL) };
	g_autofree char *unit = compile_unit(&w, cases[i].text);
	g_autofree char *path = g_build_filename(w.dir->path, "m.ko", NULL);
	const char *const link[] = { "ld", "-r", "-o", path, unit, NULL };
	g_autoptr(GError) error = NULL;
	g_free(km_run_checked(link, NULL, &error));
	g_assert_no_error(error);
	g_autoptr(KmObject) module = read_object(path);
	w.context.module = module;
	w.context.owner = "m";
	ask(&w, cases[i].words ? cases[i].words : cases[i].module);
	world_clear(&w);
}

/* Where nothing is proved nothing is said about anybody. */
static void test_unproved(void)
{
	const KmRefContext context = { .owner = "vmlinux" };
	const KmSymbol f = { .name = (char *)"f", .bind = STB_GLOBAL };
	g_autofree char *words = km_who_would_do(&context, &f);
	g_assert_cmpstr(words, ==, "make the change in its callers instead");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	if (!fake_image_can()) {
		g_test_message("needs a compiler for this architecture");
		return 77;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *image = g_strdup_printf("/who/image/%s", cases[i].name);
		g_autofree char *module = g_strdup_printf("/who/module/%s", cases[i].name);
		g_test_add_data_func(image, GSIZE_TO_POINTER(i), test_image);
		g_test_add_data_func(module, GSIZE_TO_POINTER(i), test_module);
	}
	g_test_add_func("/who/unproved", test_unproved);
	return g_test_run();
}
