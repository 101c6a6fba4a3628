/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every way of spoiling a finished live patch that we can think of, one at a time: the check must notice each. */
#pragma once

#include "verify/verify.h"

/* A way of spoiling it. */
typedef struct {
	const char *name;
	guint applied, caught;
} MutationClass;

/*
 * Spoil the module of these bytes, and count. stride: of the bytes, every so many-th is flipped (1: all). What is not noticed is
 * printed, each in a line that begins with prefix. Returns an array of MutationClass, owned. The module itself must pass.
 */
GArray *mutations_run(const KmVerifyInput *input, GBytes *bytes, const char *path, guint stride, const char *prefix);
