/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What compilers make of one function: clones, parts, copies that are merged. They come and go with changes elsewhere; the running
 * kernel's function must still be the one that is replaced.
 */
#include <string.h>

#include "base/file.h"
#include "base/run.h"
#include "diff/diff.h"

typedef struct {
	const char *name;
	const char *flags;
	const char *before, *after;
	const char *there; /* a symbol that makes the case what it is: '+' in the patched object only, '-' in the original only, '=' in both */
	const char *functions; /* "changed f, new g", in order of names */
	const char *refused; /* occurs in the refusal; NULL: nothing is refused */
} Case;

#define USE "int use(int), more(int); void *take(void *); void bad(int) __attribute__((cold));\n"
#define NOINLINE "__attribute__((noinline)) "
/* Long enough that nobody inlines it. */
#define WORK(n) "use(x + " #n ") + use(x * 3) + use(x * 5 + more(x)) + use(x * 7) + use(x * more(9))"

/* A function of two arguments, of which all callers give a constant for the second, or not. */
#define TWO NOINLINE "static int g(int x, int y) { return use(x * y) + use(x + y) * y + more(y - x); }\n"
/* One that returns early: the rest may become a part. */
#define EARLY "static int g(int x) { if (__builtin_expect(x > 9, 1)) return x; return " WORK(1) " + " WORK(2) " + " WORK(3) "; }\n"
/* One that only wants what its argument points to. */
#define POINTER(what) NOINLINE "static int g(int *p) { int x = " what "; return " WORK(1) "; }\n"
#define SAME(name, n) "int " name "(int x) { return " WORK(n) "; }\n"
#define STATIC_SAME(name, n) NOINLINE "static " SAME(name, n)

