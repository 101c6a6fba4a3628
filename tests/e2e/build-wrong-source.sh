#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# The source is of another version than the image: the proof sees it, names the functions, and says what that usually means.
. "$(dirname "$0")/common.inc"
enter_scratch
real_cache=${KMEND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kmend}

change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
patch_of good

source=$(field source) config=$(field config) image=$(field boot_image) modules=$(field modules)
symvers=$(field symvers) headers=$(field build)
# Only one file differs; all the others are links to the pristine ones.
mkdir -p other/fs/proc
for place in . fs fs/proc; do
	find "$source/$place" -mindepth 1 -maxdepth 1 -not -path "*/fs" -not -path "*/fs/proc" -not -path "*/fs/proc/meminfo.c" \
		-exec ln -s -t other/$place {} +
done
sed 's/, sreclaimable + sunreclaim);/, sreclaimable + sunreclaim + sreclaimable);/' "$source/fs/proc/meminfo.c" >other/fs/proc/meminfo.c
cmp -s "$source/fs/proc/meminfo.c" other/fs/proc/meminfo.c && die "the change does not fit"

add()
{
	kmend "$1" kernel add --source "$2" --config "$config" --image "$3" --modules "$modules" --symvers "$symvers" \
		--headers "$headers" --name "$4"
}

export KMEND_CACHE=$scratch/cache
add 0 "$PWD/other" "$image" other
kmend 3 build -k other -o good.ko good.patch
says meminfo_proc_show
[ ! -e good.ko ] || die "there is a good.ko"

# With the right source the same provider is content, and makes the very same module as the package's own provider.
add 0 "$source" "$image" right
kmend 0 build -k right -o good.ko good.patch
mkdir -p package
KMEND_CACHE=$real_cache kmend 0 build -k "$KERNEL" -o package/good.ko good.patch
cmp good.ko package/good.ko || die "the two providers' modules differ"

# An image that was cut short makes no kernel.
head -c 3000000 "$image" >short
status=0
"$KMEND" kernel add --source "$source" --config "$config" --image short --name short >out 2>&1 || status=$?
[ $status = 1 ] || [ $status = 3 ] || die "a truncated image: exit status $status"
says short
kmend 0 kernel list
says_not short
