/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room share. */
#pragma once

#include "image/image.h"

/* Bytes of the file at their link-time address. */
typedef struct {
	guint64 address;
	gsize offset; /* in the file */
	gsize size;
	gboolean text;
	const char *name; /* section's, "" without sections; lives as long as the image */
} KmRange;

/* A pointer that the kernel relocates itself at boot: files often hold zero there. */
typedef struct {
	guint64 place;
	guint64 value;
} KmPointer;

typedef struct {
	KmKsym *symbols;
	gsize n;
	char *names; /* all of them, one after the other */
	guint64 start, stop; /* the packed names, and what belongs to them, in the image */
} KmKallsyms;

struct KmImage {
	char *path;
	GBytes *bytes;
	const guint8 *data;
	gsize size;
	const KmArch *arch;
	gboolean big_endian;
	gboolean flat; /* no ELF: one range, no sections */
	gboolean has_header; /* flat with the header of an architecture that has one (arm64) */
	GArray *ranges; /* of KmRange, ascending by address, not overlapping */
	GArray *pointers; /* of KmPointer, ascending by place */
	GPtrArray *strings; /* owner of range names */
	GHashTable *bounds; /* name -> guint64: where tables begin and end, by the file's own symbols, if it has any */
	KmKallsyms kallsyms;
	char *banner, *release;

	GMutex lock; /* guards what is built when first asked for: questions come from several threads */
	GHashTable *by_name;	/* name -> index + 1 of its first symbol */
	guint32 *next;		/* per symbol: index + 1 of the next of its name, 0 at the end */
	GHashTable *lookups;	/* name -> GArray of guint32, those asked for */
	GHashTable *by_address; /* address -> GArray of guint32, those asked for */
	GArray *exports; /* of KmExport */
	GHashTable *export_by_name;
	GArray *entries; /* of guint64, ascending; NULL when the image cannot tell */
	GArray *records; /* likewise, as they stand there */
	gboolean entries_done;
};

guint32 km_image_get_u32(const KmImage *image, const guint8 *p);
guint64 km_image_get_u64(const KmImage *image, const guint8 *p);
/* Put image->pointers in order, after filling it. */
void km_image_sort_pointers(KmImage *image);
/* The first symbol of that name without building the index; NULL when there is none. */
const KmKsym *km_image_find(const KmImage *image, const char *name);

/* kallsyms.c. Finds the tables in the ranges; sets the address of a flat image, which only they tell. */
gboolean km_kallsyms_read(KmImage *image, GError **error);
/* exports.c, entries.c: fill their part of the image, called once. */
void km_exports_read(KmImage *image);
void km_entries_read(KmImage *image);
/* How many patchable entries there are, or -1 when the image cannot tell. */
gssize km_image_entry_count(const KmImage *image);
