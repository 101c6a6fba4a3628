/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86-64. A PC-relative field counts from the end of its instruction, which an immediate operand can move away from the
 * end of the field: `cmpl $1, x(%rip)` is R_X86_64_PC32 x-5, and `movl $1, x(%rip)` is x-8. So the bias is in the code.
 */
#include <capstone/capstone.h>
#include <elf.h>
#include <string.h>

#include "arch/table.h"
#include "elf/object.h"

#define ROW KM_RELOC_ROW
#define B1 0xff
#define B2 0xffff
#define B4 0xffffffff
#define B8 G_MAXUINT64

/* x86-64 psABI, table "Relocation Types". */
static const KmRelocInfo relocs[] = {
	ROW(0, "R_X86_64_NONE", KM_RELOC_NONE, 0, 0),
	ROW(1, "R_X86_64_64", KM_RELOC_ABS, 8, B8),
	ROW(2, "R_X86_64_PC32", KM_RELOC_PC, 4, B4),
	ROW(3, "R_X86_64_GOT32", KM_RELOC_GOT, 4, B4),
	ROW(4, "R_X86_64_PLT32", KM_RELOC_CALL, 4, B4),
	ROW(5, "R_X86_64_COPY", KM_RELOC_OTHER, 0, 0),
	ROW(6, "R_X86_64_GLOB_DAT", KM_RELOC_OTHER, 8, B8),
	ROW(7, "R_X86_64_JUMP_SLOT", KM_RELOC_OTHER, 8, B8),
	ROW(8, "R_X86_64_RELATIVE", KM_RELOC_OTHER, 8, B8),
	ROW(9, "R_X86_64_GOTPCREL", KM_RELOC_GOT, 4, B4),
	ROW(10, "R_X86_64_32", KM_RELOC_ABS, 4, B4),
	ROW(11, "R_X86_64_32S", KM_RELOC_ABS, 4, B4),
	ROW(12, "R_X86_64_16", KM_RELOC_ABS, 2, B2),
	ROW(13, "R_X86_64_PC16", KM_RELOC_PC, 2, B2),
	ROW(14, "R_X86_64_8", KM_RELOC_ABS, 1, B1),
	ROW(15, "R_X86_64_PC8", KM_RELOC_PC, 1, B1),
	ROW(16, "R_X86_64_DTPMOD64", KM_RELOC_OTHER, 8, B8),
	ROW(17, "R_X86_64_DTPOFF64", KM_RELOC_OTHER, 8, B8),
	ROW(18, "R_X86_64_TPOFF64", KM_RELOC_OTHER, 8, B8),
	ROW(19, "R_X86_64_TLSGD", KM_RELOC_OTHER, 4, B4),
	ROW(20, "R_X86_64_TLSLD", KM_RELOC_OTHER, 4, B4),
	ROW(21, "R_X86_64_DTPOFF32", KM_RELOC_OTHER, 4, B4),
	ROW(22, "R_X86_64_GOTTPOFF", KM_RELOC_OTHER, 4, B4),
	ROW(23, "R_X86_64_TPOFF32", KM_RELOC_OTHER, 4, B4),
	ROW(24, "R_X86_64_PC64", KM_RELOC_PC, 8, B8),
	ROW(25, "R_X86_64_GOTOFF64", KM_RELOC_TOC, 8, B8),
	ROW(26, "R_X86_64_GOTPC32", KM_RELOC_OTHER, 4, B4),
	ROW(27, "R_X86_64_GOT64", KM_RELOC_GOT, 8, B8),
	ROW(28, "R_X86_64_GOTPCREL64", KM_RELOC_GOT, 8, B8),
	ROW(29, "R_X86_64_GOTPC64", KM_RELOC_OTHER, 8, B8),
	ROW(30, "R_X86_64_GOTPLT64", KM_RELOC_GOT, 8, B8),
	ROW(31, "R_X86_64_PLTOFF64", KM_RELOC_TOC, 8, B8),
	ROW(32, "R_X86_64_SIZE32", KM_RELOC_OTHER, 4, B4),
	ROW(33, "R_X86_64_SIZE64", KM_RELOC_OTHER, 8, B8),
	ROW(34, "R_X86_64_GOTPC32_TLSDESC", KM_RELOC_OTHER, 4, B4),
	ROW(35, "R_X86_64_TLSDESC_CALL", KM_RELOC_HINT, 0, 0),
	ROW(36, "R_X86_64_TLSDESC", KM_RELOC_OTHER, 0, 0),
	ROW(37, "R_X86_64_IRELATIVE", KM_RELOC_OTHER, 8, B8),
	ROW(38, "R_X86_64_RELATIVE64", KM_RELOC_OTHER, 8, B8),
	ROW(41, "R_X86_64_GOTPCRELX", KM_RELOC_GOT, 4, B4),
	ROW(42, "R_X86_64_REX_GOTPCRELX", KM_RELOC_GOT, 4, B4),
	ROW(43, "R_X86_64_CODE_4_GOTPCRELX", KM_RELOC_GOT, 4, B4),
	KM_RELOC_END,
};

