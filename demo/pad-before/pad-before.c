/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pad-before [SWITCHES [STOPS [THREADS]]]: the entry of functions is switched between "goes on" and "calls the hook" while threads run through it, and while a thread
 * stands still at each of its instructions. For three schemes: one NOP at the label and the room before it (kmend asm --pad-before), two NOPs (--pad 2), and two NOPs of
 * which the first was replaced for good. Exit status: 0 if the first lost no thread, and the second did.
 */
#include "bare.h"

#define NOP 0xd503201fu
#define BRK 0xd4200000u
#define SAVE 0xaa1e03e9u /* mov x9, x30 */
#define MAX_THREADS 8
#define STACK 65536
#define SIGTRAP 5
#ifndef SPINS
#define SPINS 200
#endif

long enter(long (*function)(long), long argument, long *hooked);
void hook(void);
long outside(long n);
_Noreturn void begin(long argc, char **argv);

/* ---- functions and their entries ---- */

long single_leaf(long), single_frame(long), single_loop(long);
long plain_leaf(long), plain_frame(long), plain_loop(long);
extern uint8_t __start_padded_single[], __stop_padded_single[], __start_padded_plain[], __stop_padded_plain[];
extern uint32_t *const __start___patchable_function_entries[], *const __stop___patchable_function_entries[];

typedef struct {
	long (*function)(long);
	uint32_t *room; /* before the label, or NULL */
	uint32_t *site; /* the first NOP at the label, behind a landing pad */
} Entry;

typedef enum { SINGLE, PLAIN, KEPT } Kind;

#define N_FUNCTIONS 3

typedef struct {
	const char *name;
	Kind kind;
	long (*functions[N_FUNCTIONS])(long);
	Entry entries[N_FUNCTIONS];
	unsigned long switches, calls, hooked, lost, wrong, stops, stops_lost;
	bool met; /* threads that run met a hook that was on */
} Scheme;

long outside(long n)
{
	return n ^ 21;
}

/* What function number i must answer. */
static long answer(int i, long n)
{
	if (i == 0)
		return n * 3 + 1;
	if (i == 1)
		return (n ^ 21) + ((n + 1) ^ 21);
	do
		n += 5;
	while (n & 7);
	return n;
}

/* The compiler recorded where the room begins: before the label, or at it. */
static void find_entry(Entry *e, long (*function)(long), bool single)
{
	uint32_t *label = (uint32_t *)function;
	uint32_t *site = label + (*label != NOP); /* a landing pad */
	e->function = function;
	e->site = site;
	for (uint32_t *const *r = __start___patchable_function_entries; r < __stop___patchable_function_entries; r++)
		if (single ? *r == label - 3 : *r == label || *r == site) {
			e->room = single ? *r : 0;
			if (*site != NOP || (single ? (*r)[0] != NOP || (*r)[2] != NOP : site[1] != NOP))
				die("no NOPs at a function's entry");
			return;
		}
	die("a function's entry is not recorded");
}

/* ---- switching ---- */

static uint32_t branch(uint32_t opcode, const uint32_t *from, const uint32_t *to)
{
	return opcode | ((uint32_t)(to - from) & 0x3ffffff);
}

static uint32_t jump(const uint32_t *from, const uint32_t *to)
{
	return branch(0x14000000, from, to);
}

static uint32_t call_hook(const uint32_t *from)
{
	return branch(0x94000000, from, (const uint32_t *)hook);
}

/* One aligned store: whoever fetches the instruction sees the old one or the new one. */
static void put(uint32_t *at, uint32_t instruction)
{
	__atomic_store_n(at, instruction, __ATOMIC_RELEASE);
	__asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" ::"r"(at) : "memory");
}

/* What is written once, before anyone can come there. */
static void prepare(const Entry *e, Kind kind)
{
	if (kind == SINGLE) {
		put(&e->room[0], SAVE);
		put(&e->room[1], call_hook(&e->room[1]));
		put(&e->room[2], jump(&e->room[2], e->site + 1));
	}
	put(e->site, kind == KEPT ? SAVE : NOP);
}

/* Two instructions are written in the order that harms least: the return address is saved before the hook may be called, and for as long. */
static void turn(const Entry *e, Kind kind, bool on)
{
	if (kind == SINGLE) {
		put(e->site, on ? jump(e->site, e->room) : NOP);
		return;
	}
	if (kind == PLAIN && on)
		put(e->site, SAVE);
	put(e->site + 1, on ? call_hook(e->site + 1) : NOP);
	if (kind == PLAIN && !on)
		put(e->site, NOP);
}

