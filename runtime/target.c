// SPDX-License-Identifier: GPL-2.0-or-later
/* Is this the kernel, and where is everything in it now? */
#include "core.h"

static long kmend_offset; /* from where the kernel was linked to where it runs (KASLR) */

/* Addresses that the loader filled in, and what they were linked to be: all must have moved by the same distance. */
static const struct {
	const char *name;
	unsigned long here, link;
} kmend_anchors[] = { KMEND_LINK_ANCHORS };

static const unsigned char kmend_build_id[] = { KMEND_BUILD_ID };

unsigned long kmend_running(unsigned long link)
{
	return link + kmend_offset;
}

int kmend_target_init(void)
{
	unsigned int i;

	kmend_offset = kmend_anchors[0].here - kmend_anchors[0].link;
	for (i = 1; i < ARRAY_SIZE(kmend_anchors); i++)
		if (kmend_anchors[i].here - kmend_anchors[i].link != kmend_offset) {
			pr_err("%s is not where this runtime's kernel has it: another kernel\n", kmend_anchors[i].name);
			return -ENOEXEC;
		}
	if (!memcmp((void *)kmend_running(KMEND_LINK_BUILD_ID), kmend_build_id, sizeof(kmend_build_id)))
		return 0;
	pr_err("the running kernel has build-id %*phN, this runtime is for %*phN\n", (int)sizeof(kmend_build_id),
	       (void *)kmend_running(KMEND_LINK_BUILD_ID), (int)sizeof(kmend_build_id), kmend_build_id);
	return -ENOEXEC;
}

bool kmend_same_kernel(const struct kmend_patch *patch)
{
	if (patch->build_id_size == sizeof(kmend_build_id) &&
	    !memcmp(patch->build_id, kmend_build_id, sizeof(kmend_build_id)))
		return true;
	pr_err("%s is for the kernel with build-id %*phN, this one has %*phN\n", patch->mod->name,
	       (int)min(patch->build_id_size, 64UL), patch->build_id, (int)sizeof(kmend_build_id), kmend_build_id);
	return false;
}

/* ---- modules ---- */

/* Every module's directory in sysfs is in the set that ours is in. */
struct module *kmend_find_module(const char *name)
{
	struct kobject *found = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, name);
	struct module *mod = found ? container_of(found, struct module_kobject, kobj)->mod : NULL;

	if (mod && mod->state != MODULE_STATE_LIVE && mod->state != MODULE_STATE_COMING)
		mod = NULL;
	kobject_put(found);
	return mod;
}

/* Start of a section of a loaded module, as sysfs shows it; 0 while it has not got so far. */
static unsigned long kmend_section(struct module *mod, const char *name)
{
	const struct attribute_group *group = (const void *)mod->sect_attrs;
	unsigned int i;

	for (i = 0; group && group->bin_attrs && group->bin_attrs[i]; i++) {
		const struct bin_attribute *attribute = group->bin_attrs[i];
		/* Newer kernels keep the address in the attribute, older ones behind it. */
		unsigned long at =
			attribute->private ? (unsigned long)attribute->private : *(unsigned long *)(attribute + 1);

		if (!strcmp(attribute->attr.name, name))
			return within_module(at, mod) ? at : 0;
	}
	return 0;
}

/* In the module's own symbol table, all of which is there while it loads. How many have the name; at: where the last of them is. */
static unsigned int kmend_named(struct module *mod, const char *name, unsigned long *at)
{
	const struct mod_kallsyms *symbols = rcu_dereference_raw(mod->kallsyms);
	unsigned int i, n = 0;

	for (i = 0; symbols && i < symbols->num_symtab; i++) {
		const Elf_Sym *symbol = &symbols->symtab[i];

		if (symbol->st_shndx == SHN_UNDEF || strcmp(symbols->strtab + symbol->st_name, name))
			continue;
		*at = symbol->st_value;
		n++;
	}
	return n;
}

static int kmend_in_module(const struct kmend_symbol *symbol, struct module *mod, unsigned long *address)
{
	unsigned long start;

#ifdef CONFIG_SMP
	if (!strcmp(symbol->section, ".data..percpu")) {
		*address = (unsigned long)mod->percpu + symbol->address;
		return 0;
	}
#endif
	start = kmend_section(mod, symbol->section);
	if (start) {
		*address = start + symbol->address;
		return 0;
	}
	if (kmend_named(mod, symbol->name, address) == 1 && within_module(*address, mod))
		return 0;
	pr_err("cannot tell where %s of %s is\n", symbol->name, symbol->object);
	return -ENOENT;
}

int kmend_where(const struct kmend_symbol *symbol, struct module *mod, unsigned long *address)
{
	if (!symbol->object) {
		*address = kmend_arch_is_offset(symbol->address) ? symbol->address : kmend_running(symbol->address);
		return 0;
	}
	if (!mod || strcmp(mod->name, symbol->object))
		mod = kmend_find_module(symbol->object);
	if (mod)
		return kmend_in_module(symbol, mod, address);
	pr_err("%s: module %s is not loaded\n", symbol->name, symbol->object);
	return -ENOENT;
}

#ifdef CONFIG_STACKTRACE_BUILD_ID
static bool kmend_has_build_id(struct module *mod, const unsigned char *id, size_t size)
{
	return size == sizeof(mod->build_id) && !memcmp(mod->build_id, id, size);
}
#else
/* A GNU note with that build-id, anywhere in a page of the module that is no start-up memory. */
static bool kmend_page_has_note(unsigned long page, const unsigned char *id, size_t size)
{
	const u32 head[] = { 4, size, 3, *(const u32 *)"GNU" };
	unsigned long at;

	for (at = page; at + sizeof(head) + size <= page + PAGE_SIZE; at += 4)
		if (!memcmp((void *)at, head, sizeof(head)) && !memcmp((void *)at + sizeof(head), id, size))
			return true;
	return false;
}

/* While a module loads nothing says where its notes are, but it has them in its memory, between its symbols. */
static bool kmend_has_build_id(struct module *mod, const unsigned char *id, size_t size)
{
	const struct mod_kallsyms *symbols = rcu_dereference_raw(mod->kallsyms);
	unsigned long low = ULONG_MAX, high = 0, page;
	unsigned int i;

	for (i = 0; symbols && i < symbols->num_symtab; i++) {
		unsigned long value = symbols->symtab[i].st_value;

		if (symbols->symtab[i].st_shndx == SHN_UNDEF || !within_module_core(value, mod))
			continue;
		low = min(low, value & PAGE_MASK);
		high = max(high, value);
	}
	for (page = low; page <= high; page += PAGE_SIZE)
		if (within_module_core(page, mod) && kmend_page_has_note(page, id, size))
			return true;
	return false;
}
#endif

bool kmend_same_module(const struct kmend_object *object, struct module *mod)
{
	if (object->build_id && kmend_has_build_id(mod, object->build_id, object->build_id_size))
		return true;
	pr_err("module %s is not the one that the live patch is for (build-id)\n", mod->name);
	return false;
}
