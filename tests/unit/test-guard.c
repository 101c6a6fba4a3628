/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guarded command: its exit code is ours, and what ends it by force is followed by tidying up. */
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/guard.h"

static int return_seven(gpointer data)
{
	return *(int *)data + 1;
}

static int raise_signal(gpointer data)
{
	raise(*(int *)data);
	return 0;
}

/* Its parent is the one that guards. */
static int signal_parent(gpointer data)
{
	kill(getppid(), *(int *)data);
	pause();
	return 0;
}

/* As a compiler under a make that is gone. */
static int leave_one_writing(gpointer data)
{
	if (fork() == 0) {
		g_usleep(300000);
		_exit(write(STDOUT_FILENO, "wrote\n", 6) != 6);
	}
	raise(*(int *)data);
	return 0;
}

static void tell(void)
{
	if (write(STDOUT_FILENO, "tidied\n", 7) != 7)
		_exit(99);
}

/* Whoever started the test may have had some ignored. */
static void reset_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
		signal(numbers[i], SIG_DFL);
}

/* Guard work in a process of its own: its status, and what it wrote. */
static int run(int (*work)(gpointer), int number, char *out, size_t room)
{
	int ends[2], status;
	g_assert_cmpint(pipe(ends), ==, 0);
	pid_t pid = fork();
	if (pid == 0) {
		reset_signals();
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		_exit(km_guard(work, &number, tell));
	}
	close(ends[1]);
	size_t size = 0;
	ssize_t n;
	while (size < room - 1 && (n = read(ends[0], out + size, room - 1 - size)) > 0)
		size += (size_t)n;
	out[size] = '\0';
	close(ends[0]);
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	return status;
}

static void test_exit_code(void)
{
	char out[64];
	int status = run(return_seven, 6, out, sizeof(out));
	g_assert_true(WIFEXITED(status));
	g_assert_cmpint(WEXITSTATUS(status), ==, 7);
	g_assert_cmpstr(out, ==, "");
}

static void test_exit_code_unwaited(void)
{
	int status, number = 6;
	pid_t pid = fork();
	if (pid == 0) {
		/* Better ended than waiting for ever. */
		alarm(20);
		/* As daemons that never wait have it. */
		signal(SIGCHLD, SIG_IGN);
		_exit(km_guard(return_seven, &number, tell));
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFEXITED(status));
	g_assert_cmpint(WEXITSTATUS(status), ==, 7);
}

static void check_ended(int (*work)(gpointer), int number, const char *expected)
{
	char out[64];
	int status = run(work, number, out, sizeof(out));
	g_assert_true(WIFSIGNALED(status));
	g_assert_cmpint(WTERMSIG(status), ==, number);
	g_assert_cmpstr(out, ==, expected);
}

static void test_killed(void)
{
	check_ended(raise_signal, SIGKILL, "tidied\n");
	check_ended(raise_signal, SIGTERM, "tidied\n");
}

static void test_orphans(void)
{
	check_ended(leave_one_writing, SIGTERM, "wrote\ntidied\n");
}

static void test_handed_on(void)
{
	check_ended(signal_parent, SIGINT, "tidied\n");
	check_ended(signal_parent, SIGTERM, "tidied\n");
	check_ended(signal_parent, SIGHUP, "tidied\n");
	check_ended(signal_parent, SIGQUIT, "tidied\n");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/guard/exit-code", test_exit_code);
	g_test_add_func("/guard/exit-code-unwaited", test_exit_code_unwaited);
	g_test_add_func("/guard/killed", test_killed);
	g_test_add_func("/guard/orphans", test_orphans);
	g_test_add_func("/guard/handed-on", test_handed_on);
	return g_test_run();
}
