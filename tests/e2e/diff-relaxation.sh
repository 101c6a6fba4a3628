#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Objects for linkers that delete instructions (riscv64): only what was changed is told, and an extract that is linked in place of the functions does what the patched
# source does, however the linker moves the code.
. "$(dirname "$0")/common.inc"
command -v riscv64-linux-gnu-gcc >/dev/null || skip "needs riscv64-linux-gnu-gcc"
enter_scratch python3

cat >orig.c <<'END'
int x = 5;
__attribute__((noinline)) int use(int a) { return a + 1; }
__attribute__((noinline)) int loop(int n) { while (n-- > 0) x = use(x) + 1; return x; }
__attribute__((noinline)) int choose(int a)
{
	switch (a) {
	case 0: return use(1);
	case 1: return use(7);
	case 2: return use(9) + 1;
	case 3: return use(10) * 3;
	case 4: return use(77);
	case 5: return 66;
	}
	return use(0);
}
__attribute__((noinline)) int *where(void) { return &x; }
int answer(void) { return (loop(3) * 7 + choose(1) * 3 + choose(5) + *where()) & 127; }
END
cat >start.s <<'END'
	.globl _start
_start:	.option push
	.option norelax
	lla gp, __global_pointer$
	.option pop
	call answer
	li a7, 93 # exit
	ecall
END
riscv64-linux-gnu-as -march=rv64g start.s -o start.o || exit 1
sed 's/use(x) + 1/use(x) + 20/; s/use(7)/use(8)/; s/return &x/return \&x + use(0) - 1/' orig.c >patched.c
sed 's/^int x/\n\n&/; s/choose(int a)/choose(int named_anew)/; s/switch (a)/switch (named_anew)/' orig.c >lines.c
emulator=$(command -v qemu-riscv64-static || command -v qemu-riscv64 || [ "$(uname -m)" != riscv64 ] || echo env)

# run FILE.o...: $status is that of the program linked of them
run()
{
	riscv64-linux-gnu-ld -static -o program start.o "$@" || die "does not link: $*"
	"$emulator" ./program
	status=$?
	[ $status -lt 128 ] || die "does not run: $*"
}

# try OPTION...
try()
{
	local name
	for name in orig patched lines; do
		riscv64-linux-gnu-gcc -O2 -fno-pie -mcmodel=medany "$@" -c $name.c -o $name.o || die "$* does not compile"
	done
	kmend 4 diff orig.o lines.o
	kmend 0 diff --json -o extract.o orig.o patched.o
	python3 - <<-'END' || die "$*: the wrong functions"
		import json
		found = json.load(open("out"))
		assert [(f["name"], f["status"]) for f in found["functions"]] == [("choose", "changed"), ("loop", "changed"), ("where", "changed")], found
		assert not found["data"] and not found["refused"], found
	END
	[ -n "$emulator" ] || return 0
	"$KMEND" asm --pad 8,4 -- riscv64-linux-gnu-gcc -O2 -fno-pie -mcmodel=medany "$@" -c orig.c -o padded.o || die "$*: no room"
	run padded.o
	padded=$status
	riscv64-linux-gnu-objcopy --weaken-symbol=loop --weaken-symbol=choose --weaken-symbol=where orig.o rest.o || exit 1
	run orig.o
	before=$status
	[ "$padded" = "$before" ] || die "$*: with room it does something else"
	run patched.o
	after=$status
	[ "$before" != "$after" ] || die "$*: the change has no effect"
	run extract.o rest.o
	[ "$status" = "$after" ] || die "$*: the extract does not do what the patched source does"
}

try -ffunction-sections -fdata-sections
try -ffunction-sections -g
try -g
try -march=rv64g -ffunction-sections -fpatchable-function-entry=4,2
try -mno-relax -fasynchronous-unwind-tables
[ -n "$emulator" ] || skip "compared; to run the extracts it takes qemu-user-static"
left_nothing
echo "extracts for linkers that move code are right"
