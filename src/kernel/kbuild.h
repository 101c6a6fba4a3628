/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking kbuild how it compiles an object, without letting it build anything; private to this room. */
#pragma once

#include <jansson.h>

#include "kernel/kernel.h"
#include "kernel/recipe.h"

/* kbuild of one kernel, ready to be asked. */
typedef struct {
	char *source; /* real path of the pristine tree */
	char *build; /* real path of the object tree */
	char *dir; /* kernel->work/kbuild: what is remembered */
	char *key; /* everything the answers depend on; a remembered answer with another key is no answer */
	char *cwd; /* where kbuild's own make runs */
	char **args; /* its arguments, without the targets */
	char **env; /* its environment, "NAME=value" */
	char *prefix; /* what kbuild puts before a target: "./", "", or an external module's directory */
	/* Of an out-of-tree source (external.h), else NULL. */
	char *outside; /* its directory; objects are relative to it */
	char *root; /* what stands before outside in kbuild's eyes, and is taken away in its answers */
} KmKbuild;

void km_kbuild_free(KmKbuild *kbuild);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmKbuild, km_kbuild_free)

/*
 * Open kbuild of this kernel. external: NULL, or a directory with a Kbuild file, to be built as an external module with
 * target "<name>.o" (then nothing is remembered).
 */
KmKbuild *km_kbuild_new(KmKernel *kernel, GError **error);
KmKbuild *km_kbuild_new_external(KmKernel *kernel, const char *dir, const char *target, GError **error);

/*
 * The same kbuild over farm, a tree that stands for the tree from (kbuild's source; see farm.h): it reads the farm's makefiles. dir:
 * a directory for what it remembers, empty, the caller's. Only for questions: nothing is ever made with it.
 */
KmKbuild *km_kbuild_over(const KmKbuild *kbuild, const char *from, const char *farm, const char *dir);

/* A file that every kernel compiles into itself. */
#define KM_KBUILD_PROBE "init/main.o"

/* Where kbuild's compilers run, in words of the pristine trees. Caller owns. */
char *km_kbuild_compiler_dir(const KmKbuild *kbuild);

/*
 * The recipes of these objects, in one dry run, remembered from earlier times where possible. Objects that kbuild has no
 * recipe for are absent; ones that it could make but that belong to nothing have neither builtin nor module set. Array of
 * KmRecipe, owned.
 */
GPtrArray *km_kbuild_recipes(KmKbuild *kbuild, const char *const *objects, GError **error);

/* Asked for as DIR/KM_KBUILD_LIST, a directory prints a line that begins with this word: all objects its makefile lists. */
#define KM_KBUILD_LIST "kmend-list"

/*
 * What kbuild prints when asked for targets of that kind; objects of an out-of-tree source are relative to it. Those of
 * directories that it does not visit print nothing.
 */
char *km_kbuild_lists(KmKbuild *kbuild, GPtrArray *targets, GError **error);

/* An answer kept under a file name: a new reference, NULL when there is none or what it depends on has changed. */
json_t *km_kbuild_recall(const KmKbuild *kbuild, const char *name);
/* Takes the reference to an object. What cannot be kept is asked again the next time. */
void km_kbuild_remember(const KmKbuild *kbuild, const char *name, json_t *root);

/* dir/name with "." and ".." resolved by name alone; NULL when it leaves the tree. */
char *km_tree_path(const char *dir, const char *name);

/* Really make an object in the object tree, for the sake of the headers that kbuild generates on the way. Best effort. */
void km_kbuild_make(KmKbuild *kbuild, const char *object);

/* The environment of every compiler and tool we run: nothing of the user's that could change the result. NULL-ended. */
char **km_tool_env(void);
