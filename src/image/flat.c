/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relocatable kernel is linked as a position-independent program. Its pointers are zero in the file; the link-time
 * values stand in a table of relative relocations that the kernel applies at boot. In a flat image that table has no
 * name, but it is by far the longest run of 24-byte records that agree in their middle word.
 */
#include "image/flat.h"

#include <string.h>

#include "base/error.h"

#define RECORD 24
/* Fewer records than this are no kernel's table. */
#define MIN_RECORDS 64
#define PAGE 4096
#define MAX_DYNAMIC_SYMBOLS (1 << 20)
/* arm64 images are linked at a multiple of this (Documentation/arch/arm64/booting.rst). */
#define HEADER_ALIGN (2u << 20)

static gboolean is_record(const KmImage *image, gsize pos, guint64 info)
{
	return pos + RECORD <= image->size && km_image_get_u64(image, image->data + pos + 8) == info;
}

/* The run of records around pos that all carry info: first record's offset and count. */
static gsize run_around(const KmImage *image, gsize pos, guint64 info, gsize *start)
{
	gsize end = pos;
	while (is_record(image, end, info))
		end += RECORD;
	while (pos >= RECORD && is_record(image, pos - RECORD, info))
		pos -= RECORD;
	*start = pos;
	return (end - pos) / RECORD;
}

static void add_pointer(KmImage *image, guint64 place, guint64 value)
{
	KmPointer pointer = { place, value };
	g_array_append_val(image->pointers, pointer);
}

static gboolean is_zero(const guint8 *p)
{
	static const guint8 zeros[RECORD];
	return !memcmp(p, zeros, RECORD);
}

/* The dynamic symbols stand right before the relocations and start with an empty one. 0: they do not. */
static gsize find_symbols(const KmImage *image, gsize relocs)
{
	gsize pos = relocs;
	for (guint i = 0; i < MAX_DYNAMIC_SYMBOLS && pos >= RECORD; i++) {
		pos -= RECORD;
		if (is_zero(image->data + pos))
			return pos;
	}
	return 0;
}

/* Some pointers are left to a symbol, behind the relative ones: s390x links &_text so. */
static void take_symbolic(KmImage *image, gsize relocs, gsize pos)
{
	gsize symbols = find_symbols(image, relocs);
	for (; symbols && pos + RECORD <= image->size; pos += RECORD) {
		const guint8 *p = image->data + pos;
		guint64 symbol = km_image_get_u64(image, p + 8) >> 32;
		if (!symbol || symbol >= (relocs - symbols) / RECORD)
			break;
		guint64 value = km_image_get_u64(image, image->data + symbols + symbol * RECORD + 8);
		add_pointer(image, km_image_get_u64(image, p), value + km_image_get_u64(image, p + 16));
	}
}

static void take_run(KmImage *image, gsize start, gsize n)
{
	for (gsize i = 0; i < n; i++) {
		const guint8 *p = image->data + start + i * RECORD;
		add_pointer(image, km_image_get_u64(image, p), km_image_get_u64(image, p + 16));
	}
	take_symbolic(image, start, start + n * RECORD);
	km_image_sort_pointers(image);
}

void km_flat_pointers(KmImage *image)
{
	gsize best = 0, best_n = MIN_RECORDS - 1;
	/* Every long run crosses one of these places, in one of three phases. */
	for (gsize pos = 0; pos + 4 * RECORD <= image->size; pos += MIN_RECORDS / 2 * RECORD) {
		for (gsize p = pos; p < pos + RECORD; p += 8) {
			guint64 info = km_image_get_u64(image, image->data + p + 8);
			if (!info || info > G_MAXUINT16 || !is_record(image, p + RECORD, info) ||
			    !is_record(image, p + 2 * RECORD, info))
				continue;
			gsize start, n = run_around(image, p, info, &start);
			if (n > best_n) {
				best = start;
				best_n = n;
			}
			pos = MAX(pos, start + n * RECORD - RECORD);
			pos -= pos % 8;
			break;
		}
	}
	if (best_n >= MIN_RECORDS)
		take_run(image, best, best_n);
}

/*
 * One record fills the place of relative_base: its place minus ours is where the image starts. Of all records that
 * could be it, the true one puts every relocated place inside the image, and its value (the first symbol) nearest to
 * the start.
 */
static gboolean place_by_pointers(const KmImage *image, gsize place, guint64 align, guint64 *start, guint64 *base)
{
	const KmPointer *all = (const KmPointer *)(void *)image->pointers->data;
	guint n = image->pointers->len;
	guint64 nearest = G_MAXUINT64;
	for (guint i = 0; i < n; i++) {
		guint64 at = all[i].place - place, distance = all[i].value - at;
		if (at % align || all[i].place < place || all[i].value % PAGE || all[0].place < at ||
		    all[n - 1].place - at > image->size - 8 || distance >= place || distance >= nearest)
			continue;
		nearest = distance;
		*start = at;
		*base = all[i].value;
	}
	return nearest != G_MAXUINT64;
}

gboolean km_flat_place(KmImage *image, gsize place, guint64 *base, GError **error)
{
	KmRange *range = &g_array_index(image->ranges, KmRange, 0);
	guint64 align = image->has_header ? HEADER_ALIGN : PAGE;
	*base = km_image_get_u64(image, image->data + place);
	if (*base) {
		/* The image starts with its header and then the first code, which is the first symbol. */
		range->address = *base - *base % align;
		return TRUE;
	}
	if (image->pointers->len && place_by_pointers(image, place, align, &range->address, base))
		return TRUE;
	return km_fail(error, "%s: nothing in this flat image tells its link address; use the vmlinux of this kernel",
		       image->path);
}
