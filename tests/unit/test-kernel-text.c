/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The texts that say what a kernel is: configurations, Module.symvers, apt's records, releases. */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/apt.h"
#include "kernel/compiler.h"
#include "kernel/config.h"
#include "kernel/debian.h"
#include "kernel/exact.h"
#include "kernel/symvers.h"

#define assert_text(value, expected)                                                                                   \
	do {                                                                                                           \
		g_autofree char *value_ = (value);                                                                     \
		g_assert_cmpstr(value_, ==, (expected));                                                               \
	} while (0)

static char *value(const char *text, const char *option)
{
	return km_config_value(text, strlen(text), option);
}

static void test_config(void)
{
	static const char text[] = "# CONFIG_OFF is not set\n"
				   "CONFIG_LIVEPATCH=y\n"
				   "CONFIG_LIVEPATCH_MORE=m\n"
				   "CONFIG_EMPTY=\"\"\n"
				   "CONFIG_TEXT=\"gcc-12 (Debian 12.2.0-14) \\\"x\\\" 12.2.0\"\n"
				   "CONFIG_DOS=16\r\n"
				   "CONFIG_LAST=0x10";
	assert_text(value(text, "LIVEPATCH"), "y");
	assert_text(value(text, "LIVEPATCH_MORE"), "m");
	assert_text(value(text, "EMPTY"), "");
	assert_text(value(text, "TEXT"), "gcc-12 (Debian 12.2.0-14) \"x\" 12.2.0");
	assert_text(value(text, "DOS"), "16");
	assert_text(value(text, "LAST"), "0x10");
	assert_text(value(text, "OFF"), NULL);
	assert_text(value(text, "LIVE"), NULL);
	assert_text(value("", "LIVE"), NULL);
	assert_text(km_config_file_value("/nonexistent", "LIVE"), NULL);
}

static void test_symvers(void)
{
	static const char text[] = "0x12345678\tvmalloc\tvmlinux\tEXPORT_SYMBOL\t\n"
				   "0xffffffff\tdma_buf_put\tdrivers/dma-buf/dma-buf\tEXPORT_SYMBOL_GPL\tDMA_BUF\n"
				   "0x00000000\told\tfs/ext4/ext4\tEXPORT_SYMBOL\n";
	g_autoptr(GError) error = NULL;
	g_autoptr(GHashTable) table = km_symvers_parse(text, strlen(text), &error);
	g_assert_no_error(error);
	g_assert_cmpuint(g_hash_table_size(table), ==, 3);
	const KmSymver *symver = g_hash_table_lookup(table, "dma_buf_put");
	g_assert_cmphex(symver->crc, ==, 0xffffffff);
	g_assert_cmpstr(symver->owner, ==, "dma_buf");
	g_assert_cmpstr(symver->export, ==, "EXPORT_SYMBOL_GPL");
	g_assert_cmpstr(symver->namespace, ==, "DMA_BUF");
	symver = g_hash_table_lookup(table, "vmalloc");
	g_assert_cmpstr(symver->owner, ==, "vmlinux");
	g_assert_cmpstr(symver->namespace, ==, "");
	symver = g_hash_table_lookup(table, "old");
	g_assert_cmpstr(symver->owner, ==, "ext4");
}

static void test_symvers_broken(void)
{
	const char *const broken[] = {
		"12345678\tx\tvmlinux\tEXPORT_SYMBOL\t\n",     "0x123456789\tx\tvmlinux\tEXPORT_SYMBOL\t\n",
		"0x12345678\t\tvmlinux\tEXPORT_SYMBOL\t\n",    "0x12345678\tx\n",
		"0xnumber\tx\tvmlinux\tEXPORT_SYMBOL\t\n",     "0x1\ta\tb\tc\td\te\n",
		"0x1\tx\tvmlinux\tEXPORT_SYMBOL\t\ngarbage\n", "\177ELF\1\1\n",
	};
	for (gsize i = 0; i < G_N_ELEMENTS(broken); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(km_symvers_parse(broken[i], strlen(broken[i]), &error));
		g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
		g_assert_nonnull(strstr(error->message, "line "));
	}
}

