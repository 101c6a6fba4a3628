/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small kernel images for tests: kallsyms in every layout, exports, entries, in ELF or flat, either byte order. */
#pragma once

#include <elf.h>
#include <glib.h>
#include <string.h>

#define SYMBOLS 600
#define BASE G_GUINT64_CONSTANT(0xffffffff81000000)
#define TEXT_SIZE 0x8000
#define BANNER "Linux version 9.8.7-test (builder@host) (gcc) #1 SMP\n"

typedef enum { OLD, OLD_SEQS, NEW, ADDRESSES, LAYOUTS } Layout;

typedef struct {
	Layout layout;
	gboolean percpu; /* the first eight symbols are absolute, the rest relative to the base, downwards */
	gboolean no_base; /* garbage where the base should be */
	gboolean big_endian;
	guint64 base; /* link address of the image */
	gboolean zero_base; /* a relocatable kernel: the base is left to a relocation */
	gboolean absolute_exports;
	guint entry_pad; /* records are that much before the label, not 4 behind it */
	guint8 build_id; /* each byte of it; 0: none. A note in .rodata is another program's */
	gsize base_at; /* out: offset in the kallsyms bytes */
} Writer;

static inline void put(GByteArray *out, guint64 value, guint width, gboolean big)
{
	for (guint i = 0; i < width; i++) {
		guint8 byte = (guint8)(value >> 8 * (big ? width - 1 - i : i));
		g_byte_array_append(out, &byte, 1);
	}
}

static inline void pad(GByteArray *out, guint align)
{
	static const guint8 zeros[4096];
	g_byte_array_append(out, zeros, (guint)(-out->len & (align - 1)));
}

/* Symbol i: its name, type and address. Every tenth is called "twin". */
static inline char *symbol_name(guint i)
{
	return i % 10 == 3 ? g_strdup("twin") : i == 8 ? g_strdup("_text") : g_strdup_printf("function_number_%u", i);
}

static inline guint64 symbol_address(const Writer *w, guint i)
{
	if (w->percpu && i < 8)
		return i * 0x10;
	return w->base + (i <= 8 ? 0 : (i - 8) / 2 * 0x20);
}

static inline void put_names(GByteArray *out, GArray *markers)
{
	gsize start = out->len;
	for (guint i = 0; i < SYMBOLS; i++) {
		g_autofree char *name = symbol_name(i);
		GString *packed = g_string_new(i % 2 ? "t" : "T");
		const char *rest = name;
		if (g_str_has_prefix(name, "function_")) { /* token 1 */
			g_string_append_c(packed, 1);
			rest += strlen("function_");
		}
		g_string_append(packed, rest);
		guint32 marker = (guint32)(out->len - start);
		if (i % 256 == 0)
			g_array_append_val(markers, marker);
		guint8 n = (guint8)packed->len;
		g_byte_array_append(out, &n, 1);
		g_byte_array_append(out, (const guint8 *)packed->str, n);
		g_string_free(packed, TRUE);
	}
	pad(out, 8);
}

static inline void put_tokens(GByteArray *out, gboolean big)
{
	guint16 index[256];
	gsize start = out->len;
	for (guint i = 0; i < 256; i++) {
		char token[16] = { (char)(i >= 0x20 && i < 0x7f ? i : 0), 0 };
		if (i == 1)
			g_strlcpy(token, "function_", sizeof(token));
		index[i] = (guint16)(out->len - start);
		g_byte_array_append(out, (const guint8 *)token, (guint)strlen(token) + 1);
	}
	pad(out, 8);
	for (guint i = 0; i < 256; i++)
		put(out, index[i], 2, big);
}

static inline void put_values(GByteArray *out, Writer *w)
{
	for (guint i = 0; i < SYMBOLS; i++) {
		guint64 address = symbol_address(w, i);
		if (w->layout == ADDRESSES)
			put(out, address, 8, w->big_endian);
		else if (w->percpu)
			put(out, address < 0x1000 ? address : w->base - 1 - address, 4, w->big_endian);
		else
			put(out, address - w->base, 4, w->big_endian);
	}
	pad(out, 8);
	if (w->layout == ADDRESSES)
		return;
	w->base_at = out->len;
	put(out, w->no_base ? 0x1234 : w->zero_base ? 0 : w->base, 8, w->big_endian);
}

