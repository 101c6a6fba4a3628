/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects that kbuild makes for another directory: reading its lists, and telling which makefiles need not be asked. */
#include "kernel/elsewhere.h"

static void test_lists(void)
{
	g_autoptr(GHashTable) table = km_elsewhere_empty();
	km_elsewhere_read(
		table,
		"make -f x ../not/a/list.o\n"
		"kmend-list arch/x86/kvm/../../../virt/kvm/kvm_main.o  arch/x86/kvm/x86.o arch/x86/kvm/mmu/mmu.o\n"
		"kmend-list ./a/../b/one.o ./a/../b/one.o c/d/../../b/one.o a/../b/built-in.a a/../../out.o\n");
	const char *const *names = km_elsewhere_names(table, "virt/kvm/kvm_main.o");
	g_assert_nonnull(names);
	g_assert_cmpstr(names[0], ==, "arch/x86/kvm/../../../virt/kvm/kvm_main.o");
	g_assert_null(names[1]);
	names = km_elsewhere_names(table, "b/one.o");
	g_assert_nonnull(names);
	g_assert_cmpstr(names[0], ==, "a/../b/one.o");
	g_assert_cmpstr(names[1], ==, "c/d/../../b/one.o");
	g_assert_null(names[2]);
	g_assert_null(km_elsewhere_names(table, "arch/x86/kvm/mmu/mmu.o"));
	g_assert_null(km_elsewhere_names(table, "not/a/list.o"));
	g_assert_null(km_elsewhere_names(table, "b/built-in.a"));
}

static void test_suspects(void)
{
	g_assert_true(km_elsewhere_suspect("obj-y := a.o\nfoo-y := ../b/c.o\n"));
	g_assert_true(km_elsewhere_suspect("KVM := ..\n"));
	g_assert_true(km_elsewhere_suspect("include $(srctree)/virt/kvm/Makefile.kvm\n"));
	g_assert_true(km_elsewhere_suspect("  -include Makefile.local"));
	g_assert_false(km_elsewhere_suspect("# includes ../b/c.o\nobj-y := a.o sub/\n"));
	g_assert_false(km_elsewhere_suspect(""));
}

static void test_paths(void)
{
	g_autofree char *path = km_tree_path("a/b", "../c/./d.c");
	g_assert_cmpstr(path, ==, "a/c/d.c");
	g_autofree char *whole = km_tree_path("", "a/../b.o");
	g_assert_cmpstr(whole, ==, "b.o");
	g_assert_null(km_tree_path("a", ".."));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/elsewhere/lists", test_lists);
	g_test_add_func("/elsewhere/suspects", test_suspects);
	g_test_add_func("/elsewhere/paths", test_paths);
	return g_test_run();
}
