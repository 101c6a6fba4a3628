/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a changed header reaches assembly. */
#include "kernel/assembly.h"

#define GUARD(text) "#ifndef __ASSEMBLY__\n" text "#endif\n"

static const struct {
	const char *name, *original, *patched;
	gboolean seen;
} cases[] = {
	{ "nothing", "#define A 1\n", "#define A 1\n", FALSE },
	{ "comments and blanks", "#define A 1\n", "/* one\n two */\n\n#define  A\t1 // so\n", FALSE },
	{ "a macro", "#define A 1\n", "#define A 2\n", TRUE },
	{ "a macro that looks like a comment", "#define A \"1\"\n", "#define A \"/* 1 */\"\n", TRUE },
	{ "for C alone", "#define A 1\n" GUARD("int a;\n"), "#define A 1\n" GUARD("int a, b;\n#define B 1\n"), FALSE },
	{ "for C alone, newer name", "#ifndef __ASSEMBLER__\nint a;\n#endif\n", "#ifndef __ASSEMBLER__\nint b;\n#endif\n", FALSE },
	{ "in the other branch", "#ifndef __ASSEMBLY__\nint a;\n#else\n.long 1\n#endif\n",
	  "#ifndef __ASSEMBLY__\nint a;\n#else\n.long 2\n#endif\n", TRUE },
	{ "for assembly alone", "#ifdef __ASSEMBLY__\n.long 1\n#endif\n", "#ifdef __ASSEMBLY__\n.long 2\n#endif\n", TRUE },
	{ "for C alone, else of ifdef", "#ifdef __ASSEMBLY__\n.long 1\n#else\nint a;\n#endif\n",
	  "#ifdef __ASSEMBLY__\n.long 1\n#else\nint b;\n#endif\n", FALSE },
	{ "below another condition", GUARD("#ifdef X\nint a;\n#endif\n"), GUARD("#ifdef X\nint b;\n#endif\n"), FALSE },
	{ "behind the end of one within", GUARD("#ifdef X\n#endif\nint a;\n"), GUARD("#ifdef X\n#endif\nint b;\n"), FALSE },
	{ "behind its end", GUARD("int a;\n") "#define A 1\n", GUARD("int a;\n") "#define A 2\n", TRUE },
	{ "the condition goes", GUARD("int a;\n"), "int a;\n", TRUE },
	{ "an elif counts", "#ifndef __ASSEMBLY__\n#elif X\nA\n#endif\n", "#ifndef __ASSEMBLY__\n#elif X\nB\n#endif\n", TRUE },
	{ "another name", "#ifndef __ASSEMBLY\nA\n#endif\n", "#ifndef __ASSEMBLY\nB\n#endif\n", TRUE },
	{ "unfinished", "#ifndef __ASSEMBLY__\nA /*", "#ifndef __ASSEMBLY__\nB \"\\", FALSE },
};

static void test_case(gconstpointer data)
{
	gsize i = GPOINTER_TO_SIZE(data);
	g_assert_cmpint(km_assembly_sees(cases[i].original, cases[i].patched), ==, cases[i].seen);
	g_assert_cmpint(km_assembly_sees(cases[i].patched, cases[i].original), ==, cases[i].seen);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *path = g_strdup_printf("/assembly/%s", cases[i].name);
		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_case);
	}
	return g_test_run();
}
