/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Units of a real kernel. KMEND_TEST_KERNEL_DIR names a directory with source/, build/ (an object tree that kbuild accepts) and
 * perhaps modules/, KMEND_TEST_COMPILER its compiler; without them these tests are skipped. build/ should be a copy: kbuild may
 * generate headers in it.
 */
#include <gio/gio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/unit.h"

typedef struct {
	KmTempDir *temp;
	KmKernel kernel;
	gboolean ready;
} Bench;

static void bench_setup(Bench *bench, gconstpointer unused)
{
	const char *dir = g_getenv("KMEND_TEST_KERNEL_DIR");
	const char *compiler = g_getenv("KMEND_TEST_COMPILER");
	if (!dir || !compiler)
		return;
	bench->temp = km_tempdir_new(NULL, "test-units", NULL);
	g_assert_nonnull(bench->temp);
	bench->kernel.name = (char *)"test";
	bench->kernel.source = g_build_filename(dir, "source", NULL);
	bench->kernel.build = g_build_filename(dir, "build", NULL);
	bench->kernel.config = g_build_filename(dir, "build", ".config", NULL);
	bench->kernel.modules = g_build_filename(dir, "modules", NULL);
	bench->kernel.work = g_build_filename(bench->temp->path, "work", NULL);
	bench->kernel.compiler = g_strdup(compiler);
	bench->kernel.arch = km_arch_host();
	g_assert_true(km_make_dirs(bench->kernel.work, NULL));
	bench->ready = TRUE;
}

static void bench_teardown(Bench *bench, gconstpointer unused)
{
	km_tempdir_free(bench->temp);
	g_free(bench->kernel.source);
	g_free(bench->kernel.build);
	g_free(bench->kernel.config);
	g_free(bench->kernel.modules);
	g_free(bench->kernel.work);
	g_free(bench->kernel.compiler);
}

static gboolean is_ready(Bench *bench)
{
	if (!bench->ready)
		g_test_skip("KMEND_TEST_KERNEL_DIR and KMEND_TEST_COMPILER are not set");
	return bench->ready;
}

/* Patch that puts text on top of a file. */
static char *diff_of(Bench *bench, const char *file, const char *text)
{
	g_autofree char *pristine = g_build_filename(bench->kernel.source, file, NULL);
	g_autofree char *original = NULL;
	g_assert_true(g_file_get_contents(pristine, &original, NULL, NULL));
	g_auto(GStrv) lines = g_strsplit(original, "\n", 4);
	return g_strdup_printf("--- a/%s\n+++ b/%s\n@@ -1,3 +1,4 @@\n+%s\n %s\n %s\n %s\n", file, file, text, lines[0],
			       lines[1], lines[2]);
}

/* The overlay of a patch, below dir. */
static KmOverlay *overlay_of(Bench *bench, const char *dir, const char *diff, GError **error)
{
	g_autofree char *overlay_dir = g_build_filename(dir, "overlay", NULL);
	g_autofree char *patch = g_build_filename(dir, "x.patch", NULL);
	g_assert_true(km_make_dirs(overlay_dir, NULL));
	g_assert_true(g_file_set_contents(patch, diff, -1, NULL));
	const char *patches[] = { patch, NULL };
	return km_overlay_new(bench->kernel.source, overlay_dir, patches, error);
}

/* The units of such a patch, compiled below dir, or NULL. */
static GPtrArray *units_of(Bench *bench, const char *name, const char *file, const char *text, GError **error)
{
	g_autofree char *dir = g_build_filename(bench->temp->path, name, NULL);
	g_autofree char *diff = diff_of(bench, file, text);
	g_autoptr(KmOverlay) overlay = overlay_of(bench, dir, diff, error);
	g_autoptr(GPtrArray) units = overlay ? km_units_new(&bench->kernel, overlay, error) : NULL;
	if (!units || !km_units_compile(&bench->kernel, overlay, units, dir, 0, NULL, error))
		return NULL;
	return g_steal_pointer(&units);
}

