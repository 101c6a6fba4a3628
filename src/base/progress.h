/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line on a terminal that says what is going on; nothing at all when standard error is no terminal. */
#pragma once

#include <glib.h>

typedef struct KmProgress KmProgress;

/* quiet: never print (used for --json and --quiet). */
KmProgress *km_progress_new(gboolean quiet);
/* Wipes the line. NULL is allowed here and below. */
void km_progress_free(KmProgress *progress);
/* Replace the line. Safe from any thread. */
void km_progress_set(KmProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmProgress, km_progress_free)
