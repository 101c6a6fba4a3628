#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Functions of modules with a tracepoint (static key and static call) and debug messages of those modules: patched before and after
# the module is there, what was on stays on, and it can be switched from the new code as from the old.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox mke2fs

change fs/ext4/inode.c 's/^\ttrace_ext4_write_begin\(inode, pos, len\);/&\n\tpr_info_once("kmend: written\\n");/'
# A message before the one that is watched, so that the compiler numbers that one anew.
change fs/binfmt_misc.c '/^\tpr_debug\("register: received/i \\tpr_debug("kmend: new message\\n");\n\tpr_info("kmend: registered\\n");'
patch_of keys
build keys
says 'ext4: ext4_write_begin' 'binfmt_misc: '
dd if=/dev/zero of=disk.img bs=1M count=8 2>/dev/null
mke2fs -q -t ext4 -F disk.img || die "no file system"
cat >probe.sh <<'END'
# The first run leaves everything on.
[ -d /sys/module/ext4 ] || exit 0
t=/sys/kernel/tracing
c=/proc/dynamic_debug/control
cp /disk.img /tmp/disk.img
mkdir -p /mnt /misc
mount -t ext4 -o loop,nodelalloc /tmp/disk.img /mnt || exit
mount -t binfmt_misc none /misc 2>/dev/null
use()
{
	echo >$t/trace
	dmesg -c >/tmp/log
	echo a >/mnt/$1
	echo ":kmend:E::kmend::/bin/cat:" >/misc/register
	echo -1 >/misc/kmend
	dmesg >/tmp/log
	echo "$1 trace $(grep -c ext4_write_begin: $t/trace) debug $(grep -c 'register: received' /tmp/log) new $(grep -c 'kmend:' /tmp/log)"
}
[ ! -e /tmp/again ] || use found
: >/tmp/again
echo 0 >$t/events/ext4/ext4_write_begin/enable
echo 'module binfmt_misc -p' >$c
use off
echo 1 >$t/events/ext4/ext4_write_begin/enable
echo 'module binfmt_misc +p' >$c
use on
umount /mnt
END
old='off trace 0 debug 0 new 0\non trace 1 debug 1 new 0\n\Z'
new='off trace 0 debug 0 new [12]\non trace 1 debug 1 new 1\n\Z'
run=(--load loop --load crc32c_generic --file probe.sh --file disk.img --run 'sh /probe.sh')
tries keys.ko --load ext4 --load binfmt_misc "${run[@]}"
probe 0 '\A'"$old" '\Afound trace 1 debug 1 new 2\n'"$new" '\Afound trace 1 debug 1 new 0\n'"$old"
tries keys.ko --load-later ext4 --load-later binfmt_misc "${run[@]}"
probe 0 '\A\Z' '\A'"$new" '\Afound trace 1 debug 1 new 0\n'"$old"
