/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names that patches written for klp-build use. Kernels with a header of this name use their own. */
#ifndef KMEND_COMPAT_LIVEPATCH_HELPERS_H
#define KMEND_COMPAT_LIVEPATCH_HELPERS_H

#include <linux/static_call.h>
#include <linux/syscalls.h>
#include <kmend/kmend.h>

#define KLP_PRE_PATCH_CALLBACK(fn) KMEND_PRE_PATCH(fn)
#define KLP_POST_PATCH_CALLBACK(fn) KMEND_POST_PATCH(fn)
#define KLP_PRE_UNPATCH_CALLBACK(fn) KMEND_PRE_UNPATCH(fn)
#define KLP_POST_UNPATCH_CALLBACK(fn) KMEND_POST_UNPATCH(fn)

/* kmend takes static calls as they are, those of modules too. */
#define KLP_STATIC_CALL(name) static_call(name)

/* kmend replaces system calls as the kernel defines them. */
#define KLP_SYSCALL_DEFINE1(name, ...) SYSCALL_DEFINE1(name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE2(name, ...) SYSCALL_DEFINE2(name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE3(name, ...) SYSCALL_DEFINE3(name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE4(name, ...) SYSCALL_DEFINE4(name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE5(name, ...) SYSCALL_DEFINE5(name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINE6(name, ...) SYSCALL_DEFINE6(name, __VA_ARGS__)
#define KLP_SYSCALL_DEFINEx(count, name, ...) SYSCALL_DEFINEx(count, name, __VA_ARGS__)

#endif
