// SPDX-License-Identifier: GPL-2.0-or-later
/* Live patches coming and going. Everything here runs under one lock. */
#include "core.h"

static LIST_HEAD(kmend_lives);
static DEFINE_MUTEX(kmend_mutex);
static struct workqueue_struct *kmend_works;

/* A module on its way in: it has come by here, and sysfs may not know it yet. */
struct kmend_coming {
	struct list_head list;
	struct module *mod;
};
static LIST_HEAD(kmend_comings);

/* ---- what leads where ---- */

struct kmend_ranges {
	struct kmend_range *all;
	unsigned int n, room;
};

static int kmend_add_range(struct kmend_ranges *ranges, unsigned long start, unsigned long size, bool entry,
			   const char *name)
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
		unsigned long start = (unsigned long)parts[i].start;
		int ret = old ? kmend_where(parts[i].symbol, mod, &start) : 0;

		if (!ret)
			ret = kmend_add_range(ranges, start, parts[i].size, old && !i, name);
		if (ret)
			return ret;
	}
	return 0;
}

/* entry: where its calls come by. */
typedef int (*kmend_visit)(struct kmend_target *target, const struct kmend_func *func, struct kmend_entry *entry,
			   void *data);

/* Every function of every live patch whose object is there; in the order of coming. */
static int kmend_each_func(kmend_visit visit, void *data)
{
	struct kmend_live *live;
	unsigned long o, f;
	int ret;

	list_for_each_entry(live, &kmend_lives, list) for (o = 0; o < live->patch->nr_objects; o++)
	{
		struct kmend_target *target = &live->targets[o];

		for (f = 0; target->there && f < target->object->nr_funcs; f++) {
			ret = visit(target, &target->object->funcs[f], target->entries[f], data);
			if (ret)
				return ret;
		}
	}
	return 0;
}

/* Set where each entry is to lead: the last live patch that is wanted decides. */
static int kmend_plan(struct kmend_target *target, const struct kmend_func *func, struct kmend_entry *entry,
		      void *unused)
{
	if (target->live->wanted)
		entry->next = (unsigned long)func->new_parts[0].start;
	return 0;
}

/* Where an entry will lead elsewhere, the code it leads to now must be empty of tasks. */
static int kmend_leave(struct kmend_target *target, const struct kmend_func *func, struct kmend_entry *entry,
		       void *ranges)
{
	if (entry->to == entry->next)
		return 0;
	if (!entry->to)
		return kmend_add_parts(ranges, func, true, target->mod);
	return entry->to == (unsigned long)func->new_parts[0].start ? kmend_add_parts(ranges, func, false, NULL) : 0;
}

/* A replacement can end with a jump to other code of its live patch, and is on no stack from there on. */
static int kmend_leave_code(struct kmend_ranges *ranges)
{
	struct kmend_live *live;
	unsigned long i;
	int ret = 0;

	list_for_each_entry(live, &kmend_lives, list)
		for (i = 0; !ret && !live->wanted && i < live->patch->nr_code; i++)
			ret = kmend_add_range(ranges, (unsigned long)live->patch->code[i].start,
					      live->patch->code[i].size, false, live->patch->mod->name);
	return ret;
}

/* Go over to the live patches that are wanted. When that fails, nothing has changed. */
static noinline int kmend_settle(void)
{
	struct kmend_ranges ranges = {};
	struct kmend_entry *entry;
	int ret;

	list_for_each_entry(entry, &kmend_entries, list) entry->next = 0;
	kmend_each_func(kmend_plan, NULL);
	ret = kmend_each_func(kmend_leave, &ranges);
	if (!ret)
		ret = kmend_leave_code(&ranges);
	if (!ret)
		ret = kmend_switch(ranges.all, ranges.n);
	kfree(ranges.all);
	return ret;
}

static void kmend_drop_unused_entries(void)
{
	struct kmend_entry *entry, *next;

	list_for_each_entry_safe(entry, next, &kmend_entries, list) if (!entry->to) kmend_entry_drop(entry);
}

/* ---- objects ---- */

static int kmend_prepare_func(struct kmend_target *target, unsigned long i)
{
	unsigned long address;
	int ret = kmend_where(target->object->funcs[i].old_parts[0].symbol, target->mod, &address);

	if (ret)
		return ret;
	target->entries[i] = kmend_entry_get(address, target->mod);
	return target->entries[i] ? kmend_entry_register(target->entries[i]) : -ENOMEM;
}

/* Its object is there: references, ways in that lead nowhere yet, and the author's callback, after which nothing of this fails. */
static int kmend_prepare(struct kmend_target *target, struct module *mod)
{
	const struct kmend_object *object = target->object;
	unsigned long i;
	int ret;

	if (mod && !kmend_same_module(object, mod))
		return -ENOEXEC;
	target->mod = mod;
	target->told.name = object->name;
	target->told.mod = mod;
	ret = kmend_relocate(object, mod);
	for (i = 0; !ret && i < object->nr_funcs; i++)
		ret = kmend_prepare_func(target, i);
	if (!ret && object->pre_patch)
		ret = object->pre_patch(&target->told);
	target->there = !ret;
	return ret;
}