/* The tables, to stand at an address that is a multiple of 8. */
static inline GByteArray *make_kallsyms(Writer *w)
{
	GByteArray *out = g_byte_array_new();
	g_autoptr(GArray) markers = g_array_new(FALSE, FALSE, sizeof(guint32));
	if (w->layout != NEW)
		put_values(out, w);
	put(out, SYMBOLS, 4, w->big_endian);
	pad(out, 8);
	put_names(out, markers);
	for (guint i = 0; i < markers->len; i++)
		put(out, g_array_index(markers, guint32, i), 4, w->big_endian);
	pad(out, 8);
	for (guint i = 0; w->layout == OLD_SEQS && i < SYMBOLS; i++)
		put(out, i, 3, TRUE);
	pad(out, 8);
	put_tokens(out, w->big_endian);
	pad(out, 8);
	if (w->layout == NEW)
		put_values(out, w);
	return out;
}

/* --- a tiny ELF --- */

typedef struct {
	const char *name;
	guint64 address, flags;
	GByteArray *data; /* owned */
} Part;

static inline void part_clear(gpointer part)
{
	g_byte_array_unref(((Part *)part)->data);
}

static inline GArray *parts_new(void)
{
	GArray *parts = g_array_new(FALSE, FALSE, sizeof(Part));
	g_array_set_clear_func(parts, part_clear);
	return parts;
}

static inline GByteArray *add_part(GArray *parts, const char *name, guint64 address, guint64 flags)
{
	Part part = { name, address, flags, g_byte_array_new() };
	g_array_append_val(parts, part);
	return part.data;
}

static inline void put_header(GByteArray *out, guint16 machine, gboolean big, guint64 shoff, guint shnum)
{
	guint8 ident[EI_NIDENT] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, big ? ELFDATA2MSB : ELFDATA2LSB, EV_CURRENT };
	g_byte_array_append(out, ident, sizeof(ident));
	put(out, ET_EXEC, 2, big);
	put(out, machine, 2, big);
	put(out, EV_CURRENT, 4, big);
	put(out, 0, 8, big);
	put(out, 0, 8, big);
	put(out, shoff, 8, big);
	put(out, 0, 4, big);
	put(out, sizeof(Elf64_Ehdr), 2, big);
	put(out, 0, 2, big);
	put(out, 0, 2, big);
	put(out, sizeof(Elf64_Shdr), 2, big);
	put(out, shnum, 2, big);
	put(out, shnum - 1, 2, big);
}

static inline void put_section(GByteArray *out, gboolean big, const guint64 field[10])
{
	static const guint width[10] = { 4, 4, 8, 8, 8, 8, 4, 4, 8, 8 };
	for (guint i = 0; i < 10; i++)
		put(out, field[i], width[i], big);
}

static inline GBytes *make_elf(GArray *parts, guint16 machine, gboolean big)
{
	GByteArray *body = g_byte_array_new(), *out = g_byte_array_new(), *headers = g_byte_array_new();
	g_autoptr(GString) names = g_string_new_len("", 1);
	const guint64 none[10] = { 0 };
	put_section(headers, big, none);
	for (guint i = 0; i < parts->len; i++) {
		const Part *p = &g_array_index(parts, Part, i);
		const guint64 field[10] = { names->len,
					    SHT_PROGBITS,
					    p->flags,
					    p->address,
					    sizeof(Elf64_Ehdr) + body->len,
					    p->data->len,
					    0,
					    0,
					    8,
					    0 };
		put_section(headers, big, field);
		g_string_append_len(names, p->name, (gssize)strlen(p->name) + 1);
		g_byte_array_append(body, p->data->data, p->data->len);
		pad(body, 8);
	}
	const guint64 last[10] = { names->len,	    SHT_STRTAB, 0, 0, sizeof(Elf64_Ehdr) + body->len,
				   names->len + 10, 0,		0, 1, 0 };
	put_section(headers, big, last);
	g_string_append_len(names, ".shstrtab", 10);
	g_byte_array_append(body, (const guint8 *)names->str, (guint)names->len);
	pad(body, 8);
	put_header(out, machine, big, sizeof(Elf64_Ehdr) + body->len, parts->len + 2);
	g_byte_array_append(out, body->data, body->len);
	g_byte_array_append(out, headers->data, headers->len);
	g_byte_array_unref(body);
	g_byte_array_unref(headers);
	return g_byte_array_free_to_bytes(out);
}

