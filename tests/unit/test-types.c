/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What counts as a changed layout, and what does not: pairs of C texts, compiled for every machine there is a compiler for. */
#include <gio/gio.h>
#include <string.h>

#include "base/file.h"
#include "base/run.h"
#include "types/types.h"

static const char *const compilers[] = { "gcc", "clang", "aarch64-linux-gnu-gcc", "powerpc64le-linux-gnu-gcc",
					 "s390x-linux-gnu-gcc", "riscv64-linux-gnu-gcc" };

/* changes: the texts of all changes, joined by "\n"; places are left out. */
static const struct {
	const char *name, *before, *after, *changes;
} rows[] = {
	{ "same", "struct s { int a; long b; } x;", "struct s { int a; long b; } x;", "" },
	{ "member inserted", "struct s { int a; char c; } x;", "struct s { int a; int n; char c; } x;",
	  "struct s: size 8 -> 12, member n at 4 is new, member c at 4 -> 8" },
	{ "member in a hole", "struct s { char a; long b; } x;", "struct s { char a; char n; long b; } x;",
	  "struct s: member n at 1 is new" },
	{ "member removed", "struct s { long b; char a; char n; } x;", "struct s { long b; char a; } x;",
	  "struct s: member n at 9 is gone" },
	{ "renamed", "struct s { int a; int b; } x;", "struct s { int a; int renamed; } x;", "" },
	{ "swapped", "struct s { int a; int b; } x;", "struct s { int b; int a; } x;",
	  "struct s: member a at 0 -> 4, member b at 4 -> 0" },
	{ "same by another name", "typedef unsigned int u; struct s { u a; } x;", "struct s { const unsigned int a; } x;",
	  "" },
	{ "sign", "struct s { int a; } x;", "struct s { unsigned int a; } x;",
	  "struct s: member a is int -> unsigned int" },
	{ "grouped", "struct s { int a; int b; } x;", "struct s { int a; union { int b; int c; }; } x;",
	  "struct s: member c at 4 is new" },
	{ "only grouped", "struct s { int a; int b; } x;", "struct s { struct { int a; int b; }; } x;", "" },
	{ "inside one without name", "struct s { struct { int a; int b; } in; } x;",
	  "struct s { struct { int b; int a; } in; } x;",
	  "struct s: member in.a at 0 -> 4, member in.b at 4 -> 0" },
	{ "array", "struct s { char a[8]; } x;", "struct s { char a[12]; } x;",
	  "struct s: size 8 -> 12, member a is char[8] -> char[12]" },
	{ "bit-field", "struct s { unsigned a : 3; unsigned b : 2; } x;", "struct s { unsigned a : 3; unsigned b : 4; } x;",
	  "struct s: member b has 2 -> 4 bits" },
	{ "embedded", "struct i { int a; }; struct s { struct i i; int b; } x;",
	  "struct i { int a, n; }; struct s { struct i i; int b; } x;",
	  "struct i: size 4 -> 8, member n at 4 is new\n"
	  "struct s: size 8 -> 12, member i has 4 -> 8 bytes, member b at 4 -> 8" },
	{ "through a pointer", "struct i { int a; }; struct s { struct i *i; } x; int f(void) { return x.i->a; }",
	  "struct i { int n, a; }; struct s { struct i *i; } x; int f(void) { return x.i->a; }",
	  "struct i: size 4 -> 8, member n at 0 is new, member a at 0 -> 4" },
	{ "method", "struct s { int (*f)(int); } x;", "struct s { int (*f)(int, long *); } x;",
	  "struct s: member f is int (*)(int) -> int (*)(int, long int *)" },
	{ "union", "union u { int a; char c[4]; } x;", "union u { int a; char c[4]; long l; } x;",
	  "union u: size 4 -> 8, member l at 0 is new" },
	{ "typedef", "typedef struct { int a; } s_t; s_t x;", "typedef struct { long a; } s_t; s_t x;",
	  "s_t: size 4 -> 8, member a is int -> long int" },
	{ "enum grows", "enum e { A, B } x;", "enum e { A, B, C } x;", "" },
	{ "enum moves", "enum e { A, B, MAX } x;", "enum e { A, N, B, MAX } x;",
	  "enum e: B is 1 -> 2, MAX is 2 -> 3" },
	{ "enum loses", "enum e { A, B } x;", "enum e { A } x;", "enum e: B (1) is gone" },
	{ "enum without name", "enum { A, B = 5 }; int f(void) { return B; }", "enum { A, B = 6 }; int f(void) { return B; }",
	  "enumerator B: B is 5 -> 6" },
	{ "new type", "struct s { int a; } x;", "struct s { int a; } x; struct n { int a; } y;", "" },
	{ "became complete", "struct s; struct s *x;", "struct s { int a; }; struct s *x; int f(void) { return x->a; }", "" },
	{ "inside a function", "int f(void) { static struct s { int a; } x; return x.a++; }",
	  "int f(void) { static struct s { char n; int a; } x; return x.a++; }",
	  "struct s of f(): size 4 -> 8, member n at 0 is new, member a at 0 -> 4" },
	{ "self reference", "struct s { struct s *next; int (*f)(struct s *, void (*)(struct s)); } x;",
	  "struct s { struct s *next; int (*f)(struct s *, void (*)(struct s)); } x;", "" },
};

