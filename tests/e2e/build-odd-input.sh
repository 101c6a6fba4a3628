#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# timeout: 300
# Patches as mail programs, editors and shells hand them over give the very same module; names and places that cannot be are refused.
: "${KMEND:?}" "${KERNEL:?}"
set -u

die()
{
	echo "FAILED: $*"
	[ ! -s out ] || sed 's/^/    /' out
	exit 1
}

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
patch=$PWD/demo/meminfo.patch
cd "$scratch" || exit 1
mkdir tmp
export TMPDIR=tmp

# build STATUS ARGUMENT...: it must exit so, and leave nothing in TMPDIR
build()
{
	local want=$1 status=0
	shift
	"$KMEND" build -k"$KERNEL" "$@" >out 2>&1 || status=$?
	[ "$status" = "$want" ] || die "kmend build $* exits with $status, not $want"
	[ -z "$(ls tmp)" ] || die "kmend build $* leaves $(ls tmp) behind"
}

says()
{
	grep -qF -- "$1" out || die "not said: $1"
}

# same ARGUMENT...: builds what the plain patch builds
same()
{
	rm -f same.ko
	build 0 --name same -osame.ko "$@"
	cmp -s same.ko plain.ko || die "kmend build $* makes another module"
}

build 0 --name same -o plain.ko "$patch"
grep -v '^$' "$patch" | sed 's/$/\r/' >crlf.patch
printf '\357\273\277' | cat - "$patch" >mark.patch
sed 's/^@@ -157,3 +157,3 @@/@@ -147,3 +147,3 @@/' "$patch" >offset.patch
same -j4 crlf.patch
same -qj1 mark.patch
same offset.patch
same - <"$patch"
same <(cat "$patch")

sed '0,/^ \tshow_val_kb/s/^ \tshow_val_kb/ \tshow_val_mb/' "$patch" >fuzz.patch
build 3 -o bad.ko fuzz.patch
says "does not apply to fs/proc/meminfo.c"
sed 's,/fs/proc,/../../etc,' "$patch" >outside.patch
build 3 -o bad.ko outside.patch
says "leaves the kernel tree"
build 3 -o dummy.ko "$patch"
says "--name"
build 2 --name a-b -o bad.ko "$patch"
build 2 -j -1 -o bad.ko "$patch"
build 1 -o bad.ko missing.patch
build 1 -o missing/bad.ko "$patch"
mkfifo fifo
build 1 -o fifo "$patch"
[ -p fifo ] || die "a pipe was replaced by a module"
mkdir kept
build 1 --keep kept -o bad.ko "$patch"
[ ! -e bad.ko ] || die "refused, and written all the same"
"$KMEND" build -k "$KERNEL" -o full.ko "$patch" >/dev/full 2>out && die "lost output is not noticed"
says "standard output"
