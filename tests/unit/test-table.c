/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changed data: read-only tables that functions can take along and those that they cannot, and variables. */
#include <string.h>

#include "base/file.h"
#include "base/run.h"
#include "diff/diff.h"

/* %s is the content that changes. */
#define HEAD                                                                                                           \
	"struct e { int id, v; const char *n; }; int use(int); void keep(const void *); int printk(const char *, ...);\n" \
	"int use2(const void *); int strcmp(const char *, const char *);\n"                                            \
	"static const struct e t[] = { %s, { 3, 4, \"b\" }, { 0 } };\n"
#define LOCAL                                                                                                          \
	"struct e { int id, v; const char *n; }; int use(int); void keep(const void *);\n"
#define FIRST "{ 1, 2, \"a\" }"
#define SECOND "{ 1, 7, \"a\" }"

typedef struct {
	const char *name;
	const char *text; /* with one %s */
	const char *functions; /* NULL: refused */
	const char *why; /* occurs in the refusal, or in the reasons */
} Case;

#define NOINLINE "__attribute__((noinline, noipa)) "

static const Case cases[] = {
	{ "loop", HEAD "int f(int x) { for (const struct e *p = t; p->id; p++) if (p->id == x) return use(p->v); return 0; }", "changed f",
	  "its content changed" },
	{ "indexed", HEAD "int f(int x) { return t[x].v; } int g(int x) { return use(x); }", "changed f", NULL },
	{ "text", HEAD "int f(int x) { return strcmp(t[x].n, \"x\") + 1; }", "changed f", NULL },
	{ "by-pointer", "int use(int); static const int v[] = { %s 1, 2, 3, 4, 5, 6, 7, 8, 9 }, w[] = { 8, 1, 2, 3, 4, 5, 6, 7, 8, 9 };\n" NOINLINE "static int g(const int *p, int x) { return use(p[x]) + 1; }\n"
	  "int f(int x) { return g(v, x) + g(w, x); }", "changed f, changed g", "uses table v" },
	{ "returned-inside", HEAD NOINLINE "static const struct e *find(int x) { return &t[x]; } int f(int x) { return find(x)->v; }",
	  "changed f, changed find", "uses table t" },
	{ "holder", HEAD "static const struct e *const all[] = { t, 0 }; int f(int x, int y) { return all[x][y].v; }", "changed f",
	  "holds the address of a table" },
	{ "returned", HEAD "const struct e *f(int x) { return &t[x]; }", NULL, "f returns its address" },
	{ "passed", HEAD "int f(int x) { keep(t); return x; }", NULL, "f passes its address to keep" },
	{ "last-jump", HEAD "int f(int x) { return use2(&t[x]); }", NULL, "ends with a jump to use2" },
	{ "stored", HEAD "const struct e *now; void f(int x) { now = &t[x]; }", NULL, "f stores its address in memory" },
	{ "stored-as-constant", HEAD "struct { const struct e *p; } drv; int f(int x) { drv.p = t; return t[x].v; }", NULL,
	  "f stores its address in memory" },
	{ "stored-by-callee", HEAD NOINLINE "static void set(const struct e **p, const struct e *v) { *p = v; }\n"
	  "void f(const struct e **p, int x) { set(p, &t[x]); use(x); }", NULL, "set stores its address in memory" },
	{ "kept-on-the-way", HEAD NOINLINE "static const struct e *find(int x) { return &t[x]; } void f(int x) { const struct e *p = find(x); if (p->id) keep(p); use(1); }",
	  NULL, "f passes its address to keep" },
	{ "through-pointer", HEAD "void f(int (*g)(const struct e *)) { g(t); use(1); }", NULL, "called through a pointer" },
	{ "in-a-variable", HEAD "struct { const struct e *p; int n; } drv = { t, 3 }; int f(int x) { return t[x].v; }", NULL,
	  "variable drv holds its address" },
	{ "held-and-kept", HEAD "static const struct e *const all[] = { t, 0 }; void f(int x) { keep(all[x]); use(1); }", NULL,
	  "f passes its address to keep" },
	{ "global", "const int v[] = { %s 1 }; int f(int x) { return v[x]; }", NULL, "v is global" },
	{ "local-loop", LOCAL "int f(int x) { static const struct e t[] = { %s, { 3, 4, \"b\" } }; return t[x].v; }", "changed f", NULL },
	{ "local-kept", LOCAL "int f(int x) { static const struct e t[] = { %s, { 3, 4, \"b\" } }; keep(t); return x; }", NULL,
	  "f passes its address to keep" },
	{ "local-in-a-variable", LOCAL "struct { const struct e *p; } drv; int f(int x) { static const struct e t[] = { %s, { 3, 4, \"b\" } }; "
	  "drv.p = t; return t[x].v; }", NULL, "f stores its address in memory" },
	{ "gcc-local-text", LOCAL "#define S_(...) #__VA_ARGS__\n#define S(...) S_(__VA_ARGS__)\nint f(int x) { static const char t[] = S(%s); keep(t); return x; }", "changed f", NULL },
	{ "callback-in-table", "int a(int); int b(int); static int (*const v[])(int) = { %s a }; int f(int x) { return v[x](x) + 1; }", "changed f",
	  NULL },
};

