/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The modules that go into a VM: read, decompressed, and in the order in which insmod takes them. */
#pragma once

#include <glib.h>

typedef struct {
	char *name; /* as the kernel spells it ('_', never '-') */
	char *path;
	GBytes *data; /* decompressed: the guest's insmod takes plain files only */
	char *vermagic; /* "" when the module has none */
	char **depends; /* names; never NULL */
	char **softdeps; /* names wanted before it if they exist; never NULL */
	char **targets; /* names of the modules a live patch of kmend patches; never NULL */
	gboolean livepatch; /* .modinfo says livepatch=Y */
} KmVmModule;

/* The module with kmend's own runtime, which live patches for a kernel without a livepatch core depend on. */
#define KM_VM_RUNTIME "kmend_runtime"

/* For the kernel's livepatch core, or for kmend's own runtime. */
gboolean km_vm_module_is_livepatch(const KmVmModule *module);

/* Read .ko, .ko.xz, .ko.gz or .ko.zst. NULL when it is no module. */
KmVmModule *km_vm_module_read(const char *path, GError **error);
void km_vm_module_free(KmVmModule *module);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmVmModule, km_vm_module_free)

/* Every module below a directory …/lib/modules/RELEASE by name, and what is built in. */
typedef struct {
	char *dir;
	GHashTable *paths; /* name -> path */
	GHashTable *builtin; /* set of names */
} KmVmIndex;

/* dir NULL: an empty index. */
KmVmIndex *km_vm_index_new(const char *dir, GError **error);
void km_vm_index_free(KmVmIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmVmIndex, km_vm_index_free)

/*
 * What the user names: a module's name, or its file (with a '/', or ending in ".ko"), which then counts as one of the index, before
 * a stock one of its name. Returns the name; caller owns.
 */
char *km_vm_index_take(KmVmIndex *index, const char *module, GError **error);

/*
 * Append the module called name (any spelling) to order, after everything it depends on; what is in order already, or
 * built in, is not added again. Fails on an unknown name and on a circle.
 */
gboolean km_vm_index_resolve(const KmVmIndex *index, const char *name, GPtrArray *order, GError **error);
