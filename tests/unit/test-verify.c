/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The check of finished live patches, on one made here. Called as "test-verify --unwind FILE" this stands for the kernel's objtool. */
#include <string.h>

#include "base/error.h"
#include "fake-patch.h"
#include "mutations.h"

static KmVerify *verify(FakePatch *w, const KmVerifyInput *input)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) object = km_object_read_bytes(w->bytes, w->path, &error);
	g_assert_no_error(error);
	KmVerify *result = km_verify(object, input, &error);
	g_assert_no_error(error);
	for (guint i = 0; i < result->findings->len; i++) {
		const KmFinding *f = result->findings->pdata[i];
		g_test_message("%s: %s", f->where, f->what);
	}
	return result;
}

static gboolean finds(const KmVerify *result, const char *words)
{
	for (guint i = 0; i < result->findings->len; i++)
		if (strstr(((const KmFinding *)result->findings->pdata[i])->what, words))
			return TRUE;
	return FALSE;
}

/* ---- tests ---- */

static FakePatch *new_patch(void)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	return fake_patch_new(self);
}

static gboolean can(void)
{
	if (!fake_image_can())
		g_test_skip("no compiler for x86_64 here");
	return fake_image_can();
}

/* Nothing is wrong with it, and all of what is to be spoilt is there. */
static void test_sound(void)
{
	if (!can())
		return;
	g_autoptr(FakePatch) w = new_patch();
	KmVerifyInput input = fake_patch_input(w);
	g_autoptr(KmVerify) with = verify(w, &input);
	g_assert_cmpuint(with->findings->len, ==, 0);
	g_assert_true(with->compared);
	g_assert_null(with->note);
	g_assert_cmpuint(with->functions, ==, 1);
	g_assert_cmpuint(with->rows, >=, 2);
	input.units = NULL;
	g_autoptr(KmVerify) alone = verify(w, &input);
	g_assert_cmpuint(alone->findings->len, ==, 0);
	g_assert_false(alone->compared);
}

static const MutationClass *find_class(const GArray *classes, const char *name)
{
	for (guint i = 0; i < classes->len; i++)
		if (!strcmp(g_array_index(classes, MutationClass, i).name, name))
			return &g_array_index(classes, MutationClass, i);
	g_error("the live patch has nothing to try '%s' on", name);
}

/* Each way of spoiling it is noticed. */
static void test_mutations(void)
{
	static const char *const wanted[] = { "relocation: addend",
					      "relocation: target",
					      "relocation: dropped",
					      "relocation: type",
					      "relocation: offset",
					      "livepatch symbol: position",
					      "livepatch symbol: another name",
					      "livepatch symbol: object",
					      "import: another name",
					      "cold part: emptied",
					      "section: emptied",
					      "section: flags",
					      "klp_func: repointed",
					      "klp_func: dropped",
					      "table row: dropped",
					      "table row: duplicated",
					      "unwind row: dropped",
					      "unwind row: duplicated",
					      "unwind row: shifted",
					      "unwind row: of another place",
					      "byte: code",
					      "byte: tables",
					      "byte: data and strings",
					      "byte: modinfo, versions, struct module" };
	if (!can())
		return;
	g_autoptr(FakePatch) w = new_patch();
	KmVerifyInput input = fake_patch_input(w);
	g_autoptr(GArray) classes = mutations_run(&input, w->bytes, w->path, 1, "# ");
	for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++) {
		const MutationClass *class = find_class(classes, wanted[i]);
		g_assert_cmpuint(class->caught, ==, class->applied);
	}
}

/* A kernel in which the function cannot be redirected. */
static void test_entry(void)
{
	if (!can())
		return;
	g_autoptr(FakePatch) w = new_patch();
	KmVerifyInput input = fake_patch_input(w);
	input.units = NULL;
	input.image = w->deaf_image;
	g_autoptr(KmVerify) result = verify(w, &input);
	g_assert_true(finds(result, "has no patchable entry"));
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--unwind"))
		return fake_patch_unwind(argv[2]);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/verify/sound", test_sound);
	g_test_add_func("/verify/mutations", test_mutations);
	g_test_add_func("/verify/entry", test_entry);
	return g_test_run();
}
