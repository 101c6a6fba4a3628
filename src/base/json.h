/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <jansson.h>

/* A JSON string of any bytes: those of foreign files and names of files are no promise of UTF-8, JSON strings are. NULL becomes null. */
json_t *km_json_text(const char *text);
