/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes of start-up code, refused or left out on the author's word. */
#include <string.h>

#include "base/file.h"
#include "base/run.h"
#include "diff/diff.h"

typedef struct {
	const char *name;
	const char *before, *after;
	const char *refused; /* names, without the option */
	const char *left; /* functions and data listed, with it */
	const char *ignored; /* occurs in the first line about it; NULL: nothing is ignored */
	const char *unset; /* refused with it, unless a callback is there; NULL: nothing */
} Case;

#define INIT "__attribute__((section(\".init.text\"), used)) "
#define EXIT "__attribute__((section(\".exit.text\"), used)) "
#define INITDATA "__attribute__((section(\".init.data\"), used)) "
#define PARAM "__attribute__((section(\"__param\"), used)) "
#define USE "int use(int); void *make(void); int take(void *);\n"

static const Case cases[] = {
	{ "init", USE INIT "static int start(void) { return use(1); } int f(int x) { return use(x); }",
	  USE INIT "static int start(void) { return use(2); } int f(int x) { return use(x + 1); }", "start", "f",
	  "start: changed __init code, left out", NULL },
	{ "exit", USE EXIT "static void stop(void) { use(1); } int f(int x) { return use(x); }",
	  USE EXIT "static void stop(void) { use(2); } int f(int x) { return use(x + 1); }", "stop", "f",
	  "stop: changed __exit code, left out", NULL },
	{ "new-init", USE "int f(int x) { return use(x); }",
	  USE INIT "static int start(void) { return use(2); } int f(int x) { return use(x + 1); }", "start", "f",
	  "start: new __init code, left out", NULL },
	{ "init-data", USE INITDATA "static int first = 3; int f(int x) { return use(x); }",
	  USE INITDATA "static int first = 4; int f(int x) { return use(x + 1); }", "first", "f",
	  "first: changed data of the start-up", NULL },
	{ "parameter", USE "int f(int x) { return use(x); }",
	  USE "static int limit = 5; " PARAM "static int *const row = &limit; int f(int x) { return use(limit); }", "row", "f limit",
	  "row: new module parameter, left out", NULL },
	{ "only-init", INIT "int start(void) { return 1; }", INIT "int start(void) { return 2; }", "start", "", "start: ", NULL },
	{ "set-by-init", USE INIT "static void start(void) { use(1); } int f(int x) { return use(x); }",
	  USE "static void *cache; " INIT "static void start(void) { cache = make(); } int f(int x) { return take(cache); }",
	  "start", "cache f", "start: ", "cache" },
	{ "used-by-init", USE INIT "static void start(void) { use(1); } int f(int x) { return use(x); }",
	  USE "static int limit = 3; int more(void) { return limit++; } " INIT "static void start(void) { use(more() + limit); } "
	  "int f(int x) { return use(x + more()); }",
	  "start", "f limit more", "start: ", NULL },
	{ "table", USE "static const int rows[] = { 1, 2, 3 }; " INIT "static int start(void) { return take((void *)rows); } int f(int x) { return use(x); }",
	  USE "static const int rows[] = { 1, 2, 4 }; " INIT "static int start(void) { return take((void *)rows); } int f(int x) { return use(x + 1); }",
	  "rows", "f", "rows: changed read-only data of the start-up", NULL },
	{ "operations", USE "int g(int); int h(int); static int (*const ops[])(int) = { g, h }; " INIT "static int start(void) { return take((void *)ops); } int f(int x) { return use(x); }",
	  USE "int g(int); int h(int); static int (*const ops[])(int) = { h, g }; " INIT "static int start(void) { return take((void *)ops); } int f(int x) { return use(x + 1); }",
	  "ops", "f ops", NULL, "ops" },
	{ "table-also-used-later", USE "static const int rows[] = { 1, 2, 3 }; " INIT "static int start(void) { return take((void *)rows); } int f(int x) { return take((void *)rows); }",
	  USE "static const int rows[] = { 1, 2, 4 }; " INIT "static int start(void) { return take((void *)rows); } int f(int x) { return take((void *)rows); }",
	  "rows", "rows", NULL, "rows" },
	{ "initialised", USE "int limit = 3; int f(int x) { return use(x); }", USE "int limit = 4; int f(int x) { return use(x); }",
	  "limit", "limit", NULL, "limit" },
};

static KmObject *compile(const char *dir, const char *name, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *source = g_strdup_printf("%s/%s.c", dir, name);
	g_autofree char *object = g_strdup_printf("%s/%s.o", dir, name);
	const char *const argv[] = { "gcc", "-O2", "-w", "-fno-pic", "-fno-asynchronous-unwind-tables", "-ffunction-sections",
				     "-fdata-sections", "-c", "-o", object, source, NULL };
	g_assert_true(g_file_set_contents(source, text, -1, &error));
	g_free(km_run_checked(argv, NULL, &error));
	g_assert_no_error(error);
	KmObject *read = km_object_read(object, &error);
	g_assert_no_error(error);
	return read;
}

static gint by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *names_of(const GPtrArray *const *lists)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	for (; *lists; lists++)
		for (guint i = 0; i < (*lists)->len; i++)
			g_ptr_array_add(names, ((KmChange *)(*lists)->pdata[i])->name);
	g_ptr_array_sort(names, by_text);
	g_ptr_array_add(names, NULL);
	return g_strjoinv(" ", (char **)names->pdata);
}

static const char *only_refused(const KmDiff *diff)
{
	g_assert_cmpuint(diff->refused->len, <, 2);
	return diff->refused->len ? ((KmRefusal *)diff->refused->pdata[0])->name : NULL;
}

static void check_case(const Case *c, gboolean has_callbacks)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-startup", NULL);
	g_autoptr(KmObject) before = compile(dir->path, "before", c->before), after = compile(dir->path, "after", c->after);
	g_autoptr(KmDiff) diff = km_diff_new(before, after, TRUE, &error);
	g_assert_no_error(error);
	g_test_message("%s", c->name);
	g_assert_cmpstr(only_refused(diff), ==, c->refused);
	km_diff_leave_out_startup(diff, has_callbacks);
	const GPtrArray *const lists[] = { diff->functions, diff->data, NULL };
	g_autofree char *left = names_of(lists);
	g_assert_cmpstr(left, ==, c->left);
	/* A changed variable is no matter of starting up: no callback makes it one. */
	g_assert_cmpstr(only_refused(diff), ==, has_callbacks && c->ignored ? NULL : c->unset);
	g_assert_cmpuint(diff->ignored->len, ==, c->ignored != NULL);
	if (c->ignored)
		g_assert_true(g_str_has_prefix(diff->ignored->pdata[0], c->ignored));
}

static void test_cases(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		check_case(&cases[i], FALSE);
		check_case(&cases[i], TRUE);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_autofree char *path = g_find_program_in_path("gcc");
	if (path && km_arch_host())
		g_test_add_func("/startup/cases", test_cases);
	return g_test_run();
}
