/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions that cannot be redirected are replaced with their callers, in whatever unit these are: two small files of a small kernel or module. */
#include <string.h>

#include "base/error.h"
#include "base/run.h"
#include "fake-image.h"
#include "klp/carry.h"

#define FLAGS                                                                                                          \
	"-pg -mfentry -mrecord-mcount -fno-inline -fno-ipa-cp -fno-ipa-sra -fno-ipa-pure-const -fno-ipa-ra "           \
	"-fno-optimize-sibling-calls"
#define HEAD                                                                                                           \
	"#define BARE __attribute__((no_instrument_function)) int\n"                                                   \
	"#define START __attribute__((section(\".init.text\"))) int\n"                                                 \
	"extern volatile int out; int f(int x); int g(int x); int h(int x);\n"

/* The change: N is 3 in the original and 4 in the patched file. */
static const struct {
	const char *name, *first, *second;
	gboolean module, ignore_init, fetched; /* the second file is only there when it is called for */
	const char *words; /* of a refusal */
	const char *replaced; /* all that is added, in the order of files and of their symbols */
	const char *fetch; /* what is called for */
} cases[] = {
	{ .name = "one file",
	  .first = "BARE f(int x) { return out += N; } int g(int x) { return f(x) + 1; }",
	  .second = "",
	  .replaced = "g" },
	{ .name = "two files",
	  .first = "BARE f(int x) { return out += N; }",
	  .second = "int g(int x) { return f(x) + 1; }",
	  .replaced = "g" },
	{ .name = "two files of a module",
	  .first = "BARE f(int x) { return out += N; }",
	  .second = "int g(int x) { return f(x) + 1; }",
	  .module = TRUE,
	  .replaced = "g" },
	{ .name = "there and back",
	  .first = "BARE f(int x) { return out += N; } int h(int x) { return g(x) + 1; }",
	  .second = "BARE g(int x) { return f(x) + 1; }",
	  .replaced = "h g" },
	{ .name = "called in",
	  .first = "BARE f(int x) { return out += N; }",
	  .second = "int g(int x) { return f(x) + 1; } int h(int x) { return f(x) + 2; }",
	  .fetched = TRUE,
	  .replaced = "g h",
	  .fetch = "f: g h" },
	{ .name = "called in by a caller",
	  .first = "static BARE f1(int x) { return out += N; } BARE f(int x) { return f1(x) + 1; }",
	  .second = "int g(int x) { return f(x) + 1; }",
	  .fetched = TRUE,
	  .replaced = "f g",
	  .fetch = "f: g" },
	{ .name = "not called in for nothing",
	  .first = "BARE f(int x) { return out += N; } int h(int x) { return f(x) + 1; }",
	  .second = "int g(int x) { return f(x) + 1; } int (*keep)(int) = f;",
	  .fetched = TRUE,
	  .words = "a.c: f has no patchable entry (it is notrace, or inline, which means notrace) and keep "
		   "holds its address; make the change in what calls it instead: h (a.c), g" },
	{ .name = "a list of the kernel's",
	  .first = "BARE f(int x) { return out += N; } int g(int x) { return f(x) + 1; } "
		   "__attribute__((section(\"_kprobe_blacklist\"), used)) static int (*const entry)(int) = f;",
	  .second = "",
	  .module = TRUE,
	  .replaced = "g" },
	{ .name = "callers of one name",
	  .first = "BARE f(int x) { return out += N; } static int k(int x) { return f(x) + 2; } "
		   "int h(int x) { return k(x) + 1; }",
	  .second = "static int k(int x) { return f(x) + 1; } int g(int x) { return k(x) * 3; }",
	  .replaced = "k k" },
	{ .name = "callers of one name, one elsewhere",
	  .first = "BARE f(int x) { return out += N; } "
		   "static int k(int x) { return f(x) + 2; } int h(int x) { return k(x) + 1; }",
	  .second = "static int k(int x) { return f(x) + 1; } int g(int x) { return k(x) * 3; }",
	  .fetched = TRUE,
	  .replaced = "k k",
	  .fetch = "f: k" },
	{ .name = "a pointer",
	  .first = "BARE f(int x) { return out += N; }",
	  .second = "int (*keep)(int) = f;",
	  .words = "keep holds its address; nothing calls it by name" },
	{ .name = "further up",
	  .first = "BARE f(int x) { return out += N; } int h(int x) { return f(x) + 2; }",
	  .second = "BARE g(int x) { return f(x) + 1; } int (*keep)(int) = g;",
	  .words =
		  "a.c: f has no patchable entry (it is notrace, or inline, which means notrace), nor has "
		  "g "
		  "(b.c), which would have to be replaced with it, and keep holds its address; make the change in what "
		  "calls it instead: h (a.c) (g: not redirected either)" },
	{ .name = "another name",
	  .first = "BARE f(int x) { return out += N; } extern int f2(int x) __attribute__((alias(\"f\")));",
	  .second = "extern int f2(int x); int g(int x) { return f2(x) + 1; }",
	  .words = "other files call it by another name" },
	{ .name = "start-up code of the kernel",
	  .first = "BARE f(int x) { return out += N; } START g(int x) { return f(x) + 1; } int h(int x) { return f(x) "
		   "+ 2; }",
	  .second = "",
	  .replaced = "h" },
	{ .name = "start-up code of a module",
	  .first = "static BARE f1(int x) { return out += N; } START g(int x) { return f1(x) + 1; } "
		   "int h(int x) { return f1(x) + 2; }",
	  .second = "",
	  .module = TRUE,
	  .words = "g, start-up or exit code, calls f1, which changed and has no patchable entry of its own: it is not "
		   "replaced, and goes on as it was" },
	{ .name = "start-up code of a module in another file",
	  .first = "BARE f(int x) { return out += N; } int h(int x) { return f(x) + 2; }",
	  .second = "START g(int x) { return f(x) + 1; }",
	  .module = TRUE,
	  .words = "g, which cannot be replaced, calls it when the module is loaded" },
	{ .name = "start-up code of a module left out",
	  .first = "BARE f(int x) { return out += N; } int h(int x) { return f(x) + 2; }",
	  .second = "START g(int x) { return f(x) + 1; }",
	  .module = TRUE,
	  .ignore_init = TRUE,
	  .replaced = "h" },
};

