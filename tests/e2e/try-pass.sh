#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# timeout: 1200
# Live patches that work: outputs come back exact, a second one replaces the first, modules bring their dependencies.
. "$(dirname "$0")/try-lib"
enter_scratch qemu-system-x86_64 busybox
livepatch lp_first "this has been live patched"
livepatch lp_second "and again"
build_livepatches
echo "a file of the host" >note

try 0 --run 'cat /proc/cmdline' --run 'printf "no newline"; exit 3' --json lp_first.ko
python3 - out <<'END' || die "unexpected JSON"
import json, sys
verdict = json.load(open(sys.argv[1]))
first, second = verdict["probes"]
assert verdict["verdict"] == "pass" and verdict["why"] is None and verdict["problems"] == [], verdict["why"]
assert first["after"] == "this has been live patched\n", first
assert first["before"] == first["removed"] and "console=" in first["before"], first
assert second["before"] == second["after"] == second["removed"] == "no newline\n[exit 3]\n", second
assert any("patching complete" in line for line in verdict["log"])
END
[ ! -e lp_first.log ] || die "a log is left although it passed"

try 0 --run 'cat /proc/cmdline; ls /sys/kernel/livepatch' --run 'cat /note; lsmod' --load dummy --load-later tcp_diag \
	--file note lp_first.ko lp_second.ko
says "and again"
says "lp_second"
says "a file of the host"
says "dummy"
says "inet_diag"
says "pass:"
says_not "this has been live patched"

# Without -k it is the kernel that the module was built for.
"$KMEND" try lp_first.ko >out 2>&1 || die "the module's own kernel is not found"
says "pass:"
