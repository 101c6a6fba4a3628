/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The build-id of a kernel: the GNU note that its linker wrote. An image without sections has other such notes in it, those of the
 * programs that it carries for user space (vDSO); they lie in the note segment of an ELF file that starts on a page before them.
 */
#include <elf.h>
#include <string.h>

#include "image/internal.h"

#define PAGE 4096
/* No program inside a kernel is larger. */
#define MAX_PROGRAM (1u << 20)
#define MAX_BUILD_ID 64

/* Size of the build-id of the note at pos, which is set to where it starts; 0 when there is none. */
static gsize note_at(const KmImage *image, gsize pos, gsize end, gsize *id)
{
	const guint8 *p = image->data + pos;
	if (end - pos < 16 || km_image_get_u32(image, p) != 4 || km_image_get_u32(image, p + 8) != NT_GNU_BUILD_ID ||
	    memcmp(p + 12, "GNU", 4) != 0)
		return 0;
	gsize size = km_image_get_u32(image, p + 4);
	*id = pos + 16;
	return size && size <= MAX_BUILD_ID && size <= end - *id ? size : 0;
}

/* Is there an ELF file at start that has pos (of the image) in a segment of notes? */
static gboolean is_note_of(const KmImage *image, gsize start, gsize pos)
{
	const guint8 *p = image->data + start;
	if (image->size - start < sizeof(Elf64_Ehdr) || memcmp(p, ELFMAG, SELFMAG) != 0)
		return FALSE;
	g_autoptr(GBytes) bytes = g_bytes_new_from_bytes(image->bytes, start, MIN(image->size - start, MAX_PROGRAM));
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);
	elf_version(EV_CURRENT);
	Elf *elf = elf_memory((char *)data, size);
	size_t n = 0;
	gboolean found = FALSE;
	for (size_t i = 0; elf && elf_getphdrnum(elf, &n) == 0 && i < n && !found; i++) {
		GElf_Phdr header;
		found = gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_NOTE &&
			pos - start >= header.p_offset && pos - start - header.p_offset < header.p_filesz;
	}
	elf_end(elf);
	return found;
}

static gboolean is_of_a_program(const KmImage *image, gsize pos)
{
	gsize first = pos > MAX_PROGRAM ? (pos - MAX_PROGRAM) / PAGE * PAGE : 0;
	for (gsize start = pos / PAGE * PAGE; start >= first; start -= PAGE) {
		if (is_note_of(image, start, pos))
			return TRUE;
		if (!start)
			break;
	}
	return FALSE;
}

/* The only one in a range, or with sections the only one of .notes. */
static guint find_in(const KmImage *image, const KmRange *range, gsize *id, gsize *size)
{
	guint found = 0;
	gsize end = MIN(range->offset + range->size, image->size);
	for (gsize pos = range->offset; pos + 16 < end; pos += 4) {
		gsize at, n = note_at(image, pos, end, &at);
		if (!n || (image->flat && is_of_a_program(image, pos)))
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
