/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/record.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/cache.h"
#include "kernel/compiler.h"

/* Raise it when the layout below kernel/NAME changes: an older cache is then refused by name, not misread. */
#define FORMAT 1

gboolean km_record_write(const char *dir, const json_t *record, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "kernel.json", NULL);
	json_t *copy = json_copy((json_t *)record);
	json_object_set_new(copy, "format", json_integer(FORMAT));
	char *text = json_dumps(copy, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(copy);
	if (!text)
		return km_fail(error, "cannot write %s: a path or name is not UTF-8", path);
	gboolean written = km_write_file(path, text, strlen(text), error);
	free(text);
	return written;
}

static json_t *read_record(const char *path, GError **error)
{
	g_autoptr(GBytes) bytes = km_read_file(path, error);
	if (!bytes)
		return NULL;
	json_error_t why;
	gsize size = 0;
	const char *data = g_bytes_get_data(bytes, &size);
	json_t *record = json_loadb(data ? data : "", size, 0, &why);
	if (!record)
		return km_fail_null(error, "line %d: %s", why.line, why.text);
	json_t *format = json_object_get(record, "format");
	if (json_is_integer(format) && json_integer_value(format) == FORMAT)
		return record;
	json_decref(record);
	return km_fail_null(error, "its format is not the one this kmend writes");
}

/* A string member, made an absolute path when it is one. */
static char *get_path(const json_t *record, const char *key, const char *dir)
{
	const char *value = json_string_value(json_object_get(record, key));
	return value && *value ? g_canonicalize_filename(value, dir) : NULL;
}

static char *get_text(const json_t *record, const char *key)
{
	return g_strdup(json_string_value(json_object_get(record, key)));
}

/* What every kernel must have; its absence means that somebody edited the record or removed files. */
static gboolean check_kernel(const KmKernel *k, GError **error)
{
	const struct {
		const char *key, *value;
		gboolean is_path;
	} needed[] = {
		{ "release", k->release, FALSE },   { "version", k->version, FALSE },
		{ "provider", k->provider, FALSE }, { "arch", k->arch ? k->arch->name : NULL, FALSE },
		{ "source", k->source, TRUE },	    { "build", k->build, TRUE },
		{ "config", k->config, TRUE },	    { "image", k->image, TRUE },
		{ "work", k->work, TRUE },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(needed); i++) {
		if (!needed[i].value)
			return km_fail(error, "\"%s\" is missing or unknown", needed[i].key);
		if (needed[i].is_path && !g_file_test(needed[i].value, G_FILE_TEST_EXISTS))
			return km_fail(error, "its %s %s is gone", needed[i].key, needed[i].value);
	}
	return TRUE;
}

static KmKernel *from_record(const json_t *record, const char *name, const char *dir)
{
	KmKernel *k = g_new0(KmKernel, 1);
	g_autofree char *arch = get_text(record, "arch");
	k->name = g_strdup(name);
	k->dir = g_strdup(dir);
	k->release = get_text(record, "release");
	k->version = get_text(record, "version");
	k->provider = get_text(record, "provider");
	k->arch = arch ? km_arch_by_name(arch) : NULL;
	k->source = get_path(record, "source", dir);
	k->build = get_path(record, "build", dir);
	k->config = k->build ? g_build_filename(k->build, ".config", NULL) : NULL;
	k->image = get_path(record, "image", dir);
	k->boot_image = get_path(record, "boot_image", dir);
	k->modules = get_path(record, "modules", dir);
	k->symvers = get_path(record, "symvers", dir);
	k->work = g_build_filename(dir, "work", NULL);
	return k;
}

KmKernel *km_kernel_load(const char *cache, const char *name, GError **error)
{
	g_autofree char *dir = km_cache_kernel_dir(cache, name);
	g_autofree char *path = g_build_filename(dir, "kernel.json", NULL);
	g_autoptr(GError) local = NULL;
	g_autoptr(KmKernel) kernel = NULL;
	json_t *record = read_record(path, &local);
	if (record)
		kernel = from_record(record, name, dir);
	json_decref(record);
	if (!kernel || !check_kernel(kernel, &local))
		return km_fail_null(error,
				    "%s cannot be used: %s; `kmend kernel remove %s`, then fetch or add it again", path,
				    local->message, name);
	km_compiler_find(kernel);
	return g_steal_pointer(&kernel);
}

char *km_record_source(const char *cache, const char *name)
{
	g_autofree char *dir = km_cache_kernel_dir(cache, name);
	g_autofree char *path = g_build_filename(dir, "kernel.json", NULL);
	json_t *record = read_record(path, NULL);
	char *source = record ? get_path(record, "source", dir) : NULL;
	json_decref(record);
	return source;
}
