/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend replaces system calls as the kernel defines them. */
#ifndef KMEND_COMPAT_KPATCH_SYSCALL_H
#define KMEND_COMPAT_KPATCH_SYSCALL_H

#define KPATCH_SYSCALL_DEFINE1(name, ...) SYSCALL_DEFINE1(name, __VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE2(name, ...) SYSCALL_DEFINE2(name, __VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE3(name, ...) SYSCALL_DEFINE3(name, __VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE4(name, ...) SYSCALL_DEFINE4(name, __VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE5(name, ...) SYSCALL_DEFINE5(name, __VA_ARGS__)
#define KPATCH_SYSCALL_DEFINE6(name, ...) SYSCALL_DEFINE6(name, __VA_ARGS__)
#define KPATCH_SYSCALL_DEFINEx(count, name, ...) SYSCALL_DEFINEx(count, name, __VA_ARGS__)

#endif
