#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: arm64 one
# timeout: 1500
# An arm64 kernel with the livepatch core. None that Debian builds has it, so a stock one stands in whose configuration says that it does: what
# comes out cannot be loaded anywhere, but it is checked as always, read by binutils, and held against every way of spoiling it.
. "$(dirname "$0")/common.inc"
enter_scratch python3 aarch64-linux-gnu-readelf
mutate=${KMEND%/*}/tests/mutate
[ -x "$mutate" ] || skip "needs build/tests/mutate"

name=kmend-test-core-$$
trap '"$KMEND" kernel remove "$name" >/dev/null 2>&1; rm -rf "$scratch"' EXIT
cp -r "$(field build)" headers
sed -i 's/^# CONFIG_LIVEPATCH is not set/CONFIG_LIVEPATCH=y/' headers/.config
grep -q '^CONFIG_LIVEPATCH=y' headers/.config || echo 'CONFIG_LIVEPATCH=y' >>headers/.config
echo 'CONFIG_LIVEPATCH=y' >>headers/include/config/auto.conf
# The flag is one that only such kernels have; its value is not used in what is built here.
printf '#define CONFIG_LIVEPATCH 1\n#define TIF_PATCH_PENDING 13\n' >>headers/include/generated/autoconf.h
# An export of as many letters becomes the core's own.
python3 - "$(field image)" "$(field symvers)" <<'END' || skip "no export to rename in this image"
import re, sys
image, symvers = (open(path, "rb").read() for path in sys.argv[1:])
for name in re.findall(rb"^0x[0-9a-f]+\t(\w{%d})\tvmlinux\tEXPORT_SYMBOL_GPL\t$" % len("klp_enable_patch"), symvers, re.M):
    if image.count(b"\0" + name + b"\0") == 1:
        open("image", "wb").write(image.replace(b"\0" + name + b"\0", b"\0klp_enable_patch\0"))
        open("symvers", "wb").write(symvers.replace(b"\t" + name + b"\t", b"\tklp_enable_patch\t"))
        sys.exit(0)
sys.exit(1)
END
kmend 0 kernel add --name "$name" --source "$(field source)" --config headers/.config --headers headers --image image \
	--modules "$(field modules)" --symvers symvers
KERNEL=$name

# A function of the kernel with a static function and data of its own file, and one of a module.
change fs/proc/meminfo.c 's/show_val_kb\(m, "VmallocChunk: .*/seq_printf(m, "VmallocChunk: patched %d\\n", nr_swapfiles_of(m));/
	s/^static int meminfo_proc_show/static noinline int nr_swapfiles_of(struct seq_file *m)\n{\n\textern int nr_processes(void);\n\tshow_val_kb(m, "Patched: ", 1);\n\treturn nr_processes();\n}\n\n&/'
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + (zram_major > 0 ? 40 : 80)/'
patch_of both
build both --runtime=kernel
says "2 function(s) replaced"
says_not kmend_runtime
kmend 0 verify -k "$KERNEL" both.ko
says "checked by itself"
kmend 0 inspect both.ko
says meminfo_proc_show initstate_show

# As the core wants it: symbols of the kernel and the module by name, filled in by relocations that it does itself.
aarch64-linux-gnu-readelf -W -S -s -r both.ko >read 2>warnings || die "readelf does not take it"
[ ! -s warnings ] || die "readelf says: $(head -1 warnings)"
grep -qE '\.klp\.rela\.vmlinux\.\.text\.meminfo_proc_show +RELA .* AIo +' read || die "no relocations for the core"
grep -qE '\.klp\.rela\.zram\.\.text' read || die "no relocations for the module"
grep -qE 'R_AARCH64_CALL26 .*\.klp\.sym\.vmlinux\.nr_processes,[01]' read || die "no call through the core"
grep -qE 'R_AARCH64_(ADR_PREL_PG_HI21|LDST32_ABS_LO12_NC|ADD_ABS_LO12_NC) .*\.klp\.sym\.zram\.zram_major,[01]' read || die "no data through the core"
grep -qE ' OS +\[?0xff20\]? +\.klp\.sym\.vmlinux\.' read || die "the symbols do not say whose they are"

"$mutate" "$KERNEL" both.ko 80 both.patch >out 2>&1 || die "spoilt modules pass"
cat out
