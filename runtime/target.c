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

/* As sysfs shows it; NULL: there is no such section, or nothing is in it. Not for a module on its way in. */
static const struct bin_attribute *kmend_section(struct module *mod, const char *name)
{
	const struct attribute_group *group = (const void *)mod->sect_attrs;
	unsigned int i;

	for (i = 0; group && group->bin_attrs && group->bin_attrs[i]; i++)
		if (!strcmp(group->bin_attrs[i]->attr.name, name))
			return group->bin_attrs[i];
	return NULL;
}

/* Newer kernels keep the address in the attribute, older ones behind it. 0: the module has given it back since. */
static unsigned long kmend_section_start(struct module *mod, const struct bin_attribute *attribute)
{
	unsigned long at = attribute->private ? (unsigned long)attribute->private : *(unsigned long *)(attribute + 1);

	return within_module(at, mod) ? at : 0;
}

static const char *kmend_name_at(const struct mod_kallsyms *symbols, unsigned long index)
{
	return index < symbols->num_symtab && symbols->symtab[index].st_shndx != SHN_UNDEF
		       ? symbols->strtab + symbols->symtab[index].st_name
		       : "";
}

/*
 * While it loads: in the module's own symbol table, all of which is there yet. By its index, else by a name that it has once.
 */
static int kmend_in_table(const struct kmend_symbol *symbol, struct module *mod, unsigned long *address)
{
	const struct mod_kallsyms *symbols = rcu_dereference_raw(mod->kallsyms);
	unsigned long i, found = 0, n = 0;

	if (symbol->index && !strcmp(kmend_name_at(symbols, symbol->index), symbol->name)) {
		*address = symbols->symtab[symbol->index].st_value;
		return 0;
	}
	for (i = 1; i < symbols->num_symtab; i++)
		if (!strcmp(kmend_name_at(symbols, i), symbol->name)) {
			found = symbols->symtab[i].st_value;
			n++;
		}
	*address = found;
	return n == 1 && within_module(found, mod) ? 0 : -ENOENT;
}

/* The module is the one that the live patch was made for: a section that it does not show has nothing in it, and any place will do. */
static int kmend_in_sections(const struct kmend_symbol *symbol, struct module *mod, unsigned long *address)
{
	const struct bin_attribute *section = kmend_section(mod, symbol->section);
	unsigned long start = section ? kmend_section_start(mod, section) : (unsigned long)mod;

	*address = start + symbol->address;
	return start && (section || !symbol->address) ? 0 : -ENOENT;
}

static int kmend_in_module(const struct kmend_symbol *symbol, struct module *mod, unsigned long *address)
{
	int ret;

#ifdef CONFIG_SMP
	if (!strcmp(symbol->section, ".data..percpu")) {
		*address = (unsigned long)mod->percpu + symbol->address;
		return 0;
	}
#endif
	ret = mod->sect_attrs ? kmend_in_sections(symbol, mod, address) : kmend_in_table(symbol, mod, address);
	if (ret)
		pr_err("cannot tell where %s of %s is\n", symbol->name, symbol->object);
	return ret;
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
/* Is a GNU note with that build-id there? */
static bool kmend_is_note(unsigned long at, const unsigned char *id, size_t size)
{
	const u32 head[] = { 4, size, 3, *(const u32 *)"GNU" };

	return !memcmp((void *)at, head, sizeof(head)) && !memcmp((void *)at + sizeof(head), id, size);
}

/* In a page of the module that is no start-up memory. */
static bool kmend_page_has_note(unsigned long page, const unsigned char *id, size_t size)
{
	unsigned long at;

	for (at = page; at + 4 * sizeof(u32) + size <= page + PAGE_SIZE; at += 4)
		if (kmend_is_note(at, id, size))
			return true;
	return false;
}

/*
 * While a module loads nothing says where its notes are, but it has them in its memory, between its symbols. Later sysfs does, and many a kernel has
 * forgotten the symbols of data.
 */
static bool kmend_has_build_id(struct module *mod, const unsigned char *id, size_t size)
{
	const struct mod_kallsyms *symbols = rcu_dereference_raw(mod->kallsyms);
	const struct bin_attribute *note = kmend_section(mod, ".note.gnu.build-id");
	unsigned long low = ULONG_MAX, high = 0, page;
	unsigned int i;

	if (note)
		return kmend_section_start(mod, note) && kmend_is_note(kmend_section_start(mod, note), id, size);
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
