/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects that another directory's makefile makes: virt/kvm/kvm_main.o of arch/x86/kvm; private to this room. */
#pragma once

#include "kernel/kbuild.h"

/* Object as its path in the tree -> char ** of the names under which kbuild knows it. */
typedef GHashTable KmElsewhere;

/* Made once per kernel by asking kbuild (seconds), then remembered. */
KmElsewhere *km_elsewhere_new(KmKbuild *kbuild, GError **error);

/* NULL-ended, owned by the table; NULL when only the object's own directory can make it. */
const char *const *km_elsewhere_names(const KmElsewhere *elsewhere, const char *object);

/* May this makefile list objects that are not files of its own directory? "No" is certain. */
gboolean km_elsewhere_suspect(const char *makefile);

/* Take what kbuild printed about its lists into the table. */
void km_elsewhere_read(KmElsewhere *elsewhere, const char *output);

/* An empty table. */
KmElsewhere *km_elsewhere_empty(void);
