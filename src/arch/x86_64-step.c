/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KmArch.step for x86-64: what an instruction does with the values of registers. Told exactly only for the instructions that
 * compilers use on addresses; any other one is odd, and nothing that goes into it is followed any further.
 */
#include <capstone/capstone.h>

#include "arch/table.h"
#include "elf/object.h"

typedef enum {
	ODD,
	NOTHING, /* no general register gets anything: nop, cmp, fences */
	MOVE, /* the first operand gets what the others give */
	UPDATE, /* likewise, together with its own value */
	MAYBE, /* MOVE, or nothing happens */
	FRESH, /* the first operand gets a value that comes from no register: setcc, pop */
	PUSH,
} Kind;

/* What is in no row is odd. */
static const struct {
	unsigned int id;
	Kind kind;
} kinds
	[] = {
		{ X86_INS_NOP, NOTHING },  { X86_INS_CMP, NOTHING },	 { X86_INS_TEST, NOTHING },
		{ X86_INS_BT, NOTHING },   { X86_INS_LFENCE, NOTHING },	 { X86_INS_PAUSE, NOTHING },
		{ X86_INS_UD2, NOTHING }, /* of a WARN: it goes on behind it */
		{ X86_INS_INT3, NOTHING }, { X86_INS_ENDBR64, NOTHING }, { X86_INS_MOV, MOVE },
		{ X86_INS_MOVABS, MOVE },  { X86_INS_MOVZX, MOVE },	 { X86_INS_MOVSX, MOVE },
		{ X86_INS_MOVSXD, MOVE },  { X86_INS_LEA, MOVE },	 { X86_INS_ADD, UPDATE },
		{ X86_INS_SUB, UPDATE },   { X86_INS_AND, UPDATE },	 { X86_INS_OR, UPDATE },
		{ X86_INS_XOR, UPDATE },   { X86_INS_ADC, UPDATE },	 { X86_INS_SBB, UPDATE },
		{ X86_INS_SHL, UPDATE },   { X86_INS_SAL, UPDATE },	 { X86_INS_SHR, UPDATE },
		{ X86_INS_SAR, UPDATE },   { X86_INS_ROL, UPDATE },	 { X86_INS_ROR, UPDATE },
		{ X86_INS_NEG, UPDATE },   { X86_INS_NOT, UPDATE },	 { X86_INS_INC, UPDATE },
		{ X86_INS_DEC, UPDATE },   { X86_INS_BTS, UPDATE },	 { X86_INS_BTR, UPDATE },
		{ X86_INS_BSWAP, UPDATE }, { X86_INS_CMOVA, MAYBE },	 { X86_INS_CMOVAE, MAYBE },
		{ X86_INS_CMOVB, MAYBE },  { X86_INS_CMOVBE, MAYBE },	 { X86_INS_CMOVE, MAYBE },
		{ X86_INS_CMOVG, MAYBE },  { X86_INS_CMOVGE, MAYBE },	 { X86_INS_CMOVL, MAYBE },
		{ X86_INS_CMOVLE, MAYBE }, { X86_INS_CMOVNE, MAYBE },	 { X86_INS_CMOVNO, MAYBE },
		{ X86_INS_CMOVNP, MAYBE }, { X86_INS_CMOVNS, MAYBE },	 { X86_INS_CMOVO, MAYBE },
		{ X86_INS_CMOVP, MAYBE },  { X86_INS_CMOVS, MAYBE },	 { X86_INS_BSF, MAYBE },
		{ X86_INS_BSR, MAYBE },	   { X86_INS_SETA, FRESH },	 { X86_INS_SETAE, FRESH },
		{ X86_INS_SETB, FRESH },   { X86_INS_SETBE, FRESH },	 { X86_INS_SETE, FRESH },
		{ X86_INS_SETG, FRESH },   { X86_INS_SETGE, FRESH },	 { X86_INS_SETL, FRESH },
		{ X86_INS_SETLE, FRESH },  { X86_INS_SETNE, FRESH },	 { X86_INS_SETNO, FRESH },
		{ X86_INS_SETNP, FRESH },  { X86_INS_SETNS, FRESH },	 { X86_INS_SETO, FRESH },
		{ X86_INS_SETP, FRESH },   { X86_INS_SETS, FRESH },	 { X86_INS_POP, FRESH },
		{ X86_INS_PUSH, PUSH },
	};

static Kind kind_of(const cs_insn *insn)
{
	guint8 operands = insn->detail->x86.op_count;
	/* The form with one operand multiplies into two registers. */
	if (insn->id == X86_INS_IMUL)
		return operands == 3 ? MOVE : operands == 2 ? UPDATE : ODD;
	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (kinds[i].id == insn->id)
			return kinds[i].kind;
	return ODD;
}

