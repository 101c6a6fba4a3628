/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The proof (run-pre matching): the plainly compiled original of a unit is laid over what runs. Every function must be
 * byte for byte the same outside relocations, and every relocation inside a matched function then tells where the
 * symbol it names lives. So duplicates, static locals and data get their exact identity from the running code itself.
 */
#pragma once

#include "elf/object.h"
#include "image/image.h"

/* Where a symbol of the unit lives at run time. */
typedef struct {
	const KmSymbol *symbol;	/* of the plain object */
	char *object;		/* "vmlinux", or the module; "": an export that the module imports */
	char *name;		/* its name there (kallsyms; a static local keeps its number) */
	guint sympos;		/* 1-based position among symbols of that name in that object; 0 for imports */
	gboolean unique;	/* the only one of its name there */
	guint64 address;	/* ours: link-time address (vmlinux), or value in its section (module); 0 for imports */
	gint64 offset;		/* bytes from that named symbol to ours (0: it is the symbol itself) */
	gboolean patchable;	/* functions of the unit: the entry can be redirected (has a record, which the kernel finds) */
	gboolean ambiguous;	/* it has a record, and the kernel may find another one */
} KmPlace;

typedef struct {
	char *function;
	char *why;		/* "12 bytes differ from +0x40", "not in the image" */
} KmMismatch;

typedef struct KmMatch KmMatch;

/*
 * Lay plain over the image, or over the stock module (module != NULL; image may then be NULL). owner: "vmlinux" or the
 * module's name. Refused when any function of the unit differs (weak ones that another unit overrides excepted): the
 * message names the functions, and what it usually means. plain, image and module must outlive the match.
 */
KmMatch *km_match_new(KmObject *plain, const char *owner, const KmImage *image, KmObject *module, GError **error);
void km_match_free(KmMatch *match);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmMatch, km_match_free)

/*
 * The place of a symbol of plain (defined in it, or referred to by it). NULL with KM_ERROR_REFUSED and the reason when
 * nothing in the matched code tells it, when two references contradict each other, when what is there has no name
 * kallsyms knows, when it lies in memory freed after start, or when the linker pools it (string constants: take a
 * copy). Owned by match.
 */
const KmPlace *km_match_place(KmMatch *match, const KmSymbol *symbol, GError **error);

/*
 * The link-time address in vmlinux of a symbol of plain, also of one that has no name there: kernels without CONFIG_KALLSYMS_ALL name no data. For
 * whoever does not look it up by name. FALSE with KM_ERROR_REFUSED as above, and for a unit of a module.
 */
gboolean km_match_address(const KmMatch *match, const KmSymbol *symbol, guint64 *address, GError **error);

/* Functions of the unit that were compared, and those that are weak and overridden. For reports. */
guint km_match_compared(const KmMatch *match);
const GPtrArray *km_match_overridden(const KmMatch *match);	/* of char* */
