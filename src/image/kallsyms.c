/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kallsyms, out of the image alone. scripts/kallsyms.c writes the tables next to each other, each aligned to 8 bytes:
 *
 *	[offsets, relative_base  or  addresses]		here in older kernels
 *	num_syms, names, markers[, seqs_of_names]
 *	token_table, token_index
 *	[offsets, relative_base[, seqs_of_names]]	here in newer ones
 *
 * None of them has a header, and kernels carry backports, so they are found by what must hold between them: digits
 * are always tokens of their own ("0\0" "1\0" ...); 256 strings are followed by the index of their 256 starts; the
 * names that a count promises end where markers begin that repeat every 256th name's place; and the addresses
 * ascend.
 */
#include <string.h>

#include "base/error.h"
#include "image/flat.h"
#include "image/internal.h"

#define TOKENS 256
#define MIN_SYMBOLS 32
#define MAX_SYMBOLS (4 * 1000 * 1000)
/* Names walked for wrong candidates before we give up: far beyond what any real image needs. */
#define WALK_BUDGET (64 * 1000 * 1000)

typedef enum {
	ADDRESSES, /* u64 each */
	OFFSETS, /* base + u32 */
	OFFSETS_SIGNED, /* base + s32 */
	OFFSETS_PERCPU, /* CONFIG_KALLSYMS_ABSOLUTE_PERCPU: absolute when >= 0, else base - 1 - s32 */
} Encoding;

typedef struct {
	const KmImage *image;
	const guint8 *data; /* of one range */
	gsize size;
	guint64 address; /* of data, for alignment */
	gsize token_table, token_index;
	const guint8 *token[TOKENS];
	gsize token_len[TOKENS];
	gsize num_syms, names, names_end;
	guint32 n;
	guint64 budget;
	Encoding encoding;
	gsize values; /* offsets or addresses */
	gsize base; /* place of relative_base; 0: none, relative to _text */
} Tables;

static gsize align8(const Tables *t, gsize pos)
{
	return pos + (gsize)(-(t->address + pos) & 7);
}

/* --- tokens --- */

static const guint8 *skip_strings(const guint8 *p, const guint8 *end, guint n)
{
	while (p && n--) {
		p = memchr(p, 0, (gsize)(end - p));
		if (p)
			p++;
	}
	return p;
}

