#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# A function of a module, which uses static data of that module: patched after the module is loaded, and before.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + (zram_major > 0 ? 40 : 80)/'
patch_of disk
build disk
says initstate_show
tries disk.ko --load zram --run 'cat /sys/block/zram0/initstate'
probe 0 '\A0\n' '\A40\n' '\A0\n'
tries disk.ko --load-later zram --run 'cat /sys/block/zram0/initstate 2>&1'
probe 0 'No such file' '\A40\n' '\A0\n'
tries disk.ko --run 'lsmod'
