/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types whose objects never leave their function, in preprocessed texts; and all the ways in which they may. */
#include "types/local.h"

#define DEFINITION "# 3 \"a.c\"\nstruct foo { int a; char b[4]; };\nstruct bar { int struct_foo; };\n"
#define BODY(text) DEFINITION "static int f(int x) { " text " return x; }\n"
#define PARAMETER(list, text) DEFINITION "static int f(" list ")\n{ " text " }\n"

static const struct {
	const char *name, *text;
	gboolean stays;
} rows[] = {
	{ "unused", DEFINITION, TRUE },
	{ "packed", "struct foo { int a; } __attribute__((packed));", TRUE },
	{ "members", BODY("struct foo v; v.a = x; v.b[1] = v.a + x; x = g(v.b);"), TRUE },
	{ "initialized", BODY("struct foo v = { .a = x, }; x = v.a;"), TRUE },
	{ "in a block", BODY("if (x) { struct foo v = {}; x = v.a; }"), TRUE },
	{ "size", BODY("x = sizeof(struct foo) + sizeof(struct foo[1]); struct foo v; x += sizeof(v);"), TRUE },
	{ "set and given to the user",
	  PARAMETER("struct foo *arg, int x", "struct foo v; ({ check(__builtin_object_size(&v, 0)), __builtin_memset(&v, 0, 8); });"
					      "v.a = x; if (copy_to_user(arg, &v, sizeof(struct foo))) return 1; return 0;"),
	  TRUE },
	{ "another's member of that name", BODY("struct foo v; v.a = 1; q.v = 1; p->v = &q->v;"), TRUE },
	{ "another type of like name", BODY("struct foo2 *p = g(); p->a = 1; struct bar foo; h(&foo);"), TRUE },
	{ "in texts", BODY("g(\"struct foo *p; \\\" struct foo\", '\"');"), TRUE },

	{ "pointer", BODY("struct foo *p = g(); p->a = x;"), FALSE },
	{ "cast", BODY("((struct foo *)g())->a = x;"), FALSE },
	{ "address to a function", BODY("struct foo v; g(&v);"), FALSE },
	{ "address of a member", BODY("struct foo v; list_add(&v.a);"), FALSE },
	{ "address in a variable", BODY("struct foo v; q = &v;"), FALSE },
	{ "user's bytes", PARAMETER("struct foo *arg", "struct foo v; return copy_from_user(&v, arg, sizeof(v));"), FALSE },
	{ "copied to memory", BODY("struct foo v; memcpy(q, &v, sizeof(v));"), FALSE },
	{ "copied out, from elsewhere", BODY("struct foo v; copy_to_user(&v, q, sizeof(v));"), FALSE },
	{ "copied", BODY("struct foo v; *q = v;"), FALSE },
	{ "given by value", BODY("struct foo v; g(v);"), FALSE },
	{ "typeof", BODY("struct foo v; typeof(v) *p = q; p->a = 1;"), FALSE },
	{ "auto type", BODY("struct foo v; __auto_type p = &v;"), FALSE },
	{ "static", BODY("static struct foo v; v.a++;"), FALSE },
	{ "const static", BODY("static const struct foo v; x = v.a;"), FALSE },
	{ "array", BODY("struct foo v[2]; v[0].a = 1;"), FALSE },
	{ "two", BODY("struct foo v, w; v.a = w.a;"), FALSE },
	{ "copy as initializer", BODY("struct foo v = *q; v.a = 1;"), FALSE },
	{ "compound literal", BODY("g((struct foo){ 1 });"), FALSE },
	{ "offset", BODY("x = __builtin_offsetof(struct foo, b);"), FALSE },
	{ "defined in a function", "int f(void) { struct foo { int a; } *p = g(); return p->a; }", FALSE },
	{ "parameter that is read", PARAMETER("struct foo *p", "return p->a;"), FALSE },
	{ "parameter handed on", PARAMETER("struct foo *p", "return g(p);"), FALSE },
	{ "parameter as source", PARAMETER("struct foo *p", "return copy_to_user(q, p, 8);"), FALSE },
	{ "parameter by value", PARAMETER("struct foo v", "return v.a;"), FALSE },
	{ "const parameter", PARAMETER("const struct foo *p", "return p->a;"), FALSE },
	{ "result", DEFINITION "static struct foo *f(void) { return g(); }", FALSE },
	{ "prototype", DEFINITION "int f(struct foo *p);", FALSE },
	{ "variable of the file", DEFINITION "struct foo v;", FALSE },
	{ "filled variable of the file", DEFINITION "static struct foo v = { 1 };", FALSE },
	{ "variable with the definition", "struct foo { int a; } v;", FALSE },
	{ "size in data", DEFINITION "static int n[] = { sizeof(struct foo) };", FALSE },
	{ "typedef", DEFINITION "typedef struct foo foo_t;", FALSE },
	{ "typedef with the definition", "typedef struct foo { int a; } foo_t;", FALSE },
	{ "member of another", DEFINITION "struct all { int n; struct foo v; };", FALSE },
	{ "member of itself", "struct foo { struct foo *next; };", FALSE },
	{ "cut short", DEFINITION "int f(void) { struct foo v", FALSE },
	{ "behind a block", "enum e { A } f(struct foo *p);", FALSE },
	{ "statement expression", DEFINITION "int n = ({ struct foo v; v.a = 1; v.a; });", FALSE },
};

static void test_rows(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].name);
		g_assert_cmpint(km_type_stays_local(rows[i].text, "struct foo"), ==, rows[i].stays);
	}
}

static void test_names(void)
{
	g_assert_true(km_type_stays_local("union u { int a; }; int f(int x) { union u v; v.a = x; return v.a; }", "union u"));
	g_assert_false(km_type_stays_local("typedef struct { int a; } foo_t;", "foo_t"));
	g_assert_false(km_type_stays_local("enum e { A };", "enum e"));
	g_assert_false(km_type_stays_local("enum { A };", "enumerator A"));
}

/* Any cut of any text gives an answer. */
static void test_cuts(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		for (gsize n = 0; rows[i].text[n]; n++) {
			g_autofree char *cut = g_strndup(rows[i].text, n);
			km_type_stays_local(cut, "struct foo");
		}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/local/rows", test_rows);
	g_test_add_func("/local/names", test_names);
	g_test_add_func("/local/cuts", test_cuts);
	return g_test_run();
}
