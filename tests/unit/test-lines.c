/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Line numbers of unchanged lines survive a patch: asked of a real preprocessor. */
#include <gio/gio.h>
#include <string.h>

#include "base/error.h"
#include "base/run.h"
#include "kernel/patch.h"

/* What the preprocessor makes of text, without blank lines and its own marks; __LINE__ shows in it as a number. */
static char *preprocess(const char *text)
{
	const char *argv[] = { "cc", "-E", "-P", "-x", "c", "-DTAKEN", "-", NULL };
	KmRunOptions options = { .stdin_text = text };
	g_autoptr(GError) error = NULL;
	char *out = km_run_checked(argv, &options, &error);
	g_assert_no_error(error);
	return out;
}

#define SHOW "#define SHOW(...) line(__LINE__, __VA_ARGS__)\n"

/* Each patched text preprocesses to the same as its original, line numbers included. */
static const struct {
	const char *name, *original, *patched;
} same[] = {
	{ "nothing changed", SHOW "a\nSHOW(1)\n", SHOW "a\nSHOW(1)\n" },
	{ "a comment on top", SHOW "SHOW(1)\nSHOW(2)\n", "/* c */\n" SHOW "SHOW(1)\nSHOW(2)\n" },
	{ "lines taken away", SHOW "// c\n// d\nSHOW(1)\n", SHOW "SHOW(1)\n" },
	{ "inside a comment", SHOW "/* a\n * b\n */\nSHOW(1)\n", SHOW "/* a\n * more\n * b\n */\nSHOW(1)\n" },
	{ "in a comment that looks like a directive", SHOW "/*\n#if\n*/\nSHOW(1)\n", SHOW "/*\n\n#if\n*/\nSHOW(1)\n" },
	{ "before a macro of several lines", SHOW "x\n#define M \\\n\t1 + \\\n\t2\nM SHOW(M)\n",
	  SHOW "x\n\n\n#define M \\\n\t1 + \\\n\t2\nM SHOW(M)\n" },
	{ "inside a macro of several lines", SHOW "#define M \\\n\t1 + \\\n\t2\nSHOW(M)\n",
	  SHOW "#define M \\\n\t1 + \\\n\\\n\t2\nSHOW(M)\n" },
	{ "inside the arguments of a call", SHOW "f(1,\n\n2,\n3);\nSHOW(4)\n",
	  SHOW "f(1,\n/* c */\n2,\n3);\nSHOW(4)\n" },
	{ "before a call of several lines", SHOW "SHOW(1,\n2,\n3)\nSHOW(4)\n", SHOW "\n\nSHOW(1,\n2,\n3)\nSHOW(4)\n" },
	{ "quotes and parentheses in strings", SHOW "char *s = \"( \\\" /* \";\nSHOW('(', '\"')\n",
	  SHOW "char *s = \"( \\\" /* \";\n\n\nSHOW('(', '\"')\n" },
	{ "a string continued by a backslash", SHOW "s = \"a\\\nb(\";\nSHOW(1)\n",
	  SHOW "\ns = \"a\\\nb(\";\nSHOW(1)\n" },
	{ "in a branch that is taken", SHOW "#ifdef TAKEN\na\nSHOW(1)\n#else\nSHOW(2)\n#endif\nSHOW(3)\n",
	  SHOW "#ifdef TAKEN\n\n\na\nSHOW(1)\n#else\nSHOW(2)\n#endif\nSHOW(3)\n" },
	{ "in a branch that is skipped", SHOW "#ifndef TAKEN\na\nSHOW(1)\n#else\nSHOW(2)\n#endif\nSHOW(3)\n",
	  SHOW "#ifndef TAKEN\n\n\na\nSHOW(1)\n#else\nSHOW(2)\n#endif\nSHOW(3)\n" },
	{ "in a branch skipped within one", SHOW "#ifndef TAKEN\n#ifdef X\na\n#endif\n#endif\nSHOW(3)\n",
	  SHOW "#ifndef TAKEN\n#ifdef X\n\na\n#endif\n#endif\nSHOW(3)\n" },
	{ "a parenthesis opened in two branches", SHOW "#ifdef TAKEN\nf(1,\n#else\ng(1,\n#endif\n2);\nSHOW(1)\n",
	  SHOW "\n#ifdef TAKEN\nf(1,\n#else\ng(1,\n#endif\n2);\nSHOW(1)\n" },
	{ "a remark below lines taken away", SHOW "#if 0\ndon't\n#endif\n/* a */\n\nSHOW(1)\nSHOW(2)\n",
	  SHOW "#if 0\ndon't\n#endif\nSHOW(1) /* b */\nSHOW(2) // c\n" },
	{ "other blanks below new lines", SHOW "x = SHOW(1)\ny = SHOW(2)\n", SHOW "// c\n// d\nx =  SHOW(1)\ny\t=  SHOW(2)\n" },
	{ "carriage returns", SHOW "a\r\n#define M \\\r\n 1\r\nSHOW(M)\r\n",
	  SHOW "\r\na\r\n#define M \\\r\n 1\r\nSHOW(M)\r\n" },
	{ "no line end at the end", SHOW "SHOW(1)\nSHOW(2)", SHOW "\nSHOW(1)\nSHOW(2)" },
};

static void test_same(gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_autoptr(GError) error = NULL;
	g_autofree char *kept = km_lines_keep(same[i].original, same[i].patched, "/tree/x.c", &error);
	g_assert_no_error(error);
	g_autofree char *expected = preprocess(same[i].original);
	g_autofree char *got = preprocess(kept);
	g_assert_cmpstr(got, ==, expected);
	if (strcmp(same[i].original, same[i].patched)) {
		/* The case must be able to fail. */
		g_autofree char *shifted = preprocess(same[i].patched);
		gboolean depends = strstr(same[i].patched, "SHOW(") != NULL && strcmp(shifted, expected);
		g_assert_true(depends || strstr(same[i].name, "several lines") || strstr(same[i].name, "call"));
	}
}

static void test_file_name(void)
{
	g_autofree char *kept = km_lines_keep("a\n", "b\n__FILE__\n", "/tree/a \"b\".c", NULL);
	g_autofree char *out = preprocess(kept);
	g_assert_nonnull(strstr(out, "\"/tree/a \\\"b\\\".c\""));
}

static void test_empty(void)
{
	g_autofree char *kept = km_lines_keep("a\n", "", "/x.c", NULL);
	g_assert_cmpstr(kept, ==, "#line 1 \"/x.c\"\n");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(same); i++) {
		g_autofree char *path = g_strdup_printf("/lines/same/%s", same[i].name);
		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_same);
	}
	g_test_add_func("/lines/file name", test_file_name);
	g_test_add_func("/lines/empty", test_empty);
	return g_test_run();
}
