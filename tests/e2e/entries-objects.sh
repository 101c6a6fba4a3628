#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What compilers leave at the start of functions, on every architecture there is a compiler for; programs linked from that; what cannot be read.
. "$(dirname "$0")/common.inc"
enter_scratch python3 gcc

cat >code.c <<'END'
int outside(int);
static int count;
__attribute__((noinline)) static int leaf(int a) { return a * a + 3; }
int user(int a) { count += outside(a); return leaf(a) + count; }
int loop(const int *a, int n) { int s = 0; for (int i = 0; i < n; i++) s += a[i]; return s; }
#define QUIET __attribute__((no_instrument_function, patchable_function_entry(0, 0)))
QUIET int quiet(int a) { return outside(a) + 1; }
__attribute__((section(".init.text"))) int starting(void) { return outside(1); }
END

# compile COMPILER OPTION...: code.o, or the compiler is not there
compile()
{
	command -v "$1" >/dev/null || return 1
	"$1" -O2 -c -o code.o "${@:2}" code.c || die "$* does not compile"
}

# expect KIND PAD VERDICT [FUNCTION...]: of those functions (user, loop)
expect()
{
	kmend 0 entries --json code.o
	python3 - "$@" <<-'END' || die "not as expected: $*"
		import json, sys
		kind, pad, verdict, *names = sys.argv[1:]
		found = json.load(open("out"))
		functions = {f["name"]: f for f in found["functions"]}
		for name in names or ["user", "loop"]:
		    f = functions[name]
		    assert (f["entry"], f.get("pad", "-"), f["verdict"]) == (kind, pad, verdict), f
		    assert ("record" in f) == (verdict == "patchable"), f
		assert functions["starting"]["verdict"] == "startup"
		assert [f for f in found["findings"] if f["kind"] not in ("before-toc", "skipped")] == [], found["findings"]
		assert functions["quiet"]["entry"] == "none", functions["quiet"]
	END
}

seen=0
if [ "$(uname -m)" = x86_64 ] && compile gcc -fno-pie -pg -mfentry -mrecord-mcount; then
	expect call - patchable
	kmend 3 entries --check code.o
	says "begins with its own code: quiet"
	compile gcc -fno-pie -pg -mfentry -mrecord-mcount -mnop-mcount -fcf-protection=branch
	expect nops 5,0 patchable
	compile gcc -fno-pie -pg
	expect call - late
	compile gcc -fpatchable-function-entry=16,11
	expect nops 16,11 patchable
	compile gcc -fpatchable-function-entry=2
	kmend 3 entries --check code.o
	says "has too little room: leaf user loop" "too-small: user has 2 bytes of room at its label and 0 before it; redirection takes 5"
	compile clang -fpatchable-function-entry=5 && expect nops 5,0 patchable
	seen=1
fi
for gcc in aarch64-linux-gnu-gcc aarch64-linux-gnu-gcc-12; do
	compile $gcc -fpatchable-function-entry=2 || continue
	expect nops 2,0 patchable
	compile $gcc -fpatchable-function-entry=4,2
	expect nops 4,2 patchable
	compile $gcc -fpatchable-function-entry=2 -mbranch-protection=standard
	expect nops 2,0 patchable
	compile $gcc -pg
	expect call - late
	seen=1
done
if compile powerpc64le-linux-gnu-gcc -pg -mprofile-kernel; then
	expect pair - no-record
	says '"site": 8' '"local_entry": 8' before-toc
	compile powerpc64le-linux-gnu-gcc -pg
	expect call - late
	compile powerpc64le-linux-gnu-gcc -fpatchable-function-entry=2
	expect nops 2,0 patchable loop
	seen=1
fi
if compile s390x-linux-gnu-gcc -pg -mfentry -mrecord-mcount; then
	expect call - patchable
	compile s390x-linux-gnu-gcc -fno-pie -pg -mfentry -mrecord-mcount -mnop-mcount
	expect nops 3,0 patchable
	compile s390x-linux-gnu-gcc -fpatchable-function-entry=6,3
	expect nops 6,3 patchable
	seen=1
fi
if compile riscv64-linux-gnu-gcc -fpatchable-function-entry=4; then
	expect nops 4,0 patchable
	compile riscv64-linux-gnu-gcc -fpatchable-function-entry=8,4 -mno-relax
	expect nops 8,4 patchable
	compile riscv64-linux-gnu-gcc -march=rv64imafd -fpatchable-function-entry=4,2
	expect nops 4,2 patchable
	says '"site_size": 8'
	compile riscv64-linux-gnu-gcc -fpatchable-function-entry=2
	kmend 3 entries --check code.o
	says "has too little room: leaf user loop" "too-small: user has 4 bytes of room at its label and 0 before it; redirection takes 8"
	for march in rv64gc rv64imafd; do
		compile riscv64-linux-gnu-gcc -march=$march -pg
		expect call - late
	done
	seen=1
fi
[ $seen = 1 ] || skip "no compiler for any of the architectures"

# All that runs after start-up can be patched.
echo 'int outside(int); int user(int a) { return outside(a) + 1; }' >good.c
gcc -O2 -fpatchable-function-entry=8 -c good.c || exit 1
kmend 0 entries --check good.o
says 'can be live patched' 'findings       0'

# Linked, at a fixed place and anywhere; stripped of its symbols but for those that others need.
echo 'int outside(int a) { return a; } int main(int n, char **v) { extern int user(int); return user(n); }' >main.c
for how in -no-pie -pie '-pie -rdynamic -s'; do
	# shellcheck disable=SC2086
	gcc -O2 -fpatchable-function-entry=8 $how main.c good.c -o program || exit 1
	kmend 0 entries --list program
	says ': program, '
	[ "$(grep -cE '^  (main|user|outside) .*pad 8,0, record __patchable_function_entries' out)" = 3 ] || die "entries of the program: $how"
done

# Anything else is told, and nothing crashes.
head -c 900 code.o >half.o
echo 'no ELF' >text
for file in half.o text missing; do
	kmend 1 entries $file
	says "$file"
done
kmend 2 entries
kmend 2 entries --json code.o good.o
kmend 0 entries "$KMEND"
echo "entries of all compilers are told"
