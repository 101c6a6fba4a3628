/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/config.h"

#include <string.h>

#include "base/file.h"
#include "kernel/kernel.h"

/* The text between quotes; a backslash keeps the next character. */
static char *unquote(const char *from, gsize length)
{
	if (length < 2 || *from != '"')
		return g_strndup(from, length);
	GString *out = g_string_new(NULL);
	for (gsize i = 1; i < length && from[i] != '"'; i++) {
		if (from[i] == '\\' && i + 1 < length)
			i++;
		g_string_append_c(out, from[i]);
	}
	return g_string_free(out, FALSE);
}

char *km_config_value(const char *text, gsize size, const char *option)
{
	g_autofree char *key = g_strdup_printf("CONFIG_%s=", option);
	gsize length = strlen(key);
	const char *end = text + size;
	for (const char *line = text; line < end;) {
		const char *stop = memchr(line, '\n', (gsize)(end - line));
		if (!stop)
			stop = end;
		if ((gsize)(stop - line) >= length && !memcmp(line, key, length)) {
			if (stop > line + length && stop[-1] == '\r')
				stop--;
			return unquote(line + length, (gsize)(stop - line) - length);
		}
		line = stop + 1;
	}
	return NULL;
}

char *km_config_file_value(const char *path, const char *option)
{
	g_autoptr(GBytes) bytes = km_read_file(path, NULL);
	gsize size = 0;
	const char *text = bytes ? g_bytes_get_data(bytes, &size) : NULL;
	return text ? km_config_value(text, size, option) : NULL;
}

char *km_kernel_config(const KmKernel *kernel, const char *option)
{
	return km_config_file_value(kernel->config, option);
}
