#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel arm64
# What kmend reads out of an image is what the running kernel itself says it can trace: every entry, in order, by name.
. "$(dirname "$0")/common.inc"
enter_scratch python3 busybox

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
patch_of any
build any
tries any.ko --run 'cat /sys/kernel/tracing/available_filter_functions'
kmend 0 entries --json "$(field boot_image)"
cp out entries.json
python3 - <<'END' || die "the running kernel says otherwise"
import json, re
image = json.load(open("entries.json"))
running = [line for line in json.load(open("verdict.json"))["probes"][0]["before"].splitlines() if "[" not in line]
alive = image["records"] - image["startup_records"]
assert len(running) == alive > 10000, (len(running), alive)
named = {}
for f in image["functions"]:
    if "recorded" in f and f["verdict"] != "startup":
        named.setdefault(int(f["recorded"], 16), set()).add(f["name"])
lines = iter(running)
missing = []
for address in sorted(named):
    for line in lines:
        if line in named[address]:
            break
        missing.append(line)
    else:
        raise SystemExit(f"{named[address]} is not traced by the running kernel, or not in that place")
missing += lines
# The rest are entries without a name, which the kernel calls by that of the function before, or invalid.
assert len(missing) == alive - len(named), (missing[:5], len(missing), alive - len(named))
print(f"{len(named)} functions and {len(missing)} without a name, as in the running kernel")
END
