#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel arm64
# kmend's own runtime and a task that sleeps inside the function: neither does the new code come in nor does it go, and the log says who is in the
# way; when the task has left, both work. Also where tracers took the function's return address off the stack.
. "$(dirname "$0")/common.inc"
case $KERNEL in
*-arm64) enter_scratch qemu-system-aarch64 ;;
*) enter_scratch qemu-system-x86_64 ;;
esac

change fs/pipe.c '/^static int fifo_open\(/,/^}/ s/^\tswitch \(filp->f_mode/\tif (filp->f_flags == 0x7fffffff)\n\t\tpr_info("odd flags\\n");\n&/'
# A replacement that ends with a jump to a new function, and is no longer on the stack when that sleeps.
change fs/proc/version.c 's/^static int version_proc_show/static noinline int slow_show(struct seq_file *m)\n{\n\tmsleep(5000);\n\tseq_puts(m, "slow\\n");\n\treturn 0;\n}\n\n&/
	s/^\tseq_printf\(m, linux_proc_banner/\tif (!strcmp(current->comm, "slow"))\n\t\treturn slow_show(m);\n&/
	s/^#include <linux\/init.h>/&\n#include <linux\/delay.h>\n#include <linux\/sched.h>/'
patch_of sleeper
build sleeper --runtime=own

# In the guest: once, before `kmend try` loads the live patch itself. A reader waits in fifo_open(), in a function called by it, until there is a writer.
cat >guest <<'EOG'
[ -e /run/done.$1 ] && exit 0
touch /run/done.$1
cd /sys/kernel/tracing || exit 1
enabled=/sys/kernel/kmend/sleeper/enabled
[ -d /sys/kernel/kmend ] || enabled=/sys/kernel/livepatch/sleeper/enabled

case $1 in
kretprobe) echo 'r:hidden wait_for_partner' >kprobe_events && echo 1 >events/kprobes/hidden/enable || echo "no kretprobe" ;;
graph) echo wait_for_partner >set_graph_function && echo function_graph >current_tracer || echo "no graph tracer" ;;
esac

dmesg -c >/dev/null
mkfifo /run/fifo.$1

in_the_way()
{
	dmesg | grep -q "kmend: reader ([0-9]*) is inside fifo_open: $1" && echo "$2: $1"
}

# reader WHAT: it comes, and goes after three seconds, or when it is told to
comes()
{
	/bin/busybox sh -c 'printf reader >/proc/self/comm; : </run/fifo.'$1 &
	usleep 300000
	[ $1 = plain ] || (sleep 3; : >/run/fifo.$1) &
}
goes()
{
	[ $1 != plain ] || : >/run/fifo.$1
	usleep 300000
}

if [ $1 = tail ]; then
	insmod /kmend/patch/sleeper.ko
	sh -c 'printf slow >/proc/self/comm; read line </proc/version; echo "read $line"' &
	usleep 500000
	echo 0 >$enabled && dmesg | grep -o 'slow .* is inside sleeper: waiting' | sed 's/([0-9]*)/(PID)/'
	usleep 300000
	rmmod sleeper && echo removed
	exit
fi

comes $1
insmod /kmend/patch/sleeper.ko 2>&1 && echo "in after all"
in_the_way waiting coming
in_the_way 'not switched' coming
goes $1
dmesg -c >/dev/null
[ -e $enabled ] || { insmod /kmend/patch/sleeper.ko && echo "in now"; }
comes $1
(echo 0 >$enabled) 2>&1 && echo "out after all"
in_the_way waiting going
in_the_way 'not switched' going
goes $1
[ ! -e $enabled ] || { (echo 0 >$enabled) && echo "out now"; }
usleep 300000
rmmod sleeper && echo removed
case $1 in
kretprobe) echo 0 >events/kprobes/hidden/enable; echo >kprobe_events ;;
graph) echo nop >current_tracer; echo >set_graph_function ;;
esac
EOG
tries --timeout 400 --file guest --run 'sh /guest plain' --run 'sh /guest kretprobe' --run 'sh /guest graph' \
	--run 'sh /guest tail' sleeper.ko
grep '"before"' out
refused='\A.*busy\ncoming: waiting\ncoming: not switched\nin now\n.*busy\ngoing: waiting\ngoing: not switched\nout now\nremoved\n\Z'
waited='\Ain after all\ncoming: waiting\nout after all\ngoing: waiting\nremoved\n\Z'
probe 0 "$refused" '\A\Z' '\A\Z'
probe 1 "$waited" '\A\Z' '\A\Z'
probe 2 "$waited" '\A\Z' '\A\Z'
probe 3 '\Aread slow\nslow \(PID\) is inside sleeper: waiting\nremoved\n\Z' '\A\Z' '\A\Z'
