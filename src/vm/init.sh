#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's init. Does what /kmend says, and answers on a second serial port, where no kernel message gets in between.
# An answer: a line "#kmend:NONCE KEY STATUS LENGTH", LENGTH bytes, a newline (see guest.h).

export PATH=/bin HOME=/root TERM=dumb

/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /etc
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /dev/shm 2>/dev/null
mount -t tmpfs tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
ln -sf /proc/self/fd /dev/fd
ifconfig lo up 2>/dev/null
hostname kmend

# NONCE, RESULTS (device), STALL (seconds), PROBE_LIMIT (seconds), OUTPUT_LIMIT (bytes), STRESS (cycles), EACH (1: one by one)
. /kmend/config
exec 3<>"$RESULTS"
stty raw -echo <&3
echo 30 >/proc/sys/kernel/hung_task_timeout_secs 2>/dev/null

O=/run/out
mkdir -p /run/w

# answer KEY STATUS FILE
answer() {
	printf '#kmend:%s %s %s %s\n' "$NONCE" "$1" "$2" "$(wc -c <"$3")" >&3
	cat "$3" >&3
	echo >&3
}

# say KEY STATUS [TEXT]
say() {
	printf '%s' "$3" >/run/say
	answer "$1" "$2" /run/say
}

probes() {
	for p in /kmend/probe/*; do
		[ -f "$p" ] || continue
		cd /
		timeout -s KILL "$PROBE_LIMIT" /bin/sh -c "$(cat "$p")" </dev/null >$O 2>&1 3>&-
		status=$?
		if [ "$(wc -c <$O)" -gt "$OUTPUT_LIMIT" ]; then
			head -c "$OUTPUT_LIMIT" $O >$O.cut
			printf '\n[cut after %s bytes]\n' "$OUTPUT_LIMIT" >>$O.cut
			mv $O.cut $O
		fi
		answer "$1/${p##*/}" "$status" $O
	done
}

# insert KEY FILE NAME: insmod, unless it is there
insert() {
	[ -d "/sys/module/$3" ] && return 0
	insmod "$2" >$O 2>&1 3>&-
	status=$?
	answer "$1/$3" $status $O
	return $status
}

insert_stock() {
	for name in $(cat "/kmend/$1"); do
		insert "$1" "/kmend/stock/$name.ko" "$name" || failed=1
	done
}

# lp NAME: the live patch's directory, of the kernel's livepatch core or of kmend's own runtime
lp() {
	if [ -d "/sys/kernel/kmend/$1" ]; then
		echo "/sys/kernel/kmend/$1"
	else
		echo "/sys/kernel/livepatch/$1"
	fi
}

now() {
	cut -d. -f1 /proc/uptime
}

# Kmend's own runtime switches at once, or says that it cannot: then what it logged last is all there is to know.
is_busy() {
	[ -d /sys/module/kmend_runtime ] && grep -q 'resource busy' $O
}

# Which tasks keep a transition from ending: those not yet in the state that is wanted.
blockers() {
	if [ -d /sys/module/kmend_runtime ]; then
		dmesg | grep kmend | grep -v "kmend $NONCE" | tail -n 4
		return
	fi
	want=$(cat "$(lp "$1")/enabled" 2>/dev/null)
	for t in /proc/[0-9]*/task/[0-9]*; do
		state=$(cat "$t/patch_state" 2>/dev/null) || continue
		[ "$state" = -1 ] || [ "$state" = "$want" ] && continue
		echo "task ${t##*/} ($(cat "$t/comm" 2>/dev/null))"
		sed 's/^/    /' "$t/stack" 2>/dev/null
	done
}

# settle KEY NAME: wait for the end of the transition; a patch that is gone has ended too
settle() {
	end=$(($(now) + STALL))
	while [ "$(cat "$(lp "$2")/transition" 2>/dev/null)" = 1 ]; do
		if [ "$(now)" -ge $end ]; then
			blockers "$2" >$O 2>&1
			answer "$1/$2" 1 $O
			return 1
		fi
		usleep 20000
	done
	say "$1/$2" 0
}

# stalled KEY NAME END: is it over with a runtime that says that something is busy? Else it was a moment's wait.
stalled() {
	if [ "$(now)" -ge "$3" ]; then
		blockers "$2" >$O 2>&1
		answer "$1/$2" 1 $O
		return 0
	fi
	usleep 200000
	return 1
}

insert_patch() {
	[ -d "/sys/module/$1" ] && return 0
	end=$(($(now) + STALL))
	until insmod "/kmend/patch/$1.ko" >$O 2>&1 3>&-; do
		if ! is_busy; then
			answer "load/$1" 1 $O
			return 1
		fi
		! stalled transition "$1" $end || return 1
	done
	answer "load/$1" 0 $O
}

load_patch() {
	insert_patch "$1" || return 1
	if [ ! -d "$(lp "$1")" ]; then
		say registered/"$1" 1
		return 1
	fi
	settle transition "$1"
}

