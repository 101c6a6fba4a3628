#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# timeout: 1800
# Load/remove cycles while the patched function runs in several processes. (build-stress.sh does more.)
. "$(dirname "$0")/try-lib"
enter_scratch qemu-system-x86_64 busybox
livepatch lp_good "good"
build_livepatches
try 0 --stress 10 --run 'cat /proc/cmdline' lp_good.ko
says "pass:"
