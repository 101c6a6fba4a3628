// SPDX-License-Identifier: GPL-2.0-or-later
/* Live patches coming and going. Everything here runs under one lock. */
#include "core.h"

static LIST_HEAD(kmend_lives);
static DEFINE_MUTEX(kmend_mutex);
/* A module on its way in that came by before the live patch did: sysfs does not know it yet. */
static struct module *kmend_coming;

/* ---- what leads where ---- */

struct kmend_ranges {
	struct kmend_range *all;
	unsigned int n, room;
};

static int kmend_add_range(struct kmend_ranges *ranges, unsigned long start, unsigned long size, bool entry, const char *name)
{
	if (ranges->n == ranges->room) {
		unsigned int room = ranges->room ? 2 * ranges->room : 16;
		struct kmend_range *all = krealloc(ranges->all, room * sizeof(*all), GFP_KERNEL);

		if (!all)
			return -ENOMEM;
		ranges->all = all;
		ranges->room = room;
	}
	ranges->all[ranges->n++] = (struct kmend_range){ start, start + size, entry ? start : 0, name };
	return 0;
}

/* The code of one version of a function: the kernel's own, or the live patch's. */
static int kmend_add_parts(struct kmend_ranges *ranges, const struct kmend_func *func, bool old, struct module *mod)
{
	const struct kmend_part *parts = old ? func->old_parts : func->new_parts;
	unsigned long i, n = old ? func->nr_old_parts : func->nr_new_parts;
	const char *name = func->old_parts[0].symbol->name;

	for (i = 0; i < n; i++) {
		unsigned long start = old ? kmend_where(parts[i].symbol, mod) : (unsigned long)parts[i].start;
		int ret = start ? kmend_add_range(ranges, start, parts[i].size, old && !i, name) : -ENOENT;

		if (ret)
			return ret;
	}
	return 0;
}

typedef int (*kmend_visit)(struct kmend_live *live, struct kmend_target *target, const struct kmend_func *func, void *data);

/* Every function of every live patch whose object is there; in the order of coming. */
static int kmend_each_func(kmend_visit visit, void *data)
{
	struct kmend_live *live;
	unsigned long o, f;
	int ret;

	list_for_each_entry(live, &kmend_lives, list)
		for (o = 0; o < live->patch->nr_objects; o++) {
			struct kmend_target *target = &live->targets[o];

			for (f = 0; target->there && f < target->object->nr_funcs; f++) {
				ret = visit(live, target, &target->object->funcs[f], data);
				if (ret)
					return ret;
			}
		}
	return 0;
}

static unsigned long kmend_old_address(const struct kmend_func *func, const struct kmend_target *target)
{
	return kmend_where(func->old_parts[0].symbol, target->mod);
}

/* Set where each entry is to lead: the last live patch that is wanted decides. */
static int kmend_plan(struct kmend_live *live, struct kmend_target *target, const struct kmend_func *func, void *unused)
{
	struct kmend_entry *entry = kmend_entry_find(kmend_old_address(func, target));

	if (entry && live->wanted)
		entry->next = (unsigned long)func->new_parts[0].start;
	return 0;
}

/* Where an entry will lead elsewhere, the code it leads to now must be empty of tasks. */
static int kmend_leave(struct kmend_live *live, struct kmend_target *target, const struct kmend_func *func, void *ranges)
{
	struct kmend_entry *entry = kmend_entry_find(kmend_old_address(func, target));

	if (!entry || entry->to == entry->next)
		return 0;
	if (!entry->to)
		return kmend_add_parts(ranges, func, true, target->mod);
	return entry->to == (unsigned long)func->new_parts[0].start ? kmend_add_parts(ranges, func, false, NULL) : 0;
}

/* Go over to the live patches that are wanted. */
static int kmend_settle(void)
{
	struct kmend_ranges ranges = {};
	struct kmend_entry *entry;
	int ret;

	list_for_each_entry(entry, &kmend_entries, list)
		entry->next = 0;
	kmend_each_func(kmend_plan, NULL);
	ret = kmend_each_func(kmend_leave, &ranges);
	if (!ret)
		ret = kmend_switch(ranges.all, ranges.n);
	kfree(ranges.all);
	return ret;
}

static void kmend_drop_unused_entries(void)
{
	struct kmend_entry *entry, *next;

	list_for_each_entry_safe(entry, next, &kmend_entries, list)
		if (!entry->to)
			kmend_entry_drop(entry);
}

/* ---- objects ---- */

static int kmend_prepare_funcs(struct kmend_target *target)
{
	unsigned long i;

	for (i = 0; i < target->object->nr_funcs; i++) {
		unsigned long address = kmend_old_address(&target->object->funcs[i], target);
		struct kmend_entry *entry = address ? kmend_entry_get(address, target->mod) : NULL;
		int ret = entry ? kmend_entry_register(entry) : address ? -ENOMEM : -ENOENT;

		if (ret)
			return ret;
	}
	return 0;
}