/* digits: where "0" is in the token table. The strings from there on lead to the index, the index back to the start. */
static gboolean read_tokens(Tables *t, gsize digits)
{
	const guint8 *end = t->data + t->size;
	const guint8 *last = skip_strings(t->data + digits, end, TOKENS - '0');
	if (!last)
		return FALSE;
	gsize index = align8(t, (gsize)(last - t->data));
	if (index > t->size || t->size - index < TOKENS * 2)
		return FALSE;
	guint16 start[TOKENS];
	for (guint i = 0; i < TOKENS; i++) {
		const guint8 *p = t->data + index + i * 2;
		start[i] = (guint16)(t->image->big_endian ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
	}
	if (start[0] || start['0'] > digits)
		return FALSE;
	gsize table = digits - start['0'];
	for (guint i = 0; i < TOKENS; i++) {
		gsize next = i + 1 < TOKENS ? table + start[i + 1] : (gsize)(last - t->data);
		gsize from = table + start[i];
		if (next <= from || next > index || t->data[next - 1] || memchr(t->data + from, 0, next - 1 - from))
			return FALSE;
		t->token[i] = t->data + from;
		t->token_len[i] = next - 1 - from;
	}
	t->token_table = table;
	t->token_index = index;
	return TRUE;
}

/* --- names and markers --- */

/*
 * One compressed name: its length (one byte, or two with the top bit set), and where its bytes start. 0: cannot be
 * one.
 */
static gsize name_length(const Tables *t, gsize *pos, gsize limit)
{
	if (*pos >= limit)
		return 0;
	gsize n = t->data[(*pos)++];
	if (n & 0x80) {
		if (*pos >= limit)
			return 0;
		n = (n & 0x7f) | (gsize)t->data[(*pos)++] << 7;
	}
	return n <= limit - *pos ? n : 0;
}

static guint64 get_word(const Tables *t, gsize pos, guint width)
{
	return width == 8 ? km_image_get_u64(t->image, t->data + pos) : km_image_get_u32(t->image, t->data + pos);
}

static gboolean markers_match(const Tables *t, gsize pos, guint width, const GArray *markers)
{
	if (pos > t->token_table || (t->token_table - pos) / width < markers->len)
		return FALSE;
	for (guint i = 0; i < markers->len; i++)
		if (get_word(t, pos + (gsize)i * width, width) != g_array_index(markers, guint32, i))
			return FALSE;
	/* Nothing but the sequence numbers (three bytes each) may stand before the tokens. */
	gsize end = align8(t, pos + (gsize)markers->len * width);
	return end == t->token_table || align8(t, end + (gsize)t->n * 3) == t->token_table;
}

/* Do n names at pos end where matching markers begin? */
static gboolean check_names(Tables *t, gsize pos, GArray *markers)
{
	gsize start = pos;
	g_array_set_size(markers, 0);
	for (guint32 i = 0; i < t->n; i++) {
		guint32 marker = (guint32)(pos - start);
		if (!(i & 0xff))
			g_array_append_val(markers, marker);
		gsize n = name_length(t, &pos, t->token_table);
		if (!n || !t->budget)
			return FALSE;
		t->budget--;
		pos += n;
	}
	gsize end = align8(t, pos);
	if (!markers_match(t, end, 4, markers) && !markers_match(t, end, 8, markers))
		return FALSE;
	t->names = start;
	t->names_end = pos;
	return TRUE;
}

/* num_syms is a 32-bit number and padding, or (before 4.20) a 64-bit one. 0: no count can stand here. */
static guint32 plausible_count(const Tables *t, gsize pos)
{
	guint32 first = (guint32)get_word(t, pos, 4), second = (guint32)get_word(t, pos + 4, 4);
	guint32 n = second && !first && t->image->big_endian ? second : !second ? first : 0;
	return n >= MIN_SYMBOLS && n <= MAX_SYMBOLS && n <= (t->token_table - pos) / 2 ? n : 0;
}

static gboolean find_names(Tables *t)
{
	g_autoptr(GArray) markers = g_array_new(FALSE, FALSE, sizeof(guint32));
	gsize first = align8(t, 0);
	for (gsize pos = align8(t, t->token_table) - 8; pos >= first + 8 && pos < t->size && t->budget; pos -= 8) {
		if (pos + 8 > t->token_table)
			continue;
		t->n = plausible_count(t, pos);
		if (t->n && check_names(t, pos + 8, markers)) {
			t->num_syms = pos;
			return TRUE;
		}
	}
	return FALSE;
}

/* --- addresses --- */

static gboolean ascending_addresses(const Tables *t, gsize pos)
{
	guint64 last = 0, first = get_word(t, pos, 8);
	for (guint32 i = 0; i < t->n; i++) {
		guint64 v = get_word(t, pos + (gsize)i * 8, 8);
		if (v < last)
			return FALSE;
		last = v;
	}
	return last > first;
}

static gboolean ascending_offsets(const Tables *t, gsize pos, Encoding encoding)
{
	gint64 last = G_MININT64, first = 0;
	guint32 negative = 0;
	for (guint32 i = 0; i < t->n; i++) {
		guint32 raw = (guint32)get_word(t, pos + (gsize)i * 4, 4);
		gint64 v = encoding == OFFSETS ? (gint64)raw : (gint64)(gint32)raw;
		if (encoding == OFFSETS_PERCPU && v < 0) {
			/* relative ones come after all absolute ones */
			v = -1 - v + G_MAXUINT32;
			negative++;
		}
		if (v < last)
			return FALSE;
		first = i ? first : v;
		last = v;
	}
	return last > first && (encoding != OFFSETS_PERCPU || negative);
}

static gboolean try_offsets(Tables *t, gsize pos, gsize base)
{
	static const Encoding encodings[] = { OFFSETS, OFFSETS_SIGNED, OFFSETS_PERCPU };
	if (pos > t->size || (t->size - pos) / 4 < t->n || base > t->size || t->size - base < 8)
		return FALSE;
	for (gsize i = 0; i < G_N_ELEMENTS(encodings); i++) {
		if (!ascending_offsets(t, pos, encodings[i]))
			continue;
		t->encoding = encodings[i];
		t->values = pos;
		t->base = base;
		return TRUE;
	}
	return FALSE;
}

static gboolean find_values(Tables *t)
{
	gsize room = (gsize)t->n * 4, after = align8(t, t->token_index + TOKENS * 2);
	if (t->num_syms >= 8 + room + 8) {
		gsize base = t->num_syms - 8;
		gsize pos = base - room - ((base - room + (gsize)t->address) & 7);
		if (try_offsets(t, pos, base))
			return TRUE;
	}
	if (try_offsets(t, after, align8(t, after + room)))
		return TRUE;
	if (t->num_syms < room * 2 || !ascending_addresses(t, t->num_syms - room * 2))
		return FALSE;
	t->encoding = ADDRESSES;
	t->values = t->num_syms - room * 2;
	return TRUE;
}

static gboolean find_tables(Tables *t)
{
	static const guint8 digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	const guint8 *p = t->data, *end = t->data + t->size;
	t->budget = WALK_BUDGET;
	while ((p = memmem(p, (gsize)(end - p), digits, sizeof(digits)))) {
		if (read_tokens(t, (gsize)(p - t->data)) && find_names(t) && find_values(t))
			return TRUE;
		p++;
	}
	return FALSE;
}

/* --- decoding --- */

static gsize names_size(const Tables *t)
{
	gsize total = 0, pos = t->names;
	for (guint32 i = 0; i < t->n; i++) {
		gsize n = name_length(t, &pos, t->names_end);
		for (gsize k = 0; k < n; k++)
			total += t->token_len[t->data[pos + k]];
		pos += n;
		total++;
	}
	return total;
}

/* The first character of each is its type. */
static gboolean expand_names(const Tables *t, KmKallsyms *out)
{
	char *to = out->names = g_malloc(names_size(t));
	gsize pos = t->names;
	for (guint32 i = 0; i < t->n; i++) {
		gsize n = name_length(t, &pos, t->names_end);
		char *start = to;
		for (gsize k = 0; k < n; k++) {
			guint8 c = t->data[pos + k];
			memcpy(to, t->token[c], t->token_len[c]);
			to += t->token_len[c];
		}
		*to++ = 0;
		pos += n;
		if (!g_ascii_isgraph(*start) || !start[1])
			return FALSE;
		out->symbols[i].type = *start;
		out->symbols[i].name = start + 1;
	}
	return TRUE;
}

static guint64 decode(const Tables *t, guint32 i, guint64 base)
{
	if (t->encoding == ADDRESSES)
		return get_word(t, t->values + (gsize)i * 8, 8);
	guint32 raw = (guint32)get_word(t, t->values + (gsize)i * 4, 4);
	gint64 v = (gint32)raw;
	switch (t->encoding) {
	case OFFSETS_PERCPU:
		return v >= 0 ? (guint64)v : base - 1 - (guint64)v;
	case OFFSETS_SIGNED:
		return base + (guint64)v;
	default:
		return base + raw;
	}
}

static gboolean inside(const KmImage *image, guint64 address)
{
	for (guint i = 0; i < image->ranges->len; i++) {
		const KmRange *r = &g_array_index(image->ranges, KmRange, i);
		if (address >= r->address && address - r->address < r->size)
			return TRUE;
	}
	return FALSE;
}

/* Offsets without a base of their own count from _text, the start of the first code. */
static gboolean text_base(const KmImage *image, guint64 *base)
{
	for (guint i = 0; i < image->ranges->len; i++) {
		const KmRange *r = &g_array_index(image->ranges, KmRange, i);
		if (r->text) {
			*base = r->address;
			return TRUE;
		}
	}
	return FALSE;
}

static gboolean resolve_base(KmImage *image, const Tables *t, guint64 *base, GError **error)
{
	*base = 0;
	if (t->encoding == ADDRESSES)
		return TRUE;
	if (image->flat)
		return km_flat_place(image, (gsize)(t->data - image->data) + t->base, base, error);
	if (km_image_pointer(image, t->address + t->base, base) && inside(image, *base))
		return TRUE;
	return text_base(image, base) ||
	       km_fail(error, "%s: the kallsyms tables have no base address kmend understands", image->path);
}

static gboolean decode_all(KmImage *image, const Tables *t, GError **error)
{
	KmKallsyms *out = &image->kallsyms;
	guint64 base, last = 0;
	out->symbols = g_new0(KmKsym, t->n);
	out->n = t->n;
	/* Names, markers, tokens and their index lie in this order. */
	out->start = t->address + t->names;
	out->stop = t->address + t->token_index + TOKENS * sizeof(guint16);
	if (!expand_names(t, out))
		return km_fail(error, "%s: the kallsyms names are damaged; get the image again", image->path);
	if (!resolve_base(image, t, &base, error))
		return FALSE;
	for (guint32 i = 0; i < t->n; i++) {
		guint64 address = decode(t, i, base);
		if (address < last)
			return km_fail(error,
				       "%s: the kallsyms addresses do not ascend at %s; the image is damaged or of "
				       "a layout kmend does not know",
				       image->path, out->symbols[i].name);
		out->symbols[i].address = last = address;
	}
	return TRUE;
}

static gboolean search(KmImage *image, Tables *t, gboolean text)
{
	for (guint i = 0; i < image->ranges->len; i++) {
		const KmRange *r = &g_array_index(image->ranges, KmRange, i);
		if (r->text != text)
			continue;
		*t = (Tables){
			.image = image, .data = image->data + r->offset, .size = r->size, .address = r->address
		};
		if (find_tables(t))
			return TRUE;
	}
	return FALSE;
}

gboolean km_kallsyms_read(KmImage *image, GError **error)
{
	g_autofree Tables *t = g_new0(Tables, 1);
	/* Code last: the tables are data wherever the file tells the two apart. */
	if (search(image, t, FALSE) || search(image, t, TRUE))
		return decode_all(image, t, error);
	return km_fail(error,
		       "%s holds no complete kallsyms tables: it is truncated, no kernel, or a kernel built without "
		       "CONFIG_KALLSYMS",
		       image->path);
}
