/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend runtime: kmend_runtime.ko for one kernel. */
#include <stdio.h>

#include "base/error.h"
#include "cmd/cmd.h"
#include "klp/runtime.h"

typedef struct {
	char *kernel, *output;
	gboolean json, quiet;
} Options;

static void options_clear(Options *o)
{
	g_free(o->kernel);
	g_free(o->output);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static gboolean parse(int *argc, char ***argv, Options *o, GError **error)
{
	const GOptionEntry entries[] = {
		{ "kernel", 'k', 0, G_OPTION_ARG_STRING, &o->kernel, "Kernel to make it for (default: the running one)",
		  "NAME" },
		{ "output", 'o', 0, G_OPTION_ARG_FILENAME, &o->output, "Module to write (default: kmend_runtime.ko)",
		  "FILE" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &o->json, "Print the result as JSON", NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &o->quiet, "Print nothing on success", NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	return km_cmd_parse(argc, argv, NULL,
			    "Make the module that puts in live patches where the kernel has no livepatch core.",
			    entries, error);
}

gboolean km_cmd_runtime(int argc, char **argv, int *exit_code, GError **error)
{
	g_auto(Options) o = { 0 };
	if (!parse(&argc, &argv, &o, error))
		return FALSE;
	g_autoptr(KmProgress) progress = km_progress_new(o.quiet || o.json);
	g_autoptr(KmKernel) kernel = km_kernel_open(o.kernel, error);
	const char *output = o.output ? o.output : KM_RUNTIME_FILE;
	if (!kernel || !km_runtime_build(kernel, output, progress, error))
		return FALSE;
	g_clear_pointer(&progress, km_progress_free);
	g_autofree char *valid = g_utf8_make_valid(output, -1);
	if (o.json)
		return km_cmd_print_json(json_pack("{s:s, s:s}", "output", valid, "kernel", kernel->release), error);
	if (!o.quiet)
		printf("%s: kmend's runtime for kernel %s\n", output, kernel->release);
	return TRUE;
}