static const Case cases[] = {
	{ "clone-appears", "", USE TWO "int f(int x) { return g(x, x) + 1; } int h(int x) { return g(x, 4); }",
	  USE TWO "int f(int x) { return g(x, 4) + 1; } int h(int x) { return g(x, 4); }", "+g.constprop.0",
	  "changed f, removed g, new g.constprop.0, changed h", NULL },
	{ "clone-vanishes", "", USE TWO "int f(int x) { return g(x, 4) + 1; } int h(int x) { return g(x, 4); }",
	  USE TWO "int f(int x) { return g(x, x) + 1; } int h(int x) { return g(x, 4); }", "-g.constprop.0",
	  "changed f, new g, removed g.constprop.0, changed h", NULL },
	{ "clone-renumbered", "",
	  USE TWO "int h(int x) { return g(x, 4); }",
	  USE NOINLINE "static int e(int x, int y) { return use(x * y) - use(x - y) * y; }\n" TWO "int h(int x) { return g(x, 4); } int d(int x) { return e(x, 4); }",
	  "+e.constprop.0", "new d, new e.constprop.0", NULL },
	{ "clone-changes", "", USE TWO "int h(int x) { return g(x, 4); }", USE TWO "int h(int x) { return g(x, 5); }", "=g.constprop.0",
	  "changed g.constprop.0", NULL },
	{ "other-clone-first", "-fipa-cp-clone --param=ipa-cp-eval-threshold=1",
	  USE TWO "int f(int x) { return g(x, 4); } int h(int x) { return g(x, x) - g(x, 4); }",
	  USE TWO "int d(int x) { return g(x, 7) + g(x + 1, 7); } int f(int x) { return g(x, 4); } int h(int x) { return g(x, x) - g(x, 4); }",
	  "+g.constprop.1", "new d, new g.constprop.1", NULL },
	{ "other-clone-takes-its-number", "-fipa-cp-clone --param=ipa-cp-eval-threshold=1",
	  USE TWO "int f(int x) { return g(x, 4); } int h(int x) { return g(x, x) - g(x, 4); }",
	  USE TWO "int f(int x) { return g(x, 4); } int h(int x) { return g(x, x) - g(x, 4); } int d(int x) { return g(x, 7) + g(x + 1, 7); }",
	  "+g.constprop.1", "new d, new g.constprop.0", NULL },
	{ "argument-in-pieces", "", USE POINTER("*p * 3") "int f(int x) { return g(&x); }", USE POINTER("*p * 4") "int f(int x) { return g(&x); }",
	  "=g.isra.0", "changed g.isra.0", NULL },
	{ "argument-whole-again", "", USE POINTER("*p * 3") "int f(int x) { return g(&x); }", USE POINTER("*(int *)take(p)") "int f(int x) { return g(&x); }",
	  "-g.isra.0", "changed f, new g, removed g.isra.0", NULL },
	{ "part-appears", "", USE SAME("g", 1) "int f(int x) { return g(x) + 1; } int h(int x) { return g(x) + 2; }",
	  USE EARLY "int f(int x) { return g(x) + 1; } int h(int x) { return g(x) + 2; }", "+g.part.0",
	  "changed f, removed g, new g.part.0, changed h", NULL },
	{ "part-changes", "", USE EARLY "int f(int x) { return g(x) + 1; } int h(int x) { return g(x) + 2; }",
	  USE EARLY "int f(int x) { return g(x) + 1; } int h(int x) { return g(x + 1) + 2; }", "=g.part.0", "changed h", NULL },
	{ "cold-part-appears", "", USE "int f(int x) { return use(x); }",
	  USE "int f(int x) { if (x == 7) { bad(x); bad(x + 1); } return use(x); }", "+f.cold", "changed f, new f.cold", NULL },
	{ "cold-part-vanishes", "", USE "int f(int x) { if (x == 7) { bad(x); bad(x + 1); } return use(x); }",
	  USE "int f(int x) { return use(x); }", "-f.cold", "changed f, removed f.cold", NULL },
	{ "only-the-cold-part-changes", "", USE "int f(int x) { if (x == 7) { bad(x); bad(x + 1); } return use(x); }",
	  USE "int f(int x) { if (x == 7) { bad(x); bad(x + 2); } return use(x); }", "=f.cold", "changed f, changed f.cold", NULL },
	{ "static-becomes-a-copy", "", USE STATIC_SAME("a", 1) STATIC_SAME("b", 2) "int f(int x) { return a(x); } int h(int x) { return b(x) + 1; }",
	  USE STATIC_SAME("a", 1) STATIC_SAME("b", 1) "int f(int x) { return a(x); } int h(int x) { return b(x) + 1; }", "=b",
	  "removed b, changed h", NULL },
	{ "static-is-no-copy-any-more", "", USE STATIC_SAME("a", 1) STATIC_SAME("b", 1) "int f(int x) { return a(x); } int h(int x) { return b(x) + 1; }",
	  USE STATIC_SAME("a", 1) STATIC_SAME("b", 2) "int f(int x) { return a(x); } int h(int x) { return b(x) + 1; }", "=b",
	  "new b, changed h", NULL },
	{ "the-copy-that-is-kept-changes", "", USE STATIC_SAME("a", 1) STATIC_SAME("b", 1) "int f(int x) { return a(x); } int h(int x) { return b(x) + 1; }",
	  USE STATIC_SAME("a", 2) STATIC_SAME("b", 1) "int f(int x) { return a(x); } int h(int x) { return b(x) + 1; }", "=b",
	  "changed a, new b, changed h", NULL },
	{ "global-becomes-a-copy", "", USE SAME("a", 1) SAME("b", 2), USE SAME("a", 1) SAME("b", 1), "=b", "changed b", NULL },
	{ "global-is-no-copy-any-more", "", USE SAME("a", 1) SAME("b", 1), USE SAME("a", 1) SAME("b", 2), "=b", "changed b", NULL },
	{ "the-global-behind-a-copy-changes", "", USE SAME("a", 1) SAME("b", 1), USE SAME("a", 2) SAME("b", 1), "=b", "changed a, changed b", NULL },
	{ "becomes-an-alias", "", USE SAME("a", 1) SAME("b", 2),
	  USE SAME("a", 1) "int b(int x) __attribute__((alias(\"a\")));", "=b", NULL, "another name of a" },
	{ "was-an-alias", "", USE SAME("a", 1) "int b(int x) __attribute__((alias(\"a\")));", USE SAME("a", 1) SAME("b", 2), "=b", NULL,
	  "one function of two names, b and a" },
	{ "inlined-everywhere", "", USE "static inline int g(int x) { return use(x + 1); }\nint d(int x) { return g(x); } int e(int x) { return g(x) * 2; } int f(int x) { return use(x); } int h(int x) { return g(x * 4); }",
	  USE "static inline int g(int x) { return use(x + 2); }\nint d(int x) { return g(x); } int e(int x) { return g(x) * 2; } int f(int x) { return use(x); } int h(int x) { return g(x * 4); }",
	  "=d", "changed d, changed e, changed h", NULL },
	{ "local-renamed", "", USE "static int n; int f(int x) { int old = use(x); n += old; return old + more(old); }",
	  USE "static int n; int f(int value) { int fresh = use(value); n += fresh; return fresh + more(fresh); }", "=f", "", NULL },
};

