/* SPDX-License-Identifier: GPL-2.0-or-later */
/* References: every name that the new code uses and the module does not define, and how it is bound at load. */
#pragma once

#include "diff/diff.h"
#include "elf/object.h"
#include "image/image.h"
#include "kernel/kernel.h"
#include "match/match.h"

typedef enum {
	KM_REF_IMPORT, /* an ordinary undefined symbol: exported by vmlinux */
	KM_REF_KLP, /* a livepatch symbol of an object at a position; for the own runtime: what is at an address */
} KmRefKind;

typedef struct {
	KmRefKind kind;
	char *object; /* KLP: "vmlinux" or the module that owns the symbol */
	char *name; /* as the kernel knows it */
	guint sympos; /* KLP: 1-based */
	gint64 offset; /* bytes from that symbol to what is meant; added to addends */
	char *owner; /* KLP of a module's symbol: the object whose loading makes it resolvable */
	const KmExport *export; /* IMPORT; owned by the image */
	/* KLP, where KmRefContext.by_address: where name is, in a section of the module, or (section NULL) as the kernel was linked. */
	char *section;
	guint64 address;
	guint index; /* of the symbol in the module's own table; 0 without section */
} KmRef;

void km_ref_free(KmRef *ref);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmRef, km_ref_free)
gboolean km_ref_equal(const KmRef *a, const KmRef *b);

/* Everything that binding one unit's references takes. Nothing in it is owned. */
typedef struct {
	KmKernel *kernel;
	const KmImage *image;
	const char *owner; /* "vmlinux" or the unit's module */
	KmObject *plain; /* the object that was proved */
	KmObject *original; /* sectioned original */
	KmObject *module; /* the stock module, or NULL */
	KmMatch *match;
	const KmDiff *diff;
	GHashTable *plain_twins; /* KmSymbol of original -> KmSymbol of plain, km_plain_twins() */
	gboolean by_address; /* bind what is not exported by its address: for kmend's own runtime */
} KmRefContext;

/* Pair the symbols of the two assemblies of one listing: the n-th of a name with the n-th of that name. */
GHashTable *km_plain_twins(const KmObject *original, const KmObject *plain);

/* The place of a symbol of the original at run time; NULL with error when the proof cannot tell. */
const KmPlace *km_ref_place(const KmRefContext *c, const KmSymbol *original, GError **error);

/* Something of the original where it lives, never as an import. NULL with error when the proof cannot tell. */
KmRef *km_ref_of_original(const KmRefContext *c, const KmSymbol *original, GError **error);

/* Bind a symbol of the patched object (NULL: only name is known). Refused when the kernel has no such symbol, or several. */
KmRef *km_ref_new(const KmRefContext *c, const KmSymbol *patched, const char *name, GError **error);
