#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kmend diff: what its JSON tells of a change, and that a line number is noise unless the lines are said to be the same.
. "$(dirname "$0")/common.inc"
enter_scratch gcc python3

cat >unit.c <<'END'








extern void warn(const char *file, int line);
int state = 1;
int __attribute__((section(".init.text"))) start(int n) { return n + 1; }
void tells(int n) { if (n) warn(__FILE__, __LINE__); state++; }
void speaks(int n) { if (!n) warn(__FILE__, __LINE__); state++; }
END
sed 's/n + 1/n + 2/; s/state = 1/state = 2/' unit.c >changed.c
sed 's/^void tells/\n&/' unit.c >moved.c
compile() { cp "$1.c" in.c && gcc -O2 -g0 -ffunction-sections -fdata-sections -c in.c -o "$1.o"; }
compile unit && compile changed && compile moved || die "no objects"

kmend 3 diff --json unit.o changed.o
python3 - out <<'END' || die "unexpected JSON"
import json, sys
found = json.load(open(sys.argv[1]))
assert [(f["name"], f["status"], f["section"]) for f in found["functions"]] == [("start", "changed", ".init.text")], found
assert [(d["name"], d["section"]) for d in found["data"]] == [("state", ".data.state")], found
END
kmend 4 diff unit.o moved.o
kmend 0 diff --same-lines unit.o moved.o
says tells
