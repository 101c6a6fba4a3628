#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 900
# kmend try on kernels of another architecture, and without a livepatch core: a stand-in for kmend's own runtime shows that the VM boots,
# loads it first, finds the live patch where the runtime puts it, waits while something is busy, and says what is.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-aarch64

# live_patch NAME TIMES: one that finds something busy so many times when it comes, and as often when it goes
live_patch()
{
	cat >"$1.c" <<-END
		#include <linux/module.h>
		#include <linux/proc_fs.h>
		#include <linux/seq_file.h>
		int fake_enable(struct module *mod, int busy);
		static int show(struct seq_file *m, void *v) { seq_puts(m, "$1 is in force\n"); return 0; }
		static int __init start(void)
		{
			int ret = fake_enable(THIS_MODULE, $2);
			if (!ret)
				proc_create_single("patched", 0444, NULL, show);
			return ret;
		}
		static void __exit stop(void) { remove_proc_entry("patched", NULL); }
		module_init(start);
		module_exit(stop);
		MODULE_LICENSE("GPL");
	END
	echo "obj-m += $1.o" >>Makefile
}

runtime()
{
	cat >kmend_runtime.c <<-'END'
		#include <linux/kobject.h>
		#include <linux/module.h>
		#include <linux/slab.h>
		#include <linux/sysfs.h>
		static struct kobject *dir, *patch;
		static struct module *owner;
		static int coming, going;
		static void drop(struct work_struct *work)
		{
			kobject_del(patch);
			kobject_put(patch);
			module_put(owner);
		}
		static DECLARE_WORK(work, drop);
		static ssize_t show(struct kobject *k, struct kobj_attribute *a, char *buf)
		{
			return sysfs_emit(buf, "%d\n", a->attr.mode == 0644);
		}
		static ssize_t store(struct kobject *k, struct kobj_attribute *a, const char *buf, size_t n)
		{
			if (going-- > 0) {
				pr_info("kmend: sleeper (12) is inside busy_function\n");
				return -EBUSY;
			}
			schedule_work(&work);
			return n;
		}
		static struct kobj_attribute enabled = __ATTR(enabled, 0644, show, store);
		static struct kobj_attribute transition = __ATTR(transition, 0444, show, NULL);
		int fake_enable(struct module *mod, int busy)
		{
			if (coming < busy) {
				coming++;
				pr_info("kmend: sleeper (12) is inside busy_function\n");
				return -EBUSY;
			}
			coming = 0;
			going = busy;
			owner = mod;
			__module_get(mod);
			patch = kobject_create_and_add(mod->name, dir);
			return sysfs_create_file(patch, &enabled.attr) ? : sysfs_create_file(patch, &transition.attr);
		}
		EXPORT_SYMBOL_GPL(fake_enable);
		static int __init start(void)
		{
			dir = kobject_create_and_add("kmend", kernel_kobj);
			return dir ? 0 : -ENOMEM;
		}
		module_init(start);
		MODULE_LICENSE("GPL");
	END
	echo "obj-m += kmend_runtime.o" >>Makefile
}

modules()
{
	runtime
	live_patch lp_free 0
	live_patch lp_busy 2
	live_patch lp_stuck 1000
	local compiler
	compiler=$(field compiler)
	make -C "$(field source)" O="$(field build)" ARCH=arm64 CC="$compiler" CROSS_COMPILE="${compiler%gcc*}" M="$PWD" modules \
		>make.log 2>&1 && return
	tail -20 make.log
	skip "kbuild does not make modules for $KERNEL here"
}

one_kernel()
{
	mkdir "$KERNEL" && cd "$KERNEL" || exit 1
	modules
	try 1 lp_free.ko
	says "kmend_runtime"
	try 3 kmend_runtime.ko
	says "not a live patch"
	tries --load "$PWD/kmend_runtime.ko" --run 'cat /proc/patched' --run 'grep -o paca /proc/cpuinfo | head -n 1' --stress 2 \
		lp_busy.ko
	probe 0 "No such file" "lp_busy is in force" "No such file"
	probe 1 "^paca" "^paca" "^paca"
	try 1 --load "$PWD/kmend_runtime.ko" --timeout 40 lp_stuck.ko
	says "lp_stuck: the transition to the live patch did not end"
	says "sleeper (12) is inside busy_function"
	try 0 --load "$PWD/kmend_runtime.ko" --each lp_free.ko lp_busy.ko
	says "lp_free: pass"
	says "lp_busy: pass"
	cd ..
}

kernels=$("$KMEND" kernel list | awk '$2 == "arm64" { print $1 }')
[ -n "$kernels" ] || skip "no arm64 kernel is in the cache"
for KERNEL in $kernels; do
	one_kernel
done
