/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arm64: what the runtime has to know of it. */
#ifdef CONFIG_ARM64
#include <asm/cpufeature.h>
#include <asm/elf.h>

#ifndef KMEND_LINK_CLEAN
#error "this kernel does not name caches_clean_inval_pou: kmend's runtime could not write code"
#endif

static __always_inline void kmend_arch_go_on_at(struct ftrace_regs *fregs, unsigned long to)
{
#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
	ftrace_regs_set_instruction_pointer(fregs, to);
#else
	instruction_pointer_set(ftrace_get_regs(fregs), to);
#endif
}

/* Pointer authentication signs in the bits that a kernel address has all set. Bit 55 tells the kernel's half. */
static __always_inline unsigned long kmend_arch_strip(unsigned long address)
{
	return address & BIT(55) ? address | GENMASK(63, CONFIG_ARM64_VA_BITS) : address;
}

static __always_inline unsigned long kmend_arch_saved_sp(struct task_struct *task)
{
	return task->thread.cpu_context.sp;
}

/* In __switch_to(), which may be patched like any other. */
static __always_inline unsigned long kmend_arch_saved_pc(struct task_struct *task)
{
	return task->thread.cpu_context.pc;
}

static inline bool kmend_arch_is_offset(unsigned long link)
{
	return false;
}

/* What was written as data is fetched as code. */
static inline void kmend_arch_written(void *start, size_t size)
{
	void (*clean)(unsigned long start, unsigned long end) = (void *)kmend_running(KMEND_LINK_CLEAN);

	clean((unsigned long)start, (unsigned long)start + size);
}

static int kmend_put_bits(void *place, u32 mask, u32 bits)
{
	u32 word = (*(u32 *)place & ~mask) | (bits & mask);

	return kmend_write(place, &word, sizeof(word));
}

/* Cortex-A53 can go wrong after ADRP in a page's last two instructions; the kernel builds no such code, its loader none either. */
static bool kmend_is_erratum_place(unsigned long place)
{
#ifdef CONFIG_ARM64_ERRATUM_843419
	return (place & 0xfff) >= 0xff8 && cpus_have_final_cap(ARM64_WORKAROUND_843419);
#else
	return false;
#endif
}

static int kmend_put_page(void *place, u64 value)
{
	s64 pages = (s64)((value & ~0xfffUL) - ((unsigned long)place & ~0xfffUL)) >> 12;

	if (pages < -(1 << 20) || pages >= 1 << 20 || kmend_is_erratum_place((unsigned long)place))
		return -ERANGE;
	return kmend_put_bits(place, 0x60ffffe0, (pages & 3) << 29 | (pages >> 2 & 0x7ffff) << 5);
}

static int kmend_put_low(void *place, u64 value, unsigned int shift)
{
	if (value & (BIT(shift) - 1))
		return -ERANGE;
	return kmend_put_bits(place, 0xfff << 10, (value & 0xfff) >> shift << 10);
}

static int kmend_put_branch(void *place, u64 value)
{
	s64 distance = (s64)(value - (unsigned long)place);

	if (distance < -(1L << 27) || distance >= 1L << 27 || distance & 3)
		return -ERANGE;
	return kmend_put_bits(place, 0x3ffffff, distance >> 2);
}

static int kmend_put_narrow(void *place, s64 value)
{
	u32 narrow = value;

	return value == (s32)narrow ? kmend_write(place, &narrow, sizeof(narrow)) : -ERANGE;
}

/* ELF for the Arm 64-bit Architecture, "Relocation". */
static int kmend_arch_relocate(const struct kmend_reloc *r, unsigned long value)
{
	u64 wide = value + r->addend;
	u64 distance = wide - (unsigned long)r->place;

	switch (r->type) {
	case R_AARCH64_ABS64:
		return kmend_write(r->place, &wide, sizeof(wide));
	case R_AARCH64_PREL64:
		return kmend_write(r->place, &distance, sizeof(distance));
	case R_AARCH64_PREL32:
		return kmend_put_narrow(r->place, distance);
	case R_AARCH64_ADR_PREL_PG_HI21:
	case R_AARCH64_ADR_PREL_PG_HI21_NC:
		return kmend_put_page(r->place, wide);
	case R_AARCH64_ADD_ABS_LO12_NC:
	case R_AARCH64_LDST8_ABS_LO12_NC:
		return kmend_put_low(r->place, wide, 0);
	case R_AARCH64_LDST16_ABS_LO12_NC:
		return kmend_put_low(r->place, wide, 1);
	case R_AARCH64_LDST32_ABS_LO12_NC:
		return kmend_put_low(r->place, wide, 2);
	case R_AARCH64_LDST64_ABS_LO12_NC:
		return kmend_put_low(r->place, wide, 3);
	case R_AARCH64_LDST128_ABS_LO12_NC:
		return kmend_put_low(r->place, wide, 4);
	case R_AARCH64_JUMP26:
	case R_AARCH64_CALL26:
		return kmend_put_branch(r->place, wide);
	default:
		return -ENOEXEC;
	}
}
#endif
