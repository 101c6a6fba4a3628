/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which units read a touched file at all, in a small tree made here. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "kernel/unit.h"

typedef struct {
	KmTempDir *temp;
	char *source;
	KmKernel kernel;
	KmOverlay *overlay;
	KmCompiler *compiler;
} Fixture;

static void put(const Fixture *f, const char *path, const char *text)
{
	g_autofree char *full = g_build_filename(f->temp->path, path, NULL);
	g_autofree char *dir = g_path_get_dirname(full);
	g_assert_true(km_make_dirs(dir, NULL));
	g_assert_true(g_file_set_contents(full, text, -1, NULL));
}

static KmUnit *new_unit(const Fixture *f, const char *source)
{
	static const char *const argv[] = { "gcc", "-Iinclude", "-Iother", NULL };
	KmUnit *unit = g_new0(KmUnit, 1);
	unit->source = g_strdup(source);
	unit->object = g_strdup_printf("%.*s.o", (int)(strlen(source) - strlen(".c")), source);
	unit->owner = g_strdup("vmlinux");
	unit->argv = g_strdupv((char **)argv);
	unit->cwd = g_strdup(f->source);
	unit->reached = TRUE;
	return unit;
}

static void make_tree(const Fixture *f)
{
	put(f, "src/include/x.h", "#define X 1\n");
	put(f, "src/include/y.h", "#ifdef DEEP\n#include <x.h>\n#endif\n");
	put(f, "src/other/x.h", "#define X 2\n");
	put(f, "src/direct.c", "#include <x.h>\n");
	put(f, "src/deep.c", "#define DEEP\n#include \"include/../include/y.h\"\n");
	put(f, "src/skipped.c", "#include <y.h>\n");
	put(f, "src/link.c", "#include \"z.h\"\n");
	put(f, "src/beside.c", "#include \"other/x.h\"\n");
	put(f, "src/nothing.c", "int x;\n");
	g_autofree char *link = g_build_filename(f->source, "z.h", NULL);
	g_assert_cmpint(symlink("include/x.h", link), ==, 0);
}

static void open_fixture(Fixture *f, const char *patch)
{
	g_autoptr(GError) error = NULL;
	f->temp = km_tempdir_new(NULL, "test-reads", NULL);
	f->source = g_build_filename(f->temp->path, "src", NULL);
	f->kernel.arch = km_arch_host();
	make_tree(f);
	put(f, "patch", patch);
	put(f, "overlay/none", "");
	g_autofree char *dir = g_build_filename(f->temp->path, "overlay", NULL);
	g_autofree char *objects = g_build_filename(f->temp->path, "objects", NULL);
	g_autofree char *path = g_build_filename(f->temp->path, "patch", NULL);
	const char *const patches[] = { path, NULL };
	f->overlay = km_overlay_new(f->source, dir, patches, &error);
	g_assert_no_error(error);
	g_autoptr(KmUnit) sample = new_unit(f, "nothing.c");
	f->compiler = km_compiler_new(&f->kernel, f->overlay, sample, objects, NULL, &error);
	g_assert_no_error(error);
}

static void close_fixture(Fixture *f)
{
	km_compiler_free(f->compiler);
	km_overlay_free(f->overlay);
	km_tempdir_free(f->temp);
	g_free(f->source);
}

static void check(const Fixture *f, const char *source, gboolean reads)
{
	g_autoptr(KmUnit) unit = new_unit(f, source);
	if (km_compiler_reads_touched(f->compiler, unit) != reads)
		g_error("%s: not %d", source, reads);
}

static void test_changed(void)
{
	Fixture f = { 0 };
	open_fixture(&f, "--- a/include/x.h\n+++ b/include/x.h\n@@ -1 +1,2 @@\n #define X 1\n+#define Y 1\n");
	check(&f, "direct.c", TRUE);
	check(&f, "deep.c", TRUE);
	check(&f, "link.c", TRUE);
	check(&f, "skipped.c", FALSE);
	check(&f, "beside.c", FALSE);
	check(&f, "nothing.c", FALSE);
	close_fixture(&f);
}

/* What is not there yet, or not any more, cannot be read: no answer. */
static void test_new_and_deleted(void)
{
	static const char *const patches[] = {
		"--- /dev/null\n+++ b/include/new.h\n@@ -0,0 +1 @@\n+#define Y 1\n",
		"--- a/other/x.h\n+++ /dev/null\n@@ -1 +0,0 @@\n-#define X 2\n",
	};
	for (gsize i = 0; i < G_N_ELEMENTS(patches); i++) {
		Fixture f = { 0 };
		open_fixture(&f, patches[i]);
		check(&f, "nothing.c", TRUE);
		close_fixture(&f);
	}
}

/* Nothing is said of units whose text is made, or whose source lies elsewhere. */
static void test_in_doubt(void)
{
	Fixture f = { 0 };
	open_fixture(&f, "--- a/include/x.h\n+++ b/include/x.h\n@@ -1 +1,2 @@\n #define X 1\n+#define Y 1\n");
	g_autoptr(KmUnit) made = new_unit(&f, "nothing.c"), external = new_unit(&f, "nothing.c");
	g_autoptr(KmUnit) broken = new_unit(&f, "absent.c");
	made->text_only = external->external = broken->external = TRUE;
	g_assert_true(km_compiler_reads_touched(f.compiler, made));
	g_assert_true(km_compiler_reads_touched(f.compiler, external));
	g_assert_true(km_compiler_reads_touched(f.compiler, broken));
	close_fixture(&f);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/reads/changed", test_changed);
	g_test_add_func("/reads/new-and-deleted", test_new_and_deleted);
	g_test_add_func("/reads/in-doubt", test_in_doubt);
	return g_test_run();
}
