// SPDX-License-Identifier: GPL-2.0-or-later
/* A directory for each live patch, as the kernel's livepatch core has it: NAME/{enabled,transition,replace}, NAME/OBJECT/FUNCTION,POSITION. */
#include "core.h"

static struct kobject *kmend_root;

/* ---- files ---- */

struct kmend_dir {
	struct kobject kobj;
	struct kmend_live *live;
};

static struct kmend_live *kmend_live_of(struct kobject *kobj)
{
	return container_of(kobj, struct kmend_dir, kobj)->live;
}

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attribute, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(kmend_live_of(kobj)->wanted));
}

static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attribute, const char *buf, size_t size)
{
	bool on;
	int ret = kstrtobool(buf, &on);

	if (!ret)
		ret = on ? -EINVAL : kmend_disable(kmend_live_of(kobj));
	return ret ? ret : size;
}

/* All tasks go over at once, but that is tried more than once. */
static ssize_t transition_show(struct kobject *kobj, struct kobj_attribute *attribute, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(kmend_live_of(kobj)->switching));
}

static ssize_t replace_show(struct kobject *kobj, struct kobj_attribute *attribute, char *buf)
{
	return sysfs_emit(buf, "%lu\n", kmend_live_of(kobj)->patch->replace);
}

static struct kobj_attribute kmend_enabled = __ATTR(enabled, 0644, enabled_show, enabled_store);
static struct kobj_attribute kmend_transition = __ATTR(transition, 0444, transition_show, NULL);
static struct kobj_attribute kmend_replace = __ATTR(replace, 0444, replace_show, NULL);

static struct attribute *kmend_files_attrs[] = { &kmend_enabled.attr, &kmend_transition.attr, &kmend_replace.attr, NULL };
ATTRIBUTE_GROUPS(kmend_files);

static void kmend_dir_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct kmend_dir, kobj));
}

static struct kobj_type kmend_type = {
	.release = kmend_dir_release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = kmend_files_groups,
};

/* ---- directories ---- */

static struct kobject *kmend_below(struct kmend_live *live, const char *name, struct kobject *parent)
{
	struct kobject *kobj = kobject_create_and_add(name, parent);

	if (kobj)
		live->below[live->nr_below++] = kobj;
	return kobj;
}

static int kmend_add_funcs(struct kmend_live *live, const struct kmend_object *object, struct kobject *dir)
{
	unsigned long i;

	for (i = 0; i < object->nr_funcs; i++) {
		const struct kmend_func *func = &object->funcs[i];
		char *name = kasprintf(GFP_KERNEL, "%s,%lu", func->old_parts[0].symbol->name, func->sympos);
		bool made = name && kmend_below(live, name, dir);

		kfree(name);
		if (!made)
			return -ENOMEM;
	}
	return 0;
}

static int kmend_add_objects(struct kmend_live *live)
{
	const struct kmend_patch *patch = live->patch;
	unsigned long i, n = patch->nr_objects;

	for (i = 0; i < patch->nr_objects; i++)
		n += patch->objects[i].nr_funcs;
	live->below = kcalloc(n, sizeof(*live->below), GFP_KERNEL);
	if (!live->below)
		return -ENOMEM;
	for (i = 0; i < patch->nr_objects; i++) {
		const struct kmend_object *object = &patch->objects[i];
		struct kobject *dir = kmend_below(live, object->name ? object->name : "vmlinux", live->dir);
		int ret = dir ? kmend_add_funcs(live, object, dir) : -ENOMEM;

		if (ret)
			return ret;
	}
	return 0;
}

int kmend_sysfs_add(struct kmend_live *live)
{
	struct kmend_dir *dir = kzalloc(sizeof(*dir), GFP_KERNEL);
	int ret;

	if (!dir)
		return -ENOMEM;
	dir->live = live;
	live->dir = &dir->kobj;
	ret = kobject_init_and_add(live->dir, &kmend_type, kmend_root, "%s", live->patch->mod->name);
	if (!ret)
		ret = kmend_add_objects(live);
	if (ret)
		kmend_sysfs_remove(live);
	return ret;
}

/* Waits for whoever reads or writes there. */
void kmend_sysfs_remove(struct kmend_live *live)
{
	while (live->nr_below)
		kobject_put(live->below[--live->nr_below]);
	kfree(live->below);
	live->below = NULL;
	if (live->dir) {
		kobject_del(live->dir);
		kobject_put(live->dir);
	}
	live->dir = NULL;
}

/* Where the livepatch core has its own directory, ours is beside it. */
int kmend_sysfs_init(void)
{
	kmend_root = kobject_create_and_add(IS_ENABLED(CONFIG_LIVEPATCH) ? "kmend" : "livepatch", kernel_kobj);
	return kmend_root ? 0 : -ENOMEM;
}

void kmend_sysfs_exit(void)
{
	kobject_put(kmend_root);
}
