/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Out-of-tree modules: which source a file of a patch belongs to, and which modules a kernel takes. */
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "cmd/cmd.h"
#include "elf/object.h"
#include "kernel/external.h"
#include "kernel/kernel.h"
#include "kernel/patch-file.h"
#include "kernel/patch.h"

#define HUNK "@@ -1 +1 @@\n-int a;\n+int b;\n"
#define NEW_HUNK "@@ -0,0 +1 @@\n+int b;\n"

typedef struct {
	KmTempDir *temp;
	char *trees[4]; /* of which "kernel" is the first */
	char *patch;
	KmKernel kernel;
} Bench;

static void put(const char *dir, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);
	g_assert_true(km_make_dirs(parent, NULL));
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void bench_setup(Bench *b, gconstpointer unused)
{
	static const char *const names[] = { "kernel", "one", "two" };
	static const char *const files[] = { "fs/x.c", "main.c", "sub/other.c" };
	b->temp = km_tempdir_new(NULL, "test-oot", NULL);
	g_assert_nonnull(b->temp);
	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		b->trees[i] = g_build_filename(b->temp->path, names[i], NULL);
		put(b->trees[i], files[i], "int a;\n");
		put(b->trees[i], "Makefile", "int a;\n");
	}
	put(b->trees[1], "both.c", "int a;\n");
	put(b->trees[2], "both.c", "int a;\n");
	b->patch = g_build_filename(b->temp->path, "x.patch", NULL);
	b->kernel.name = b->kernel.release = (char *)"9.8.7-test";
	b->kernel.arch = km_arch_by_name("x86_64");
}

static void bench_teardown(Bench *b, gconstpointer unused)
{
	for (guint i = 0; b->trees[i]; i++)
		g_free(b->trees[i]);
	g_clear_pointer(&b->kernel.exports, g_hash_table_unref);
	g_clear_pointer(&b->kernel.outside, g_hash_table_unref);
	g_free(b->kernel.symvers);
	g_free(b->patch);
	km_tempdir_free(b->temp);
}

/* A patch of these files; one that begins with '+' is new. */
static KmPatches *split(const Bench *b, const char *const *files, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	for (; *files; files++) {
		gboolean is_new = **files == '+';
		const char *name = *files + is_new;
		g_string_append_printf(text, "--- %s%s\n+++ b/%s\n%s", is_new ? "/dev/null" : "a/", is_new ? "" : name,
				       name, is_new ? NEW_HUNK : HUNK);
	}
	g_assert_true(g_file_set_contents(b->patch, text->str, -1, NULL));
	const char *patches[] = { b->patch, NULL };
	return km_patches_read(patches, (const char *const *)b->trees, error);
}

static void assert_trees(const Bench *b, const char *const *files, const guint *trees)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmPatches) patches = split(b, files, &error);
	g_assert_no_error(error);
	const KmPatchText *text = patches->texts->pdata[0];
	for (guint i = 0; i < text->files->len; i++)
		g_assert_cmpuint(((const KmPatchFile *)text->files->pdata[i])->tree, ==, trees[i]);
}

