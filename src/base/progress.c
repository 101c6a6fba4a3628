/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

struct KmProgress {
	gboolean enabled;
	gboolean shown;
	GMutex mutex;
};

KmProgress *km_progress_new(gboolean quiet)
{
	KmProgress *progress = g_new0(KmProgress, 1);
	progress->enabled = !quiet && isatty(STDERR_FILENO);
	g_mutex_init(&progress->mutex);
	return progress;
}

void km_progress_free(KmProgress *progress)
{
	if (!progress)
		return;
	if (progress->shown)
		fputs("\r\033[K", stderr);
	g_mutex_clear(&progress->mutex);
	g_free(progress);
}

void km_progress_set(KmProgress *progress, const char *format, ...)
{
	if (!progress || !progress->enabled)
		return;
	va_list args;
	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_mutex_lock(&progress->mutex);
	fprintf(stderr, "\r\033[K%.100s", text);
	fflush(stderr);
	progress->shown = TRUE;
	g_mutex_unlock(&progress->mutex);
}
