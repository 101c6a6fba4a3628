/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ppc64le (ELFv2): what the runtime has to know of it. */
#ifdef CONFIG_PPC64
#include <asm/cacheflush.h>
#include <asm/elf.h>

#ifndef CONFIG_DYNAMIC_FTRACE_WITH_REGS
#error "this kernel has no CONFIG_DYNAMIC_FTRACE_WITH_REGS: kmend's runtime could not tell a new function its address"
#endif

/* The new function wants its own address in r12, and only the way with all registers loads that from what the handler leaves. */
#define KMEND_ARCH_NEEDS_REGS

#ifdef CONFIG_LIVEPATCH
/* Where the program counter was changed, such a kernel sees to r12, r2 and the return address by itself. */
#define KMEND_GO_ON_AT(regs, to) ((regs)->nip = (to))
#else
/*
 * Calls go on here, with r12 as the handler left it. The new function lies in another module and sets up a TOC pointer of its own, and who called may count on finding
 * its own in r2 again: it called a function with which it shares one. The slot for that in the caller's frame (24) can be in use, so this has a frame: what the ABI
 * wants of one, with room for eight arguments, and r2 behind that. Arguments on the caller's stack are out of reach from there on; kmend build knows.
 */
void kmend_call_away(void);
asm(".pushsection .text\n"
    ".balign 16\n"
    ".type kmend_call_away,@function\n"
    "kmend_call_away:\n"
    "	mflr 0\n"
    "	std 0,16(1)\n"
    "	stdu 1,-112(1)\n"
    "	std 2,96(1)\n"
    "	mtctr 12\n"
    "	bctrl\n"
    "	ld 2,96(1)\n"
    "	addi 1,1,112\n"
    "	ld 0,16(1)\n"
    "	mtlr 0\n"
    "	blr\n"
    ".size kmend_call_away,.-kmend_call_away\n"
    ".popsection\n");
#define KMEND_GO_ON_AT(regs, to) ((regs)->gpr[12] = (to), (regs)->nip = (unsigned long)kmend_call_away)
#endif

static __always_inline void kmend_arch_go_on_at(struct ftrace_regs *fregs, unsigned long to)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);

	KMEND_GO_ON_AT(regs, to);
}

/* A return address as it lies on a stack. */
static __always_inline unsigned long kmend_arch_strip(unsigned long address)
{
	return address;
}

static __always_inline unsigned long kmend_arch_saved_sp(struct task_struct *task)
{
	return task->thread.ksp;
}

/* Where such a task goes on, its stack tells: _switch() has left it there. */
static __always_inline unsigned long kmend_arch_saved_pc(struct task_struct *task)
{
	return 0;
}

/* The CPUs' own data is linked like all else. */
static inline bool kmend_arch_is_offset(unsigned long link)
{
	return false;
}

/* What was written as data is fetched as code. */
static inline void kmend_arch_written(void *start, size_t size)
{
	flush_icache_range((unsigned long)start, (unsigned long)start + size);
}

/* 64-Bit ELF V2 ABI Specification, "Relocation Types". Calls come by stubs, whose slots are addresses. */
static int kmend_arch_relocate(const struct kmend_reloc *r, unsigned long value)
{
	u64 wide = value + r->addend;
	u64 distance = wide - (unsigned long)r->place;
	u32 narrow = distance;

	switch (r->type) {
	case R_PPC64_ADDR64:
		return kmend_write(r->place, &wide, sizeof(wide));
	case R_PPC64_REL64:
		return kmend_write(r->place, &distance, sizeof(distance));
	case R_PPC64_REL32:
		return (s64)distance == (s32)narrow ? kmend_write(r->place, &narrow, sizeof(narrow)) : -ERANGE;
	default:
		return -ENOEXEC;
	}
}
#endif
