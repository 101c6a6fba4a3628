/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jump labels in a listing become tests of their keys; what is not understood stays as it is. */
#include "kernel/keys.h"

#define ROW(target, key) \
	"\t.pushsection __jump_table,  \"aw\" \n\t .balign 8 \n\t.long 1b - . \n\t.long " target " - . \n\t .quad " key " - .\n" \
	"\t.popsection \n\t\n"
#define BEFORE "#APP\n# 27 \"jump_label.h\" 1\n"
#define AFTER "# 0 \"\" 2\n#NO_APP\n\tret\n"

static const struct {
	const char *name, *before, *after;
} rows[] = {
	{ "unlikely", BEFORE "\t1:jmp .L2 # objtool NOPs this \n" ROW(".L2", "key+8 + 2") AFTER,
	  BEFORE "\tcmpl\t$0, key+8(%rip)\n\tjne\t.L2\n\t\n" AFTER },
	{ "likely", BEFORE "\t1:jmp .L2 # objtool NOPs this \n" ROW(".L2", "key + 3") AFTER,
	  BEFORE "\tcmpl\t$0, key(%rip)\n\tje\t.L2\n\t\n" AFTER },
	{ "nop", BEFORE "\t1:.byte 0x0f,0x1f,0x44,0x00,0x00\n\t\n" ROW(".L2", "key + 0") AFTER,
	  BEFORE "\tcmpl\t$0, key(%rip)\n\tjne\t.L2\n\t\n" AFTER },
	{ "two", BEFORE "\t1:jmp .L2\n" ROW(".L2", "a + 2") BEFORE "\t1:jmp .L3\n" ROW(".L3", "b + 2") AFTER,
	  BEFORE "\tcmpl\t$0, a(%rip)\n\tjne\t.L2\n\t\n" BEFORE "\tcmpl\t$0, b(%rip)\n\tjne\t.L3\n\t\n" AFTER },
	{ "no site", BEFORE "\tnop\n" ROW(".L2", "key + 2") AFTER, NULL },
	{ "other label", BEFORE "\t1:jmp .L2\n\t.pushsection __jump_table\n\t.long 2b - .\n\t.long .L2 - .\n\t.quad key + 2 - .\n", NULL },
	{ "unknown flags", BEFORE "\t1:jmp .L2\n" ROW(".L2", "key + 9") AFTER, NULL },
	{ "cut short", BEFORE "\t1:jmp .L2\n\t.pushsection __jump_table\n\t.long 1b - .\n", NULL },
	{ "nothing", "\tret\n", NULL },
	{ "empty", "", NULL },
};

static void test_rows(void)
{
	const KmArch *arch = km_arch_by_name("x86_64");
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = km_test_keys(rows[i].before, arch);
		g_test_message("%s", rows[i].name);
		g_assert_cmpstr(text, ==, rows[i].after ? rows[i].after : rows[i].before);
	}
}

#define ROW64(label, key) \
	"\t.pushsection\t__jump_table, \"aw\"\t\n\t.align\t\t3\t\n\t.long\t\t1b - ., " label " - .\t\n\t.quad\t\t" key " - .\t\n" \
	"\t.popsection\t\n"
#define PUSH64(key) "\tstr\tx16, [sp, #-16]!\n\tadrp\tx16, " key "\n\tldr\tw16, [x16, #:lo12:" key "]\n"
#define POP64(target) "\tldr\tx16, [sp], #16\n\tb\t" target "\n8:\tldr\tx16, [sp], #16\n"

static const struct {
	const char *name, *before, *after;
} rows64[] = {
	{ "unlikely", "\t1:\tnop\t\n" ROW64(".L3", "key") ".L4:\n", PUSH64("key") "\tcbz\tw16, 8f\n" POP64(".L3") ".L4:\n" },
	{ "likely", "\t1:\tb\t.L3\n" ROW64(".L3", "key+1") AFTER, PUSH64("key") "\tcbnz\tw16, 8f\n" POP64(".L3") AFTER },
	{ "inside", "\t1:\tnop\n" ROW64(".L3", "__tracepoint_x+9"), PUSH64("__tracepoint_x+8") "\tcbnz\tw16, 8f\n" POP64(".L3") },
	{ "anchor", "\t1:\tnop\n" ROW64(".L3", ".LANCHOR0+16"), PUSH64(".LANCHOR0+16") "\tcbz\tw16, 8f\n" POP64(".L3") },
	{ "unaligned", "\t1:\tnop\n" ROW64(".L3", "key+2"), NULL },
	{ "no name", "\t1:\tnop\n" ROW64(".L3", "8"), NULL },
	{ "two keys", "\t1:\tnop\n" ROW64(".L3", "a-b"), NULL },
	{ "no row", "\t1:\tnop\n\t.pushsection __jump_table\n\t.long 1b - ., .L3 - ., .L4 - .\n\t.quad key - .\n\t.popsection\n", NULL },
	{ "another section", "\t1:\tnop\n\t.pushsection __other\n\t.long 1b - ., .L3 - .\n\t.quad key - .\n\t.popsection\n", NULL },
};

static void test_arm64(void)
{
	const KmArch *arch = km_arch_by_name("arm64");
	for (gsize i = 0; i < G_N_ELEMENTS(rows64); i++) {
		g_autofree char *text = km_test_keys(rows64[i].before, arch);
		g_test_message("%s", rows64[i].name);
		g_assert_cmpstr(text, ==, rows64[i].after ? rows64[i].after : rows64[i].before);
	}
}

static void test_other_architecture(void)
{
	g_autofree char *text = km_test_keys(rows[0].before, km_arch_by_name("s390x"));
	g_assert_cmpstr(text, ==, rows[0].before);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/keys/rows", test_rows);
	g_test_add_func("/keys/arm64", test_arm64);
	g_test_add_func("/keys/other-architecture", test_other_architecture);
	return g_test_run();
}
