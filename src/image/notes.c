/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The build-id of a kernel: the GNU note that its linker wrote. An image without sections has other such notes in it, those of the
 * programs that it carries for user space (vDSO): ELF files that start on a page before them.
 */
#include <elf.h>
#include <elfutils/libdwelf.h>
#include <string.h>

#include "image/internal.h"

#define PAGE 4096
/* No program inside a kernel is larger. */
#define MAX_PROGRAM (1u << 20)
#define MAX_BUILD_ID 64

/* Size of the build-id in the note at pos, whose header is there in whole, and where it starts; 0 when it is no such note. */
static gsize note_at(const KmImage *image, gsize pos, gsize end, gsize *id)
{
	const guint8 *p = image->data + pos;
	if (km_image_get_u32(image, p) != 4 || km_image_get_u32(image, p + 8) != NT_GNU_BUILD_ID ||
	    memcmp(p + 12, "GNU", 4) != 0)
		return 0;
	gsize size = km_image_get_u32(image, p + 4);
	*id = pos + 16;
	return size && size <= MAX_BUILD_ID && size <= end - *id ? size : 0;
}

/* Is there an ELF file at start that has this build-id? */
static gboolean has_build_id(const KmImage *image, gsize start, const guint8 *id, gsize size)
{
	const guint8 *p = image->data + start;
	if (image->size - start < EI_NIDENT || memcmp(p, ELFMAG, SELFMAG) != 0)
		return FALSE;
	elf_version(EV_CURRENT);
	Elf *elf = elf_memory((char *)p, MIN(image->size - start, MAX_PROGRAM));
	const void *found;
	ssize_t n = elf ? dwelf_elf_gnu_build_id(elf, &found) : -1;
	gboolean same = n > 0 && (gsize)n == size && !memcmp(found, id, size);
	elf_end(elf);
	return same;
}

/* The note at pos is one of a program that starts on a page before it. */
static gboolean is_of_a_program(const KmImage *image, gsize pos, const guint8 *id, gsize size)
{
	gsize first = pos > MAX_PROGRAM ? (pos - MAX_PROGRAM) / PAGE : 0;
	for (gsize page = pos / PAGE + 1; page-- > first;)
		if (has_build_id(image, page * PAGE, id, size))
			return TRUE;
	return FALSE;
}

/* How many the range holds of the kernel's own, and the last of them. */
static guint find_in(const KmImage *image, const KmRange *range, gsize *id, gsize *size)
{
	guint found = 0;
	gsize end = MIN(range->offset + range->size, image->size);
	for (gsize pos = range->offset; pos + 16 < end; pos += 4) {
		gsize at, n = note_at(image, pos, end, &at);
		if (!n || (image->flat && is_of_a_program(image, pos, image->data + at, n)))
			continue;
		*id = at;
		*size = n;
		found++;
	}
	return found;
}

const guint8 *km_image_build_id(const KmImage *image, gsize *size, guint64 *address)
{
	guint found = 0;
	gsize id = 0;
	for (guint i = 0; i < image->ranges->len; i++) {
		const KmRange *range = &g_array_index(image->ranges, KmRange, i);
		if (!image->flat && strcmp(range->name, ".notes") != 0)
			continue;
		guint here = find_in(image, range, &id, size);
		if (here)
			*address = range->address + (id - range->offset);
		found += here;
	}
	return found == 1 ? image->data + id : NULL;
}
