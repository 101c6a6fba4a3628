#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# What cannot be live-patched is refused, with the reason and the place, and nothing is left behind.
. "$(dirname "$0")/common.inc"
enter_scratch

change fs/proc/meminfo.c '/^static int __init proc_meminfo_init/,/^}/ s/"meminfo"/"meminfo2"/'
patch_of init
refuses init
says proc_meminfo_init init

change mm/util.c 's/^(int sysctl_overcommit_ratio .*= )50;/\151;/'
patch_of data
refuses data
says sysctl_overcommit_ratio

# One line in the middle of a function, one before it: neither is code.
change fs/proc/meminfo.c '/VmallocChunk/i \\t/* nothing */\n'
change fs/proc/meminfo.c '/^static int meminfo_proc_show/i /* nothing */\n'
patch_of nothing
refuses nothing 4

change kernel/time/timekeeping.c '/ktime_get_mono_fast_ns\(void\)$/,/^}/ s/return (.*);/return \1 + 1;/'
patch_of notrace
refuses notrace
says ktime_get_mono_fast_ns

change mm/nommu.c '0,/^\treturn /s//\tif (0)\n&/'
patch_of unbuilt
refuses unbuilt
says mm/nommu.c

# A header that nothing of this kernel includes.
change arch/arm/include/asm/elf.h '0,/^$/s//\n#define PATCHED_HEADER 1\n/'
patch_of header
refuses header
says arch/arm/include/asm/elf.h

# One that only assembly includes: with another text of it, nothing, or half of the patch would be missing.
change arch/x86/entry/calling.h '0,/^\.macro/ s//#define PATCHED_UNUSED 1\n&/'
patch_of seen-unused
refuses seen-unused 4
says 'nothing to patch'
change arch/x86/entry/calling.h '0,/^\tpushq\t%rbx/ s//\tnop\n&/'
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
patch_of seen
refuses seen
says arch/x86/entry/entry 'changes with the headers of the patch: assembly cannot be live patched'

# One from which numbers are generated that only assembly of a module uses.
change arch/x86/include/asm/kvm_vcpu_regs.h '/define __VCPU_REGS_RDX/ s/2/7/'
patch_of numbers
refuses numbers
says arch/x86/kvm/ 'changes with the headers of the patch'

change arch/x86/lib/memcpy_64.S 's/^\trep movsb/\tnop\n&/'
patch_of assembly
refuses assembly
says arch/x86/lib/memcpy_64.S

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
patch_of good
sed 's/VmallocUsed/VmallocAbused/' good.patch >stale.patch
refuses stale
says fs/proc/meminfo.c

for path in ../../outside.c /outside.c fs/../../outside.c; do
	sed "s,b/fs/proc/meminfo.c,b/$path,; s,a/fs/proc/meminfo.c,a/$path," good.patch >escape.patch
	refuses escape
	says outside.c
done

head -n 6 good.patch >truncated.patch
refuses truncated
: >empty.patch
"$KMEND" build -k "$KERNEL" -o empty.ko empty.patch >out 2>&1 && die "an empty patch is taken"
[ ! -e empty.ko ] || die "there is an empty.ko"
kmend 1 build -k "$KERNEL" -o missing.ko missing.patch
says missing.patch
kmend 1 build -k no-such-kernel -o good.ko good.patch
says no-such-kernel

sed 's/VmallocCHUNK/VmallocCHUNK" no_such_name "/' good.patch >broken.patch
kmend 1 build -k "$KERNEL" -o broken.ko broken.patch
says fs/proc/meminfo.c no_such_name
[ ! -e broken.ko ] || die "there is a broken.ko"
left_nothing

# And after all that, the good one works.
build good
