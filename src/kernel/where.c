/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/where.h"

#include "kernel/outline.h"

char *km_where(const char *tree, const char *source, const char *symbol)
{
	g_autofree char *path = g_build_filename(tree, source, NULL);
	g_autofree char *text = NULL;
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return g_strdup(source);
	g_autoptr(GPtrArray) things = km_outline(text);
	const KmThing *thing = km_outline_find(things, symbol);
	return thing ? g_strdup_printf("%s:%u", source, thing->first) : g_strdup(source);
}
