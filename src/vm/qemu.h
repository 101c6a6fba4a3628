/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run of a kernel in QEMU: started, watched against deadlines, ended. */
#pragma once

#include "base/progress.h"
#include "kernel/kernel.h"

/* What a virtual machine of an architecture looks like: a row in the table of qemu.c. */
typedef struct {
	const char *arch; /* our name of the architecture */
	const char *package; /* Debian package of its QEMU */
	const char *machine; /* -M */
	const char *cpu; /* -cpu under emulation */
	const char *append; /* more of the kernel's command line under emulation */
	const char *console; /* the first serial port, as the kernel calls it */
	const char *results; /* the second one, in the guest */
	const char *device; /* what the second one is; NULL: the machine has one itself */
} KmMachine;

/* Refused for an architecture that has no row. */
const KmMachine *km_machine_find(const KmArch *arch, GError **error);

typedef enum {
	KM_VM_DONE, /* the guest said that it has finished */
	KM_VM_EXITED, /* QEMU ended before that: a panic, or it could not start */
	KM_VM_TIMEOUT, /* the deadline passed */
	KM_VM_STUCK, /* the kernel reported something fatal, and then there was nothing for a long time */
} KmVmEnd;

typedef struct {
	/* in */
	const KmMachine *machine;
	const KmArch *arch;
	const char *boot_image;
	const char *initrd;
	const char *dir; /* for console.log, results and qemu.log */
	const char *nonce;
	guint memory; /* MiB */
	guint cpus;
	guint timeout; /* seconds */
	gboolean accelerated;
	/* out */
	KmVmEnd end;
	int status; /* QEMU's, when it exited by itself */
	double seconds;
	char *console; /* text of the serial console, owned by the caller */
	char *said; /* QEMU's own words, owned by the caller */
	GPtrArray *answers; /* of KmAnswer, owned by the caller */
} KmVm;

/* Run it to its end. Fails when QEMU is missing or would not start. Leaves no process behind. */
gboolean km_vm_run(KmVm *vm, KmProgress *progress, GError **error);
/* Frees what km_vm_run() filled in. */
void km_vm_clear(KmVm *vm);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KmVm, km_vm_clear)

/*
 * Does KVM run this kernel on this machine? That /dev/kvm opens says nothing (nested virtualization may hang for ever),
 * so the kernel itself is booted with a deadline once; the answer is kept in kernel->work until the machine reboots.
 */
gboolean km_vm_can_accelerate(const KmKernel *kernel, const KmMachine *machine, const char *dir, KmProgress *progress);