typedef struct {
	KmTempDir *dir;
	KmKernel kernel;
	KmUnit units[2];
	char *plain[2], *module;
	FakeImage *fake;
	KmImage *image;
	KmBuildOptions options;
	GPtrArray *works, *notes;
	GString *fetched;
} World;

static const char rest[] = "volatile int out;\nasm(\".text\\n.globl __fentry__\\n__fentry__: ret\");\n";

static void compile(World *w, guint n, const char *file, const char *text, const char *owner)
{
	static const char *const kinds[] = { "plain", "original", "patched" };
	char *objects[3];
	for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
		g_autofree char *whole = g_strconcat(k == 2 ? "#define N 4\n" : "#define N 3\n", HEAD, text, NULL);
		g_autofree char *name = g_strconcat(kinds[k], "-", file, NULL);
		objects[k] = fake_image_compile(w->dir, name, whole,
						k ? FLAGS " -ffunction-sections -fdata-sections" : FLAGS);
	}
	w->plain[n] = objects[0];
	w->units[n] = (KmUnit){ .source = (char *)file,
				.object = (char *)file,
				.owner = (char *)owner,
				.module_path = w->module,
				.plain = objects[0],
				.original = objects[1],
				.patched = objects[2] };
}

static void run(const char *const *argv)
{
	g_autoptr(GError) error = NULL;
	g_free(km_run_checked(argv, NULL, &error));
	g_assert_no_error(error);
}

static void world_init(World *w, gsize i)
{
	g_autoptr(GError) error = NULL;
	const char *owner = cases[i].module ? "m" : "vmlinux";
	*w = (World){ .dir = km_tempdir_new(NULL, "test-carry", NULL),
		      .works = g_ptr_array_new(),
		      .fetched = g_string_new(NULL) };
	w->kernel.source = w->dir->path;
	w->notes = g_ptr_array_new_with_free_func(g_free);
	w->module = cases[i].module ? g_build_filename(w->dir->path, "m.ko", NULL) : NULL;
	compile(w, 0, "a.c", cases[i].first, owner);
	compile(w, 1, "b.c", cases[i].second, owner);
	g_autofree char *other = fake_image_compile(w->dir, "rest.c", rest, NULL);
	const char *const link[] = { "ld", "-r", "-o", w->module, w->plain[0], w->plain[1], NULL };
	const char *const objects[] = { other, w->module ? NULL : w->plain[0], w->plain[1], NULL };
	if (w->module)
		run(link);
	w->fake = fake_image_new(objects);
	w->image = km_image_open(w->fake->path, &error);
	g_assert_no_error(error);
}

