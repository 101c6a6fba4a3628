#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# A live patch with a cold part, a static variable, strings, jump labels and a static call, and one of a module: both are right, and every way
# of spoiling them is noticed.
. "$(dirname "$0")/common.inc"
enter_scratch python3
mutate=${KMEND%/*}/tests/mutate
[ -x "$mutate" ] || skip "needs build/tests/mutate"

change net/core/dev.c '/^static int netif_rx_internal\(.*skb\)$/,/^}/ s/^\ttrace_netif_rx\(skb\);/&\
	{\
		static unsigned long packets;\
		if (unlikely(!(++packets % 2)))\
			pr_info("patched: %lu packets\\n", packets);\
	}/'
patch_of netif
change fs/ext4/inode.c 's/^\ttrace_ext4_write_begin\(inode, pos, len\);/&\n\tpr_info_once("kmend: written\\n");/'
patch_of begin

for name in netif begin; do
	build "$name"
	kmend 0 verify -k "$KERNEL" "$name.ko"
	says 'checked by itself'
	kmend 0 verify -k "$KERNEL" -p "$name.patch" "$name.ko"
	says 'compared with the compiled units'
	"$mutate" "$KERNEL" "$name.ko" 80 "$name.patch" >out 2>&1 || die "spoilt modules pass"
	cat out
done

# Right for another patch is wrong for this one.
kmend 3 verify -k "$KERNEL" -p begin.patch netif.ko
says 'changed by the patch, but not replaced'
# One bit of the code.
python3 - netif.ko spoilt.ko <<'END' || die "no code to spoil"
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[data.index(b"patched: %lu")] ^= 1
open(sys.argv[2], "wb").write(data)
END
kmend 3 verify -k "$KERNEL" -p netif.patch spoilt.ko
says 'the string there is not'
kmend 3 verify -k "$KERNEL" --json -p netif.patch spoilt.ko
says '"verified": false'
# Half a module.
head -c 3000 netif.ko >half.ko
kmend 1 verify -k "$KERNEL" half.ko
left_nothing

# What kbuild makes of the kernel's own example, with debug information, and a module that is no live patch.
sample=$(field source)/samples/livepatch
[ -f "$sample/livepatch-sample.c" ] || exit 0
mkdir -p src/sample
cp "$sample/livepatch-sample.c" src/sample/
echo 'obj-m := livepatch-sample.o other.o' >src/sample/Kbuild
printf '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n' >src/sample/other.c
by_kbuild src/sample
kmend 0 verify -k "$KERNEL" src/sample/livepatch-sample.ko
says '1 function(s) replaced' 'checked by itself'
kmend 3 verify -k "$KERNEL" src/sample/other.ko
says 'is no live patch'
