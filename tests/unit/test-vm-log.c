/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which lines of a kernel log fail a live patch, and which only sound like it. */
#include <string.h>

#include "vm/log.h"

static const char *const bad[] = {
	"[    4.219587] WARNING: CPU: 0 PID: 189 at fs/proc/cmdline.c:22 new_show+0x5/0x30 [lp]",
	"<4>[    4.219587] WARNING: CPU: 0 PID: 189 at fs/proc/cmdline.c:22 new_show+0x5/0x30 [lp]",
	"[    4.227226] Call Trace:",
	"[    5.1][  T123] BUG: kernel NULL pointer dereference, address: 0000000000000008",
	"[    5.100000] Oops: 0002 [#1] PREEMPT SMP NOPTI",
	"[    5.100000] general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
	"[   28.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [cat:98]",
	"[   28.000000] watchdog: Watchdog detected hard LOCKUP on cpu 0",
	"[   25.000000] rcu: INFO: rcu_preempt self-detected stall on CPU",
	"[   25.000000] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
	"[   25.000000] rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-...D }",
	"[   60.000000] INFO: task cat:98 blocked for more than 30 seconds.",
	"[    3.000000] WARNING: possible circular locking dependency detected",
	"[    3.000000] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2",
	"[    3.000000] UBSAN: array-index-out-of-bounds in fs/a.c:3:4",
	"[    3.000000] BUG: sleeping function called from invalid context at mm/slab.h:1",
	"[    3.000000] BUG: scheduling while atomic: cat/98/0x00000002",
	"[    3.000000] kernel BUG at mm/slub.c:379!",
	"[    3.000000] Kernel panic - not syncing: on purpose",
	"[    3.000000] invalid opcode: 0000 [#1] PREEMPT SMP",
	"[    3.000000] refcount_t: underflow; use-after-free.",
	"[    3.000000] livepatch: symbol 'f' not found in symbol table",
	"[    3.000000] livepatch: failed to initialize patch 'lp' for module 'dummy' (-2)",
	"[    3.000000] livepatch: Livepatch patch (lp) is not compatible with the already installed livepatches.",
	"[    3.000000] lp: Unknown symbol klp_nothing (err -2)",
	"[    3.000000] lp: disagrees about version of symbol module_layout",
};

static const char *const harmless[] = {
	"[    3.000000] livepatch: enabling patch 'lp'",
	"[    3.000000] livepatch: 'lp': starting patching transition",
	"[    3.000000] livepatch: 'lp': patching complete",
	"[   18.000000] livepatch: signaling remaining tasks",
	"[    3.000000] lp: tainting kernel with TAINT_LIVEPATCH",
	"[    3.000000] lp: loading out-of-tree module taints kernel.",
	"[    3.000000] lp: module verification failed: signature and/or required key missing - tainting kernel",
	"[    3.000000] traps: sh[77] general protection fault ip:401000 sp:7ff error:0 in busybox[401000+1000]",
	"[    3.000000] cat[12]: segfault at 0 ip 0000000000401000 sp 00007ffc error 6 in cat[400000+1000]",
	"[    3.000000] DEBUG: nothing of note",
	"[    3.000000] PREWARNING: a longer word",
	"[    0.000000] Spectre V2 : Mitigation: Retpolines",
	"[    0.000000] rcu: \tRCU event tracing is enabled.",
	"",
};

static void test_rules(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
		if (!km_log_is_problem(bad[i]))
			g_error("not seen as a problem: %s", bad[i]);
	for (gsize i = 0; i < G_N_ELEMENTS(harmless); i++)
		if (km_log_is_problem(harmless[i]))
			g_error("seen as a problem: %s", harmless[i]);
}

static void test_message(void)
{
	g_assert_cmpstr(km_log_message("<6>[    1.5][    T1] hello [world]"), ==, "hello [world]");
	g_assert_cmpstr(km_log_message("[    1.5] [drm] x"), ==, "[drm] x");
	g_assert_cmpstr(km_log_message("no stamp"), ==, "no stamp");
	g_assert_cmpstr(km_log_message("<no>[ 1.0"), ==, "<no>[ 1.0");
	g_assert_cmpstr(km_log_message(""), ==, "");
}

static void test_boot_does_not_count(void)
{
	g_autoptr(GPtrArray) lines = km_log_lines("\033[2J\033[1;1H<4>[ 0.1] WARNING: at boot\r\n\r\n"
						  "[ 1.0] kmend 12: from here\n[ 2.0] BUG: mine\n[ 3.0] BUG: mine\n");
	g_assert_cmpuint(lines->len, ==, 4);
	g_assert_cmpstr(lines->pdata[0], ==, "[ 0.1] WARNING: at boot");
	guint from = km_log_after(lines, "kmend 12: ");
	g_assert_cmpuint(from, ==, 2);
	g_autoptr(GPtrArray) problems = km_log_problems(lines, from, 10);
	g_assert_cmpuint(problems->len, ==, 1); /* the repetition counts once */
	g_assert_cmpstr(problems->pdata[0], ==, "[ 2.0] BUG: mine");
	g_assert_cmpuint(km_log_after(lines, "no such mark"), ==, 0);
}

static void test_reasons(void)
{
	g_autoptr(GPtrArray) lines =
		km_log_lines("[ 1] lp: loading out-of-tree module taints kernel.\n"
			     "[ 1] livepatch: symbol 'f' not found in symbol table\n[ 1] usb 1-1: hi\n");
	g_autofree char *why = km_log_reasons(lines, 0, "lp");
	g_assert_cmpstr(why, ==, "livepatch: symbol 'f' not found in symbol table");
	g_assert_null(km_log_reasons(lines, 2, "lp"));
	g_autoptr(GPtrArray) own = km_log_lines("[ 1] kmend_runtime: another kernel\n[ 1] usb 1-1: hi\n");
	g_autofree char *said = km_log_reasons(own, 0, "lp");
	g_assert_cmpstr(said, ==, "kmend_runtime: another kernel");
}

static void test_taint(void)
{
	g_assert_null(km_log_taint(0, 1 << 12 | 1 << 13 | 1 << 15));
	g_assert_null(km_log_taint(1 << 9, 1 << 9 | 1 << 15));
	g_autofree char *both = km_log_taint(0, 1 << 7 | 1 << 9 | 1 << 15);
	g_assert_cmpstr(both, ==, "kernel died (oops), kernel warning");
	g_autofree char *unknown = km_log_taint(0, G_GUINT64_CONSTANT(1) << 40);
	g_assert_cmpstr(unknown, ==, "bit 40");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/vm/log/rules", test_rules);
	g_test_add_func("/vm/log/message", test_message);
	g_test_add_func("/vm/log/boot-does-not-count", test_boot_does_not_count);
	g_test_add_func("/vm/log/reasons", test_reasons);
	g_test_add_func("/vm/log/taint", test_taint);
	return g_test_run();
}
