/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

void km_run_result_free(KmRunResult *result)
{
	if (!result)
		return;
	g_free(result->output);
	g_free(result->errors);
	g_free(result);
}

/* Between fork and exec: only async-signal-safe calls. */
static void die_with_parent(gpointer unused)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static GSubprocessLauncher *new_launcher(const KmRunOptions *o)
{
	GSubprocessFlags flags = G_SUBPROCESS_FLAGS_STDOUT_PIPE;
	flags |= o->merge_stderr ? G_SUBPROCESS_FLAGS_STDERR_MERGE : G_SUBPROCESS_FLAGS_STDERR_PIPE;
	if (o->stdin_text)
		flags |= G_SUBPROCESS_FLAGS_STDIN_PIPE;
	GSubprocessLauncher *launcher = g_subprocess_launcher_new(flags);
	if (o->cwd)
		g_subprocess_launcher_set_cwd(launcher, o->cwd);
	if (o->clear_env) {
		char *none[] = { NULL };
		g_subprocess_launcher_set_environ(launcher, none);
	}
	for (const char *const *e = o->env; e && *e; e++) {
		const char *equals = strchr(*e, '=');
		g_autofree char *name = equals ? g_strndup(*e, (gsize)(equals - *e)) : g_strdup(*e);
		if (equals)
			g_subprocess_launcher_setenv(launcher, name, equals + 1, TRUE);
		else
			g_subprocess_launcher_unsetenv(launcher, name);
	}
	g_subprocess_launcher_set_child_setup(launcher, die_with_parent, NULL, NULL);
	return launcher;
}

/* Output of a program is text for us: bytes that are not UTF-8 are replaced. */
static char *to_text(GBytes *bytes)
{
	/* An empty one has no data at all. */
	if (!bytes || !g_bytes_get_size(bytes))
		return g_strdup("");
	return g_utf8_make_valid(g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes));
}

KmRunResult *km_run(const char *const *argv, const KmRunOptions *options, GError **error)
{
	const KmRunOptions none = { 0 };
	const KmRunOptions *o = options ? options : &none;
	g_autoptr(GSubprocessLauncher) launcher = new_launcher(o);
	g_autoptr(GError) local = NULL;
	g_autoptr(GSubprocess) process = g_subprocess_launcher_spawnv(launcher, argv, &local);
	if (!process)
		return km_fail_null(error, "cannot run %s: %s", argv[0], local->message);

	g_autoptr(GBytes) in = o->stdin_text ? g_bytes_new_static(o->stdin_text, strlen(o->stdin_text)) : NULL;
	g_autoptr(GBytes) out = NULL;
	g_autoptr(GBytes) err = NULL;
	if (!g_subprocess_communicate(process, in, NULL, &out, &err, &local))
		return km_fail_null(error, "running %s: %s", argv[0], local->message);

	KmRunResult *result = g_new0(KmRunResult, 1);
	result->output = to_text(out);
	result->errors = to_text(err);
	result->status = g_subprocess_get_if_exited(process) ? g_subprocess_get_exit_status(process)
							     : 128 + g_subprocess_get_term_sig(process);
	return result;
}

/* The last lines a program said, for a message. */
static char *last_words(const char *text)
{
	g_autofree char *trimmed = g_strchomp(g_strdup(text));
	gsize length = strlen(trimmed);
	const char *from = length > 600 ? trimmed + length - 600 : trimmed;
	return g_utf8_make_valid(from, -1);
}

char *km_run_checked(const char *const *argv, const KmRunOptions *options, GError **error)
{
	g_autoptr(KmRunResult) result = km_run(argv, options, error);
	if (!result)
		return NULL;
	if (result->status == 0)
		return g_steal_pointer(&result->output);
	g_autofree char *command = g_strjoinv(" ", (char **)argv);
	g_autofree char *words = last_words(*result->errors ? result->errors : result->output);
	return km_fail_null(error, "`%.300s` failed with status %d: %s", command, result->status, words);
}

struct KmProcess {
	pid_t pid;
	gboolean running;
	int status;
};

KmProcess *km_process_start(const char *const *argv, const char *log, GError **error)
{
	g_autoptr(GError) local = NULL;
	GPid pid;
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return km_fail_null(error, "cannot write %s: %s", log, g_strerror(errno));
	gboolean ok = g_spawn_async_with_fds(NULL, (char **)argv, NULL,
					     G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, die_with_parent, NULL,
					     &pid, -1, fd, fd, &local);
	close(fd);
	if (!ok)
		return km_fail_null(error, "cannot run %s: %s", argv[0], local->message);
	KmProcess *process = g_new0(KmProcess, 1);
	process->pid = pid;
	process->running = TRUE;
	return process;
}

static void reap(KmProcess *process, int flags)
{
	int status;
	pid_t got;
	do
		got = waitpid(process->pid, &status, flags);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return;
	process->running = FALSE;
	process->status = got < 0 ? 127 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

gboolean km_process_running(KmProcess *process, int *status)
{
	if (process->running)
		reap(process, WNOHANG);
	if (!process->running && status)
		*status = process->status;
	return process->running;
}

void km_process_free(KmProcess *process)
{
	if (!process)
		return;
	if (km_process_running(process, NULL))
		kill(process->pid, SIGTERM);
	for (int i = 0; i < 200 && km_process_running(process, NULL); i++)
		g_usleep(10000);
	if (process->running) {
		kill(process->pid, SIGKILL);
		reap(process, 0);
	}
	g_free(process);
}
