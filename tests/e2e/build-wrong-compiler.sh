#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# Only another major version of gcc is there: the error names the package. One that claims to be the right one: the proof sees it.
. "$(dirname "$0")/common.inc"
enter_scratch
compiler=$(field compiler)
major=${compiler##*gcc-}
for other in gcc-11 gcc-13 gcc-10 gcc-9; do
	[ "$other" != "gcc-$major" ] && command -v $other >/dev/null && break
	other=
done
[ -n "$other" ] || skip "needs a gcc of another major version than $compiler"

change net/core/dev.c '/^int dev_change_tx_queue_len\(/,/^}/ s/^\tint res;/&\n\n\tpr_info("patched\\n");/'
patch_of queue
mkdir other liar
machine=$($other -dumpmachine)
for name in gcc "gcc-$major" "$machine-gcc" "$machine-gcc-$major"; do
	ln -s "$(command -v $other)" "other/$name"
done
PATH=$PWD/other:$PATH refuses queue
says "gcc-$major" install

# It takes what the other one does not know, too.
cat >"liar/$(basename "$compiler")" <<END
#!/bin/bash
case "\$1" in --version | -dumpmachine) exec $(command -v "$compiler") "\$@" ;; esac
for word; do
	shift
	case "\$word" in -ftrivial-auto-var-init=* | -fmin-function-alignment=*) continue ;; esac
	set -- "\$@" "\$word"
done
exec $(command -v $other) "\$@"
END
chmod +x liar/*
PATH=$PWD/liar:$PATH refuses queue
grep -qiE 'gcc|compiler' out || die "no word about the compiler"
build queue