static void test_apt_records(void)
{
	static const char text[] = "Package: linux-image-6.1.0-56-amd64\n"
				   "Source: linux-signed-amd64 (6.1.192+2)\n"
				   "Version: 6.1.192-2\n"
				   "Depends: kmod, linux-base (>= 4.3~), initramfs-tools | linux-initramfs-tool\n"
				   "Description: Linux 6.1\n"
				   " Version: not a field\n"
				   "Built-Using: foo (= 1), linux (= 6.1.192-2)\n"
				   "Size: 70550672\n"
				   "\n"
				   "Package: linux-headers-x\n"
				   "Source: linux-6.12 (6.12.1-1)\n"
				   "Version: 6.12.1-1+b1\n"
				   "\n"
				   "Package: linux-kbuild-6.1\n"
				   "Source: linux\n"
				   "Version: 6.1.9-1\n\n";
	g_autoptr(GPtrArray) list = km_apt_parse(text);
	g_assert_cmpuint(list->len, ==, 3);
	const KmAptPackage *image = list->pdata[0], *rebuilt = list->pdata[1], *plain = list->pdata[2];
	/* The signed package's own source is only signatures. */
	g_assert_cmpstr(image->source, ==, "linux");
	g_assert_cmpstr(image->source_version, ==, "6.1.192-2");
	g_assert_cmpstr(image->version, ==, "6.1.192-2");
	g_assert_cmpuint(image->size, ==, 70550672);
	g_assert_cmpstr(rebuilt->source, ==, "linux-6.12");
	g_assert_cmpstr(rebuilt->source_version, ==, "6.12.1-1");
	g_assert_cmpstr(plain->source_version, ==, "6.1.9-1");
	g_autoptr(GPtrArray) none = km_apt_parse("");
	g_assert_cmpuint(none->len, ==, 0);
}

static void test_apt_depends(void)
{
	static const char depends[] =
		"linux-headers-6.1.0-56-common (= 6.1.192-2), linux-kbuild-6.1:any (>= 6.1.192-2), "
		"a [amd64] | linux-image-x (= 1)";
	assert_text(km_apt_dependency(depends, "linux-kbuild-"), "linux-kbuild-6.1");
	assert_text(km_apt_dependency(depends, "linux-headers-"), "linux-headers-6.1.0-56-common");
	assert_text(km_apt_dependency(depends, "linux-image-"), "linux-image-x");
	assert_text(km_apt_dependency(depends, "linux-source-"), NULL);
	assert_text(km_apt_dependency("", "linux-"), NULL);
}

static const char *flavour(const char *release)
{
	const KmArch *arch = km_debian_flavour(release);
	return arch ? arch->name : NULL;
}

static void test_flavour(void)
{
	g_assert_cmpstr(flavour("6.1.0-56-amd64"), ==, "x86_64");
	g_assert_cmpstr(flavour("6.12.117+deb12-cloud-amd64"), ==, "x86_64");
	g_assert_cmpstr(flavour("6.1.0-56-rt-arm64"), ==, "arm64");
	g_assert_cmpstr(flavour("6.12.117+deb12-arm64-16k"), ==, "arm64");
	g_assert_cmpstr(flavour("6.1.0-56-powerpc64le"), ==, "ppc64le");
	g_assert_cmpstr(flavour("6.1.0-56-s390x"), ==, "s390x");
	g_assert_cmpstr(flavour("amd64"), ==, "x86_64");
	g_assert_cmpstr(flavour("6.1.0-56-mips"), ==, NULL);
	g_assert_cmpstr(flavour("6.1.0"), ==, NULL);
}

static void test_uname_version(void)
{
	assert_text(km_debian_uname_version("#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"), "6.1.192-2");
	/* Cut off by the kernel: the version may not be whole. */
	assert_text(km_debian_uname_version("#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1~deb1"), NULL);
	assert_text(km_debian_uname_version("#1 SMP Debian "), NULL);
	assert_text(km_debian_uname_version("#1 SMP Ubuntu"), NULL);
}

static void test_compiler_version(void)
{
	assert_text(km_compiler_version("gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"), "12.2.0");
	assert_text(km_compiler_version("Debian clang version 14.0.6"), "14.0.6");
	assert_text(km_compiler_version("gcc"), NULL);
	assert_text(km_compiler_version(""), NULL);
}

