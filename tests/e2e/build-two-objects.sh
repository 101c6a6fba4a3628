#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Built-in code and a module in one live patch, loaded before and after the module.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + 40/'
patch_of both
build both
kmend 0 inspect both.ko
says vmlinux meminfo_proc_show zram initstate_show
run=(--run 'grep -io VmallocChunk: /proc/meminfo' --run 'cat /sys/block/zram0/initstate 2>&1')
tries both.ko --load zram "${run[@]}"
probe 0 VmallocChunk VmallocCHUNK VmallocChunk
probe 1 '\A0\n' '\A40\n' '\A0\n'
tries both.ko --load-later zram "${run[@]}"
probe 0 VmallocChunk VmallocCHUNK VmallocChunk
probe 1 'No such file' '\A40\n' '\A0\n'
