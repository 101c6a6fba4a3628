// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Shadow variables, where the kernel has none: data that belongs to an object of the kernel and is found by its address and a number. It outlives the live patch
 * that made it, for the one that replaces that. The interface is that of Documentation/livepatch/shadow-vars.rst.
 */
#include "core.h"

#ifndef CONFIG_LIVEPATCH

#define KMEND_SHADOW_BITS 10

struct kmend_shadow {
	struct hlist_node node;
	struct rcu_head rcu;
	void *obj;
	unsigned long id;
	char data[] __aligned(__alignof__(unsigned long long));
};

static struct hlist_head kmend_shadows[1 << KMEND_SHADOW_BITS];
static DEFINE_SPINLOCK(kmend_shadow_lock);

static struct hlist_head *kmend_shadow_bucket(const void *obj)
{
	return &kmend_shadows[hash_ptr(obj, KMEND_SHADOW_BITS)];
}

/* Under the lock, or as a reader of RCU. */
static struct kmend_shadow *kmend_shadow_find(const void *obj, unsigned long id)
{
	struct kmend_shadow *shadow;

	hlist_for_each_entry_rcu(shadow, kmend_shadow_bucket(obj), node,
				 lockdep_is_held(&kmend_shadow_lock)) if (shadow->obj == obj &&
									  shadow->id == id) return shadow;
	return NULL;
}

void *klp_shadow_get(void *obj, unsigned long id)
{
	struct kmend_shadow *shadow;

	rcu_read_lock();
	shadow = kmend_shadow_find(obj, id);
	rcu_read_unlock();
	return shadow ? shadow->data : NULL;
}

/* What is there, or fresh becomes it; *used: whether it did. */
static void *kmend_shadow_place(struct kmend_shadow *fresh, klp_shadow_ctor_t ctor, void *ctor_data, bool *used)
{
	struct kmend_shadow *shadow;
	unsigned long flags;

	spin_lock_irqsave(&kmend_shadow_lock, flags);
	shadow = kmend_shadow_find(fresh->obj, fresh->id);
	*used = !shadow && !(ctor && ctor(fresh->obj, fresh->data, ctor_data));
	if (*used) {
		hlist_add_head_rcu(&fresh->node, kmend_shadow_bucket(fresh->obj));
		shadow = fresh;
	}
	spin_unlock_irqrestore(&kmend_shadow_lock, flags);
	return shadow ? shadow->data : NULL;
}

static void *kmend_shadow_make(void *obj, unsigned long id, size_t size, gfp_t gfp, klp_shadow_ctor_t ctor,
			       void *ctor_data, bool *used)
{
	struct kmend_shadow *fresh = kzalloc(sizeof(*fresh) + size, gfp);
	void *data;

	*used = false;
	if (!fresh)
		return NULL;
	fresh->obj = obj;
	fresh->id = id;
	data = kmend_shadow_place(fresh, ctor, ctor_data, used);
	if (!*used)
		kfree(fresh);
	return data;
}

void *klp_shadow_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp, klp_shadow_ctor_t ctor, void *ctor_data)
{
	bool used;
	void *data = kmend_shadow_make(obj, id, size, gfp, ctor, ctor_data, &used);

	WARN(data && !used, "kmend: %p has a shadow variable %lu already\n", obj, id);
	return used ? data : NULL;
}

void *klp_shadow_get_or_alloc(void *obj, unsigned long id, size_t size, gfp_t gfp, klp_shadow_ctor_t ctor,
			      void *ctor_data)
{
	void *data = klp_shadow_get(obj, id);
	bool used;

	return data ? data : kmend_shadow_make(obj, id, size, gfp, ctor, ctor_data, &used);
}

/* Under the lock. */
static void kmend_shadow_drop(struct kmend_shadow *shadow, klp_shadow_dtor_t dtor)
{
	hlist_del_rcu(&shadow->node);
	if (dtor)
		dtor(shadow->obj, shadow->data);
	kfree_rcu(shadow, rcu);
}

void klp_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor)
{
	struct kmend_shadow *shadow;
	unsigned long flags;

	spin_lock_irqsave(&kmend_shadow_lock, flags);
	shadow = kmend_shadow_find(obj, id);
	if (shadow)
		kmend_shadow_drop(shadow, dtor);
	spin_unlock_irqrestore(&kmend_shadow_lock, flags);
}

/* Those with that number, or all. */
static void kmend_shadow_drop_all(bool any, unsigned long id, klp_shadow_dtor_t dtor)
{
	struct kmend_shadow *shadow;
	struct hlist_node *next;
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&kmend_shadow_lock, flags);
	for (i = 0; i < ARRAY_SIZE(kmend_shadows); i++)
		hlist_for_each_entry_safe(shadow, next, &kmend_shadows[i], node) if (any || shadow->id == id)
			kmend_shadow_drop(shadow, dtor);
	spin_unlock_irqrestore(&kmend_shadow_lock, flags);
}

void klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor)
{
	kmend_shadow_drop_all(false, id, dtor);
}

/* The live patches that knew them are gone. */
static void kmend_shadow_exit(void)
{
	kmend_shadow_drop_all(true, 0, NULL);
}

#else
static void kmend_shadow_exit(void)
{
}
#endif
