/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A live patch and the world it is for: a small kernel image, a unit of it, and the module that the real rooms make of the two. */
#pragma once

#include "fake-image.h"
#include "klp/template.h"
#include "verify/verify.h"

typedef struct {
	gboolean own; /* for kmend's own runtime */
	KmTempDir *dir;
	FakeImage *fake, *deaf; /* deaf: the same with no entry in target */
	KmImage *image, *deaf_image;
	KmKernel kernel;
	KmUnit unit;
	KmModuleTools tools;
	KmLayout layout;
	KmVerifyLayout given;
	char *objtool[3];
	char *path; /* of the module */
	GBytes *bytes;
	KmVerifyUnits *units;
} FakePatch;

/*
 * Wants fake_image_can(). objtool: a program that, called as "objtool --unwind FILE", does what fake_patch_unwind() does, to stand for
 * the kernel's; NULL: the units get their rows at once.
 */
FakePatch *fake_patch_new(const char *objtool);
/* The same for kmend's own runtime. */
FakePatch *fake_patch_new_own(void);
void fake_patch_free(FakePatch *patch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakePatch, fake_patch_free)

/* What the module is to be held against, with the units. */
KmVerifyInput fake_patch_input(FakePatch *patch);

/* Add unwind rows to an object file. An exit status. */
int fake_patch_unwind(const char *path);
