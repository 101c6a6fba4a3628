/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend build: patches in, one livepatch module out. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cmd/cmd.h"
#include "klp/klp.h"

typedef struct {
	char *kernel, *output, *name, *keep, *skeleton, *runtime;
	char **patches, **tables, **oot_sources, **oot_modules, **allow_layout, **allow_signature;
	gboolean no_replace, json, quiet, explain, allow_scripts, ignore_init;
	int jobs;
} Options;

static void options_clear(Options *o)
{
	g_free(o->kernel);
	g_free(o->output);
	g_free(o->name);
	g_free(o->keep);
	g_free(o->skeleton);
	g_free(o->runtime);
	g_strfreev(o->patches);
	g_strfreev(o->tables);
	g_strfreev(o->oot_sources);
	g_strfreev(o->oot_modules);
	g_strfreev(o->allow_layout);
	g_strfreev(o->allow_signature);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static gboolean parse(int *argc, char ***argv, Options *o, GError **error)
{
	const GOptionEntry entries[] = {
		{ "kernel", 'k', 0, G_OPTION_ARG_STRING, &o->kernel, "Kernel to patch (default: the running one)",
		  "NAME" },
		{ "output", 'o', 0, G_OPTION_ARG_FILENAME, &o->output, "Module to write (default: kmend-PATCH.ko)",
		  "FILE" },
		{ "name", 0, 0, G_OPTION_ARG_STRING, &o->name, "Module name (default: from the output)", "NAME" },
		{ "no-replace", 0, 0, G_OPTION_ARG_NONE, &o->no_replace, "Leave earlier live patches in place", NULL },
		{ "jobs", 'j', 0, G_OPTION_ARG_INT, &o->jobs, "Compilers at once (default: number of CPUs)", "N" },
		{ "oot-source", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->oot_sources,
		  "Source of out-of-tree modules, as M= names it", "DIR" },
		{ "oot-module", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->oot_modules, "Out-of-tree module as it runs",
		  "FILE.ko" },
		{ "allow-layout", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->allow_layout,
		  "Take a changed layout of TYPE on your word (repeatable)", "TYPE" },
		{ "allow-signature", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->allow_signature,
		  "Take a changed prototype of FUNCTION on your word (repeatable)", "FUNCTION" },
		{ "runtime", 0, 0, G_OPTION_ARG_STRING, &o->runtime,
		  "What puts it in: the kernel's livepatch core, or kmend's own (default: own where there is no core)",
		  "kernel|own" },
		{ "keep", 0, 0, G_OPTION_ARG_FILENAME, &o->keep, "Keep the work directory as DIR", "DIR" },
		{ "allow-build-scripts", 0, 0, G_OPTION_ARG_NONE, &o->allow_scripts,
		  "Apply changes of makefiles that could run commands on this machine", NULL },
		{ "explain", 0, 0, G_OPTION_ARG_NONE, &o->explain,
		  "Tell of each function why it is in, what it uses, and what to check by hand", NULL },
		{ "allow-table", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->tables,
		  "The read-only table NAME may change: nobody keeps its address", "NAME" },
		{ "ignore-init", 0, 0, G_OPTION_ARG_NONE, &o->ignore_init,
		  "Leave out changes of start-up and exit code and of module parameters", NULL },
		{ "skeleton", 0, 0, G_OPTION_ARG_FILENAME, &o->skeleton,
		  "Where a variable's initial value changes: write callbacks that set it to FILE", "FILE" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &o->json, "Print the result as JSON", NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &o->quiet, "Print nothing on success", NULL },
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->patches, NULL, "PATCH..." },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	if (!km_cmd_parse(argc, argv, NULL, "Build one livepatch module from one or several patches.", entries, error))
		return FALSE;
	const char *wrong =
		!o->patches			    ? "no patch given"
		: o->jobs < 0			    ? "--jobs wants a positive number"
		: o->oot_sources && !o->oot_modules ? "--oot-source wants the module it makes, with --oot-module"
		: o->oot_modules && !o->oot_sources ? "--oot-module wants the source it is made of, with --oot-source"
		: o->runtime && strcmp(o->runtime, "own") && strcmp(o->runtime, "kernel")
			? "--runtime is 'kernel' or 'own'"
			: NULL;
	if (wrong)
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "%s; see `kmend build --help`", wrong);
	return !wrong;
}

