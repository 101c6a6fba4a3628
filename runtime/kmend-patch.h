/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A live patch as data, as kmend's own runtime reads it. `kmend build` writes these structures into the module, so they are an interface:
 * every field is one machine word, and KMEND_PATCH_FORMAT changes when any of them does.
 *
 * Nothing here is looked up by name. The proof knows where each symbol lies in the kernel's image, or in which section of which module; the
 * runtime adds where that image or section stands now.
 */
#ifndef KMEND_PATCH_H
#define KMEND_PATCH_H

#include <linux/types.h>

struct module;

#define KMEND_PATCH_FORMAT 2UL

/* Something that the running kernel or one of its modules has. */
struct kmend_symbol {
	const char *object;	/* name of the module; NULL: the kernel itself */
	const char *section;	/* of that module: ".text"; NULL: the kernel itself */
	const char *name;	/* for messages */
	unsigned long address;	/* the kernel: as it was linked, before KASLR. A module: offset in the section */
	unsigned long index;	/* a module: of the symbol in the symbol table of its file; 0: there is none. The kernel: 0 */
};

/* A relocation of the live patch's own code or data that only the runtime can apply. */
struct kmend_reloc {
	void *place;
	const struct kmend_symbol *symbol;
	long addend;
	unsigned long type;	/* R_* of the architecture */
};

/* A stretch of code that belongs to a function: the function itself, or what the compiler moved out of line (.cold). */
struct kmend_part {
	const struct kmend_symbol *symbol;	/* NULL: it is in the live patch, at start */
	void *start;
	unsigned long size;
};

struct kmend_func {
	const struct kmend_part *old_parts;	/* the first one is the function: its start is the entry that is redirected */
	unsigned long nr_old_parts;
	const struct kmend_part *new_parts;	/* the first one is the replacement */
	unsigned long nr_new_parts;
	unsigned long sympos;	/* for the name in sysfs, as the kernel's livepatch core has it */
};

struct klp_object;

struct kmend_object {
	const char *name;	/* of the module; NULL: the kernel itself */
	const unsigned char *build_id;	/* of that module's file (.note.gnu.build-id); NULL: it has none, or the kernel itself */
	unsigned long build_id_size;
	const struct kmend_func *funcs;
	unsigned long nr_funcs;
	const struct kmend_reloc *relocs;	/* to be applied when the object is there; all symbols are there then too */
	unsigned long nr_relocs;
	int (*pre_patch)(struct klp_object *object);
	void (*post_patch)(struct klp_object *object);
	void (*pre_unpatch)(struct klp_object *object);
	void (*post_unpatch)(struct klp_object *object);
};

struct kmend_state {
	unsigned long id;
	unsigned long version;
	void *data;
};

struct kmend_patch {
	unsigned long format;	/* KMEND_PATCH_FORMAT */
	struct module *mod;
	const unsigned char *build_id;	/* of the kernel that it was made for */
	unsigned long build_id_size;
	const struct kmend_object *objects;	/* the kernel itself, if it is among them, comes first */
	unsigned long nr_objects;
	struct kmend_state *states;
	unsigned long nr_states;
	unsigned long replace;	/* all other live patches go when this one comes */
	const struct kmend_part *code;	/* all code of the live patch: it must be left before the module may go */
	unsigned long nr_code;
};

/*
 * Called by the live patch's init function. 0 when it is in force, else a negative error code, and then nothing has changed: -EBUSY when a
 * task stayed inside a function that is replaced. The module stays referenced until the live patch is disabled.
 */
int kmend_enable_patch(const struct kmend_patch *patch);

/* Called by its exit function: the patch has been disabled, or replaced, before. */
void kmend_remove_patch(const struct kmend_patch *patch);

#endif
