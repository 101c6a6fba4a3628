#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
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

# Two at once do not disturb each other.
for n in 1 2 3; do
	"$KMEND" build -k "$KERNEL" -o $n/queue.ko --name queue queue.patch >out.$n 2>&1 &
	mkdir -p $n
done
wait
for n in 1 2 3; do
	cmp $n/queue.ko reference || { cat out.$n; die "built at the same time, number $n differs"; }
done
