/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/template.h"

#include <string.h>

#include "base/error.h"
#include "image/patchdata.h"

/* The numbers that the template for the own runtime lists: those of struct module and of versions. */
#define OWN_NUMBERS 6

/* clang-format off */
/* The order of the numbers is the order of KmLayout. */
#define SOURCE(first) first \
	"#define INCLUDE_VERMAGIC\n" \
	"#include <linux/module.h>\n" \
	"#include <linux/stddef.h>\n" \
	"#include <linux/vermagic.h>\n" \
	"#ifndef KMEND_OWN_RUNTIME\n" \
	"#include <linux/livepatch.h>\n" \
	"#endif\n" \
	"\n" \
	"int init_module(void);\n" \
	"void cleanup_module(void);\n" \
	"#ifdef KMEND_OWN_RUNTIME\n" \
	"struct kmend_patch;\n" \
	"extern const struct kmend_patch " KM_TEMPLATE_PATCH_SYMBOL ";\n" \
	"int " KM_PATCHDATA_ENABLE "(const struct kmend_patch *patch);\n" \
	"void " KM_PATCHDATA_REMOVE "(const struct kmend_patch *patch);\n" \
	"int init_module(void) { return " KM_PATCHDATA_ENABLE "(&" KM_TEMPLATE_PATCH_SYMBOL "); }\n" \
	"void cleanup_module(void) { " KM_PATCHDATA_REMOVE "(&" KM_TEMPLATE_PATCH_SYMBOL "); }\n" \
	"#else\n" \
	"extern struct klp_patch " KM_TEMPLATE_PATCH_SYMBOL ";\n" \
	"int init_module(void) { return klp_enable_patch(&" KM_TEMPLATE_PATCH_SYMBOL "); }\n" \
	"void cleanup_module(void) { }\n" \
	"MODULE_INFO(livepatch, \"Y\");\n" \
	"#endif\n" \
	"\n" \
	"__visible struct module __this_module __section(\"" KM_TEMPLATE_MODULE_SECTION "\") = {\n" \
	"	.name = \"kmend\",\n" \
	"	.init = init_module,\n" \
	"#ifdef CONFIG_MODULE_UNLOAD\n" \
	"	.exit = cleanup_module,\n" \
	"#endif\n" \
	"	.arch = MODULE_ARCH_INIT,\n" \
	"};\n" \
	"\n" \
	"MODULE_LICENSE(\"GPL\");\n" \
	"MODULE_INFO(vermagic, VERMAGIC_STRING);\n" \
	"#if defined(CONFIG_RETPOLINE) || defined(CONFIG_MITIGATION_RETPOLINE)\n" \
	"MODULE_INFO(retpoline, \"Y\");\n" \
	"#endif\n" \
	"\n" \
	"/* Names the ORC format for debuggers, as in every stock module of kernels that have it. */\n" \
	"#if defined(CONFIG_UNWINDER_ORC) && __has_include(<asm/orc_header.h>)\n" \
	"#include <asm/orc_header.h>\n" \
	"ORC_HEADER;\n" \
	"#endif\n" \
	"\n" \
	"const unsigned int kmend_layout[] __used __section(\"" KM_TEMPLATE_LAYOUT_SECTION "\") = {\n" \
	"	sizeof(struct module), offsetof(struct module, name), MODULE_NAME_LEN,\n" \
	"	sizeof(struct modversion_info), offsetof(struct modversion_info, crc),\n" \
	"	offsetof(struct modversion_info, name),\n" \
	"#ifndef KMEND_OWN_RUNTIME\n" \
	"	sizeof(struct klp_func), offsetof(struct klp_func, old_name), offsetof(struct klp_func, new_func),\n" \
	"	offsetof(struct klp_func, old_sympos),\n" \
	"	sizeof(struct klp_object), offsetof(struct klp_object, name), offsetof(struct klp_object, funcs),\n" \
	"	offsetof(struct klp_object, callbacks.pre_patch), offsetof(struct klp_object, callbacks.post_patch),\n" \
	"	offsetof(struct klp_object, callbacks.pre_unpatch), offsetof(struct klp_object, callbacks.post_unpatch),\n" \
	"	sizeof(struct klp_state), offsetof(struct klp_state, id), offsetof(struct klp_state, version),\n" \
	"	sizeof(struct klp_patch), offsetof(struct klp_patch, mod), offsetof(struct klp_patch, objs),\n" \
	"	offsetof(struct klp_patch, states), offsetof(struct klp_patch, replace),\n" \
	"#endif\n" \
	"};\n"
/* clang-format on */

const char *km_template_source(gboolean own)
{
	return own ? SOURCE("#define KMEND_OWN_RUNTIME\n") : SOURCE("");
}

gboolean km_template_layout(const KmObject *template_object, KmLayout *layout, GError **error)
{
	const KmSection *section = km_object_find_section(template_object, KM_TEMPLATE_LAYOUT_SECTION);
	guint32 numbers[sizeof(*layout) / sizeof(guint32)] = { 0 };
	gsize n = section ? section->size / sizeof(guint32) : 0;
	if (n != G_N_ELEMENTS(numbers) && n != OWN_NUMBERS)
		return km_fail(
			error,
			"%s: the module template has no layout table: remove the kernel's work directory and retry",
			template_object->path);
	for (gsize i = 0; i < n; i++)
		numbers[i] = km_object_get_u32(template_object, section->data->data + i * sizeof(guint32));
	memcpy(layout, numbers, sizeof(numbers));
	return TRUE;
}