static const char *const hooks[] = { "__fentry__", "mcount", NULL };
/* arch/x86/lib/retpoline.S: with mitigations, every function ends with a jump there. */
static const char *const returns[] = { "__x86_return_thunk", NULL };

/* Registers by their number in instructions: rax 0, rcx 1, rdx 2, rbx 3, rsp 4, rbp 5, rsi 6, rdi 7, r8 to r15. */
#define BITS_OF_ARGUMENTS (1 << 7 | 1 << 6 | 1 << 2 | 1 << 1 | 1 << 8 | 1 << 9)
#define BITS_OF_SCRATCH (BITS_OF_ARGUMENTS | 1 << 0 | 1 << 10 | 1 << 11)

/* arch/x86/lib/retpoline.S */
static const KmSiteTable sites[] = {
	{ ".return_sites", "__x86_return_thunk" },
	{ ".retpoline_sites", "__x86_indirect_thunk_" },
	{ ".call_sites", "" },
	{ NULL, NULL },
};

static gboolean is_pc_relative(guint32 type)
{
	switch (type) {
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
	case R_X86_64_GOTPCREL:
	case R_X86_64_GOTPCRELX:
	case R_X86_64_REX_GOTPCRELX:
	case 43: /* R_X86_64_CODE_4_GOTPCRELX */
	case R_X86_64_GOTTPOFF:
	case R_X86_64_GOTPC32_TLSDESC:
		return TRUE;
	default:
		return FALSE;
	}
}

/*
 * The common memory operands without an immediate: mov, lea, add, sub, cmp, test, xor, and, or, xchg, movsxd, call/jmp/push.
 * A VEX, EVEX or 0f 3a encoding can use the same opcode byte with an immediate: left to the disassembler.
 */
static gboolean surely_no_immediate(const guint8 *field, gsize before)
{
	static const guint8 opcodes[] = { 0x8b, 0x89, 0x8d, 0x03, 0x01, 0x2b, 0x29, 0x3b, 0x39, 0x33, 0x31, 0x0b, 0x09,
					  0x23, 0x21, 0x38, 0x3a, 0x84, 0x85, 0x86, 0x87, 0x88, 0x8a, 0x63, 0xff };
	if (before < 2 || !memchr(opcodes, field[-2], sizeof(opcodes)))
		return FALSE;
	for (const guint8 *p = field - 3; p >= field - MIN(before, 7); p--)
		if (*p == 0x62 || *p == 0xc4 || *p == 0xc5 || *p == 0x3a)
			return FALSE;
	return TRUE;
}

/* Bytes from the field at offset to the end of the instruction that starts at start; 0 when it is not one with this field. */
static guint decode_at(csh handle, cs_insn *insn, const GByteArray *code, gsize start, gsize offset)
{
	const guint8 *p = code->data + start;
	gsize left = MIN(code->len - start, 16);
	guint64 address = start;
	if (!cs_disasm_iter(handle, &p, &left, &address, insn))
		return 0;
	/* The displacement follows the ModRM byte; Capstone 4 says 2 for its size after an operand size prefix: not asked. */
	const cs_x86_encoding *encoding = &insn->detail->x86.encoding;
	guint64 end = start + insn->size;
	if (!encoding->modrm_offset || start + encoding->modrm_offset + 1 != offset || end < offset + 4)
		return 0;
	return (guint)(start + insn->size - offset);
}

/*
 * The true start is unknown, but it is one of the few places before the field from which an instruction with a displacement
 * exactly there decodes. Nearly always they all end at the same byte (they are suffixes of the true one, without its prefixes).
 */
static guint bias_by_suffixes(csh handle, cs_insn *insn, const GByteArray *code, gsize offset)
{
	guint found = 0;
	for (gsize back = 2; back <= 11 && back <= offset; back++) {
		guint bias = decode_at(handle, insn, code, offset - back, offset);
		if (bias && found && bias != found)
			return 0;
		if (bias)
			found = bias;
	}
	return found;
}

