/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/patchdata.h"

gboolean km_patchdata_is_code(const KmArch *arch, const KmSection *section)
{
	const char *const *filled = arch->module_sections;
	return (section->flags & SHF_ALLOC) && (section->flags & SHF_EXECINSTR) && section->size &&
	       !g_str_has_prefix(section->name, ".init.") && !(filled && g_strv_contains(filled, section->name));
}
