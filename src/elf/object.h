/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relocatable object in memory: sections, symbols, relocations, of any architecture in arch/ and either byte order.
 *
 * The object owns its sections and symbols; they live as long as it does, and point at each other directly
 * (no index survives reading). Section data is kept in the byte order of the file: use km_object_get_u32() and friends.
 */
#pragma once

#include <gelf.h>
#include <glib.h>

#include "arch/arch.h"

#define KM_SHN_LIVEPATCH 0xff20		/* include/uapi/linux/elf.h: SHN_LIVEPATCH */
#define KM_SHF_RELA_LIVEPATCH 0x00100000 /* include/uapi/linux/elf.h: SHF_RELA_LIVEPATCH */

typedef struct KmObject KmObject;
typedef struct KmSection KmSection;
typedef struct KmSymbol KmSymbol;

/* A relocation. symbol is never NULL (the null symbol of the file becomes an absolute symbol of value 0 and no name). */
typedef struct {
	guint64 offset;		/* bytes from the start of the section */
	guint32 type;		/* r_type of the architecture */
	KmSymbol *symbol;
	gint64 addend;
} KmReloc;

struct KmSection {
	char *name;
	guint32 type;		/* SHT_* */
	guint64 flags;		/* SHF_* */
	guint64 address;	/* as linked; 0 in a relocatable object */
	guint64 addralign;
	guint64 entsize;
	guint64 size;		/* bytes; equals data->len unless SHT_NOBITS */
	GByteArray *data;	/* NULL for SHT_NOBITS */
	GArray *relocs;		/* of KmReloc, ascending by offset; never NULL. Of a linked file only those without symbol: its own addresses */
	KmSection *link;	/* SHF_LINK_ORDER: the section this one belongs to, else NULL */
	guint index;		/* position in KmObject.sections */
	/* Livepatch relocations: set only on objects that klp/ builds and inspect reads. See km_object_write(). */
	char *klp_object;	/* SHT_RELA with SHF_RELA_LIVEPATCH: "vmlinux" or a module, else NULL */
	KmSection *klp_target;	/* the section those relocations apply to */
	gpointer user;		/* for whoever works on the object; not owned */
};

struct KmSymbol {
	char *name;		/* never NULL; section symbols have "" */
	guint8 bind;		/* STB_* */
	guint8 type;		/* STT_* */
	guint8 other;		/* st_other: visibility, and the local entry on ppc64le */
	guint16 shndx;		/* SHN_UNDEF, SHN_ABS, SHN_COMMON, KM_SHN_LIVEPATCH when section is NULL */
	KmSection *section;	/* where it is defined, or NULL */
	guint64 value;
	guint64 size;
	guint index;		/* position in KmObject.symbols */
	gpointer user;		/* for whoever works on the object; not owned */
};

struct KmObject {
	char *path;		/* as given, for messages */
	const KmArch *arch;
	guint16 type;		/* ET_REL, ET_EXEC, ET_DYN */
	guint32 flags;		/* e_flags */
	GPtrArray *sections;	/* of KmSection, owned, file order; without symtab, strtab, rela sections */
	GPtrArray *symbols;	/* of KmSymbol, owned, file order, without the null symbol; of a stripped linked file the dynamic ones */
	KmSymbol *null_symbol;	/* what relocations without symbol point at; not in symbols */
	GHashTable *cover;	/* private to km_object_symbol_at(): KmSection -> sorted symbols; NULL until asked */
};

/* Read an object. Anything malformed is an error that names path, section and offset; relocation types unknown to the
 * architecture are kept (whoever needs to interpret one refuses it by name). */
KmObject *km_object_read(const char *path, GError **error);
/* The same from memory; path is for messages only. */
KmObject *km_object_read_bytes(GBytes *bytes, const char *path, GError **error);
/* An empty relocatable object. */
KmObject *km_object_new(const KmArch *arch, const char *path);
void km_object_free(KmObject *object);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmObject, km_object_free)

/* Write the object as ELF, atomically; the same object gives the same bytes. Local symbols come first, otherwise order is
 * kept. Every section's relocs become .rela<name>; a livepatch section (klp_object set) becomes SHT_RELA with
 * SHF_ALLOC|SHF_RELA_LIVEPATCH, its relocs as entries and klp_target as sh_info. */
gboolean km_object_write(const KmObject *object, const char *path, GError **error);
GBytes *km_object_to_bytes(const KmObject *object, GError **error);

/* Append a section (empty; SHT_NOBITS has no data), or a symbol. name is copied. Owned by object. */
KmSection *km_object_add_section(KmObject *object, const char *name, guint32 type, guint64 flags, guint64 addralign);
KmSymbol *km_object_add_symbol(KmObject *object, const char *name, guint8 bind, guint8 type, KmSection *section,
			       guint64 value, guint64 size);
/* Drop sections (with their symbols, which no remaining relocation may use) or symbols for which drop() is TRUE. */
void km_object_drop_sections(KmObject *object, gboolean (*drop)(const KmSection *, gpointer), gpointer data);
void km_object_drop_symbols(KmObject *object, gboolean (*drop)(const KmSymbol *, gpointer), gpointer data);

/* The first of that name, or NULL. */
KmSection *km_object_find_section(const KmObject *object, const char *name);
KmSymbol *km_object_find_symbol(const KmObject *object, const char *name);
/* The section symbol of section, added if there is none. */
KmSymbol *km_object_section_symbol(KmObject *object, KmSection *section);
/*
 * The function or data symbol that covers offset of section (half open; a symbol of size 0 covers its own address),
 * or NULL. Of several (aliases) the global one, then the first. O(log n) after a first call that builds an index;
 * km_object_index_drop() after changing symbols.
 */
KmSymbol *km_object_symbol_at(KmObject *object, const KmSection *section, guint64 offset);
void km_object_index_drop(KmObject *object);

/* Append; km_section_sort_relocs() restores the order if offsets were not ascending. */
void km_section_add_reloc(KmSection *section, guint64 offset, guint32 type, KmSymbol *symbol, gint64 addend);
void km_section_sort_relocs(KmSection *section);
/* The relocations with start <= offset < end: pointer to the first, and how many. */
const KmReloc *km_section_relocs_in(const KmSection *section, guint64 start, guint64 end, gsize *n);
/* Append bytes aligned to align; returns their offset. data NULL: zeros. */
guint64 km_section_append(KmSection *section, const void *data, gsize size, gsize align);
/* The same for a section of object that may hold code: gaps get what the architecture puts between functions. */
guint64 km_object_append(const KmObject *object, KmSection *section, const void *data, gsize size, gsize align);

gboolean km_section_is_text(const KmSection *section);		/* allocated, executable, with bytes */
gboolean km_section_is_string(const KmSection *section);	/* SHF_MERGE and SHF_STRINGS */

/* Numbers in the object's byte order. The caller guarantees that the bytes are there. */
guint16 km_object_get_u16(const KmObject *object, const guint8 *p);
guint32 km_object_get_u32(const KmObject *object, const guint8 *p);
guint64 km_object_get_u64(const KmObject *object, const guint8 *p);
void km_object_put_u32(const KmObject *object, guint8 *p, guint32 value);
void km_object_put_u64(const KmObject *object, guint8 *p, guint64 value);