/* The bit of a general register of any width; 0 for any other register. Whole: nothing of the old value is left when it is written. */
static guint64 bit_of(unsigned int reg, gboolean *whole)
{
	static const unsigned int wide[][2] = {
		{ X86_REG_RAX, X86_REG_EAX },  { X86_REG_RCX, X86_REG_ECX },  { X86_REG_RDX, X86_REG_EDX },
		{ X86_REG_RBX, X86_REG_EBX },  { X86_REG_RSP, X86_REG_ESP },  { X86_REG_RBP, X86_REG_EBP },
		{ X86_REG_RSI, X86_REG_ESI },  { X86_REG_RDI, X86_REG_EDI },  { X86_REG_R8, X86_REG_R8D },
		{ X86_REG_R9, X86_REG_R9D },   { X86_REG_R10, X86_REG_R10D }, { X86_REG_R11, X86_REG_R11D },
		{ X86_REG_R12, X86_REG_R12D }, { X86_REG_R13, X86_REG_R13D }, { X86_REG_R14, X86_REG_R14D },
		{ X86_REG_R15, X86_REG_R15D },
	};
	static const unsigned int narrow[][3] = {
		{ X86_REG_AX, X86_REG_AL, X86_REG_AH }, { X86_REG_CX, X86_REG_CL, X86_REG_CH },
		{ X86_REG_DX, X86_REG_DL, X86_REG_DH }, { X86_REG_BX, X86_REG_BL, X86_REG_BH },
		{ X86_REG_SP, X86_REG_SPL, 0 },		{ X86_REG_BP, X86_REG_BPL, 0 },
		{ X86_REG_SI, X86_REG_SIL, 0 },		{ X86_REG_DI, X86_REG_DIL, 0 },
		{ X86_REG_R8W, X86_REG_R8B, 0 },	{ X86_REG_R9W, X86_REG_R9B, 0 },
		{ X86_REG_R10W, X86_REG_R10B, 0 },	{ X86_REG_R11W, X86_REG_R11B, 0 },
		{ X86_REG_R12W, X86_REG_R12B, 0 },	{ X86_REG_R13W, X86_REG_R13B, 0 },
		{ X86_REG_R14W, X86_REG_R14B, 0 },	{ X86_REG_R15W, X86_REG_R15B, 0 },
	};
	for (guint i = 0; reg != X86_REG_INVALID && i < G_N_ELEMENTS(wide); i++) {
		*whole = reg == wide[i][0] || reg == wide[i][1];
		if (*whole || reg == narrow[i][0] || reg == narrow[i][1] || (narrow[i][2] && reg == narrow[i][2]))
			return G_GUINT64_CONSTANT(1) << i;
	}
	return 0;
}

static void add_address(const cs_x86_op *op, KmStep *step)
{
	gboolean whole;
	step->addresses |= bit_of(op->mem.base, &whole) | bit_of(op->mem.index, &whole);
}

/* An operand that is read. A vector register would carry a value out of sight. */
static void add_input(const cs_x86_op *op, KmStep *step)
{
	gboolean whole;
	if (op->type == X86_OP_REG) {
		guint64 bit = bit_of(op->reg, &whole);
		step->inputs |= bit;
		step->odd |= !bit;
	} else if (op->type == X86_OP_MEM) {
		add_address(op, step);
		step->loads |= !step->computes;
		step->loads_pointer |= !step->computes && op->size >= 8;
	}
}

static void add_output(const cs_x86_op *op, Kind kind, KmStep *step)
{
	gboolean whole = TRUE;
	if (op->type == X86_OP_MEM) {
		add_address(op, step);
		step->stores = TRUE;
		return;
	}
	guint64 bit = op->type == X86_OP_REG ? bit_of(op->reg, &whole) : 0;
	step->outputs |= bit;
	step->kept |= whole && kind != MAYBE ? 0 : bit;
	step->odd |= !bit;
}

/* xor eax, eax and sub eax, eax: zero, whatever the register held. */
static gboolean is_zero(const cs_insn *insn)
{
	const cs_x86 *x86 = &insn->detail->x86;
	return (insn->id == X86_INS_XOR || insn->id == X86_INS_SUB) && x86->operands[0].type == X86_OP_REG &&
	       x86->operands[1].type == X86_OP_REG && x86->operands[0].reg == x86->operands[1].reg;
}

