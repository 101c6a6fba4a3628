#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# A system call, whose body the compiler may emit without an entry; and a file that only another one includes.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change kernel/sys.c '/^SYSCALL_DEFINE2\(sethostname,/,/^}/ s/^\tif \(!ns_capable/\tif (len == 9)\n\t\treturn -ENOSPC;\n&/'
change kernel/sched/rt.c '/^static unsigned int get_rr_interval_rt\(/,/^}/ s/return 0;/return 7;/'
patch_of call
build call
says 'sethostname' 'kernel/sched/build_policy.c'
tries call.ko --run 'hostname kmend-vm1 2>&1; hostname short && hostname'
probe 0 '\Ashort$' 'No space left on device\nshort$' '\Ashort$'

# A function that is emitted but not traceable: its callers are replaced with it.
change ipc/mqueue.c '/^static int do_mq_getsetattr\(/,/^}/ s/return -EINVAL;/return -ENOSPC;/'
change ipc/mqueue.c '/^SYSCALL_DEFINE3\(mq_getsetattr,/,/^}/ s/\tstruct mq_attr mqstat/\tint seen = mqdes;\n&/; /^SYSCALL_DEFINE3\(mq_getsetattr,/,/^}/ s/if \(u_mqstat\)/if (seen == 77) return -ENOSPC;\n\t&/'
patch_of queue
build queue
says '__x64_sys_mq_getsetattr'
try 0 queue.ko
