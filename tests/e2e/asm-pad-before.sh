#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# kmend asm --pad-before: what gcc makes of the same numbers, found good by kmend entries, refused where there is no such scheme. Switched on and off under running
# threads it loses nothing, while two NOPs that are both switched do in the very same procedure.
. "$(dirname "$0")/common.inc"
top=$(cd "$(dirname "$0")/../.." && pwd)
same=${KMEND%/*}/tests/same
compiler=gcc
[ "$(uname -m)" = aarch64 ] || compiler=aarch64-linux-gnu-gcc
enter_scratch python3 $compiler
[ -x "$same" ] || skip "needs build/tests/same"

# ---- the object ----

for options in -O2 "-O2 -mbranch-protection=standard" "-O1 -ffunction-sections"; do
	# shellcheck disable=SC2086
	"$KMEND" asm --pad-before -- $compiler $options -c "$top/demo/pad-before/work.c" -o ours.o || die "work.c does not compile: $options"
	# shellcheck disable=SC2086
	$compiler $options -fpatchable-function-entry=4,3 -c "$top/demo/pad-before/work.c" -o theirs.o || die "work.c does not compile"
	"$same" theirs.o ours.o >out || die "--pad-before is not -fpatchable-function-entry=4,3: $options"
	kmend 0 entries --check --json ours.o
	python3 - "$options" <<-'END' || die "not as expected: $options"
		import json, sys
		found = json.load(open("out"))
		assert not found["findings"], found["findings"]
		for name in ("leaf", "with_frame", "with_calls"):
		    f = next(f for f in found["functions"] if f["name"] == name)
		    assert (f["entry"], f["pad"], f["verdict"]) == ("nops", "4,3", "patchable"), f
		    assert f["site_size"] == 4 and (f["site"] == 4) == ("branch-protection" in sys.argv[1]), f
	END
done
"$KMEND" asm --pad 1 -- $compiler -O2 -c "$top/demo/pad-before/work.c" -o ours.o || die "work.c does not compile"
kmend 3 entries --check ours.o
says "too-small: leaf has 4 bytes of room at its label and 0 before it"

printf '\t.text\n\t.type\tf, %%function\nf:\n\tret\n\t.size\tf, .-f\n' >f.s
kmend 0 asm --arch arm64 --pad-before f.s
for arch in x86_64 ppc64le s390x; do
	kmend 3 asm --arch $arch --pad-before f.s
	says "--pad-before is not for $arch" "leave room with --pad"
done
for wrong in '--pad-before --pad 2' '--pad-before --hook' '--pad-before --nop-hook' '--pad-before=2'; do
	# shellcheck disable=SC2086
	kmend 2 asm --arch arm64 $wrong f.s
done
printf '\t.text\n\t.type\tf, %%function\n\t.word\t77\nf:\n\tret\n\t.size\tf, .-f\n' >typed.s
kmend 3 asm --arch arm64 --pad-before -o typed-out.s typed.s
says "typed.s: f has data right before its label" "--skip f"
[ ! -e typed-out.s ] || die "a refused listing was written"
left_nothing

# ---- the demonstration ----

[ "$(uname -m)" = aarch64 ] || command -v qemu-aarch64-static >/dev/null || command -v qemu-aarch64 >/dev/null || skip "needs qemu-aarch64"

# shown SWITCHES PLACES [CFLAGS]: the three schemes, and what is in their numbers
shown()
{
	CFLAGS=${3-} timeout 120 "$top/scripts/demo-pad-before" -n "$1" >out 2>&1 || die "the demonstration exits with $?"
	python3 - "$1" "$2" <<-'END' || die "not the numbers that were expected"
		import re, sys
		switches, places = map(int, sys.argv[1:])
		text = open("out").read()
		runs = re.findall(r"running +(\d+) switches, (\d+) calls, (\d+) through the hook, (\d+) changes seen, (\d+) wrong, (\d+) lost\n"
		                  r"parked +(\d+) places, (\d+) wrong, (\d+) lost", text)
		one, two, kept = [list(map(int, run)) for run in runs]
		for run in one, two, kept:
		    assert run[0] == switches and 0 < run[2] < run[1] and run[3] > 0 and run[4] == 0 and run[7] == 0, run
		# The threads are stopped at every instruction, however the scheduler likes it; one loss for each of the three functions.
		assert one[5] == one[8] == kept[5] == kept[8] == 0, (one, kept)
		assert one[6] == places and two[6] == kept[6] == 21 and two[8] == 3, (one, two)
	END
	grep running out
}
shown 40000 24
shown 10000 30 -mbranch-protection=standard
echo "one NOP and the room before it: nothing lost; two NOPs: caught"
