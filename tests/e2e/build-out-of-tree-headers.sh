#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# One out-of-tree source of seven modules, nested: a header that all share, new files, object lists, more than ten files in a patch.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

# module DIR NAME FACTOR FUNCTION-FILE: a module whose parameter "value" tells what shared.h makes of 10
module()
{
	cat >"$1/$4" <<-END
		#include <linux/module.h>
		#include "shared.h"
		int $2_calc(int x);
		static int $2_get(char *buffer, const struct kernel_param *param)
		{
			return sprintf(buffer, "$2 %d\\n", $2_calc(10));
		}
		static const struct kernel_param_ops $2_ops = { .get = $2_get };
		module_param_cb(value, &$2_ops, NULL, 0444);
		MODULE_LICENSE("GPL");
		MODULE_DESCRIPTION("test");
	END
	[ "$4" = main.c ] && set -- "$1" "$2" "$3" calc.c
	cat >>"$1/$4" <<-END
		#include "shared.h"
		int $2_calc(int x);
		noinline int $2_calc(int x)
		{
			return shared_step(x) * $3;
		}
	END
}

make_source()
{
	local n
	mkdir -p src/all/include src/all/deep/er src/beside
	cat >src/all/Kbuild <<-'END'
		# Five of two objects each, one of one, one more below a directory that only leads there.
		subdir-ccflags-y := -I$(src)/include -I$(src)/../beside
		obj-m := top.o deep/
	END
	cat >src/all/include/shared.h <<-'END'
		#pragma once
		#include "beside.h"
		static inline int shared_step(int x)
		{
			return x + BESIDE;
		}
	END
	echo '#define BESIDE 1' >src/beside/beside.h
	module src/all top 70 top.c
	# A header of the kernel can change it, too.
	sed -i '1i #define OOT_ALL\n#define OOT_NUMBER 0\n#include <linux/lcm.h>' src/all/top.c
	sed -i 's/top_calc(10)/& + OOT_NUMBER/' src/all/top.c
	echo 'obj-m := er/' >src/all/deep/Kbuild
	echo 'obj-m := m6.o' >src/all/deep/er/Kbuild
	module src/all/deep/er m6 6 m6.c
	for n in 1 2 3 4 5; do
		mkdir src/all/m$n
		echo "obj-m += m$n/" >>src/all/Kbuild
		printf 'obj-m := m%s.o\nm%s-y := main.o calc.o\n' $n $n >src/all/m$n/Kbuild
		module src/all/m$n m$n $n main.c
	done
	# Listed by the makefile above, though its directory has one of its own.
	echo 'm5-y += part/part.o' >>src/all/m5/Kbuild
	mkdir src/all/m5/part
	echo 'obj- := nothing.o' >src/all/m5/part/Makefile
	cat >src/all/m5/part/part.c <<-'END'
		#include "shared.h"
		int m5_part(int x);
		int m5_part(int x)
		{
			return shared_step(x);
		}
	END
	# What make_source says about the C files is not all that is there.
	mkdir src/all/tools
	echo 'int main(void) { return 0; }' >src/all/tools/helper.c
}

