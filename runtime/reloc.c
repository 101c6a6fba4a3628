// SPDX-License-Identifier: GPL-2.0-or-later
/* What the live patch's code and data refer to, filled in once it is known where that is. */
#include "core.h"

/* Code and constants cannot be written where they are used: the page gets a second address for a moment. */
static int kmend_write_in_page(void *to, const void *from, size_t size)
{
	struct page *page = vmalloc_to_page(to);
	void *alias = page ? vmap(&page, 1, VM_MAP, PAGE_KERNEL) : NULL;

	if (!alias)
		return -ENOMEM;
	memcpy(alias + offset_in_page(to), from, size);
	kmend_arch_written(alias + offset_in_page(to), size);
	vunmap(alias);
	return 0;
}

int kmend_write(void *to, const void *from, size_t size)
{
	size_t first = min_t(size_t, size, PAGE_SIZE - offset_in_page(to));
	int ret = kmend_write_in_page(to, from, first);

	if (!ret && first < size)
		ret = kmend_write_in_page(to + first, from + first, size - first);
	if (!ret)
		kmend_arch_written(to, size);
	return ret;
}

int kmend_relocate(const struct kmend_object *object, struct module *mod)
{
	unsigned long i;

	for (i = 0; i < object->nr_relocs; i++) {
		const struct kmend_reloc *r = &object->relocs[i];
		unsigned long value;
		int ret = kmend_where(r->symbol, mod, &value);

		if (!ret)
			ret = kmend_arch_relocate(r, value);
		if (!ret)
			continue;
		pr_err("cannot fill in the reference to %s (type %lu): error %d\n", r->symbol->name, r->type, ret);
		return ret;
	}
	return 0;
}