static void make_writable(uint8_t *start, uint8_t *stop)
{
	uintptr_t first = (uintptr_t)start & ~0xffffUL;
	uintptr_t end = ((uintptr_t)stop + 0xffff) & ~0xffffUL;
	/* Pages of 64 KiB may be there, or smaller ones that are mapped as far as they are used. */
	if (call_system(SYS_MPROTECT, (long)first, (long)(end - first), 7, 0) &&
	    call_system(SYS_MPROTECT, (long)((uintptr_t)start & ~0xfffUL),
			(long)(((uintptr_t)stop - ((uintptr_t)start & ~0xfffUL) + 0xfff) & ~0xfffUL), 7, 0))
		die("code cannot be made writable: a security policy forbids it");
}

/* ---- threads ---- */

typedef struct {
	Scheme *scheme;
	unsigned long calls, hooked, lost, wrong;
	bool done;
} Runner;

static uint8_t stacks[MAX_THREADS][STACK] __attribute__((aligned(16)));
static Runner runners[MAX_THREADS];
static bool stopping;

static void call_one(Runner *r, int i, long n)
{
	long hooked = 0;
	long result = enter(r->scheme->entries[i].function, n, &hooked);
	r->hooked += hooked > 0;
	r->lost += hooked < 0;
	r->wrong += hooked > 1 || (hooked >= 0 && result != answer(i, n));
	__atomic_store_n(&r->calls, r->calls + 1, __ATOMIC_RELEASE);
}

/* From then on another thread may have this stack; leaving needs none. */
static _Noreturn void finish(Runner *r)
{
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	for (;;)
		call_system(SYS_EXIT, 0, 0, 0, 0);
}

static void run_on(void *data)
{
	Runner *r = data;
	for (long n = 0; !__atomic_load_n(&stopping, __ATOMIC_ACQUIRE); n++)
		call_one(r, (int)(n % N_FUNCTIONS), n);
	finish(r);
}

static Runner *start(int i, Scheme *s, void (*run)(void *))
{
	runners[i] = (Runner){ .scheme = s };
	if (start_thread(stacks[i] + STACK, run, &runners[i]) < 0)
		die("no thread can be started");
	return &runners[i];
}

static void join(Runner *r)
{
	while (!__atomic_load_n(&r->done, __ATOMIC_ACQUIRE))
		yield();
	r->scheme->calls += r->calls;
	r->scheme->hooked += r->hooked;
	r->scheme->lost += r->lost;
	r->scheme->wrong += r->wrong;
}

static unsigned long calls_so_far(int threads)
{
	unsigned long calls = 0;
	for (int i = 0; i < threads; i++)
		calls += __atomic_load_n(&runners[i].calls, __ATOMIC_ACQUIRE);
	return calls;
}

/* Some switches follow at once, some when a few calls were made; but none waits for long, as no thread may be running. */
static void linger(unsigned long turn, int threads)
{
	unsigned long calls = calls_so_far(threads), wanted = turn * 0x9e3779b97f4a7c15 >> 62;
	for (int i = 0; i < SPINS && calls_so_far(threads) - calls < wanted; i++)
		;
}

/* Every function's hook on and off while threads call them. */
static void switch_under_load(Scheme *s, unsigned long switches, int threads)
{
	stopping = false;
	for (int i = 0; i < threads; i++)
		start(i, s, run_on);
	for (int i = 0; i < threads; i++)
		while (__atomic_load_n(&runners[i].calls, __ATOMIC_ACQUIRE) < 1000)
			yield();
	for (; s->switches < switches; s->switches += 2) {
		const Entry *e = &s->entries[s->switches / 2 % N_FUNCTIONS];
		turn(e, s->kind, true);
		linger(s->switches, threads);
		turn(e, s->kind, false);
		linger(s->switches + 1, threads);
	}
	__atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
	for (int i = 0; i < threads; i++)
		join(&runners[i]);
}

/* ---- a thread that stands still ---- */

static uint32_t *stopped; /* where it stands */
static bool go;

