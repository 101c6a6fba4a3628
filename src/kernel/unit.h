/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Translation units: what a patch makes us compile, how kbuild compiles it, and the three objects that come out. */
#pragma once

#include "base/progress.h"
#include "kernel/kernel.h"
#include "kernel/patch.h"

typedef struct {
	char *source;		/* relative to the tree: "fs/proc/meminfo.c" */
	char *object;		/* kbuild's target: "fs/proc/meminfo.o", "arch/x86/kvm/../../../virt/kvm/kvm_main.o" */
	char *owner;		/* "vmlinux", or the module it is linked into ("ext4") with '-' turned into '_' */
	char *module_path;	/* the stock module's file; NULL for vmlinux */
	char **argv;		/* the compiler command as kbuild runs it, without -c, -o, dependency options and the source */
	char *cwd;		/* where it runs */
	gboolean want_clones;	/* have the compiler report what it inlined and cloned in the patched source */
	gboolean external;	/* of a module built outside the kernel's tree; source and object are relative to its directory */
	gboolean shared;	/* its object is linked into several modules: there is one unit for each */
	gboolean reached; /* its own file is not touched, only what it includes: most such units do not change */
	/* Why it cannot be live patched: only reached, and only looked at, because it must stay the same then. Else NULL. */
	char *unpatchable;
	/* unpatchable, and no object is made of the file source as it is: object is only a name for it. */
	gboolean text_only;
	char *generated; /* unpatchable: the file that kbuild makes and compiles instead of source, below cwd; else NULL */
	gboolean called_in; /* km_units_of(): no patch touches it, but it may call a function that is replaced with its callers */
	gboolean is_new; /* the running kernel has no such unit: the patch brings it, or its makefile line */
	/* Set by whoever wants a live patch for kmend's own runtime: static keys are tested in built-in code too, see keys.h. */
	gboolean tests_keys;
	char *dir;		/* set by km_units_compile(), km_compiler_unit(): where its objects and what they need are made */
	/* Filled by km_units_compile(), km_compiler_unit(): object files in the work directory. */
	char *original;		/* sectioned: -ffunction-sections -fdata-sections */
	char *plain;		/* the original assembled as the distribution built it: the proof's side */
	char *patched;		/* sectioned, from the overlay */
	char *clones;		/* want_clones: that report (km_inlines_parse()); NULL where the compiler has none */
} KmUnit;

void km_unit_free(KmUnit *unit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmUnit, km_unit_free)

/* The source as kbuild names it to the compiler, relative to the tree: "arch/x86/kvm/../../../virt/kvm/kvm_main.c". */
char *km_unit_source_name(const KmUnit *unit);

/* Ask kbuild in advance what is asked once per kernel. Best effort. */
void km_units_prepare(KmKernel *kernel);

/*
 * The units of an overlay, whose farm is planted if it wants one: those of touched sources, those that a touched header can reach, and
 * new ones. Compile commands come from kbuild by dry run. A source that this configuration does not build is left out (its
 * KmTouched.unbuilt says why, naming the config option when the Makefile tells it; a touched .c that other units #include is covered
 * by those units). Refused: nothing but such sources, or headers that no built unit includes; makefiles that drop an object.
 * Returns an array of KmUnit, owned.
 */
GPtrArray *km_units_new(KmKernel *kernel, KmOverlay *overlay, GError **error);

/*
 * The units that are made of these files of the kernel's tree (NULL-ended), which the overlay does not touch, for each object and module they go
 * into. What is built into nothing, or cannot be live patched, is left out. Array of KmUnit, owned.
 */
GPtrArray *km_units_of(KmKernel *kernel, const KmOverlay *overlay, const char *const *sources, GError **error);

/*
 * The same as km_units_new() for an out-of-tree source (overlay's), which kbuild takes as M=. scratch exists, is empty and the caller's. Refused: a
 * source without Kbuild or Makefile, a file that goes into no module, a module that was not given (km_kernel_add_modules()).
 */
GPtrArray *km_units_new_external(KmKernel *kernel, KmOverlay *overlay, const char *scratch, GError **error);

/*
 * Compiles single units of an overlay into dir; any number of threads at once, each with a unit of its own. The units must outlive it.
 */
typedef struct KmCompiler KmCompiler;
/* sample: one of the units, for what is to be known of the compiler. */
KmCompiler *km_compiler_new(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *sample, const char *dir,
			    KmProgress *progress, GError **error);
void km_compiler_free(KmCompiler *compiler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmCompiler, km_compiler_free)
/* Both sides, as km_units_compile() does it; objects are only made (KmUnit.original ... are only set) when the listings differ. */
gboolean km_compiler_unit(KmCompiler *compiler, KmUnit *unit, GError **error);
/*
 * Does the preprocessor read a touched file for the unit's original? In doubt TRUE. Where it does not, both sides are the same text. A
 * quarter of the price of the texts.
 */
gboolean km_compiler_reads_touched(KmCompiler *compiler, const KmUnit *unit);
/* The assembler listing of C that cannot be live patched. NULL: it does not compile, or error says what else. Caller owns. */
char *km_compiler_list(KmCompiler *compiler, const KmUnit *unit, gboolean patched, GError **error);
/* What the compiler proper would read, without line markers. __LINE__ and __FILE__ in it are what they are in the object. */
char *km_compiler_preprocess(KmCompiler *compiler, const KmUnit *unit, gboolean patched, GError **error);
/* Remove the files of a unit that does not change. */
void km_compiler_forget(const KmCompiler *compiler, KmUnit *unit);

/*
 * Compile all of them into dir, jobs at once (0: number of CPUs). A compiler error in the original means the kernel's set-up is
 * wrong; in the patched file it is the patch's: the message says which, with the compiler's first error line.
 */
gboolean km_units_compile(KmKernel *kernel, const KmOverlay *overlay, GPtrArray *units, const char *dir, guint jobs,
			  KmProgress *progress, GError **error);

/*
 * Once units are compiled: compile one side again into output, with flags (NULL-ended: "-c", "-E" ...) after kbuild's own instead of
 * those for objects that are compared. From any thread.
 */
gboolean km_unit_compile_as(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, gboolean patched,
			    const char *const *flags, const char *output, GError **error);

/*
 * What the livepatch module itself is made with, prepared once per kernel in kernel->work and cached: a compiled template
 * (km_template_source() text, built as kbuild builds a module) and the objtool command with kbuild's flags for a linked
 * module. objtool_argv is NULL when this kernel uses no objtool.
 */
typedef struct {
	char *template_object;
	char **objtool_argv;	/* without the object's name; run in cwd */
	char *cwd;
} KmModuleTools;

void km_module_tools_free(KmModuleTools *tools);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmModuleTools, km_module_tools_free)

/* source: C text of the template. The cache key covers it. */
KmModuleTools *km_module_tools(KmKernel *kernel, const char *source, GError **error);
