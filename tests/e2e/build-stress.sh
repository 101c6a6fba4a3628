#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# timeout: 1800
# 30 load/remove cycles while the patched functions run in several processes.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
change fs/proc/loadavg.c '/^static int loadavg_proc_show\(/,/^}/ s/^\treturn 0;/\tseq_puts(m, "patched\\n");\n&/'
patch_of stress
build stress
tries stress.ko --stress 30 --run 'grep -io VmallocChunk: /proc/meminfo; cat /proc/loadavg'
probe 0 '\AVmallocChunk:\n[0-9./ ]*\n\Z' '\AVmallocCHUNK:\n[0-9./ ]*\npatched\n\Z' '\AVmallocChunk:\n[0-9./ ]*\n\Z'