static KmRuntimeKind runtime_of(const Options *o)
{
	if (!o->runtime)
		return KM_RUNTIME_AUTO;
	return strcmp(o->runtime, "own") ? KM_RUNTIME_KERNEL : KM_RUNTIME_OWN;
}

static void print_text(const KmBuild *build)
{
	if (build->stories)
		km_cmd_print_stories(build->stories);
	for (guint i = 0; !build->stories && i < build->functions->len; i++) {
		const KmPatchedFunction *f = build->functions->pdata[i];
		const char *reason = f->reasons->len ? f->reasons->pdata[0] : "";
		printf("%s: %s (%s)%s%s\n", f->object, f->name, f->source, *reason ? ": " : "", reason);
	}
	for (guint i = 0; !build->stories && i < build->added->len; i++)
		printf("new: %s\n", (const char *)build->added->pdata[i]);
	for (guint i = 0; i < build->callbacks->len; i++) {
		const KmCallbackInfo *c = build->callbacks->pdata[i];
		printf("%s: %s callback %s (%s)\n", c->object, c->kind, c->name, c->source);
	}
	for (guint i = 0; i < build->states->len; i++) {
		const KmState *state = &g_array_index(build->states, KmState, i);
		printf("state %" G_GUINT64_FORMAT ", version %u\n", state->id, state->version);
	}
	for (guint i = 0; i < build->notes->len; i++)
		printf("note: %s\n", (const char *)build->notes->pdata[i]);
	const KmHeaderCounts *c = &build->headers;
	if (c->reached)
		printf("%u unit(s) include a touched header: %u cannot change by their text, %u compiled, %u change\n",
		       c->reached, c->narrowed, c->compiled, c->changed);
	printf("%u functions of the touched units proved equal to the kernel's own code\n", build->compared);
	printf("%s: module %s, %u function(s) replaced, %u %s\n", build->output, build->module_name,
	       build->functions->len, build->references,
	       build->own_runtime ? "symbol(s) by address; goes in with kmend_runtime" : "livepatch symbol(s)");
}

gboolean km_cmd_build(int argc, char **argv, int *exit_code, GError **error)
{
	g_auto(Options) o = { 0 };
	if (!parse(&argc, &argv, &o, error))
		return FALSE;
	g_autoptr(KmProgress) progress = km_progress_new(o.quiet || o.json);
	g_autoptr(KmKernel) kernel = km_kernel_open(o.kernel, error);
	if (!kernel)
		return FALSE;
	KmBuildOptions options = {
		.patches = (const char *const *)o.patches,
		.output = o.output,
		.name = o.name,
		.no_replace = o.no_replace,
		.jobs = (guint)o.jobs,
		.allow_tables = (const char *const *)o.tables,
		.oot_sources = (const char *const *)o.oot_sources,
		.oot_modules = (const char *const *)o.oot_modules,
		.allow_layout = o.allow_layout,
		.allow_signature = o.allow_signature,
		.keep = o.keep,
		.ignore_init = o.ignore_init,
		.skeleton = o.skeleton,
		.explain = o.explain,
		.allow_scripts = o.allow_scripts,
		.runtime = runtime_of(&o),
	};
	g_autoptr(KmBuild) build = km_build(kernel, &options, progress, error);
	g_clear_pointer(&progress, km_progress_free);
	if (!build)
		return FALSE;
	if (o.json)
		return km_cmd_print_json(km_build_to_json(build), error);
	if (!o.quiet)
		print_text(build);
	return TRUE;
}
