#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench/coverage by itself, with a stand-in for kmend: which row each answer becomes, that a run goes on where it was, and that a
# sample is the same for the same seed.
. "$(dirname "$0")/common.inc"
top=$(cd "$(dirname "$0")/../.." && pwd)
enter_scratch python3 diff

mkdir -p old/net/core new/net/core old/include/linux new/include/linux old/arch/arm new/arch/arm
for name in built nothing data init missing config broken needs helped other; do
	echo "int $name;" >old/net/core/$name.c
	printf 'int %s;\n#include <linux/help.h>\n/* new */\n' "$name" >new/net/core/$name.c
done
echo "int same;" | tee old/net/core/same.c >new/net/core/same.c
echo "int gone;" >old/net/core/gone.c
echo "int fresh;" >new/net/core/fresh.c
echo "int arm;" >old/arch/arm/arm.c
echo "int arm2;" >new/arch/arm/arm.c
echo "int help;" >old/include/linux/help.h
echo "int help, helper;" >new/include/linux/help.h
echo "int slow;" >old/include/linux/slow.h
echo "int slow2;" >new/include/linux/slow.h

# The stand-in answers by the names in the patch, and writes down each build.
cat >kmend <<'END'
#!/bin/bash
here=$(dirname "$0")
no() { status=$1; shift; echo "kmend build: $*" >&2; exit "$status"; }
case $1 in
kernel) echo "{\"source\": \"$SOURCES/$3\", \"arch\": \"x86_64\"}"; exit ;;
diff) [[ $* = *data.o* ]] && d='{"name":"f","status":"changed","section":".data.f"}'
	[[ $* = *init.o* ]] && c='{"name":"g","status":"changed","section":".init.text"}'
	echo "{\"functions\":[$c],\"data\":[$d],\"refused\":[]}"; exit 3 ;;
esac
while [ $# -gt 1 ]; do
	[ "$1" = -o ] && output=$2
	[ "$1" = --keep ] && keep=$2
	shift
done
names=$(sed -n 's|^+++ b/||p' "$1" | tr '\n' ' ')
echo "$names" >>"$SOURCES/builds"
[ ! -e "$SOURCES/stop" ] || [[ $names != *"/$(cat "$SOURCES/stop")"* ]] || kill -9 $PPID
object() { for side in original patched; do mkdir -p "$keep/objects/$side/net"; touch "$keep/objects/$side/net/$1.o"; done; }
case $names in
*nothing.c*) no 4 "nothing to patch" ;;
*data.c*) object data; no 3 "net/core/data.c: x: .data: data changed (its content: 1 of 4), but the running kernel has its own copy" ;;
*init.c*) object init; no 3 "net/core/init.c: g: .init.text: changed __init code, which has run and is gone" ;;
*missing.c*) no 3 "nobody ever heard of this reason" ;;
*config.c*) no 3 "p: net/core/config.c is not built in this kernel's configuration: it needs CONFIG_X, which is not set" ;;
*broken.c*) no 1 "it broke" ;;
*needs.c*) no 1 "net/core/needs.c does not compile with the patch: 3: error: 'nowhere' undeclared" ;;
"net/core/helped.c ") no 1 "net/core/helped.c does not compile with the patch: 3: error: 'helper' undeclared" ;;
*slow.h*) sleep 60 ;;
*other.c*) no 3 "net/core/other.c: t: .rodata: read-only data changed (x), and code that is not patched would still see the old one" ;;
esac
echo module >"$output"
echo '{"functions": [{"object": "vmlinux", "name": "f"}]}'
END
chmod +x kmend
export SOURCES=$PWD KMEND=$PWD/kmend

coverage()
{
	"$top/bench/coverage" old new --out results --quiet --header-time 2 "$@"
}

# The row of each file.
coverage --json >rows.json
status=$?
[ $status = 1 ] || die "a row that failed must show in the exit status"
python3 - rows.json <<'END' || die "wrong rows"
import json, sys
found = json.load(open(sys.argv[1]))
rows = {r["path"].split("/")[-1]: r for r in found["rows"]}
label = lambda n: f"{rows[n]['status']}: {rows[n]['class']}"
want = {"built.c": "built: ", "nothing.c": "nothing: ", "data.c": "refused: initial value of data in use",
        "init.c": "refused: start-up or exit code or data", "missing.c": "refused: other: nobody ever heard of this reason",
        "config.c": "outside: not in this kernel's configuration", "broken.c": "failed: exit status 1: it broke",
        "needs.c": "needs: other files of the update", "helped.c": "built: ", "gone.c": "outside: removed file",
        "fresh.c": "outside: new file: comes with the files that use it", "arm.c": "outside: another architecture",
        "other.c": "refused: read-only data", "slow.h": "too many: units for the time of this run", "help.h": "built: "}
for name, text in want.items():
    assert label(name) == text, (name, label(name), text)
assert sorted(rows) == sorted(want), sorted(rows)
assert rows["helped.c"]["with"] == ["include/linux/help.h"] and "helper" in rows["helped.c"]["alone"], rows["helped.c"]
assert rows["needs.c"]["with"] == ["include/linux/help.h"], rows["needs.c"]
assert rows["data.c"]["changes"] == {"functions": 0, "data": 1} and rows["init.c"]["changes"] == {"functions": 0, "data": 0}
assert rows["other.c"]["changes"] is None
# built, helped; against other, missing (nothing tells whether they change what runs), and what failed. Not: init. With data: data.
goal = found["summary"]["goal"][".c"]
assert goal["function"] == {"relevant": 5, "good": 2, "percent": 40.0}, goal
assert goal["function or datum"] == {"relevant": 6, "good": 2, "percent": 33.3}, goal
END

# Nothing is done twice; another kmend starts anew, unless told otherwise.
count() { sort builds | uniq -c | sort -rn | head -1 | awk '{ print $1 }'; }
coverage >out
[ "$(count)" = 1 ] || die "a row was made twice"
grep -q '^| built (with other files) | 1 | 1 | 0 | 1 | 1 |$' out || die "no table"
echo "# another" >>kmend
coverage --keep-results >out
[ "$(count)" = 1 ] || die "--keep-results made a row again"
coverage --again '^failed' --keep-results >out
[ "$(grep -c broken builds)" = 2 ] && [ "$(grep -c built builds)" = 1 ] || die "--again did not make just that row again"
coverage --only 'net/core/b*' >out
[ "$(grep -c built builds)" = 2 ] || die "the result of another kmend was taken"

# A run that is killed goes on where it was.
rm -rf results builds
echo init.c >stop
coverage --jobs 1 --only net/core/ >out 2>&1 && die "not killed"
rm stop
coverage --jobs 1 --only net/core/ >out
[ "$(grep -c data builds)" = 1 ] && [ "$(grep -c init builds)" = 2 ] && [ "$(grep -c other builds)" = 1 ] ||
	die "did not go on where it was"

# Samples.
sample() { coverage --sample 5 --seed "$1" --list . | grep -o '^[a-z]*/[a-z/]*\.[ch]'; }
[ "$(sample 1 | wc -l)" = 5 ] || die "not a sample of 5"
[ "$(sample 1)" = "$(sample 1)" ] || die "two samples of one seed differ"
[ "$(sample 1)" != "$(sample 2)" ] || die "the seed does not matter"
echo "rows, going on and samples are right"
