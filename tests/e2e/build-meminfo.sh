#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# One string in one function: seen, and gone after removal.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change fs/proc/meminfo.c 's/show_val_kb\(m, "VmallocChunk: .*/seq_puts(m, "VmallocChunk: patched\\n");/'
patch_of meminfo
build meminfo
says 'meminfo_proc_show'
tries meminfo.ko --run 'grep VmallocChunk /proc/meminfo' --run 'cat /sys/kernel/livepatch/*/enabled'
probe 0 ' 0 kB$' '^VmallocChunk: patched$' ' 0 kB$'
probe 1 '' '^1$' ''

# A line more moves every line below it: only the changed function may be replaced.
change fs/proc/meminfo.c '/^static int meminfo_proc_show/i /* one */\n/* more */\n'
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocChunk?/'
patch_of moved
build moved --json
python3 - <<'END' || die "more than one function is replaced"
import json
functions = json.load(open("out"))["functions"]
assert [f["name"] for f in functions] == ["meminfo_proc_show"], functions
assert functions[0]["reasons"]
END
