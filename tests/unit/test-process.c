/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program beside us: its words are kept, its status told, and it never outlives its handle. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/run.h"

static char *log_in(const KmTempDir *dir)
{
	return g_build_filename(dir->path, "log", NULL);
}

static int wait_for(KmProcess *process)
{
	int status = -1;
	for (int i = 0; i < 1000 && km_process_running(process, &status); i++)
		g_usleep(10000);
	return status;
}

static int run_shell(const char *script, char **said)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-process", &error);
	g_autofree char *log = log_in(dir);
	const char *argv[] = { "sh", "-c", script, NULL };
	g_autoptr(KmProcess) process = km_process_start(argv, log, &error);
	g_assert_no_error(error);
	int status = wait_for(process);
	g_assert_true(g_file_get_contents(log, said, NULL, NULL));
	return status;
}

static void test_status_and_words(void)
{
	g_autofree char *said = NULL;
	g_autofree char *nothing = NULL;
	g_assert_cmpint(run_shell("echo out; echo err >&2; exit 3", &said), ==, 3);
	g_assert_cmpstr(said, ==, "out\nerr\n");
	g_assert_cmpint(run_shell("kill -9 $$", &nothing), ==, 128 + SIGKILL);
}

/* The shell tells its pid, ignores SIGTERM if told so, and waits. */
static void assert_ends(const char *script)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-process", NULL);
	g_autofree char *log = log_in(dir);
	g_autofree char *pid = NULL;
	const char *argv[] = { "sh", "-c", script, NULL };
	KmProcess *process = km_process_start(argv, log, NULL);
	g_assert_nonnull(process);
	for (int i = 0; i < 1000; i++) {
		g_clear_pointer(&pid, g_free);
		if (g_file_get_contents(log, &pid, NULL, NULL) && strchr(pid, '\n'))
			break;
		g_usleep(10000);
	}
	g_assert_true(km_process_running(process, NULL));
	km_process_free(process);
	g_assert_cmpint(kill(atoi(pid), 0), ==, -1);
	g_assert_cmpint(errno, ==, ESRCH);
}

static void test_ends_with_handle(void)
{
	assert_ends("echo $$; while :; do sleep 0.1; done");
	assert_ends("trap '' TERM; echo $$; while :; do sleep 0.1; done");
}

static void test_cannot_start(void)
{
	g_autoptr(GError) missing = NULL;
	g_autoptr(GError) nowhere = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-process", NULL);
	g_autofree char *log = log_in(dir);
	const char *none[] = { "no-such-program-here", NULL };
	const char *fine[] = { "true", NULL };
	g_assert_null(km_process_start(none, log, &missing));
	g_assert_nonnull(strstr(missing->message, "no-such-program-here"));
	g_assert_null(km_process_start(fine, "/nonexistent/log", &nowhere));
	g_assert_nonnull(strstr(nowhere->message, "/nonexistent/log"));
	km_process_free(NULL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/process/status-and-words", test_status_and_words);
	g_test_add_func("/process/ends-with-handle", test_ends_with_handle);
	g_test_add_func("/process/cannot-start", test_cannot_start);
	return g_test_run();
}
