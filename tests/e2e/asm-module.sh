#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# A kernel module compiled without any option for the tracer, whose listing gets its hooks from `kmend asm` used as the compiler: the kernel takes it, and traces its functions.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox make

mkdir -p src/traced
cat >src/traced/traced.c <<'END'
#include <linux/module.h>
static noinline int traced_work(int value) { return value * 3 + (value > 4); }
static int traced_set(const char *text, const struct kernel_param *param)
{
	int value, error = kstrtoint(text, 0, &value);
	*(int *)param->arg = error ? 0 : traced_work(value);
	return error;
}
static const struct kernel_param_ops ops = { .set = traced_set, .get = param_get_int };
static int knob;
module_param_cb(knob, &ops, &knob, 0644);
MODULE_LICENSE("GPL");
END
printf 'obj-m := traced.o\nCFLAGS_REMOVE_traced.o := $(CC_FLAGS_FTRACE)\n' >src/traced/Kbuild

# Without: nothing can be traced.
by_kbuild src/traced
kmend 3 entries --check src/traced/traced.ko
says 'begins with its own code: '
rm -f src/traced/*.o src/traced/*.ko src/traced/.*.cmd
# (The kernel was configured to have records made by the compiler.)
by_kbuild src/traced CC="$KMEND asm --hook -- $(field compiler)"
kmend 0 entries --check src/traced/traced.ko
says '2            can be live patched'

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
patch_of any
build any
cat >probe.sh <<'END'
cd /sys/kernel/tracing || exit 1
grep '^traced_.*\[traced\]' available_filter_functions | sort
echo 'traced_*' >set_ftrace_filter
echo function >current_tracer
echo 5 >/sys/module/traced/parameters/knob
cat /sys/module/traced/parameters/knob
grep -c 'traced_work <-' trace
echo nop >current_tracer
END
tries --load "$PWD/src/traced/traced.ko" any.ko --file probe.sh --run 'sh /probe.sh'
probe 0 '\Atraced_set \[traced\]\ntraced_work \[traced\]\n16\n1\n\Z' '\n16\n1\n\Z' '\n16\n1\n\Z'
