/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which function, macro, type or variable a line of C belongs to, and which lines two texts differ in. */
#include <string.h>

#include "base/error.h"
#include "kernel/outline.h"

/* What the outline says of a text: "kind name first-last", one per line. */
static char *outline_words(const char *text)
{
	static const char *const kinds[] = { "function", "macro", "type", "data", "other" };
	g_autoptr(GPtrArray) things = km_outline(text);
	GString *words = g_string_new(NULL);
	for (guint i = 0; i < things->len; i++) {
		const KmThing *t = things->pdata[i];
		g_string_append_printf(words, "%s%s %s%s %u-%u", i ? "\n" : "", kinds[t->kind], t->by_macro ? "~" : "",
				       t->name, t->first, t->last);
	}
	return g_string_free(words, FALSE);
}

static const struct {
	const char *name, *text, *words;
} cases[] = {
	{ "a function", "#include <x.h>\n\nstatic int f(int a)\n{\n\treturn a;\n}\n", "function f 3-6" },
	{ "attributes", "static __printf(1, 2) void __attribute__((cold)) f(char *s, ...)\n{\n}\n", "function f 1-3" },
	{ "a system call", "SYSCALL_DEFINE2(dup2, unsigned int, a,\n\tint, b)\n{\n\tif (a) { b(); }\n}\n",
	  "function ~dup2 1-5" },
	{ "a prototype", "int f(int);\nextern int g;\n", "other f 1-1\nother g 2-2" },
	{ "macros", "#define A 1\n#define F(x) \\\n\tdo { \\\n\t} while (0)\nint a;\n",
	  "macro A 1-1\nmacro F 2-4\ndata a 5-5" },
	{ "types", "struct s {\n\tint a;\n\tint (*f)(int);\n};\nenum { X,\n Y };\ntypedef unsigned int u;\nunion z {\n} zz;\n",
	  "type s 1-4\ntype  5-6\ntype u 7-7\ntype z 8-9\ndata zz 8-9" },
	{ "data", "static const struct ops o = {\n\t.f = f,\n};\nint t[] = { 1, 2 };\nstatic char *s __read_mostly;\n"
		  "DEFINE_MUTEX(m);\nint r __read_mostly = 5;\nint __u __aligned(8) = 1, v;\n",
	  "data o 1-3\ndata t 4-4\ndata s 5-5\ndata ~m 6-6\ndata r 7-7\ndata __u 8-8" },
	{ "comments and strings", "/* int f(void) {\n */\nchar *s = \"{ ; /*\"; // }\nint g(void)\n{\n\treturn '{';\n}\n",
	  "data s 3-3\nfunction g 4-7" },
	{ "a brace opened in two branches", "int f(void)\n{\n#ifdef A\n\tif (a) {\n#else\n\tif (b) {\n#endif\n\t}\n}\nint v;\n",
	  "function f 1-9\ndata v 10-10" },
	{ "a macro inside a function", "int f(void)\n{\n#define B 2\n\treturn B;\n}\n", "macro B 3-3\nfunction f 1-5" },
	{ "a function after a macro without semicolon", "EXPORT_SYMBOL(f);\nvoid g(void)\n{\n}\n",
	  "data ~f 1-1\nfunction g 2-4" },
	{ "unfinished", "int f(", "" },
	{ "no C", "\"\\", "" },
};

static void test_case(gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_autofree char *words = outline_words(cases[i].text);
	g_assert_cmpstr(words, ==, cases[i].words);
}

static void test_find(void)
{
	g_autoptr(GPtrArray) things =
		km_outline("SYSCALL_DEFINE1(dup, int, a)\n{\n\treturn 0;\n}\nint dup(int);\nint f(void)\n{\n#define B 2\n}\n");
	g_assert_cmpuint(km_outline_find(things, "__do_sys_dup")->first, ==, 1);
	g_assert_null(km_outline_find(things, "__do_sys_mydup2"));
	g_assert_cmpstr(km_outline_at(things, 8)->name, ==, "B");
	g_assert_cmpstr(km_outline_at(things, 7)->name, ==, "f");
	g_assert_null(km_outline_at(things, 99));
}

static void test_mentions(void)
{
	const char *text = "a = FOO;\n/* BAR */\nx(\"BAZ\"); FOOD++;\n";
	g_assert_true(km_text_mentions(text, 1, 3, "FOO"));
	g_assert_false(km_text_mentions(text, 2, 3, "FOO"));
	g_assert_false(km_text_mentions(text, 1, 3, "BAR"));
	g_assert_false(km_text_mentions(text, 1, 3, "BAZ"));
	g_assert_true(km_text_mentions(text, 1, 3, "FOOD"));
}

static void test_hunks(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) hunks = km_lines_changed("a\nb\nc\nd\ne\n", "a\nB\nc\ne\nf\n", &error);
	g_assert_no_error(error);
	static const KmHunk wanted[] = { { 2, 1, 2, 1 }, { 4, 1, 4, 0 }, { 6, 0, 5, 1 } };
	g_assert_cmpuint(hunks->len, ==, G_N_ELEMENTS(wanted));
	for (guint i = 0; i < hunks->len; i++) {
		const KmHunk *h = &g_array_index(hunks, KmHunk, i);
		g_assert_cmpuint(h->old_first, ==, wanted[i].old_first);
		g_assert_cmpuint(h->old_count, ==, wanted[i].old_count);
		g_assert_cmpuint(h->new_first, ==, wanted[i].new_first);
		g_assert_cmpuint(h->new_count, ==, wanted[i].new_count);
	}
	g_autoptr(GArray) none = km_lines_changed("a\n", "a\n", &error);
	g_assert_cmpuint(none->len, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *path = g_strdup_printf("/outline/%s", cases[i].name);
		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_case);
	}
	g_test_add_func("/outline/find", test_find);
	g_test_add_func("/outline/mentions", test_mentions);
	g_test_add_func("/lines/hunks", test_hunks);
	return g_test_run();
}
