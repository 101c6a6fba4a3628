/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel being patched: one object that answers every question about it. Providers fill it in (Debian packages,
 * paths given by hand, a built tree) and keep it in a cache; nothing downstream knows where a kernel came from.
 *
 * The cache ($KMEND_CACHE, else $XDG_CACHE_HOME/kmend):
 *   source/<package-version>/       pristine source, shared by the flavours built from it, never written to
 *   kernel/<name>/                  one kernel; appears by rename when it is complete:
 *     kernel.json                   the fields below
 *     build/                        an object tree for kbuild (O=): .config, generated headers, scripts, tools, symvers
 *     image                         the bare image (km_image_unpack)
 *     boot/vmlinuz  modules/...     what was shipped
 *     work/                         derived data that can be made again (kbuild environment, template): kmend's own
 *   compiler/<arch>-<name>/         the very compiler of foreign kernels, see exact.h
 *   busybox/<arch>/                 for virtual machines of foreign kernels
 *   lock/  tmp/
 */
#pragma once

#include <glib.h>
#include <jansson.h>

#include "arch/arch.h"
#include "base/progress.h"

typedef struct {
	char *name;		/* how the user names it: the release ("6.1.0-56-amd64"), unique in the cache */
	char *release;		/* uname -r */
	char *version;		/* of the package it came from ("6.1.192-2"), or "" */
	char *provider;		/* "debian", "files", "tree" */
	const KmArch *arch;
	char *dir;		/* its directory in the cache */
	char *source;		/* pristine source tree, absolute */
	char *build;		/* object tree for kbuild, absolute */
	char *config;		/* build/.config */
	char *image;		/* bare image */
	char *boot_image;	/* what QEMU boots */
	char *modules;		/* directory that holds kernel/ and modules.* (…/lib/modules/RELEASE), or NULL */
	char *symvers;		/* Module.symvers, or NULL */
	char *compiler;		/* command of the C compiler the config names, found on this machine ("gcc-12"), or NULL */
	char *compiler_problem;	/* when there is none: why, and which package to install (a full message). Else NULL */
	char *compiler_note;	/* when the one found says something else than the config (other revision), or NULL */
	char *work;		/* writable directory for derived data, exists */
	GHashTable *exports;	/* private: see km_kernel_symvers() */
	GHashTable *outside;	/* private: see km_kernel_add_modules() */
} KmKernel;

void km_kernel_free(KmKernel *kernel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmKernel, km_kernel_free)

typedef struct {
	const char *source, *config, *image, *modules, *symvers;	/* provider "files"; modules, symvers may be NULL */
	const char *headers;	/* object tree with generated headers and tools (a linux-headers directory), or NULL */
	const char *name;	/* NULL: the release */
} KmKernelFiles;

/* The cache directory, created. Caller owns. */
char *km_kernel_cache_dir(GError **error);

/*
 * Make the kernel available and return it; one that is already in the cache is returned at once.
 * release NULL: the running kernel if Debian built it, else the newest the archive offers for arch.
 * arch: our name or dpkg's; NULL: told by the release's flavour, else the host's.
 */
KmKernel *km_kernel_fetch(const char *release, const char *arch, KmProgress *progress, GError **error);
KmKernel *km_kernel_add_files(const KmKernelFiles *files, KmProgress *progress, GError **error);
/* A built kernel tree (vmlinux, Module.symvers, .config, modules in place), or the object directory of one built with O=
 * (its "source" link then leads to the source). Both stay where they are and are never written to. */
KmKernel *km_kernel_add_tree(const char *tree, const char *name, KmProgress *progress, GError **error);

/* One that is in the cache. name NULL: the running kernel's release if it is there, else the only one there is, else an
 * error that lists them. */
KmKernel *km_kernel_open(const char *name, GError **error);
/* Names in the cache, sorted; NULL-ended, owned by the caller. */
char **km_kernel_list(GError **error);
/* Remove it, and its source when no other kernel uses it. */
gboolean km_kernel_remove(const char *name, GError **error);
/* kernel.json: all fields, plus what a reader wants to know (compiler package, livepatch core yes or no). */
json_t *km_kernel_to_json(const KmKernel *kernel);

/* Value of CONFIG_<option> without quotes ("y", "m", "16"), or NULL when not set. Caller owns. option without CONFIG_. */
char *km_kernel_config(const KmKernel *kernel, const char *option);
/* Path of a module by name ('-' and '_' are the same), or NULL when there is none. Caller owns. One that was added with
 * km_kernel_add_modules() comes before a stock one. */
char *km_kernel_module_path(const KmKernel *kernel, const char *name);
/* CRC and owner of an exported symbol from Module.symvers. FALSE when it is not there. owner ("vmlinux" or a module name,
 * without directory) is the caller's. Loads the table once per kernel object, so not from two threads at once. */
gboolean km_kernel_symvers(KmKernel *kernel, const char *symbol, guint32 *crc, char **owner);

/*
 * Take in modules that are not the kernel's own, for as long as this object lives: km_kernel_module_path() finds them, and
 * km_kernel_symvers() what they export. Refused when this kernel would not load one: another vermagic, another CRC of an
 * import; and when it is a live patch, stripped of its symbols, or the second of its name. paths is NULL-ended.
 */
gboolean km_kernel_add_modules(KmKernel *kernel, const char *const *paths, GError **error);
/* The compiler that made part of such a module, as it names itself, when it is not this kernel's; else NULL. Caller owns. */
char *km_kernel_foreign_compiler(const KmKernel *kernel, const struct KmObject *module);
/* Was a module of that name added so? */
gboolean km_kernel_is_outside(const KmKernel *kernel, const char *name);
