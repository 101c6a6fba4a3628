/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend kernel: fetch, list, show, remove, add. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cmd/cmd.h"
#include "kernel/kernel.h"
#include "klp/klp.h"

static gboolean usage(GError **error, const char *message)
{
	g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "%s; see `kmend kernel --help`", message);
	return FALSE;
}

static void print_field(const char *label, const char *value)
{
	if (value && *value)
		printf("%-12s %s\n", label, value);
}

static void print_kernel(const KmKernel *k)
{
	g_autofree char *built_by = km_kernel_config(k, "CC_VERSION_TEXT");
	g_autofree char *livepatch = km_kernel_config(k, "LIVEPATCH");
	print_field("name", k->name);
	print_field("release", k->release);
	print_field("version", k->version);
	print_field("provider", k->provider);
	print_field("arch", k->arch->name);
	print_field("source", k->source);
	print_field("build", k->build);
	print_field("image", k->image);
	print_field("boot image", k->boot_image);
	print_field("modules", k->modules);
	print_field("symvers", k->symvers);
	print_field("built by", built_by);
	print_field("compiler", k->compiler ? k->compiler : k->compiler_problem);
	print_field("note", k->compiler_note);
	print_field("livepatch", livepatch && !strcmp(livepatch, "y") ? "yes" : "no (CONFIG_LIVEPATCH is not set)");
}

static gboolean print_result(const KmKernel *kernel, gboolean json, GError **error)
{
	if (json)
		return km_cmd_print_json(km_kernel_to_json(kernel), error);
	print_kernel(kernel);
	return TRUE;
}

static gboolean fetch(int argc, char **argv, GError **error)
{
	g_autofree char *arch = NULL;
	gboolean json = FALSE, quiet = FALSE;
	const GOptionEntry entries[] = {
		{ "arch", 0, 0, G_OPTION_ARG_STRING, &arch, "Architecture, when RELEASE does not tell it", "ARCH" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "No progress line", NULL },
		{ 0 },
	};
	if (!km_cmd_parse(
		    &argc, &argv, "[RELEASE]",
		    "Gets a Debian kernel: image, exact source, headers. RELEASE is as uname -r prints it, or the\n"
		    "flavour of a metapackage (amd64, 6.12-amd64). Without it: the running kernel if Debian built it,\n"
		    "else the archive's current one. Nothing is installed.",
		    entries, error))
		return FALSE;
	if (argc > 2)
		return usage(error, "fetch takes one release");
	g_autoptr(KmProgress) progress = km_progress_new(json || quiet);
	g_autoptr(KmKernel) kernel = km_kernel_fetch(argc == 2 ? argv[1] : NULL, arch, progress, error);
	if (kernel)
		km_build_prepare(kernel, progress);
	g_clear_pointer(&progress, km_progress_free);
	return kernel && print_result(kernel, json, error);
}

static json_t *list_json(char **names)
{
	json_t *list = json_array();
	for (; *names; names++) {
		g_autoptr(GError) local = NULL;
		g_autoptr(KmKernel) kernel = km_kernel_open(*names, &local);
		json_array_append_new(list, kernel ? km_kernel_to_json(kernel)
						   : json_pack("{s:s, s:s}", "name", *names, "error", local->message));
	}
	return json_pack("{s:o}", "kernels", list);
}

static gboolean list(int argc, char **argv, GError **error)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL },
		{ 0 },
	};
	if (!km_cmd_parse(&argc, &argv, "", "Lists the kernels that are prepared.", entries, error))
		return FALSE;
	if (argc > 1)
		return usage(error, "list takes no argument");
	g_auto(GStrv) names = km_kernel_list(error);
	if (!names)
		return FALSE;
	if (json)
		return km_cmd_print_json(list_json(names), error);
	for (char **name = names; *name; name++) {
		g_autoptr(GError) local = NULL;
		g_autoptr(KmKernel) kernel = km_kernel_open(*name, &local);
		if (kernel)
			printf("%-32s %-8s %-24s %s\n", *name, kernel->arch->name, kernel->version, kernel->provider);
		else
			printf("%-32s broken: %s\n", *name, local->message);
	}
	return TRUE;
}

static gboolean show(int argc, char **argv, GError **error)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL },
		{ 0 },
	};
	if (!km_cmd_parse(&argc, &argv, "[NAME]", "Shows one prepared kernel.", entries, error))
		return FALSE;
	if (argc > 2)
		return usage(error, "show takes one name");
	g_autoptr(KmKernel) kernel = km_kernel_open(argc == 2 ? argv[1] : NULL, error);
	return kernel && print_result(kernel, json, error);
}

static gboolean remove_kernel(int argc, char **argv, GError **error)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = { { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL }, { 0 } };
	if (!km_cmd_parse(&argc, &argv, "NAME",
			  "Removes a prepared kernel, and its source when no other kernel uses it.", entries, error))
		return FALSE;
	if (argc != 2)
		return usage(error, "remove takes one name");
	if (!km_kernel_remove(argv[1], error))
		return FALSE;
	return !json || km_cmd_print_json(json_pack("{s:s}", "removed", argv[1]), error);
}

