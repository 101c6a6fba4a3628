/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From patches to a livepatch module: the whole of `kmend build` behind one call, and what it decided. */
#pragma once

#include <jansson.h>

#include "base/progress.h"
#include "diff/author.h"
#include "kernel/kernel.h"

/* What puts the live patch in. */
typedef enum {
	KM_RUNTIME_AUTO, /* the kernel's own livepatch core, or, where it has none, kmend's runtime */
	KM_RUNTIME_KERNEL,
	KM_RUNTIME_OWN,
} KmRuntimeKind;

typedef struct {
	const char *const *patches; /* NULL-ended */
	const char *output; /* NULL: kmend-<name of the first patch>.ko in the current directory */
	const char *name; /* module name; NULL: from output */
	gboolean no_replace;
	guint jobs; /* 0: number of CPUs */
	gboolean allow_scripts; /* apply changes of makefiles beyond object lists: they can run commands on this machine */
	gboolean explain; /* tell of each function why it is in, what it uses, and what to check by hand */
	const char *const *allow_tables; /* changed read-only tables whose address, the author says, nobody keeps; NULL: none */
	gboolean ignore_init; /* leave out what only counts when the kernel or a module starts or leaves */
	const char *skeleton; /* where to write callbacks for refused changes of variables; NULL: nowhere */
	const char *const *oot_sources; /* directories of out-of-tree modules; NULL-ended, or NULL */
	const char *const *oot_modules; /* their .ko files, as they run */
	char **allow_layout; /* types whose changed layout the author vouches for, NULL-ended; or NULL */
	char **allow_signature; /* functions whose changed prototype likewise */
	KmRuntimeKind runtime;
	const char *keep; /* keep the work directory here; NULL: remove it */
} KmBuildOptions;

typedef struct {
	char *object; /* "vmlinux" or the module */
	char *name;
	guint sympos;
	char *source; /* unit */
	GPtrArray *reasons; /* of char* */
} KmPatchedFunction;

typedef struct {
	char *object; /* "vmlinux" or the module */
	const char *kind; /* "pre_patch" ... */
	char *name;
	char *source; /* unit */
} KmCallbackInfo;

/* What became of the built units that no patch touches but that can include a touched header. */
typedef struct {
	guint reached; /* by the include graph */
	guint narrowed; /* the compiler would read the same, or what differs is used by nothing in the unit */
	guint compiled; /* the rest: both sides compiled */
	guint changed; /* of those: their objects differ */
} KmHeaderCounts;

typedef struct {
	char *output;
	char *module_name;
	GPtrArray *functions; /* of KmPatchedFunction: replaced in the kernel */
	GPtrArray *added; /* of char*: new functions and data inside the module */
	GPtrArray *callbacks; /* of KmCallbackInfo */
	GArray *states; /* of KmState */
	GPtrArray *notes; /* of char*: what the patch asks for without effect, and what was left out of it */
	KmHeaderCounts headers;
	guint compared; /* functions of the originals proved equal to the running code */
	guint references; /* distinct symbols that are found by livepatch relocations, or by the own runtime */
	gboolean own_runtime; /* kmend's runtime puts it in */
	GPtrArray *stories; /* of KmUnitStory (klp/story.h); NULL unless explain */
} KmBuild;

/*
 * Make in advance what every build for this kernel needs (kbuild's environment, the module template), so that the first one is as
 * fast as the next. Best effort: whatever stands in the way is reported by the build itself.
 */
void km_build_prepare(KmKernel *kernel, KmProgress *progress);

KmBuild *km_build(KmKernel *kernel, const KmBuildOptions *options, KmProgress *progress, GError **error);
void km_build_free(KmBuild *build);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmBuild, km_build_free)
json_t *km_build_to_json(const KmBuild *build);
