#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Live patches for kmend's own runtime, forced on a kernel that has a livepatch core: written, described, and compared with the units again.
. "$(dirname "$0")/common.inc"
enter_scratch readelf

# tags FILE: its modinfo, line by line
tags()
{
	readelf -p .modinfo "$1" | sed -nE 's/^ *\[ *[0-9a-f]+\] *//p'
}

# A built-in function and one of a module, which both use what is not exported.
change fs/proc/meminfo.c 's/show_val_kb\(m, "VmallocChunk: .*/seq_puts(m, "VmallocChunk: patched\\n");/'
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + (zram_major > 0 ? 40 : 80)/'
patch_of both
build both --runtime=own
says "symbol(s) by address; goes in with kmend_runtime"
tags both.ko >tags.txt
grep -qx 'depends=kmend_runtime' tags.txt || die "does not depend on the runtime"
! grep -q '^livepatch=' tags.txt || die "marked as a live patch of the kernel's own core"
grep -qE '^kmend_func=vmlinux:meminfo_proc_show,1$' tags.txt || die "does not say what it replaces"
grep -qE '^kmend_func=zram:initstate_show,1$' tags.txt || die "does not say what it replaces in zram"
readelf -Ws both.ko >symbols.txt
! grep -q '\.klp\.sym\.' symbols.txt || die "has livepatch symbols"
grep -q 'UND kmend_enable_patch' symbols.txt && grep -q 'UND kmend_remove_patch' symbols.txt || die "does not call the runtime"
kmend 0 verify -k "$KERNEL" --patch both.patch both.ko
says "2 function(s) replaced" "compared with the compiled units"
# The same patch for the kernel's core: what is told is the same.
build both --runtime=kernel
says "livepatch symbol(s)"
kmend 0 build -k "$KERNEL" --runtime=own --json -o json.ko both.patch
grep -q '"runtime": "own"' out || die "--json does not tell the runtime"
kmend 2 build -k "$KERNEL" --runtime=none -o none.ko both.patch
says "--runtime is 'kernel' or 'own'"
[ ! -e none.ko ] || die "wrote none.ko"
