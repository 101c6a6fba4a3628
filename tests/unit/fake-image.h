/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small "vmlinux" made from C and assembly text: linked at a kernel's address, with kallsyms tables, and nothing
 * else.
 */
#pragma once

#include <glib.h>

#include "base/file.h"

/* What makes it: the prefix of the tools' names, how their -dumpmachine begins, where the code starts, an option of the linker (or NULL), and those of the
 * compiler. */
typedef struct {
	const char *prefix, *machine, *text, *link;
	const char *const *options;
} FakeTools;

extern const FakeTools fake_tools_x86_64, fake_tools_ppc64le, fake_tools_ppc64le_slots;

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
/* The same by other tools than those for x86-64. */
gboolean fake_image_can_with(const FakeTools *tools);
char *fake_image_compile_with(const FakeTools *tools, const KmTempDir *dir, const char *name, const char *text, const char *flags);
FakeImage *fake_image_new_with(const FakeTools *tools, const char *const *objects);
void fake_image_free(FakeImage *fake);
/* The address of the only symbol of that name. */
guint64 fake_image_address(const FakeImage *fake, const char *name);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeImage, fake_image_free)
