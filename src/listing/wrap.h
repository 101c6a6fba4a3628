/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A compiler whose listings pass through us on their way to the assembler: a directory with a program called "as" is all it takes (-B). */
#pragma once

#include "arch/arch.h"

/* What is known of a compiler. */
typedef struct {
	char *assembler; /* the one it uses, with its path */
	const KmArch *arch; /* what it compiles for */
	gboolean clang;
} KmWrapped;

void km_wrapped_free(KmWrapped *wrapped);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmWrapped, km_wrapped_free)

/* Ask the compiler argv[0], with those of its arguments that choose the target. */
KmWrapped *km_wrapped_new(const char *const *argv, GError **error);

/* Run argv so that "KMEND asm OPTIONS... --as ASSEMBLER -- ARGUMENTS..." stands for its assembler; *status: how it exited. */
gboolean km_wrapped_run(const KmWrapped *wrapped, const char *const *argv, const char *const *options, int *status,
			GError **error);

/* The assembler for arch: the one that bears its name, or this machine's own. NULL: there is none. Caller owns it. */
char *km_wrap_assembler(const KmArch *arch);

/* Which of an assembler's arguments is its input: an index, or -1 for standard input. */
int km_wrap_input(const char *const *argv);

/* Run argv with our standard streams and wait; *status: its exit status, 128 + signal if it was killed. */
gboolean km_wrap_exec(const char *const *argv, int *status, GError **error);
