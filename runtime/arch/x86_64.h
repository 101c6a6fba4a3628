/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x86-64: what the runtime has to know of it. */
#ifdef CONFIG_X86_64
#include <asm/elf.h>

#ifndef KMEND_LINK_START
#error "this kernel does not name _text: kmend's runtime could not tell addresses from offsets"
#endif

/* Go on there when the handler returns. */
static __always_inline void kmend_arch_go_on_at(struct ftrace_regs *fregs, unsigned long to)
{
#ifdef ftrace_regs_set_instruction_pointer
	ftrace_regs_set_instruction_pointer(fregs, to);
#else
	fregs->regs.ip = to;
#endif
}

/* A return address as it lies on a stack. */
static __always_inline unsigned long kmend_arch_strip(unsigned long address)
{
	return address;
}

/* Where the stack of a task that does not run ends. */
static __always_inline unsigned long kmend_arch_saved_sp(struct task_struct *task)
{
	return task->thread.sp;
}

/* Where such a task goes on, if its stack does not tell: it does. */
static __always_inline unsigned long kmend_arch_saved_pc(struct task_struct *task)
{
	return 0;
}

/* Symbols of the CPUs' own data are offsets from those. */
static inline bool kmend_arch_is_offset(unsigned long link)
{
	return link < KMEND_LINK_START;
}

/* Code is the same for all that fetch it. */
static inline void kmend_arch_written(void *start, size_t size)
{
}

/* The AMD64 psABI, "Relocation Types". */
static int kmend_arch_relocate(const struct kmend_reloc *r, unsigned long value)
{
	unsigned long place = (unsigned long)r->place;
	u64 wide = value + r->addend;
	u32 narrow;

	switch (r->type) {
	case R_X86_64_64:
		return kmend_write(r->place, &wide, sizeof(wide));
	case R_X86_64_PC64:
		wide -= place;
		return kmend_write(r->place, &wide, sizeof(wide));
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		wide -= place;
		fallthrough;
	case R_X86_64_32S:
		narrow = wide;
		if ((s64)wide != (s32)narrow)
			return -ERANGE;
		return kmend_write(r->place, &narrow, sizeof(narrow));
	case R_X86_64_32:
		narrow = wide;
		return wide == narrow ? kmend_write(r->place, &narrow, sizeof(narrow)) : -ERANGE;
	default:
		return -ENOEXEC;
	}
}
#endif
