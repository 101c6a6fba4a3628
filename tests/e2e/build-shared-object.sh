#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Two files that are linked into two modules: each module gets its own replacements, and calls its own copy of what is new.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox readelf

dir=drivers/net/ethernet/cavium/liquidio
makefile=$(field source)/$dir/Makefile
grep -q '^common-objs' "$makefile" 2>/dev/null || skip "this kernel links no file of $dir into several modules"
change $dir/octeon_device.c 's/^char \*lio_get_state_string/int lio_new(int x);\nnoinline int lio_new(int x)\n{\n\treturn x * 3 + oct_dev_state_str[1][0];\n}\n&/'
change $dir/octeon_device.c '/^char \*lio_get_state_string/,/^}/ s/istate < 0\)/istate < lio_new(istate))/'
change $dir/octeon_droq.c 's/^int octeon_delete_droq/int lio_new(int x);\n&/'
change $dir/octeon_droq.c '/^int octeon_delete_droq/,/^}/ s/octeon_droq_destroy_ring_buffers\(oct, droq\);/&\n\tdroq->max_count += lio_new(q_no);/'
patch_of shared
build shared
kmend 0 inspect shared.ko
says liquidio:octeon_delete_droq liquidio_vf:octeon_delete_droq liquidio:lio_get_state_string liquidio_vf:lio_get_state_string

# Each copy of lio_new has relocations for one module; the callers whose relocations are for that module must call that copy.
readelf -SsrW shared.ko >elf
python3 - <<'END' || die "a module calls the other one's copy"
import re
text = open("elf").read()
owner, calls, symbol_section, names = {}, {}, {}, {}
for number, name in re.findall(r"^ +\[ *(\d+)\] (\S+)", text, re.M):
    names[number] = name
for number, section, name in re.findall(r"^ +(\d+): [0-9a-f]+ +\d+ FUNC +\S+ +\S+ +(\d+) (\S+)$", text, re.M):
    symbol_section[int(number)] = names[section]
for title, body in re.findall(r"^Relocation section '(\S+)' at.*\n.*\n((?:[0-9a-f]{16} .*\n?)+)", text, re.M):
    if m := re.match(r"\.klp\.rela\.(liquidio\w*)\.(\.text\.(?:lio_new|octeon_delete_droq)\S*)$", title):
        owner[m[2]] = m[1]
    elif m := re.match(r"\.rela(\.text\.octeon_delete_droq\S*)$", title):
        for info in re.findall(r"^[0-9a-f]{16}  ([0-9a-f]{16}) .* lio_new - 4", body, re.M):
            calls[m[1]] = symbol_section[int(info[:8], 16)]
callers = sorted(calls)
assert len(callers) == 2 and len({calls[c] for c in callers}) == 2, calls
# Where the caller has no livepatch relocation of its own, the order of the units tells: that of their owners.
assert [owner[calls[c]] for c in callers] == ["liquidio", "liquidio_vf"], (calls, owner)
END

tries shared.ko --load liquidio --load-later liquidio_vf \
	--run 'for o in liquidio liquidio_vf; do cat /sys/kernel/livepatch/shared/$o/patched 2>/dev/null || echo no; done'
probe 0 '\Ano\nno\n' '\A1\n1\n' '\Ano\nno\n'