static const struct {
	const char *name, *before, *after, *changes;
} function_rows[] = {
	{ "parameter", "int f(int a) { return a; }", "int f(int a, int b) { return a + b; }",
	  "f: int (int) -> int (int, int)" },
	{ "result", "int f(int a) { return a; }", "void f(int a) { }", "f: int (int) -> void (int)" },
	{ "names", "int f(int a) { return a; }", "int f(int b) { return b + 1; }", "" },
	{ "const", "int f(char *a) { return *a; }", "int f(const char *a) { return *a; }", "" },
	{ "static", "static int __attribute__((noinline)) f(int a) { return a; } int g(void) { return f(g()); }",
	  "static int __attribute__((noinline)) f(long a) { return a; } int g(void) { return f(g()); }", "" },
	{ "pointer to another", "struct a { int x; }; int f(struct a *p) { return p->x; }",
	  "struct b { int x; }; int f(struct b *p) { return p->x; }", "f: int (struct a *) -> int (struct b *)" },
};

static gboolean missing(const char *program)
{
	g_autofree char *path = g_find_program_in_path(program);
	return path == NULL;
}

static KmTypes *compile(const char *dir, const char *compiler, const char *name, const char *text)
{
	g_autofree char *source = g_strdup_printf("%s/%s.c", dir, name);
	g_autofree char *object = g_strdup_printf("%s/%s.o", dir, name);
	const char *const argv[] = { compiler, "-gdwarf-5", "-O2", "-c", "-o", object, source, NULL };
	g_autoptr(GError) error = NULL;
	g_assert_true(g_file_set_contents(source, text, -1, &error));
	g_autofree char *said = km_run_checked(argv, NULL, &error);
	g_assert_no_error(error);
	KmTypes *types = km_types_read(object, dir, &error);
	g_assert_no_error(error);
	return types;
}

static char *joined(const GPtrArray *changes)
{
	g_autoptr(GString) all = g_string_new(NULL);
	for (guint i = 0; i < changes->len; i++) {
		KmTypeChange *change = changes->pdata[i];
		/* The file is told, and without the directory. */
		g_test_message("%s at %s", change->name, change->place);
		g_assert_true(g_str_has_suffix(change->place, "b.c:1"));
		change->place[0] = '\0';
		g_autofree char *text = km_type_change_text(change);
		g_string_append_printf(all, "%s%s", i ? "\n" : "", text);
	}
	return g_string_free(g_steal_pointer(&all), FALSE);
}

static void check(const char *compiler, const char *name, const char *before, const char *after, gboolean functions,
		  const char *wanted)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-types", NULL);
	g_test_message("%s: %s", compiler, name);
	g_autoptr(KmTypes) a = compile(dir->path, compiler, "a", before);
	g_autoptr(KmTypes) b = compile(dir->path, compiler, "b", after);
	g_autoptr(GPtrArray) changes = functions ? km_types_compare_functions(a, b) : km_types_compare(a, b);
	g_autofree char *text = joined(changes);
	/* clang says `long` differently, and so on: the words are gcc's. */
	if (strcmp(compiler, "clang"))
		g_assert_cmpstr(text, ==, wanted);
	else
		g_assert_true(!*text == !*wanted);
}

