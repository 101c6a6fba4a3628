#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 600
# One NOP at the label and the room before it: what `kmend asm --pad-before` writes is what compilers with the option do, `kmend entries` finds it good, other architectures are
# refused, and no thread is lost while the hook is switched (demo/pad-before).
. "$(dirname "$0")/common.inc"
top=$(cd "$(dirname "$0")/../.." && pwd)
enter_scratch python3

# Refusals need no compiler.
printf '\t.text\n\t.type\tf, %%function\nf:\n\tret\n\t.size\tf, .-f\n' >f.s
for arch in x86_64 ppc64le s390x riscv64; do
	kmend 3 asm --arch $arch --pad-before f.s
	says "--pad-before: on $arch no single NOP at a label" 'leave room with --pad'
	[ "$(wc -l <out)" = 1 ] || die "more than one line for $arch"
done
for other in '--pad 2' --hook --nop-hook; do
	# shellcheck disable=SC2086
	kmend 2 asm --arch arm64 --pad-before $other f.s
	says 'one of --pad, --pad-before, --hook and --nop-hook'
done
kmend 0 asm --arch arm64 --pad-before f.s
[ "$(grep -c nop out)" = 4 ] || die "not four NOPs"
kmend 0 asm --arch arm64 --pad-before --no-record --skip f f.s
cmp -s f.s out || die "a function that is left out was changed"

same=${KMEND%/*}/tests/same
[ -x "$same" ] || skip "needs build/tests/same"
command -v aarch64-linux-gnu-gcc >/dev/null || skip "needs aarch64-linux-gnu-gcc"

cat >code.c <<'END'
int outside(int);
static int count;
static __attribute__((noinline)) int leaf(int a) { return a * a + 3; }
static int through(int a) { return outside(a) + 1; }
int (*pointer)(int) = through;
int user(int a) { count += outside(a); return leaf(a) + count; }
int spin(int *p) { do { *p += 1; asm volatile("" ::: "memory"); } while (*p); return 7; }
END

# equal COMPILER...: with the compiler's own option the object is the same; all functions of it are good
equal()
{
	local branches
	for branches in '' '-mbranch-protection=standard' '-mbranch-protection=bti -ffunction-sections' -Os; do
		# shellcheck disable=SC2086
		"$KMEND" asm --pad 0 --no-record --skip '*' -- "$@" -O2 $branches -fpatchable-function-entry=4,3 -c code.c -o theirs.o || die "$* does not compile"
		# shellcheck disable=SC2086
		"$KMEND" asm --pad-before -- "$@" -O2 $branches -c code.c -o ours.o || die "$*: kmend asm fails"
		"$same" theirs.o ours.o >out || die "$* $branches: --pad-before is not -fpatchable-function-entry=4,3"
		kmend 0 entries --check ours.o
		says 'can be live patched' 'findings       0'
		kmend 0 entries --list ours.o
		[ "$(grep -cE '^  (leaf|through|user|spin) .*pad 4,3, record __patchable_function_entries' out)" = 4 ] || die "$* $branches: entries"
	done
	echo "$*: --pad-before is -fpatchable-function-entry=4,3"
}

equal aarch64-linux-gnu-gcc
if command -v clang >/dev/null; then
	equal clang -target aarch64-linux-gnu
fi

# One NOP without the room is refused, as is room that is too small.
for pad in 1 2,1; do
	"$KMEND" asm --pad $pad -- aarch64-linux-gnu-gcc -O2 -c code.c -o small.o || die "does not compile"
	kmend 3 entries --check small.o
	says 'has too little room'
done

# demonstrate FLAGS SWITCHES STOPS
demonstrate()
{
	local status=0
	CFLAGS=$1 "$top/demo/pad-before/run" "${@:2}" >out 2>&1 || status=$?
	cat out
	[ $status != 77 ] || skip "$(tail -1 out)"
	[ $status = 0 ] || die "the demonstrator exits with $status"
	grep -qE '^one NOP, room before: [0-9]+ switches, [0-9]+ calls, [1-9][0-9]* through the hook, 0 lost' out || die "a thread was lost, or none was hooked"
	grep -qE "^two NOPs: .* \(of [0-9]+ stopped threads $3\)" out || die "not each thread between two NOPs was lost"
}

export KMEND
demonstrate '' 100000 60
demonstrate -mbranch-protection=standard 50000 60

# It would tell: here the room does not save the return address.
cp -r "$top/demo/pad-before" spoiled
sed -i '/put(&e->room\[0\], SAVE);/d' spoiled/pad-before.c
! cmp -s spoiled/pad-before.c "$top/demo/pad-before/pad-before.c" || die "nothing was spoiled"
status=0
timeout 60 spoiled/run 5000 3 >out 2>&1 || status=$?
[ $status = 1 ] || die "the demonstrator exits with $status where threads are lost"
grep -qE '^one NOP, room before: .* [1-9][0-9]* lost' out || die "lost threads are not told"
