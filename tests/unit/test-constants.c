/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Constants that the kernel writes into its own code become reads of their variables; what is not understood stays as it is. */
#include "kernel/constants.h"

#define ROW(section, row) "1:\n.pushsection " section ",\"a\"\n\t" row "\n.popsection\n"
#define PTR(instruction) "#APP\n# 112 \"dcache.c\" 1\n\t" instruction "\n" ROW("runtime_ptr_table", ".long 1b - 8 - .") "# 0 \"\" 2\n"
#define SHIFT(instruction) "\t" instruction "\n" ROW("runtime_shift_n_bits", ".long 1b - 1 - .") "# 0 \"\" 2\n"
#define READS(text) "#APP\n# 112 \"dcache.c\" 1\n" text "# 0 \"\" 2\n"

static const struct {
	const char *name, *before, *after;
} rows[] = {
	{ "pointer", PTR("mov $81985529216486895,%rdx"), READS("\tmovq\ttable(%rip), %rdx\n") },
	{ "shift", SHIFT("shrl $12,%r9d"), "\tpushq\t%rcx\n\tmovl\tn_bits(%rip), %ecx\n\tshrl\t%cl, %r9d\n\tpopq\t%rcx\n# 0 \"\" 2\n" },
	{ "shift of ecx", SHIFT("shrl $12,%ecx"),
	  "\tpushq\t%rax\n\tmovl\t%ecx, %eax\n\tmovl\tn_bits(%rip), %ecx\n\tshrl\t%cl, %eax\n\tmovl\t%eax, %ecx\n\tpopq\t%rax\n# 0 \"\" 2\n" },
	{ "two", PTR("mov $81985529216486895,%rax") PTR("mov $81985529216486895,%r15"),
	  READS("\tmovq\ttable(%rip), %rax\n") READS("\tmovq\ttable(%rip), %r15\n") },
	{ "another number", PTR("mov $1,%rdx"), NULL },
	{ "another register", PTR("mov $81985529216486895,%edx"), NULL },
	{ "another instruction", PTR("movabsq $81985529216486895,%rdx"), NULL },
	{ "rsp", SHIFT("shrl $12,%esp"), NULL },
	{ "another kind", "\tmov $81985529216486895,%rdx\n" ROW("runtime_mask_x", ".long 1b - 8 - ."), NULL },
	{ "another row", "\tmov $81985529216486895,%rdx\n" ROW("runtime_ptr_x", ".quad 1b - 8"), NULL },
	{ "two rows", "\tmov $81985529216486895,%rdx\n" ROW("runtime_ptr_x", ".long 1b - 8 - .\n\t.long 1b - 8 - ."), NULL },
	{ "another label", "\tmov $81985529216486895,%rdx\n2:\n.pushsection runtime_ptr_x,\"a\"\n\t.long 1b - 8 - .\n.popsection\n", NULL },
	{ "no name", "\tmov $81985529216486895,%rdx\n" ROW("runtime_ptr_", ".long 1b - 8 - ."), NULL },
	{ "cut short", "\tmov $81985529216486895,%rdx\n1:\n.pushsection runtime_ptr_x,\"a\"\n\t.long 1b - 8", NULL },
	{ "first line", ".pushsection runtime_ptr_x,\"a\"\n\t.long 1b - 8 - .\n.popsection\n", NULL },
	{ "second line", "1:\n.pushsection runtime_ptr_x,\"a\"\n\t.long 1b - 8 - .\n.popsection\n", NULL },
	{ "nothing", "\tret\n", NULL },
	{ "empty", "", NULL },
};

static void test_rows(void)
{
	const KmArch *arch = km_arch_by_name("x86_64");
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = km_read_constants(rows[i].before, arch);
		g_test_message("%s", rows[i].name);
		g_assert_cmpstr(text, ==, rows[i].after ? rows[i].after : rows[i].before);
	}
}

#define AT64(code, section) "#APP\n1:\t" code "\n\t.pushsection " section ",\"a\"\n\t.long 1b - .\n\t.popsection\n#NO_APP\n"
#define MOVES(a, b) \
	"movz " a ", #0xcdef\n\tmovk " a ", #0x89ab, lsl #16\n\tmovk " a ", #0x4567, lsl #32\n\tmovk " b ", #0x0123, lsl #48"
#define LOAD64(n) "#APP\n\tstr\tx" n ", [sp, #-16]!\n\tadrp\tx" n ", bits\n\tldr\tw" n ", [x" n ", #:lo12:bits]\n"

static const struct {
	const char *name, *before, *after;
} rows64[] = {
	{ "pointer", AT64(MOVES("x7", "x7"), "runtime_ptr_table"),
	  "#APP\n\tadrp\tx7, table\n\tldr\tx7, [x7, #:lo12:table]\n#NO_APP\n" },
	{ "shift", AT64("lsr w0,w1,#12", "runtime_shift_bits"),
	  LOAD64("9") "\tlsr\tw0, w1, w9\n\tldr\tx9, [sp], #16\n#NO_APP\n" },
	{ "shift of w9", AT64("lsr w10,w9,#12", "runtime_shift_bits"),
	  LOAD64("11") "\tlsr\tw10, w9, w11\n\tldr\tx11, [sp], #16\n#NO_APP\n" },
	{ "two registers", AT64(MOVES("x7", "x8"), "runtime_ptr_table"), NULL },
	{ "half a register", AT64(MOVES("w7", "w7"), "runtime_ptr_table"), NULL },
	{ "no register", AT64(MOVES("xzr", "xzr"), "runtime_ptr_table"), NULL },
	{ "another count", AT64("lsr w0,w1,#11", "runtime_shift_bits"), NULL },
	{ "another width", AT64("lsr x0,x1,#12", "runtime_shift_bits"), NULL },
	{ "another kind", AT64("lsr w0,w1,#12", "runtime_mask_bits"), NULL },
	{ "label behind", "\tlsr w0,w1,#12\n1:\n\t.pushsection runtime_shift_bits,\"a\"\n\t.long 1b - .\n\t.popsection\n", NULL },
};

static void test_arm64(void)
{
	const KmArch *arch = km_arch_by_name("arm64");
	for (gsize i = 0; i < G_N_ELEMENTS(rows64); i++) {
		g_autofree char *text = km_read_constants(rows64[i].before, arch);
		g_test_message("%s", rows64[i].name);
		g_assert_cmpstr(text, ==, rows64[i].after ? rows64[i].after : rows64[i].before);
	}
}

static void test_other_architecture(void)
{
	g_autofree char *text = km_read_constants(rows[0].before, km_arch_by_name("s390x"));
	g_assert_cmpstr(text, ==, rows[0].before);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/constants/rows", test_rows);
	g_test_add_func("/constants/arm64", test_arm64);
	g_test_add_func("/constants/other-architecture", test_other_architecture);
	return g_test_run();
}
