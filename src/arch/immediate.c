/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two pieces of code that differ in immediate operands only, on any architecture. */
#include <capstone/capstone.h>
#include <string.h>

#include "arch/arch.h"

typedef struct {
	const KmArch *arch;
	csh handle;
	cs_insn *a, *b;
} Reader;

static gboolean reader_open(Reader *reader, const KmArch *arch)
{
	reader->arch = arch;
	if (cs_open((cs_arch)arch->capstone_arch, (cs_mode)arch->capstone_mode, &reader->handle) != CS_ERR_OK)
		return FALSE;
	cs_option(reader->handle, CS_OPT_DETAIL, CS_OPT_ON);
	reader->a = cs_malloc(reader->handle);
	reader->b = cs_malloc(reader->handle);
	return TRUE;
}

static void reader_close(Reader *reader)
{
	cs_free(reader->a, 1);
	cs_free(reader->b, 1);
	cs_close(&reader->handle);
}

static gboolean read_one(const Reader *reader, cs_insn *insn, const guint8 *code, gsize size, gsize at)
{
	const guint8 *p = code + at;
	gsize left = size - at;
	guint64 address = at;
	return cs_disasm_iter(reader->handle, &p, &left, &address, insn);
}

/* A number that is an operand of its own: not part of a name, and no displacement in [..] or before (..). */
static gboolean is_operand(const char *text, const char *number, const char *end)
{
	const char *open = NULL;
	for (const char *p = text; p < number; p++)
		open = *p == '[' ? p : *p == ']' ? NULL : open;
	if (open || *end == '(' || (number > text && (g_ascii_isalnum(number[-1]) || number[-1] == '_')))
		return FALSE;
	return !*end || *end == ',' || *end == ' ';
}

/* "edx, 0x51" and "edx, 0x53": the one operand in which they differ. */
static gboolean one_number_differs(const char *a, const char *b, KmImmediate *found)
{
	gsize i = 0;
	while (a[i] && a[i] == b[i])
		i++;
	/* Back to where that number starts. */
	while (i && g_ascii_isxdigit(a[i - 1]))
		i--;
	if (i >= 2 && a[i - 1] == 'x' && a[i - 2] == '0')
		i -= 2;
	if (i && a[i - 1] == '-' && b[i - 1] == '-')
		i--;
	char *a_end, *b_end;
	found->was = g_ascii_strtoll(a + i, &a_end, 0);
	found->now = g_ascii_strtoll(b + i, &b_end, 0);
	return a_end != a + i && b_end != b + i && !strcmp(a_end, b_end) && is_operand(a, a + i, a_end);
}

static gboolean is_branch(const Reader *reader, const cs_insn *insn)
{
	return cs_insn_group(reader->handle, insn, CS_GRP_JUMP) || cs_insn_group(reader->handle, insn, CS_GRP_CALL) ||
	       cs_insn_group(reader->handle, insn, CS_GRP_BRANCH_RELATIVE);
}

static gboolean compare_one(const Reader *reader, gsize at, GArray *found)
{
	KmImmediate immediate = { .offset = at, .size = reader->a->size };
	if (reader->a->size != reader->b->size || reader->a->id != reader->b->id || is_branch(reader, reader->a) ||
	    strcmp(reader->a->mnemonic, reader->b->mnemonic) ||
	    !one_number_differs(reader->a->op_str, reader->b->op_str, &immediate))
		return FALSE;
	g_array_append_val(found, immediate);
	return TRUE;
}

/* Newer instructions than the disassembler knows are no obstacle as long as they are equal. */
static gsize unknown_size(const KmArch *arch, const guint8 *insn)
{
	return arch->insn_size ? arch->insn_size : arch->insn_length(insn);
}

static gboolean compare_all(const Reader *reader, const guint8 *a, const guint8 *b, gsize size, GArray *found)
{
	for (gsize at = 0, length; at < size; at += length) {
		gboolean known = read_one(reader, reader->a, a, size, at);
		length = MIN(known ? reader->a->size : unknown_size(reader->arch, a + at), size - at);
		if (!memcmp(a + at, b + at, length))
			continue;
		if (!known || !read_one(reader, reader->b, b, size, at) || !compare_one(reader, at, found))
			return FALSE;
	}
	return TRUE;
}

static gboolean compare_numbers(const KmArch *arch, const guint8 *a, const guint8 *b, gsize size, GArray *found)
{
	for (gsize at = 0, length; at < size; at += length) {
		KmImmediate immediate = { .offset = at };
		guint64 a_rest, b_rest;
		length = arch->number(a + at, size - at, &immediate.was, &a_rest);
		if (!length || length != arch->number(b + at, size - at, &immediate.now, &b_rest) || a_rest != b_rest) {
			length = MIN(arch->insn_length(a + at), size - at);
			if (memcmp(a + at, b + at, length))
				return FALSE;
		} else if (memcmp(a + at, b + at, length)) {
			immediate.size = (guint)length;
			g_array_append_val(found, immediate);
		}
	}
	return TRUE;
}

GArray *km_arch_immediates(const KmArch *arch, const guint8 *a, const guint8 *b, gsize size)
{
	Reader reader;
	if (!arch->number && !reader_open(&reader, arch))
		return NULL;
	GArray *found = g_array_new(FALSE, FALSE, sizeof(KmImmediate));
	if (!(arch->number ? compare_numbers(arch, a, b, size, found) : compare_all(&reader, a, b, size, found)))
		g_clear_pointer(&found, g_array_unref);
	if (!arch->number)
		reader_close(&reader);
	return found;
}
