/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own tool that looks through finished code and adds tables about it. */
#pragma once

#include "kernel/unit.h"

/* Run it on the object file at path, which it changes. TRUE where this kernel has none. Refused: code that it does not understand. */
gboolean km_objtool_run(const KmKernel *kernel, const KmModuleTools *tools, const char *path, GError **error);
