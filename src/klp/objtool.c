/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/objtool.h"

#include <string.h>

#include "base/error.h"
#include "base/run.h"

/* objtool returns 0 with warnings: whatever it says means that it did not understand the code. */
gboolean km_objtool_run(const KmKernel *kernel, const KmModuleTools *tools, const char *path, GError **error)
{
	if (!tools->objtool_argv)
		return TRUE;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	for (char **a = tools->objtool_argv; *a; a++)
		g_ptr_array_add(argv, *a);
	g_ptr_array_add(argv, (gpointer)path);
	g_ptr_array_add(argv, NULL);
	/* kbuild exports it, and a kernel package's objtool may be a wrapper that picks the architecture by it. */
	g_autofree char *srcarch = g_strconcat("SRCARCH=", kernel->arch->kbuild, NULL);
	const char *const env[] = { srcarch, NULL };
	KmRunOptions options = { .cwd = tools->cwd, .env = env };
	g_autoptr(KmRunResult) r = km_run((const char *const *)argv->pdata, &options, error);
	if (!r)
		return FALSE;
	g_strstrip(r->errors);
	g_strstrip(r->output);
	if (r->status == 0 && !*r->errors && !*r->output)
		return TRUE;
	return km_refuse(error, "the kernel's objtool does not accept the new code (status %d): %s %s", r->status,
			 r->errors, r->output);
}
