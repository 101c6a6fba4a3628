// SPDX-License-Identifier: GPL-2.0-or-later
/* The module itself. */
#include "core.h"

static int kmend_notify(struct notifier_block *block, unsigned long state, void *data)
{
	struct module *mod = data;

	if (state == MODULE_STATE_COMING)
		return notifier_from_errno(kmend_module_coming(mod));
	if (state == MODULE_STATE_LIVE)
		kmend_module_live(mod);
	if (state == MODULE_STATE_GOING)
		kmend_module_going(mod);
	return NOTIFY_OK;
}

static struct notifier_block kmend_notifier = { .notifier_call = kmend_notify };

int init_module(void);
int init_module(void)
{
	int ret = kmend_target_init();

	if (!ret)
		ret = kmend_patch_init();
	if (ret)
		return ret;
	ret = kmend_sysfs_init();
	if (ret)
		goto no_sysfs;
	ret = register_module_notifier(&kmend_notifier);
	if (!ret)
		return 0;
	kmend_sysfs_exit();
no_sysfs:
	kmend_patch_exit();
	return ret;
}

void cleanup_module(void);
void cleanup_module(void)
{
	unregister_module_notifier(&kmend_notifier);
	kmend_patch_exit();
	kmend_sysfs_exit();
	kmend_shadow_exit();
}

/* What a row of a table of exports says of a place. */
#ifdef CONFIG_HAVE_ARCH_PREL32_RELOCATIONS
#define KMEND_ROW(value, name) ".balign 4\n.long " value " - .\n.long " name " - .\n.long 0\n"
#else
#define KMEND_ROW(value, name) ".balign 8\n.quad " value "\n.quad " name "\n.quad 0\n"
#endif

/*
 * Rows of __ksymtab_gpl and __kcrctab_gpl, which modpost writes for other modules: in the order of the names. The version is that of the interface.
 */
#define KMEND_EXPORT(name)                                                        \
	asm(".pushsection __ksymtab_strings,\"aMS\",%progbits,1\n"                \
	    "__kstr_" #name ": .asciz \"" #name "\"\n"                            \
	    ".popsection\n"                                                       \
	    ".pushsection __ksymtab_gpl,\"a\"\n"                                  \
	    KMEND_ROW(#name, "__kstr_" #name)                                     \
	    ".popsection\n"                                                       \
	    ".pushsection __kcrctab_gpl,\"a\"\n"                                  \
	    ".balign 4\n"                                                         \
	    ".long " __stringify(KMEND_CRC) "\n"                                  \
	    ".popsection\n")

#ifndef CONFIG_LIVEPATCH
KMEND_EXPORT(klp_shadow_alloc);
KMEND_EXPORT(klp_shadow_free);
KMEND_EXPORT(klp_shadow_free_all);
KMEND_EXPORT(klp_shadow_get);
KMEND_EXPORT(klp_shadow_get_or_alloc);
#endif
KMEND_EXPORT(kmend_enable_patch);
KMEND_EXPORT(kmend_remove_patch);

__visible struct module __this_module __section(".gnu.linkonce.this_module") = {
	.name = "kmend_runtime",
	.init = init_module,
#ifdef CONFIG_MODULE_UNLOAD
	.exit = cleanup_module,
#endif
	.arch = MODULE_ARCH_INIT,
};

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Live patches for kernels without a livepatch core");
MODULE_INFO(vermagic, VERMAGIC_STRING);
#if defined(CONFIG_RETPOLINE) || defined(CONFIG_MITIGATION_RETPOLINE)
MODULE_INFO(retpoline, "Y");
#endif
#if defined(CONFIG_UNWINDER_ORC) && __has_include(<asm/orc_header.h>)
#include <asm/orc_header.h>
ORC_HEADER;
#endif

const unsigned int kmend_layout[] __used __section(".kmend.layout") = {
	sizeof(struct module),
	offsetof(struct module, name),
	MODULE_NAME_LEN,
	sizeof(struct modversion_info),
	offsetof(struct modversion_info, crc),
	offsetof(struct modversion_info, name),
};