static void add_work(World *w, guint n)
{
	g_autoptr(GError) error = NULL;
	KmUnitWork *work = km_unit_work_new(&w->kernel, w->image, &w->units[n], &w->options, w->notes, &error);
	g_assert_no_error(error);
	g_ptr_array_add(w->works, work);
}

static gboolean call_in(const KmUnitWork *work, const KmSymbol *function, const GPtrArray *callers, gpointer data,
			GError **error)
{
	World *w = data;
	g_string_append_printf(w->fetched, "%s%s:", w->fetched->len ? "; " : "", function->name);
	for (guint i = 0; i < callers->len; i++)
		g_string_append_printf(w->fetched, " %s", (const char *)callers->pdata[i]);
	if (w->works->len < 2)
		add_work(w, 1);
	return TRUE;
}

static void world_clear(World *w)
{
	g_ptr_array_set_free_func(w->works, (GDestroyNotify)km_unit_work_free);
	g_ptr_array_unref(w->works);
	g_ptr_array_unref(w->notes);
	g_string_free(w->fetched, TRUE);
	km_image_free(w->image);
	fake_image_free(w->fake);
	for (guint n = 0; n < G_N_ELEMENTS(w->units); n++) {
		g_free(w->units[n].plain);
		g_free(w->units[n].original);
		g_free(w->units[n].patched);
	}
	g_free(w->module);
	km_tempdir_free(w->dir);
}

/* The functions that are replaced because of what they call. */
static char *list_replaced(const World *w)
{
	GString *text = g_string_new(NULL);
	for (guint i = 0; i < w->works->len; i++) {
		const KmUnitWork *work = w->works->pdata[i];
		for (guint k = 0; k < work->diff->functions->len; k++) {
			const KmChange *change = work->diff->functions->pdata[k];
			if (change->carried_for)
				g_string_append_printf(text, "%s%s", text->len ? " " : "", change->name);
		}
	}
	return g_string_free(text, FALSE);
}

/* By their names: f and f1 have no entry, h has one. */
static void check_carried(const World *w)
{
	for (guint i = 0; i < w->works->len; i++) {
		const KmUnitWork *work = w->works->pdata[i];
		for (guint k = 0; k < work->diff->functions->len; k++) {
			const KmChange *change = work->diff->functions->pdata[k];
			gboolean carried = g_hash_table_contains(work->carried, change->patched);
			if (*change->name != 'g' && *change->name != 'k')
				g_assert_cmpint(carried, ==, *change->name == 'f');
		}
	}
}

static void test_case(gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_autoptr(GError) error = NULL;
	World w;
	world_init(&w, i);
	const KmCarryOptions options = { .ignore_init = cases[i].ignore_init,
					 .notes = w.notes,
					 .call_in = cases[i].fetched ? call_in : NULL,
					 .data = &w };
	add_work(&w, 0);
	if (!cases[i].fetched)
		add_work(&w, 1);
	gboolean ok = km_carry(w.works, &options, &error);
	if (cases[i].words) {
		g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
		if (!strstr(error->message, cases[i].words))
			g_error("'%s' does not say '%s'", error->message, cases[i].words);
	} else {
		g_assert_no_error(error);
		g_assert_true(ok);
		g_autofree char *replaced = list_replaced(&w);
		g_assert_cmpstr(replaced, ==, cases[i].replaced);
		check_carried(&w);
	}
	g_assert_cmpstr(w.fetched->str, ==, cases[i].fetch ? cases[i].fetch : "");
	world_clear(&w);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	if (!fake_image_can()) {
		g_test_message("needs a compiler for this architecture");
		return 77;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *path = g_strdup_printf("/carry/%s", cases[i].name);
		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_case);
	}
	return g_test_run();
}
