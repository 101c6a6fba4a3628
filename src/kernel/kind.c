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
} rows[] = {
	{ "Documentation/*", KM_FILE_PROSE, NULL },
	{ "tools/testing/*", KM_FILE_PROSE, NULL },
	{ "LICENSES/*", KM_FILE_PROSE, NULL },
	{ "MAINTAINERS", KM_FILE_PROSE, NULL },
	{ "CREDITS", KM_FILE_PROSE, NULL },
	{ ".mailmap", KM_FILE_PROSE, NULL },
	{ "*.rst", KM_FILE_PROSE, NULL },
	{ "*/.gitignore", KM_FILE_PROSE, NULL },
	{ "scripts/*", KM_FILE_REFUSED, TOOL },
	{ "*.lds", KM_FILE_REFUSED, LAYOUT },
	{ "*.lds.S", KM_FILE_REFUSED, LAYOUT },
	{ "*.S", KM_FILE_REFUSED, ASSEMBLY },
	{ "*.s", KM_FILE_REFUSED, ASSEMBLY },
	{ "*.rs", KM_FILE_REFUSED, "Rust: only C can be live patched; take it out of the patch" },
	{ "*.dts", KM_FILE_REFUSED, DEVICES },
	{ "*.dtsi", KM_FILE_REFUSED, DEVICES },
	{ "*.dtso", KM_FILE_REFUSED, DEVICES },
	{ "kernel/bounds.c", KM_FILE_REFUSED, GENERATES },
	{ "*/asm-offsets*.c", KM_FILE_REFUSED, GENERATES },
	{ "*.tbl", KM_FILE_REFUSED, GENERATES },
	{ "*.bc", KM_FILE_REFUSED, GENERATES },
	{ "*/Makefile*", KM_FILE_MAKEFILE, NULL },
	{ "*/Kbuild*", KM_FILE_MAKEFILE, NULL },
	{ "Makefile*", KM_FILE_MAKEFILE, NULL },
	{ "Kbuild*", KM_FILE_MAKEFILE, NULL },
	{ "*.mk", KM_FILE_MAKEFILE, NULL },
	{ "*/Kconfig*", KM_FILE_KCONFIG, NULL },
	{ "Kconfig*", KM_FILE_KCONFIG, NULL },
	{ "*.c", KM_FILE_C, NULL },
	{ "*.h", KM_FILE_HEADER, NULL },
	{ "*.inc", KM_FILE_HEADER, NULL },
	{ "*.def", KM_FILE_HEADER, NULL },
	/* What else lies there are programs of their own. */
	{ "tools/*", KM_FILE_PROSE, NULL },
};

KmFileKind km_file_kind(const char *path, const char **why)
{
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (fnmatch(rows[i].pattern, path, 0))
			continue;
		*why = rows[i].why;
		return rows[i].kind;
	}
	*why = "of a kind that kmend does not know: only C, headers and object lists of makefiles can be live patched; "
	       "take it out of the patch";
	return KM_FILE_REFUSED;
}
