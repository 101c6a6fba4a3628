/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arm64 Linux without a C library, which cross compilers come without: system calls, threads, output. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	SYS_WRITE = 64,
	SYS_EXIT = 93,
	SYS_EXIT_GROUP = 94,
	SYS_YIELD = 124,
	SYS_SIGACTION = 134,
	SYS_CLONE = 220,
	SYS_MPROTECT = 226,
};

static inline long call_system(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

static inline void yield(void)
{
	call_system(SYS_YIELD, 0, 0, 0, 0);
}

static inline _Noreturn void leave(int status)
{
	for (;;)
		call_system(SYS_EXIT_GROUP, status, 0, 0, 0);
}

static inline void say(const char *text)
{
	long n = 0;
	while (text[n])
		n++;
	call_system(SYS_WRITE, 1, (long)text, n, 0);
}

static inline void say_number(const char *before, unsigned long value)
{
	char text[24], *p = text + sizeof(text) - 1;
	*p = 0;
	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	say(before);
	say(p);
}

static inline _Noreturn void die(const char *why)
{
	say("pad-before: ");
	say(why);
	say("\n");
	leave(1);
}

/* The part of siginfo_t that faults have. */
struct signal_info {
	int number, error, code, unused;
	uint32_t *address;
};

/* What the kernel takes for a handler. */
struct action {
	void (*handler)(int, const struct signal_info *, void *);
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

static inline void handle(int number, void (*handler)(int, const struct signal_info *, void *))
{
	const struct action action = { .handler = handler, .flags = 4 /* SA_SIGINFO */ };
	if (call_system(SYS_SIGACTION, number, (long)&action, 0, sizeof(action.mask)))
		die("sigaction fails");
}

/* From `stack` down; it never returns. */
long start_thread(void *stack, void (*run)(void *), void *data);
