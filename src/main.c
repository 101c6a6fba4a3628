/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of subcommands, nothing else. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/guard.h"
#include "cmd/cmd.h"

static const KmCommand commands[] = {
	{ "kernel", "get, list, show or remove the kernels to be patched", km_cmd_kernel },
	{ "build", "build one livepatch module from one or several patches", km_cmd_build },
	{ "try", "load, watch and remove a live patch in a VM that runs the very kernel", km_cmd_try },
	{ "runtime", "make the module that puts in live patches where the kernel has no livepatch core", km_cmd_runtime },
	{ "diff", "tell what differs between two objects, and why; extract it", km_cmd_diff },
	{ "entries", "tell which functions of an object, module, program or kernel can be live patched", km_cmd_entries },
	{ "asm", "put entries into the listings of a compiler that cannot", km_cmd_asm },
	{ "inspect", "tell what a live patch, module, object or kernel image contains", km_cmd_inspect },
	{ "verify", "check a finished live patch against the kernel it is for", km_cmd_verify },
	{ NULL, NULL, NULL },
};

static void print_usage(FILE *out)
{
	fprintf(out, "Usage: kmend COMMAND [ARGUMENTS...]\n\n"
		     "Turns a source patch into a live patch for a stock running Linux kernel.\n\nCommands:\n");
	for (const KmCommand *c = commands; c->name; c++)
		fprintf(out, "  %-10s %s\n", c->name, c->summary);
	fprintf(out, "\n`kmend COMMAND --help` explains a command; kmend(1) and docs/ explain the rest.\n");
}

/* What was printed must have arrived: "done" with half a report is not done. */
static gboolean flush_output(GError **error)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return TRUE;
	return km_fail(error, "cannot write to standard output: %s", g_strerror(errno));
}

typedef struct {
	const KmCommand *command;
	int argc;
	char **argv;
} Call;

static int run_command(gpointer data)
{
	const Call *call = data;
	const KmCommand *command = call->command;
	g_autoptr(GError) error = NULL;
	int exit_code = 0;
	if (command->run(call->argc, call->argv, &exit_code, &error) && flush_output(&error))
		return exit_code;
	fprintf(stderr, "kmend %s: %s\n", command->name, error->message);
	return km_error_exit_code(error);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	if (!name || !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		print_usage(name ? stdout : stderr);
		return name ? 0 : KM_ERROR_USAGE;
	}
	if (!strcmp(name, "--version")) {
		printf("kmend %s\n", KMEND_VERSION);
		return 0;
	}
	for (const KmCommand *c = commands; c->name; c++) {
		Call call = { .command = c, .argc = argc - 1, .argv = argv + 1 };
		if (!strcmp(c->name, name))
			return km_guard(run_command, &call, km_cmd_tidy);
	}
	fprintf(stderr, "kmend: unknown command '%s'; `kmend --help` lists them\n", name);
	return KM_ERROR_USAGE;
}
