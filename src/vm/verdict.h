/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From what a VM left behind to a verdict. */
#pragma once

#include "vm/qemu.h"
#include "vm/vm.h"

/* vm: after km_vm_run(). probes: the commands, NULL-ended, may be NULL. Never NULL. */
KmVerdict *km_verdict_new(const KmVm *vm, const char *const *probes);
/* For live patches tried one by one; patches: of KmVmModule, in the order of loading. Never NULL. */
KmVerdict *km_verdict_each(const KmVm *vm, const GPtrArray *patches);
/* "before/003": the key of a probe's answer. Caller owns. */
char *km_probe_key(const char *phase, guint n);
