#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# timeout: 1200
# A guest that hangs is ended with a verdict; a kmend that is killed takes its VM along.
. "$(dirname "$0")/try-lib"
enter_scratch qemu-system-x86_64 busybox
livepatch lp_hang "never" 'local_irq_disable(); for (;;) cpu_relax();'
livepatch lp_good "good"
build_livepatches

try 1 --run 'cat /proc/cmdline' --json lp_hang.ko
python3 - out <<'END' || die "unexpected JSON"
import json, sys
verdict = json.load(open(sys.argv[1]))
assert verdict["verdict"] == "fail" and "stopped answering" in verdict["why"], verdict["why"]
assert verdict["log"] and verdict["probes"][0]["after"] is None
END

# Probes that never end are ended by the guest, and the verdict still comes.
try 0 --timeout 110 --run 'sleep 1000' lp_good.ko
says "[exit 137]"

"$KMEND" try -k "$KERNEL" --run 'sleep 20' lp_good.ko >out 2>&1 &
kmend=$!
qemu=
for _ in $(seq 200); do
	worker=$(pgrep -P $kmend) && qemu=$(pgrep -P "$worker" -f qemu-system) && break
	sleep 0.1
done
[ -n "$qemu" ] || die "QEMU was not started"
kill -9 $kmend
wait $kmend 2>/dev/null
for _ in $(seq 50); do
	kill -0 "$qemu" 2>/dev/null || exit 0
	sleep 0.1
done
kill "$qemu"
die "QEMU outlives kmend"
