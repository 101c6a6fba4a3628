/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The check of finished live patches, on one made here. Called as "test-verify --unwind FILE" this stands for the kernel's objtool. */
#include <string.h>

#include "base/error.h"
#include "fake-patch.h"
#include "mutations.h"

static KmObject *read_module(const FakePatch *w)
{
	g_autoptr(GError) error = NULL;
	KmObject *object = km_object_read_bytes(w->bytes, w->path, &error);
	g_assert_no_error(error);
	return object;
}

static KmVerify *verify_object(KmObject *object, const KmVerifyInput *input)
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

static KmVerify *verify(FakePatch *w, const KmVerifyInput *input)
{
	g_autoptr(KmObject) object = read_module(w);
	return verify_object(object, input);
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

/* As if another tool had made it: nothing of kmend in modinfo, one dot in the names of livepatch sections. */
static KmObject *make_foreign(const FakePatch *w)
{
	KmObject *object = read_module(w);
	GByteArray *modinfo = km_object_find_section(object, ".modinfo")->data;
	for (guint i = 0; i + 5 < modinfo->len; i++)
		if (!memcmp(modinfo->data + i, "kmend", 5) && (!i || !modinfo->data[i - 1]))
			modinfo->data[i] = 'x';
	for (guint i = 0; i < object->sections->len; i++) {
		KmSection *section = object->sections->pdata[i];
		if (!section->klp_object)
			continue;
		g_free(section->name);
		section->name = g_strconcat(".klp.rela.vmlinux", section->klp_target->name, NULL);
	}
	return object;
}

static void test_other_tools(void)
{
	if (!can())
		return;
	g_autoptr(GError) error = NULL;
	g_autoptr(FakePatch) w = new_patch();
	KmVerifyInput input = fake_patch_input(w);
	input.units = NULL;
	g_autoptr(KmObject) foreign = make_foreign(w), made_later = make_foreign(w), ordinary = make_foreign(w);
	g_autoptr(KmVerify) sound = verify_object(foreign, &input);
	g_assert_cmpuint(sound->findings->len, ==, 0);
	g_assert_cmpuint(sound->functions, ==, 1);
	/* struct klp_patch is filled in when the module starts. */
	g_array_set_size(km_object_find_section(made_later, ".data.kmend")->relocs, 0);
	memset(km_object_find_section(made_later, ".data.kmend")->data->data, 0,
	       km_object_find_section(made_later, ".data.kmend")->data->len);
	g_autoptr(KmVerify) later = verify_object(made_later, &input);
	g_assert_cmpuint(later->findings->len, ==, 0);
	g_assert_nonnull(strstr(later->note, "made at run time"));
	/* A module that is no live patch at all. */
	g_array_set_size(km_object_find_section(ordinary, ".text")->relocs, 0);
	char *tag = memmem(km_object_find_section(ordinary, ".modinfo")->data->data,
			   km_object_find_section(ordinary, ".modinfo")->data->len, "livepatch=Y", 11);
	*tag = 'L';
	g_assert_null(km_verify(ordinary, &input, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_nonnull(strstr(error->message, "is no live patch"));
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--unwind"))
		return fake_patch_unwind(argv[2]);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/verify/sound", test_sound);
	g_test_add_func("/verify/mutations", test_mutations);
	g_test_add_func("/verify/entry", test_entry);
	g_test_add_func("/verify/other-tools", test_other_tools);
	return g_test_run();
}