/* Two exports, "alpha" and (namespace NS) "beta", at the addresses of symbols 20 and 30. */
static inline void add_exports(GArray *parts, const Writer *w, const char *suffix, const char *name, guint symbol)
{
	guint64 strings = w->base + 0x200000 + symbol * 0x1000, table = strings + 0x400;
	g_autofree char *table_name = g_strconcat("__ksymtab", suffix, NULL);
	g_autofree char *crc_name = g_strconcat("__kcrctab", suffix, NULL);
	GByteArray *text = add_part(parts, "__ksymtab_strings", strings, SHF_ALLOC);
	g_byte_array_append(text, (const guint8 *)name, (guint)strlen(name) + 1);
	guint64 ns = strings + text->len;
	g_byte_array_append(text, (const guint8 *)"NS", 3);
	GByteArray *out = add_part(parts, g_intern_string(table_name), table, SHF_ALLOC);
	guint64 value = symbol_address(w, symbol);
	if (w->absolute_exports) {
		put(out, value, 8, w->big_endian);
		put(out, strings, 8, w->big_endian);
		put(out, *suffix ? ns : 0, 8, w->big_endian);
	} else {
		put(out, value - table, 4, w->big_endian);
		put(out, strings - (table + 4), 4, w->big_endian);
		put(out, *suffix ? ns - (table + 8) : 0, 4, w->big_endian);
	}
	put(add_part(parts, g_intern_string(crc_name), table + 0x100, SHF_ALLOC), 0xc0ffee00 + symbol, 4,
	    w->big_endian);
}

/* A GNU build-id of 20 bytes that are all id. */
static inline void put_note(GByteArray *out, guint8 id, gboolean big)
{
	const guint8 bytes[20] = { id, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id };
	put(out, 4, 4, big);
	put(out, sizeof(bytes), 4, big);
	put(out, NT_GNU_BUILD_ID, 4, big);
	g_byte_array_append(out, (const guint8 *)"GNU", 4);
	g_byte_array_append(out, bytes, sizeof(bytes));
}

static inline GBytes *make_image(Writer *w, guint16 machine)
{
	g_autoptr(GArray) parts = parts_new();
	GByteArray *text = add_part(parts, ".text", w->base, SHF_ALLOC | SHF_EXECINSTR);
	g_byte_array_set_size(text, TEXT_SIZE);
	memset(text->data, 0x90, text->len);
	GByteArray *rodata = add_part(parts, ".rodata", w->base + 0x100000, SHF_ALLOC);
	g_byte_array_append(rodata, (const guint8 *)BANNER, sizeof(BANNER));
	pad(rodata, 8);
	g_autoptr(GByteArray) tables = make_kallsyms(w);
	g_byte_array_append(rodata, tables->data, tables->len);
	if (w->build_id) {
		put_note(rodata, w->build_id + 1, w->big_endian);
		put_note(add_part(parts, ".notes", w->base + 0x1f0000, SHF_ALLOC), w->build_id, w->big_endian);
	}
	add_exports(parts, w, "", "alpha", 20);
	add_exports(parts, w, "_gpl", "beta", 30);
	GByteArray *entries = add_part(parts, "__mcount_loc", w->base + 0x300000, SHF_ALLOC);
	guint64 distance = w->entry_pad ? -(guint64)w->entry_pad : 4;
	put(entries, symbol_address(w, 40) + distance, 8, w->big_endian);
	put(entries, symbol_address(w, 20) + distance, 8, w->big_endian);
	return make_elf(parts, machine, w->big_endian);
}
