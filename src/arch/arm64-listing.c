/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For arm64, the code that stands in a listing instead of code that the kernel rewrites: KmArch.test_key and KmArch.read_constant.
 *
 * Every read of a variable needs a register for its address, and the compiler leaves none here, nor the flags. So one is
 * saved on the stack; kernel code has nothing below its stack pointer, and interrupts expect nothing there.
 */
#include "arch/table.h"

/* struct static_key begins with its count (include/linux/jump_label.h); any value but 0 means on. 8: a label of this text alone. */
char *km_arch_arm64_test_key(const char *key, gboolean when_set, const char *target)
{
	return g_strdup_printf("\tstr\tx16, [sp, #-16]!\n\tadrp\tx16, %s\n\tldr\tw16, [x16, #:lo12:%s]\n\t%s\tw16, 8f\n"
			       "\tldr\tx16, [sp], #16\n\tb\t%s\n8:\tldr\tx16, [sp], #16\n",
			       key, key, when_set ? "cbz" : "cbnz", target);
}

/* The number of a general register by its name with this prefix; -1 when it is none. The zero register is none. */
static int register_number(const char *name, char prefix)
{
	char *end;
	if (name[0] != prefix || !g_ascii_isdigit(name[1]))
		return -1;
	guint64 number = g_ascii_strtoull(name + 1, &end, 10);
	return *end || number > 30 ? -1 : (int)number;
}

/* arch/arm64/include/asm/runtime-const.h: movz and three movk build the placeholder 0x0123456789abcdef. */
static char *read_pointer(const char *symbol, const char *code)
{
	g_autofree char *reg = g_strndup(code, strcspn(code, ","));
	g_autofree char *destination = g_str_has_prefix(reg, "movz ") ? g_strdup(reg + 5) : g_strdup("");
	g_strstrip(destination);
	g_autofree char *expected = g_strdup_printf("movz %s, #0xcdef\nmovk %s, #0x89ab, lsl #16\n"
						    "movk %s, #0x4567, lsl #32\nmovk %s, #0x0123, lsl #48",
						    destination, destination, destination, destination);
	if (register_number(destination, 'x') < 0 || strcmp(code, expected))
		return NULL;
	return g_strdup_printf("\tadrp\t%s, %s\n\tldr\t%s, [%s, #:lo12:%s]\n", destination, symbol, destination,
			       destination, symbol);
}

/* "lsr w0,w1,#12": the count comes in a register that is neither of them. */
static char *read_shift(const char *symbol, const char *code)
{
	if (!g_str_has_prefix(code, "lsr "))
		return NULL;
	g_auto(GStrv) operands = g_strsplit(code + 4, ",", -1);
	for (char **o = operands; *o; o++)
		g_strstrip(*o);
	if (g_strv_length(operands) != 3 || strcmp(operands[2], "#12"))
		return NULL;
	int to = register_number(operands[0], 'w'), from = register_number(operands[1], 'w'), count = 9;
	while (count == to || count == from)
		count++;
	if (to < 0 || from < 0)
		return NULL;
	return g_strdup_printf("\tstr\tx%d, [sp, #-16]!\n\tadrp\tx%d, %s\n\tldr\tw%d, [x%d, #:lo12:%s]\n"
			       "\tlsr\tw%d, w%d, w%d\n\tldr\tx%d, [sp], #16\n",
			       count, count, symbol, count, count, symbol, to, from, count, count);
}

char *km_arch_arm64_read_constant(const char *kind, const char *symbol, const char *instruction)
{
	if (!strcmp(kind, "ptr"))
		return read_pointer(symbol, instruction);
	return !strcmp(kind, "shift") ? read_shift(symbol, instruction) : NULL;
}
