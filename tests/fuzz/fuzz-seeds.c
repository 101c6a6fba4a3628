/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz-seeds DIRECTORY: images in every layout to start fuzzing from. Modules: any .ko or .o will do. */
#include <stdio.h>

#include "base/file.h"
#include "image/image.h"
#include "image-writer.h"

static void write_seed(const char *dir, const char *name, guint number, GBytes *bytes)
{
	g_autofree char *file = g_strdup_printf("%s-%u", name, number);
	g_autofree char *path = g_build_filename(dir, file, NULL);
	g_autoptr(GError) error = NULL;
	if (!km_write_file(path, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &error))
		g_error("%s", error->message);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: fuzz-seeds DIRECTORY\n");
		return 2;
	}
	for (guint i = 0; i < LAYOUTS * 4; i++) {
		Writer w = { .layout = i % LAYOUTS, .base = BASE };
		w.big_endian = i / LAYOUTS % 2;
		w.absolute_exports = i / LAYOUTS / 2;
		w.percpu = i / LAYOUTS / 2 && w.layout != ADDRESSES;
		g_autoptr(GBytes) image = make_image(&w, km_arch_by_name(w.big_endian ? "s390x" : "x86_64")->machine);
		write_seed(argv[1], "image", i, image);
	}
	return 0;
}
