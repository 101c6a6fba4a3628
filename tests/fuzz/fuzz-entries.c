/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as an object or a program: its entries are told, or it is refused. */
#include "entries/audit.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	KmObject *object = km_object_read_bytes(bytes, "fuzz", NULL);
	if (!object)
		return 0;
	g_autoptr(KmCode) code = km_code_new(object);
	g_autoptr(KmAudit) audit = km_audit(code);
	json_decref(km_audit_to_json(audit));
	return 0;
}