static void kmend_call(struct kmend_live *live, int kind)
{
	unsigned long o;

	for (o = 0; o < live->patch->nr_objects; o++) {
		struct kmend_target *target = &live->targets[o];
		void (*callback)(struct klp_object *) = kind == 0   ? target->object->post_patch
							: kind == 1 ? target->object->pre_unpatch
								    : target->object->post_unpatch;

		if (target->there && callback)
			callback(&target->told);
	}
}

#define kmend_post_patch(live) kmend_call(live, 0)
#define kmend_pre_unpatch(live) kmend_call(live, 1)
#define kmend_post_unpatch(live) kmend_call(live, 2)

static struct kmend_coming *kmend_coming_find(const struct module *mod, const char *name)
{
	struct kmend_coming *coming;

	list_for_each_entry(coming, &kmend_comings,
			    list) if (coming->mod == mod || (name && !strcmp(coming->mod->name, name))) return coming;
	return NULL;
}

static struct module *kmend_module_of(const char *name)
{
	struct kmend_coming *coming = kmend_coming_find(NULL, name);

	return coming ? coming->mod : kmend_find_module(name);
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

	list_for_each_entry(live, &kmend_lives, list) for (i = 0; i < live->patch->nr_states; i++)
	{
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
	unsigned long o;

	for (o = 0; live->targets && o < live->patch->nr_objects; o++)
		kfree(live->targets[o].entries);
	kfree(live->targets);
	kfree(live);
}

/* Not under the lock: whoever stands in a file of its directory may wait for that. */
static void kmend_forget(struct kmend_live *live)
{
	struct module *mod = live->patch->mod;

	kmend_sysfs_remove(live);
	kmend_free(live);
	module_put(mod);
}

/* Apart from everything else: who disabled it may stand in its own directory. */
static void kmend_drop(struct work_struct *work)
{
	kmend_forget(container_of(work, struct kmend_live, drop));
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
	for (o = 0; live->targets && o < patch->nr_objects; o++) {
		struct kmend_target *target = &live->targets[o];

		target->live = live;
		target->object = &patch->objects[o];
		target->entries = kcalloc(target->object->nr_funcs, sizeof(*target->entries), GFP_KERNEL);
		if (!target->entries)
			break;
	}
	if (o == patch->nr_objects)
		return live;
	kmend_free(live);
	return NULL;
}

static void kmend_want_others(struct kmend_live *but, bool wanted)
{
	struct kmend_live *live;

	list_for_each_entry(live, &kmend_lives, list) if (live != but) live->wanted = wanted;
}

static void kmend_drop_replaced(struct kmend_live *by)
{
	struct kmend_live *live, *next;

	list_for_each_entry_safe(live, next, &kmend_lives, list)
	{
		if (live == by || live->wanted)
			continue;
		list_del(&live->list);
		queue_work(kmend_works, &live->drop);
	}
}

static int kmend_go_over(struct kmend_live *live)
{
	int ret;

	WRITE_ONCE(live->switching, true);
	WRITE_ONCE(live->wanted, true);
	kmend_want_others(live, !live->patch->replace);
	ret = kmend_settle();
	if (ret) {
		WRITE_ONCE(live->wanted, false);
		kmend_want_others(live, true);
	}
	WRITE_ONCE(live->switching, false);
	return ret;
}

/* All that can fail comes before the switch. */
static noinline int kmend_bring_in(struct kmend_live *live)
{
	int ret;

	list_add_tail(&live->list, &kmend_lives);
	ret = kmend_prepare_objects(live);
	if (!ret)
		ret = kmend_sysfs_add(live);
	if (!ret)
		ret = kmend_go_over(live);
	if (!ret) {
		kmend_post_patch(live);
		kmend_drop_replaced(live);
	} else {
		kmend_post_unpatch(live);
		list_del(&live->list);
	}
	kmend_drop_unused_entries();
	return ret;
}

int kmend_enable_patch(const struct kmend_patch *patch)
{
	struct kmend_live *live;
	int ret;

	if (patch->format != KMEND_PATCH_FORMAT || !kmend_same_kernel(patch))
		return -ENOEXEC;
	live = kmend_new(patch);
	if (!live)
		return -ENOMEM;
	if (!try_module_get(patch->mod)) {
		kmend_free(live);
		return -ENODEV;
	}
	mutex_lock(&kmend_mutex);
	kmend_switch_asked(__builtin_frame_address(0));
	ret = kmend_knows_states(patch) ? kmend_bring_in(live) : -EINVAL;
	mutex_unlock(&kmend_mutex);
	if (ret)
		kmend_forget(live);
	else
		pr_info("%s is in force\n", patch->mod->name);
	return ret;
}

/* ---- going ---- */

static noinline int kmend_take_out(struct kmend_live *live)
{
	int ret;

	kmend_pre_unpatch(live);
	WRITE_ONCE(live->switching, true);
	WRITE_ONCE(live->wanted, false);
	ret = kmend_settle();
	WRITE_ONCE(live->wanted, ret != 0);
	WRITE_ONCE(live->switching, false);
	if (ret) {
		/* It stays: as if it had just come. */
		kmend_post_patch(live);
		return ret;
	}
	kmend_post_unpatch(live);
	list_del(&live->list);
	kmend_drop_unused_entries();
	pr_info("%s is no longer in force\n", live->patch->mod->name);
	queue_work(kmend_works, &live->drop);
	return 0;
}

noinline int kmend_disable(struct kmend_live *live)
{
	int ret;

	mutex_lock(&kmend_mutex);
	kmend_switch_asked(__builtin_frame_address(0));
	ret = live->wanted ? kmend_take_out(live) : -EINVAL;
	mutex_unlock(&kmend_mutex);
	return ret;
}

/* The module could not be removed as long as the live patch held it. */
void kmend_remove_patch(const struct kmend_patch *patch)
{
	struct kmend_live *live;

	mutex_lock(&kmend_mutex);
	list_for_each_entry(live, &kmend_lives, list) WARN_ON(live->patch == patch);
	mutex_unlock(&kmend_mutex);
}

/* ---- modules that come later ---- */

/* led: its functions were led to the new ones already. */
static void kmend_target_gone(struct kmend_target *target, bool led)
{
	if (led && target->object->pre_unpatch)
		target->object->pre_unpatch(&target->told);
	target->there = false;
	if (target->object->post_unpatch)
		target->object->post_unpatch(&target->told);
	target->mod = NULL;
}

static void kmend_module_gone(struct module *mod, bool led)
{
	struct kmend_entry *entry, *next;
	struct kmend_live *live;
	unsigned long o;

	list_for_each_entry(live, &kmend_lives,
			    list) for (o = 0; o < live->patch->nr_objects;
				       o++) if (live->targets[o].there && live->targets[o].mod == mod)
		kmend_target_gone(&live->targets[o], led);
	list_for_each_entry_safe(entry, next, &kmend_entries, list) if (entry->mod == mod) kmend_entry_drop(entry);
}

static int kmend_prepare_module(struct module *mod)
{
	struct kmend_live *live;
	unsigned long o;
	int ret;

	list_for_each_entry(live, &kmend_lives, list) for (o = 0; o < live->patch->nr_objects; o++)
	{
		const char *name = live->patch->objects[o].name;

		if (!name || strcmp(name, mod->name))
			continue;
		ret = kmend_prepare(&live->targets[o], mod);
		if (!ret)
			continue;
		pr_err("%s cannot be patched by %s (error %d): not loaded\n", mod->name, live->patch->mod->name, ret);
		return ret;
	}
	return 0;
}

/* Nobody runs its code yet, so its functions can be led to the new ones at once. */
static int kmend_lead(struct kmend_target *target, const struct kmend_func *func, struct kmend_entry *entry, void *mod)
{
	if (target->mod == mod)
		WRITE_ONCE(entry->to, (unsigned long)func->new_parts[0].start);
	return 0;
}

static void kmend_post_patch_module(struct module *mod)
{
	struct kmend_live *live;
	unsigned long o;

	list_for_each_entry(live, &kmend_lives, list) for (o = 0; o < live->patch->nr_objects; o++)
	{
		struct kmend_target *target = &live->targets[o];

		if (target->there && target->mod == mod && target->object->post_patch)
			target->object->post_patch(&target->told);
	}
}

static void kmend_coming_drop(struct module *mod)
{
	struct kmend_coming *coming = kmend_coming_find(mod, NULL);

	if (!coming)
		return;
	list_del(&coming->list);
	kfree(coming);
}

int kmend_module_coming(struct module *mod)
{
	struct kmend_coming *coming = kzalloc(sizeof(*coming), GFP_KERNEL);
	int ret;

	if (!coming)
		return -ENOMEM;
	coming->mod = mod;
	mutex_lock(&kmend_mutex);
	ret = kmend_prepare_module(mod);
	if (!ret) {
		list_add(&coming->list, &kmend_comings);
		kmend_each_func(kmend_lead, mod);
		kmend_post_patch_module(mod);
	} else {
		kmend_module_gone(mod, false);
		kfree(coming);
	}
	mutex_unlock(&kmend_mutex);
	return ret;
}

void kmend_module_live(struct module *mod)
{
	mutex_lock(&kmend_mutex);
	kmend_coming_drop(mod);
	mutex_unlock(&kmend_mutex);
}

void kmend_module_going(struct module *mod)
{
	mutex_lock(&kmend_mutex);
	kmend_coming_drop(mod);
	kmend_module_gone(mod, true);
	mutex_unlock(&kmend_mutex);
}

/* ---- the runtime itself ---- */

int kmend_patch_init(void)
{
	kmend_works = alloc_workqueue("kmend", 0, 0);
	return kmend_works ? 0 : -ENOMEM;
}

/* Live patches hold the runtime, so none is there any more; what they left behind may still be at work. */
void kmend_patch_exit(void)
{
	struct kmend_coming *coming, *next;

	destroy_workqueue(kmend_works);
	list_for_each_entry_safe(coming, next, &kmend_comings, list) kfree(coming);
}