/* The thread has done all before the breakpoint, and goes on with whatever is in its place then. */
static void on_breakpoint(int number, const struct signal_info *info, void *context)
{
	(void)number, (void)context;
	__atomic_store_n(&stopped, info->address, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		yield();
}

/* One thread makes all the calls: emulators do not bear thousands that come and go. */
static int standing; /* the function that is called */
static unsigned long asked, answered;

static void run_when_asked(void *data)
{
	for (unsigned long n = 1;; n++) {
		while (__atomic_load_n(&asked, __ATOMIC_ACQUIRE) < n) {
			if (__atomic_load_n(&stopping, __ATOMIC_ACQUIRE))
				finish(data);
			yield();
		}
		call_one(data, standing, 1000);
		__atomic_store_n(&answered, n, __ATOMIC_RELEASE);
	}
}

/* The thread stands before the instruction at place while the hook is switched. Off is how it is before and afterwards. */
static void switch_while_standing(Scheme *s, int i, uint32_t *place, bool on)
{
	unsigned long n = asked + 1;
	turn(&s->entries[i], s->kind, !on);
	uint32_t old = *place;
	put(place, BRK);
	stopped = 0;
	go = false;
	standing = i;
	__atomic_store_n(&asked, n, __ATOMIC_RELEASE);
	/* One that is lost on the way there does not stop. */
	while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) != place &&
	       __atomic_load_n(&answered, __ATOMIC_ACQUIRE) != n)
		yield();
	put(place, old);
	turn(&s->entries[i], s->kind, on);
	__atomic_store_n(&go, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) != n)
		yield();
	s->switches++;
	s->stops++;
	turn(&s->entries[i], s->kind, false);
}

/* The entry of function i, each of its instructions. */
static void switch_at_places(Scheme *s, int i)
{
	const Entry *e = &s->entries[i];
	for (int k = 0; k < (s->kind == SINGLE ? 2 : 3); k++) {
		switch_while_standing(s, i, e->site + k, true);
		switch_while_standing(s, i, e->site + k, false);
	}
	/* No one comes into the room unless the hook is on. */
	for (int k = 0; s->kind == SINGLE && k < 3; k++)
		switch_while_standing(s, i, e->room + k, false);
}

static void switch_at_each_place(Scheme *s, unsigned long stops)
{
	asked = answered = 0;
	stopping = false;
	Runner *r = start(0, s, run_when_asked);
	for (unsigned long n = 0; n < stops; n++)
		switch_at_places(s, (int)(n % N_FUNCTIONS));
	__atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
	join(r);
	s->stops_lost = r->lost;
}

/* ---- all of it ---- */

static void report(const Scheme *s)
{
	say(s->name);
	say_number(": ", s->switches);
	say_number(" switches, ", s->calls);
	say_number(" calls, ", s->hooked);
	say_number(" through the hook, ", s->lost);
	say_number(" lost (of ", s->stops);
	say_number(" stopped threads ", s->stops_lost);
	say_number("), ", s->wrong);
	say(" wrong answers\n");
}

static void demonstrate(Scheme *s, unsigned long switches, unsigned long stops, int threads)
{
	for (int i = 0; i < N_FUNCTIONS; i++) {
		find_entry(&s->entries[i], s->functions[i], s->kind == SINGLE);
		prepare(&s->entries[i], s->kind);
	}
	switch_under_load(s, switches, threads);
	s->met = s->hooked > 0;
	switch_at_each_place(s, stops);
	for (int i = 0; i < N_FUNCTIONS; i++)
		put(s->entries[i].site, NOP);
	report(s);
}

static unsigned long number(const char *text)
{
	unsigned long value = 0;
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (unsigned long)(*text - '0');
	return *text ? 0 : value;
}

_Noreturn void begin(long argc, char **argv)
{
	static Scheme single = { .name = "one NOP, room before",
				 .kind = SINGLE,
				 .functions = { single_leaf, single_frame, single_loop } };
	static Scheme plain = { .name = "two NOPs",
				.kind = PLAIN,
				.functions = { plain_leaf, plain_frame, plain_loop } };
	static Scheme kept = { .name = "two NOPs, first kept",
			       .kind = KEPT,
			       .functions = { plain_leaf, plain_frame, plain_loop } };
	unsigned long switches = argc > 1 ? number(argv[1]) : 2000000, stops = argc > 2 ? number(argv[2]) : 300;
	unsigned long threads = argc > 3 ? number(argv[3]) : 2;
	if (!switches || !stops || !threads || threads > MAX_THREADS)
		die("wanted is [SWITCHES [STOPS [THREADS]]], and no more than 8 threads");
	handle(SIGTRAP, on_breakpoint);
	make_writable(__start_padded_single, __stop_padded_single);
	make_writable(__start_padded_plain, __stop_padded_plain);
	demonstrate(&single, switches, stops, (int)threads);
	/* They are there to compare: less will do. */
	demonstrate(&plain, switches / 10, stops, (int)threads);
	demonstrate(&kept, switches / 10, stops, (int)threads);
	leave(single.lost || single.wrong || !single.met || single.hooked == single.calls || !plain.stops_lost ||
	      kept.lost || kept.wrong);
}
