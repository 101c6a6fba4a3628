#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two listings in place of two objects: the same answer as for what they assemble to, and where in the listing and in the source.
. "$(dirname "$0")/common.inc"
enter_scratch python3 gcc as

mkdir a b
cat >a/code.c <<'END'
int outside(int);
__attribute__((noinline)) static int leaf(int a)
{
	return a * a + 3;
}
int same(int a) { return outside(a); }
int user(int a)
{
	int first = outside(a);
	return leaf(first) + outside(first);
}
int jumps(int a)
{
	while (outside(a) > 3)
		a += outside(a + 1);
	return outside(a) + 40;
}
END
sed 's/a \* a + 3/a * a - 5/; s/leaf(first) +/leaf(first) -/; s/+ 40/+ 41/' a/code.c >b/code.c

# listings COMPILER OPTION...: a/code.s, b/code.s, and the objects that they make
listings()
{
	local side
	command -v "$1" >/dev/null || return 1
	for side in a b; do
		(cd $side && "$@" -S code.c -o code.s) || die "$* does not compile"
	done
}

# compared ARCH ASSEMBLER: with the listings, and with the objects
compared()
{
	"$2" a/code.s -o a/code.o && "$2" b/code.s -o b/code.o || die "$2 fails"
	kmend 0 diff --json a/code.o b/code.o
	cp out objects
	kmend 0 diff --json --arch "$1" a/code.s b/code.s
	python3 - <<-'END' || die "listings and objects give different answers"
		import json
		objects, listings = json.load(open("objects")), json.load(open("out"))
		places = {}
		for f in listings["functions"]:
		    places[f["name"]] = [r for r in f["reasons"] if r.startswith("first differs at line ")]
		    f["reasons"] = [r for r in f["reasons"] if r not in places[f["name"]]]
		assert objects == listings, (objects, listings)
		assert {"leaf", "user"} <= set(places) and all(len(p) == 1 for p in places.values()), places
	END
}

host=$(uname -m)
[ "$host" = aarch64 ] && host=arm64
[[ $host = ppc64le || $host = s390x || $host = arm64 || $host = x86_64 || $host = riscv64 ]] || skip "written for the five architectures"
listings gcc -O2 && compared "$host" as
listings gcc -O2 -g
kmend 0 diff a/code.s b/code.s
grep -A3 'changed  leaf' out | grep -q 'source code.c:4$' || die "the source line of leaf is not told"
grep -A3 'changed  user' out | grep -q 'source code.c:10' || die "the source line of user is not told"
listings clang -O2 -g && { kmend 0 diff a/code.s b/code.s; says 'changed  leaf' 'source code.c:4'; }
! listings aarch64-linux-gnu-gcc -O2 || compared arm64 aarch64-linux-gnu-as
! listings powerpc64le-linux-gnu-gcc -O2 || compared ppc64le powerpc64le-linux-gnu-as
! listings s390x-linux-gnu-gcc -O2 || compared s390x s390x-linux-gnu-as
! listings riscv64-linux-gnu-gcc -O2 || compared riscv64 riscv64-linux-gnu-as
! listings riscv64-linux-gnu-gcc -O2 -g -ffunction-sections || compared riscv64 riscv64-linux-gnu-as
listings gcc -O2

# Only numbers of labels differ: nothing does.
sed 's/\.L\([A-Z]*\)\([0-9]\)/.L\17\2/g' a/code.s >renamed.s
kmend 4 diff a/code.s renamed.s
# Nor do they where something does: the first difference is the number that was changed.
kmend 0 diff renamed.s b/code.s
grep -A3 'changed  jumps' out | grep -qE 'first differs at .*41.*; was .*40' || die "the change in jumps is not told"
# The extract comes out as of objects.
kmend 0 diff -o out.o a/code.s b/code.s
[ -s out.o ] || die "no extract"
# What is wrong is told, and leaves nothing.
echo '	nonsense 1, 2, 3' >bad.s
kmend 1 diff a/code.s bad.s
says 'bad.s does not assemble' 'give --arch'
kmend 2 diff a/code.s a/code.o
kmend 2 diff --arch vax a/code.s b/code.s
kmend 1 diff a/code.s missing.s
left_nothing
echo "listings are compared as objects are"