/* Its object is there: references, the author's callback, ways in that lead nowhere yet. */
static int kmend_prepare(struct kmend_target *target, struct module *mod)
{
	const struct kmend_object *object = target->object;
	int ret;

	if (mod && !kmend_same_module(object, mod))
		return -ENOEXEC;
	target->mod = mod;
	target->told.name = object->name;
	target->told.mod = mod;
	ret = kmend_relocate(object, mod);
	if (!ret && object->pre_patch)
		ret = object->pre_patch(&target->told);
	if (ret)
		return ret;
	target->there = true;
	ret = kmend_prepare_funcs(target);
	if (!ret)
		return 0;
	target->there = false;
	if (object->post_unpatch)
		object->post_unpatch(&target->told);
	return ret;
}

static void kmend_call(struct kmend_live *live, int kind)
{
	unsigned long o;

	for (o = 0; o < live->patch->nr_objects; o++) {
		struct kmend_target *target = &live->targets[o];
		void (*callback)(struct klp_object *) = kind == 0 ? target->object->post_patch
						      : kind == 1 ? target->object->pre_unpatch
								  : target->object->post_unpatch;

		if (target->there && callback)
			callback(&target->told);
	}
}

#define kmend_post_patch(live) kmend_call(live, 0)
#define kmend_pre_unpatch(live) kmend_call(live, 1)
#define kmend_post_unpatch(live) kmend_call(live, 2)

static struct module *kmend_module_of(const char *name)
{
	if (kmend_coming && !strcmp(kmend_coming->name, name))
		return kmend_coming;
	return kmend_find_module(name);
}

static int kmend_prepare_objects(struct kmend_live *live)
{
	unsigned long o;

	for (o = 0; o < live->patch->nr_objects; o++) {
		struct kmend_target *target = &live->targets[o];
		struct module *mod = target->object->name ? kmend_module_of(target->object->name) : NULL;
		int ret = target->object->name && !mod ? 0 : kmend_prepare(target, mod);

		if (ret)
			return ret;
	}
	return 0;
}

/* ---- coming ---- */

static const struct kmend_state *kmend_state_of(const struct kmend_patch *patch, unsigned long id)
{
	unsigned long i;

	for (i = 0; i < patch->nr_states; i++)
		if (patch->states[i].id == id)
			return &patch->states[i];
	return NULL;
}

/* Whoever replaces another must know all that it changed. */
static bool kmend_knows_states(const struct kmend_patch *patch)
{
	struct kmend_live *live;
	unsigned long i;

	list_for_each_entry(live, &kmend_lives, list)
		for (i = 0; i < live->patch->nr_states; i++) {
			const struct kmend_state *old = &live->patch->states[i], *new = kmend_state_of(patch, old->id);

			if (new ? new->version >= old->version : !patch->replace)
				continue;
			pr_err("%s does not have state %lu of %s in version %lu or later\n", patch->mod->name, old->id,
			       live->patch->mod->name, old->version);
			return false;
		}
	return true;
}

static void kmend_free(struct kmend_live *live)
{
	kfree(live->targets);
	kfree(live);
}

/* Apart from everything else: who disabled it may stand in its own directory. */
static void kmend_drop(struct work_struct *work)
{
	struct kmend_live *live = container_of(work, struct kmend_live, drop);
	struct module *mod = live->patch->mod;

	kmend_sysfs_remove(live);
	kmend_free(live);
	module_put(mod);
}

static struct kmend_live *kmend_new(const struct kmend_patch *patch)
{
	struct kmend_live *live = kzalloc(sizeof(*live), GFP_KERNEL);
	unsigned long o;

	if (!live)
		return NULL;
	live->patch = patch;
	INIT_WORK(&live->drop, kmend_drop);
	live->targets = kcalloc(patch->nr_objects, sizeof(*live->targets), GFP_KERNEL);
	if (!live->targets) {
		kfree(live);
		return NULL;
	}
	for (o = 0; o < patch->nr_objects; o++) {
		live->targets[o].live = live;
		live->targets[o].object = &patch->objects[o];
	}
	return live;
}

static void kmend_want_others(struct kmend_live *but, bool wanted)
{
	struct kmend_live *live;

	list_for_each_entry(live, &kmend_lives, list)
		if (live != but)
			live->wanted = wanted;
}

static void kmend_drop_replaced(struct kmend_live *by)
{
	struct kmend_live *live, *next;

	list_for_each_entry_safe(live, next, &kmend_lives, list) {
		if (live == by || live->wanted)
			continue;
		list_del(&live->list);
		schedule_work(&live->drop);
	}
}

static int kmend_bring_in(struct kmend_live *live)
{
	int ret = kmend_prepare_objects(live);

	if (!ret) {
		live->wanted = true;
		kmend_want_others(live, !live->patch->replace);
		ret = kmend_settle();
	}
	if (!ret)
		ret = kmend_sysfs_add(live);
	if (!ret) {
		kmend_post_patch(live);
		kmend_drop_replaced(live);
		return 0;
	}
	/* As before: the others have not gone. */
	live->wanted = false;
	kmend_want_others(live, true);
	if (ret != -EBUSY)
		kmend_settle();
	kmend_post_unpatch(live);
	return ret;
}