/* A kernel with only a configuration, to find the compiler for. */
static KmKernel *configured_for(const KmTempDir *dir, const KmArch *arch, const char *text)
{
	KmKernel *kernel = g_new0(KmKernel, 1);
	g_autofree char *config = g_strdup_printf("CONFIG_CC_VERSION_TEXT=\"%s\"\n", text);
	kernel->name = g_strdup("test");
	kernel->arch = arch;
	kernel->config = g_build_filename(dir->path, ".config", NULL);
	g_assert_true(g_file_set_contents(kernel->config, config, -1, NULL));
	km_compiler_find(kernel);
	return kernel;
}

static KmKernel *configured(const KmTempDir *dir, const char *text)
{
	return configured_for(dir, km_arch_host(), text);
}

/* A fake compiler at the front of PATH. */
static void make_compiler(const KmTempDir *dir, const char *name, const char *version, const char *machine)
{
	g_autofree char *path = g_build_filename(dir->path, name, NULL);
	g_autofree char *script =
		g_strdup_printf("#!/bin/sh\n[ $1 = -dumpmachine ] && echo '%s' || echo '%s (Distro %s-1) %s'\n",
				machine, name, version, version);
	g_assert_true(g_file_set_contents_full(path, script, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

static void test_compiler(void)
{
	const KmArch *host = km_arch_host();
	if (!host) {
		g_test_skip("this machine's architecture is none of ours");
		return;
	}
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test", NULL);
	g_autofree char *path = g_strconcat(dir->path, ":", g_getenv("PATH"), NULL);
	g_setenv("PATH", path, TRUE);
	make_compiler(dir, "gcc-91", "91.2.0", host->triplet);
	make_compiler(dir, "gcc-92", "92.1.0", "m68k-linux-gnu");

	g_autoptr(KmKernel) same = configured(dir, "gcc-91 (Distro 91.2.0-1) 91.2.0");
	g_assert_cmpstr(same->compiler, ==, "gcc-91");
	g_assert_null(same->compiler_note);
	g_autoptr(KmKernel) other = configured(dir, "gcc-91 (Distro 91.2.0-2) 91.2.0");
	g_assert_cmpstr(other->compiler, ==, "gcc-91");
	g_assert_nonnull(other->compiler_note);
	g_autoptr(KmKernel) foreign = configured(dir, "gcc-92 (Distro 92.1.0-1) 92.1.0");
	g_assert_null(foreign->compiler);
	g_assert_nonnull(strstr(foreign->compiler_problem, "apt-get install gcc-92"));
	g_autoptr(KmKernel) none = configured(dir, "");
	g_assert_null(none->compiler);
	g_assert_nonnull(none->compiler_problem);
}

static void test_apt_dependencies(void)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(names, g_strdup("cpp-12"));
	km_apt_add_dependencies("gcc-12-base (= 12.2.0-14), libc6 (>= 2.36) | libc6.1, cpp-12:any", names);
	km_apt_add_dependencies("libc6, zlib1g (>= 1:1.1.4)", names);
	km_apt_add_dependencies("", names);
	g_ptr_array_add(names, NULL);
	g_autofree char *all = g_strjoinv(" ", (char **)names->pdata);
	g_assert_cmpstr(all, ==, "cpp-12 gcc-12-base libc6 zlib1g");
}

/* An architecture that is not this machine's. */
static const KmArch *foreign_arch(void)
{
	const KmArch *const *arch = km_arch_all();
	return *arch == km_arch_host() ? arch[1] : *arch;
}

/* What a fetch would have put there. */
static char *make_exact(const KmTempDir *dir, const KmArch *arch)
{
	g_autofree char *name = g_strdup_printf("compiler/%s-gcc-93-93.2.0-1+fix1/bin", arch->name);
	g_autofree char *bin = g_build_filename(dir->path, name, NULL);
	g_autofree char *command = g_strdup_printf("%s-gcc-93", arch->triplet);
	char *path = g_build_filename(bin, command, NULL);
	g_assert_true(km_make_dirs(bin, NULL));
	g_assert_true(g_file_set_contents_full(path, "#!/bin/sh\n", -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
	return path;
}

static void assert_message(const char *text, const char *pattern)
{
	g_assert_nonnull(text);
	if (!g_pattern_match_simple(pattern, text))
		g_error("'%s' does not match '%s'", text, pattern);
}

/* A foreign kernel's compiler: the cross compiler of that version is another build. */
static void test_exact(void)
{
	const char *text = "gcc-93 (Distro 93.2.0-1+fix1) 93.2.0";
	const KmArch *arch = foreign_arch();
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test", NULL);
	g_autofree char *cross = g_strdup_printf("%s-gcc-93", arch->triplet);
	g_autofree char *emulator = g_strdup_printf("qemu-%s", arch->qemu_user);
	g_autofree char *old_path = g_strdup(g_getenv("PATH"));
	g_setenv("KMEND_CACHE", dir->path, TRUE);
	g_setenv("PATH", dir->path, TRUE);

	g_autoptr(KmKernel) nothing = configured_for(dir, arch, text);
	g_assert_null(nothing->compiler);
	assert_message(nothing->compiler_problem,
		       "*`apt-get install gcc-93-* qemu-user-static`, then `kmend kernel fetch test`*");
	make_compiler(dir, cross, "93.2.0", arch->triplet);
	g_autoptr(KmKernel) alike = configured_for(dir, arch, text);
	g_assert_cmpstr(alike->compiler, ==, cross);
	assert_message(alike->compiler_note, "*`apt-get install qemu-user-static`, then `kmend kernel fetch test`*");

	g_autofree char *exact = make_exact(dir, arch);
	g_autoptr(KmKernel) cannot = configured_for(dir, arch, text);
	g_assert_null(cannot->compiler);
	assert_message(cannot->compiler_problem, "*cannot run on this machine yet: `apt-get install qemu-user-static`");
	make_compiler(dir, emulator, "7", "");
	g_autoptr(KmKernel) chosen = configured_for(dir, arch, text);
	g_assert_cmpstr(chosen->compiler, ==, exact);
	g_assert_null(chosen->compiler_note);
	/* Another package of the same number is not it, and the cross compiler may be the very one. */
	g_autoptr(KmKernel) other = configured_for(dir, arch, "gcc-93 (Distro 93.2.0-1+fix2) 93.2.0");
	g_assert_cmpstr(other->compiler, ==, cross);
	assert_message(other->compiler_note, "*`kmend kernel fetch test` sets up the very one");
	g_autoptr(KmKernel) same = configured_for(dir, arch, "gcc-93 (Distro 93.2.0-1) 93.2.0");
	g_assert_cmpstr(same->compiler, ==, cross);
	g_assert_null(same->compiler_note);
	g_setenv("PATH", old_path, TRUE);
	g_unsetenv("KMEND_CACHE");
}

static void test_exact_applies(void)
{
	const KmArch *arch = foreign_arch();
	g_assert_true(km_exact_applies(arch, "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"));
	g_assert_false(km_exact_applies(arch, "gcc (GCC) 12.2.0"));
	g_assert_false(km_exact_applies(arch, "gcc-12 (Debian ../../x) 12.2.0"));
	g_assert_false(km_exact_applies(arch, "gcc-12 (Debian 12.2.0-14'; rm) 12.2.0"));
	g_assert_false(km_exact_applies(arch, "Debian clang version 14.0.6"));
	g_assert_false(km_exact_applies(arch, ""));
	if (km_arch_host())
		g_assert_false(km_exact_applies(km_arch_host(), "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kernel/config", test_config);
	g_test_add_func("/kernel/symvers", test_symvers);
	g_test_add_func("/kernel/symvers/broken", test_symvers_broken);
	g_test_add_func("/kernel/apt/records", test_apt_records);
	g_test_add_func("/kernel/apt/depends", test_apt_depends);
	g_test_add_func("/kernel/debian/flavour", test_flavour);
	g_test_add_func("/kernel/debian/uname", test_uname_version);
	g_test_add_func("/kernel/compiler/version", test_compiler_version);
	g_test_add_func("/kernel/compiler/find", test_compiler);
	g_test_add_func("/kernel/apt/dependencies", test_apt_dependencies);
	g_test_add_func("/kernel/compiler/exact", test_exact);
	g_test_add_func("/kernel/compiler/exact/applies", test_exact_applies);
	return g_test_run();
}
