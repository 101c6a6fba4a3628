/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The functions of a file, their code, and the records of their entries, whatever the file is: an object, a module, a linked program or
 * an unstripped kernel (all of them a KmObject), or a kernel image as it is shipped (a KmImage). Everything has one 64-bit address: as linked,
 * or, in an object, the section's number in the upper half and the offset in the lower.
 */
#pragma once

#include "elf/object.h"
#include "image/image.h"

typedef struct {
	const char *name; /* owned by the file */
	const char *section; /* likewise; "" in an image */
	guint64 address, size;
	guint local; /* bytes from the address to the local entry */
	gboolean startup; /* runs once, when what it belongs to comes or goes */
	gboolean untraceable; /* lies where no tracer may be (.noinstr.text) */
	gint prefix; /* bytes of room before it as its __pfx_ symbol tells; -1: there is none */
	gboolean typed; /* a symbol says that the type for indirect calls stands before it (kCFI) */
} KmCodeFunction;

typedef struct {
	guint64 address; /* what it holds */
	const char *section; /* where it is, owned by the file: "__mcount_loc" */
	guint64 place; /* offset there; in an image its number in the sorted list */
	gboolean call; /* it is in __mcount_loc */
} KmCodeRecord;

/* Addresses from start on, before end. */
typedef struct {
	guint64 start, end;
} KmCodeSpan;

typedef struct {
	KmObject *object; /* one of the two */
	KmImage *image;
	const KmArch *arch;
	const char *kind; /* "object", "module", "program", "image" */
	GArray *functions; /* of KmCodeFunction, ascending by address, the widest first */
	GArray *records; /* of KmCodeRecord, ascending by address */
	gboolean has_records; /* is there a table of them at all? */
	gboolean
		calls_recorded; /* __mcount_loc is there: other records are of the room before functions only (CONFIG_CALL_PADDING) */
	KmCodeSpan startup[3], untraceable[4]; /* of a linked kernel */
	GHashTable *hooks; /* addresses of hooks: guint64 -> itself */
} KmCode;

/* Reads a file, compressed or not. */
KmCode *km_code_open(const char *path, GError **error);
/* Of an object in memory; takes it. */
KmCode *km_code_new(KmObject *object);
void km_code_free(KmCode *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmCode, km_code_free)

/* The address of a symbol of the view's object that has a section. */
guint64 km_code_address(const KmCode *view, const KmSymbol *symbol);
/* size bytes of code at address, or NULL. Owned by the view. */
const guint8 *km_code_bytes(const KmCode *view, guint64 address, gsize size);
/* Does the code at address run only when what it belongs to comes or goes? */
gboolean km_code_is_startup(const KmCode *view, guint64 address);
/* How many bytes of the section (of an image: up to 256) precede address. */
gsize km_code_room_before(const KmCode *view, guint64 address);
/* Is the branch a call of a hook, whose relocation would be at field and that, as it stands there, goes to target? */
gboolean km_code_is_hook(const KmCode *view, guint64 field, guint64 target);
