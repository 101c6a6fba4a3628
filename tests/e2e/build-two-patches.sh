#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Several patches become one module; the second one is on top of the first, the third one is about another file.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocFirst:/'
stacked_patch_of first
change fs/proc/meminfo.c 's/"VmallocFirst:/"VmallocSecond:/'
patch_of second
change fs/proc/loadavg.c '/^static int loadavg_proc_show\(/,/^}/ s/^\treturn 0;/\tseq_puts(m, "third\\n");\n&/'
patch_of third
kmend 0 build -k "$KERNEL" -o all.ko first.patch second.patch third.patch
says meminfo_proc_show loadavg_proc_show
tries all.ko --run 'grep -E "Vmalloc(Chunk|First|Second)" /proc/meminfo' --run 'cat /proc/loadavg'
probe 0 VmallocChunk '\AVmallocSecond' VmallocChunk
probe 1 '\A[0-9./ ]*\n\Z' '^third' '\A[0-9./ ]*\n\Z'

# In the wrong order the second one does not apply, and says so.
kmend 3 build -k "$KERNEL" -o wrong.ko second.patch first.patch
says second.patch
[ ! -e wrong.ko ] || die "there is a wrong.ko"