typedef struct {
	char *source, *config, *image, *modules, *symvers, *headers, *name, *tree;
	gboolean json;
} AddOptions;

static void add_options_clear(AddOptions *o)
{
	char *texts[] = { o->source, o->config, o->image, o->modules, o->symvers, o->headers, o->name, o->tree };
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(texts[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AddOptions, add_options_clear)

static KmKernel *add_files(const AddOptions *o, KmProgress *progress, GError **error)
{
	const KmKernelFiles files = { .source = o->source,
				      .config = o->config,
				      .image = o->image,
				      .modules = o->modules,
				      .symvers = o->symvers,
				      .headers = o->headers,
				      .name = o->name };
	return km_kernel_add_files(&files, progress, error);
}

static gboolean check_add(const AddOptions *o, int argc, GError **error)
{
	gboolean files = o->source || o->config || o->image || o->modules || o->symvers || o->headers;
	if (argc > 1)
		return usage(error, "add takes options only");
	if (o->tree ? files : !(o->source && o->config && o->image))
		return usage(error, "add needs either --tree, or --source, --config and --image");
	return TRUE;
}

static gboolean add(int argc, char **argv, GError **error)
{
	g_auto(AddOptions) o = { 0 };
	const GOptionEntry entries[] = {
		{ "source", 0, 0, G_OPTION_ARG_FILENAME, &o.source, "Pristine source tree (stays where it is)", "DIR" },
		{ "config", 0, 0, G_OPTION_ARG_FILENAME, &o.config, "Configuration the kernel was built with", "FILE" },
		{ "image", 0, 0, G_OPTION_ARG_FILENAME, &o.image, "Kernel image (vmlinuz, vmlinux or Image)", "FILE" },
		{ "modules", 0, 0, G_OPTION_ARG_FILENAME, &o.modules, "Its lib/modules/RELEASE (stays where it is)",
		  "DIR" },
		{ "symvers", 0, 0, G_OPTION_ARG_FILENAME, &o.symvers, "Its Module.symvers", "FILE" },
		{ "headers", 0, 0, G_OPTION_ARG_FILENAME, &o.headers,
		  "Its linux-headers directory (else kbuild makes them)", "DIR" },
		{ "tree", 0, 0, G_OPTION_ARG_FILENAME, &o.tree, "A built kernel tree, instead of the above", "DIR" },
		{ "name", 0, 0, G_OPTION_ARG_STRING, &o.name, "Name to give it (default: its release)", "NAME" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &o.json, "Print JSON", NULL },
		{ 0 },
	};
	if (!km_cmd_parse(&argc, &argv, "", "Prepares a kernel from files given by hand, or from a built tree.",
			  entries, error) ||
	    !check_add(&o, argc, error))
		return FALSE;
	g_autoptr(KmProgress) progress = km_progress_new(o.json);
	g_autoptr(KmKernel) kernel =
		o.tree ? km_kernel_add_tree(o.tree, o.name, progress, error) : add_files(&o, progress, error);
	if (kernel)
		km_build_prepare(kernel, progress);
	g_clear_pointer(&progress, km_progress_free);
	return kernel && print_result(kernel, o.json, error);
}

static const struct {
	const char *name;
	gboolean (*run)(int argc, char **argv, GError **error);
	const char *synopsis;
} verbs[] = {
	{ "fetch", fetch, "fetch [RELEASE] [--arch ARCH] [--json]" },
	{ "list", list, "list [--json]" },
	{ "show", show, "show [NAME] [--json]" },
	{ "remove", remove_kernel, "remove NAME [--json]" },
	{ "add", add,
	  "add --source DIR --config FILE --image FILE [--modules DIR] [--symvers FILE] [--headers DIR]\n"
	  "                   [--name NAME]" },
	{ NULL, NULL, "add --tree DIR [--name NAME]" },
};

static gboolean print_help(void)
{
	printf("Usage:\n");
	for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++)
		printf("  kmend kernel %s\n", verbs[i].synopsis);
	printf("\nPrepares the kernel to be patched: source, configuration, image, modules. See kmend-kernel(1).\n");
	return TRUE;
}

gboolean km_cmd_kernel(int argc, char **argv, int *exit_code, GError **error)
{
	const char *verb = argc > 1 ? argv[1] : NULL;
	if (!verb)
		return usage(error, "what to do with a kernel? fetch, list, show, remove or add");
	if (!strcmp(verb, "--help") || !strcmp(verb, "-h"))
		return print_help();
	for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++)
		if (verbs[i].name && !strcmp(verb, verbs[i].name)) {
			g_autofree char *known_as = g_strconcat("kernel ", verb, NULL);
			argv[1] = known_as;
			return verbs[i].run(argc - 1, argv + 1, error);
		}
	g_autofree char *message = g_strdup_printf("'%s' is none of fetch, list, show, remove, add", verb);
	return usage(error, message);
}