static KmObject *compile(const char *dir, const char *compiler, const char *flags, const char *name, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *source = g_strdup_printf("%s/%s.c", dir, name);
	g_autofree char *object = g_strdup_printf("%s/%s.o", dir, name);
	g_autofree char *line = g_strdup_printf("%s -O2 -w -fno-pic -fno-asynchronous-unwind-tables -ffunction-sections "
						"-fdata-sections %s%s-c -o %s %s",
						compiler, flags, *flags ? " " : "", object, source);
	g_auto(GStrv) argv = g_strsplit(line, " ", -1);
	g_assert_true(g_file_set_contents(source, text, -1, &error));
	g_free(km_run_checked((const char *const *)argv, NULL, &error));
	g_assert_no_error(error);
	KmObject *read = km_object_read(object, &error);
	g_assert_no_error(error);
	return read;
}

static char *listed(const GPtrArray *changes)
{
	static const char *const words[] = { "same", "changed", "new", "removed" };
	g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);
	for (guint i = 0; i < changes->len; i++) {
		const KmChange *change = changes->pdata[i];
		g_ptr_array_add(parts, g_strdup_printf("%s %s", words[change->status], change->name));
	}
	g_ptr_array_add(parts, NULL);
	return g_strjoinv(", ", (char **)parts->pdata);
}

/* Otherwise the compiler did something else, and the case says nothing. */
static gboolean is_as_meant(const Case *c, const KmObject *before, const KmObject *after)
{
	const KmSymbol *was = km_object_find_symbol(before, c->there + 1), *now = km_object_find_symbol(after, c->there + 1);
	gboolean old = was && was->section, new = now && now->section;
	return *c->there == '+' ? new && !old : *c->there == '-' ? old && !new : old && new;
}

static void check_case(const Case *c, const char *compiler)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-relatives", NULL);
	g_autoptr(KmObject) before = compile(dir->path, compiler, c->flags, "before", c->before);
	g_autoptr(KmObject) after = compile(dir->path, compiler, c->flags, "after", c->after);
	g_test_message("%s %s", compiler, c->name);
	g_assert_true(is_as_meant(c, before, after));
	g_autoptr(KmDiff) diff = km_diff_new(before, after, TRUE, &error);
	g_assert_no_error(error);
	g_autofree char *functions = listed(diff->functions);
	if (c->functions)
		g_assert_cmpstr(functions, ==, c->functions);
	const KmRefusal *refusal = diff->refused->len ? diff->refused->pdata[0] : NULL;
	g_test_message("%s", refusal ? refusal->why : "");
	g_assert_cmpint(refusal != NULL, ==, c->refused != NULL);
	if (refusal)
		g_assert_nonnull(strstr(refusal->why, c->refused));
}

static void test_cases(gconstpointer compiler)
{
	g_autofree char *path = g_find_program_in_path(compiler);
	if (!path) {
		g_test_skip("not installed");
		return;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
		check_case(&cases[i], compiler);
}

int main(int argc, char **argv)
{
	static const char *const compilers[] = { "gcc-12", "gcc-11" };
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(compilers); i++) {
		g_autofree char *path = g_strdup_printf("/relatives/%s", compilers[i]);
		g_test_add_data_func(path, compilers[i], test_cases);
	}
	return g_test_run();
}
