#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 1200
# Entries put into listings by `kmend asm` are those that a compiler with the option makes: real C files, each compiled both ways, for every architecture there is a
# compiler for. Compared are bytes, symbols, relocations and the places that are recorded. Programs so made run.
. "$(dirname "$0")/common.inc"
top=$(cd "$(dirname "$0")/../.." && pwd)
enter_scratch python3 gcc pkg-config
same=${KMEND%/*}/tests/same
[ -x "$same" ] || skip "needs build/tests/same"

# corpus COMPILER: this very program's own source, preprocessed by it, every NTH file
corpus()
{
	local file name n=0
	mkdir "$1"
	for file in "$top"/src/*/*.c; do
		n=$((n + 1))
		[ $((n % 12)) = 0 ] || continue
		name=${file#"$top"/src/}
		# shellcheck disable=SC2046
		"$1" -std=gnu17 -E -P -I"$top/src" -D_GNU_SOURCE -DG_LOG_DOMAIN='"kmend"' -DKMEND_VERSION='"0"' \
			$(pkg-config --cflags glib-2.0 gio-2.0 capstone) "$file" -o "$1/${name//\//-}.i" 2>/dev/null || rm -f "$1/${name//\//-}.i"
	done
	[ "$(find "$1" -name '*.i' | wc -l)" -ge 10 ] || skip "the own source cannot be preprocessed by $1"
}

options="-std=gnu17 -w -O2"
# both FILE OUR-OPTIONS THEIR-OPTIONS COMPILER...: theirs.o and ours.o. clang's own assembler writes other objects than as, so both go through as.
both()
{
	local file=$1 ours=$2 theirs=$3
	shift 3
	# shellcheck disable=SC2086
	"$KMEND" asm --pad 0 --no-record --skip '*' -- "$@" $options $theirs -c "$file" -o theirs.o 2>errors || return 1
	# shellcheck disable=SC2086
	"$KMEND" asm $ours -- "$@" $options -c "$file" -o ours.o || die "$*: kmend asm $ours fails on $file"
}

# equal CORPUS OUR-OPTIONS THEIR-OPTIONS COMPILER...
equal()
{
	local file n=0
	for file in "$1"/*.i; do
		both "$file" "${@:2}" || continue
		"$same" theirs.o ours.o >out || die "${*:4}, $file: kmend asm $2 is not $3"
		n=$((n + 1))
	done
	[ $n -ge 10 ] || die "${*:4}: only $n files compile: $(head -1 errors)"
	echo "${*:4}: kmend asm $2 is $3 on $n files"
	seen=1
}

# alike CORPUS OUR-OPTIONS THEIR-OPTIONS COMPILER...: -pg changes the code of some functions too, but their entries are the same
alike()
{
	local file n=0
	for file in "$1"/*.i; do
		both "$file" "${@:2}" || continue
		for side in theirs ours; do
			"$KMEND" entries --json $side.o | python3 -c '
import json, sys
for f in json.load(sys.stdin)["functions"]:
    print(f["name"], f["section"], f["entry"], f["verdict"], f["landing"], f.get("site"), f.get("site_size"), f.get("record", {}).get("section"))' | sort >$side
		done
		cmp -s theirs ours || die "${*:4}, $file: kmend asm $2: $(diff theirs ours | head -5)"
		n=$((n + 1))
	done
	[ $n -ge 10 ] || die "${*:4}: only $n files compile: $(head -1 errors)"
	echo "${*:4}: kmend asm $2 has the entries of $3 on $n files"
}

corpus gcc
seen=0
if [ "$(uname -m)" = x86_64 ]; then
	equal gcc "--pad 16,11" -fpatchable-function-entry=16,11 gcc -fno-pie -fcf-protection=branch
	equal gcc "--pad 5" -fpatchable-function-entry=5 gcc -ffunction-sections
	alike gcc --hook "-pg -mfentry -mrecord-mcount" gcc -fno-pie
	alike gcc --nop-hook "-pg -mfentry -mrecord-mcount -mnop-mcount" gcc -fno-pie -fcf-protection=branch
fi
if command -v aarch64-linux-gnu-gcc >/dev/null; then
	equal gcc "--pad 4,2" -fpatchable-function-entry=4,2 aarch64-linux-gnu-gcc
	equal gcc "--pad 2" -fpatchable-function-entry=2 aarch64-linux-gnu-gcc -mbranch-protection=standard -ffunction-sections
fi
if command -v powerpc64le-linux-gnu-gcc >/dev/null; then
	equal gcc "--pad 2 --global-entry" -fpatchable-function-entry=2 powerpc64le-linux-gnu-gcc
	equal gcc "--hook --no-record" "-pg -mprofile-kernel" powerpc64le-linux-gnu-gcc
fi
if command -v s390x-linux-gnu-gcc >/dev/null; then
	equal gcc "--pad 6,3" -fpatchable-function-entry=6,3 s390x-linux-gnu-gcc
	alike gcc --hook "-pg -mfentry -mrecord-mcount" s390x-linux-gnu-gcc
fi
if command -v riscv64-linux-gnu-gcc >/dev/null; then
	equal gcc "--pad 8,4" -fpatchable-function-entry=8,4 riscv64-linux-gnu-gcc -ffunction-sections
	equal gcc "--pad 4" -fpatchable-function-entry=4 riscv64-linux-gnu-gcc -mno-relax -g -gno-record-gcc-switches
	equal gcc "--pad 4,2" -fpatchable-function-entry=4,2 riscv64-linux-gnu-gcc -march=rv64imafd
fi
if command -v clang >/dev/null; then
	corpus clang
	[ "$(uname -m)" != x86_64 ] || equal clang "--pad 1" -fpatchable-function-entry=1 clang
	! command -v aarch64-linux-gnu-as >/dev/null ||
		equal clang "--pad 4,2" -fpatchable-function-entry=4,2 clang -target aarch64-linux-gnu -mbranch-protection=standard
	! command -v riscv64-linux-gnu-as >/dev/null ||
		equal clang "--pad 8,4" -fpatchable-function-entry=8,4 clang -target riscv64-linux-gnu -march=rv64gc
fi
[ $seen = 1 ] || skip "no compiler for any of the architectures"

# A loop at a function's start is behind the room, not around it.
echo 'void spin(int *p) { do { *p += 1; asm volatile("" ::: "memory"); } while (*p); } void stay(void) { for (;;) asm volatile(""); }' >spin.c
for compiler in gcc clang aarch64-linux-gnu-gcc riscv64-linux-gnu-gcc 'clang -target aarch64-linux-gnu' 'clang -target riscv64-linux-gnu'; do
	[ "$(uname -m)" = x86_64 ] || [ "${compiler#*-}" != "$compiler" ] || continue
	command -v "${compiler%% *}" >/dev/null || continue
	[ "$compiler" = "${compiler#* -target }" ] || command -v "${compiler#* -target }-as" >/dev/null || continue
	# shellcheck disable=SC2086
	both spin.c "--pad 2,1" -fpatchable-function-entry=2,1 $compiler || die "$compiler does not compile a loop: $(head -1 errors)"
	"$same" theirs.o ours.o >out || die "$compiler: the room of a loop at a function's start"
done

# Exceptions, comdat functions and debug information; the program runs, and its entries are there.
if command -v g++ >/dev/null; then
	cat >throw.cc <<-'END'
		#include <cstdio>
		#include <stdexcept>
		template <class T> __attribute__((noinline)) T twice(T a) { if (a > 90) throw std::runtime_error("too much"); return a + a; }
		struct Base { virtual ~Base() {} virtual int get(int a) { try { return twice(a); } catch (std::exception &e) { return -1; } } };
		int main(int n, char **) { Base b; std::printf("%d %d\n", b.get(n), b.get(n + 98)); }
	END
	"$KMEND" asm --pad 8,3 -- g++ -g -O2 throw.cc -o throw || die "C++ does not compile"
	[ "$(./throw)" = "2 -1" ] || die "exceptions do not work: $(./throw)"
	kmend 0 entries --list throw
	grep -q 'twice.*pad 8,3, record' out || die "a comdat function has no entry"
fi

# Only what is a function of the listing gets an entry; by hand written assembly is left alone.
printf '.text\n.globl hand\n.type hand, @function\nhand:\n\tret\n.size hand, .-hand\n' >hand.s
printf '#define X hand2\n.text\n.globl X\n.type X, @function\nX:\n\tret\n.size X, .-X\n' >upper.S
if [ "$(uname -m)" = x86_64 ]; then
	for file in hand.s upper.S; do
		gcc -c $file -o plain.o && "$KMEND" asm --pad 5 -- gcc -c $file -o ours.o || die "$file does not assemble"
		cmp plain.o ours.o || die "$file was changed"
	done
	echo 'int f(int a) { return a; } int quiet(int a) { return a + 1; } asm(".type g, @function\ng: ret\n");' >two.c
	"$KMEND" asm --pad 5 --skip 'qui*' -- gcc -pipe -O2 -c two.c -o ours.o || die "does not compile"
	kmend 0 entries --list ours.o
	grep -qE '^  f .*pad 5,0' out && grep -qE '^  quiet .*own code' out && grep -qE '^  g .*own code' out || die "wrong functions got entries"
	"$KMEND" asm --pad 5 -- gcc -c missing.c 2>/dev/null && die "the compiler's failure is lost"
fi

# The filter, and what it refuses.
printf '\t.text\n\t.type\tf, %%function\nf:\n\tret\n\t.size\tf, .-f\n' >f.s
kmend 0 asm --arch arm64 --hook f.s
says 'mov	x9, x30' 'bl	_mcount'
kmend 3 asm --arch arm64 --nop-hook f.s
kmend 3 asm --arch arm64 --call-nops f.s
kmend 3 asm --arch riscv64 --hook f.s
says 'on riscv64 no compiler calls the hook before the prologue' 'leave room with --pad'
kmend 3 asm --arch riscv64 --nop-hook f.s
for wrong in '' '--pad x' '--pad 2,3' '--pad 2 --hook' '--pad 2 --arch vax' '--pad 2 a b' '--pad 2 --'; do
	# shellcheck disable=SC2086
	kmend 2 asm $wrong
done
head -c 100 /bin/sh >binary
kmend 1 asm --pad 2 binary
kmend 1 asm --pad 2 missing.s
kmend 1 asm --pad 2 -- ./no-such-compiler -c f.c
left_nothing

# ppc64le: NOPs after calls, no jumps to other functions.
printf '\t.type\tf, @function\nf:\n\tbl g\n\tstd 3,0(1)\n\tbl h\n\tnop\n\tbl _savegpr0_28\n\tblr\n\t.size\tf, .-f\n' >calls.s
kmend 0 asm --arch ppc64le --call-nops calls.s
[ "$(grep -c nop out)" = 2 ] && [ "$(grep -A1 'bl g' out | tail -1)" = "	nop" ] || die "wrong NOPs"
kmend 0 asm --arch ppc64le --call-nops --callee h calls.s
[ "$(grep -c nop out)" = 1 ] || die "a NOP after a call that was not named"
sed 's/blr/b g/' calls.s >jump.s
kmend 3 asm --arch ppc64le --call-nops jump.s
says 'f ends with a jump to g'
