#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: ppc64le-stock
# timeout: 1800
# A stock ppc64le kernel, which has no livepatch core: live patches for kmend's own runtime.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-ppc64 powerpc64le-linux-gnu-gcc python3

change_across
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + (zram_major > 0 ? 40 : 80)/'
patch_of all
kmend 3 build -k "$KERNEL" --runtime=kernel -o all.ko all.patch
says "built without CONFIG_LIVEPATCH"
build all
says "goes in with kmend_runtime" "3 function(s) replaced"
kmend 0 verify -k "$KERNEL" --patch all.patch all.ko
powerpc64le-linux-gnu-readelf -W -S -r -p .rodata.kmend all.ko >read 2>warnings || die "readelf does not take it"
[ ! -s warnings ] || die "readelf says: $(head -1 warnings)"
grep -qE ' show_type$' read && grep -qE ' file_systems_lock$' read && grep -qE ' zram_major$' read || die "the runtime is not told what to fill in"
grep -qE 'R_PPC64_REL24 .*kmend\.stub\.show_type' read || die "no call through a stub"
tries --load zram all.ko --run 'head -n 3 /proc/filesystems' --run 'grep " / " /proc/mounts' --run 'cat /sys/block/zram0/initstate' \
	--run 'cat /sys/kernel/livepatch/all/enabled' --stress 10
probe 0 '\Anodev' '\A109054 2 3 4 5 6 7 8 1 proc\none five\nnodev' '\Anodev'
probe 1 '\A[a-z]+ / ([a-z]+) ' '\A([a-z]+):[a-z]+ / \1 ' '\A[a-z]+ / '
probe 2 '\A0\n' '\A40\n' '\A0\n'
probe 3 'No such file' '^1$' 'No such file'
# A module that comes later; return addresses that the function-graph tracer keeps to itself while calls are led away.
tries all.ko --load-later zram --run 'cat /sys/block/zram0/initstate 2>&1' --run 'cd /sys/kernel; mount -t tracefs none tracing 2>/dev/null; cd tracing
	echo show_vfsmnt >set_graph_function; echo function_graph >current_tracer
	head -n 1 /proc/filesystems; grep -c " / " /proc/mounts; grep -q show_vfsmnt trace && echo traced
	echo nop >current_tracer'
probe 0 'No such file' '\A40\n' '\A0\n'
probe 1 '\Anodev.*\n1\ntraced\n' '\A109054 2 3 .*\n1\ntraced\n' '\Anodev.*\n1\ntraced\n'

# spoil NAME PYTHON: all.ko with a change made to the first call that goes through a stub
spoil()
{
	python3 - all.ko "$1.ko" "$2" <<-'END' || die "cannot make $1.ko"
		import struct, sys
		data = bytearray(open(sys.argv[1], "rb").read())
		after = data.index(struct.pack("<I", 0xe8410018), 64)
		call, = struct.unpack_from("<I", data, after - 4)
		assert call == 0x48000001
		exec(sys.argv[3])
		open(sys.argv[2], "wb").write(data)
	END
}
spoil bare 'struct.pack_into("<I", data, after, 0x60000000)'
kmend 3 verify -k "$KERNEL" bare.ko
says "a call through a stub, and not 0xe8410018 behind it"
spoil elsewhere 'stub = data.index(struct.pack("<II", 0xf8410018, 0x3d820000)); struct.pack_into("<I", data, stub + 8, 0xe98c0008)'
kmend 3 verify -k "$KERNEL" elsewhere.ko
says "the field of relocation R_PPC64_TOC16_LO_DS is not zero"

# The runtime comes between with a frame of its own.
change fs/seq_file.c '/^void seq_printf/,/^\}/ s/^\tva_start/\tif (!strncmp(f, "%lu.%02lu %lu.%02lu %lu", 23))\n\t\tseq_puts(m, "load ");\n&/'
patch_of variadic
refuses variadic
says "seq_printf takes a variable number of arguments"
change mm/vmalloc.c '/^void \*__vmalloc_node_range/,/^\}/ s/^\tif \(WARN_ON_ONCE\(!size\)\)/\tif (size == 4242)\n\t\treturn NULL;\n&/'
patch_of many
refuses many
says "__vmalloc_node_range takes more arguments than fit into registers"
