/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as an object or module: read or refused, and what is read answers every question. */
#include "image/inspect.h"
#include "image/module.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static void ask(KmObject *object)
{
	for (guint i = 0; i < MIN(object->symbols->len, 200); i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		guint sympos;
		guint32 crc;
		km_module_sympos(object, symbol, &sympos, NULL);
		km_module_count(object, symbol->name);
		km_module_import_crc(object, symbol->name, &crc);
		if (symbol->section)
			km_object_symbol_at(object, symbol->section, symbol->value);
	}
	km_module_info(object, "vermagic");
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(KmObject) object = km_object_read_bytes(bytes, "fuzz", NULL);
	if (object)
		ask(object);
	json_decref(km_inspect_bytes(bytes, "fuzz", NULL));
	return 0;
}
