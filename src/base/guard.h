/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command that leaves nothing behind, however it ends. */
#pragma once

#include <glib.h>

/*
 * Run work(data) in a child process and return its exit code. We only wait: SIGINT, SIGTERM, SIGHUP and SIGQUIT are handed on to the child.
 * When a signal has ended it, the processes that it had started are waited for (5 seconds at most), tidy() runs, and the same signal ends us.
 * The child dies with us. Before any thread is started. Where no process can be made, work() runs here.
 */
int km_guard(int (*work)(gpointer data), gpointer data, void (*tidy)(void));
