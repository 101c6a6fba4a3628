#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# A function on the network's fast path with jump labels, a tracepoint and its static call, that gets a cold part and a static
# variable of its own; and functions that hold constants which newer kernels write into their code while they start.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change net/core/dev.c '/^static int netif_rx_internal\(.*skb\)$/,/^}/ s/^\ttrace_netif_rx\(skb\);/&\
	{\
		static unsigned long packets;\
		if (unlikely(!(++packets % 2)))\
			pr_info("patched: %lu packets\\n", packets);\
	}/'
change fs/dcache.c '/^struct dentry \*__d_lookup(_rcu)?\(/,/^}/ s/^\trcu_read_lock\(\);|^\thlist_bl_for_each_entry_rcu/\tpr_info_once("patched: lookup\\n");\n&/'
change fs/read_write.c '/^ssize_t vfs_read\(/,/^}/ s/^\tif .*access_ok\(/\tif (count == 12345)\n\t\tpr_info("patched: read\\n");\n&/'
# A record of a debug message shifts the numbers in the names of all lists of BTF_ID() after it.
change net/core/filter.c '/^int sk_filter_trim_cap\(/,/^}/ s/^\tint err;/&\n\tpr_debug("kmend %u\\n", cap);/'
patch_of netif
build netif
says netif_rx_internal ': sk_filter_trim_cap (' ': __d_lookup (' ': __d_lookup_rcu (' ': vfs_read ('

cat >probe.sh <<'END'
ifconfig lo up
count() { dmesg | grep -c 'patched: [0-9]* packets'; }
before=$(count)
ping -q -c 2 127.0.0.1 >/dev/null || echo "no answer"
[ "$(count)" -gt "$before" ] && echo "new code" || echo "old code"
before=$(dmesg | grep -c 'patched: read')
head -c 12345 /dev/zero | dd bs=12345 2>/dev/null | wc -c
echo "read $(($(dmesg | grep -c 'patched: read') - before > 0)) lookups $(dmesg | grep -c 'patched: lookup')"
END
tries netif.ko --file probe.sh --run 'sh /probe.sh' --stress 3
probe 0 '\Aold code\n12345\nread 0 lookups 0\n\Z' '\Anew code\n12345\nread 1 lookups [1-4]\n\Z' '\Aold code\n12345\nread 0 lookups [1-4]\n\Z'

# The tracepoint of the new function is the kernel's own: it can be switched on, and is seen.
cat >trace.sh <<'END'
mkdir -p /tracing
mount -t tracefs none /tracing 2>/dev/null
echo 1 >/tracing/events/net/netif_rx/enable
ifconfig lo up
ping -q -c 1 127.0.0.1 >/dev/null
echo 0 >/tracing/events/net/netif_rx/enable
grep -q netif_rx: /tracing/trace && echo traced || echo silent
echo >/tracing/trace
END
tries netif.ko --file trace.sh --run 'sh /trace.sh'
probe 0 '\Atraced\n\Z' '\Atraced\n\Z' '\Atraced\n\Z'
