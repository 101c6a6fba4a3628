/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading what `make -n` prints: shell commands, and what kbuild knows about each object; private to this room. */
#pragma once

#include <glib.h>

/* How kbuild makes one object. */
typedef struct {
	char *object; /* "fs/proc/meminfo.o" */
	char *source; /* as the compiler command names it */
	char *dir; /* whose makefile makes it; "fs/xfs" for "fs/xfs/libxfs/xfs_alloc.o" */
	gboolean builtin; /* on that makefile's list of what goes into the kernel */
	gboolean module; /* on its list of what goes into a module */
	char *modname; /* KBUILD_MODNAME */
	char *modules; /* the composite objects it is part of, separated by blanks ("" for a single-object module) */
	char **argv; /* the compiler command, whole */
	char **objtool; /* the objtool command that follows it, whole; NULL when there is none */
} KmRecipe;

void km_recipe_free(KmRecipe *recipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmRecipe, km_recipe_free)

/*
 * The value for kbuild's CHECK variable that makes every C recipe print a line about its object. With KBUILD_CHECKSRC=1 kbuild
 * runs $(CHECK) on each source; make expands it where all lists of that makefile are known.
 */
#define KM_RECIPE_CHECK                                                                                                \
	"kmend-unit '$@' '$(obj)' '$(need-builtin)' '$(filter $@,$(real-obj-y) $(real-objs-y) $(lib-y))' "             \
	"'$(filter $@,$(real-obj-m) $(real-objs-m))' '$(modname)' '$(modname-multi)' ;"

/* The compiler command without -c, -o OBJECT, the source and options that write dependency files. NULL-ended, owned. */
char **km_recipe_flags(const KmRecipe *recipe);

/*
 * Split a line of shell into simple commands, each a NULL-ended vector of words; quotes are resolved, nothing is expanded.
 * An unfinished quote ends with the line.
 */
GPtrArray *km_shell_commands(const char *line);

/* The recipes that the output of make -n tells completely: array of KmRecipe, owned. */
GPtrArray *km_recipes_parse(const char *output);