static void assert_same_file(const char *a, const char *b)
{
	g_autoptr(GBytes) one = km_read_file(a, NULL);
	g_autoptr(GBytes) two = km_read_file(b, NULL);
	g_assert_true(one && two && g_bytes_equal(one, two));
}

static void test_comment_changes_nothing(Bench *bench, gconstpointer unused)
{
	if (!is_ready(bench))
		return;
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) first = units_of(bench, "first", "fs/proc/meminfo.c", "/* c */", &error);
	g_assert_no_error(error);
	g_autofree char *memory = g_build_filename(bench->kernel.work, "kbuild", "environment.json", NULL);
	g_assert_true(g_file_set_contents(memory, "{\"key\": ", -1, NULL));
	g_autoptr(GPtrArray) second = units_of(bench, "another/place", "fs/proc/meminfo.c", "/* c */", &error);
	g_assert_no_error(error);
	g_assert_cmpuint(first->len, ==, 1);
	const KmUnit *a = first->pdata[0], *b = second->pdata[0];
	g_assert_cmpstr(a->owner, ==, "vmlinux");
	assert_same_file(a->original, a->patched);
	assert_same_file(a->patched, b->patched);
	assert_same_file(a->plain, b->plain);
}

static void assert_refused(Bench *bench, const char *file, const char *text, int code, const char *words)
{
	g_autoptr(GError) error = NULL;
	g_assert_null(units_of(bench, "refused", file, text, &error));
	g_assert_error(error, KM_ERROR, code);
	g_test_message("%s", error->message);
	g_assert_nonnull(strstr(error->message, words));
}

static void test_patch_that_does_not_compile(Bench *bench, gconstpointer unused)
{
	if (is_ready(bench))
		assert_refused(bench, "fs/proc/meminfo.c", "int x = nope;", KM_ERROR_FAILED,
			       "does not compile with the patch: fs/proc/meminfo.c:1:");
}

static void test_not_built(Bench *bench, gconstpointer unused)
{
	if (!is_ready(bench))
		return;
	g_autofree char *file = g_build_filename(bench->kernel.source, "drivers/zorro/zorro.c", NULL);
	if (!g_file_test(file, G_FILE_TEST_EXISTS))
		g_test_skip("this source has no drivers/zorro");
	else
		assert_refused(bench, "drivers/zorro/zorro.c", "/* c */", KM_ERROR_REFUSED, "CONFIG_ZORRO");
}

/* A fix for all configurations: what this kernel does not have is left out, and said. */
static void test_not_built_beside_built(Bench *bench, gconstpointer unused)
{
	if (!is_ready(bench))
		return;
	static const char *const path = "drivers/zorro/zorro.c";
	g_autofree char *file = g_build_filename(bench->kernel.source, path, NULL);
	if (!g_file_test(file, G_FILE_TEST_EXISTS)) {
		g_test_skip("this source has no drivers/zorro");
		return;
	}
	g_autofree char *dir = g_build_filename(bench->temp->path, "both", NULL);
	g_autofree char *unbuilt = diff_of(bench, path, "/* c */");
	g_autofree char *built = diff_of(bench, "fs/proc/meminfo.c", "/* c */");
	g_autofree char *diff = g_strconcat(unbuilt, built, NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmOverlay) overlay = overlay_of(bench, dir, diff, &error);
	g_autoptr(GPtrArray) units = overlay ? km_units_new(&bench->kernel, overlay, &error) : NULL;
	g_assert_no_error(error);
	g_assert_cmpuint(units->len, ==, 1);
	g_assert_cmpstr(((const KmUnit *)units->pdata[0])->source, ==, "fs/proc/meminfo.c");
	const KmTouched *zorro = overlay->files->pdata[0], *meminfo = overlay->files->pdata[1];
	g_assert_nonnull(strstr(zorro->unbuilt, "it needs CONFIG_ZORRO"));
	g_assert_null(meminfo->unbuilt);
}

