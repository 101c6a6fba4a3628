/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a change of text can change a type, and which types genksyms blames for a changed version. */
#include "kernel/shape.h"

#define HEAD "#include <a.h>\n\nstruct s {\n\tint a;\n};\n\n"
#define BODY(text) "static int f(int a)\n{\n" text "\treturn a;\n}\n"

static const struct {
	const char *name, *before, *after;
	gboolean may;
} rows[] = {
	{ "statement", HEAD BODY("\ta++;\n"), HEAD BODY("\ta--;\n"), FALSE },
	{ "new statement", HEAD BODY(""), HEAD BODY("\ta++;\n"), FALSE },
	{ "label", HEAD BODY("\ta++;\n"), HEAD BODY("again:\n\ta--;\n\tgoto again;\n"), FALSE },
	{ "blank line", HEAD BODY(""), HEAD "\n" BODY(""), FALSE },
	{ "member", HEAD BODY(""), "#include <a.h>\n\nstruct s {\n\tlong a;\n};\n\n" BODY(""), TRUE },
	{ "header", HEAD BODY(""), "#include <b.h>\n\nstruct s {\n\tint a;\n};\n\n" BODY(""), TRUE },
	{ "prototype", HEAD BODY(""), HEAD "static int f(long a)\n{\n\treturn a;\n}\n", TRUE },
	{ "directive inside", HEAD BODY(""), HEAD BODY("#define X 1\n"), TRUE },
	{ "continued directive inside", HEAD BODY("#define X \\\n\t1\n"), HEAD BODY("#define X \\\n\t2\n"), TRUE },
	{ "macro", "#define X(a) \\\n\ta\n" BODY(""), "#define X(a) \\\n\ta + 1\n" BODY(""), TRUE },
	{ "type inside", HEAD BODY("\tstatic struct t {\n\t\tint a;\n\t} t;\n"),
	  HEAD BODY("\tstatic struct t {\n\t\tlong a;\n\t} t;\n"), TRUE },
	{ "type in a body like a function's", "struct s\n{\n\tint a;\n};\n", "struct s\n{\n\tlong a;\n};\n", TRUE },
	{ "data", "int a[] = {\n\t1,\n};\n", "int a[] = {\n\t1,\n\t2,\n};\n", TRUE },
	{ "in one line", "int f(void) { return 1; }\n", "int f(void) { return 2; }\n", TRUE },
	{ "declaration of a local", HEAD BODY("\tstruct s s = { 1 };\n"), HEAD BODY("\tstruct s s = { 2 };\n"), FALSE },
};

static void test_may_change(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		gboolean may;
		g_test_message("%s", rows[i].name);
		g_assert_true(km_texts_may_change_types(rows[i].before, rows[i].after, &may, &error));
		g_assert_no_error(error);
		g_assert_cmpint(may, ==, rows[i].may);
	}
}

#define CRCS(a, b) "#SYMVER f " a "\n#SYMVER g " b "\n"

/* The symbols and types that changed: "f: struct s, f". */
static char *versions(const char *was, const char *old_types, const char *now, const char *new_types)
{
	g_autoptr(GPtrArray) changes = km_versions_compare(was, old_types, now, new_types);
	g_autoptr(GString) text = g_string_new(NULL);
	for (guint i = 0; i < changes->len; i++) {
		const KmVersionChange *change = changes->pdata[i];
		g_string_append_printf(text, "%s %x %x:", change->symbol, change->was, change->now);
		for (guint k = 0; k < change->types->len; k++)
			g_string_append_printf(text, " %s", (const char *)change->types->pdata[k]);
		g_string_append_c(text, '\n');
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void test_versions(void)
{
	const char *old = "s#in struct in { int a ; } \ns#s struct s { s#in i ; } \nf int f ( s#s * ) \ng int g ( void ) \n";
	const char *new = "s#in struct in { long a ; } \ns#s struct s { s#in i ; } \nf int f ( s#s * ) \ng int g ( void ) \n";
	g_autofree char *same = versions(CRCS("0x1", "0x2"), old, CRCS("0x1", "0x2"), old);
	g_assert_cmpstr(same, ==, "");
	g_autofree char *inner = versions(CRCS("0x1", "0x2"), old, CRCS("0x3", "0x2"), new);
	g_assert_cmpstr(inner, ==, "f 1 3: struct in\n");
	g_autofree char *itself = versions("#SYMVER g 0x2\n", "g int g ( void ) \n", "__crc_g = 0x0000000a;\n", "g int g ( int ) \n");
	g_assert_cmpstr(itself, ==, "g 2 a: g\n");
	g_autofree char *declared = versions("#SYMVER g 0x2\n", "g int g ( void ) \n", "#SYMVER g 0xa\n", "g int g ( int ) \n");
	g_assert_cmpstr(declared, ==, "g 2 a: g\n");
	/* One more header was read: what was a name is a structure now. */
	g_autofree char *known = versions("#SYMVER f 0x2\n", "s#s struct s { UNKNOWN } \nf int f ( s#s * ) \n", "#SYMVER f 0xa\n", old);
	g_assert_cmpstr(known, ==, "");
	g_autofree char *damaged = versions("#SYMVER\nf\n", "f\n\n  \n", "#SYMVER f x\n", "");
	g_assert_cmpstr(damaged, ==, "");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/shape/may-change", test_may_change);
	g_test_add_func("/shape/versions", test_versions);
	return g_test_run();
}
