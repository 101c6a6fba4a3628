/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Patchable entries: the addresses of the hook calls (or NOPs) that ftrace knows, which the linker collects between
 * __start_mcount_loc and __stop_mcount_loc. Whether the file holds them at link-time values depends on the
 * architecture; a table that is not wholly made of addresses of known code tells nothing, and then we say so.
 */
#include "image/internal.h"

#define MAX_PAD 256
/* A hook call is at most this far behind the label (ppc64le sets up its TOC first). */
#define MAX_PROLOGUE 16
/* Fewer records than this are not recognized as the table without its name. */
#define MIN_FOUND 64

static int compare_entries(gconstpointer a, gconstpointer b)
{
	guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
	return x < y ? -1 : x > y;
}

static gboolean is_code(const KmImage *image, guint64 address)
{
	return km_image_bytes(image, address, 4) && km_image_nearest(image, address);
}

/* Bytes from address to the next symbol; 0 when it is not near, or address is at the start of a function as it is. */
static guint distance_to_next(const KmImage *image, guint64 address)
{
	gsize n;
	const KmKsym *all = km_image_symbols(image, &n), *nearest = km_image_nearest(image, address),
		     *next = nearest + 1;
	if (address - nearest->address <= MAX_PROLOGUE)
		return 0;
	return next < all + n && next->address - address < MAX_PAD ? (guint)(next->address - address) : 0;
}

/* The address stored at place; FALSE: it is no code. A function the linker dropped (a weak one) leaves a zero. */
static gboolean read_entry(const KmImage *image, guint64 place, guint64 *value)
{
	return km_image_pointer(image, place, value) && (!*value || is_code(image, *value));
}

static GArray *read_entries(const KmImage *image, guint64 start, guint64 stop)
{
	guint64 value;
	if (stop - start > image->size || (stop - start) % 8 || stop == start)
		return NULL;
	g_autoptr(GArray) entries = g_array_sized_new(FALSE, FALSE, sizeof(guint64), (guint)((stop - start) / 8));
	for (guint64 at = start; at < stop; at += 8) {
		if (!read_entry(image, at, &value))
			return NULL;
		if (value)
			g_array_append_val(entries, value);
	}
	g_array_sort(entries, compare_entries);
	return entries->len ? g_steal_pointer(&entries) : NULL;
}

/*
 * A table without a name: by far the longest row of pointers to places in code that all hold the same instruction, which is what the
 * compiler leaves for the hook. The kernel relocates them, so the row is one of its relocations too. The places
 * are counted from first, up to the end of the row.
 */
static guint row_length(const KmImage *image, guint first, guint32 *word)
{
	const KmPointer *all = (const KmPointer *)(void *)image->pointers->data;
	guint n = 0;
	for (guint i = first; i < image->pointers->len && all[i].place == all[first].place + 8 * (guint64)n; i++, n++) {
		const guint8 *code = km_image_bytes(image, all[i].value, 4);
		if (!code || all[i].value % 4 || (n && km_image_get_u32(image, code) != *word))
			break;
		*word = km_image_get_u32(image, code);
	}
	return n;
}

/* Most of them must be at functions: a row of pointers to equal data is none. */
static gboolean at_functions(const KmImage *image, const GArray *entries)
{
	guint near = 0;
	for (guint i = 0; i < entries->len; i++) {
		guint64 address = g_array_index(entries, guint64, i);
		const KmKsym *nearest = km_image_nearest(image, address);
		near += address - nearest->address <= MAX_PROLOGUE || distance_to_next(image, address);
	}
	return near > entries->len / 2;
}

static GArray *find_entries(const KmImage *image)
{
	guint best = 0, best_n = 0, n;
	guint32 word = 0;
	for (guint i = 0; i < image->pointers->len; i += MAX(n, 1)) {
		n = row_length(image, i, &word);
		if (n > best_n) {
			best = i;
			best_n = n;
		}
	}
	if (best_n < MIN_FOUND)
		return NULL;
	guint64 start = g_array_index(image->pointers, KmPointer, best).place;
	g_autoptr(GArray) entries = read_entries(image, start, start + 8 * (guint64)best_n);
	return entries && at_functions(image, entries) ? g_steal_pointer(&entries) : NULL;
}

/*
 * Where functions have room before their label too (arm64 with DYNAMIC_FTRACE_WITH_CALL_OPS), the record is of the
 * room's start. It is the same distance for all of them, which no other scheme has. Then move the records to the
 * labels.
 */
static void skip_pads(const KmImage *image, GArray *entries)
{
	guint seen[MAX_PAD] = { 0 };
	for (guint i = 0; i < entries->len; i++)
		seen[distance_to_next(image, g_array_index(entries, guint64, i))]++;
	for (guint pad = 1; pad < MAX_PAD; pad++)
		for (guint i = 0; seen[pad] > entries->len / 2 && i < entries->len; i++)
			g_array_index(entries, guint64, i) += pad;
}

void km_entries_read(KmImage *image)
{
	guint64 start, stop;
	if (km_image_table(image, "__mcount_loc", "__start_mcount_loc", "__stop_mcount_loc", &start, &stop))
		image->entries = read_entries(image, start, stop);
	else if (image->flat)
		image->entries = find_entries(image);
	if (image->entries) {
		image->records = g_array_copy(image->entries);
		skip_pads(image, image->entries);
	}
	image->entries_done = TRUE;
}

static const GArray *entries_of(const KmImage *image)
{
	KmImage *self = (KmImage *)image; /* a cache, guarded by its lock */
	g_mutex_lock(&self->lock);
	if (!self->entries_done)
		km_entries_read(self);
	g_mutex_unlock(&self->lock);
	return self->entries;
}

const GArray *km_image_records(const KmImage *image)
{
	return entries_of(image) ? image->records : NULL;
}

/* The index of the first entry at or above start. */
static guint first_entry(const GArray *entries, guint64 start)
{
	guint low = 0, high = entries->len;
	while (low < high) {
		guint mid = low + (high - low) / 2;
		if (g_array_index(entries, guint64, mid) < start)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int km_image_has_entry(const KmImage *image, guint64 start, guint64 end)
{
	const GArray *entries = entries_of(image);
	if (!entries)
		return -1;
	guint first = first_entry(entries, start);
	return first < entries->len && g_array_index(entries, guint64, first) < end;
}

/* kernel/trace/ftrace.c, ftrace_location(): the entry at that very address, else whichever a search finds first in what bears the name. */
gboolean km_image_entry_is_ambiguous(const KmImage *image, guint64 address, guint64 size)
{
	const GArray *entries = entries_of(image);
	guint64 end = km_image_next_symbol(image, address);
	guint first = entries ? first_entry(entries, address) : 0;
	if (!entries || first >= entries->len)
		return FALSE;
	gboolean exact = g_array_index(entries, guint64, first) == address && !km_image_arch(image)->entry->moves;
	guint other = size ? first_entry(entries, address + size) : first + 1;
	return !exact && other < entries->len && g_array_index(entries, guint64, other) < end;
}

gssize km_image_entry_count(const KmImage *image)
{
	const GArray *entries = entries_of(image);
	return entries ? (gssize)entries->len : -1;
}
