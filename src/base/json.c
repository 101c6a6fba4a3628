/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json.h"

#include <glib.h>

json_t *km_json_text(const char *text)
{
	g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;
	return valid ? json_string(valid) : json_null();
}
