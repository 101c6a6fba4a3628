/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/complaint.h"

#include <string.h>

char *km_first_error(const char *output, const char *tree)
{
	g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
	const char *found = "it said nothing";
	for (char **line = lines; *line; line++) {
		if (**line)
			found = *line;
		if (strstr(*line, "error:") || strstr(*line, "Error:"))
			break;
	}
	g_autofree char *prefix = g_strconcat(tree, "/", NULL);
	g_auto(GStrv) parts = g_strsplit(found, prefix, -1);
	return g_strjoinv("", parts);
}
