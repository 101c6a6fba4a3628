/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmend's own runtime: what its files share. They are compiled as one unit, in the order of src/klp/runtime.gresource.xml, for one kernel, of which `kmend runtime`
 * puts what it knows before them (KMEND_LINK_*: addresses as that kernel was linked).
 */
#ifndef KMEND_CORE_H
#define KMEND_CORE_H

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/ftrace.h>
#include <linux/hash.h>
#include <linux/kallsyms.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/stop_machine.h>
#include <linux/sysfs.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#ifdef CONFIG_RETHOOK
#include <linux/rethook.h>
#endif
#ifdef CONFIG_LIVEPATCH
#include <linux/livepatch.h>
#else
/* As in include/kmend/kmend.h: what callbacks get. */
struct klp_object {
	const char *name;
	struct module *mod;
};
/* shadow.c: exported in the place of the kernel's. */
typedef int (*klp_shadow_ctor_t)(void *obj, void *shadow_data, void *ctor_data);
typedef void (*klp_shadow_dtor_t)(void *obj, void *shadow_data);
void *klp_shadow_get(void *obj, unsigned long id);
void *klp_shadow_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp, klp_shadow_ctor_t ctor, void *ctor_data);
void *klp_shadow_get_or_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp, klp_shadow_ctor_t ctor, void *ctor_data);
void klp_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor);
void klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor);
#endif

#include "kmend-patch.h"

#undef pr_fmt
#define pr_fmt(fmt) "kmend: " fmt

/* A live patch that is in force, or about to be. */
struct kmend_live {
	struct list_head list; /* in the order of coming: the last one that replaces a function counts */
	const struct kmend_patch *patch;
	bool wanted; /* after the switch that is being made */
	bool switching;
	struct kobject *dir;
	struct kobject **below; /* directories in dir */
	unsigned int nr_below;
	struct work_struct drop;
	struct kmend_target *targets; /* one for each of the patch's objects */
};

/* An object of a live patch as it is now. */
struct kmend_target {
	struct kmend_live *live;
	const struct kmend_object *object;
	bool there; /* patched, or about to be: the kernel itself, or a module that is loaded */
	struct module *mod; /* NULL: the kernel itself */
	struct kmend_entry **entries; /* of its functions, while it is there */
	struct klp_object told; /* for callbacks */
};

/* A function whose calls come by here. */
struct kmend_entry {
	struct list_head list;
	unsigned long address;
	struct module *mod; /* whose it is; NULL: the kernel's */
	unsigned long to; /* where calls go; 0: on to the function itself */
	unsigned long next; /* the same after the switch */
	bool registered;
	struct ftrace_ops ops;
};

/* A stretch of code that no task may be in. */
struct kmend_range {
	unsigned long start, end;
	unsigned long entry; /* in it: a task that is about to enter there comes by our handler yet; 0: no such place */
	const char *name;
};

/* target.c: where things are in the running kernel. */
int kmend_target_init(void);
bool kmend_same_kernel(const struct kmend_patch *patch);
/* Now, of what has that address in the kernel as it was linked. */
unsigned long kmend_running(unsigned long link);
/* A symbol's address; mod is the module it names, or NULL. An error, with a message: it cannot be told. */
int kmend_where(const struct kmend_symbol *symbol, struct module *mod, unsigned long *address);
/* The module of that name if it is loaded or about to run its init function. */
struct module *kmend_find_module(const char *name);
bool kmend_same_module(const struct kmend_object *object, struct module *mod);

/* reloc.c, arch: fill in what only now is known. */
int kmend_relocate(const struct kmend_object *object, struct module *mod);
int kmend_write(void *to, const void *from, size_t size);

/* redirect.c */
struct kmend_entry *kmend_entry_get(unsigned long address, struct module *mod);
struct kmend_entry *kmend_entry_find(unsigned long address);
int kmend_entry_register(struct kmend_entry *entry);
void kmend_entry_drop(struct kmend_entry *entry);

/* switch.c: the task that asks for a switch is in no code that is left below that frame of its stack, which the caller has. */
void kmend_switch_asked(void *frame);
/* Make every entry lead where its next says. -EBUSY when a task stayed in code that is left; nothing has changed then. */
int kmend_switch(struct kmend_range *ranges, unsigned int n);

/* sysfs.c */
int kmend_sysfs_init(void);
void kmend_sysfs_exit(void);
int kmend_sysfs_add(struct kmend_live *live);
void kmend_sysfs_remove(struct kmend_live *live);

/* patch.c */
int kmend_patch_init(void);
void kmend_patch_exit(void);
int kmend_disable(struct kmend_live *live);
int kmend_module_coming(struct module *mod);
void kmend_module_live(struct module *mod);
void kmend_module_going(struct module *mod);

#endif
