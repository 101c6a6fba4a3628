#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# A touched header yields the units that change, and only those; without a change in code there is nothing to patch.
. "$(dirname "$0")/common.inc"
enter_scratch patch

# counted NAME: one of the counts of the last build --json
counted()
{
	python3 -c 'import json, sys; print(json.load(open("out"))["headers"][sys.argv[1]])' "$1"
}

# Words only, in a header that nearly every unit includes: known before anything is looked at.
change include/linux/list.h '1,40 s/^ \* [A-Z].*/& (words)/'
patch_of words
refuses words 4
says 'nothing to patch' 'only comments and white space'

# A macro that nobody uses, and an inline function that nobody calls.
change fs/proc/internal.h '0,/^#include <linux\/binfmts.h>/ s//&\n#define KMEND_UNUSED(x) ((x) + 1)/'
change fs/proc/internal.h '0,/^static inline struct proc_inode/ s//static inline int kmend_unused(struct inode *inode)\n{\n\treturn inode->i_mode;\n}\n\n&/'
patch_of unused
refuses unused 4
says 'nothing to patch'

# One that some units call: those, with every function it was inlined into, and no other.
change fs/proc/internal.h '/^static inline bool is_empty_pde/,/^}/ s/return /return pde->namelen != 77 \&\& /'
patch_of used
build used --json
[ "$(counted changed)" -ge 1 ] || die "no unit changes"
[ "$(counted changed)" -lt "$(counted reached)" ] || die "all units change"
[ "$(counted narrowed)" -ge 1 ] || die "no unit was taken out by its text"
python3 - <<'END' || die "other functions"
import json
b = json.load(open("out"))
assert {f["source"] for f in b["functions"]} <= {"fs/proc/generic.c", "fs/proc/proc_net.c", "fs/proc/inode.c", "fs/proc/proc_sysctl.c"}, b["functions"]
h = b["headers"]
assert h["reached"] == h["narrowed"] + h["compiled"] and h["changed"] <= h["compiled"], h
END

# The same module whatever the number of threads.
cp used.ko first.ko
build used -j 1
cmp used.ko first.ko || die "another module with one thread"

# What does not compile is the patch's fault, with file and line.
change fs/proc/internal.h '/^static inline bool is_empty_pde/,/^}/ s/return /return kmend_no_such_thing + /'
patch_of broken
refuses broken 1
says 'fs/proc/internal.h:' kmend_no_such_thing 'with the patch'

# What is no unit must stay the same: the vDSO may see the header, but not another text of it that matters.
change include/vdso/helpers.h '0,/^#include/ s//#define KMEND_UNUSED 1\n&/'
patch_of vdso-unused
refuses vdso-unused 4
change include/vdso/helpers.h '0,/cpu_relax\(\);/ s//do { cpu_relax(); cpu_relax(); } while (0);/'
patch_of vdso
refuses vdso 3
says vclock_gettime.c 'the vDSO'
