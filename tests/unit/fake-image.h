/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small "vmlinux" made from C and assembly text: linked at a kernel's address, with kallsyms tables, and nothing
 * else.
 */
#pragma once

#include <glib.h>

#include "base/file.h"

typedef struct {
	KmTempDir *dir;
	char *path; /* the linked image */
	GHashTable *symbols; /* name -> GArray of guint64: addresses as the linker chose them */
} FakeImage;

/* Is there a compiler and a linker? Tests skip without. */
gboolean fake_image_can(void);
/*
 * Compile text ("name.c" or "name.S") into dir; returns the object's path. flags may be NULL. Fails the test on
 * errors.
 */
char *fake_image_compile(const KmTempDir *dir, const char *name, const char *text, const char *flags);
/* Link objects (NULL-ended, in this order) into an image. Names that begin with "hidden" do not get into kallsyms. */
FakeImage *fake_image_new(const char *const *objects);
void fake_image_free(FakeImage *fake);
/* The address of the only symbol of that name. */
guint64 fake_image_address(const FakeImage *fake, const char *name);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeImage, fake_image_free)
