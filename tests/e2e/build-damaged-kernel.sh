#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# timeout: 300
# A prepared kernel whose files are damaged or of another kernel is refused; what is only remembered is made again, unnoticed.
: "${KMEND:?}" "${KERNEL:?}"
set -u

die()
{
	echo "FAILED: $*"
	[ ! -s out ] || sed 's/^/    /' out
	exit 1
}

patch=$PWD/demo/meminfo.patch
origin=$("$KMEND" kernel show --json "$KERNEL" | python3 -c 'import json, sys; print(json.load(sys.stdin)["directory"])') || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
kernel=$scratch/kernel/$KERNEL

# A copy of the kernel alone in a cache; what is overwritten below is a file of its own.
mkdir kernel
ln -s "$(dirname "$(dirname "$origin")")/source" source
cp -a "$origin" kernel/
export KMEND_CACHE=$scratch

build()
{
	local want=$1 status=0
	rm -f x.ko
	"$KMEND" build -q -k "$KERNEL" -o x.ko "$patch" >out 2>&1 || status=$?
	[ "$status" = "$want" ] || die "with $2 it exits with $status, not $want"
	[ "$want" = 0 ] || [ ! -e x.ko ] || die "with $2 a module is written"
	[ "$want" != 0 ] || cmp -s x.ko good.ko || [ ! -e good.ko ] || die "with $2 another module is made"
}

says()
{
	grep -qF -- "$1" out || die "not said: $1"
}

build 0 "nothing wrong"
cp x.ko good.ko
for file in "$kernel"/work/kbuild/*.json "$kernel"/work/tools-*/tools.json "$kernel"/work/tools-*/*.o; do
	truncate -s 100 "$file"
done
build 0 "truncated memories"
for file in "$kernel"/work/tools-*/*.o; do
	printf '\377' | dd of="$file" bs=1 seek=300 conv=notrunc status=none
done
build 0 "a damaged template"
mkdir -p "$kernel/work/template-99999999-abcdef"
build 0 "an abandoned directory"
[ ! -e "$kernel/work/template-99999999-abcdef" ] || die "the abandoned directory is still there"

cp "$kernel/kernel.json" kernel.json
sed "s/\"release\": \"/&9/" kernel.json >"$kernel/kernel.json"
build 3 "the image of another kernel"
says "is the image of kernel"
head -c 100 kernel.json >"$kernel/kernel.json"
build 1 "half a record"
says "kernel.json cannot be used"
cp kernel.json "$kernel/kernel.json"
truncate -s 1000000 "$kernel/image"
build 1 "a truncated image"
says "truncated"
