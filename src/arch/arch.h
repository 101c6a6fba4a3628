/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything an instruction set decides, one file each behind this table. A new architecture is one file that fills one
 * KmArch, its row in arch.c, and its tests (tests/unit/test-arch.c); no other room names an architecture.
 */
#pragma once

#include <glib.h>

#include "arch/entry.h"

struct KmObject;
struct KmSection;
struct KmSymbol;

/* What the linker or loader computes for a relocation, as far as we need to tell. */
typedef enum {
	KM_RELOC_NONE,		/* nothing is written */
	KM_RELOC_ABS,		/* S + A */
	KM_RELOC_PC,		/* S + A - P, data or code */
	KM_RELOC_CALL,		/* a branch to a function, S + A - P, possibly through a stub */
	KM_RELOC_GOT,		/* through a slot that holds the address */
	KM_RELOC_TOC,		/* relative to the TOC or GOT pointer */
	KM_RELOC_HINT,		/* marks an instruction, writes nothing by itself (relaxation, TLS call, ENTRY) */
	KM_RELOC_OTHER,		/* known by name, not interpreted */
} KmRelocKind;

typedef struct {
	guint32 type;
	const char *name;	/* "R_X86_64_PC32" */
	KmRelocKind kind;
	guint8 size;		/* bytes of the section that hold the written field (0: none) */
	guint64 mask;		/* the bits it writes, as a number of size bytes in the object's byte order */
} KmRelocInfo;

/* A branch that the assembler resolved by itself because both ends lie in one section: it has no relocation. */
typedef struct {
	guint64 field;		/* offset in the section of the field that a relocation would write */
	guint64 target;		/* offset in the section */
	guint32 type;		/* r_type that would express it; 0: the field is too short for any the kernel's loader knows */
	gint64 addend;		/* addend to go with the target's own symbol */
} KmBranch;

/* An immediate operand in which two instructions at the same place differ. */
typedef struct {
	guint64 offset;	/* of the instruction */
	guint size;	/* of the instruction */
	gint64 was, now;
} KmImmediate;

/* Where control goes after an instruction. */
typedef enum {
	KM_FLOW_NEXT,
	KM_FLOW_JUMP,		/* to a place; never on to the next instruction */
	KM_FLOW_BRANCH,		/* to a place, or on */
	KM_FLOW_CALL,		/* a function at a place, then on */
	KM_FLOW_RETURN,
} KmFlow;

/* Which part of an instruction a relocation writes. */
typedef enum {
	KM_FIELD_NONE,
	KM_FIELD_VALUE,		/* the value of an operand */
	KM_FIELD_ADDRESS,	/* part of the address of memory */
} KmField;

/*
 * What an instruction does with the values of general registers: enough to follow an address through a function. Bit n of a mask
 * stands for the architecture's register n. Whatever is left out is said in odd.
 */
typedef struct {
	guint size;		/* of the instruction in bytes; 0: it does not decode */
	KmFlow flow;
	gboolean direct;	/* flow goes to target rather than through a register or memory */
	guint64 target;		/* offset in the section, when no relocation says it */
	guint64 inputs;		/* registers whose values go into what is computed */
	guint64 outputs;	/* registers that get what is computed */
	guint64 kept;		/* of outputs: those that may keep their old value, in part or at all */
	guint64 addresses;	/* registers that make the address of memory which is read or written */
	gboolean computes;	/* that address is not used but computed (lea) */
	gboolean loads;		/* memory goes into what is computed */
	gboolean loads_pointer;	/* likewise, and it is as wide as a pointer */
	gboolean stores;	/* what is computed goes to memory */
	gboolean odd;		/* it does more with its inputs than is told here */
	gboolean near;		/* an operand is addressed by its distance from the instruction: what lies at place */
	guint64 place;		/* offset in the section, when no relocation says it */
	KmField field;		/* what the relocation asked about writes */
} KmStep;

