#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# timeout: 1800
# Live patches that go wrong, each in its own way: the verdict says how.
. "$(dirname "$0")/try-lib"
enter_scratch qemu-system-x86_64 busybox
livepatch lp_warn "warned" 'WARN_ON(1);'
livepatch lp_oops "never" '*(volatile int *)8 = 1;'
livepatch lp_panic "never" 'panic("on purpose");'
livepatch lp_nofunc "never" '' no_such_function_here
livepatch lp_einval "never" '' cmdline_proc_show '-EINVAL'
livepatch lp_nothing "never" '' cmdline_proc_show 0
livepatch lp_stuck "never" '' kthreadd
build_livepatches
run=(--run 'cat /proc/cmdline')

try 1 "${run[@]}" lp_warn.ko
says "WARNING: CPU"
says "warned"
says "serial log: ./lp_warn.log"
[ -s lp_warn.log ] || die "no serial log is kept"

try 1 "${run[@]}" --log kept lp_oops.ko
says "BUG: kernel NULL pointer dereference"
grep -q "Linux version" kept || die "no serial log where it was asked for"

try 1 "${run[@]}" --json lp_panic.ko
python3 - out <<'END' || die "unexpected JSON"
import json, sys
verdict = json.load(open(sys.argv[1]))
assert verdict["verdict"] == "fail" and "panicked" in verdict["why"], verdict["why"]
assert verdict["probes"][0]["before"] and verdict["probes"][0]["removed"] is None
END

try 1 "${run[@]}" lp_nofunc.ko
says "did not take the live patch"
says "no_such_function_here"
try 1 lp_einval.ko
says "Invalid argument"
try 1 lp_nothing.ko
says "no live patch of its name appeared"
# kthreadd never leaves its function
try 1 --timeout 150 lp_stuck.ko
says "the transition to the live patch did not end"
says "(kthreadd)"
