/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/kind.h"

#include <fnmatch.h>
#include <string.h>

#define ASSEMBLY "assembly: only C can be live patched; change the C functions that call it instead"
#define GENERATES                                                                                                      \
	"read to generate headers: numbers the running kernel was built with cannot change; take it out of the patch"
#define TOOL "a tool of the build: it changes how kernels are built, not the running one; take it out of the patch"
#define LAYOUT "a linker script: the running kernel is linked already; take it out of the patch"
#define DEVICES "a device tree: the running kernel has read its own already; take it out of the patch"

/* The first row that fits decides. '*' stands for slashes too. */
static const struct {
	const char *pattern;
	KmFileKind kind;
	const char *why;
	enum { ANYWHERE, INSIDE, OUTSIDE } where; /* in the kernel's tree only; in an out-of-tree source only */
} rows[] = {
	{ "Documentation/*", KM_FILE_PROSE, NULL, ANYWHERE },
	{ "tools/testing/*", KM_FILE_PROSE, NULL, INSIDE },
	{ "LICENSES/*", KM_FILE_PROSE, NULL, ANYWHERE },
	{ "MAINTAINERS", KM_FILE_PROSE, NULL, ANYWHERE },
	{ "CREDITS", KM_FILE_PROSE, NULL, ANYWHERE },
	{ ".mailmap", KM_FILE_PROSE, NULL, ANYWHERE },
	{ "*.rst", KM_FILE_PROSE, NULL, ANYWHERE },
	{ "*/.gitignore", KM_FILE_PROSE, NULL, ANYWHERE },
	{ ".gitignore", KM_FILE_PROSE, NULL, ANYWHERE },
	{ "*.md", KM_FILE_PROSE, NULL, ANYWHERE },
	{ "*.txt", KM_FILE_PROSE, NULL, OUTSIDE },
	{ "README*", KM_FILE_PROSE, NULL, OUTSIDE },
	{ "*/README*", KM_FILE_PROSE, NULL, OUTSIDE },
	{ "ChangeLog*", KM_FILE_PROSE, NULL, OUTSIDE },
	{ "debian/*", KM_FILE_PROSE, NULL, OUTSIDE },
	{ "dkms.conf", KM_FILE_PROSE, NULL, OUTSIDE },
	{ "scripts/*", KM_FILE_REFUSED, TOOL, INSIDE },
	{ "*.lds", KM_FILE_REFUSED, LAYOUT, ANYWHERE },
	{ "*.lds.S", KM_FILE_REFUSED, LAYOUT, ANYWHERE },
	{ "*.S", KM_FILE_REFUSED, ASSEMBLY, ANYWHERE },
	{ "*.s", KM_FILE_REFUSED, ASSEMBLY, ANYWHERE },
	{ "*.rs", KM_FILE_REFUSED, "Rust: only C can be live patched; take it out of the patch", ANYWHERE },
	{ "*.dts", KM_FILE_REFUSED, DEVICES, ANYWHERE },
	{ "*.dtsi", KM_FILE_REFUSED, DEVICES, ANYWHERE },
	{ "*.dtso", KM_FILE_REFUSED, DEVICES, ANYWHERE },
	{ "kernel/bounds.c", KM_FILE_REFUSED, GENERATES, INSIDE },
	{ "*/asm-offsets*.c", KM_FILE_REFUSED, GENERATES, INSIDE },
	{ "*.tbl", KM_FILE_REFUSED, GENERATES, ANYWHERE },
	{ "*.bc", KM_FILE_REFUSED, GENERATES, ANYWHERE },
	{ "*/Makefile*", KM_FILE_MAKEFILE, NULL, ANYWHERE },
	{ "*/Kbuild*", KM_FILE_MAKEFILE, NULL, ANYWHERE },
	{ "Makefile*", KM_FILE_MAKEFILE, NULL, ANYWHERE },
	{ "Kbuild*", KM_FILE_MAKEFILE, NULL, ANYWHERE },
	{ "*.mk", KM_FILE_MAKEFILE, NULL, ANYWHERE },
	{ "*/Kconfig*", KM_FILE_KCONFIG, NULL, ANYWHERE },
	{ "Kconfig*", KM_FILE_KCONFIG, NULL, ANYWHERE },
	{ "*.c", KM_FILE_C, NULL, ANYWHERE },
	{ "*.h", KM_FILE_HEADER, NULL, ANYWHERE },
	{ "*.inc", KM_FILE_HEADER, NULL, ANYWHERE },
	{ "*.def", KM_FILE_HEADER, NULL, ANYWHERE },
	/* What else lies there are programs of their own. */
	{ "tools/*", KM_FILE_PROSE, NULL, INSIDE },
};

KmFileKind km_file_kind(const char *path, gboolean outside, const char **why)
{
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (rows[i].where == (outside ? INSIDE : OUTSIDE) || fnmatch(rows[i].pattern, path, 0))
			continue;
		*why = rows[i].why;
		return rows[i].kind;
	}
	*why = "of a kind that kmend does not know: only C, headers and object lists of makefiles can be live patched; "
	       "take it out of the patch";
	return KM_FILE_REFUSED;
}
