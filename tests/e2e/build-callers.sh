#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Functions that others call: how one is called changes with all its callers; one without an entry names who would do.
. "$(dirname "$0")/common.inc"
enter_scratch

change net/netlink/af_netlink.c '/^static inline int netlink_compare\(/,/^}/ s/^\treturn nlk/\tif (nlk->portid == 0x7777777)\n\t\treturn 1;\n&/'
patch_of pointer
refuses pointer
says 'netlink_compare has no patchable entry' 'its address is in netlink_rhashtable_params'

change arch/x86/kernel/cpu/mce/severity.c '/^int noinstr mce_severity\(/,/^}/ s/^\tif \(boot/\tif (m->cpuid == 77)\n\t\treturn 0;\n&/'
patch_of caller
refuses caller
says 'mce_severity has no patchable entry' 'machine_check_poll'

change kernel/time/timekeeping.c '/ktime_get_mono_fast_ns\(void\)$/,/^}/ s/return (.*);/return \1 + 1;/'
patch_of exported
refuses exported
says 'exported to modules' ' more'

# Of a module, inline, in three files that nothing in the patch touches.
change fs/udf/balloc.c '/^inline udf_pblk_t udf_new_block/,/^}/ s/return block;/return block + 1;/'
patch_of block
build block
says 'udf_new_inode (fs/udf/ialloc.c): calls udf_new_block' 'note: fs/udf/namei.c: not in the patch'
kmend 0 verify -k "$KERNEL" --patch block.patch block.ko
says 'compared with the compiled units'

# The change is there, and counts for nothing.
change kernel/exit.c '/^void __weak release_thread/,/^}/ s/^\{/{\n\tpr_info("x");/'
patch_of weak
refuses weak 4
says 'release_thread of kernel/exit.c is weak'

# Built-in, in four files; nobody else calls it.
change fs/proc/internal.h 's/name_to_int\(const struct qstr \*qstr\)/name_to_int(const struct qstr *qstr, unsigned refused)/'
change fs/proc/util.c 's/name_to_int\(const struct qstr \*qstr\)/name_to_int(const struct qstr *qstr, unsigned refused)/; s/^\treturn n;/\treturn n == refused ? ~0U : n;/'
change fs/proc/base.c 's/name_to_int\(&dentry->d_name\)/name_to_int(\&dentry->d_name, 4242)/'
change fs/proc/generic.c 's/name_to_int\(&qstr\)/name_to_int(\&qstr, 4242)/'
change fs/proc/fd.c 's/name_to_int\(&dentry->d_name\)/name_to_int(\&dentry->d_name, 7)/'
# Without entries, like all of lib/: a static function, its caller in the same file, and theirs in a file of the patch.
change lib/syscall.c 's/(instruction_pointer = )instruction_pointer\(regs\);/\10x7777;/'
# The same with callers in a file that nothing in the patch touches.
# (17 is SIGCHLD, what /proc/self/stat says the parent gets.)
change lib/vsprintf.c '/^int num_to_str\(/,/^}/ s/^\tint idx, len;/&\n\n\tif (num == 17)\n\t\tnum = 18;/'
# The compiler cloned it without its result, and does no more.
change kernel/sys.c 's/^\tdo_sysinfo\(&val\);/\tval.uptime = do_sysinfo(\&val) + 7 * 3600;/'
patch_of callers
build callers
says 'proc_pid_syscall (fs/proc/base.c)' 'seq_put_decimal_ll (fs/seq_file.c)' 'note: fs/seq_file.c: not in the patch'
says_not 'note: fs/proc/base.c'

if command -v qemu-system-x86_64 >/dev/null && command -v busybox >/dev/null; then
	tries callers.ko --run 'exec 7</dev/null; ls -d /proc/self/fd/7 >/dev/null 2>&1 && echo open || echo hidden' \
		--run "cat /proc/self/syscall" --run "cut -d' ' -f38 /proc/self/stat" --run uptime
	probe 0 open hidden open
	probe 1 ' 0x[0-9a-f]{6,}$' ' 0x7777$' ' 0x[0-9a-f]{6,}$'
	probe 2 '^17$' '^18$' '^17$'
	probe 3 'up +0' 'up +7:00' 'up +0'
fi
