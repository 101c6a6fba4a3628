/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Assembly listings with a section per function, folded back; and the commands read out of make's output. */
#include <gio/gio.h>
#include <string.h>

#include "kernel/fold.h"
#include "kernel/recipe.h"

#define TYPE(name) "\t.type\t" name ", @function\n" name ":\n\tret\n"

static const struct {
	const char *name, *listing, *folded;
} rows[] = {
	{ "text", "\t.section\t.text.f,\"ax\",@progbits\n" TYPE("f"), "\t.text\n" TYPE("f") },
	{ "a second visit", "\t.section\t.text.f,\"ax\",@progbits\n" TYPE("f") "\t.section\t.text.f\n\t.size\tf, .-f\n",
	  "\t.text\n" TYPE("f") "\t.text\n\t.size\tf, .-f\n" },
	{ "cold part, with assembly left open",
	  "\t.section\t.text.f,\"ax\",@progbits\n" TYPE(
		  "f") "#APP\n\tnop\n\t.section\t.text.unlikely.f,\"ax\",@progbits\n" TYPE("f.cold") "#NO_APP\n",
	  "\t.text\n" TYPE("f") "#APP\n\tnop\n\t.section\t.text.unlikely,\"ax\",@progbits\n" TYPE(
		  "f.cold") "#NO_APP\n" },
	{ "clone", "\t.section\t.text.f.isra.0,\"ax\",@progbits\n" TYPE("f.isra.0"), "\t.text\n" TYPE("f.isra.0") },
	{ "startup, exit, hot",
	  "\t.section\t.text.startup.f,\"ax\",@progbits\n" TYPE("f") "\t.section\t.text.exit.g,\"ax\",@progbits\n" TYPE(
		  "g") "\t.section\t.text.hot.h,\"ax\",@progbits\n" TYPE("h"),
	  "\t.section\t.text.startup,\"ax\",@progbits\n" TYPE("f") "\t.section\t.text.exit,\"ax\",@progbits\n" TYPE(
		  "g") "\t.section\t.text.hot,\"ax\",@progbits\n" TYPE("h") },
	{ "arm's type character", "\t.section\t.text.f,\"ax\",%progbits\n\t.type\tf, %function\n",
	  "\t.text\n\t.type\tf, %function\n" },
	{ "section by attribute", "\t.section\t.text.special,\"ax\",@progbits\n" TYPE("f"),
	  "\t.section\t.text.special,\"ax\",@progbits\n" TYPE("f") },
	{ "other sections", "\t.section\t.init.text,\"ax\",@progbits\n" TYPE("f") "\t.section\t.data.x,\"aw\"\nx:\n",
	  "\t.section\t.init.text,\"ax\",@progbits\n" TYPE("f") "\t.section\t.data.x,\"aw\"\nx:\n" },
	{ "inline assembly", "\t.text\n#APP\n\t.pushsection .text.f,\"ax\"\n\t.popsection\n#NO_APP\n",
	  "\t.text\n#APP\n\t.pushsection .text.f,\"ax\"\n\t.popsection\n#NO_APP\n" },
};

static void test_fold(gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_autofree char *folded = km_fold_sections(rows[i].listing);
	g_assert_cmpstr(folded, ==, rows[i].folded);
}

static void test_commands(void)
{
	g_autoptr(GPtrArray) commands =
		km_shell_commands("set -e; echo 'a; b' && cc -DX='\"y\"' \"a\\\"$b\" c\\ d >out; 'open");
	const char *const expected[] = { "set|-e", "echo|a; b", "cc|-DX=\"y\"|a\"$b|c d", "out", "open" };
	g_assert_cmpuint(commands->len, ==, G_N_ELEMENTS(expected));
	for (guint i = 0; i < commands->len; i++) {
		g_autofree char *words = g_strjoinv("|", commands->pdata[i]);
		g_assert_cmpstr(words, ==, expected[i]);
	}
}

#define COMPILE "gcc -Wp,-MMD,fs/.x.o.d -Iinclude -DKBUILD_MODNAME='\"x\"' -c -o fs/x.o /src/fs/x.c"

static GPtrArray *recipes_of(const char *mark)
{
	g_autofree char *output =
		g_strdup_printf("make -f y obj=fs\nset -e; echo '  %s'; %s ; ./tools/objtool/objtool --a fs/x.o; "
				"fixdep\nset -e; %s ; -D -x\n:\n",
				"hidden", COMPILE, mark);
	return km_recipes_parse(output);
}

static void test_recipe_builtin(void)
{
	g_autoptr(GPtrArray) recipes = recipes_of("kmend-unit 'fs/x.o' 'fs' '1' 'fs/x.o' '' 'x' ''");
	g_assert_cmpuint(recipes->len, ==, 1);
	const KmRecipe *recipe = recipes->pdata[0];
	g_assert_true(recipe->builtin);
	g_assert_false(recipe->module);
	g_assert_cmpstr(recipe->object, ==, "fs/x.o");
	g_assert_cmpstr(recipe->source, ==, "/src/fs/x.c");
	g_auto(GStrv) flags = km_recipe_flags(recipe);
	g_autofree char *joined = g_strjoinv(" ", flags);
	g_assert_cmpstr(joined, ==, "gcc -Iinclude -DKBUILD_MODNAME=\"x\"");
	g_autofree char *objtool = g_strjoinv(" ", recipe->objtool);
	g_assert_cmpstr(objtool, ==, "./tools/objtool/objtool --a fs/x.o");
}

static void test_recipe_lists(void)
{
	g_autoptr(GPtrArray) module = recipes_of("kmend-unit 'fs/x.o' 'fs' '' '' 'fs/x.o' 'x' ''");
	g_assert_true(((const KmRecipe *)module->pdata[0])->module);
	/* A directory visited for modules only: its obj-y goes nowhere. */
	g_autoptr(GPtrArray) nowhere = recipes_of("kmend-unit 'fs/x.o' 'fs' '' 'fs/x.o' '' 'x' ''");
	const KmRecipe *recipe = nowhere->pdata[0];
	g_assert_false(recipe->builtin || recipe->module);
	g_autoptr(GPtrArray) unlisted = recipes_of("kmend-unit 'fs/x.o' 'fs' '1' '' '' 'x' ''");
	recipe = unlisted->pdata[0];
	g_assert_false(recipe->builtin || recipe->module);
	g_autoptr(GPtrArray) other = recipes_of("kmend-unit 'fs/y.o' 'fs' '1' 'fs/y.o' '' 'x' ''");
	g_assert_cmpuint(other->len, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/fold/%s", rows[i].name);
		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_fold);
	}
	g_test_add_func("/recipe/commands", test_commands);
	g_test_add_func("/recipe/builtin", test_recipe_builtin);
	g_test_add_func("/recipe/lists", test_recipe_lists);
	return g_test_run();
}
