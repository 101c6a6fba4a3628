#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Data of every kind that a patch may bring, in code of the kernel and of a module at once; and some that it takes away.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

# One function that uses them all and says what it saw.
cat >kinds.c <<'END'
#include <linux/delay.h>
#include <linux/jump_label.h>
#include <linux/percpu.h>
#include <linux/static_call.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

static DEFINE_MUTEX(kd_mutex);
static DEFINE_SPINLOCK(kd_lock);
static LIST_HEAD(kd_list);
static DECLARE_WAIT_QUEUE_HEAD(kd_wait);
static int kd_done;
static DEFINE_PER_CPU(int, kd_cpu) = 7;
static DEFINE_STATIC_KEY_FALSE(kd_off);
static DEFINE_STATIC_KEY_TRUE(kd_on);
static const char *const kd_names[] = { "zero", "one", "two", "three" };
static const struct { int n; const char *s; } kd_rows[] = { { 1, "a" }, { 2, "b" }, { } };

static void kd_fn(struct work_struct *work)
{
	kd_done = 1;
	wake_up(&kd_wait);
}
static DECLARE_WORK(kd_work, kd_fn);

static int kd_more(int x)
{
	return x + 1;
}
static int kd_twice(int x)
{
	return x * 2;
}
static int (*const kd_fixed[])(int) = { kd_more, kd_twice };
static int (*kd_ops[])(int) = { kd_twice, kd_more };
DEFINE_STATIC_CALL(kd_call, kd_more);

static noinline const char *kd_switch(int x)
{
	switch (x) {
	case 0: return "a";
	case 1: msleep(1); return "b";
	case 2: return kd_names[2];
	case 3: schedule(); return "d";
	case 4: return kd_done ? "e" : "E";
	case 5: dump_stack(); return "f";
	}
	return "none";
}

static noinline int kd_text(char *p)
{
	static int count = 3;
	static char name[] = "abc";
	static struct mutex late;
	int n = 0, i;

	mutex_lock(&kd_mutex);
	spin_lock(&kd_lock);
	n += sprintf(p + n, "locks %d %d list %d\n", mutex_is_locked(&kd_mutex), spin_is_locked(&kd_lock), list_empty(&kd_list));
	spin_unlock(&kd_lock);
	mutex_unlock(&kd_mutex);
	kd_done = 0;
	schedule_work(&kd_work);
	wait_event(kd_wait, kd_done);
	flush_work(&kd_work);
	per_cpu(kd_cpu, 1) = 20;
	n += sprintf(p + n, "cpu %d %d\n", per_cpu(kd_cpu, 0), ++per_cpu(kd_cpu, 1));
	n += sprintf(p + n, "keys %d%d", !!static_branch_unlikely(&kd_off), !!static_branch_likely(&kd_on));
	static_branch_enable(&kd_off);
	static_branch_disable(&kd_on);
	n += sprintf(p + n, " %d%d\n", !!static_branch_unlikely(&kd_off), !!static_branch_likely(&kd_on));
	static_branch_disable(&kd_off);
	static_branch_enable(&kd_on);
	n += sprintf(p + n, "calls %d", static_call(kd_call)(20));
	static_call_update(kd_call, kd_twice);
	n += sprintf(p + n, " %d\n", static_call(kd_call)(20));
	static_call_update(kd_call, kd_more);
	n += sprintf(p + n, "local %d %s\n", ++count, name);
	for (i = 0; kd_rows[i].s; i++)
		n += sprintf(p + n, "%d%s%s%d%d%s ", kd_rows[i].n, kd_rows[i].s, kd_names[i], kd_fixed[i](5), kd_ops[i](5), kd_switch(i * 2));
	mutex_init(&late);
	mutex_lock(&late);
	lockdep_assert_held(&late);
	mutex_unlock(&late);
	WARN_ON_ONCE(n > 1000);
	pr_debug("kmend: debugging\n");
	pr_info_once("kmend: once\n");
	printk_ratelimited(KERN_INFO "kmend: limited\n");
	return n + sprintf(p + n, "\n");
}

