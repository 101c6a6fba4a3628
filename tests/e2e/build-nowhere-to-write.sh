#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# A read-only output directory, a full disk, a full work directory: an error that names the place, and nothing half written.
. "$(dirname "$0")/common.inc"
enter_scratch unshare
need_mounts

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
patch_of good
mkdir place
export -f kmend says die left_nothing
export scratch

in_mounts bash -u <<'END' || exit 1
mount -t tmpfs -o ro none place || die "cannot mount"
kmend 1 build -k "$KERNEL" -o place/good.ko good.patch
says place Read-only
left_nothing
END

in_mounts bash -u <<'END' || exit 1
mount -t tmpfs -o size=4k none place || die "cannot mount"
kmend 1 build -k "$KERNEL" -o place/good.ko good.patch
says place "No space left"
[ -z "$(ls -A place)" ] || die "something is left in place: $(ls -A place)"
left_nothing
END

in_mounts bash -u <<'END' || exit 1
mount -t tmpfs -o size=64k none place || die "cannot mount"
TMPDIR=$PWD/place kmend 1 build -k "$KERNEL" -o good.ko good.patch
says "No space left"
[ ! -e good.ko ] || die "there is a good.ko"
[ -z "$(ls -A place)" ] || die "something is left in place: $(ls -A place)"
END

mkdir file
kmend 1 build -k "$KERNEL" -o file good.patch
says file
kmend 1 build -k "$KERNEL" -o missing/directory/good.ko good.patch
says missing/directory
build good
