#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# Patches that only say things differently to people: nothing to patch. What the kernel itself would say is a change.
. "$(dirname "$0")/common.inc"
enter_scratch

files=(fs/locks.c net/ipv4/devinet.c fs/binfmt_misc.c)
marks='(WARN|WARN_ON|WARN_ONCE|WARN_ON_ONCE|BUG_ON|BUG|ASSERT_RTNL|pr_debug|lockdep_assert_[a-z_]+|might_sleep|mutex_init)\('

# each NAME SED-SCRIPT: the same change of all files; there is nothing in it to patch
each()
{
	local file
	for file in "${files[@]}"; do
		change "$file" "$2"
	done
	patch_of "$1"
	refuses "$1" 4
	says 'nothing to patch'
}

# Lines move down, everywhere and in front of what holds its line number, and blanks within them change.
each moved "1i /* One. */\n/* Two. */\n
	/^\t+$marks/i /*\n * Why.\n */
	s/ = /  =  /; s/^(\t[a-z_]+)\(/\1 (/; s/^\t\t\t/\t\t  \t/; /^#/! s/;\$/; /"
# Lines move up; remarks on the lines themselves.
each shorter "/^\$/d; s,^(\t+$marks[^\"]*;)\$,\1 /* Why. */,; s,^(\t*return [^\"]*;)\$,\1 // That is all.,"
# Lines are split.
each split "s/^(\t+)if \((.*)\)\$/\1if (\n\1    \2\n\1)/; s/^(\t+$marks)(.*;)\$/\1\n\t\t\3/"

# The text of a warning and of a debug message, and what is tested.
change net/ipv4/devinet.c '/^static void __inet_del_ifa\(/,/^}/ s/^\tASSERT_RTNL\(\);/\tWARN_ONCE(!rtnl_is_locked(), "kmend: not locked\\n");/'
change fs/binfmt_misc.c 's/"register: received %zu bytes/"register: got %zu bytes/'
change fs/locks.c '0,/WARN_ON_ONCE\(/ s//WARN_ON(/'
patch_of said
build said
says __inet_del_ifa fs/binfmt_misc.c fs/locks.c
