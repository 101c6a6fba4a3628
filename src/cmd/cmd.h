/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The subcommands: one file each, parse arguments, call the rooms below, print. */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef struct {
	const char *name;
	const char *summary;	/* one line for `kmend --help` */
	/* argv[0] is the subcommand's name. Returns FALSE with error; *exit_code may be set on success (default 0). */
	gboolean (*run)(int argc, char **argv, int *exit_code, GError **error);
} KmCommand;

gboolean km_cmd_kernel(int argc, char **argv, int *exit_code, GError **error);
gboolean km_cmd_build(int argc, char **argv, int *exit_code, GError **error);
gboolean km_cmd_runtime(int argc, char **argv, int *exit_code, GError **error);
gboolean km_cmd_try(int argc, char **argv, int *exit_code, GError **error);
gboolean km_cmd_asm(int argc, char **argv, int *exit_code, GError **error);
gboolean km_cmd_diff(int argc, char **argv, int *exit_code, GError **error);
gboolean km_cmd_entries(int argc, char **argv, int *exit_code, GError **error);
gboolean km_cmd_inspect(int argc, char **argv, int *exit_code, GError **error);
gboolean km_cmd_verify(int argc, char **argv, int *exit_code, GError **error);

/* Remove what commands that were killed left in temporary directories. */
void km_cmd_tidy(void);

/* Print root to standard output, keys sorted, indented, and drop the reference. */
gboolean km_cmd_print_json(json_t *root, GError **error);
/* What `kmend build --explain` tells: array of KmUnitStory. */
void km_cmd_print_stories(const GPtrArray *stories);
/* GOption parsing with our habits: usage errors become KM_ERROR_USAGE, --help prints and exits 0. */
gboolean km_cmd_parse(int *argc, char ***argv, const char *synopsis, const char *summary, const GOptionEntry *entries,
		      GError **error);
