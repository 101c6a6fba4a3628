/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a kernel image: opened or refused, and what opens answers every question. */
#include "image/inspect.h"
#include "image/internal.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static void ask(const KmImage *image)
{
	gsize n, exports;
	const KmKsym *symbols = km_image_symbols(image, &n);
	km_image_exports(image, &exports);
	for (gsize i = 0; i < MIN(n, 200); i++) {
		guint64 address = symbols[i].address;
		km_image_lookup(image, symbols[i].name);
		km_image_symbols_at(image, address);
		km_image_nearest(image, address + 1);
		km_image_export(image, symbols[i].name);
		km_image_has_entry(image, address, address + 16);
		const guint8 *p = km_image_bytes(image, address, 16);
		if (p && p[0] + p[15] > 600) /* never: only reads them */
			g_assert_not_reached();
	}
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(KmImage) image = km_image_new(bytes, "fuzz", NULL);
	if (image)
		ask(image);
	json_decref(km_inspect_bytes(bytes, "fuzz", NULL));
	return 0;
}
