#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Callbacks, shadow variables and system calls, in the words of kmend, kpatch-build and klp-build, side by side in one kernel.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

# before FILE PATTERN < TEXT: the text goes before the first line that matches
before()
{
	cat >text
	change "$1" "0,/$2/{/$2/{e cat text
}}"
}

# include FILE HEADER: before the first header that it includes
include()
{
	before "$1" '^#include' <<<"#include $2"
}

# kmend: four callbacks, and a shadow variable that functions of two files share.
shadow='KMEND_SHADOW(reads, 20260001, struct task_struct, unsigned long);'
include fs/proc/meminfo.c '<kmend/kmend.h>'
before fs/proc/meminfo.c '^static int meminfo_proc_show' <<END
$shadow
static int order_pre_patch(struct klp_object *obj) { pr_info("callback: pre-patch\n"); return 0; }
static void order_post_patch(struct klp_object *obj) { pr_info("callback: post-patch\n"); }
static void order_pre_unpatch(struct klp_object *obj) { pr_info("callback: pre-unpatch\n"); }
static void order_post_unpatch(struct klp_object *obj) { reads_free_all(); pr_info("callback: post-unpatch\n"); }
KMEND_PRE_PATCH(order_pre_patch);
KMEND_POST_PATCH(order_post_patch);
KMEND_PRE_UNPATCH(order_pre_unpatch);
KMEND_POST_UNPATCH(order_post_unpatch);
END
change fs/proc/meminfo.c '/^static int meminfo_proc_show/,/^}/ s/^\tsi_meminfo\(.*/\tunsigned long *n = reads_get_or_alloc(\&init_task, GFP_KERNEL);\n\n\tif (n)\n\t\t++*n;\n&/'
include fs/proc/loadavg.c '<kmend/kmend.h>'
before fs/proc/loadavg.c '^static int loadavg_proc_show' <<<"$shadow"
change fs/proc/loadavg.c '/^static int loadavg_proc_show\(/,/^}/ s/^\treturn 0;/\tif (reads_get(\&init_task))\n\t\tseq_printf(m, "reads %lu\\n", *reads_get(\&init_task));\n&/'
patch_of own
build own --no-replace

# kpatch-build: a variable of the kernel is set, and a system call replaced.
include kernel/sys.c '"kpatch-macros.h"'
cat >>b/kernel/sys.c <<'END'

static int saved_uid;
static int uid_pre_patch(patch_object *obj)
{
	saved_uid = overflowuid;
	overflowuid = 4321;
	return 0;
}
KPATCH_PRE_PATCH_CALLBACK(uid_pre_patch)
static void uid_post_unpatch(patch_object *obj)
{
	overflowuid = saved_uid;
}
KPATCH_POST_UNPATCH_CALLBACK(uid_post_unpatch);
KPATCH_FORCE_UNSAFE(override_release);
KPATCH_IGNORE_SECTION("_ftrace_events");
END
change kernel/sys.c 's/^SYSCALL_DEFINE2\(sethostname,/KPATCH_&/; /^KPATCH_SYSCALL_DEFINE2\(sethostname,/,/^}/ s/\tif \(!ns_capable/\tif (len == 9)\n\t\treturn -ENOSPC;\n&/'
patch_of kpatch
build kpatch --no-replace
says 'vmlinux: pre_patch callback uid_pre_patch' 'vmlinux: post_unpatch callback uid_post_unpatch' \
	'__x64_sys_sethostname' 'note: forcing override_release has no effect'

# klp-build: callbacks alone, in a module that loads later; its own start-up code sees the variable.
include drivers/block/zram/zram_drv.c '<linux/livepatch_helpers.h>'
cat >>b/drivers/block/zram/zram_drv.c <<'END'

static int two_pre_patch(struct klp_object *obj)
{
	pr_info("two devices of %s\n", obj->name);
	num_devices = 2;
	return 0;
}
KLP_PRE_PATCH_CALLBACK(two_pre_patch);
END
patch_of klp
build klp --no-replace
says 'zram: pre_patch callback two_pre_patch' '0 function(s) replaced'
kmend 0 inspect klp.ko
says 'zram:pre_patch two_pre_patch'

tries own.ko kpatch.ko klp.ko --load-later zram \
	--run 'dmesg | grep -o "callback: .*"' \
	--run 'cat /proc/meminfo /proc/meminfo >/dev/null; cat /proc/loadavg' \
	--run 'cat /proc/sys/kernel/overflowuid' \
	--run 'hostname kmend-vm1 2>&1; hostname short && hostname' \
	--run 'ls /sys/block; dmesg | grep -c "two devices of zram"'
probe 0 '\A(\[exit 1\])?\n?\Z' '\Acallback: pre-patch\ncallback: post-patch\n\Z' \
	'\Acallback: pre-patch\ncallback: post-patch\ncallback: pre-unpatch\ncallback: post-unpatch\n\Z'
probe 1 '\A[0-9./ ]*\n\Z' '^reads 2$' '\A[0-9./ ]*\n\Z'
probe 2 '\A65534$' '\A4321$' '\A65534$'
probe 3 '\Ashort$' 'No space left on device\nshort$' '\Ashort$'
probe 4 '^0$' 'zram1\n1$' 'zram1\n1$'

# Two callbacks of one kind in two files: which comes first, only the author knows.
for file in meminfo loadavg; do
	include "fs/proc/$file.c" '<kmend/kmend.h>'
	printf 'static int %s_in(struct klp_object *obj) { return 0; }\nKMEND_PRE_PATCH(%s_in);\n' $file $file >>b/fs/proc/$file.c
done
patch_of twice
refuses twice
says 'two pre_patch callbacks for vmlinux' meminfo_in loadavg_in

# What differs is ignored: nothing is left to patch.
include fs/proc/meminfo.c '<kmend/kmend.h>'
echo 'KMEND_IGNORE_FUNCTION(meminfo_proc_show);' >>b/fs/proc/meminfo.c
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
patch_of ignored
refuses ignored 4