static void assert_not_split(const Bench *b, const char *const *files, const char *words)
{
	g_autoptr(GError) error = NULL;
	g_assert_null(split(b, files, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_nonnull(strstr(error->message, words));
	g_assert_nonnull(strstr(error->message, b->patch));
}

static void test_split(Bench *b, gconstpointer unused)
{
	const char *const each[] = { "fs/x.c", "main.c", "sub/other.c", NULL };
	const guint each_tree[] = { 0, 1, 2 };
	const char *const along[] = { "Makefile", "main.c", "+new.c", "README.rst", NULL };
	const guint along_tree[] = { 1, 1, 1, KM_NO_TREE };
	const char *const below[] = { "fs/x.c", "main.c", "+sub/new.c", NULL };
	const guint below_tree[] = { 0, 1, 2 };
	const char *const guess[] = { "main.c", "+fs/new.h", "tools/x.sh", "README", NULL };
	const guint guess_tree[] = { 1, 1, 0, 1 };
	const char *const ours[] = { "fs/x.c", "+fs/new.h", "tools/x.sh", NULL };
	const guint ours_tree[] = { 0, 0, 0 };
	put(b->trees[0], "tools/x.sh", "");
	put(b->trees[1], "README", "");
	assert_trees(b, ours, ours_tree);
	assert_trees(b, guess, guess_tree);
	assert_trees(b, each, each_tree);
	assert_trees(b, along, along_tree);
	assert_trees(b, below, below_tree);
}

static void test_not_split(Bench *b, gconstpointer unused)
{
	const char *const both[] = { "main.c", "both.c", NULL };
	const char *const nowhere[] = { "main.c", "fs/y.c", NULL };
	const char *const nobody[] = { "+new.c", NULL };
	const char *const torn[] = { "main.c", "fs/x.c", "Makefile", NULL };
	assert_not_split(b, both, "both.c could be in any of several sources");
	assert_not_split(b, nowhere, "fs/y.c is in none of the sources");
	assert_not_split(b, nobody, "new.c could be in any");
	assert_not_split(b, torn, "Makefile could be in any");
}

/* Each tree's overlay has its own files and no others. */
static void test_overlays(Bench *b, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	const char *const files[] = { "main.c", "sub/other.c", NULL };
	g_autoptr(KmPatches) patches = split(b, files, &error);
	g_assert_no_error(error);
	g_assert_false(km_patches_touch(patches, 0));
	for (guint i = 1; i <= 2; i++) {
		g_autofree char *name = g_strdup_printf("overlay-%u", i);
		g_autofree char *dir = g_build_filename(b->temp->path, name, NULL);
		g_assert_true(km_make_dirs(dir, NULL));
		g_assert_true(km_patches_touch(patches, i));
		g_autoptr(KmOverlay) overlay = km_overlay_new_of(patches, i, dir, &error);
		g_assert_no_error(error);
		g_assert_cmpuint(overlay->files->len, ==, 1);
		g_assert_cmpstr(((const KmTouched *)overlay->files->pdata[0])->path, ==, files[i - 1]);
	}
}

static void assert_holds(const char *dir, const char *name, const char *wanted)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, wanted);
}

/* Where a header is touched: whatever way leads to it, the patched one is found, and what lies beside the source still is. */
static void test_farm(Bench *b, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	const char *const files[] = { "main.c", "tools/x.h", NULL };
	put(b->trees[1], "tools/x.h", "int a;\n");
	g_autofree char *absolute = g_build_filename(b->trees[1], "tools", NULL);
	g_autofree char *link = g_build_filename(b->trees[1], "absolute", NULL);
	g_autofree char *relative = g_build_filename(b->trees[1], "relative", NULL);
	g_assert_cmpint(symlink(absolute, link), ==, 0);
	g_assert_cmpint(symlink("../one/tools", relative), ==, 0);
	g_autoptr(KmPatches) patches = split(b, files, &error);
	g_assert_no_error(error);
	g_autofree char *dir = g_build_filename(b->temp->path, "overlay", NULL);
	g_assert_true(km_make_dirs(dir, NULL));
	g_autoptr(KmOverlay) overlay = km_overlay_new_of(patches, 1, dir, &error);
	g_assert_no_error(error);
	g_assert_true(overlay->wants_farm && overlay->outside);
	g_assert_true(km_overlay_plant(overlay, NULL, &error));
	g_assert_no_error(error);
	assert_holds(overlay->farm, "tools/x.h", "int b;\n");
	assert_holds(overlay->farm, "absolute/x.h", "int b;\n");
	assert_holds(overlay->farm, "relative/x.h", "int b;\n");
	assert_holds(overlay->farm, "main.c", "int b;\n");
	assert_holds(overlay->farm, "both.c", "int a;\n");
	assert_holds(overlay->farm, "../two/sub/other.c", "int a;\n");
	assert_holds(b->trees[1], "tools/x.h", "int a;\n");
}

