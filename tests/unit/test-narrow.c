/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which differences of preprocessed texts can reach the object: above all those that must be kept. */
#include "kernel/narrow.h"

#define USER "int user(int x)\n{\n\treturn x + 1;\n}\n"

static void check(const char *one, const char *two, KmTexts expected)
{
	g_autofree char *a = g_strconcat(one, USER, NULL), *b = g_strconcat(two, USER, NULL);
	if (km_narrow_texts(a, b) != expected || km_narrow_texts(b, a) != expected)
		g_error("%s| and |%s: %d, not %d", one, two, km_narrow_texts(a, b), expected);
}

static void test_same(void)
{
	check("int a;\n", "int  a ;\n\n", KM_TEXTS_SAME);
	check("int a = 1 - -1;\n", "int a = 1--1;\n", KM_TEXTS_DIFFER);
	check("int a = 1;\n", "int a = 10;\n", KM_TEXTS_DIFFER);
	check("char *a = \"x y\";\n", "char *a = \"x  y\";\n", KM_TEXTS_DIFFER);
	check("int a = L'x';\n", "int a = L 'x';\n", KM_TEXTS_DIFFER);
}

static void test_unused(void)
{
	static const char *const pairs[][2] = {
		{ "", "static inline int f(int x) { return x; }\n" },
		{ "static inline int f(void) { return 1; }\n", "static inline int f(void) { return 2; }\n" },
		{ "static inline __attribute__((__gnu_inline__)) __attribute__((no_instrument_function)) void f(void) "
		  "{ asm(\"a\"); }",
		  "" },
		{ "", "int g(int, char *);\n" },
		{ "", "extern struct sk *g(struct sk *) __attribute__((__warn_unused_result__));\n" },
		{ "struct s { int a; };\n", "struct s { int a; struct t { int c; } b; } __attribute__((packed));\n" },
		{ "", "struct s;\n" },
		{ "", "enum { A, B = 3 };\n" },
		{ "", "typedef int (*fn)(int);\n" },
		{ "", "extern int table[4];\n" },
		/* Unused, by unused ones only. */
		{ "struct s { int a; }; static inline int f(struct s *p) { return p->a; }",
		  "struct s { long z; int a; }; static inline int f(struct s *p) { return p->a; }" },
		{ "static inline int f(void) { return 1; } static inline int g(void) { return f(); }",
		  "static inline int f(void) { return 2; } static inline int g(void) { return f(); }" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++)
		check(pairs[i][0], pairs[i][1], KM_TEXTS_UNUSED);
}

/* Used, directly or not. */
static void test_used(void)
{
	static const char *const pairs[][2] = {
		{ "static inline int f(void) { return 1; } int u(void) { return f(); }",
		  "static inline int f(void) { return 2; } int u(void) { return f(); }" },
		{ "static inline int f(void) { return 1; } static inline int g(void) { return f(); } int (*p)(void) = "
		  "g;",
		  "static inline int f(void) { return 2; } static inline int g(void) { return f(); } int (*p)(void) = "
		  "g;" },
		{ "struct s { int a; }; struct s *p; unsigned u(void) { return sizeof(*p); }",
		  "struct s { long a; }; struct s *p; unsigned u(void) { return sizeof(*p); }" },
		{ "struct s { struct t { int a; } b; }; int u(void) { return sizeof(struct t); }",
		  "struct s { struct t { long a; } b; }; int u(void) { return sizeof(struct t); }" },
		{ "struct s { int a; }; typedef struct s s_t; s_t v;",
		  "struct s { long a; }; typedef struct s s_t; s_t v;" },
		{ "enum e { A }; int u(void) { return A; }", "enum e { X, A }; int u(void) { return A; }" },
		{ "enum e { A }; typedef enum { B = A } e_t; int u(void) { return B; }",
		  "enum e { X, A }; typedef enum { B = A } e_t; int u(void) { return B; }" },
		{ "typedef int t; t v;", "typedef long t; t v;" },
		{ "typedef int (*fn)(int); struct q { fn f; } v;", "typedef int (*fn)(long); struct q { fn f; } v;" },
		{ "int g(int); int u(void) { return g(1); }", "int g(long); int u(void) { return g(1); }" },
		/* Names that only sound like those of functions that the compiler calls. */
		{ "struct mem_group { int a; }; unsigned u(void) { return sizeof(struct mem_group); }",
		  "struct mem_group { long a; }; unsigned u(void) { return sizeof(struct mem_group); }" },
		{ "enum { memory_a }; int u(void) { return memory_a; }",
		  "enum { x, memory_a }; int u(void) { return memory_a; }" },
		{ "typedef struct { int a; } mempool_t; mempool_t v;",
		  "typedef struct { long a; } mempool_t; mempool_t v;" },
		/* Types that come along with a declaration of something else. */
		{ "struct s { int a; } f(void); unsigned u(void) { return sizeof(struct s); }",
		  "struct s { long a; } f(void); unsigned u(void) { return sizeof(struct s); }" },
		{ "static inline struct s { int a; } f(void) { } unsigned u(void) { return sizeof(struct s); }",
		  "static inline struct s { long a; } f(void) { } unsigned u(void) { return sizeof(struct s); }" },
		{ "extern int a[sizeof(enum { A, B })]; int u(void) { return B; }",
		  "extern int a[sizeof(enum { A, X, B })]; int u(void) { return B; }" },
		/* By a member, by a name in an attribute, by a check at compile time. */
		{ "struct t { int a; }; struct s { struct t t; }; struct s v;",
		  "struct t { long a; }; struct s { struct t t; }; struct s v;" },
		{ "static inline void f(int *p) { *p = 1; } void u(void) { int x __attribute__((cleanup(f))); }",
		  "static inline void f(int *p) { *p = 2; } void u(void) { int x __attribute__((cleanup(f))); }" },
		{ "struct s { int a; }; _Static_assert(sizeof(struct s) == 4, \"\");",
		  "struct s { long a; }; _Static_assert(sizeof(struct s) == 4, \"\");" },
		{ "int g(int);\n#pragma weak g\n", "long g(int);\n#pragma weak g\n" },
		{ "static inline int f(void) { return 1; } __asm__(\"call f\");",
		  "static inline int f(void) { return 2; } __asm__(\"call f\");" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++)
		check(pairs[i][0], pairs[i][1], KM_TEXTS_DIFFER);
}

/* What emits something, or works, without being mentioned. */
static void test_emitting(void)
{
	static const char *const texts[] = {
		"int v;",
		"static int v;",
		"int (*fp)(void);",
		"mytype (x);",
		"extern mytype (x);",
		"struct mytype (x);",
		"mytype (*fp)(void);",
		"int a, f(void);",
		"extern int v = 3;",
		"struct s { int a; } v;",
		"int f(void) { return 1; }",
		"static int f(void) { return 1; }",
		"inline int f(void) { return 1; }",
		"extern inline int f(void) { return 1; }",
		"static inline __attribute__((__used__)) int f(void) { return 1; }",
		"static inline int f(void) { static int x __attribute__((used)); return x; }",
		"void f(void) __attribute__((alias(\"user\")));",
		"static inline void f(void) __attribute__((constructor));",
		"__asm__(\".globl x\");",
		"asm(\"nop\");",
		"int f(void) __asm__(\"g\");",
		"static inline void *memcpy(void *a, const void *b, unsigned long n) { return a; }",
		"void *memset(void *, int, unsigned long);",
		"#pragma pack(1)\n",
		"\n#pragma GCC optimize(\"O0\")\n",
		"_Static_assert(1, \"x\");",
		"static inline char *stpcpy(char *a, const char *b) { return a; }",
		"extern unsigned long __stack_chk_guard;",
		"extern __seg_gs mytype (x);",
		"enum e : int { A };",
		"DEFINE_THING(x);",
		"typedef int t __attribute__((used));",
	};
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		check("", texts[i], KM_TEXTS_DIFFER);
	/* Order of what is alive. */
	check("int a; int b;", "int b; int a;", KM_TEXTS_DIFFER);
}

static void test_odd_text(void)
{
	static const char *const texts[] = { "}",   "(",  "\"",	     "'\\",	   "struct", "static inline int f(",
					     "{{",  ";;", "enum {",  "struct s {", "f() }",  "__attribute__((",
					     "1e+", "=",  "typedef", "int x;{" };
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		for (gsize k = 0; k < G_N_ELEMENTS(texts); k++)
			g_assert_true((km_narrow_texts(texts[i], texts[k]) == KM_TEXTS_SAME) == (i == k));
}

static void test_assembly(void)
{
	g_assert_true(km_narrow_assembly("\n\n\tnop\n", "nop  \n\n"));
	g_assert_false(km_narrow_assembly("nop\nnop\n", "nop nop\n"));
	g_assert_false(km_narrow_assembly("mov $1, %eax\n", "mov $2, %eax\n"));
	g_assert_false(km_narrow_assembly(".ascii \"a  b\"\n", ".ascii \"a b\"\n"));
}

static void test_source(void)
{
	static const char *const same[][2] = {
		{ "int a; /* x */\n", "int a;\n\n\t// y\n" },
		{ "#define A 1\nint b;", "/* a\n * b */\n#define\tA 1 /* c */\nint b;\n" },
	};
	static const char *const other[][2] = {
		{ "#define A(x) x\n", "#define A (x) x\n" },
		{ "#define A 1\nint b;\n", "#define A 1 int b;\n" },
		{ "char *a = \"/* x */\";", "char *a = \"/* y */\";" },
		{ "char *a = \"x  y\";", "char *a = \"x y\";" },
		{ "int a; /* x */ int b;", "int a; /* x int b; */" },
		{ "#define S #x y\n", "#define S #xy\n" },
		{ "#define A \\\n\nint a;\n", "#define A \\\nint a;\n" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(same); i++) {
		g_autofree char *a = g_strconcat(same[i][0], "\n", NULL), *b = g_strconcat(same[i][1], "\n", NULL);
		g_assert_true(km_narrow_source(a, b));
	}
	for (gsize i = 0; i < G_N_ELEMENTS(other); i++)
		g_assert_false(km_narrow_source(other[i][0], other[i][1]));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/narrow/same", test_same);
	g_test_add_func("/narrow/unused", test_unused);
	g_test_add_func("/narrow/used", test_used);
	g_test_add_func("/narrow/emitting", test_emitting);
	g_test_add_func("/narrow/assembly", test_assembly);
	g_test_add_func("/narrow/source", test_source);
	g_test_add_func("/narrow/odd-text", test_odd_text);
	return g_test_run();
}
