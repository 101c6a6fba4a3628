#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# kill -9 in the middle of a build: no module that is not whole, and the next build is as good as ever and sweeps up.
. "$(dirname "$0")/common.inc"
enter_scratch

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocChunk?/'
patch_of queue
build queue
mv queue.ko reference

for delay in 0.02 0.1 0.2 0.4 0.6 0.8 1; do
	"$KMEND" build -k "$KERNEL" -o queue.ko queue.patch >out 2>&1 &
	pid=$!
	sleep $delay
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	[ ! -e queue.ko ] || cmp queue.ko reference || die "a half module after $delay s"
	rm -f queue.ko
done
build queue
cmp queue.ko reference || die "the module differs after builds that were killed"
left_nothing

# A signal that can be caught leaves nothing behind, and says itself what ended it.
change fs/proc/internal.h '/^static inline bool is_empty_pde/,/^}/ s/return /return pde->namelen != 77 \&\& /'
patch_of farm
for delay in 0.3 1 3; do
	for signal in INT TERM; do
		# Not in the background of this shell: it would have SIGINT ignored.
		python3 - "$signal" "$delay" "$KMEND" build -k "$KERNEL" -o queue.ko farm.patch >out 2>&1 <<'END' || die "SIG$signal after $delay s"
import glob, signal, subprocess, sys, time
number = getattr(signal, "SIG" + sys.argv[1])
kmend = subprocess.Popen(sys.argv[3:])
time.sleep(float(sys.argv[2]))
# The process that does the work, and names its directories after itself. Other builds, killed ones too, run on this machine.
children = open(f"/proc/{kmend.pid}/task/{kmend.pid}/children").read().split()
kmend.send_signal(number)
status = kmend.wait()
if status not in (-number, 0):
    sys.exit(f"ended with {status}")
for child in children:
    # Another kmend may be sweeping it up at the same moment, and not be through.
    for tick in range(100):
        left = glob.glob(f"/dev/shm/kmend-farm-{child}-*")
        if not left:
            break
        time.sleep(0.05)
    else:
        sys.exit(f"left behind: {left}")
END
		left_nothing
		rm -f queue.ko
	done
done

# Two at once do not disturb each other.
for n in 1 2 3; do
	"$KMEND" build -k "$KERNEL" -o $n/queue.ko --name queue queue.patch >out.$n 2>&1 &
	mkdir -p $n
done
wait
for n in 1 2 3; do
	cmp $n/queue.ko reference || { cat out.$n; die "built at the same time, number $n differs"; }
done
