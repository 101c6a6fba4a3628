#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# kmend try --each: many live patches in one VM, each by itself: a bad one fails alone, and what a live patch patches is there first.
. "$(dirname "$0")/try-lib"
enter_scratch qemu-system-x86_64 busybox
livepatch lp_einval "never" '' cmdline_proc_show '-EINVAL'
livepatch lp_warns "never" '' cmdline_proc_show '({ WARN_ON(1); klp_enable_patch(&patch); })'
livepatch lp_target "never" '' cmdline_proc_show \
	'({ struct path p; int r = kern_path("/sys/module/dummy", 0, &p) ?: kern_path("/sys/module/veth", 0, &p); r ? r : klp_enable_patch(&patch); })'
sed -i '1i #include <linux/namei.h>' lp_target.c
echo 'MODULE_INFO(kmend_func, "dummy:dummy_xmit,1"); MODULE_INFO(kmend_callback, "veth:pre_patch,prepare");' >>lp_target.c
livepatch lp_good "never"
build_livepatches

try 1 --each --json lp_einval.ko lp_warns.ko lp_target.ko lp_good.ko
python3 - out <<'END' || die "unexpected JSON"
import json, sys
verdict = json.load(open(sys.argv[1]))
found = [(e["module"], e["verdict"], e["absent"]) for e in verdict["each"]]
assert found == [("lp_einval", "fail", []), ("lp_warns", "fail", []), ("lp_target", "pass", []), ("lp_good", "pass", [])], found
assert "Invalid argument" in verdict["each"][0]["why"], verdict["each"][0]
assert "WARNING: CPU" in verdict["each"][1]["why"], verdict["each"][1]
assert verdict["verdict"] == "fail" and "2 of 4" in verdict["why"], verdict["why"]
END
kmend 2 try --each --run true lp_good.ko