/* From the start of the section, instruction by instruction; a byte that does not decode is stepped over. */
static guint bias_by_walking(csh handle, cs_insn *insn, const GByteArray *code, gsize offset)
{
	const guint8 *p = code->data;
	gsize left = code->len;
	guint64 address = 0;
	while (left && address <= offset) {
		gsize start = address;
		if (!cs_disasm_iter(handle, &p, &left, &address, insn)) {
			p++, left--, address++;
			continue;
		}
		if (address > offset)
			return address >= offset + 4 && start < offset ? (guint)(address - offset) : 4;
	}
	return 4;
}

static guint bias_by_disassembly(const GByteArray *code, gsize offset)
{
	csh handle;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
		return 4;
	cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
	cs_insn *insn = cs_malloc(handle);
	guint bias = bias_by_suffixes(handle, insn, code, offset);
	if (!bias)
		bias = bias_by_walking(handle, insn, code, offset);
	cs_free(insn, 1);
	cs_close(&handle);
	return bias;
}

static gint64 target_offset(const KmSection *section, gsize reloc_index)
{
	const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, reloc_index);
	gsize offset = reloc->offset;

	if (!(section->flags & SHF_EXECINSTR) || !is_pc_relative(reloc->type) || !section->data ||
	    section->data->len < 4 || offset > section->data->len - 4)
		return reloc->addend;
	const guint8 *field = section->data->data + offset;
	/* Without a ModRM byte that says "relative to rip" it is a branch, which has nothing behind its field. */
	if (offset < 2 || (field[-1] & 0xc7) != 0x05 || surely_no_immediate(field, offset))
		return reloc->addend + 4;
	return reloc->addend + bias_by_disassembly(section->data, offset);
}

static gboolean symbol_value(guint32 type, const guint8 *field, guint64 place, gint64 addend, guint64 *value)
{
	guint32 f32;
	guint64 f64;
	switch (type) {
	case R_X86_64_64:
	case R_X86_64_PC64:
		memcpy(&f64, field, sizeof(f64));
		*value = GUINT64_FROM_LE(f64) - addend + (type == R_X86_64_PC64 ? place : 0);
		return TRUE;
	case R_X86_64_32:
		memcpy(&f32, field, sizeof(f32));
		*value = (guint64)GUINT32_FROM_LE(f32) - addend;
		return TRUE;
	case R_X86_64_32S:
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		memcpy(&f32, field, sizeof(f32));
		*value = (guint64)(gint64)(gint32)GUINT32_FROM_LE(f32) - addend + (type == R_X86_64_32S ? 0 : place);
		return TRUE;
	default:
		return FALSE;
	}
}

/* Is insn a jump or call to a place given relative to its end? Then its immediate field and target. */
static gboolean relative_branch(csh handle, const cs_insn *insn, KmBranch *branch)
{
	const cs_x86 *x86 = &insn->detail->x86;
	if (!cs_insn_group(handle, insn, CS_GRP_BRANCH_RELATIVE) || !x86->encoding.imm_offset)
		return FALSE;
	gboolean wide = x86->encoding.imm_size == 4;
	*branch = (KmBranch){
		.field = insn->address + x86->encoding.imm_offset,
		.target = (guint64)x86->operands[0].imm,
		.type = wide ? R_X86_64_PLT32 : 0,
		.addend = wide ? -4 : -1,
	};
	return TRUE;
}