# add FILE: a new file of the source, from stdin
add()
{
	local name=${1#src/*/}
	mkdir -p "b/$(dirname "$name")" "a/$(dirname "$name")"
	cat >"b/$name"
}

# refused TEXT [ARGUMENT...]: one.patch is refused, saying TEXT
refused()
{
	kmend 3 build -k "$KERNEL" -o one.ko --oot-source src/all "${modules[@]}" "${@:2}" one.patch
	says "$1"
	[ ! -e one.ko ] || die "there is a one.ko"
	left_nothing
}

make_source
cp -r src built
by_kbuild built/all
modules=()
for file in built/all/top.ko built/all/m?/m?.ko built/all/deep/er/m6.ko; do
	modules+=(--oot-module "$file")
done
find src -printf '%p %s %T@\n' | sort >untouched

edit src/all/include/shared.h 's/x \+ BESIDE/x + BESIDE + 1/'
for n in 1 2 3 4 5; do
	edit src/all/m$n/main.c "s/\"m$n %d/\"M$n %d/"
done
edit src/all/top.c 's/"top %d/"TOP %d/'
edit src/all/deep/er/m6.c 's/"m6 %d/"M6 %d/'
edit src/all/m1/main.c 's/m1_calc\(10\)/m1_extra(m1_calc(10))/; s/^int m1_calc/#include "extra.h"\n&/'
edit src/all/m1/Kbuild 's/(main.o) calc.o/\1 calc.o extra.o/'
edit src/all/m2/calc.c 's/shared_step\(x\)/shared_step(x + 100)/'
add src/all/include/extra.h <<<'#define EXTRA 1000
int m1_extra(int x);'
add src/all/m1/extra.c <<'END'
#include "shared.h"
#include "extra.h"
int m1_extra(int x)
{
	static int calls;
	return shared_step(x) + EXTRA * ++calls;
}
END
patch_of all
build all --oot-source src/all "${modules[@]}"
says m1_get m1_calc m2_get m2_calc m3_get m3_calc m4_get m4_calc m5_get m5_calc m5_part m6_get top_get 'new: m1_extra'
find src -printf '%p %s %T@\n' | sort | cmp -s - untouched || die "the source was written to"
kmend 0 verify -k "$KERNEL" -p all.patch --oot-source src/all "${modules[@]}" all.ko
says 'compared with the compiled units' '15 function(s) replaced'
kmend 0 verify -k "$KERNEL" "${modules[@]}" all.ko
says 'checked by itself'
kmend 3 verify -k "$KERNEL" all.ko
says 'm1: the kernel has no module of that name' '--oot-module'
tries all.ko "${modules[@]/#--oot-module/--load}" --run 'cat /sys/module/m[1-6]/parameters/value /sys/module/top/parameters/value'
probe 0 'm1 11\nm2 22\nm3 33\nm4 44\nm5 55\nm6 66\ntop 770' \
	'M1 1014\nM2 224\nM3 36\nM4 48\nM5 60\nM6 72\nTOP 840' 'm1 11\nm2 22\nm3 33\nm4 44\nm5 55\nm6 66\ntop 770'

# A patch of both: headers of the kernel and of the source, and one of the kernel alone, which no unit of the kernel sees a change in.
change include/linux/lcm.h 's/^#endif/#ifdef OOT_ALL\n#undef OOT_NUMBER\n#define OOT_NUMBER 5\n#endif\n#define LCM_STEP 4\n&/'
patch_of kernel
build kernel --oot-source src/all "${modules[@]}"
says top_get '1 function(s) replaced'
change include/linux/lcm.h 's/^#endif/#define LCM_STEP 4\n&/'
edit src/all/include/shared.h 's/x \+ BESIDE/x + LCM_STEP/; s/#include "beside.h"/&\n#include <linux\/lcm.h>/'
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
patch_of both
build both --oot-source src/all "${modules[@]}"
says top_calc m6_calc m5_part meminfo_proc_show '9 function(s) replaced'

# ---- refused ----

edit src/all/m1/main.c 's/"m1 %d/"n1 %d/'
patch_of one
kmend 3 verify -k "$KERNEL" -p one.patch --oot-source src/all "${modules[@]}" all.ko
says 'replaced, but no patched file has it'

edit src/all/tools/helper.c 's/return 0/return 1/'
patch_of one
refused "tools/helper.c goes into no module"

# A makefile can run commands here.
edit src/all/m1/Kbuild '$a ccflags-y += $(shell touch '"$PWD"'/ran)'
edit src/all/m1/main.c 's/"m1 %d/"M1 %d/'
patch_of one
refused "m1/Kbuild changes in more than its object lists"
[ ! -e ran ] || die "the makefile of a refused patch was run"
kmend 0 build -k "$KERNEL" -o one.ko --oot-source src/all "${modules[@]}" --allow-build-scripts one.patch
[ -e ran ] || die "--allow-build-scripts did not let the makefile run"
rm one.ko

edit src/all/m2/Kbuild 's/ calc.o//'
edit src/all/m2/main.c 's/"m2 %d/"M2 %d/'
patch_of one
refused "m2/Kbuild no longer lists m2/calc.o"

add src/all/m3/lost.c <<<'int lost;'
edit src/all/m3/main.c 's/"m3 %d/"M3 %d/'
patch_of one
refused "m3/lost.c is a new file that no module is made of"

edit src/all/m3/Kbuild '$a obj-m += another.o'
edit src/all/m3/main.c 's/"m3 %d/"M3 %d/'
add src/all/m3/another.c <<<'int another;'
patch_of one
refused "m3/another.c is a new file of the module another"

# Other code than what the source gives with this kernel's compiler and flags; no names; no debug information is fine.
cp -r src/all built/flags
echo 'ccflags-y := -Os -fno-inline' >>built/flags/deep/er/Kbuild
echo 'obj-m := deep/' >>built/flags/Kbuild
by_kbuild built/flags
edit src/all/deep/er/m6.c 's/"m6 %d/"M6 %d/'
patch_of one
all=("${modules[@]}")
modules=(--oot-module built/flags/deep/er/m6.ko)
refused 'functions differ from the module'
strip -o other.ko built/all/deep/er/m6.ko
modules=(--oot-module other.ko)
refused 'is stripped'
strip -g -o other.ko built/all/deep/er/m6.ko
build one --oot-source src/all "${modules[@]}"
rm one.ko
modules=("${all[@]}")

# By way of a file beside the source the unpatched header would be seen.
echo '#include "../all/include/step.h"' >>src/beside/beside.h
echo '#define STEP 1' >src/all/include/step.h
edit src/all/include/step.h 's/1/2/'
edit src/all/top.c 's/"top %d/"TOP %d/; s/top_calc\(10\)/top_calc(10 + STEP)/'
patch_of one
refused "by way of a file outside"
sed -i '$d' src/beside/beside.h
rm src/all/include/step.h
