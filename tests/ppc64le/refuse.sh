#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: ppc64le
# What must not come out, or not go in: ways to a foreign TOC that nothing leads back from.
. "$(dirname "$0")/../e2e/common.inc"
enter_scratch python3 powerpc64le-linux-gnu-gcc
mutate=${KMEND%/*}/tests/mutate

change fs/proc_namespace.c '/^static int show_vfsmnt/,/^\}/ s/^\tif \(sb->s_op->show_devname\)/\tshow_type(m, sb);\n&/'
patch_of one
build one

# spoil NAME PYTHON: one.ko with a change made to the first call that goes through the livepatch core
spoil()
{
	python3 - one.ko "$1.ko" "$2" <<-'END' || die "cannot make $1.ko"
		import struct, sys
		data = bytearray(open(sys.argv[1], "rb").read())
		shoff, = struct.unpack_from("<Q", data, 40)
		shnum, shstr = struct.unpack_from("<HH", data, 60)
		sections = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + 64 * i) for i in range(shnum)]
		names = data[sections[shstr][4]:][:sections[shstr][5]]
		name = lambda s: names[s[0]:names.index(0, s[0])].decode()
		klp = next(s for s in sections if name(s).startswith(".klp.rela.vmlinux..text"))
		offset, info, addend = struct.unpack_from("<QQq", data, klp[4])
		at = sections[klp[7]][4] + offset
		call, after = struct.unpack_from("<II", data, at)
		assert call & 0xfc000003 == 0x48000001 and after == 0x60000000
		exec(sys.argv[3])
		struct.pack_into("<II", data, at, call, after)
		open(sys.argv[2], "wb").write(data)
	END
}
spoil jump 'call &= ~1'
kmend 3 verify -k "$KERNEL" jump.ko
says "a jump in place of a call"
spoil bare 'after = 0x7c0802a6'
kmend 3 verify -k "$KERNEL" bare.ko
says "no NOP behind the call"
kmend 0 verify -k "$KERNEL" one.ko

[ -x "$mutate" ] || exit 0
"$mutate" "$KERNEL" one.ko 80 one.patch >out 2>&1 || die "spoilt modules pass"
cat out
