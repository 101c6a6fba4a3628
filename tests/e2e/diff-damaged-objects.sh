#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Objects that are cut short, or in which a byte is wrong: kmend diff and inspect say so or cope, and never crash.
. "$(dirname "$0")/common.inc"
enter_scratch gcc

cat >unit.c <<'END'
static int counter = 3;
extern int outside(const char *text, int *number);
int used(int n) { static int calls; return outside("text", &counter) + n * ++calls; }
int other(int n) { switch (n) { case 1: return 7; case 2: return 90; case 3: return outside("more", 0); case 4: return 6; case 5: return 2; } return 0; }
END
gcc -O2 -g0 -ffunction-sections -fdata-sections -c unit.c -o good.o
sed 's/+ n/- n/' unit.c >changed.c
gcc -O2 -g0 -ffunction-sections -fdata-sections -c changed.c -o changed.o
kmend 0 diff good.o changed.o
says used
says_not other

# The commands may find anything, but only with one of the exit statuses that mean something.
survives()
{
	local status=0
	timeout 20 "$KMEND" "$@" >out 2>&1 </dev/null || status=$?
	[ $status -le 4 ] && [ $status != 2 ] || die "kmend $* (byte $n): exit status $status"
}

size=$(stat -c %s good.o)
for ((n = 0; n < size; n += 101)); do
	head -c "$n" good.o >cut.o
	survives diff cut.o changed.o
	survives diff good.o cut.o
	survives inspect cut.o
done
for ((n = 0; n < size; n += 13)); do
	cp good.o damaged.o
	printf "\\x$(printf %02x $((n * 37 % 251)))" | dd of=damaged.o bs=1 seek=$n conv=notrunc status=none
	survives diff good.o damaged.o
	survives diff -o extracted.o damaged.o changed.o
	survives inspect damaged.o
done
head -c 500 /dev/urandom >noise
survives diff noise good.o
survives diff . good.o
survives inspect /dev/null
