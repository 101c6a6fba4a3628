#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# A function of a module with that module's own tracepoint (static key and static call): patched before and after the module is
# there, and the tracepoint still fires from the new code.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox mke2fs

change fs/ext4/inode.c 's/^\ttrace_ext4_write_begin\(inode, pos, len\);/&\n\tpr_info_once("kmend: written\\n");/'
patch_of begin
build begin
says 'ext4: ext4_write_begin'
dd if=/dev/zero of=disk.img bs=1M count=8 2>/dev/null
mke2fs -q -t ext4 -F disk.img || die "no file system"
cat >probe.sh <<'END'
[ -d /sys/module/ext4 ] || exit 0
t=/sys/kernel/tracing
cp /disk.img /tmp/disk.img
mkdir -p /mnt
mount -t ext4 -o loop,nodelalloc /tmp/disk.img /mnt || exit
echo >$t/trace
echo a >/mnt/a
echo "off $(grep -c ext4_write_begin: $t/trace)"
echo 1 >$t/events/ext4/ext4_write_begin/enable
echo b >/mnt/b
echo "on $(grep -c ext4_write_begin: $t/trace)"
echo 0 >$t/events/ext4/ext4_write_begin/enable
umount /mnt
echo "new $(dmesg | grep -c 'kmend: written')"
END
tries begin.ko --load loop --load crc32c_generic --load ext4 --file probe.sh --file disk.img --run 'sh /probe.sh'
probe 0 '\Aoff 0\non 1\nnew 0$' '\Aoff 0\non 1\nnew 1$' '\Aoff 0\non 1\nnew 1$'
tries begin.ko --load loop --load crc32c_generic --load-later ext4 --file probe.sh --file disk.img --run 'sh /probe.sh'
probe 0 '\A\Z' '\Aoff 0\non 1\nnew 1$' '\Aoff 0\non 1\nnew 1$'
