/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Module.symvers: the exported symbols of a kernel and its modules, one line each. */
#pragma once

#include <glib.h>

typedef struct {
	guint32 crc;
	char *owner; /* "vmlinux", or the module without its directory, '-' turned into '_' */
	char *export; /* "EXPORT_SYMBOL_GPL" */
	char *namespace; /* "" when none */
} KmSymver;

/* Name -> KmSymver. A line that is none (wrong number of fields, a CRC that is no number) is refused with its number. */
GHashTable *km_symvers_parse(const char *text, gsize size, GError **error);
GHashTable *km_symvers_read(const char *path, GError **error);

/* Note what a module exports that the table does not know; what the table says of others stays. */
void km_symvers_add(GHashTable *table, const char *symbol, const char *owner, guint32 crc);
/* An empty table. */
GHashTable *km_symvers_new(void);
