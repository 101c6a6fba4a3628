/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the comparison passes over is told: rows that differ in line numbers only. */
#include "base/file.h"
#include "base/run.h"
#include "diff/diff.h"

/* WARN() of x86: struct bug_entry with relative pointers, include/asm-generic/bug.h. */
#define WARN(line, flags)                                                                                              \
	"asm volatile(\"1: ud2\\n.pushsection __bug_table,\\\"aw\\\"\\n2: .long 1b - 2b\\n.long %c0 - 2b\\n.word " line "\\n" \
	".word " flags "\\n.org 2b + 12\\n.popsection\" : : \"i\"(\"a.c\"));"

static KmObject *compile(const char *dir, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	const char *argv[] = { "gcc-12", "-O2", "-ffunction-sections", "-fno-pic", "-c", "-x", "c", "-", "-o", path, NULL };
	KmRunOptions options = { .stdin_text = text, .merge_stderr = TRUE };
	g_autoptr(KmRunResult) result = km_run(argv, &options, NULL);
	if (!result || result->status)
		return NULL;
	g_autoptr(GError) error = NULL;
	KmObject *object = km_object_read(path, &error);
	g_assert_no_error(error);
	return object;
}

static void check(const char *before, const char *after, guint changed, const char *ignored)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-test", &error);
	g_assert_no_error(error);
	g_autoptr(KmObject) a = compile(dir->path, "a.o", before);
	g_autoptr(KmObject) b = a ? compile(dir->path, "b.o", after) : NULL;
	if (!b || g_strcmp0(b->arch->name, "x86_64")) {
		g_test_skip("needs gcc-12 for x86_64");
		return;
	}
	g_autoptr(KmDiff) diff = km_diff_new(a, b, TRUE, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(diff->functions->len, ==, changed);
	g_assert_cmpstr(diff->ignored->len ? diff->ignored->pdata[0] : NULL, ==, ignored);
}

static void test_lines(void)
{
	check("void f(void) { " WARN("10", "1") " } void g(void) { " WARN("20", "1") " }",
	      "void f(void) { " WARN("11", "1") " } void g(void) { " WARN("20", "1") " }", 0,
	      "1 row(s) of __bug_table differ only in line numbers");
}

static void test_flags(void)
{
	check("void f(void) { " WARN("10", "1") " }", "void f(void) { " WARN("10", "3") " }", 1, NULL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ignored/line-numbers", test_lines);
	g_test_add_func("/ignored/anything-else-counts", test_flags);
	return g_test_run();
}
