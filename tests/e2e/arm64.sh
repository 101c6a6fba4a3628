#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: arm64
# A stock arm64 kernel, which has no livepatch core, from whatever machine this is: a patch of a built-in function and one of a module becomes a live patch for
# kmend's own runtime, is checked, goes in and out, also again and again, and into a module that comes later.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-aarch64

# How often the file was read is in a shadow variable of init_task, which goes with the live patch.
change fs/proc/meminfo.c 's/show_val_kb\(m, "VmallocChunk: .*/seq_printf(m, "VmallocChunk: patched %lu\\n", ++*reads_get_or_alloc(\&init_task, GFP_KERNEL));/
	0,/^#include/ s/^#include/#include <kmend\/kmend.h>\n#include <linux\/sched\/task.h>\n&/
	s/^static int meminfo_proc_show/KMEND_SHADOW(reads, 20260001, struct task_struct, unsigned long);\nstatic void forget(struct klp_object *obj)\n{\n\treads_free_all();\n}\nKMEND_POST_UNPATCH(forget);\n\n&/'
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + (zram_major > 0 ? 40 : 80)/'
# Data that each CPU has a copy of, whose first one lies in memory that is freed after start.
change fs/inode.c '/^static int proc_nr_inodes\(/,/^}/ s/get_nr_inodes\(\);/get_nr_inodes() > 0 ? 4242 : 1;/'
patch_of both
kmend 3 build -k "$KERNEL" --runtime=kernel -o both.ko both.patch
says "built without CONFIG_LIVEPATCH"
build both
says "goes in with kmend_runtime"
kmend 0 verify -k "$KERNEL" both.ko
says "3 function(s) replaced" "checked by itself"
kmend 0 inspect both.ko
says "meminfo_proc_show" "initstate_show"

tries --load zram both.ko --run 'grep VmallocChunk /proc/meminfo; grep VmallocChunk /proc/meminfo' --run 'cat /sys/block/zram0/initstate' \
	--run 'cat /sys/kernel/livepatch/both/enabled' --run 'grep -c paca /proc/cpuinfo' --run 'cut -c 1-13 /proc/kallsyms | head -n 1' \
	--run 'cat /proc/sys/fs/inode-nr' --stress 10
probe 0 ' 0 kB$' '\AVmallocChunk: patched 1\nVmallocChunk: patched 2$' ' 0 kB$'
probe 1 '\A0\n' '\A40\n' '\A0\n'
probe 2 'No such file' '^1$' 'No such file'
# Return addresses are signed, and the kernel is not where it was linked.
probe 3 '\A[1-9]' '\A[1-9]' '\A[1-9]'
probe 4 '\A(?!ffff800008000|ffff800080000)' '' ''
probe 5 '\A(?!4242)[0-9]+\t' '\A4242\t' '\A(?!4242)[0-9]+\t'
tries both.ko --load-later zram --run 'cat /sys/block/zram0/initstate 2>&1'
probe 0 'No such file' '\A40\n' '\A0\n'

# A runtime for another kernel refuses this one.
other=$("$KMEND" kernel list | awk -v this="$KERNEL" '$2 == "arm64" && $1 != this { print $1; exit }')
[ -n "$other" ] || exit 0
kmend 0 runtime -k "$other" -o kmend_runtime.ko
try 1 --load "$PWD/kmend_runtime.ko" both.ko
says "kmend_runtime"
