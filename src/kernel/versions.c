/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRCs of exported symbols, by the kernel's own genksyms over the preprocessed source, as kbuild runs it (scripts/Makefile.build).
 * Which type is to blame is read from its list of types: a line for each, "s#foo struct foo { ... }", with the same marks
 * (s# u# e# t#) wherever another one is used; a symbol's line begins with its name.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/shape.h"

void km_version_change_free(KmVersionChange *change)
{
	g_free(change->symbol);
	g_ptr_array_unref(change->types);
	g_free(change);
}

/* "#SYMVER name 0x01234567", as a linker script "__crc_name = 0x01234567;". Name -> CRC. */
static GHashTable *read_crcs(const char *text)
{
	GHashTable *crcs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		g_auto(GStrv) words = g_strsplit(*line, " ", -1);
		guint n = g_strv_length(words);
		if (n >= 3 && !strcmp(words[0], "#SYMVER"))
			g_hash_table_insert(crcs, g_strdup(words[1]),
					    GUINT_TO_POINTER(g_ascii_strtoull(words[2], NULL, 16)));
		else if (n >= 3 && g_str_has_prefix(words[0], "__crc_"))
			g_hash_table_insert(crcs, g_strdup(words[0] + strlen("__crc_")),
					    GUINT_TO_POINTER(g_ascii_strtoull(words[2], NULL, 16)));
	}
	return crcs;
}

/* First word of each line -> the words after it (char **). */
static GHashTable *read_types(const char *text)
{
	GHashTable *types = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_strfreev);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		char *blank = strchr(*line, ' ');
		if (!blank)
			continue;
		*blank = '\0';
		g_hash_table_insert(types, g_strdup(*line), g_strsplit(blank + 1, " ", -1));
	}
	return types;
}

/* "s#foo" -> "struct foo" */
static char *readable(const char *mark)
{
	static const struct {
		const char *mark, *keyword;
	} rows[] = { { "s#", "struct " }, { "u#", "union " }, { "e#", "enum " }, { "E#", "enumerator " } };
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		if (g_str_has_prefix(mark, rows[i].mark))
			return g_strconcat(rows[i].keyword, mark + 2, NULL);
	return g_strdup(g_str_has_prefix(mark, "t#") ? mark + 2 : mark);
}

static gboolean is_unknown(char **words)
{
	return g_strv_contains((const char *const *)words, "UNKNOWN");
}

typedef struct {
	GHashTable *was, *now;
	GHashTable *seen;
	GPtrArray *found; /* of char* */
} Walk;

static void blame(Walk *walk, const char *name)
{
	char **was = g_hash_table_lookup(walk->was, name), **now = g_hash_table_lookup(walk->now, name);
	if (!was || !now || !g_hash_table_add(walk->seen, (gpointer)name) || is_unknown(was) || is_unknown(now))
		return;
	if (!g_strv_equal((const char *const *)was, (const char *const *)now))
		g_ptr_array_add(walk->found, readable(name));
	for (char **word = now; *word; word++)
		if (strchr(*word, '#'))
			blame(walk, *word);
}

GPtrArray *km_versions_compare(const char *was_crcs, const char *was_types, const char *now_crcs, const char *now_types)
{
	GPtrArray *changes = g_ptr_array_new_with_free_func((GDestroyNotify)km_version_change_free);
	g_autoptr(GHashTable) was = read_crcs(was_crcs), now = read_crcs(now_crcs);
	g_autoptr(GHashTable) old_types = read_types(was_types), new_types = read_types(now_types);
	g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(was), (GCompareFunc)strcmp);
	for (GList *l = names; l; l = l->next) {
		gpointer crc;
		guint32 old = GPOINTER_TO_UINT(g_hash_table_lookup(was, l->data));
		if (!g_hash_table_lookup_extended(now, l->data, NULL, &crc) || GPOINTER_TO_UINT(crc) == old)
			continue;
		g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
		g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
		Walk walk = { .was = old_types, .now = new_types, .seen = seen, .found = found };
		blame(&walk, l->data);
		if (!found->len)
			continue;
		KmVersionChange *change = g_new0(KmVersionChange, 1);
		*change = (KmVersionChange){ .was = old, .now = GPOINTER_TO_UINT(crc) };
		change->symbol = g_strdup(l->data);
		change->types = g_steal_pointer(&found);
		g_ptr_array_add(changes, change);
	}
	return changes;
}

/* Preprocess one side and let genksyms read it. */
static gboolean run_genksyms(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, gboolean patched,
			     const char *program, char **crcs, char **types, GError **error)
{
	static const char *const flags[] = { "-E", "-D__GENKSYMS__", NULL };
	const char *object = patched ? unit->patched : unit->original;
	g_autofree char *preprocessed = g_strconcat(object, ".genksyms.i", NULL);
	g_autofree char *list = g_strconcat(object, ".symtypes", NULL);
	g_autofree char *text = NULL;
	g_autoptr(GError) local = NULL;
	if (!km_unit_compile_as(kernel, overlay, unit, patched, flags, preprocessed, error))
		return FALSE;
	if (!g_file_get_contents(preprocessed, &text, NULL, &local))
		return km_fail(error, "cannot read %s: %s", preprocessed, local->message);
	const char *const argv[] = { program, "-T", list, "-r", "/dev/null", NULL };
	KmRunOptions options = { .stdin_text = text };
	g_autoptr(KmRunResult) result = km_run(argv, &options, error);
	if (!result)
		return FALSE;
	if (result->status)
		return km_fail(error, "the kernel's genksyms fails on %s: %s", unit->source,
			       g_strstrip(result->errors));
	if (!g_file_get_contents(list, types, NULL, &local))
		return km_fail(error, "cannot read %s: %s", list, local->message);
	*crcs = g_steal_pointer(&result->output);
	return TRUE;
}

/* Do we get what the kernel was built with? If not, nothing we compute says anything. */
static gboolean agrees(KmKernel *kernel, const char *crcs)
{
	g_autoptr(GHashTable) table = read_crcs(crcs);
	GHashTableIter iter;
	gpointer name, crc;
	g_hash_table_iter_init(&iter, table);
	while (g_hash_table_iter_next(&iter, &name, &crc)) {
		guint32 known;
		g_autofree char *owner = NULL;
		if (km_kernel_symvers(kernel, name, &known, &owner) && known != GPOINTER_TO_UINT(crc))
			return FALSE;
	}
	return TRUE;
}

GPtrArray *km_unit_compare_versions(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, GError **error)
{
	g_autofree char *program = g_build_filename(kernel->build, "scripts", "genksyms", "genksyms", NULL);
	g_autofree char *versions = km_kernel_config(kernel, "MODVERSIONS");
	g_autofree char *was = NULL, *was_types = NULL, *now = NULL, *now_types = NULL;
	if (!versions || access(program, X_OK))
		return g_ptr_array_new_with_free_func((GDestroyNotify)km_version_change_free);
	if (!run_genksyms(kernel, overlay, unit, FALSE, program, &was, &was_types, error))
		return NULL;
	if (!agrees(kernel, was))
		return g_ptr_array_new_with_free_func((GDestroyNotify)km_version_change_free);
	if (!run_genksyms(kernel, overlay, unit, TRUE, program, &now, &now_types, error))
		return NULL;
	return km_versions_compare(was, was_types, now, now_types);
}