/* tags: separated by '|'. exports: a name with CRC 0x11223344; imports: a name and the CRC it wants. */
static char *make_module(const Bench *b, const char *file, const char *tags, const char *export, const char *import,
			 guint32 crc)
{
	g_autoptr(GError) error = NULL;
	char *path = g_build_filename(b->temp->path, file, NULL);
	g_autofree char *text = g_strdelimit(g_strdup(tags), "|", '\0');
	g_autoptr(KmObject) object = km_object_new(b->kernel.arch, path);
	KmSection *modinfo = km_object_add_section(object, ".modinfo", SHT_PROGBITS, SHF_ALLOC, 1);
	km_section_append(modinfo, text, strlen(tags) + 1, 1);
	KmSection *strings = km_object_add_section(object, ".rodata.str1.1", SHT_PROGBITS, SHF_ALLOC, 1);
	static const char paths[] = "x\0in main.c\0/var/lib/x/1.0/build/sub/main.c\0/main.c";
	km_section_append(strings, paths, sizeof(paths), 1);
	guint8 number[64] = { 0 };
	if (export) {
		g_autofree char *symbol = g_strconcat("__ksymtab_", export, NULL);
		g_autofree char *sum = g_strconcat("__crc_", export, NULL);
		KmSection *table = km_object_add_section(object, "__kcrctab", SHT_PROGBITS, SHF_ALLOC, 4);
		km_object_put_u32(object, number + 4, 0x11223344);
		km_section_append(table, number, 8, 4);
		km_object_add_symbol(object, symbol, STB_LOCAL, STT_NOTYPE, table, 0, 0);
		km_object_add_symbol(object, sum, STB_LOCAL, STT_NOTYPE, table, 4, 0);
	}
	if (import) {
		KmSection *versions = km_object_add_section(object, "__versions", SHT_PROGBITS, SHF_ALLOC, 8);
		km_object_put_u64(object, number, crc);
		g_strlcpy((char *)number + 8, import, 56);
		km_section_append(versions, number, sizeof(number), 8);
	}
	km_object_write(object, path, &error);
	g_assert_no_error(error);
	return path;
}

#define VERMAGIC "|vermagic=9.8.7-test SMP"

