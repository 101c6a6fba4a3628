/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KmArch.read_constant for x86-64: the statements of arch/x86/include/asm/runtime-const.h, read from the variable instead. */
#include "arch/table.h"

/* The placeholder that stands where the kernel will write a pointer. */
#define PLACEHOLDER G_GUINT64_CONSTANT(0x0123456789abcdef)

/* General registers by their names, of 64 and of 32 bits. */
static const struct {
	const char *wide, *narrow;
} registers[] = {
	{ "%rax", "%eax" },  { "%rbx", "%ebx" },  { "%rcx", "%ecx" },  { "%rdx", "%edx" },  { "%rsi", "%esi" },
	{ "%rdi", "%edi" },  { "%rbp", "%ebp" },  { "%r8", "%r8d" },   { "%r9", "%r9d" },   { "%r10", "%r10d" },
	{ "%r11", "%r11d" }, { "%r12", "%r12d" }, { "%r13", "%r13d" }, { "%r14", "%r14d" }, { "%r15", "%r15d" },
};

static gboolean is_register(const char *name, gboolean wide)
{
	for (gsize i = 0; i < G_N_ELEMENTS(registers); i++)
		if (!strcmp(name, wide ? registers[i].wide : registers[i].narrow))
			return TRUE;
	return FALSE;
}

/* "shrl $12,%eax" -> 12 and "%eax", when it begins with the word. NULL: it is written in another way. */
static const char *operands(const char *instruction, const char *word, guint64 *immediate)
{
	if (!g_str_has_prefix(instruction, word))
		return NULL;
	const char *p = instruction + strlen(word);
	p += strspn(p, " \t");
	char *end;
	if (*p != '$' || !g_ascii_isdigit(p[1]))
		return NULL;
	*immediate = g_ascii_strtoull(p + 1, &end, 0);
	return *end == ',' ? end + 1 + strspn(end + 1, " \t") : NULL;
}

/* Shifts by a variable count take it from cl. Kernel code has nothing below its stack pointer. */
static char *shift(const char *symbol, const char *value)
{
	if (!strcmp(value, "%ecx"))
		return g_strdup_printf("\tpushq\t%%rax\n\tmovl\t%%ecx, %%eax\n\tmovl\t%s(%%rip), %%ecx\n"
				       "\tshrl\t%%cl, %%eax\n\tmovl\t%%eax, %%ecx\n\tpopq\t%%rax\n",
				       symbol);
	return g_strdup_printf("\tpushq\t%%rcx\n\tmovl\t%s(%%rip), %%ecx\n\tshrl\t%%cl, %s\n\tpopq\t%%rcx\n", symbol,
			       value);
}

char *km_arch_x86_64_read_constant(const char *kind, const char *symbol, const char *instruction)
{
	guint64 immediate;
	const char *operand = operands(instruction, "mov ", &immediate);
	if (!strcmp(kind, "ptr") && operand && immediate == PLACEHOLDER && is_register(operand, TRUE))
		return g_strdup_printf("\tmovq\t%s(%%rip), %s\n", symbol, operand);
	operand = operands(instruction, "shrl ", &immediate);
	if (!strcmp(kind, "shift") && operand && is_register(operand, FALSE))
		return shift(symbol, operand);
	return NULL;
}
