#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Two static functions of the same name are patched in one module, and one of them names a third duplicate of its own file.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

change fs/namespace.c '/^static int m_show\(/,/^}/ s/^\treturn p->show.*/\tseq_puts(m, m->op->start == m_start ? "own " : "foreign ");\n&/'
change kernel/module/procfs.c '/^static int m_show\(/,/^}/ s/^\tseq_printf\(m, "%s %u", mod->name.*/\tseq_puts(m, "module ");\n&/'
patch_of shows
build shows
tries shows.ko --load dummy --run 'head -n 1 /proc/self/mountinfo' --run 'grep dummy /proc/modules'
probe 0 '^[0-9]' '^own [0-9]' '^[0-9]'
probe 1 '^dummy' '^module dummy' '^dummy'
