/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What runs: the kernel image and its stock modules, read from the files the distribution ships. No debug package, no
 * System.map: symbols come from the kallsyms tables inside the image (found by structure, never by version), exports
 * and their CRCs from its __ksymtab and __kcrctab. Addresses are link-time addresses (before KASLR).
 */
#pragma once

#include <glib.h>

#include "elf/object.h"

typedef struct KmImage KmImage;

typedef struct {
	guint64 address;
	char type;		/* as in /proc/kallsyms: 't', 'T', 'd', 'W' ... */
	const char *name;	/* owned by the image */
} KmKsym;

typedef struct {
	const char *name;	/* owned by the image */
	const char *namespace;	/* "" when none */
	guint64 address;
	guint32 crc;		/* 0 when the kernel has no CONFIG_MODVERSIONS */
	gboolean has_crc;
	gboolean gpl;
} KmExport;

/* Turn a shipped image (vmlinuz with any of the kernel's compressions, or vmlinux, or Image) into the bare ELF (or flat
 * image) it holds, written to out atomically. Already bare input is copied. */
gboolean km_image_unpack(const char *path, const char *out, GError **error);

/* Open a shipped or bare image. Refuses a truncated or foreign file with what was missing. */
KmImage *km_image_open(const char *path, GError **error);
/* The same in memory. path is for messages. */
KmImage *km_image_new(GBytes *bytes, const char *path, GError **error);
void km_image_free(KmImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmImage, km_image_free)

const char *km_image_path(const KmImage *image);
const KmArch *km_image_arch(const KmImage *image);
/* "Linux version 6.1.0-56-amd64 (...) ..." and the release cut out of it; NULL when the image has none. */
const char *km_image_banner(const KmImage *image);
const char *km_image_release(const KmImage *image);

/*
 * The build-id that the linker gave the kernel, size bytes that stand at a link-time address in its notes (/sys/kernel/notes of the
 * running kernel). NULL: it has none, or several notes could be it. Owned by the image.
 */
const guint8 *km_image_build_id(const KmImage *image, gsize *size, guint64 *address);

/* size bytes at a link-time address, or NULL when they are not (all) in the file (bss, outside). Owned by the image. */
const guint8 *km_image_bytes(const KmImage *image, guint64 address, gsize size);

/* The pointer of 8 bytes at a link-time address as the kernel has it once it has relocated itself, before KASLR. FALSE when the file has no bytes there. */
gboolean km_image_pointer(const KmImage *image, guint64 address, guint64 *value);

/* All symbols in the order of /proc/kallsyms of the running kernel. */
const KmKsym *km_image_symbols(const KmImage *image, gsize *n);
/* The indices (into km_image_symbols) of all symbols of that name, in the order in which livepatch counts positions:
 * element i is sympos i + 1. NULL when there is none. Owned by the image. */
const GArray *km_image_lookup(const KmImage *image, const char *name);	/* of guint32 */
/* The symbols at exactly this address; n may be 0. The run is contiguous in km_image_symbols() when those are ascending;
 * returns the indices in an array the image owns, or NULL. */
const GArray *km_image_symbols_at(const KmImage *image, guint64 address); /* of guint32 */
/* The last symbol at or below address, NULL if none: for messages ("tcp_ack+0x10"). */
const KmKsym *km_image_nearest(const KmImage *image, guint64 address);
/* The address of the first symbol above address: where kallsyms has what lies there end. G_MAXUINT64 if there is none. */
guint64 km_image_next_symbol(const KmImage *image, guint64 address);

/* Exports of the image. NULL when name is not exported. */
const KmExport *km_image_export(const KmImage *image, const char *name);
/* Every export, unordered; n of them. Owned by the image. */
const KmExport *km_image_exports(const KmImage *image, gsize *n);

/* The kernel's type information (BTF), size bytes; NULL when the image has none. Owned by the image. */
const guint8 *km_image_btf(const KmImage *image, gsize *size);

/* Address ranges of __mcount_loc when the image still holds link-time values there: is there a patchable entry record
 * within [start, end)? Returns -1 when the image cannot tell, 0 no, 1 yes. end must be the function's own end: overridden
 * weak functions, which have records but no names, may lie between it and the next symbol. */
int km_image_has_entry(const KmImage *image, guint64 start, guint64 end);

/*
 * Where an entry is not at the first byte of its function, the kernel takes one between this and the next symbol. FALSE: there is no other than the function's own, which
 * has size bytes (0: not known). TRUE: it may take another, of an overridden weak function that has no name.
 */
gboolean km_image_entry_is_ambiguous(const KmImage *image, guint64 address, guint64 size);

/* What the records of patchable entries hold, link-time addresses in ascending order: where the room before the label begins, if there is any. NULL: as above. */
const GArray *km_image_records(const KmImage *image); /* of guint64 */

/* Bounds of a table: the section of that name (unless NULL), else symbols start and stop. FALSE when neither is there. */
gboolean km_image_table(const KmImage *image, const char *section, const char *start_symbol, const char *stop_symbol,
			guint64 *start, guint64 *stop);
