/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend's own runtime (runtime/), made into a module for one kernel. */
#pragma once

#include "base/progress.h"
#include "kernel/kernel.h"

#define KM_RUNTIME_FILE "kmend_runtime.ko"

/*
 * Write kmend_runtime.ko for kernel to output: compiled as kbuild compiles a module, finished like a live patch. What is compiled is kept in the kernel's work
 * directory. Refused: a kernel that lacks what the runtime is built on, by name; one without a build-id.
 */
gboolean km_runtime_build(KmKernel *kernel, const char *output, KmProgress *progress, GError **error);

/* FALSE, with what is missing, when the runtime could not work on this kernel. */
gboolean km_runtime_check(KmKernel *kernel, GError **error);
