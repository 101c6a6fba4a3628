/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ppc64le: what a unit refers to is found through the TOC as the linker has left it, and functions by their local entries. */
#include "fake-image.h"

#include <string.h>

#include "base/error.h"
#include "image/image.h"
#include "match/match.h"

#define TOOLS (&fake_tools_ppc64le)
#define COMMON "#define noinline __attribute__((noinline, noclone))\n"

/* Near data of both sizes of address, data of another unit (through a slot that the linker may do without), calls of leaves and others; far is beyond 32 KiB. */
static const char unit_text[] =
	COMMON "#ifndef FACTOR\n#define FACTOR 3\n#endif\n"
	       "extern int other(int); extern int remote, remote_two; extern int remote_far[]; int near_data = 5;\n"
	       "static int counter, second_counter; static int table[20000]; static int behind;\n"
	       "static noinline int leaf(int x) { return x * FACTOR + 1; }\n"
	       "static noinline int counts(int x) { counter += x; return counter; }\n"
	       "noinline int twice(int x) { second_counter += counts(x); return table[x] + behind++; }\n"
	       "int *where(int x) { return x ? &table[x] : &second_counter; }\n"
	       "#ifdef VARIANT\n"
	       "noinline int calls(int x) { return other(x) + leaf(x) + counts(x) + remote_two + remote_far[2]; }\n"
	       "#else\n"
	       "noinline int calls(int x) { return other(x) + leaf(x) + counts(x) + remote + remote_far[2]; }\n"
	       "#endif\n"
	       "noinline int last(int x) { return twice(x) - near_data + calls(x); }\n";

static const char other_text[] = COMMON "int remote = 1, remote_two = 2; int remote_far[30000] = { 1 };\n"
					"static noinline int leaf(int x) { return x * 3 + 1; }\n"
					"int other(int x) { return leaf(x) - remote; }\n";

typedef struct {
	const FakeTools *tools; /* NULL: the usual ones */
	KmTempDir *dir;
	FakeImage *fake;
	KmImage *image;
	KmObject *plain;
	GError *error;
	KmMatch *match;
} World;

static void world_clear(World *w)
{
	g_clear_pointer(&w->match, km_match_free);
	g_clear_error(&w->error);
	km_object_free(w->plain);
	km_image_free(w->image);
	fake_image_free(w->fake);
	km_tempdir_free(w->dir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static gboolean cannot(void)
{
	if (fake_image_can_with(TOOLS))
		return FALSE;
	g_test_skip("needs gcc, ld and nm for ppc64le");
	return TRUE;
}

/* flags: of the unit that is in the image, and of the one that is laid over it. */
static void lay_over(World *w, const char *in_image, const char *flags)
{
	g_autoptr(GError) error = NULL;
	w->dir = km_tempdir_new(NULL, "test-match-toc", NULL);
	g_autofree char *unit = fake_image_compile_with(TOOLS, w->dir, "unit.c", unit_text, in_image);
	g_autofree char *other = fake_image_compile_with(TOOLS, w->dir, "other.c", other_text, NULL);
	g_autofree char *hook =
		fake_image_compile_with(TOOLS, w->dir, "hook.S", "\t.globl _mcount\n_mcount: blr\n", NULL);
	const char *const objects[] = { other, unit, hook, NULL };
	w->fake = fake_image_new_with(w->tools ? w->tools : TOOLS, objects);
	w->image = km_image_open(w->fake->path, &error);
	g_assert_no_error(error);
	g_autofree char *plain = fake_image_compile_with(TOOLS, w->dir, "plain.c", unit_text, flags);
	w->plain = km_object_read(plain, &error);
	g_assert_no_error(error);
	w->match = km_match_new(w->plain, "vmlinux", w->image, NULL, &w->error);
}

static void assert_found(World *w, const char *name)
{
	g_autoptr(GError) error = NULL;
	const KmPlace *place = km_match_place(w->match, km_object_find_symbol(w->plain, name), &error);
	g_assert_no_error(error);
	g_assert_cmpstr(place->name, ==, name);
	g_assert_cmphex(place->address, ==, fake_image_address(w->fake, name));
}

static void assert_all_found(World *w)
{
	static const char *const names[] = { "counts",	"twice",	  "where", "calls",  "last",
					     "counter", "second_counter", "table", "behind", "near_data",
					     "remote",	"remote_far",	  "other" };
	g_assert_no_error(w->error);
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		assert_found(w, names[i]);
	g_assert_cmpuint(km_match_compared(w->match), ==, 6);
}

static void test_references(void)
{
	g_auto(World) w = { 0 };
	if (cannot())
		return;
	lay_over(&w, NULL, NULL);
	assert_all_found(&w);
}

static void test_profiled(void)
{
	static const char flags[] = "-pg -mprofile-kernel";
	g_auto(World) w = { 0 };
	if (cannot())
		return;
	lay_over(&w, flags, flags);
	assert_all_found(&w);
}

/* A linker that leaves the slots where it could do without: what they hold tells. */
static void test_slots(void)
{
	g_auto(World) w = { .tools = &fake_tools_ppc64le_slots };
	if (cannot())
		return;
	lay_over(&w, NULL, NULL);
	assert_all_found(&w);
}

/* Two static functions of one name: the right one is called. */
static void test_twins(void)
{
	g_auto(World) w = { 0 };
	g_autoptr(GError) error = NULL;
	if (cannot())
		return;
	lay_over(&w, NULL, NULL);
	g_assert_no_error(w.error);
	const GArray *both = g_hash_table_lookup(w.fake->symbols, "leaf");
	const KmPlace *place = km_match_place(w.match, km_object_find_symbol(w.plain, "leaf"), &error);
	g_assert_no_error(error);
	g_assert_cmpuint(both->len, ==, 2);
	g_assert_cmphex(place->address, ==, g_array_index(both, guint64, 1));
	g_assert_cmpuint(place->sympos, ==, 2);
}

/* The code is the same but for what it refers to. */
static void test_other_reference(void)
{
	g_auto(World) w = { 0 };
	if (cannot())
		return;
	lay_over(&w, "-DVARIANT", NULL);
	g_assert_error(w.error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_true(strstr(w.error->message, "calls") != NULL);
}

/* One constant. */
static void test_differs(void)
{
	g_auto(World) w = { 0 };
	if (cannot())
		return;
	lay_over(&w, "-DFACTOR=4", NULL);
	g_assert_error(w.error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_true(strstr(w.error->message, "leaf") != NULL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/match-toc/references", test_references);
	g_test_add_func("/match-toc/profiled", test_profiled);
	g_test_add_func("/match-toc/slots", test_slots);
	g_test_add_func("/match-toc/twins", test_twins);
	g_test_add_func("/match-toc/other-reference", test_other_reference);
	g_test_add_func("/match-toc/differs", test_differs);
	return g_test_run();
}