static gboolean has_file(const Bench *bench, const char *file)
{
	g_autofree char *path = g_build_filename(bench->kernel.source, file, NULL);
	gboolean there = g_file_test(path, G_FILE_TEST_EXISTS);
	if (!there)
		g_test_skip("this source does not have the file");
	return there;
}

/* A unit that another directory's makefile makes: found under that name, and __FILE__ is the same on both sides. */
static void test_made_elsewhere(Bench *bench, gconstpointer unused)
{
	if (!is_ready(bench) || !has_file(bench, "virt/kvm/kvm_main.c"))
		return;
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) units = units_of(bench, "elsewhere", "virt/kvm/kvm_main.c", "/* c */", &error);
	if (g_error_matches(error, KM_ERROR, KM_ERROR_REFUSED) && strstr(error->message, "not among the modules")) {
		/* Without the modules at hand only the search is tested. */
		g_assert_nonnull(strstr(error->message, "the module kvm"));
		return;
	}
	g_assert_no_error(error);
	g_assert_cmpuint(units->len, ==, 1);
	const KmUnit *unit = units->pdata[0];
	g_assert_cmpstr(unit->source, ==, "virt/kvm/kvm_main.c");
	g_assert_nonnull(strstr(unit->object, "/../"));
	assert_same_file(unit->original, unit->patched);
}

/* Listed by the makefile of drivers/media/rc, though the directory has its own. */
static void test_listed_above(Bench *bench, gconstpointer unused)
{
	static const char file[] = "drivers/media/rc/keymaps/rc-cec.c";
	if (!is_ready(bench) || !has_file(bench, file))
		return;
	g_autofree char *cec = km_kernel_config(&bench->kernel, "MEDIA_CEC_RC");
	g_autofree char *maps = km_kernel_config(&bench->kernel, "RC_MAP");
	if (!cec || !maps) {
		g_test_skip("this kernel is not configured for it");
		return;
	}
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) units = units_of(bench, "above", file, "/* c */", &error);
	if (!units && strstr(error->message, "not among the modules"))
		return;
	g_assert_no_error(error);
	g_assert_cmpuint(units->len, ==, 1);
}

/* Needs flask.h, made by a program that object trees of distributions do not have. */
static void test_generated_header(Bench *bench, gconstpointer unused)
{
	if (!is_ready(bench) || !has_file(bench, "security/selinux/hooks.c"))
		return;
	g_autofree char *value = km_kernel_config(&bench->kernel, "SECURITY_SELINUX");
	if (!value) {
		g_test_skip("this kernel has no SELinux");
		return;
	}
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) units = units_of(bench, "generated", "security/selinux/hooks.c", "/* c */", &error);
	g_assert_no_error(error);
	g_assert_cmpuint(units->len, ==, 1);
	const KmUnit *unit = units->pdata[0];
	g_assert_cmpstr(unit->owner, ==, "vmlinux");
	assert_same_file(unit->original, unit->patched);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/units/a comment changes nothing", Bench, NULL, bench_setup, test_comment_changes_nothing,
		   bench_teardown);
	g_test_add("/units/a patch that does not compile", Bench, NULL, bench_setup, test_patch_that_does_not_compile,
		   bench_teardown);
	g_test_add("/units/not built", Bench, NULL, bench_setup, test_not_built, bench_teardown);
	g_test_add("/units/not built beside built", Bench, NULL, bench_setup, test_not_built_beside_built,
		   bench_teardown);
	g_test_add("/units/made elsewhere", Bench, NULL, bench_setup, test_made_elsewhere, bench_teardown);
	g_test_add("/units/listed above", Bench, NULL, bench_setup, test_listed_above, bench_teardown);
	g_test_add("/units/generated header", Bench, NULL, bench_setup, test_generated_header, bench_teardown);
	return g_test_run();
}