static GArray *branches_out(const KmSection *section, guint64 start, guint64 end)
{
	GArray *found = g_array_new(FALSE, FALSE, sizeof(KmBranch));
	csh handle;
	if (!section->data || end > section->data->len || cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
		return found;
	cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
	cs_insn *insn = cs_malloc(handle);
	const guint8 *p = section->data->data + start;
	gsize left = end - start;
	guint64 address = start;
	while (left) {
		KmBranch branch;
		if (!cs_disasm_iter(handle, &p, &left, &address, insn)) {
			p++, left--, address++;
			continue;
		}
		if (relative_branch(handle, insn, &branch) && !km_arch_has_reloc(section, branch.field, 4))
			km_arch_add_branch(found, &branch, start, end);
	}
	cs_free(insn, 1);
	cs_close(&handle);
	return found;
}

/* objtool: `jmp rel8` becomes the two-byte NOP, `jmp rel32` and `call rel32` the five-byte one. */
static guint nop_over(const guint8 *ours, const guint8 *theirs, gsize room)
{
	static const guint8 nop2[] = { 0x66, 0x90 }, nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	if (room >= sizeof(nop2) && ours[0] == 0xeb && memcmp(theirs, nop2, sizeof(nop2)) == 0)
		return sizeof(nop2);
	if (room >= sizeof(nop5) && (ours[0] == 0xe9 || ours[0] == 0xe8) && memcmp(theirs, nop5, sizeof(nop5)) == 0)
		return sizeof(nop5);
	return 0;
}

/* struct static_key begins with its count (include/linux/jump_label.h); any value but 0 means on. */
static char *test_key(const char *key, gboolean when_set, const char *target)
{
	return g_strdup_printf("\tcmpl\t$0, %s(%%rip)\n\t%s\t%s\n", key, when_set ? "jne" : "je", target);
}

/*
 * For a symbol of the same file the assembler writes PC32 into call and jmp too. Every other instruction with such a field has a
 * ModRM byte before it that says "relative to rip"; no branch has one.
 */
static gboolean is_branch(const KmSection *section, gsize reloc_index)
{
	guint64 offset = g_array_index(section->relocs, KmReloc, reloc_index).offset;
	KmRelocKind kind = km_arch_kind(relocs, section, reloc_index);
	if (kind != KM_RELOC_PC || !km_section_is_text(section) || offset < 1 || offset > section->data->len)
		return kind == KM_RELOC_CALL;
	return (section->data->data[offset - 1] & 0xc7) != 0x05;
}

/* Compilers put a prefix that does nothing before branches to the thunks of r8 to r15, so that all such sites are equally long. */
static gboolean has_prefix(const KmReloc *reloc)
{
	const char *name = reloc->symbol->name, *thunk = "__x86_indirect_thunk_r";
	return g_str_has_prefix(name, thunk) && g_ascii_isdigit(name[strlen(thunk)]);
}

/* e8: call; e9: jmp; 0f 8x: a conditional jump. */
static guint64 branch_start(const KmSection *section, gsize reloc_index, gboolean *call)
{
	const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, reloc_index);
	guint64 field = g_array_index(section->relocs, KmReloc, reloc_index).offset;
	const guint8 *p = section->data ? section->data->data + field : NULL;
	*call = p && field >= 1 && field <= section->data->len && p[-1] == 0xe8;
	if (p && field >= 2 && field <= section->data->len && p[-2] == 0x0f && (p[-1] & 0xf0) == 0x80)
		return field - 2;
	if (p && field >= 2 && field <= section->data->len && has_prefix(reloc) && p[-2] == 0x2e)
		return field - 2;
	return field - MIN(field, 1);
}

/*
 * struct orc_entry: where the caller's frame ends, counted from which register. The call has pushed the return address, and nothing
 * else; the frame pointer is the caller's.
 */
static gboolean unwinds_entry(const guint8 *row, guint size)
{
	static const guint8 entry[] = { 8, 0, 0, 0, 0x05 /* ORC_REG_SP, bp: ORC_REG_UNDEFINED */ };
	return size > sizeof(entry) && !memcmp(row, entry, sizeof(entry));
}

const KmArch km_arch_x86_64 = {
	.name = "x86_64",
	.debian = "amd64",
	.kbuild = "x86",
	.triplet = "x86_64-linux-gnu",
	.qemu = "x86_64",
	.qemu_user = "x86_64",
	.machine = EM_X86_64,
	.big_endian = FALSE,
	.can_build = TRUE,
	.has_runtime = TRUE,
	.capstone_arch = CS_ARCH_X86,
	.capstone_mode = (int)(CS_MODE_64),
	.insn_size = 1,
	.abs64 = R_X86_64_64,
	.pc32 = R_X86_64_PC32,
	.relocs = relocs,
	.hooks = hooks,
	.sites = sites,
	.is_branch = is_branch,
	.branch_start = branch_start,
	.target_offset = target_offset,
	.symbol_value = symbol_value,
	.test_key = test_key,
	.read_constant = km_arch_x86_64_read_constant,
	.branches_out = branches_out,
	.is_annotation = km_arch_is_label,
	.code_fill = 0xcc, /* int3 */
	.nop_over = nop_over,
	.step = km_arch_x86_64_step,
	.arguments = BITS_OF_ARGUMENTS,
	.results = 1 << 0 | 1 << 2, /* 16 bytes come in rax and rdx */
	.scratch = BITS_OF_SCRATCH,
	.returns = returns,
	.mentions = km_arch_x86_64_mentions,
	.unwinds_entry = unwinds_entry,
	.entry = &km_entry_x86_64,
	.local_entry = km_arch_no_local_entry,
};
