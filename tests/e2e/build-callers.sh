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

# Built-in, in four files; nobody else calls it.
change fs/proc/internal.h 's/name_to_int\(const struct qstr \*qstr\)/name_to_int(const struct qstr *qstr, unsigned refused)/'
change fs/proc/util.c 's/name_to_int\(const struct qstr \*qstr\)/name_to_int(const struct qstr *qstr, unsigned refused)/; s/^\treturn n;/\treturn n == refused ? ~0U : n;/'
change fs/proc/base.c 's/name_to_int\(&dentry->d_name\)/name_to_int(\&dentry->d_name, 4242)/'
change fs/proc/generic.c 's/name_to_int\(&qstr\)/name_to_int(\&qstr, 4242)/'
change fs/proc/fd.c 's/name_to_int\(&dentry->d_name\)/name_to_int(\&dentry->d_name, 7)/'
patch_of prototype
build prototype

if command -v qemu-system-x86_64 >/dev/null && command -v busybox >/dev/null; then
	tries prototype.ko --run 'exec 7</dev/null; ls -d /proc/self/fd/7 >/dev/null 2>&1 && echo open || echo hidden'
	probe 0 open hidden open
fi
