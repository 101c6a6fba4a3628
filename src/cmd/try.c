/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "klp/runtime.h"
#include "vm/vm.h"

typedef struct {
	char *kernel, *log;
	char **probes, **load, **load_later, **files, **modules;
	int stress, timeout, memory;
	gboolean each, json, quiet;
} Arguments;

static void arguments_clear(Arguments *a)
{
	g_free(a->kernel);
	g_free(a->log);
	g_strfreev(a->probes);
	g_strfreev(a->load);
	g_strfreev(a->load_later);
	g_strfreev(a->files);
	g_strfreev(a->modules);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

static gboolean parse(int argc, char **argv, Arguments *a, GError **error)
{
	const GOptionEntry entries[] = {
		{ "kernel", 'k', 0, G_OPTION_ARG_STRING, &a->kernel, "Kernel to boot (see `kmend kernel list`)",
		  "KERNEL" },
		{ "run", 0, 0, G_OPTION_ARG_STRING_ARRAY, &a->probes,
		  "Shell command run before, after, and after removal", "CMD" },
		{ "load", 0, 0, G_OPTION_ARG_STRING_ARRAY, &a->load, "Stock module, or module file, loaded first",
		  "MODULE" },
		{ "load-later", 0, 0, G_OPTION_ARG_STRING_ARRAY, &a->load_later,
		  "The same, loaded after the live patch", "MODULE" },
		{ "file", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &a->files, "File put into / of the VM", "PATH" },
		{ "each", 0, 0, G_OPTION_ARG_NONE, &a->each,
		  "Load and remove each live patch by itself, with the modules it patches", NULL },
		{ "stress", 0, 0, G_OPTION_ARG_INT, &a->stress, "Also N load/remove cycles under load", "N" },
		{ "timeout", 0, 0, G_OPTION_ARG_INT, &a->timeout, "Deadline for the whole VM", "SECONDS" },
		{ "memory", 0, 0, G_OPTION_ARG_INT, &a->memory, "Memory of the VM", "MiB" },
		{ "log", 0, 0, G_OPTION_ARG_FILENAME, &a->log, "Where the serial log is kept on failure", "FILE" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &a->json, "Print the verdict as JSON", NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &a->quiet, "No progress, no report; only the exit code", NULL },
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &a->modules, NULL, NULL },
		G_OPTION_ENTRY_NULL,
	};
	if (!km_cmd_parse(&argc, &argv, "MODULE.ko...", "Tries live patches in a VM that runs the very kernel.",
			  entries, error))
		return FALSE;
	const char *wrong = !a->modules ? "no live patch given"
			    : a->each && (a->probes || a->stress || a->load_later)
				    ? "--each goes with neither --run, --load-later nor --stress"
			    : a->stress < 0 || a->timeout < 0		? "a number must not be negative"
			    : a->memory && a->memory < 128		? "--memory must be at least 128"
			    : a->memory > 1048576 || a->stress > 100000 ? "a number is too large"
									: NULL;
	if (wrong)
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "%s; see `kmend try --help`", wrong);
	return !wrong;
}

/* One output, indented; on the same line when it is only one. */
static void print_output(const char *label, const char *text)
{
	printf("  %-8s ", label);
	if (!text || !*text) {
		printf("%s\n", text ? "(nothing)" : "(not reached)");
		return;
	}
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++)
		if (**line || line[1])
			printf("%s%s\n", line == lines ? "" : "           ", *line);
}

static void print_again(const char *label, const char *text, const char *before)
{
	if (text && *text && !g_strcmp0(text, before))
		printf("  %-8s (as before)\n", label);
	else
		print_output(label, text);
}

static void print_probe(const KmProbe *probe)
{
	printf("$ %s\n", probe->command);
	print_output("before", probe->before);
	print_again("after", probe->after, probe->before);
	print_again("removed", probe->removed, probe->before);
}