static void read_operands(const cs_insn *insn, Kind kind, KmStep *step)
{
	const cs_x86 *x86 = &insn->detail->x86;
	gboolean writes = kind == MOVE || kind == UPDATE || kind == MAYBE || kind == FRESH;
	step->computes = insn->id == X86_INS_LEA || insn->id == X86_INS_NOP;
	step->stores = kind == PUSH;
	for (guint i = 0; i < x86->op_count; i++) {
		const cs_x86_op *op = &x86->operands[i];
		gboolean own = i == 0 && writes;
		if ((!own || kind == UPDATE) && !(writes && is_zero(insn)))
			add_input(op, step);
		if (own)
			add_output(op, kind, step);
	}
}

static void read_odd(csh handle, const cs_insn *insn, KmStep *step)
{
	cs_regs read, written;
	uint8_t n_read = 0, n_written = 0;
	step->odd = TRUE;
	if (cs_regs_access(handle, insn, read, &n_read, written, &n_written))
		step->inputs = G_MAXUINT64;
	gboolean whole;
	for (guint i = 0; i < n_read; i++)
		step->inputs |= bit_of(read[i], &whole);
	for (guint i = 0; i < insn->detail->x86.op_count; i++) {
		const cs_x86_op *op = &insn->detail->x86.operands[i];
		if (op->type == X86_OP_REG)
			step->inputs |= bit_of(op->reg, &whole);
		else if (op->type == X86_OP_MEM)
			step->inputs |= bit_of(op->mem.base, &whole) | bit_of(op->mem.index, &whole);
	}
}

static gboolean read_flow(csh handle, const cs_insn *insn, KmStep *step)
{
	const cs_x86 *x86 = &insn->detail->x86;
	gboolean call = cs_insn_group(handle, insn, CS_GRP_CALL), jump = cs_insn_group(handle, insn, CS_GRP_JUMP);
	if (cs_insn_group(handle, insn, CS_GRP_RET)) {
		step->flow = KM_FLOW_RETURN;
		return TRUE;
	}
	if (!call && !jump)
		return FALSE;
	gboolean always = insn->id == X86_INS_JMP || insn->id == X86_INS_LJMP;
	step->flow = call ? KM_FLOW_CALL : always ? KM_FLOW_JUMP : KM_FLOW_BRANCH;
	step->direct = x86->op_count == 1 && x86->operands[0].type == X86_OP_IMM;
	if (step->direct)
		step->target = (guint64)x86->operands[0].imm;
	else if (x86->op_count == 1 && x86->operands[0].type == X86_OP_MEM)
		add_address(&x86->operands[0], step);
	return TRUE;
}

/* An immediate operand comes last in an instruction, a displacement before it. */
static KmField field_of(const cs_insn *insn, guint64 field)
{
	const cs_x86 *x86 = &insn->detail->x86;
	gboolean immediate = FALSE, memory = FALSE;
	if (field < insn->address || field >= insn->address + insn->size)
		return KM_FIELD_NONE;
	for (guint i = 0; i < x86->op_count; i++) {
		immediate |= x86->operands[i].type == X86_OP_IMM;
		memory |= x86->operands[i].type == X86_OP_MEM;
	}
	guint64 left = insn->address + insn->size - field;
	if (memory && (!immediate || left > 4))
		return KM_FIELD_ADDRESS;
	return KM_FIELD_VALUE;
}

static void read_place(const cs_insn *insn, KmStep *step)
{
	const cs_x86 *x86 = &insn->detail->x86;
	for (guint i = 0; i < x86->op_count; i++) {
		if (x86->operands[i].type != X86_OP_MEM || x86->operands[i].mem.base != X86_REG_RIP)
			continue;
		step->near = TRUE;
		step->place = insn->address + insn->size + (guint64)x86->operands[i].mem.disp;
	}
}

void km_arch_x86_64_step(gpointer data, const KmSection *section, guint64 offset, guint64 field, KmStep *step)
{
	KmArchReader *reader = data;
	*step = (KmStep){ 0 };
	if (!section->data || offset >= section->data->len)
		return;
	const guint8 *code = section->data->data + offset;
	size_t left = section->data->len - offset;
	uint64_t address = offset;
	cs_insn *insn = reader->insn;
	if (!cs_disasm_iter(reader->handle, &code, &left, &address, insn))
		return;
	step->size = insn->size;
	step->field = field_of(insn, field);
	read_place(insn, step);
	if (read_flow(reader->handle, insn, step))
		return;
	Kind kind = kind_of(insn);
	if (kind == ODD)
		read_odd(reader->handle, insn, step);
	else
		read_operands(insn, kind, step);
}