static KmObject *compile(const char *dir, const char *compiler, const char *name, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *source = g_strdup_printf("%s/%s.c", dir, name);
	g_autofree char *object = g_strdup_printf("%s/%s.o", dir, name);
	const char *const argv[] = { compiler, "-O2", "-w", "-fno-pic", "-mcmodel=kernel", "-mno-sse", "-fno-jump-tables",
				     "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-fdata-sections", "-c", "-o",
				     object, source, NULL };
	g_assert_true(g_file_set_contents(source, text, -1, &error));
	g_free(km_run_checked(argv, NULL, &error));
	g_assert_no_error(error);
	KmObject *read = km_object_read(object, &error);
	g_assert_no_error(error);
	return read;
}

static gboolean missing(const char *compiler)
{
	g_autofree char *path = g_find_program_in_path(compiler);
	const KmArch *host = km_arch_host();
	if (path && host && host->step)
		return FALSE;
	g_test_skip("no compiler for an architecture on which addresses can be followed");
	return TRUE;
}

static char *fill(const char *text, const char *content)
{
	g_auto(GStrv) parts = g_strsplit(text, "%s", 2);
	return g_strconcat(parts[0], content, parts[1], NULL);
}

static char *listed(const GPtrArray *changes)
{
	GString *text = g_string_new(NULL);
	for (guint i = 0; i < changes->len; i++) {
		const KmChange *change = changes->pdata[i];
		g_string_append_printf(text, "%s%s %s", i ? ", " : "", change->status == KM_CHANGED ? "changed" : "other",
				       change->name);
	}
	return g_string_free(text, FALSE);
}

static char *all_words(const KmDiff *diff)
{
	json_t *json = km_diff_to_json(diff);
	g_autofree char *text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return g_strcompress(text);
}

static KmDiff *diff_of(const char *dir, const char *compiler, const char *before, const char *after,
		       const char *const *allowed, KmObject **a, KmObject **b)
{
	g_autoptr(GError) error = NULL;
	*a = compile(dir, compiler, "before", before);
	*b = compile(dir, compiler, "after", after);
	KmDiff *diff = km_diff_new_allowing(*a, *b, TRUE, allowed, &error);
	g_assert_no_error(error);
	return diff;
}

static void check_case(const Case *c, const char *compiler)
{
	gboolean plain = !strstr(c->text, "struct e"), functions_table = strstr(c->text, "(*const v[])") != NULL;
	g_autofree char *before = fill(c->text, functions_table ? "a," : plain ? "5," : FIRST);
	g_autofree char *after = fill(c->text, functions_table ? "b," : plain ? "6, 7," : SECOND);
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-table", NULL);
	g_autoptr(KmObject) a = NULL, b = NULL;
	g_autoptr(KmDiff) diff = diff_of(dir->path, compiler, before, after, NULL, &a, &b);
	g_autofree char *words = all_words(diff);
	g_test_message("%s %s: %s", compiler, c->name, words);
	if (c->why)
		g_assert_nonnull(strstr(words, c->why));
	g_assert_cmpint(diff->refused->len > 0, ==, !c->functions);
	g_autofree char *functions = listed(diff->functions);
	if (c->functions)
		g_assert_cmpstr(functions, ==, c->functions);
}

static void test_cases(gconstpointer compiler)
{
	if (missing(compiler))
		return;
	/* clang gives a static local no number, so it is taken for any other table. */
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
		if (!g_str_has_prefix(cases[i].name, "gcc-") || g_str_has_prefix(compiler, "gcc"))
			check_case(&cases[i], compiler);
}

/* The author vouches for one table; what a variable holds is beyond any promise. */
static void test_allowed(void)
{
	static const char *const allowed[] = { "t", NULL };
	if (missing("gcc"))
		return;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-table", NULL);
	g_autofree char *before = fill(HEAD "int f(int x) { keep(t); return x; }", FIRST);
	g_autofree char *after = fill(HEAD "int f(int x) { keep(t); return x; }", SECOND);
	g_autofree char *held = fill(HEAD "const void *drv = t; int f(int x) { return t[x].v; }", FIRST);
	g_autofree char *held_after = fill(HEAD "const void *drv = t; int f(int x) { return t[x].v; }", SECOND);
	g_autoptr(KmObject) a = NULL, b = NULL, c = NULL, d = NULL;
	g_autoptr(KmDiff) diff = diff_of(dir->path, "gcc", before, after, allowed, &a, &b);
	g_autofree char *functions = listed(diff->functions);
	g_assert_cmpuint(diff->refused->len, ==, 0);
	g_assert_cmpstr(functions, ==, "changed f");
	g_autoptr(KmDiff) other = diff_of(dir->path, "gcc", held, held_after, allowed, &c, &d);
	g_assert_cmpuint(other->refused->len, ==, 1);
}