END
change fs/proc/loadavg.c '/^#include "internal.h"/r kinds.c'
change fs/proc/loadavg.c '/^static int loadavg_proc_show/,/^}/ s/^\treturn 0;/\t{\n\t\tstatic char text[1000];\n\n\t\tkd_text(text);\n\t\tseq_puts(m, text);\n\t}\n&/'
change drivers/block/zram/zram_drv.c '/^#include "zram_drv.h"/r kinds.c'
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/^\treturn s.*/\treturn kd_text(buf);/'
# A message that is given once goes, with the variable that remembers it; the kernel's own stays as it is.
change fs/proc/base.c '/^static int __set_oom_adj\(/,/^}/ { /^\t\tpr_warn_once\(/,/\);/d; }'
# Another text of such a message: the kernel's own variable goes on remembering. And a static variable that goes, with its users.
change fs/namespace.c 's/"WARNING: The mand mount option/"NOTE: The patched mand mount option/'
change fs/namespace.c '/^static u64 event;/d; /^\tevent\+\+;/d; s/ns->event = \+\+event;/ns->event++;/; s/ && ns->event != event\)/)/; s/ns->event = event;/ns->event++;/'
# A read-only table of a module.
change net/8021q/vlanproc.c 's/"VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD"/"PATCHED"/'
patch_of data
build data
says 'vmlinux: loadavg_proc_show' 'zram: initstate_show' 'vmlinux: path_mount' \
	'8021q: vlan_seq_show (net/8021q/vlanproc.c): uses table vlan_name_type_str'

cat >probe.sh <<'END'
mount -t debugfs none /sys/kernel/debug 2>/dev/null
mkdir -p /mnt
for i in 1 2; do
	[ ! -e /tmp/again ] || echo 0 >/proc/self/oom_adj
	[ ! -e /tmp/again ] || { mount -t tmpfs -o mand none /mnt && umount /mnt; }
done
: >/tmp/again
echo "said $(dmesg | grep -c 'oom_adj is deprecated') $(dmesg | grep -c 'The patched mand') $(dmesg | grep -c 'The mand')"
grep -o 'Name-Type: .*' /proc/net/vlan/config
cat /proc/loadavg
cat /proc/loadavg >/dev/null
cat /sys/block/zram0/initstate
echo "once $(dmesg | grep -c 'kmend: once') limited $(dmesg | grep -c 'kmend: limited')"
grep -c 'kd_text =_ "kmend: debugging' /proc/dynamic_debug/control
echo 'func kd_text +p' >/proc/dynamic_debug/control
cat /proc/loadavg >/dev/null
echo "debug $(dmesg | grep -c 'kmend: debugging')"
END
seen='locks 1 1 list 1\ncpu 7 21\nkeys 01 10\ncalls 21 40\nlocal 4 abc\n1azero610a 2bone106two \n'
tries data.ko --load zram --load 8021q --file probe.sh --run 'sh /probe.sh'
probe 0 '\Asaid 0 0 0\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n[0-9. /]+\n0\nonce 0 limited 0\n0\ndebug 0\n\Z' \
	'\Asaid 0 1 0\nName-Type: PATCHED\n[0-9. /]+\n'"$seen$seen"'once 2 limited [23]\n2\ndebug 1\n\Z' \
	'\Asaid 1 1 0\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n[0-9. /]+\n0\n'

change fs/proc/loadavg.c '/^#include "internal.h"/a #include <linux/tracepoint.h>\nDECLARE_TRACE(kd_new, TP_PROTO(int x), TP_ARGS(x));\nDEFINE_TRACE(kd_new, TP_PROTO(int x), TP_ARGS(x));'
change fs/proc/loadavg.c '/^static int loadavg_proc_show/,/^}/ s/^\treturn 0;/\ttrace_kd_new(1);\n&/'
patch_of tracepoint
refuses tracepoint
says fs/proc/loadavg.c 'a new tracepoint'
