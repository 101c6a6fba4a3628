/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/symvers.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/kernel.h"

static void symver_free(gpointer data)
{
	KmSymver *symver = data;
	g_free(symver->owner);
	g_free(symver->export);
	g_free(symver->namespace);
	g_free(symver);
}

static char *owner_name(const char *path)
{
	char *name = g_path_get_basename(path);
	return g_strdelimit(name, "-", '_');
}

/* "0xCRC<tab>symbol<tab>owner<tab>export<tab>namespace"; kernels before 5.4 have no fifth field. */
static gboolean parse_line(GHashTable *table, const char *line)
{
	g_auto(GStrv) field = g_strsplit(line, "\t", 6);
	guint n = g_strv_length(field);
	guint64 crc;
	if ((n != 4 && n != 5) || !g_str_has_prefix(field[0], "0x") || !*field[1] || !*field[2])
		return FALSE;
	if (!g_ascii_string_to_unsigned(field[0] + 2, 16, 0, G_MAXUINT32, &crc, NULL))
		return FALSE;
	KmSymver *symver = g_new0(KmSymver, 1);
	symver->crc = (guint32)crc;
	symver->owner = owner_name(field[2]);
	symver->export = g_strdup(field[3]);
	symver->namespace = g_strdup(n == 5 ? field[4] : "");
	g_hash_table_replace(table, g_strdup(field[1]), symver);
	return TRUE;
}

GHashTable *km_symvers_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, symver_free);
}

void km_symvers_add(GHashTable *table, const char *symbol, const char *owner, guint32 crc)
{
	if (g_hash_table_contains(table, symbol))
		return;
	KmSymver *symver = g_new0(KmSymver, 1);
	symver->owner = owner_name(owner);
	symver->crc = crc;
	symver->export = g_strdup("EXPORT_SYMBOL");
	symver->namespace = g_strdup("");
	g_hash_table_insert(table, g_strdup(symbol), symver);
}

GHashTable *km_symvers_parse(const char *text, gsize size, GError **error)
{
	g_autoptr(GHashTable) table = km_symvers_new();
	g_autoptr(GString) line = g_string_new(NULL);
	const char *end = text + size;
	guint number = 0;
	for (const char *from = text; from < end;) {
		const char *stop = memchr(from, '\n', (gsize)(end - from));
		if (!stop)
			stop = end;
		number++;
		g_string_truncate(line, 0);
		g_string_append_len(line, from, stop - from);
		if (line->len && !parse_line(table, line->str))
			return km_fail_null(error, "line %u is not of a Module.symvers: %.80s", number, line->str);
		from = stop + 1;
	}
	return g_steal_pointer(&table);
}

GHashTable *km_symvers_read(const char *path, GError **error)
{
	g_autoptr(GBytes) bytes = km_read_file(path, error);
	if (!bytes)
		return NULL;
	gsize size = 0;
	const char *text = g_bytes_get_data(bytes, &size);
	GHashTable *table = km_symvers_parse(text ? text : "", size, error);
	if (!table)
		g_prefix_error(error, "%s: ", path);
	return table;
}

gboolean km_kernel_symvers(KmKernel *kernel, const char *symbol, guint32 *crc, char **owner)
{
	if (!kernel->exports && kernel->symvers)
		kernel->exports = km_symvers_read(kernel->symvers, NULL);
	const KmSymver *symver = kernel->exports ? g_hash_table_lookup(kernel->exports, symbol) : NULL;
	if (!symver)
		return FALSE;
	if (crc)
		*crc = symver->crc;
	if (owner)
		*owner = g_strdup(symver->owner);
	return TRUE;
}
