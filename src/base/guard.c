/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void fill(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGQUIT);
	sigaddset(set, SIGCHLD);
}

/* What ended the child ends us, so that whoever started us sees what happened. */
static int end_likewise(int signal_number)
{
	const struct rlimit none = { 0, 0 };
	sigset_t set;
	/* One memory image is enough. */
	setrlimit(RLIMIT_CORE, &none);
	signal(signal_number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, signal_number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(signal_number);
	return 128 + signal_number;
}

/* The status of the child when it has ended. */
static int wait_for(pid_t child, const sigset_t *set)
{
	int status = 0;
	while (waitpid(child, &status, WNOHANG) == 0) {
		siginfo_t info;
		/* A terminal sends its signals to the child too; twice does no harm. */
		if (sigwaitinfo(set, &info) > 0 && info.si_signo != SIGCHLD)
			kill(child, info.si_signo);
	}
	return status;
}

/*
 * What the child had started has come to us and has been told to end, but may still be writing into a directory that we are about to remove.
 * Whoever does not end in time keeps running; the sweep of a later command takes what it left.
 */
static void wait_for_orphans(const sigset_t *set)
{
	const struct timespec tick = { .tv_nsec = 20 * 1000 * 1000 };
	for (int ticks = 0; ticks < 250; ticks++) {
		pid_t ended;
		while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
			continue;
		if (ended < 0)
			return;
		sigtimedwait(set, NULL, &tick);
	}
}

static int be_child(int (*work)(gpointer data), gpointer data, pid_t parent, const sigset_t *before)
{
	sigprocmask(SIG_SETMASK, before, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may be gone already. */
	if (getppid() != parent)
		raise(SIGKILL);
	return work(data);
}

int km_guard(int (*work)(gpointer data), gpointer data, void (*tidy)(void))
{
	sigset_t set, before;
	pid_t self = getpid();
	fill(&set);
	/* Whoever started us may have it ignored; then nobody would learn how the child ended. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &before);
	fflush(NULL);
	/* What a killed child leaves running becomes ours, so that it can be waited for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t child = fork();
	if (child <= 0) {
		if (child == 0)
			return be_child(work, data, self, &before);
		sigprocmask(SIG_SETMASK, &before, NULL);
		return work(data);
	}
	int status = wait_for(child, &set);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	wait_for_orphans(&set);
	tidy();
	return end_likewise(WTERMSIG(status));
}
