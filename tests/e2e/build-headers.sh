#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# timeout: 1500
# Headers, new files and object lists, in vmlinux and in a module, all in one live patch; and what is refused of them.

. "$(dirname "$0")/common.inc"
enter_scratch patch

# add FILE < TEXT: a file that the source does not have
add()
{
	mkdir -p "a/${1%/*}" "b/${1%/*}"
	cat >"b/$1"
}

# An inline function of a header, and nothing of the files that include it.
change fs/proc/fd.h 's/return PROC_I\(inode\)->fd;/return PROC_I(inode)->fd == 9 ? 0 : PROC_I(inode)->fd;/'
stacked_patch_of header
# A new source and a new header in built-in code.
add fs/proc/kmend_new.h <<'END'
const char *kmend_words(void);
END
add fs/proc/kmend_new.c <<'END'
#include <linux/kernel.h>
#include <linux/sched.h>
#include "internal.h"
#include "kmend_new.h"

static int calls;

const char *kmend_words(void)
{
	calls++;
	WARN_ON_ONCE(calls < 0);
	return calls && proc_create_net_data ? "patched by a new file, " : "";
}
END
change fs/proc/Makefile 's/^proc-y\t\+= util.o$/&\nproc-y\t+= kmend_new.o/'
change fs/proc/version.c 's/^#include <linux\/utsname.h>$/&\n#include "kmend_new.h"/'
change fs/proc/version.c 's/^\tseq_printf\(m, linux_proc_banner,$/\tseq_puts(m, kmend_words());\n&/'
# A new source of a module, declared in a header of the module.
add drivers/block/zram/kmend_new.c <<'END'
#include <linux/blkdev.h>
#include "zram_drv.h"

u64 kmend_size(struct zram *zram)
{
	return zram->disksize + 77;
}
END
change drivers/block/zram/Makefile 's/^(zram-y\t:=\t)/\1kmend_new.o /'
change drivers/block/zram/zram_drv.h 's/^struct zram_stats \{$/struct zram;\nu64 kmend_size(struct zram *zram);\n&/'
change drivers/block/zram/zram_drv.c '/^static ssize_t disksize_show/,/^}/s/zram->disksize/kmend_size(zram)/'
patch_of headers

build header --json
grep -q '"fs/proc/fd.c"' out || die "no function of fs/proc/fd.c is replaced"
build headers --no-replace
says 'new: kmend_words' 'new: kmend_size'
tries header.ko headers.ko --load zram --run 'exec 9</init; readlink /proc/$$/fd/9' \
	--run 'cat /proc/version' --run 'cat /sys/block/zram0/disksize'
probe 0 '^/init$' '^/dev/' '^/init$'
probe 1 '^Linux' '^patched by a new file, Linux' '^Linux'
probe 2 '^0$' '^77$' '^0$'

# Nothing to patch: what the compiler does not see, in a header that many include.
change fs/proc/fd.h 's/^static inline struct proc_inode|^static inline/\/* Told. *\/\n&/'
patch_of comment
refuses comment 4

# Build scripts run commands.
change fs/proc/Makefile 's|^proc-y\t\+= util.o$|&\nkmend-said := $(shell touch '"$scratch"'/touched)|'
change fs/proc/version.c 's/^\tseq_printf\(m, linux_proc_banner,$/\tseq_puts(m, "x");\n&/'
patch_of script
refuses script
says 'fs/proc/Makefile' 'build scripts can run commands' '--allow-build-scripts'
[ ! -e touched ] || die "a command of a refused makefile was run"
build script --allow-build-scripts

# What a new file does only at boot, or for others.
add fs/proc/kmend_new.c <<'END'
#include <linux/module.h>
#include <linux/init.h>
static int __init kmend_start(void)
{
	return 0;
}
late_initcall(kmend_start);
END
change fs/proc/Makefile 's/^proc-y\t\+= util.o$/&\nproc-y\t+= kmend_new.o/'
patch_of start
refuses start
says 'fs/proc/kmend_new.c'

# A new file that no makefile lists.
add fs/proc/kmend_new.c <<'END'
int kmend_alone;
END
patch_of unlisted
refuses unlisted
says 'fs/proc/kmend_new.c' 'makefile'

# An error in a header is the patch's.
change fs/proc/fd.h 's/return PROC_I\(inode\)->fd;/return PROC_I(inode)->nothing;/'
patch_of broken
refuses broken 1
says 'fs/proc/fd.h:' 'with the patch'
