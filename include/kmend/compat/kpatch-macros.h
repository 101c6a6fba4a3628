/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names that patches written for kpatch-build use, in terms of kmend's own. */
#ifndef KMEND_COMPAT_KPATCH_MACROS_H
#define KMEND_COMPAT_KPATCH_MACROS_H

#include <kmend/kmend.h>
#include "kpatch-syscall.h"

typedef struct klp_object patch_object;

#define KPATCH_PRE_PATCH_CALLBACK(fn) KMEND_PRE_PATCH(fn);
#define KPATCH_POST_PATCH_CALLBACK(fn) KMEND_POST_PATCH(fn);
#define KPATCH_PRE_UNPATCH_CALLBACK(fn) KMEND_PRE_UNPATCH(fn);
#define KPATCH_POST_UNPATCH_CALLBACK(fn) KMEND_POST_UNPATCH(fn);

#define KPATCH_IGNORE_FUNCTION(fn) KMEND_IGNORE_FUNCTION(fn);
#define KPATCH_IGNORE_SECTION(section) KMEND_IGNORE_SECTION(section);

/* kmend says that it has no effect: the kernel waits for every task, whatever the patch asks for. */
#define KPATCH_FORCE_UNSAFE(fn) \
	asm(".pushsection .kmend.force, \"a\"\n\t.asciz \"" __stringify(fn) "\"\n\t.popsection");

#define KPATCH_PRINTK(fmt, ...) KMEND_PRINTK(fmt, ##__VA_ARGS__)
#define KPATCH_PRINTK_DEFERRED(fmt, ...)                      \
	({                                                    \
		if (jiffies)                                  \
			printk_deferred(fmt, ##__VA_ARGS__); \
	})

/* kmend takes static calls as they are, those of modules too. */
#define KPATCH_STATIC_CALL(name) static_call(name)

#endif
