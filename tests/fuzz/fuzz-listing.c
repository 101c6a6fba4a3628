/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as a listing of every architecture: entries go in, or it is refused. */
#include <string.h>

#include "listing/pad.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static void pad_one(const guint8 *data, gsize size, const KmArch *arch, const KmPad *pad)
{
	g_autoptr(KmListing) listing = km_listing_new((const char *)data, size, arch->entry->text->comments);
	if (km_pad(listing, arch, pad, NULL) && km_call_nops(listing, NULL, NULL))
		g_string_free(km_listing_text(listing), TRUE);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
	if (size && memchr(data, 0, size))
		return 0;
	for (const KmArch *const *arch = km_arch_all(); *arch; arch++)
		for (KmPadKind kind = KM_PAD_NOPS; kind <= KM_PAD_HOOK_NOPS; kind++) {
			const KmPad pad = { .kind = kind, .total = 3, .before = 1, .record = TRUE };
			pad_one(data, size, *arch, &pad);
		}
	return 0;
}
