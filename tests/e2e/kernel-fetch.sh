#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kmend kernel fetch against the real archive: the current kernel of each series and an older one, killed in the middle,
# twice at once, without space, and without rights to write.
# needs: network
# timeout: 3600

set -u
cache=$(mktemp -d) || exit 1
full=$cache/full
trap 'umount "$full" 2>/dev/null; rm -rf "$cache"' EXIT
export KMEND_CACHE=$cache/cache

fail()
{
	echo "FAILED: $*"
	exit 1
}

skip()
{
	echo "$*"
	exit 77
}

field()
{
	"$KMEND" kernel show --json "$1" | sed -n "s/^  \"$2\": \"\\(.*\\)\",*$/\\1/p"
}

# All pieces there, of the same kernel, and kbuild has nothing to say about the configuration.
check_kernel()
{
	local name=$1 source build before
	source=$(field "$name" source)
	build=$(field "$name" build)
	[ -s "$(field "$name" image)" ] || fail "$name: no image"
	[ -s "$(field "$name" boot_image)" ] || fail "$name: no boot image"
	[ -s "$(field "$name" symvers)" ] || fail "$name: no Module.symvers"
	find "$(field "$name" modules)" -name '*.ko*' | grep -q . || fail "$name: no modules"
	grep -q "\"$name\"" "$build/include/generated/utsrelease.h" || fail "$name: headers of another kernel"
	grep -q "Linux version $name " "$(field "$name" image)" || fail "$name: image of another kernel"
	zcat -f "$source/../../kernel/$name/kernel.json" | grep -q "\"version\": \"$(basename "$source")\"" ||
		fail "$name: source of another version"
	# Without these two options kbuild builds no tools: see docs/kernel.md.
	before=$(cd "$build" && cksum .config include/generated/autoconf.h)
	make -n -C "$source" "O=$build" ARCH=x86 CONFIG_OBJTOOL= CONFIG_DEBUG_INFO_BTF= fs/proc/meminfo.o >"$cache/make.log" 2>&1 || fail "$name: $(tail -3 "$cache/make.log")"
	grep -q syncconfig "$cache/make.log" && fail "$name: kbuild wants to change the configuration"
	[ "$before" = "$(cd "$build" && cksum .config include/generated/autoconf.h)" ] || fail "$name: kbuild changed the configuration"
	echo "ok: $name, source $(basename "$source")"
}

nothing_left()
{
	[ -z "$(ls -A "$1/kernel" "$1/source" 2>/dev/null | grep -v :)" ] || fail "$2 left something: $(ls "$1/kernel" "$1/source")"
}

[ "$(dpkg --print-architecture)" = amd64 ] || skip "written for an amd64 host"
tests/archive-reachable || skip "the package archive cannot be reached"

echo "== unknown kernels are told, and leave nothing"
"$KMEND" kernel fetch 6.1.0-9999-amd64 2>"$cache/err" && fail "a kernel that does not exist was fetched"
grep -q 6.1.0-9999-amd64 "$cache/err" || fail "the error does not name the kernel"
nothing_left "$KMEND_CACHE" "an unknown kernel"

echo "== killed in the middle, then again"
for delay in 1 4 8; do
	"$KMEND" kernel fetch -q amd64 >/dev/null 2>&1 &
	victim=$!
	sleep $delay
	kill -9 $victim 2>/dev/null
	wait $victim 2>/dev/null
	[ -z "$("$KMEND" kernel list)" ] || break
done
"$KMEND" kernel fetch -q amd64 >"$cache/first" || fail "fetch after kill -9"
name=$(sed -n 's/^release *//p' "$cache/first")
[ -z "$(ls -A "$KMEND_CACHE/tmp")" ] || fail "a killed run's files were not swept: $(ls "$KMEND_CACHE/tmp")"
check_kernel "$name"

echo "== the same again takes no time and no network"
http_proxy=http://127.0.0.1:1 timeout 5 "$KMEND" kernel fetch -q "$name" >/dev/null || fail "a kernel in the cache was fetched again"

echo "== two at once, another flavour of the same source"
"$KMEND" kernel fetch -q cloud-amd64 >"$cache/a" 2>&1 &
one=$!
"$KMEND" kernel fetch -q cloud-amd64 >"$cache/b" 2>&1 &
two=$!
wait $one || fail "first of two: $(cat "$cache/a")"
wait $two || fail "second of two: $(cat "$cache/b")"
cloud=$(sed -n 's/^release *//p' "$cache/a")
cmp -s "$cache/a" "$cache/b" || fail "two runs at once disagree"
check_kernel "$cloud"
[ "$(field "$cloud" source)" = "$(field "$name" source)" ] || fail "the source is not shared"

echo "== removal keeps a source that another kernel uses"
source=$(field "$name" source)
"$KMEND" kernel remove "$cloud" || fail "remove"
[ -d "$source" ] || fail "the source went with the first of its kernels"
"$KMEND" kernel remove "$name" || fail "remove"
[ -d "$source" ] && fail "an unused source stayed"

echo "== an older one"
conf=$KMEND_CACHE/apt/amd64/apt.conf
old=$(apt-cache -c "$conf" madison linux-source-6.1 2>/dev/null | awk '{ print $3 }' | sort -Vu | tail -2 | head -1)
packages=$(apt-cache -c "$conf" pkgnames linux-headers-6.1.0- | grep -E '^linux-headers-6\.1\.0-[0-9]+-amd64$')
older=$([ -z "$packages" ] || apt-cache -c "$conf" madison $packages | awk -v v="$old" '$3 == v { sub("linux-headers-", "", $1); print $1; exit }')
if [ -n "$older" ]; then
	"$KMEND" kernel fetch -q "$older" >/dev/null || fail "fetch $older"
	check_kernel "$older"
	[ "$(basename "$(field "$older" source)")" = "$old" ] || fail "$older: not the exact source"
else
	echo "the archive holds no older 6.1"
fi

echo "== the backport"
if apt-cache -c "$conf" show linux-image-6.12-amd64 >/dev/null 2>&1; then
	"$KMEND" kernel fetch -q 6.12-amd64 >"$cache/new" || fail "fetch 6.12-amd64"
	check_kernel "$(sed -n 's/^release *//p' "$cache/new")"
else
	echo "the archive holds no 6.12"
fi

echo "== no space left"
mkdir "$full"
if mount -t tmpfs -o size=300m none "$full" 2>/dev/null; then
	mkdir "$full/cache"
	KMEND_CACHE=$full/cache "$KMEND" kernel fetch -q amd64 >/dev/null 2>"$cache/err" && fail "fetched into 300 MB"
	cat "$cache/err"
	grep -qi "space" "$cache/err" || fail "the error does not speak of space"
	nothing_left "$full/cache" "a full disk"
	[ -z "$(ls -A "$full/cache/tmp")" ] || fail "a full disk left $(ls "$full/cache/tmp")"
else
	echo "no right to mount a tmpfs: not tested"
fi

echo "== a cache that cannot be written"
KMEND_CACHE=/proc/kmend "$KMEND" kernel fetch -q amd64 >/dev/null 2>"$cache/err" && fail "fetched into /proc"
grep -q KMEND_CACHE "$cache/err" || fail "the error does not say what to do: $(cat "$cache/err")"
echo "all done"
