#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Two out-of-tree modules, one of which uses the other, in one live patch; and what is refused about them.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

# Two objects, one in a subdirectory, a header found by -I, a static local, a debug message, a static key, an export.
make_base()
{
	mkdir -p src/base/include src/base/sub
	cat >src/base/Kbuild <<-'END'
		obj-m := oot-base.o
		oot-base-y := main.o sub/extra.o
		ccflags-y := -I$(src)/include -I$(src)/../shared -DOOT_STEP=3
	END
	cat >src/base/include/oot.h <<-'END'
		#define OOT_LABEL "base"
		int oot_value(int seed);
		int oot_sum(int a, int b);
	END
	mkdir -p src/shared
	echo '#define OOT_SHARED 100' >src/shared/shared.h
	cat >src/base/sub/extra.c <<-'END'
		#include <linux/kernel.h>
		#include <linux/bug.h>
		#include "oot.h"
		noinline int oot_sum(int a, int b)
		{
			if (WARN_ON_ONCE(a < 0))
				return -1;
			return a + b * OOT_STEP;
		}
	END
	cat >src/base/main.c <<-'END'
		#include <linux/module.h>
		#include <linux/jump_label.h>
		#include <linux/static_call.h>
		#include <linux/seq_file.h>
		#include <linux/proc_fs.h>
		#include "oot.h"
		#include "shared.h"
		static DEFINE_STATIC_KEY_FALSE(oot_key);
		static int oot_plain(void)
		{
			return 1;
		}
		static int oot_loud(void)
		{
			return 2;
		}
		DEFINE_STATIC_CALL(oot_say, oot_plain);
		static noinline int oot_count(void)
		{
			static int count = 10;
			return ++count;
		}
		int oot_value(int seed)
		{
			pr_debug("oot_value %d\n", seed);
			if (static_branch_unlikely(&oot_key))
				return oot_sum(seed, OOT_SHARED);
			return oot_sum(seed, 1);
		}
		EXPORT_SYMBOL_GPL(oot_value);
		static int oot_show(struct seq_file *m, void *unused)
		{
			seq_printf(m, "%s value %d count %d", OOT_LABEL, oot_value(5), oot_count());
			seq_printf(m, " say %d\n", static_call(oot_say)());
			return 0;
		}
		static int oot_set(const char *text, const struct kernel_param *param)
		{
			if (*text == '1')
				static_branch_enable(&oot_key);
			else
				static_branch_disable(&oot_key);
			static_call_update(oot_say, *text == '1' ? oot_loud : oot_plain);
			return 0;
		}
		static const struct kernel_param_ops oot_ops = { .set = oot_set };
		module_param_cb(key, &oot_ops, NULL, 0200);
		static int __init oot_init(void)
		{
			return proc_create_single("oot_base", 0, NULL, oot_show) ? 0 : -ENOMEM;
		}
		static void __exit oot_exit(void)
		{
			remove_proc_entry("oot_base", NULL);
		}
		module_init(oot_init);
		module_exit(oot_exit);
		MODULE_LICENSE("GPL");
		MODULE_DESCRIPTION("test");
	END
	echo 'int oot_unused;' >src/base/unused.c
}

make_user()
{
	mkdir -p src/user
	cat >src/user/Makefile <<-'END'
		ifneq ($(KERNELRELEASE),)
		obj-m := oot_user.o
		else
		$(error this is no way to build it)
		endif
	END
	cat >src/user/oot_user.c <<-'END'
		#include <linux/module.h>
		#include <linux/seq_file.h>
		#include <linux/proc_fs.h>
		int oot_value(int seed);
		static int user_show(struct seq_file *m, void *unused)
		{
			seq_printf(m, "user %d\n", oot_value(1));
			return 0;
		}
		static int __init user_init(void)
		{
			return proc_create_single("oot_user", 0, NULL, user_show) ? 0 : -ENOMEM;
		}
		static void __exit user_exit(void)
		{
			remove_proc_entry("oot_user", NULL);
		}
		module_init(user_init);
		module_exit(user_exit);
		MODULE_LICENSE("GPL");
		MODULE_DESCRIPTION("test");
	END
}

