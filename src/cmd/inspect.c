/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend inspect: what a live patch, module, object or kernel image contains. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cmd/cmd.h"
#include "image/inspect.h"

/* Names listed before "and N more": --json has them all. */
#define SHOWN 12

static const char *get(const json_t *root, const char *key)
{
	return json_string_value(json_object_get(root, key));
}

static void print_text(const json_t *root, const char *key, const char *label)
{
	const char *value = get(root, key);
	if (value)
		printf("%-14s %s\n", label, value);
}

static void print_count(const json_t *root, const char *key, const char *label, const char *unknown)
{
	const json_t *value = json_object_get(root, key);
	if (json_is_integer(value))
		printf("%-14s %" JSON_INTEGER_FORMAT "\n", label, json_integer_value(value));
	else
		printf("%-14s %s\n", label, unknown);
}

/* "label   N: a b c and M more": strings, or the names of rows. */
static void print_names(const json_t *root, const char *key, const char *label)
{
	const json_t *list = json_object_get(root, key);
	const json_t *item;
	size_t i, n = json_array_size(list);
	printf("%-14s %zu%s", label, n, n ? ":" : "");
	json_array_foreach((json_t *)list, i, item)
	{
		const char *name = json_is_string(item) ? json_string_value(item) : get(item, "name");
		if (i >= SHOWN)
			break;
		printf(" %s", name ? name : "?");
	}
	if (n > SHOWN)
		printf(" and %zu more", n - SHOWN);
	putchar('\n');
}

static void print_functions(const json_t *root)
{
	const json_t *list = json_object_get(root, "functions");
	const json_t *row;
	size_t i;
	printf("%-14s %zu\n", "functions", json_array_size(list));
	json_array_foreach((json_t *)list, i, row)
	{
		const char *object = get(row, "object");
		printf("  %s%s%s", object ? object : "", object ? ":" : "", get(row, "name"));
		if (object)
			printf(",%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(row, "sympos")));
		putchar('\n');
	}
}

static void print_callbacks(const json_t *root)
{
	const json_t *list = json_object_get(root, "callbacks");
	const json_t *row;
	size_t i;
	if (json_array_size(list))
		printf("%-14s %zu\n", "callbacks", json_array_size(list));
	json_array_foreach((json_t *)list, i, row)
		printf("  %s:%s %s\n", get(row, "object"), get(row, "kind"), get(row, "name"));
	list = json_object_get(root, "states");
	if (json_array_size(list))
		printf("%-14s %zu\n", "states", json_array_size(list));
	json_array_foreach((json_t *)list, i, row) printf(
		"  %" JSON_INTEGER_FORMAT ", version %" JSON_INTEGER_FORMAT "\n",
		json_integer_value(json_object_get(row, "id")), json_integer_value(json_object_get(row, "version")));
}

/* Livepatch symbols, counted per object in the order in which the objects appear. */
static void print_klp_symbols(const json_t *root)
{
	const json_t *list = json_object_get(root, "livepatch_symbols");
	g_autoptr(GHashTable) counts = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) order = g_ptr_array_new();
	const json_t *row;
	size_t i;
	json_array_foreach((json_t *)list, i, row)
	{
		const char *object = get(row, "object");
		guint n = GPOINTER_TO_UINT(g_hash_table_lookup(counts, object));
		if (!n)
			g_ptr_array_add(order, (gpointer)object);
		g_hash_table_insert(counts, (gpointer)object, GUINT_TO_POINTER(n + 1));
	}
	printf("%-14s %zu\n", "klp symbols", json_array_size(list));
	for (i = 0; i < order->len; i++)
		printf("  %s: %u\n", (const char *)order->pdata[i],
		       GPOINTER_TO_UINT(g_hash_table_lookup(counts, order->pdata[i])));
}

static void print_klp_relocations(const json_t *root)
{
	const json_t *list = json_object_get(root, "livepatch_relocations");
	const json_t *row;
	size_t i;
	printf("%-14s %zu sections\n", "klp relocs", json_array_size(list));
	json_array_foreach((json_t *)list, i, row)
		printf("  %s of %s: %" JSON_INTEGER_FORMAT "\n", get(row, "object"), get(row, "section"),
		       json_integer_value(json_object_get(row, "count")));
}

static void print_livepatch(const json_t *root)
{
	const json_t *replace = json_object_get(root, "replace");
	gboolean own = !strcmp(get(root, "runtime"), "own");
	print_text(root, "kmend", "kmend");
	printf("%-14s %s\n", "goes in with", own ? "kmend's own runtime" : "the kernel's livepatch core");
	printf("%-14s %s\n", "replace",
	       json_is_boolean(replace) ? json_is_true(replace) ? "yes" : "no" : "not written down");
	print_functions(root);
	print_callbacks(root);
	if (own)
		return;
	print_klp_symbols(root);
	print_klp_relocations(root);
}

static void print_module(const json_t *root)
{
	static const char *const tags[] = { "name", "version", "srcversion", "vermagic" };
	for (gsize i = 0; i < G_N_ELEMENTS(tags); i++)
		print_text(root, tags[i], tags[i]);
	print_names(root, "depends", "depends");
	print_names(root, "exports", "exports");
	print_names(root, "versions", "versions");
}

static void print_image(const json_t *root)
{
	print_text(root, "release", "release");
	print_text(root, "banner", "banner");
	print_text(root, "build_id", "build-id");
	print_count(root, "symbols", "symbols", "unknown");
	print_count(root, "exports", "exports", "no table the image shows");
	print_count(root, "entries", "entries", "no table the image shows");
	printf("%-14s %s\n", "livepatch core", json_is_true(json_object_get(root, "livepatch")) ? "yes" : "no");
}

static void print_report(const json_t *root)
{
	const char *kind = get(root, "kind");
	printf("%s: %s, %s\n", get(root, "path"), kind, get(root, "arch"));
	if (!strcmp(kind, "image")) {
		print_image(root);
		return;
	}
	if (strcmp(kind, "object"))
		print_module(root);
	if (!strcmp(kind, "livepatch"))
		print_livepatch(root);
	print_names(root, "imports", "imports");
	print_count(root, "functions_total", "all functions", "unknown");
	print_count(root, "entries", "entries", "unknown");
	print_names(root, "without_entry", "without entry");
}

gboolean km_cmd_inspect(int argc, char **argv, int *exit_code, GError **error)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print everything as JSON", NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	if (!km_cmd_parse(&argc, &argv, "FILE", "Tell what a live patch, module, object or kernel image contains.",
			  entries, error))
		return FALSE;
	if (argc != 2) {
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "one file is needed; see `kmend inspect --help`");
		return FALSE;
	}
	json_t *root = km_inspect(argv[1], error);
	if (!root)
		return FALSE;
	if (json)
		return km_cmd_print_json(root, error);
	print_report(root);
	json_decref(root);
	if (fflush(stdout) || ferror(stdout))
		return km_fail(error, "cannot write to standard output: %s", g_strerror(errno));
	return TRUE;
}
