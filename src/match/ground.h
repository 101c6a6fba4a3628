/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a unit is laid over, seen as one address space with names: the image of the kernel, or a stock module. The rest
 * of this room does not know which of them it works on.
 */
#pragma once

#include "match/match.h"

typedef struct KmGround KmGround;

/* A named address of the ground. */
typedef struct {
	const char *name; /* owned by the ground's source */
	guint64 address;
	guint index; /* of the symbol in the ground's own list */
	gboolean global;
	gboolean weak;
} KmName;

typedef struct {
	void (*free)(KmGround *ground);
	/* size bytes, or NULL when the ground holds none there (bss, outside). */
	const guint8 *(*bytes)(KmGround *ground, guint64 address, gsize size);
	/* Append every KmName called name. */
	void (*named)(KmGround *ground, const char *name, GArray *names);
	/* Append every KmName at exactly address. */
	void (*names_at)(KmGround *ground, guint64 address, GArray *names);
	/* The nearest name below address in the same section. */
	gboolean (*name_below)(KmGround *ground, guint64 address, KmName *name);
	/*
	 * What the linked field of relocation index of section (of the unit) says about the value of its symbol, when
	 * that field lies at address place of the ground. FALSE: nothing.
	 */
	gboolean (*symbol_value)(KmGround *ground, const KmSection *section, gsize index, guint64 place,
				 guint64 *value);
	/* Where the TOC pointer points; NULL, or FALSE: unknown, or there is none. */
	gboolean (*toc)(KmGround *ground, guint64 *toc);
	/* What a slot at address holds once the kernel runs; NULL, or FALSE: unknown. */
	gboolean (*pointer)(KmGround *ground, guint64 address, guint64 *value);
	/*
	 * The relocations still present in [address, address + size) that write something; NULL: they are all
	 * resolved.
	 */
	gsize (*count_relocs)(KmGround *ground, guint64 address, guint64 size);
	/* Is there such a relocation at address that writes the same bits? NULL as above. */
	gboolean (*has_reloc)(KmGround *ground, guint64 address, const KmRelocInfo *info);
	/* Memory that is freed after start. */
	gboolean (*is_init)(KmGround *ground, guint64 address);
	/* An entry record within [address, address + size). */
	gboolean (*is_patchable)(KmGround *ground, guint64 address, guint64 size);
	/* May the kernel take another entry for that one? NULL: no. */
	gboolean (*is_ambiguous)(KmGround *ground, guint64 address, guint64 size);
	/* Fill object, name, sympos, unique and address of place. */
	gboolean (*identify)(KmGround *ground, const KmName *name, KmPlace *place, GError **error);
	/* The compiler that made it, or NULL. */
	const char *(*compiler)(KmGround *ground);
} KmGroundOps;

struct KmGround {
	const KmGroundOps *ops;
	gboolean complete; /* a name it does not know is not there; kallsyms leaves some out */
	const char *owner; /* "vmlinux" or the module: for messages */
	const char *what; /* "the image /boot/vmlinuz": for messages */
};

KmGround *km_ground_image(const KmImage *image);
KmGround *km_ground_module(KmObject *module, const char *owner);
void km_ground_free(KmGround *ground);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmGround, km_ground_free)

/* km_match_new() over any ground, which the match then owns. */
KmMatch *km_match_over(KmObject *plain, KmGround *ground, GError **error);
