#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# timeout: 300
# What is wrong before any VM starts is said at once.
. "$(dirname "$0")/try-lib"
enter_scratch qemu-system-x86_64 busybox
livepatch lp_good "good"
build_livepatches

try 2
try 2 --stress -1 lp_good.ko
try 2 --memory 1 lp_good.ko
try 1 missing.ko
says "missing.ko"
echo nonsense >text.ko
try 1 text.ko
says "text.ko"
head -c 2000 lp_good.ko >cut.ko
try 1 cut.ko
says "cut.ko"
stock=$(find "$(field modules)" -name 'dummy.ko*' | head -1)
try 3 "$stock"
says "not a live patch"
sed 's/vermagic=./vermagic=9/' lp_good.ko >other.ko
try 3 other.ko
says "was built for kernel"
try 1 lp_good.ko lp_good.ko
says "two live patches"
try 1 --load no_such_module lp_good.ko
says "no_such_module"
try 1 --file missing lp_good.ko
says "missing"
try 1 --file "$KMEND" lp_good.ko
says "-static"
PATH=/nowhere "$KMEND" try -k "$KERNEL" lp_good.ko >out 2>&1 && die "it ran without QEMU"
says "qemu-system-x86"
[ -z "$(ls -d "${TMPDIR:-/tmp}"/kmend-try-* 2>/dev/null)" ] || die "work directories are left behind"
