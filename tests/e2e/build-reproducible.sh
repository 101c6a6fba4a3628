#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# The same input gives the same bytes: in any directory, with any number of compilers, in any environment.
. "$(dirname "$0")/common.inc"
enter_scratch
export KMEND_CACHE=${KMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kmend}

change net/core/dev.c '/^int dev_change_tx_queue_len\(/,/^}/ s/^\tint res;/&\n\n\tpr_info("patched\\n");/'
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + 40/'
patch_of all
mkdir -p one/tmp "two/a longer path/tmp"
cp all.patch one
cp all.patch "two/a longer path/other.diff"
(cd one && TMPDIR=$PWD/tmp kmend 0 build -k "$KERNEL" -j 1 -o all.ko all.patch) || exit 1
(cd two && TMPDIR="$PWD/a longer path/tmp" TZ=Asia/Tokyo LC_ALL=C.UTF-8 HOME=/ CFLAGS=-O0 KBUILD_BUILD_USER=me kmend 0 build -k "$KERNEL" -j 4 \
	-o "a longer path/all.ko" "a longer path/other.diff") || exit 1
cmp one/all.ko "two/a longer path/all.ko" || die "the modules differ"
! grep -qaF "$scratch" one/all.ko || die "the module names the directory it was built in"
