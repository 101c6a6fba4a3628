#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: ppc64le
# Live patches of a ppc64le kernel with the livepatch core: what differs there is who sets up the TOC pointer, and how far data is.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-ppc64 powerpc64le-linux-gnu-gcc

change_across
change fs/inode.c '/^static int proc_nr_inodes/,/^\}/ s/get_nr_inodes\(\);/get_nr_inodes() > 0 ? 4242 : 1;/'
patch_of local
build local
kmend 0 verify -k "$KERNEL" --patch local.patch local.ko
kmend 0 inspect --json local.ko
says '"show_type"' '"get_nr_inodes"' '"file_systems"' '"file_systems_lock"'
powerpc64le-linux-gnu-readelf -W -S -r local.ko >read 2>warnings || die "readelf does not take it"
[ ! -s warnings ] || die "readelf says: $(head -1 warnings)"
# Data of the kernel is reached through slots that the livepatch core fills, functions through stubs of the loader.
grep -qE '^[0-9a-f]+ .* R_PPC64_ADDR64 .* \.klp\.sym\.vmlinux\.file_systems,[01]' read || die "no slot for data of the kernel"
grep -qE '^[0-9a-f]+ .* R_PPC64_REL24 .* \.klp\.sym\.vmlinux\.show_type,[01]' read || die "no call through the core"
tries local.ko --run 'head -n 3 /proc/filesystems' --run 'grep " / " /proc/mounts; cut -f 1 /proc/sys/fs/inode-nr' --stress 5 \
	--run 'mount -t tracefs none /sys/kernel/tracing 2>/dev/null; grep -c "filesystems_proc_show\|^kind\|^sum" /sys/kernel/tracing/available_filter_functions'
probe 0 '\Anodev' '\A109054 2 3 4 5 6 7 8 1 proc\none five\nnodev' '\Anodev'
probe 1 '\A[a-z]+ / ([a-z]+) .*\n(?!4242$)[0-9]+$' '\A([a-z]+):[a-z]+ / \1 .*\n4242$' '\A[a-z]+ / '
# What is new can be traced like all else.
probe 2 '\A1\n' '\A4\n' '\A1\n'

# A leaf that sets up no TOC becomes a function that does, and the other way round; callers in the kernel go on with their own.
change fs/proc/util.c '/^unsigned name_to_int/,/^\}/ s/^\tif \(len > 1/\tif (len == 4 \&\& !memcmp(name, "4242", 4) \&\& jiffies) {\n\t\tpr_notice("kmend asked for %d %d %d %d %d %d %d %d %d\\n", 1, 2, 3, 4, 5, 6, 7, 8, len);\n\t\treturn 1;\n\t}\n&/
	s/^#include <linux\/dcache.h>/&\n#include <linux\/printk.h>\n#include <linux\/jiffies.h>\n#include <linux\/string.h>/'
change "$(cd "$(field source)" && grep -l '^long si_mem_available(void)' mm/*.c)" '/^long si_mem_available\(void\)/,/^\}/ s/^\tlong available;/\tif (1)\n\t\treturn 64;\n&/'
patch_of leaf
build leaf
# Who gets arguments on the stack must find them there: nothing may come between.
change fs/seq_file.c '/^void seq_printf/,/^\}/ s/^\tva_start/\tif (!strncmp(f, "%lu.%02lu %lu.%02lu %lu", 23))\n\t\tseq_puts(m, "load ");\n&/'
patch_of stacked
build stacked --no-replace
says "1 function(s) replaced"
tries leaf.ko stacked.ko --run 'cat /proc/4242/comm 2>&1; dmesg | tail -n 4 | grep -o "kmend asked.*"' --run 'grep MemAvailable /proc/meminfo' --run 'cat /proc/loadavg' --stress 5
probe 0 'No such file' '\A(?!.*No such file)[\s\S]*kmend asked for 1 2 3 4 5 6 7 8 4' ''
probe 1 ' [0-9]{5,} kB' ' (4096|256) kB' ' [0-9]{5,} kB'
probe 2 '\A[0-9.]+ [0-9.]+ [0-9.]+ [0-9]+/[0-9]+ [0-9]+\n' '\Aload [0-9.]+ [0-9.]+ [0-9.]+ [0-9]+/[0-9]+ [0-9]+\n' '\A[0-9.]+ '

# kmend's own runtime on such a kernel leaves r2 and the return address to what the core has for that, and arguments stay where they are.
build stacked --runtime=own
kmend 0 verify -k "$KERNEL" stacked.ko
tries stacked.ko --run 'cat /proc/loadavg' --stress 5
probe 0 '\A[0-9.]+ [0-9.]+ [0-9.]+ [0-9]+/[0-9]+ [0-9]+\n' '\Aload [0-9.]+ [0-9.]+ [0-9.]+ [0-9]+/[0-9]+ [0-9]+\n' '\A[0-9.]+ '

# A module, there before the live patch and coming after it.
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + (zram_major > 0 ? 40 : 80)/'
patch_of state
build state
tries --load zram state.ko --run 'cat /sys/block/zram0/initstate'
probe 0 '\A0\n' '\A40\n' '\A0\n'
tries state.ko --load-later zram --run 'cat /sys/block/zram0/initstate 2>&1'
probe 0 'No such file' '\A40\n' '\A0\n'

# A pointer to a replaced function is the original's, although it stands in a slot of the live patch.
change fs/filesystems.c '/^void put_filesystem/,/^\}/ s/^\tmodule_put/\tif (fs)\n\t&/
	/^static int filesystems_proc_show/,/^\}/ s/^\tread_lock\(&file_systems_lock\);/\
	{\
		void (*volatile put)(struct file_system_type *) = put_filesystem;\
		put(NULL);\
		seq_printf(m, "%px\\n", put);\
	}\
&/'
patch_of pointer
build pointer
tries pointer.ko --run 'grep -c "^$(head -n 1 /proc/filesystems) T put_filesystem$" /proc/kallsyms'
probe 0 '\A0\n' '\A1\n' '\A0\n'

# An overridden weak function leaves its entry, and no name: the kernel would take it for that of the function before, whose live patch would do nothing.
change fs/proc/loadavg.c '/^static int loadavg_proc_show\(/,/^}/ s/^\treturn 0;/\tseq_puts(m, "more\\n");\n&/'
patch_of behind
if grep -q 'arch_report_meminfo$' <(powerpc64le-linux-gnu-nm "$(field image)" | awk '/ loadavg_proc_show$/ { getline; print }'); then
	build behind
else
	refuses behind
	says "an overridden weak function without a name"
fi
