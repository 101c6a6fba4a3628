/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of architectures. The only includes upwards of this room are for the structures that arch.h names. */
#include "arch/arch.h"

#include <string.h>
#include <sys/utsname.h>

#include "arch/table.h"
#include "elf/object.h"

static const KmArch *const architectures[] = {
	&km_arch_x86_64, &km_arch_arm64, &km_arch_ppc64le, &km_arch_s390x, &km_arch_riscv64, NULL,
};

const KmArch *const *km_arch_all(void)
{
	return architectures;
}

const KmArch *km_arch_by_elf(guint16 machine, gboolean big_endian)
{
	for (const KmArch *const *a = architectures; *a; a++)
		if ((*a)->machine == machine && !(*a)->big_endian == !big_endian)
			return *a;
	return NULL;
}

const KmArch *km_arch_by_name(const char *name)
{
	for (const KmArch *const *a = architectures; *a; a++)
		if (!strcmp((*a)->name, name) || !strcmp((*a)->debian, name))
			return *a;
	return NULL;
}

const KmArch *km_arch_host(void)
{
	struct utsname host;
	if (uname(&host))
		return NULL;
	/* uname(2) calls arm64 by the name of its GNU triplet, and the rest by ours. */
	for (const KmArch *const *a = architectures; *a; a++)
		if (!strcmp((*a)->name, host.machine) || !strcmp((*a)->qemu, host.machine))
			return *a;
	return NULL;
}

const KmRelocInfo *km_arch_reloc(const KmArch *arch, guint32 type)
{
	/* Rows ascend by type, and the common types come first: no index needed. */
	for (const KmRelocInfo *row = arch->relocs; row->name && row->type <= type; row++)
		if (row->type == type)
			return row;
	return NULL;
}

KmRelocKind km_arch_kind(const KmRelocInfo *rows, const KmSection *section, gsize reloc_index)
{
	guint32 type = g_array_index(section->relocs, KmReloc, reloc_index).type;
	for (; rows->name; rows++)
		if (rows->type == type)
			return rows->kind;
	return KM_RELOC_OTHER;
}

gboolean km_arch_is_branch(const KmArch *arch, const KmSection *section, gsize reloc_index)
{
	return arch->is_branch ? arch->is_branch(section, reloc_index)
			       : km_arch_kind(arch->relocs, section, reloc_index) == KM_RELOC_CALL;
}

gint64 km_arch_plain_offset(const KmSection *section, gsize reloc_index)
{
	return g_array_index(section->relocs, KmReloc, reloc_index).addend;
}

gboolean km_arch_is_label(const KmSymbol *symbol)
{
	return g_str_has_prefix(symbol->name, ".L");
}

guint km_arch_no_local_entry(const KmSymbol *symbol)
{
	return 0;
}

gboolean km_arch_has_reloc(const struct KmSection *section, guint64 offset, guint size)
{
	gsize n;
	km_section_relocs_in(section, offset, offset + size, &n);
	return n > 0;
}

void km_arch_add_branch(GArray *branches, const KmBranch *branch, guint64 start, guint64 end)
{
	if (branch->target < start || branch->target >= end)
		g_array_append_vals(branches, branch, 1);
}

GArray *km_arch_word_branches(const KmSection *section, guint64 start, guint64 end,
			      gboolean (*decode)(guint32, guint64, KmBranch *))
{
	GArray *found = g_array_new(FALSE, FALSE, sizeof(KmBranch));
	for (guint64 at = start; section->data && end <= section->data->len && at + 4 <= end; at += 4) {
		guint32 word;
		KmBranch branch;
		memcpy(&word, section->data->data + at, sizeof(word));
		if (decode(GUINT32_FROM_LE(word), at, &branch) && !km_arch_has_reloc(section, at, 4))
			km_arch_add_branch(found, &branch, start, end);
	}
	return found;
}

gboolean km_arch_is_loader_symbol(const KmArch *arch, const char *name)
{
	return arch->loader_symbols && g_strv_contains(arch->loader_symbols, name);
}

static gboolean is_listed(const guint32 *types, guint32 type)
{
	for (; *types; types++)
		if (*types == type)
			return TRUE;
	return FALSE;
}

gboolean km_arch_is_loadable(const KmArch *arch, guint32 type)
{
	const KmRelocInfo *info = km_arch_reloc(arch, type);
	if (info && arch->loader_relocs)
		return info->kind == KM_RELOC_NONE || is_listed(arch->loader_relocs, type);
	return info && (info->kind == KM_RELOC_ABS || info->kind == KM_RELOC_PC || info->kind == KM_RELOC_CALL ||
			info->kind == KM_RELOC_NONE);
}