# The directory vanishes when the transition is over, the module's reference shortly after.
wait_gone() {
	n=0
	while [ -d "$(lp "$1")" ]; do
		n=$((n + 1))
		[ $n -gt 500 ] && return 1
		usleep 20000
	done
}

remove_module() {
	n=0
	until rmmod "$1" >$O 2>&1; do
		n=$((n + 1))
		[ $n -gt 100 ] && break
		usleep 50000
	done
	[ ! -d "/sys/module/$1" ]
	answer "remove/$1" $? $O
}

disable_patch() {
	end=$(($(now) + STALL))
	until (echo 0 >"$(lp "$1")/enabled") >$O 2>&1 || [ ! -d "$(lp "$1")" ]; do
		if ! is_busy; then
			answer "disable/$1" 1 $O
			return 1
		fi
		! stalled untransition "$1" $end || return 1
	done
	say "disable/$1" 0
}

unload_patch() {
	[ -d "/sys/module/$1" ] || return 0
	if [ -d "$(lp "$1")" ]; then
		if [ "$(cat "$(lp "$1")/enabled" 2>/dev/null)" = 1 ]; then
			disable_patch "$1" || return 1
		fi
		settle untransition "$1" || return 1
		wait_gone "$1"
	fi
	remove_module "$1" || return 1
	[ ! -d "/sys/module/$1" ]
}

load_all() {
	for name in $(cat /kmend/patches); do
		load_patch "$name" || return 1
	done
}

unload_all() {
	bad=0
	for name in $(cat /kmend/unpatches); do
		unload_patch "$name" || bad=1
	done
	return $bad
}

# Each probe in two endless loops, and something that walks all tasks. They keep both CPUs busy; a little nicer than the
# one who counts the cycles, whose own waiting proves nothing.
start_load() {
	for p in /kmend/probe/* /kmend/probe/*; do
		[ -f "$p" ] || continue
		(cd /run/w && while :; do /bin/sh -c "$(cat "$p")"; done) </dev/null >/dev/null 2>&1 3>&- &
		jobs_started="$jobs_started $!"
		renice -n 5 $! >/dev/null 2>&1
	done
	(while :; do cat /proc/[0-9]*/stat /proc/[0-9]*/maps /proc/meminfo /proc/stat; done) >/dev/null 2>&1 3>&- &
	jobs_started="$jobs_started $!"
	renice -n 5 $! >/dev/null 2>&1
}

stress() {
	jobs_started=
	start_load
	cycle=0
	while [ $cycle -lt "$STRESS" ]; do
		if ! load_all || ! unload_all; then
			say stress 1 "$cycle"
			failed=1
			break
		fi
		cycle=$((cycle + 1))
		say cycle 0 "$cycle"
	done
	[ -n "$failed" ] || say stress 0 "$cycle"
	# shellcheck disable=SC2086
	kill $jobs_started 2>/dev/null
}

# What the live patch patches is loaded first: without it only the code for the rest of the kernel is tried. A driver may
# well refuse to load where its hardware is missing; that is not the live patch's doing.
insert_targets() {
	for t in $(cat "/kmend/target/$1"); do
		[ -d "/sys/module/$t" ] && continue
		timeout 60 insmod "/kmend/stock/$t.ko" >$O.target 2>&1 3>&-
		status=$?
		[ $status = 0 ] && continue
		{ echo "$t"; cat $O.target; } >$O
		answer "target/$1" 1 $O
	done
}

# Each live patch by itself. The log is cleared before, so that what is in it belongs to this one.
each() {
	for name in $(cat /kmend/patches); do
		insert_targets "$name"
		dmesg -c >/dev/null
		before=$(cat /proc/sys/kernel/tainted)
		bad=0
		load_patch "$name" || bad=1
		unload_patch "$name" || bad=2
		dmesg -c >$O
		answer "part/$name" 0 $O
		say "each/$name" $bad "$before $(cat /proc/sys/kernel/tainted)"
		# With one that cannot be removed the next could not be judged.
		[ $bad = 2 ] && break
	done
}

taint() {
	say "taint/$1" 0 "$(cat /proc/sys/kernel/tainted)"
}

main() {
	failed=
	say boot 0 "$(uname -r)"
	insert_stock first
	[ -n "$failed" ] && return
	probes before
	taint before
	echo "kmend $NONCE: from here on everything counts" >/dev/kmsg
	say mark 0
	if [ "$EACH" = 1 ]; then
		each
		return
	fi
	load_all || failed=1
	[ -n "$failed" ] || insert_stock later
	probes after
	unload_all || failed=1
	probes removed
	[ -n "$failed" ] || [ "$STRESS" = 0 ] || stress
	taint after
}

main
dmesg >$O
answer log 0 $O
# The host stops the machine on reading this. Again, should it not have come through whole.
for _ in 1 2 3 4 5; do
	say end 0
	sleep 4
done
reboot -f