make_base
make_user
# The modules were built somewhere else, as DKMS does.
mkdir built
cp -r src/* built/
by_kbuild built/base
by_kbuild built/user KBUILD_EXTRA_SYMBOLS="$PWD/built/base/Module.symvers"
base=(--oot-source src/base --oot-module built/base/oot-base.ko)
user=(--oot-source src/user --oot-module built/user/oot_user.ko)
find src -printf '%p %s %T@\n' | sort >untouched

edit src/base/main.c 's/value %d count/VALUE %d count/; s/(oot_sum\(seed, OOT_SHARED\));/\1 + 1000;/'
edit src/base/sub/extra.c 's/(a \+ b \* OOT_STEP);/\1 + 7;/'
edit src/user/oot_user.c 's/"user %d/"USER %d/; s/oot_value\(1\)/oot_value(2)/'
change fs/proc/meminfo.c 's/"VmallocChunk:/"VmallocCHUNK:/'
patch_of all
build all "${base[@]}" "${user[@]}"
says oot_base oot_show oot_value oot_sum oot_user user_show meminfo_proc_show
find src -printf '%p %s %T@\n' | sort | cmp -s - untouched || die "the source was written to"
tries all.ko --load built/base/oot-base.ko --load-later built/user/oot_user.ko --run 'cat /proc/oot_base' \
	--run 'echo 1 >/sys/module/oot_base/parameters/key; cat /proc/oot_base' --run 'cat /proc/oot_user' \
	--run 'grep -io VmallocChunk: /proc/meminfo'
# The key and the static call are the module's own: switched before the live patch came, and still so when that has gone.
probe 0 'base value 8 count 11 say 1' 'base VALUE 1312 count 13 say 2' 'base value 305 count 15 say 2'
probe 1 'base value 305 count 12 say 2' 'base VALUE 1312 count 14 say 2' 'base value 305 count 16 say 2'
probe 2 'No such file' 'USER 1309' 'user 301'
probe 3 VmallocChunk VmallocCHUNK VmallocChunk

# Where the source lies is not seen in the live patch.
cp -r src elsewhere
cp all.patch again.patch
build again --name all --oot-source elsewhere/base --oot-module built/base/oot-base.ko --oot-source elsewhere/user \
	--oot-module built/user/oot_user.ko
cmp -s all.ko again.ko || die "the output depends on the path of the source"
rm -r elsewhere

# refused TEXT ARGUMENT...: the patch one.patch is refused, saying TEXT
refused()
{
	kmend 3 build -k "$KERNEL" -o one.ko "${@:2}" one.patch
	says "$1"
	[ ! -e one.ko ] || die "there is a one.ko"
	left_nothing
}

edit src/user/oot_user.c 's/"user %d/"USER %d/'
patch_of one
kmend 2 build -k "$KERNEL" -o one.ko --oot-source src/user one.patch
kmend 2 build -k "$KERNEL" -o one.ko --oot-module built/user/oot_user.ko one.patch
refused "oot_user.c is in none of the sources" "${base[@]}"
refused "oot_user: give its file with --oot-module" --oot-source src/user --oot-module built/base/oot-base.ko
cp -r src/user src/twice
refused "could be in any of several sources" "${user[@]}" --oot-source src/twice
rm src/twice/Makefile
refused "neither Kbuild nor Makefile" --oot-source src/twice --oot-module built/user/oot_user.ko
rm -r src/twice
refused "a module called oot_user was given already" "${user[@]}" --oot-module built/user/oot_user.ko
sed "s/vermagic=$KERNEL/vermagic=${KERNEL%?}X/" built/user/oot_user.ko >other.ko
refused "was built for kernel" --oot-source src/user --oot-module other.ko
sed 's/\(vermagic=[^ ]* \)SMP/\1smp/' built/user/oot_user.ko >other.ko
refused "its vermagic is" --oot-source src/user --oot-module other.ko
for name in module_layout oot_value; do
	python3 - "$name" <<-'END' || die "no version of $name"
		import sys
		data = open("built/user/oot_user.ko", "rb").read()
		at = data.index(sys.argv[1].encode().ljust(56, b"\0")) - 8
		open("other.ko", "wb").write(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
	END
	refused "it wants $name with version" "${base[@]}" --oot-source src/user --oot-module other.ko
done
refused "is a live patch" --oot-source src/user --oot-module all.ko

edit src/base/unused.c 's/unused;/unused = 2;/'
patch_of one
refused "unused.c goes into no module" "${base[@]}"

# Source that the module was not made of.
edit src/base/main.c 's/value %d count/VALUE %d count/'
patch_of one
sed -i 's/count = 10;/count = 10; seed_of_trouble++;/; s/^static noinline int oot_count/static int seed_of_trouble;\n&/' src/base/main.c
refused "oot_count" "${base[@]}"