int kmend_enable_patch(const struct kmend_patch *patch)
{
	struct kmend_live *live;
	int ret;

	if (patch->format != KMEND_PATCH_FORMAT || !kmend_same_kernel(patch))
		return -ENOEXEC;
	if (!try_module_get(patch->mod))
		return -ENODEV;
	mutex_lock(&kmend_mutex);
	live = kmend_knows_states(patch) ? kmend_new(patch) : ERR_PTR(-EINVAL);
	ret = IS_ERR(live) ? PTR_ERR(live) : live ? 0 : -ENOMEM;
	if (!ret) {
		list_add_tail(&live->list, &kmend_lives);
		ret = kmend_bring_in(live);
		if (ret) {
			list_del(&live->list);
			kmend_free(live);
		}
		kmend_drop_unused_entries();
	}
	mutex_unlock(&kmend_mutex);
	if (ret)
		module_put(patch->mod);
	else
		pr_info("%s is in force\n", patch->mod->name);
	return ret;
}

/* ---- going ---- */

int kmend_disable(struct kmend_live *live)
{
	int ret;

	mutex_lock(&kmend_mutex);
	ret = live->wanted ? 0 : -EINVAL;
	if (!ret) {
		kmend_pre_unpatch(live);
		live->wanted = false;
		ret = kmend_settle();
		live->wanted = ret != 0;
	}
	if (!ret) {
		kmend_post_unpatch(live);
		list_del(&live->list);
		kmend_drop_unused_entries();
		pr_info("%s is no longer in force\n", live->patch->mod->name);
		schedule_work(&live->drop);
	}
	mutex_unlock(&kmend_mutex);
	return ret;
}

/* The module could not be removed as long as the live patch held it. */
void kmend_remove_patch(const struct kmend_patch *patch)
{
	struct kmend_live *live;

	mutex_lock(&kmend_mutex);
	list_for_each_entry(live, &kmend_lives, list)
		WARN_ON(live->patch == patch);
	mutex_unlock(&kmend_mutex);
}

/* ---- modules that come later ---- */

static int kmend_target_coming(struct kmend_target *target, struct module *mod)
{
	int ret = kmend_prepare(target, mod);

	if (ret)
		pr_err("%s: %s cannot be patched by it (error %d): not loaded\n", mod->name, mod->name, ret);
	return ret;
}

static void kmend_targets_gone(struct module *mod)
{
	struct kmend_live *live;
	unsigned long o;

	list_for_each_entry(live, &kmend_lives, list)
		for (o = 0; o < live->patch->nr_objects; o++) {
			struct kmend_target *target = &live->targets[o];

			if (!target->there || target->mod != mod)
				continue;
			if (target->object->pre_unpatch)
				target->object->pre_unpatch(&target->told);
			target->there = false;
			if (target->object->post_unpatch)
				target->object->post_unpatch(&target->told);
			target->mod = NULL;
		}
}

static void kmend_entries_gone(struct module *mod)
{
	struct kmend_entry *entry, *next;

	list_for_each_entry_safe(entry, next, &kmend_entries, list)
		if (entry->mod == mod)
			kmend_entry_drop(entry);
}

/* Nobody runs its code yet, so its functions can be led to the new ones at once. */
static int kmend_coming_to(struct kmend_live *live, struct module *mod)
{
	unsigned long o;

	for (o = 0; o < live->patch->nr_objects; o++) {
		struct kmend_target *target = &live->targets[o];
		int ret = !target->object->name || strcmp(target->object->name, mod->name)
				  ? 0
				  : kmend_target_coming(target, mod);

		if (ret)
			return ret;
		if (target->mod == mod && target->object->post_patch)
			target->object->post_patch(&target->told);
	}
	return 0;
}

static int kmend_lead(struct kmend_live *live, struct kmend_target *target, const struct kmend_func *func, void *mod)
{
	struct kmend_entry *entry = target->mod == mod ? kmend_entry_find(kmend_old_address(func, target)) : NULL;

	if (entry)
		WRITE_ONCE(entry->to, (unsigned long)func->new_parts[0].start);
	return 0;
}

int kmend_module_coming(struct module *mod)
{
	struct kmend_live *live;
	int ret = 0;

	mutex_lock(&kmend_mutex);
	list_for_each_entry(live, &kmend_lives, list) {
		ret = kmend_coming_to(live, mod);
		if (ret)
			break;
	}
	if (!ret) {
		kmend_each_func(kmend_lead, mod);
		kmend_coming = mod;
	} else {
		kmend_targets_gone(mod);
		kmend_entries_gone(mod);
	}
	mutex_unlock(&kmend_mutex);
	return ret;
}

void kmend_module_going(struct module *mod)
{
	mutex_lock(&kmend_mutex);
	if (kmend_coming == mod)
		kmend_coming = NULL;
	if (mod->state == MODULE_STATE_GOING) {
		kmend_targets_gone(mod);
		kmend_entries_gone(mod);
	}
	mutex_unlock(&kmend_mutex);
}
