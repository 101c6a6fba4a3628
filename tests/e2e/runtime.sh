#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# kmend's own runtime beside the kernel's livepatch core: a built-in function, and one of a module that is there or comes later, patched and restored.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

kmend 0 runtime -k "$KERNEL" -o kmend_runtime.ko
change fs/proc/meminfo.c 's/show_val_kb\(m, "VmallocChunk: .*/seq_puts(m, "VmallocChunk: patched\\n");/'
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + (zram_major > 0 ? 40 : 80)/'
patch_of both
build both --runtime=own
tries --load "$PWD/kmend_runtime.ko" --load zram both.ko --run 'grep VmallocChunk /proc/meminfo' --run 'cat /sys/block/zram0/initstate' \
	--run 'cat /sys/kernel/kmend/both/enabled'
probe 0 ' 0 kB$' '^VmallocChunk: patched$' ' 0 kB$'
probe 1 '\A0\n' '\A40\n' '\A0\n'
probe 2 'No such file' '^1$' 'No such file'
tries --load "$PWD/kmend_runtime.ko" --load-later zram both.ko --run 'cat /sys/block/zram0/initstate 2>&1'
probe 0 'No such file' '\A40\n' '\A0\n'