/* A place of linked bytes that may hold the address of something. */
typedef struct {
	guint64 offset;
	guint size;
	gboolean branch;	/* of a call or jump */
	gboolean distance;	/* no branch: as an operand that is addressed by its distance from the instruction */
	gboolean sure;		/* what stands around it leaves no doubt; otherwise the same bytes could be parts of two instructions */
} KmMention;

/* A table with a row for each branch to certain functions, which the kernel rewrites by what the CPU needs. */
typedef struct {
	const char *table; /* ".return_sites" */
	const char *callee; /* what the names of those functions begin with; "": every call that no other table is about */
} KmSiteTable;

/* A field of code that leads to something. */
typedef struct {
	guint32 type; /* r_type; 0: ends a list */
	guint offset;
} KmStubField;

/* Code that goes on at an address which it reads from a slot of its own: for calls that could be too far for a branch. */
typedef struct {
	const guint8 *code;
	guint size; /* bytes, the slot among them; wants to be aligned to 8 */
	guint slot; /* offset of the slot, 64 bits */
	const KmStubField *fields; /* by which the code finds the slot; NULL: by itself */
	/* Where calls through it need another instruction behind them: the one that compilers leave room by, and that which must be there instead. Both 0: they do not. */
	guint32 room, behind;
} KmCallStub;

/* size bytes of linked code at address, or NULL. */
typedef const guint8 *(*KmReadCode)(gpointer data, guint64 address, gsize size);

