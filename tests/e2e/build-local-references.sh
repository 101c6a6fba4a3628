#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# The new functions use a static function and static data of their own file, and an unexported function of another.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change mm/swapfile.c '/^static int swap_show\(/,/^}/ s/^\t+seq_puts\(swap, ?"Filename.*/&\
	{\
		extern int nr_processes(void);\
		void *(*volatile next)(struct seq_file *, void *, loff_t *) = swap_next;\
		loff_t at = 0;\
		const char *found = next(swap, v, \&at) ? "some" : "none";\
		seq_printf(swap, "areas %u, next %s at %lld, events %d, processes %s\\n", nr_swapfiles, found, at,\
			   atomic_read(\&proc_poll_event), nr_processes() > 1 ? "yes" : "no");\
	}/'
# This one calls icmpmsg_put(), and walks tables that are local to the file.
change net/ipv4/proc.c '/^static int snmp_seq_show\(/,/^}/ s/^\ticmp_put\(seq\);.*/&\n\tseq_puts(seq, "Patched: yes\\n");/'
patch_of local
build local
kmend 0 inspect --json local.ko
says '"swap_show"' '"swap_next"' '"nr_swapfiles"' '"proc_poll_event"' '"nr_processes"' '"icmpmsg_put"'
tries local.ko --run 'cat /proc/swaps' --run 'grep -c Patched: /proc/net/snmp'
probe 0 'Priority\n\Z' '^areas 0, next none at 1, events 0, processes yes$' 'Priority\n\Z'
probe 1 '\A0' '\A1\n' '\A0'
