/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The functions whose hook is switched. Compiled once for each form of the entry (-DFORM=single, -DFORM=plain), into a section of its own: the switching writes there, and
 * nothing else shall be on those pages.
 */
#define JOIN(a, b) a##_##b
#define NAMED(form, name) JOIN(form, name)
#define TEXT(x) #x
#define SECTION(form) __attribute__((section(TEXT(padded_##form)), noinline))
#define IN(form) SECTION(form)
#define PADDED(name) IN(FORM) long NAMED(FORM, name)(long n)

long outside(long n);
PADDED(leaf);
PADDED(frame);
PADDED(loop);

PADDED(leaf)
{
	return n * 3 + 1;
}

/* Its return address goes to the stack: a wrong one comes back to the wrong place. */
PADDED(frame)
{
	return outside(n) + outside(n + 1);
}

/* The first instruction is the loop's own. */
PADDED(loop)
{
	do {
		n += 5;
		__asm__ volatile("" ::: "memory");
	} while (n & 7);
	return n;
}
