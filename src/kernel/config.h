/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel configuration as text. */
#pragma once

#include <glib.h>

/* Value of CONFIG_<option> in the text of a .config, without quotes and their escapes; NULL when not set. Caller owns. */
char *km_config_value(const char *text, gsize size, const char *option);

/* The same from a file; NULL also when it cannot be read. */
char *km_config_file_value(const char *path, const char *option);
