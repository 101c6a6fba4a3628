#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# `kmend build --explain`: why each function is in the live patch, what it uses, and what its author should look at.

. "$(dirname "$0")/common.inc"
enter_scratch patch

# An inline function, a macro, and locks in a function of its own.
change fs/timerfd.c 's/return ctx->clockid == CLOCK_REALTIME_ALARM \|\|/return ctx->clockid == 77 || ctx->clockid == CLOCK_REALTIME_ALARM ||/'
change fs/eventpoll.c 's/^(#define EP_MAX_EVENTS.*)\(INT_MAX /\1(1000000 /'
change fs/timerfd.c '/^static int timerfd_release/,/^}/s/^(\tstruct timerfd_ctx \*ctx = .*;)$/\1\n\n\tmutex_lock(\&kmend_test_lock);\n\tmutex_unlock(\&kmend_test_lock);/'
change fs/timerfd.c 's/^struct timerfd_ctx \{$/static DEFINE_MUTEX(kmend_test_lock);\n\n&/'
patch_of explained

kmend 0 build -k "$KERNEL" -o explained.ko --explain --json explained.patch
python3 - <<'END' || die "the explanation is not as expected"
import json
units = {unit["source"]: unit for unit in json.load(open("out"))["units"]}
timerfd = {function["name"]: function for function in units["fs/timerfd.c"]["functions"]}
epoll = {function["name"]: function for function in units["fs/eventpoll.c"]["functions"]}

def causes(function):
    return {(cause["how"], cause["through"]) for cause in function["causes"]}

release = timerfd["timerfd_release"]
assert release["role"] == "replaced" and release["line"] > 0, release
assert ("lines", None) in causes(release), release
assert ("inlined", "isalarm") in causes(release), release
lines = [cause for cause in release["causes"] if cause["how"] == "lines"]
assert lines[0]["file"] == "fs/timerfd.c" and lines[0]["line"] > release["line"], release
assert any("locks differently" in check and "+1 mutex_lock" in check for check in release["checks"]), release
uses = {use["name"]: use for use in release["uses"]}
assert uses["mutex_lock"]["how"] == "import", uses
assert uses["kmend_test_lock"]["how"] == "inside", uses
assert any("kmend_test_lock" in check for check in units["fs/timerfd.c"]["checks"]), units["fs/timerfd.c"]["checks"]

# Nothing else of the file is said to be changed by lines of its own.
others = [name for name, function in timerfd.items() if ("lines", None) in causes(function)]
assert others == ["timerfd_release"], others
assert any(("inlined", "isalarm") in causes(function) for name, function in timerfd.items() if name != "timerfd_release")

assert epoll and all(("macro", "EP_MAX_EVENTS") in causes(function) for function in epoll.values()), epoll
livepatch = [use for function in epoll.values() for use in function["uses"] if use["how"] == "livepatch"]
assert livepatch and all(use["object"] == "vmlinux" and use["sympos"] >= 1 for use in livepatch), livepatch
END

kmend 0 build -k "$KERNEL" -o explained.ko --explain explained.patch
says 'the patch changes it (fs/timerfd.c:' 'through the inlined function isalarm (fs/timerfd.c:' \
	'through the macro EP_MAX_EVENTS (fs/eventpoll.c:' 'it locks differently (+1 mutex_lock, +1 mutex_unlock)' 'exported: '

# Without the option nothing of it is said.
kmend 0 build -k "$KERNEL" -o explained.ko --json explained.patch
says_not '"units"'
