/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/error.h"

#include <stdarg.h>

G_DEFINE_QUARK(km-error-quark, km_error)

static void G_GNUC_PRINTF(3, 0) set_error(GError **error, int code, const char *format, va_list args)
{
	g_autoptr(GError) e = g_error_new_valist(KM_ERROR, code, format, args);
	/* One line whatever a program we drive printed into it. */
	g_strdelimit(e->message, "\r\n", ' ');
	g_propagate_error(error, g_steal_pointer(&e));
}

#define KM_SET_ERROR(code) \
	do { \
		va_list args; \
		va_start(args, format); \
		set_error(error, code, format, args); \
		va_end(args); \
	} while (0)

gboolean km_fail(GError **error, const char *format, ...)
{
	KM_SET_ERROR(KM_ERROR_FAILED);
	return FALSE;
}

gboolean km_refuse(GError **error, const char *format, ...)
{
	KM_SET_ERROR(KM_ERROR_REFUSED);
	return FALSE;
}

void *km_fail_null(GError **error, const char *format, ...)
{
	KM_SET_ERROR(KM_ERROR_FAILED);
	return NULL;
}

void *km_refuse_null(GError **error, const char *format, ...)
{
	KM_SET_ERROR(KM_ERROR_REFUSED);
	return NULL;
}

int km_error_exit_code(const GError *error)
{
	return error->domain == KM_ERROR ? error->code : KM_ERROR_FAILED;
}
