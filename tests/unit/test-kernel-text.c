/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The texts that say what a kernel is: configurations, Module.symvers, apt's records, releases. */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/apt.h"
#include "kernel/compiler.h"
#include "kernel/config.h"
#include "kernel/debian.h"
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
static KmKernel *configured(const KmTempDir *dir, const char *text)
{
	KmKernel *kernel = g_new0(KmKernel, 1);
	g_autofree char *config = g_strdup_printf("CONFIG_CC_VERSION_TEXT=\"%s\"\n", text);
	kernel->name = g_strdup("test");
	kernel->arch = km_arch_host();
	kernel->config = g_build_filename(dir->path, ".config", NULL);
	g_assert_true(g_file_set_contents(kernel->config, config, -1, NULL));
	km_compiler_find(kernel);
	return kernel;
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
	return g_test_run();
}
