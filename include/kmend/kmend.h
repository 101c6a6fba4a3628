/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For authors of live patches: #include <kmend/kmend.h> in a file that the patch changes. docs/authors.md has an example of
 * each. Nothing in here becomes part of the module: kmend reads it from the compiled object and acts on it.
 */
#ifndef KMEND_KMEND_H
#define KMEND_KMEND_H

#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/stringify.h>
#ifdef CONFIG_LIVEPATCH
#include <linux/livepatch.h>
#else
#include <linux/types.h>
struct module;
/* What kmend's own runtime hands to callbacks: the module's name (NULL: the kernel itself) and the module. */
struct klp_object {
	const char *name;
	struct module *mod;
};
/* What it has in the place of the kernel's shadow variables. */
typedef int (*klp_shadow_ctor_t)(void *obj, void *shadow_data, void *ctor_data);
typedef void (*klp_shadow_dtor_t)(void *obj, void *shadow_data);
void *klp_shadow_get(void *obj, unsigned long id);
void *klp_shadow_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp, klp_shadow_ctor_t ctor, void *ctor_data);
void *klp_shadow_get_or_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp, klp_shadow_ctor_t ctor, void *ctor_data);
void klp_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor);
void klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor);
#endif

/* ---- callbacks ---- */

/*
 * Functions that run when the patch goes in and out of the object (vmlinux or a module) that this file belongs to:
 *
 *	static int my_pre_patch(struct klp_object *obj) { ... return 0; }
 *	KMEND_PRE_PATCH(my_pre_patch);
 *
 * At most one of each kind for an object. The signature is checked by the compiler.
 *
 * KMEND_PRE_PATCH	before any task runs new code; anything but 0 keeps the patch (or the module being loaded) out
 * KMEND_POST_PATCH	every task runs the new code
 * KMEND_PRE_UNPATCH	before the first task goes back to the old code
 * KMEND_POST_UNPATCH	no task runs the new code any more; also after a transition that was reverted
 */
#define KMEND_PRE_PATCH(fn) __KMEND_CALLBACK(int, pre_patch, fn)
#define KMEND_POST_PATCH(fn) __KMEND_CALLBACK(void, post_patch, fn)
#define KMEND_PRE_UNPATCH(fn) __KMEND_CALLBACK(void, pre_unpatch, fn)
#define KMEND_POST_UNPATCH(fn) __KMEND_CALLBACK(void, post_unpatch, fn)

#define __KMEND_CALLBACK(type, kind, fn)                                                             \
	static type (*const __kmend_##kind##_##fn)(struct klp_object *) __attribute__((__used__)) \
		__attribute__((__section__(".kmend.callbacks." #kind))) = fn

#ifdef CONFIG_LIVEPATCH
/* The live patch that a callback was called for. Not where kmend's own runtime puts it in. */
static inline struct klp_patch *kmend_patch(struct klp_object *obj)
{
	return container_of(obj->kobj.parent, struct klp_patch, kobj);
}
#endif

/* ---- states, for patches that replace earlier ones ---- */

/*
 * KMEND_STATE(id, version): this patch changes something outside the code (id: a constant, not 0), in this version of the change.
 * The kernel refuses a replacing patch that lacks the state of an installed one, or has an older version of it.
 */
#define KMEND_STATE(id, version) __KMEND_STATE(id, version, __LINE__)
#define __KMEND_STATE(id, version, line) __KMEND_STATE_ROW(id, version, line)
#define __KMEND_STATE_ROW(id, version, line)                                          \
	static const unsigned long __kmend_state_##line[2] __attribute__((__used__)) \
		__attribute__((__section__(".kmend.states"))) = { (id), (version) }

#ifdef CONFIG_LIVEPATCH
/* This patch's state; its data member is free for the callbacks' use. */
static inline struct klp_state *kmend_state(struct klp_object *obj, unsigned long id)
{
	return klp_get_state(kmend_patch(obj), id);
}

/* The installed patches' state, or NULL. Only while a patch goes in, or is turned back on the way. */
static inline struct klp_state *kmend_previous_state(unsigned long id)
{
	return klp_get_prev_state(id);
}
#endif

/* ---- shadow variables: new members of objects whose layout cannot change ---- */

/*
 * KMEND_SHADOW(name, id, owner, type): a variable of that type for each object of type owner that asks for one, zero at first.
 * id must differ from those of all other live patches. Defines
 *
 *	type *name_get(owner *obj)				NULL when the object has none
 *	type *name_get_or_alloc(owner *obj, gfp_t gfp)		NULL when memory is short
 *	void name_free(owner *obj)				call it where obj is freed
 *	void name_free_all(void)				call it from the post-unpatch callback
 */
#define KMEND_SHADOW(name, id, owner, type)                                                    \
	static inline __maybe_unused type *name##_get(owner *obj)                              \
	{                                                                                      \
		return klp_shadow_get(obj, id);                                                \
	}                                                                                      \
	static inline __maybe_unused type *name##_get_or_alloc(owner *obj, gfp_t gfp)          \
	{                                                                                      \
		return klp_shadow_get_or_alloc(obj, id, sizeof(type), gfp, NULL, NULL);        \
	}                                                                                      \
	static inline __maybe_unused void name##_free(owner *obj)                              \
	{                                                                                      \
		klp_shadow_free(obj, id, NULL);                                                \
	}                                                                                      \
	static inline __maybe_unused void name##_free_all(void)                                \
	{                                                                                      \
		klp_shadow_free_all(id, NULL);                                                 \
	}                                                                                      \
	struct __kmend_shadow_##name##_takes_a_semicolon

/* ---- what kmend shall not look at ---- */

/* The function changed, but the running kernel shall keep its own. */
#define KMEND_IGNORE_FUNCTION(fn) __KMEND_NAME("functions", __stringify(fn))
/* No difference in this section (a string: its name in the object file) matters. */
#define KMEND_IGNORE_SECTION(section) __KMEND_NAME("sections", section)

/* A string in a section, without a variable, whose name would have to be unique. */
#define __KMEND_NAME(what, name) \
	asm(".pushsection .kmend.ignore." what ", \"a\"\n\t.asciz \"" name "\"\n\t.popsection")

/* A message that does not make the compiler take the code around it for unlikely, as a plain printk() does. */
#define KMEND_PRINTK(fmt, ...)                       \
	({                                           \
		if (jiffies)                         \
			printk(fmt, ##__VA_ARGS__); \
	})

#endif
