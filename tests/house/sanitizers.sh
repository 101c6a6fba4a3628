#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The unit tests and the command line under AddressSanitizer (with leaks) and UndefinedBehaviorSanitizer.
# timeout: 1500

set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

fail()
{
	echo "FAILED: $*"
	exit 1
}

probe='int main(void) { return 0; }'
echo "$probe" | gcc -xc - -fsanitize=address,undefined -o "$dir/probe" 2>&1 || { echo "this compiler has no sanitizers"; exit 77; }

# An error ends the program with a status that no test expects.
export ASAN_OPTIONS=detect_leaks=1:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99
# GLib's slices hide leaks and overruns.
export G_SLICE=always-malloc

meson setup "$dir/build" -Db_sanitize=address,undefined -Db_lundef=false >"$dir/log" 2>&1 &&
	ninja -C "$dir/build" >>"$dir/log" 2>&1 || { tail -n 40 "$dir/log"; fail "does not build"; }

meson test -C "$dir/build" --print-errorlogs --num-processes 1 || fail "unit tests"

# Every command, with arguments that are wrong in the usual ways: an exit code from the documented ones, never 99 or a signal.
kmend=$dir/build/kmend
head -c 5000 /dev/urandom >"$dir/noise"
head -c 200 "$kmend" >"$dir/short.o"
try()
{
	timeout 60 "$kmend" "$@" >"$dir/out" 2>&1 </dev/null
	local status=$?
	[ $status -le 4 ] || { cat "$dir/out"; fail "kmend $* exits with $status"; }
}
export KMEND_CACHE=$dir/cache
try
try --help
try --version
try nonsense
for command in kernel build try diff entries asm inspect; do
	try $command
	try $command --help
	try $command --nonsense
	try $command "$dir/noise"
	try $command "$dir/missing" "$dir/missing"
	try $command "$dir/noise" "$dir/short.o"
	try $command "$dir/short.o"
	try $command -k missing "$dir/noise"
	try $command --json "$dir/noise" "$dir/noise"
done
try kernel list
try kernel list --json
try kernel show missing
try kernel remove missing
try diff "$kmend" "$kmend"
try inspect "$kmend"
try inspect --json "$kmend"
try entries --list "$kmend"
try entries --json "$kmend"
printf '\t.type f, @function\nf:\n\tbl g\n\tret\n\t.size f, .-f\n' >"$dir/f.s"
for arch in x86_64 arm64 ppc64le s390x riscv64; do
	try asm --arch $arch --pad 5,2 "$dir/f.s"
	try asm --arch $arch --hook --call-nops "$dir/f.s"
	try asm --arch $arch --pad 2 "$dir/noise"
done
