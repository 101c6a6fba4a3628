#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# kmend's own runtime as the kernel's livepatch core does it: a live patch replaces all others or stays beside them, callbacks come in the core's order, one that says no keeps
# its live patch out, and so does a state that is too old.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

# callbacks FILE WORD RESULT: all four, which say so; the first one with that result
callbacks()
{
	change "$1" '0,/^#include/ s/^#include/#include <kmend\/kmend.h>\n&/'
	cat >>"b/$1" <<-END
	static int cb_pre_patch(struct klp_object *obj) { pr_info("cb: $2 pre-patch\n"); return $3; }
	static void cb_post_patch(struct klp_object *obj) { pr_info("cb: $2 post-patch\n"); }
	static void cb_pre_unpatch(struct klp_object *obj) { pr_info("cb: $2 pre-unpatch\n"); }
	static void cb_post_unpatch(struct klp_object *obj) { pr_info("cb: $2 post-unpatch\n"); }
	KMEND_PRE_PATCH(cb_pre_patch);
	KMEND_POST_PATCH(cb_post_patch);
	KMEND_PRE_UNPATCH(cb_pre_unpatch);
	KMEND_POST_UNPATCH(cb_post_unpatch);
	END
}

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocFirst:/'
change fs/proc/loadavg.c '/^static int loadavg_proc_show\(/,/^}/ s/^\treturn 0;/\tseq_puts(m, "first\\n");\n&/'
callbacks fs/proc/meminfo.c first 0
patch_of first
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocSecond:/'
callbacks fs/proc/meminfo.c second 0
echo 'KMEND_STATE(7, 2);' >>b/fs/proc/meminfo.c
patch_of second
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocThird:/'
callbacks fs/proc/meminfo.c third -EINVAL
echo 'KMEND_STATE(7, 2);' >>b/fs/proc/meminfo.c
patch_of third
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocOld:/'
change fs/proc/meminfo.c '0,/^#include/ s/^#include/#include <kmend\/kmend.h>\n&/'
echo 'KMEND_STATE(7, 1);' >>b/fs/proc/meminfo.c
patch_of old

run=(--run 'grep -oE "Vmalloc(Chunk|First|Second)" /proc/meminfo' --run 'cat /proc/loadavg'
	--run 'cat /sys/kernel/kmend/*/enabled 2>/dev/null | grep -c 1; ls /sys/kernel/kmend/second/vmlinux 2>/dev/null' --run 'dmesg | grep -o "cb: .*" | uniq')
build first --runtime=own
build second --runtime=own
build third --runtime=own
build old --runtime=own
cat >others <<'END'
[ -d /sys/kernel/kmend/second ] || exit 0
insmod /third.ko 2>&1 | grep -o 'Invalid argument'
insmod /old.ko 2>&1 | grep -o 'Invalid argument'
dmesg | grep -o 'old does not have state 7 of second in version 2' | uniq
ls /sys/kernel/kmend
cat /proc/modules | grep -cE '^(third|old|first) .*'
rmmod first && echo 'first is free'
insmod /kmend/patch/first.ko 2>&1 | grep -o 'Invalid argument'
END
tries first.ko second.ko --file third.ko --file old.ko --file others "${run[@]}" --run 'sh /others'
probe 0 '\AVmallocChunk' '\AVmallocSecond' '\AVmallocChunk'
probe 1 '\A[0-9./ ]*\n\Z' '\A[0-9./ ]*\n\Z' '\A[0-9./ ]*\n\Z'
probe 2 '\A0' '\A1\nmeminfo_proc_show,1\n\Z' '\A0'
probe 3 '\A(\[exit 1\]\n)?\Z' '\Acb: first pre-patch\ncb: first post-patch\ncb: second pre-patch\ncb: second post-patch\n\Z' \
	'cb: third pre-patch\ncb: second pre-unpatch\ncb: second post-unpatch\n\Z'
probe 4 '\A\Z' '\AInvalid argument\nInvalid argument\nold does not have state 7 of second in version 2\nsecond\n1\nfirst is free\nInvalid argument\n\Z'

build first --runtime=own --no-replace
build second --runtime=own --no-replace
tries first.ko second.ko "${run[@]}" --stress 10
probe 0 '\AVmallocChunk' '\AVmallocSecond' '\AVmallocChunk'
probe 1 '\A[0-9./ ]*\n\Z' '^first' '\A[0-9./ ]*\n\Z'
probe 2 '\A0' '\A2\nmeminfo_proc_show,1\n\Z' '\A0'
