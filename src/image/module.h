/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stock module (.ko, .ko.xz, .ko.zst, .ko.gz) and the questions a live patch has for it. */
#pragma once

#include "elf/object.h"

/* Read and, where needed, decompress. */
KmObject *km_module_read(const char *path, GError **error);

/* The value of a .modinfo tag ("vermagic", "name", "depends"), first one, or NULL. Owned by the object. */
const char *km_module_info(const KmObject *module, const char *tag);

/* Position of symbol among the module's symbols of its name as the kernel's livepatch core counts them: in the order of
 * the module's symbol table, over defined, allocated symbols. 1-based. Refused when it would differ between a module
 * that is being loaded (init sections count) and a live one. */
gboolean km_module_sympos(const KmObject *module, const KmSymbol *symbol, guint *sympos, GError **error);
/* How many symbols of that name the kernel would count in a live module. */
guint km_module_count(const KmObject *module, const char *name);

/* The build-id of the module's file (a GNU note), size bytes, which the running kernel shows in the module's notes. NULL: none. Owned by the module. */
const guint8 *km_module_build_id(const KmObject *module, gsize *size);

/*
 * Bytes from what the module's entry records name to the functions they are about: not 0 where functions have room before their label too (arm64
 * with DYNAMIC_FTRACE_WITH_CALL_OPS).
 */
guint km_module_entry_pad(const KmObject *module, const KmSection *records);

/* The CRC the module's __versions section asks for a symbol. FALSE when it imports none of that name. */
gboolean km_module_import_crc(const KmObject *module, const char *name, guint32 *crc);

/* The next value of a tag that occurs several times ("alias"). after: the value returned before, NULL for the first. */
const char *km_module_info_next(const KmObject *module, const char *tag, const char *after);

/* Every import the module asks a CRC for, in file order. name is only good during the call. */
typedef void (*KmVersionFunc)(const char *name, guint32 crc, gpointer data);
void km_module_versions(const KmObject *module, KmVersionFunc visit, gpointer data);
