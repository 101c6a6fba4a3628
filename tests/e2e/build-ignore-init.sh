#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Start-up code that changes together with run-time code: refused by name, left out when asked to, and told.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change fs/proc/meminfo.c '/^static int __init proc_meminfo_init/,/^}/ s/"meminfo"/"meminfo2"/'
patch_of start
kmend 4 build -k "$KERNEL" --ignore-init -o start.ko start.patch
says 'nothing to patch' --ignore-init
left_nothing

# A parameter is start-up code, its variable is not.
change fs/proc/meminfo.c '/^static int __init proc_meminfo_init/,/^}/ s/"meminfo"/"meminfo2"/'
change fs/proc/meminfo.c '/^static int meminfo_proc_show/,/^}/ s/"VmallocChunk:/"VmallocCHUNK:/'
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/i static int kmend_shown = 40;\nmodule_param(kmend_shown, int, 0444);\nMODULE_PARM_DESC(kmend_shown, "what is shown");\n'
change drivers/block/zram/zram_drv.c '/^static ssize_t initstate_show\(/,/^}/ s/init_done\(zram\)/& + kmend_shown/'
patch_of both
refuses both
says 'have it left out with --ignore-init'
build both --ignore-init
says 'note: fs/proc/meminfo.c: proc_meminfo_init: changed __init code, left out as --ignore-init asks' \
	'note: drivers/block/zram/zram_drv.c: __param_kmend_shown: new module parameter, left out'
cp both.ko plain.ko
kmend 0 build -k "$KERNEL" --ignore-init --explain --json -o both.ko both.patch
cmp both.ko plain.ko || die "--explain changes the module"
python3 - <<'END' || die "not in the JSON"
import json
found = json.load(open("out"))
assert len([n for n in found["notes"] if "left out as --ignore-init asks" in n]) == 2, found["notes"]
units = {u["source"]: u["ignored"] for u in found["units"]}
assert any("proc_meminfo_init" in i for i in units["fs/proc/meminfo.c"]), units
assert any(".modinfo" in i for i in units["drivers/block/zram/zram_drv.c"]), units
END
tries both.ko --load zram --run 'grep -io VmallocChunk: /proc/meminfo; cd /proc; echo meminfo*' \
	--run 'cat /sys/block/zram0/initstate'
probe 0 '\AVmallocChunk:\nmeminfo\n\Z' '\AVmallocCHUNK:\nmeminfo\n\Z' '\AVmallocChunk:\nmeminfo\n\Z'
probe 1 '\A0\n' '\A40\n' '\A0\n'

# What new start-up code would set, and changed code uses, would never be set; a callback can.
change fs/proc/meminfo.c '/^static int meminfo_proc_show/i static void *kmend_page;\n'
change fs/proc/meminfo.c '/^static int meminfo_proc_show/,/^}/ s/^\treturn 0;/\tseq_printf(m, "page %d\\n", *(char *)kmend_page);\n&/'
change fs/proc/meminfo.c '/^static int __init proc_meminfo_init/,/^}/ s/^\treturn 0;/\tkmend_page = (void *)get_zeroed_page(GFP_KERNEL);\n&/'
stacked_patch_of unset
kmend 3 build -k "$KERNEL" --ignore-init -o unset.ko unset.patch
says 'kmend_page' 'pre-patch callback'
left_nothing
change fs/proc/meminfo.c '$a #include <kmend/kmend.h>\nstatic int kmend_fill(struct klp_object *o)\n{\n\tkmend_page = (void *)get_zeroed_page(GFP_KERNEL);\n\treturn kmend_page ? 0 : -ENOMEM;\n}\nKMEND_PRE_PATCH(kmend_fill);'
patch_of set
kmend 0 build -k "$KERNEL" --ignore-init -o set.ko unset.patch set.patch
says 'vmlinux: meminfo_proc_show' 'callback kmend_fill'