/* Of f(): how many words its arguments take, and whether there can be more. */
static const struct {
	const char *text;
	guint words;
	gboolean variadic;
} call_rows[] = {
	{ "int f(void) { return 1; }", 0, FALSE },
	{ "int f(int a, char b, void *c) { return a + b + !c; }", 3, FALSE },
	{ "struct s { int a[6]; }; int f(struct s s, long n) { return s.a[n]; }", 4, FALSE },
	{ "int f(char c, __int128 n) { return c + (int)n; }", 4, FALSE },
	{ "struct s { long a[6]; }; struct s f(int n) { return (struct s){ { n } }; }", 2, FALSE },
	{ "int f(const char *format, ...) { return *format; }", 1, TRUE },
	{ "static int __attribute__((noinline)) f(int a, int b) { return a * b; } int x; int g(void) { return f(x, 3); }",
	  2, FALSE },
	{ "static inline int f(int a, int b, long c) { return a + b + c; } int x; int g(void) { return f(x, x, 3); }",
	  3, FALSE },
};

static void check_calls(const char *compiler)
{
	for (gsize i = 0; i < G_N_ELEMENTS(call_rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-types", &error);
		g_assert_no_error(error);
		g_autoptr(KmTypes) types = compile(dir->path, compiler, "c", call_rows[i].text);
		const KmCall *call = km_types_call(types, "f");
		g_test_message("%s: %s", compiler, call_rows[i].text);
		g_assert_nonnull(call);
		g_assert_cmpuint(call->words, ==, call_rows[i].words);
		g_assert_cmpint(call->variadic, ==, call_rows[i].variadic);
		g_assert_null(km_types_call(types, "h"));
	}
}

static void test_rows(gconstpointer data)
{
	const char *compiler = data;
	if (missing(compiler)) {
		g_test_skip("no such compiler");
		return;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		check(compiler, rows[i].name, rows[i].before, rows[i].after, FALSE, rows[i].changes);
	for (gsize i = 0; i < G_N_ELEMENTS(function_rows); i++)
		check(compiler, function_rows[i].name, function_rows[i].before, function_rows[i].after, TRUE,
		      function_rows[i].changes);
	check_calls(compiler);
}

static void test_names(void)
{
	KmTypeChange change = { .name = (char *)"struct foo" };
	g_assert_true(km_type_change_is(&change, "foo"));
	g_assert_true(km_type_change_is(&change, "struct foo"));
	g_assert_false(km_type_change_is(&change, "fo"));
	g_assert_false(km_type_change_is(&change, "struct"));
	change.name = (char *)"foo_t";
	g_assert_true(km_type_change_is(&change, "foo_t"));
}

static void test_refused(void)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-types", NULL);
	g_autofree char *object = g_strconcat(dir->path, "/a.o", NULL);
	g_autofree char *source = g_strconcat(dir->path, "/a.c", NULL);
	const char *const argv[] = { "gcc", "-g0", "-c", "-o", object, source, NULL };
	g_autoptr(GError) error = NULL;
	if (missing("gcc")) {
		g_test_skip("no gcc");
		return;
	}
	g_assert_true(g_file_set_contents(source, "int x;", -1, NULL));
	g_autofree char *said = km_run_checked(argv, NULL, &error);
	g_assert_no_error(error);
	g_assert_null(km_types_read(object, NULL, &error));
	g_assert_nonnull(error);
	g_clear_error(&error);
	g_assert_null(km_types_read(source, NULL, &error));
	g_assert_nonnull(error);
	g_clear_error(&error);
	g_assert_null(km_types_read("/nowhere", NULL, &error));
	g_assert_nonnull(error);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(compilers); i++) {
		g_autofree char *path = g_strconcat("/types/", compilers[i], NULL);
		g_test_add_data_func(path, compilers[i], test_rows);
	}
	g_test_add_func("/types/names", test_names);
	g_test_add_func("/types/refused", test_refused);
	return g_test_run();
}
