/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs we drive: run to the end, with their output captured. */
#pragma once

#include <gio/gio.h>

typedef struct {
	const char *cwd;		/* NULL: ours */
	const char *const *env;		/* "NAME=value" entries laid over ours; NULL: ours */
	gboolean clear_env;		/* env replaces ours whole */
	gboolean merge_stderr;		/* standard error goes into the output */
	const char *stdin_text;		/* NULL: no standard input */
} KmRunOptions;

typedef struct {
	char *output;	/* standard output, never NULL */
	char *errors;	/* standard error, never NULL */
	int status;	/* exit status; 128 + signal if it was killed */
} KmRunResult;

void km_run_result_free(KmRunResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmRunResult, km_run_result_free)

/*
 * Run argv (argv[0] looked up in PATH) and wait. NULL only when it could not be started: a non-zero exit is a result.
 * options may be NULL. The child dies with us (PR_SET_PDEATHSIG).
 */
KmRunResult *km_run(const char *const *argv, const KmRunOptions *options, GError **error);

/* Run argv and fail, with the command and the last lines it said, unless it exits with 0. Returns its output, owned. */
char *km_run_checked(const char *const *argv, const KmRunOptions *options, GError **error);

/* A program that runs while we do something else. */
typedef struct KmProcess KmProcess;

/* Start argv with its standard output and error in the file log, and no standard input. The child dies with us. */
KmProcess *km_process_start(const char *const *argv, const char *log, GError **error);
/* TRUE while it runs; after that *status (may be NULL) is as in KmRunResult. */
gboolean km_process_running(KmProcess *process, int *status);
/* Ends it if it still runs (SIGTERM, then SIGKILL), and waits until it is gone. */
void km_process_free(KmProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmProcess, km_process_free)
