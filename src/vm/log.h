/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel log: its lines, and the ones that tell that something went wrong. */
#pragma once

#include <glib.h>

/* The non-empty lines of a log, without control characters and priority prefixes. Array of char*, owned. */
GPtrArray *km_log_lines(const char *text);
/* Index of the first line after the one that holds mark; 0 when none does. */
guint km_log_after(const GPtrArray *lines, const char *mark);
/* The message of a line, behind its time stamp and caller. Points into line. */
const char *km_log_message(const char *line);
/* Does this line fail a live patch? */
gboolean km_log_is_problem(const char *line);
/* The lines from index from on that do, each once, at most limit. Array of char*, owned. */
GPtrArray *km_log_problems(const GPtrArray *lines, guint from, guint limit);
/* Lines from index from on which say why a module was not taken. Owned text, "; " between; NULL when there are none. */
char *km_log_reasons(const GPtrArray *lines, guint from, const char *module);
/* Names of the taint bits that are new in after and that loading a live patch does not explain; NULL: none. */
char *km_log_taint(guint64 before, guint64 after);
