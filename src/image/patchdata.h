/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structures of runtime/kmend-patch.h as data in a module: each field is one word of 8 bytes, and these are the fields' numbers. A unit
 * test holds them against that header.
 */
#pragma once

#include "elf/object.h"

#define KM_PATCHDATA_FORMAT 2
#define KM_PATCHDATA_WORD 8

/* Calls of the live patch into kmend's own runtime, and the module they make it depend on. */
#define KM_PATCHDATA_ENABLE "kmend_enable_patch"
#define KM_PATCHDATA_REMOVE "kmend_remove_patch"
#define KM_PATCHDATA_MODULE "kmend_runtime"

/* The version of both, as modules are told: it changes with the format. */
#define KM_PATCHDATA_CRC 0x6b6d0002
#define KM_PATCHDATA_CRC_TEXT "0x6b6d0002"

/* Where stubs are that lead to functions too far away for a call (KmArch.call_stub). */
#define KM_PATCHDATA_STUBS ".text.kmend.stubs"

enum {
	KM_DATA_SYMBOL_OBJECT,
	KM_DATA_SYMBOL_SECTION,
	KM_DATA_SYMBOL_NAME,
	KM_DATA_SYMBOL_ADDRESS,
	KM_DATA_SYMBOL_INDEX,
	KM_DATA_SYMBOL_WORDS
};

enum { KM_DATA_RELOC_PLACE, KM_DATA_RELOC_SYMBOL, KM_DATA_RELOC_ADDEND, KM_DATA_RELOC_TYPE, KM_DATA_RELOC_WORDS };

enum { KM_DATA_PART_SYMBOL, KM_DATA_PART_START, KM_DATA_PART_SIZE, KM_DATA_PART_WORDS };

enum {
	KM_DATA_FUNC_OLD_PARTS,
	KM_DATA_FUNC_NR_OLD_PARTS,
	KM_DATA_FUNC_NEW_PARTS,
	KM_DATA_FUNC_NR_NEW_PARTS,
	KM_DATA_FUNC_SYMPOS,
	KM_DATA_FUNC_WORDS
};

enum {
	KM_DATA_OBJECT_NAME,
	KM_DATA_OBJECT_BUILD_ID,
	KM_DATA_OBJECT_BUILD_ID_SIZE,
	KM_DATA_OBJECT_FUNCS,
	KM_DATA_OBJECT_NR_FUNCS,
	KM_DATA_OBJECT_RELOCS,
	KM_DATA_OBJECT_NR_RELOCS,
	KM_DATA_OBJECT_CALLBACKS, /* four: pre-patch, post-patch, pre-unpatch, post-unpatch */
	KM_DATA_OBJECT_WORDS = KM_DATA_OBJECT_CALLBACKS + 4
};

enum { KM_DATA_STATE_ID, KM_DATA_STATE_VERSION, KM_DATA_STATE_DATA, KM_DATA_STATE_WORDS };

enum {
	KM_DATA_PATCH_FORMAT,
	KM_DATA_PATCH_MOD,
	KM_DATA_PATCH_BUILD_ID,
	KM_DATA_PATCH_BUILD_ID_SIZE,
	KM_DATA_PATCH_OBJECTS,
	KM_DATA_PATCH_NR_OBJECTS,
	KM_DATA_PATCH_STATES,
	KM_DATA_PATCH_NR_STATES,
	KM_DATA_PATCH_REPLACE,
	KM_DATA_PATCH_CODE, /* of struct kmend_part: each section of code that stays */
	KM_DATA_PATCH_NR_CODE,
	KM_DATA_PATCH_WORDS
};

/*
 * Does the section hold code that is there as long as the module is? Start-up code does not count, and nor does what the module loader fills in, which only leads
 * out of the module.
 */
gboolean km_patchdata_is_code(const KmArch *arch, const KmSection *section);

/* Functions that a live patch can call in kmend's own runtime, the kernel's own of that name set before; NULL-ended. */
const char *const *km_patchdata_imports(void);

/* Is it a function of the kernel's livepatch core that deals with its own live patches? Of others it would read what is not there. */
gboolean km_patchdata_is_of_core(const char *name);
