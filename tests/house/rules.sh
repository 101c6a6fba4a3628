#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The rules of docs/architecture.md that a script can see.
cd "$(dirname "$0")/../.." || exit 1
bad=0

complain()
{
	bad=1
	sed "s/^/  /; 1i\\$1:"
}

# The floor of each room: an include goes down, or stays in its own room.
floor()
{
	case $1 in
	main) echo 7 ;;
	cmd) echo 6 ;;
	klp | vm | abi | live | report) echo 5 ;;
	verify) echo 4 ;;
	kernel | match | diff | types | entries) echo 3 ;;
	image | listing) echo 2 ;;
	elf) echo 1 ;;
	arch | base) echo 0 ;;
	*) echo 9 ;;
	esac
}

# Between rooms of one floor nothing goes either way: klp, above match and diff, joins what those found.
upward()
{
	grep -HnE '^#include "[a-z]+/' src/*.c src/*/*.[ch] | while IFS=: read -r file line text; do
		from=${file#src/}
		from=${from%%/*}
		[ "$from" = main.c ] && from=main
		to=${text#*\"}
		to=${to%%/*}
		[ "$from" = "$to" ] && continue
		# base is at the bottom: everyone may use it, and it uses no one.
		[ "$to" = base ] && continue
		# An instruction set looks at sections and symbols: elf's structures, while arch.h only names them.
		[ "$from $to" = "arch elf" ] && [[ $file = *.c ]] && continue
		[ "$(floor "$to")" -lt "$(floor "$from")" ] || echo "$file:$line: $text"
	done
}

lists=$(upward)
[ -z "$lists" ] || complain "An include that does not go down" <<<"$lists"

lists=$(grep -nE '\bEM_(X86_64|AARCH64|PPC64|S390|386|RISCV)\b|__(x86_64|aarch64|powerpc64|s390x|riscv)__' src/*.c src/*/*.[ch] | grep -v '^src/arch/')
[ -z "$lists" ] || complain "An architecture named outside src/arch" <<<"$lists"

lists=$(find src tests runtime include bench scripts .ci -type f \( -name '*.[chS]' -o -name '*.sh' -o -name meson.build -o -perm -100 \) 2>/dev/null |
	xargs grep -L 'SPDX-License-Identifier: GPL-2.0-or-later')
[ -z "$lists" ] || complain "A file without its licence line" <<<"$lists"

lists=$(wc -l src/*/*.[ch] | awk '$2 != "total" && $1 > 1000')
[ -z "$lists" ] || complain "A file of more than 1,000 lines" <<<"$lists"

lists=$(grep -nE '\b(printf|puts|putchar|exit|abort) *\(|\bfprintf *\( *std' src/*/*.c | grep -vE '^src/(cmd/|base/progress.c)|g_string|snprintf')
[ -z "$lists" ] || complain "Printing or leaving outside cmd/" <<<"$lists"

exit $bad
