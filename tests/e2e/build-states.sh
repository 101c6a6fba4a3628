#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# States: a replacing live patch finds what the replaced one left, an older one is kept out; and a callback keeps its patch out.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

# version NAME STATE DATA: a live patch with state 7 in that version, which keeps DATA unless an earlier patch left some
version()
{
	change fs/proc/version.c '0,/^#include/ s/^#include/#include <kmend\/kmend.h>\n&/'
	cat >>b/fs/proc/version.c <<-END

	KMEND_STATE(7, $2);
	static int keep_data(struct klp_object *obj)
	{
		struct klp_state *before = kmend_previous_state(7), *now = kmend_state(obj, 7);

		now->data = before ? before->data + 1 : (void *)$3;
		pr_info("state: %s: was %d, is %u with %lu\n", kmend_patch(obj)->mod->name, before ? (int)before->version : -1,
			now->version, (unsigned long)now->data);
		return 0;
	}
	KMEND_PRE_PATCH(keep_data);
	END
	patch_of "$1"
	build "$1"
	says "state 7, version $2"
	kmend 0 inspect "$1.ko"
	says "7, version $2"
}

version older 1 40
version newer 2 90
version again 1 90

change fs/proc/version.c '0,/^#include/ s/^#include/#include <kmend\/kmend.h>\n&/'
change fs/proc/version.c '/^static int version_proc_show/,/^}/ s/^\treturn 0;/\tseq_puts(m, "never seen\\n");\n&/'
cat >>b/fs/proc/version.c <<'END'
static int say_no(struct klp_object *obj) { return -EINVAL; }
KMEND_PRE_PATCH(say_no);
static void never(struct klp_object *obj) { pr_info("state: never called\n"); }
KMEND_POST_UNPATCH(never);
END
patch_of unwilling
build unwilling --no-replace

cat >steps <<'END'
[ -d /sys/kernel/livepatch/older ] || exit 0
wait_for() { while [ "$(cat /sys/kernel/livepatch/$1/transition 2>/dev/null)" = 1 ]; do usleep 50000; done; }
insmod /unwilling.ko 2>&1 | grep -c Invalid
ls -d /sys/kernel/livepatch/unwilling /sys/module/unwilling 2>/dev/null
grep -c never /proc/version
insmod /newer.ko && wait_for newer
insmod /again.ko 2>&1 | grep -c Invalid
ls /sys/kernel/livepatch
dmesg | grep -o 'state: [a-z]*: was .*'
echo 0 >/sys/kernel/livepatch/newer/enabled && wait_for newer
rmmod newer
END
try 1 --json older.ko --file unwilling.ko --file newer.ko --file again.ko --file steps --run 'sh /steps'
cp out verdict.json
probe 0 '\A\Z' '\A1\n0\n1\nnewer\nstate: older: was -1, is 1 with 40\nstate: newer: was 1, is 2 with 41\n\Z'
# The log holds the two refusals, which a live patch should not cause, and nothing else that it should not.
python3 - <<'END' || die "other problems than the refusals"
import json, sys
found = json.load(open("verdict.json"))["problems"]
wanted = ["pre-patch callback failed", "failed to enable patch 'unwilling'", "(again) is not compatible"]
sys.exit(str(found) if len(found) < 2 or any(all(w not in str(f) for w in wanted) for f in found) else 0)
END
