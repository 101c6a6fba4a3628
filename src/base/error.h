/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors as values. Every fallible function takes a GError ** last, returns FALSE or NULL on failure and leaves its
 * out values untouched. Nothing below cmd/ prints or exits.
 *
 * A message is one line: what failed, on what, why, and what the user can do.
 */
#pragma once

#include <glib.h>

/* The codes are the exit codes of the program (0 is success). An error of any other domain exits with KM_ERROR_FAILED. */
typedef enum {
	KM_ERROR_FAILED = 1,	/* it broke: input unreadable, a program we drive failed, no space ... */
	KM_ERROR_USAGE = 2,	/* the command line is wrong */
	KM_ERROR_REFUSED = 3,	/* we understood, and will not do it: it would be wrong or unsafe */
	KM_ERROR_UNCHANGED = 4,	/* nothing to patch */
} KmErrorCode;

#define KM_ERROR (km_error_quark())
GQuark km_error_quark(void);

/* Set a formatted error of code KM_ERROR_FAILED (km_refuse: KM_ERROR_REFUSED). Always FALSE, so callers can return it. */
gboolean km_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
gboolean km_refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The same for functions that return a pointer. Always NULL. */
void *km_fail_null(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
void *km_refuse_null(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The exit code an error asks for. */
int km_error_exit_code(const GError *error);