/* The new code refers to its own copy: the old table's name is no reference any more. */
static void test_extracted(void)
{
	if (missing("gcc"))
		return;
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-table", NULL);
	g_autofree char *before = fill(HEAD "int f(int x) { return t[x].v; }", FIRST);
	g_autofree char *after = fill(HEAD "int f(int x) { return t[x].v; }", SECOND);
	g_autoptr(KmObject) a = NULL, b = NULL;
	g_autoptr(KmDiff) diff = diff_of(dir->path, "gcc", before, after, NULL, &a, &b);
	g_autoptr(KmObject) out = km_extract(diff, &error);
	g_assert_no_error(error);
	const KmSymbol *table = km_object_find_symbol(out, "t");
	g_assert_nonnull(table);
	g_assert_nonnull(table->section);
	g_assert_cmpuint(km_object_get_u32(out, table->section->data->data + table->value + 4), ==, 7);
}

typedef struct {
	const char *name, *before, *after, *why;
	gboolean skeleton;
} Variable;

#define USES "int p(void *); int f(void) { return p((void *)&v); }"
#define IN(s) "__attribute__((section(\"" s "\")))"

static const Variable variables[] = {
	{ "value", "int v = 3; " USES, "int v = 4; " USES, "pre-patch callback (--skeleton FILE", TRUE },
	{ "first-value", "int v; " USES, "int v = 4; " USES, "pre-patch callback (--skeleton FILE", TRUE },
	{ "size", "int v[3] = { 3 }; " USES, "int v[4] = { 3 }; " USES, "its size changes (its content: size 12 -> 16)", FALSE },
	{ "bss-size", "int v[30]; " USES, "int v[40]; " USES, "its size changes", FALSE },
	{ "alignment", "int v = 3; " USES, "__attribute__((aligned(64))) int v = 3; " USES, "its alignment changes", FALSE },
	{ "static-local", "int p(void *); int f(void) { static int v = 3; return p(&v); }",
	  "int p(void *); int f(void) { static int v = 4; return p(&v); }", "pre-patch callback, or", FALSE },
	{ "to-per-cpu", IN(".data.v") " int v = 3; " USES, IN(".data..percpu") " int v = 3; " USES, "becomes a per-cpu variable", FALSE },
	{ "to-writable", IN(".data..ro_after_init") " int v = 3; " USES, IN(".data.v") " int v = 3; " USES, "it becomes writable", FALSE },
	{ "to-read-mostly", IN(".data.v") " int v = 3; " USES, IN(".data..read_mostly") " int v = 3; " USES, NULL, FALSE },
};

static void test_variables(void)
{
	if (missing("gcc"))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(variables); i++) {
		const Variable *v = &variables[i];
		g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-table", NULL);
		g_autoptr(KmObject) a = NULL, b = NULL;
		g_autoptr(KmDiff) diff = diff_of(dir->path, "gcc", v->before, v->after, NULL, &a, &b);
		g_autofree char *words = all_words(diff);
		g_test_message("%s: %s", v->name, words);
		g_assert_cmpuint(diff->refused->len, ==, v->why != NULL);
		if (!v->why)
			continue;
		const KmRefusal *refusal = diff->refused->pdata[0];
		g_assert_nonnull(strstr(refusal->why, v->why));
		g_assert_cmpint(refusal->skeleton != NULL, ==, v->skeleton);
		if (v->skeleton)
			g_assert_nonnull(strstr(refusal->skeleton, "(typeof(v))0x4"));
		g_autofree char *skeleton = km_diff_skeleton(diff);
		g_assert_cmpint(skeleton != NULL, ==, v->skeleton);
	}
}

/* Per-cpu data of any of the kernel's kinds becomes the one kind that modules have. */
static void test_new_per_cpu(void)
{
	if (missing("gcc"))
		return;
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-table", NULL);
	g_autoptr(KmObject) a = NULL, b = NULL;
	g_autoptr(KmDiff) diff = diff_of(dir->path, "gcc", "int p(void *); int f(void) { return p(0); }",
					 IN(".data..percpu..read_mostly") " static int v = 3; " USES, NULL, &a, &b);
	g_autoptr(KmObject) out = km_extract(diff, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(km_object_find_symbol(out, "v")->section->name, ==, ".data..percpu");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	static const char *const compilers[] = { "gcc-12", "gcc-11", "clang-14" };
	for (gsize i = 0; i < G_N_ELEMENTS(compilers); i++) {
		g_autofree char *path = g_strdup_printf("/table/cases/%s", compilers[i]);
		g_test_add_data_func(path, compilers[i], test_cases);
	}
	g_test_add_func("/table/allowed", test_allowed);
	g_test_add_func("/table/extracted", test_extracted);
	g_test_add_func("/table/variables", test_variables);
	g_test_add_func("/table/new-per-cpu", test_new_per_cpu);
	return g_test_run();
}