typedef struct KmArch {
	const char *name;	/* "x86_64", "arm64", "ppc64le", "s390x", "riscv64": our name */
	const char *debian;	/* dpkg architecture: "amd64" */
	const char *kbuild;	/* ARCH= of the kernel: "x86" */
	const char *triplet;	/* GNU triplet of compilers: "x86_64-linux-gnu" */
	const char *qemu;	/* qemu-system-NAME */
	const char *qemu_user;	/* qemu-NAME, which runs single programs; NULL: none */
	guint16 machine;	/* EM_* */
	gboolean big_endian;
	gboolean can_build;	/* `kmend build` has been made to work on it, end to end */
	gboolean has_runtime;	/* kmend's own runtime has a part for it (runtime/arch) */
	int capstone_arch;	/* cs_arch and cs_mode of the disassembler; -1: it does not know them all, ask number */
	int capstone_mode;
	guint8 insn_size;	/* bytes of an instruction the disassembler does not know; 0: ask insn_length */
	guint (*insn_length)(const guint8 *insn); /* the same by its first byte; NULL: insn_size */
	/*
	 * For km_arch_immediates(), in the disassembler's place; else NULL. What puts a number into a register or computes with one: the length of the instruction,
	 * or of the two that share the number; 0: it is none. rest: all of it but the number.
	 */
	guint (*number)(const guint8 *code, gsize room, gint64 *value, guint64 *rest);
	guint32 abs64;		/* r_type of a plain 64-bit address */
	guint32 pc32;		/* r_type of a plain 32-bit PC-relative value */
	const KmRelocInfo *relocs;	/* ended by a row without name */
	const char *const *hooks;	/* functions called by a profiled entry: "__fentry__", "_mcount"; NULL-ended */

	/*
	 * Byte offset from the value of the relocation's symbol to the thing referred to: the addend, without the bias
	 * that a PC-relative field has because the CPU counts from the end of the instruction.
	 */
	gint64 (*target_offset)(const struct KmSection *section, gsize reloc_index);

	/* For km_arch_is_branch(), where the relocation's type alone does not tell; else NULL. */
	gboolean (*is_branch)(const struct KmSection *section, gsize reloc_index);

	/*
	 * From a linked field back to the value of the relocation's symbol (S). field: size bytes as found in the
	 * image, at run-time address place. FALSE: cannot be told from this field (then the caller does without).
	 */
	gboolean (*symbol_value)(guint32 type, const guint8 *field, guint64 place, gint64 addend, guint64 *value);

	/*
	 * Where it takes two fields to tell an address: the part of S + A that this one holds, and which bits those are (mask); the sum of both parts is the
	 * address, or its distance from the TOC pointer (KM_RELOC_TOC). field: at least an instruction. FALSE: it holds none by itself. NULL: no address is told in parts.
	 */
	gboolean (*address_part)(guint32 type, const guint8 *field, guint64 place, guint64 *bits, guint64 *mask);

	/*
	 * The branches within [start, end) of a text section that have no relocation and leave that range: an array of
	 * KmBranch, ascending, owned by the caller. They matter wherever several functions share a section.
	 */
	GArray *(*branches_out)(const struct KmSection *section, guint64 start, guint64 end);

	/*
	 * Assembly text, whole lines, that tests a static key and jumps to target when it is set (when_set) or when it is not. key is
	 * an operand as the compiler writes it ("__tracepoint_x+8"). It may change the flags only where compilers expect nothing of them after
	 * an asm goto, and no register. NULL: not available. Caller owns the text.
	 */
	char *(*test_key)(const char *key, gboolean when_set, const char *target);

	/*
	 * Assembly text, whole lines, that does what instruction does once the kernel, while it starts, has put the value of the variable
	 * symbol into it. kind: of constant, as the kernel's sections call it: "ptr" a 64-bit immediate, "shift" a count. instruction may be
	 * several, line by line. The text may change the flags if instruction may. NULL result: instruction is not understood. NULL: not
	 * available. Caller owns the text.
	 */
	char *(*read_constant)(const char *kind, const char *symbol, const char *instruction);

	/*
	 * A branch by its field: where its instruction starts, and whether it is a call rather than a jump. NULL: the field is where
	 * the instruction starts.
	 */
	guint64 (*branch_start)(const struct KmSection *section, gsize reloc_index, gboolean *call);

	/* Tables of branches, ended by a row without table. NULL: none. */
	const KmSiteTable *sites;

	/* A symbol that only annotates (mapping symbols $x, $d; .L labels): never a function or datum. */
	gboolean (*is_annotation)(const struct KmSymbol *symbol);
	/*
	 * Compilers' labels are kept, and what refers to one has to name it: the other half of an address is found by it, and linkers move code, which changes
	 * what symbols stand for but no addend.
	 */
	gboolean keeps_labels;

	/* Fills gaps between functions: whoever disassembles from one to the next must arrive at its first byte. */
	guint8 code_fill;

	/*
	 * Tools of the kernel's build turn branches the compiler emitted into NOPs: jump labels that are off, hook calls.
	 * Is theirs such a NOP where ours has the branch? Returns its length, 0 if not. room: bytes of both that may be
	 * read. NULL: nothing rewrites code of this architecture.
	 */
	guint (*nop_over)(const guint8 *ours, const guint8 *theirs, gsize room);

	/*
	 * To avoid errata of CPUs, linkers move an instruction, or write another one that does the same. Is that what the linked code has at place for our
	 * instruction of insn_size bytes (which itself may have a field that the linker fills in: the caller compares that)? The address of the instruction, which
	 * is place if it was not moved; 0: no. NULL: no linker of this architecture does that.
	 */
	guint64 (*moved_to)(const guint8 *ours, guint64 place, KmReadCode read, gpointer data);

	/*
	 * The instruction at offset of a text section, whose relocated field (if any) is at field (else G_MAXUINT64). reader is what
	 * km_arch_reader_new() gave. NULL: addresses cannot be followed on this architecture.
	 */
	void (*step)(gpointer reader, const struct KmSection *section, guint64 offset, guint64 field, KmStep *step);
	guint64 arguments;	/* registers that hold a call's arguments */
	guint64 results;	/* registers that hold what it returns */
	guint64 scratch;	/* registers whose values do not survive it */
	const char *const *returns;	/* functions that are jumped to in order to return; NULL-ended, or NULL */

	/*
	 * Appends to found (of KmMention, ascending) each place of size bytes, linked to stand at address, that can stand for target in
	 * code (text) or in data: rather too many than too few. NULL: not available.
	 */
	void (*mentions)(const guint8 *bytes, gsize size, guint64 address, gboolean text, guint64 target, GArray *found);

	/* Does a row of the unwinder's table (.orc_unwind) say what holds at the first instruction of a function? NULL: no such table. */
	gboolean (*unwinds_entry)(const guint8 *row, guint size);

	/* NULL: a call in a module reaches the whole kernel. */
	const KmCallStub *call_stub;

	/*
	 * Options for compiling what is taken apart and goes into modules, where the kernel's own options count on the kernel's data being near. NULL-ended, or NULL:
	 * none. call_nops: and calls must have room for the loader behind them, as compilers leave it for functions of other files.
	 */
	const char *const *apart_options;
	gboolean call_nops;

	/* Relocations that the kernel's module loader knows, ended by 0; NULL: those that write an address, a distance or a branch. */
	const guint32 *loader_relocs;
	/* Undefined symbols that it gives a value by itself; NULL-ended, or NULL. */
	const char *const *loader_symbols;
	/* What keeps it from sending a call (the relocated branch at insn) to another module or the kernel: words, or NULL. NULL: nothing ever does. */
	const char *(*call_problem)(const guint8 *insn, gsize room);

	/*
	 * Data addressed by its distance from the TOC pointer. Set-up of that pointer in code that starts at address: TRUE, and where it then points. NULL: there is no TOC,
	 * nor what else depends on it here.
	 */
	gboolean (*toc_setup)(const guint8 *code, gsize room, guint64 address, guint64 *toc);
	/* Does theirs do the same as ours, whose field a relocation of this type fills in? Linkers shorten ways to what lies near the TOC pointer. */
	gboolean (*relaxed)(guint32 type, guint32 ours, guint32 theirs);
	/* Does the instruction read the place that its field leads to, rather than compute its address? */
	gboolean (*reads_place)(const guint8 *insn);

	/* Sections that the module loader wants to find and fills itself, where the kernel's own modules have them; NULL-ended, or NULL. */
	const char *const *module_sections;

	/* What functions begin with. */
	const KmEntryArch *entry;

	/*
	 * Where kmend's own runtime comes between a function and its callers with a frame of its own: words of arguments that are in registers; those behind are in the
	 * caller's frame, which the function would look for in the wrong place. 0: it comes between nowhere. uses_stacked: may a function's code use any of those?
	 */
	guint frame_arguments;
	gboolean (*uses_stacked)(const guint8 *code, gsize size);

	/* Bytes from a function's value to its local entry (ppc64le st_other); 0 elsewhere. */
	guint (*local_entry)(const struct KmSymbol *symbol);
} KmArch;

