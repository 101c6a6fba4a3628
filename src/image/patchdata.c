/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/patchdata.h"

gboolean km_patchdata_is_code(const KmArch *arch, const KmSection *section)
{
	const char *const *filled = arch->module_sections;
	return (section->flags & SHF_ALLOC) && (section->flags & SHF_EXECINSTR) && section->size &&
	       !g_str_has_prefix(section->name, ".init.") && !(filled && g_strv_contains(filled, section->name));
}

gboolean km_patchdata_is_of_core(const char *name)
{
	static const char *const functions[] = { "klp_enable_patch", "klp_get_state", "klp_get_prev_state", NULL };
	return g_strv_contains(functions, name);
}

const char *const *km_patchdata_imports(void)
{
	static const char *const functions[] = { KM_PATCHDATA_ENABLE,	    KM_PATCHDATA_REMOVE,
						 "klp_shadow_alloc",	    "klp_shadow_free",
						 "klp_shadow_free_all",	    "klp_shadow_get",
						 "klp_shadow_get_or_alloc", NULL };
	return functions;
}
