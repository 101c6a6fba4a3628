#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# A second live patch replaces the first one, all of it; with --no-replace both stay.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocFirst:/'
change fs/proc/loadavg.c '/^static int loadavg_proc_show\(/,/^}/ s/^\treturn 0;/\tseq_puts(m, "first\\n");\n&/'
patch_of first
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocSecond:/'
patch_of second
run=(--run 'grep -E "Vmalloc(Chunk|First|Second)" /proc/meminfo' --run 'cat /proc/loadavg'
	--run 'cat /sys/kernel/livepatch/*/enabled 2>/dev/null | grep -c 1')
build first
build second
tries first.ko second.ko "${run[@]}"
probe 0 VmallocChunk '\AVmallocSecond' VmallocChunk
probe 1 '\A[0-9./ ]*\n\Z' '\A[0-9./ ]*\n\Z' '\A[0-9./ ]*\n\Z'
probe 2 '\A0' '\A1\n' '\A0'

build first --no-replace
build second --no-replace
tries first.ko second.ko "${run[@]}"
probe 0 VmallocChunk '\AVmallocSecond' VmallocChunk
probe 1 '\A[0-9./ ]*\n\Z' '^first' '\A[0-9./ ]*\n\Z'
probe 2 '\A0' '\A2\n' '\A0'