/* All architectures, NULL-ended. */
const KmArch *const *km_arch_all(void);
/* By ELF header: machine EM_*, and byte order. NULL when unknown. */
const KmArch *km_arch_by_elf(guint16 machine, gboolean big_endian);
/* By our name or dpkg's. NULL when unknown. */
const KmArch *km_arch_by_name(const char *name);
/* The architecture this program runs on. NULL when it is none of ours. */
const KmArch *km_arch_host(void);
/* Is the field of section's reloc_index-th relocation the target of a branch, rather than an address that is taken? */
gboolean km_arch_is_branch(const KmArch *arch, const struct KmSection *section, gsize reloc_index);
/* For KmArch.step: a disassembler, or NULL. Not for two threads at once. */
gpointer km_arch_reader_new(const KmArch *arch);
void km_arch_reader_free(gpointer reader);
/* Does the module loader give an undefined symbol of this name its value? */
gboolean km_arch_is_loader_symbol(const KmArch *arch, const char *name);
/* Does it know this type of relocation? */
gboolean km_arch_is_loadable(const KmArch *arch, guint32 type);
/* NULL when the type is unknown: refuse by number. */
const KmRelocInfo *km_arch_reloc(const KmArch *arch, guint32 type);
/*
 * Where two pieces of code of the same size differ, if they differ in immediate operands only: an array of KmImmediate,
 * ascending, owned by the caller. NULL when they differ in anything else, or do not decode.
 */
GArray *km_arch_immediates(const KmArch *arch, const guint8 *a, const guint8 *b, gsize size);
