#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: network
# timeout: 1500
# kill -9 in the middle of a fetch, and a disk that is full: nothing half trusted, and the next fetch works.
. "$(dirname "$0")/common.inc"
tests/archive-reachable || skip "the package archive cannot be reached"
kernel=$(scripts/kernels newest | head -n 1)
[ -n "$kernel" ] || skip "the archive offers no kernel"
enter_scratch unshare
export KMEND_CACHE=$scratch/cache

kmend 1 kernel fetch 0.0.0-no-such-kernel-amd64
says 0.0.0-no-such-kernel-amd64

for delay in 0.5 8; do
	"$KMEND" kernel fetch "$kernel" >out 2>&1 &
	pid=$!
	sleep $delay
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null && break
	kmend 0 kernel list
	says_not "$kernel"
	kmend 1 kernel show "$kernel"
done
# Two at once: one waits for the other.
"$KMEND" kernel fetch "$kernel" >other 2>&1 &
pid=$!
kmend 0 kernel fetch "$kernel"
wait $pid || { cat other; die "the other fetch failed"; }
kmend 0 kernel list
says "$kernel"
[ -z "$(find cache/tmp -mindepth 1 -maxdepth 1 2>/dev/null)" ] || die "left in the cache: $(ls cache/tmp)"

# What is there is there: no network needed.
http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1 kmend 0 kernel fetch "$kernel"

in_mounts true 2>/dev/null || exit 0
mkdir small
export -f kmend says die
export kernel
in_mounts bash -u <<'END' || exit 1
mount -t tmpfs -o size=50m none small || die "cannot mount"
export KMEND_CACHE=$PWD/small
kmend 1 kernel fetch "$kernel"
kmend 0 kernel list
[ ! -s out ] || ! grep -qF "$kernel" out || die "a kernel that did not fit is listed"
END

kmend 0 kernel remove "$kernel"
kmend 0 kernel list
says_not "$kernel"
[ -z "$(find cache/source cache/kernel -mindepth 1 -maxdepth 1 2>/dev/null)" ] || die "removing left something"
