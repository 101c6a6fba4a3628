/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend verify: is this live patch right for that kernel? */
#include <stdio.h>

#include "base/error.h"
#include "cmd/cmd.h"
#include "klp/recheck.h"

/* Of findings: a module that is wrong all over is not read to its end. */
#define MAX_PRINTED 40

typedef struct {
	char *kernel;
	char **patches, **tables, **files, **oot_sources, **oot_modules;
	gboolean json, quiet, allow_scripts;
	int jobs;
} Options;

static void options_clear(Options *o)
{
	g_free(o->kernel);
	g_strfreev(o->patches);
	g_strfreev(o->tables);
	g_strfreev(o->files);
	g_strfreev(o->oot_sources);
	g_strfreev(o->oot_modules);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static gboolean parse(int *argc, char ***argv, Options *o, GError **error)
{
	const GOptionEntry entries[] = {
		{ "kernel", 'k', 0, G_OPTION_ARG_STRING, &o->kernel, "Kernel it is for (default: the running one)",
		  "NAME" },
		{ "patch", 'p', 0, G_OPTION_ARG_FILENAME_ARRAY, &o->patches,
		  "Compile what this patch touches, and compare (may be repeated)", "FILE" },
		{ "allow-table", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->tables, "As given to `kmend build`", "NAME" },
		{ "oot-source", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->oot_sources, "As given to `kmend build`",
		  "DIR" },
		{ "oot-module", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->oot_modules,
		  "An out-of-tree module that is patched, as it runs", "FILE.ko" },
		{ "allow-build-scripts", 0, 0, G_OPTION_ARG_NONE, &o->allow_scripts, "As given to `kmend build`",
		  NULL },
		{ "jobs", 'j', 0, G_OPTION_ARG_INT, &o->jobs, "Compilers at once (default: number of CPUs)", "N" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &o->json, "Print the result as JSON", NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &o->quiet, "Print nothing on success", NULL },
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->files, NULL, "MODULE.ko" },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	if (!km_cmd_parse(argc, argv, NULL, "Check a finished live patch against the kernel it is for.", entries, error))
		return FALSE;
	const char *wrong = o->jobs < 0			    ? "--jobs wants a positive number"
			    : !o->files || o->files[1]	    ? "one module is needed"
			    : o->oot_sources && !o->patches ? "--oot-source wants the patch, with --patch"
			    : o->oot_sources && !o->oot_modules
				    ? "--oot-source wants the module it makes, with --oot-module"
				    : NULL;
	if (wrong)
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "%s; see `kmend verify --help`", wrong);
	return !wrong;
}

static void print_text(const KmVerify *verify, const char *path)
{
	for (guint i = 0; i < verify->findings->len && i < MAX_PRINTED; i++) {
		const KmFinding *f = verify->findings->pdata[i];
		printf("%s: %s\n", f->where, f->what);
	}
	if (verify->findings->len > MAX_PRINTED)
		printf("and %u more (--json lists all)\n", verify->findings->len - MAX_PRINTED);
	printf("%s: %u function(s) replaced, %u relocations, %u livepatch symbols, %u imports, %u table rows\n", path,
	       verify->functions, verify->relocations, verify->symbols, verify->imports, verify->rows);
	if (verify->note)
		printf("note: %s\n", verify->note);
	if (verify->compared)
		printf("compared with the compiled units: %u pieces, %" G_GUINT64_FORMAT " bytes\n", verify->pieces,
		       verify->bytes);
	else
		printf("checked by itself; give the patch (--patch) to compare it with what the source says\n");
}

gboolean km_cmd_verify(int argc, char **argv, int *exit_code, GError **error)
{
	g_auto(Options) o = { 0 };
	if (!parse(&argc, &argv, &o, error))
		return FALSE;
	g_autoptr(KmProgress) progress = km_progress_new(o.quiet || o.json);
	g_autoptr(KmKernel) kernel = km_kernel_open(o.kernel, error);
	if (!kernel)
		return FALSE;
	const KmBuildOptions options = {
		.patches = (const char *const *)o.patches,
		.jobs = (guint)o.jobs,
		.allow_tables = (const char *const *)o.tables,
		.allow_scripts = o.allow_scripts,
		.oot_sources = (const char *const *)o.oot_sources,
		.oot_modules = (const char *const *)o.oot_modules,
	};
	g_autoptr(KmVerify) verify = km_recheck(kernel, o.files[0], &options, progress, error);
	g_clear_pointer(&progress, km_progress_free);
	if (!verify)
		return FALSE;
	gboolean wrong = verify->findings->len != 0;
	if (o.json && !km_cmd_print_json(km_verify_to_json(verify), error))
		return FALSE;
	if (!o.json && (!o.quiet || wrong))
		print_text(verify, o.files[0]);
	if (!wrong)
		return TRUE;
	if (o.json)
		*exit_code = KM_ERROR_REFUSED;
	return o.json || km_refuse(error, "%s is not right for kernel %s: %u finding(s)", o.files[0], kernel->name,
				   verify->findings->len);
}