static void assert_not_taken(Bench *b, const char *path, const char *other, const char *words)
{
	g_autoptr(GError) error = NULL;
	const char *paths[] = { path, other, NULL };
	g_assert_false(km_kernel_add_modules(&b->kernel, paths, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_nonnull(strstr(error->message, words));
	g_clear_pointer(&b->kernel.exports, g_hash_table_unref);
	g_clear_pointer(&b->kernel.outside, g_hash_table_unref);
}

static void test_modules(Bench *b, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	b->kernel.symvers = g_build_filename(b->temp->path, "Module.symvers", NULL);
	put(b->temp->path, "Module.symvers", "0x00000077\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n");
	g_autofree char *base = make_module(b, "file.ko", "name=my-base" VERMAGIC, "shared", "printk", 0x77);
	g_autofree char *user = make_module(b, "user.ko", "name=user" VERMAGIC, NULL, "shared", 0x11223344);
	const char *paths[] = { user, base, NULL };
	guint32 crc = 0;
	g_autofree char *owner = NULL;
	km_kernel_add_modules(&b->kernel, paths, &error);
	g_assert_no_error(error);
	g_autofree char *found = km_kernel_module_path(&b->kernel, "my_base");
	g_assert_cmpstr(found, ==, base);
	g_assert_true(km_kernel_is_outside(&b->kernel, "my-base"));
	g_assert_false(km_kernel_is_outside(&b->kernel, "printk"));
	g_assert_true(km_kernel_symvers(&b->kernel, "shared", &crc, &owner));
	g_assert_cmpuint(crc, ==, 0x11223344);
	g_assert_cmpstr(owner, ==, "my_base");
}

static void test_foreign_modules(Bench *b, gconstpointer unused)
{
	b->kernel.symvers = g_build_filename(b->temp->path, "Module.symvers", NULL);
	put(b->temp->path, "Module.symvers", "0x00000077\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n");
	g_autofree char *base = make_module(b, "a.ko", "name=base" VERMAGIC, "shared", NULL, 0);
	g_autofree char *twice = make_module(b, "b.ko", "name=base" VERMAGIC, NULL, NULL, 0);
	g_autofree char *other = make_module(b, "c.ko", "name=other|vermagic=9.8.7-tester SMP", NULL, NULL, 0);
	g_autofree char *none = make_module(b, "d.ko", "name=none", NULL, NULL, 0);
	g_autofree char *nameless = make_module(b, "e.ko", "a=b" VERMAGIC, NULL, NULL, 0);
	g_autofree char *patch = make_module(b, "f.ko", "name=lp|livepatch=Y" VERMAGIC, NULL, NULL, 0);
	g_autofree char *crc = make_module(b, "g.ko", "name=crc" VERMAGIC, NULL, "printk", 0x78);
	g_autofree char *user = make_module(b, "h.ko", "name=user" VERMAGIC, NULL, "shared", 0x11223345);
	g_autofree char *odd = make_module(b, "i.ko", "name=a/b" VERMAGIC, NULL, NULL, 0);
	assert_not_taken(b, base, twice, "given already");
	assert_not_taken(b, other, NULL, "was built for kernel '9.8.7-tester SMP'");
	assert_not_taken(b, none, NULL, "(no vermagic)");
	assert_not_taken(b, nameless, NULL, "no name");
	assert_not_taken(b, patch, NULL, "is a live patch");
	assert_not_taken(b, crc, NULL, "it wants printk with version 0x00000078, and vmlinux has it with 0x00000077");
	assert_not_taken(b, user, base, "it wants shared with version 0x11223345, and base has it");
	assert_not_taken(b, odd, NULL, "is no module name");
	b->kernel.arch = km_arch_by_name("s390x");
	assert_not_taken(b, base, NULL, "is for x86_64");
}

static KmObject *with_comment(const Bench *b, const char *text)
{
	KmObject *object = km_object_new(b->kernel.arch, "x.ko");
	KmSection *comment = km_object_add_section(object, ".comment", SHT_PROGBITS, 0, 1);
	km_section_append(comment, text, strlen(text) + 1, 1);
	return object;
}

/* Whoever made the module says so in it. */
static void test_compiler(Bench *b, gconstpointer unused)
{
	const char *const version[] = { "gcc", "--version", NULL };
	g_autofree char *said = km_run_checked(version, NULL, NULL);
	if (!said) {
		g_test_skip("no gcc here");
		return;
	}
	b->kernel.compiler = (char *)"gcc";
	g_autofree char *ours = g_strconcat("GCC: ", strchr(said, '('), NULL);
	*strchr(ours, '\n') = '\0';
	g_autoptr(KmObject) same = with_comment(b, ours), other = with_comment(b, "GCC: (Other 1-2) 1.2.3");
	g_autofree char *none = km_kernel_foreign_compiler(&b->kernel, same);
	g_autofree char *foreign = km_kernel_foreign_compiler(&b->kernel, other);
	g_assert_null(none);
	g_assert_cmpstr(foreign, ==, "GCC: (Other 1-2) 1.2.3");
}

static void test_stripped(Bench *b, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = make_module(b, "a.ko", "name=a" VERMAGIC, NULL, NULL, 0);
	g_autoptr(KmObject) object = km_object_read(path, &error);
	KmSection *text = km_object_add_section(object, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 16);
	km_section_append(text, "\x90\x90\x90\xc3", 4, 1);
	g_assert_true(km_object_write(object, path, &error));
	assert_not_taken(b, path, NULL, "is stripped");
	km_object_add_symbol(object, "work", STB_LOCAL, STT_FUNC, text, 0, 4);
	g_assert_true(km_object_write(object, path, &error));
	const char *paths[] = { path, NULL };
	g_assert_true(km_kernel_add_modules(&b->kernel, paths, &error));
}

static void test_built_at(Bench *b, gconstpointer unused)
{
	g_autofree char *path = make_module(b, "a.ko", "name=a", NULL, NULL, 0);
	g_autofree char *below = km_external_built_at(path, "sub/main.c", NULL);
	g_autofree char *top = km_external_built_at(path, "build/sub/main.c", NULL);
	g_autofree char *none = km_external_built_at(path, "other.c", NULL);
	g_assert_cmpstr(below, ==, "/var/lib/x/1.0/build/");
	g_assert_cmpstr(top, ==, "/var/lib/x/1.0/");
	g_assert_null(none);
}

static void assert_usage(const char *line, const char *words)
{
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) argv = g_strsplit(line, " ", -1);
	g_autofree char **args = g_memdup2(argv, (g_strv_length(argv) + 1) * sizeof(*argv));
	int exit_code = 0;
	g_assert_false(km_cmd_build((int)g_strv_length(argv), args, &exit_code, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_USAGE);
	g_assert_nonnull(strstr(error->message, words));
}

static void test_options(void)
{
	assert_usage("build -k none --oot-source /x a.patch", "--oot-source wants the module");
	assert_usage("build -k none --oot-module /x.ko a.patch", "--oot-module wants the source");
	assert_usage("build -k none --oot-source /x --oot-module /x.ko", "no patch given");
}

#define ADD(name, test) g_test_add(name, Bench, NULL, bench_setup, test, bench_teardown)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("/out-of-tree/split", test_split);
	ADD("/out-of-tree/not-split", test_not_split);
	ADD("/out-of-tree/overlays", test_overlays);
	ADD("/out-of-tree/farm", test_farm);
	ADD("/out-of-tree/modules", test_modules);
	ADD("/out-of-tree/foreign-modules", test_foreign_modules);
	ADD("/out-of-tree/compiler", test_compiler);
	ADD("/out-of-tree/stripped", test_stripped);
	ADD("/out-of-tree/built-at", test_built_at);
	g_test_add_func("/out-of-tree/options", test_options);
	return g_test_run();
}