static void print_each(const KmEach *each)
{
	static const char *const words[] = { "pass", "FAIL", "not reached" };
	printf("%s: %s%s%s\n", each->module, words[each->result], each->why ? ": " : "", each->why ? each->why : "");
	for (guint i = 0; i < each->absent->len; i++)
		printf("  without the module %s\n", (const char *)each->absent->pdata[i]);
}

static void print_report(const KmVerdict *verdict)
{
	for (guint i = 0; verdict->each && i < verdict->each->len; i++)
		print_each(verdict->each->pdata[i]);
	for (guint i = 0; i < verdict->probes->len; i++)
		print_probe(verdict->probes->pdata[i]);
	if (verdict->problems->len)
		printf("problems:\n");
	for (guint i = 0; i < verdict->problems->len; i++)
		printf("  %s\n", (char *)verdict->problems->pdata[i]);
	if (verdict->pass)
		printf("pass: loaded, switched over and removed, kernel log clean");
	else
		printf("FAIL: %s", verdict->why);
	printf(" (%.1f s, %s)\n", verdict->seconds, verdict->accelerated ? "KVM" : "emulated");
	if (verdict->log_path)
		printf("serial log: %s\n", verdict->log_path);
}

/* Without -k: the kernel that the first live patch was built for. */
static KmKernel *open_kernel(const Arguments *a, GError **error)
{
	if (a->kernel)
		return km_kernel_open(a->kernel, error);
	g_autofree char *release = km_try_release(a->modules[0], error);
	return release ? km_kernel_open(release, error) : NULL;
}

/* What the user names to be loaded first, and kmend's own runtime where a live patch needs it and the user has named none. */
static gboolean add_runtime(Arguments *a, KmKernel *kernel, const KmTempDir *dir, KmProgress *progress, GError **error)
{
	gboolean lacks;
	if (!km_try_lacks_runtime((const char *const *)a->modules, (const char *const *)a->load, &lacks, error))
		return FALSE;
	if (!lacks)
		return TRUE;
	g_autofree char *path = g_build_filename(dir->path, KM_RUNTIME_FILE, NULL);
	if (!km_runtime_build(kernel, path, progress, error))
		return FALSE;
	g_autoptr(GStrvBuilder) load = g_strv_builder_new();
	g_strv_builder_add(load, path);
	if (a->load)
		g_strv_builder_addv(load, (const char **)a->load);
	g_strfreev(a->load);
	a->load = g_strv_builder_end(load);
	return TRUE;
}

static KmVerdict *judge(Arguments *a, KmProgress *progress, GError **error)
{
	g_autoptr(KmKernel) kernel = open_kernel(a, error);
	if (!kernel)
		return NULL;
	km_tempdir_sweep(NULL, "kmend-try-runtime");
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "kmend-try-runtime", error);
	if (!dir || !add_runtime(a, kernel, dir, progress, error))
		return NULL;
	const KmTry options = {
		.modules = (const char *const *)a->modules,
		.probes = (const char *const *)a->probes,
		.load = (const char *const *)a->load,
		.load_later = (const char *const *)a->load_later,
		.files = (const char *const *)a->files,
		.each = a->each,
		.stress = (guint)a->stress,
		.timeout = (guint)a->timeout,
		.memory = (guint)a->memory,
		.log_path = a->log,
	};
	return km_try(kernel, &options, progress, error);
}

gboolean km_cmd_try(int argc, char **argv, int *exit_code, GError **error)
{
	g_auto(Arguments) a = { 0 };
	if (!parse(argc, argv, &a, error))
		return FALSE;
	g_autoptr(KmProgress) progress = km_progress_new(a.quiet || a.json);
	g_autoptr(KmVerdict) verdict = judge(&a, progress, error);
	if (!verdict)
		return FALSE;
	*exit_code = verdict->pass ? 0 : KM_ERROR_FAILED;
	g_clear_pointer(&progress, km_progress_free);
	if (a.json)
		return km_cmd_print_json(km_verdict_to_json(verdict), error);
	if (!a.quiet)
		print_report(verdict);
	return TRUE;
}
