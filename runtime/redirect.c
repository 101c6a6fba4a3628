// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls of a function led elsewhere, by ftrace. */
#include "core.h"

/* A handler may set the program counter where ftrace gives it that much, or else all registers. */
#if defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS) && !defined(KMEND_ARCH_NEEDS_REGS)
#define KMEND_FTRACE_FLAGS 0
#else
#define KMEND_FTRACE_FLAGS FTRACE_OPS_FL_SAVE_REGS
#endif

static LIST_HEAD(kmend_entries);

/* Calls nothing, so there is nothing that could come back here. */
static void notrace kmend_redirect(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
				   struct ftrace_regs *fregs)
{
	unsigned long to = READ_ONCE(container_of(ops, struct kmend_entry, ops)->to);

	if (to)
		kmend_arch_go_on_at(fregs, to);
}

struct kmend_entry *kmend_entry_find(unsigned long address)
{
	struct kmend_entry *entry;

	list_for_each_entry(entry, &kmend_entries, list) if (entry->address == address) return entry;
	return NULL;
}

/* Found, or made; it leads nowhere yet. */
struct kmend_entry *kmend_entry_get(unsigned long address, struct module *mod)
{
	struct kmend_entry *entry = kmend_entry_find(address);

	if (entry)
		return entry;
	entry = kzalloc(sizeof(*entry), GFP_KERNEL);
	if (!entry)
		return NULL;
	entry->address = address;
	entry->mod = mod;
	entry->ops.func = kmend_redirect;
	entry->ops.flags =
		KMEND_FTRACE_FLAGS | FTRACE_OPS_FL_DYNAMIC | FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT;
	list_add_tail(&entry->list, &kmend_entries);
	return entry;
}

int kmend_entry_register(struct kmend_entry *entry)
{
	int ret;

	if (entry->registered)
		return 0;
	ret = ftrace_set_filter_ip(&entry->ops, entry->address, 0, 0);
	if (!ret) {
		ret = register_ftrace_function(&entry->ops);
		if (ret)
			ftrace_set_filter_ip(&entry->ops, entry->address, 1, 0);
	}
	entry->registered = !ret;
	if (ret)
		pr_err("cannot redirect %pS: error %d%s\n", (void *)entry->address, ret,
		       ret == -EBUSY ? " (something else redirects it)" : "");
	return ret;
}

/* Also waits until no task is in the handler. */
void kmend_entry_drop(struct kmend_entry *entry)
{
	if (entry->registered) {
		unregister_ftrace_function(&entry->ops);
		ftrace_set_filter_ip(&entry->ops, entry->address, 1, 0);
		ftrace_free_filter(&entry->ops);
	}
	list_del(&entry->list);
	kfree(entry);
}
