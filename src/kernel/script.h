/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a patch does to a build script, judged by its text. Build scripts run commands on the machine that reads them, so a change is
 * harmless only when it is understood completely; private to this room.
 */
#pragma once

#include <glib.h>

typedef enum {
	KM_SCRIPT_SAME, /* comments, white space, help texts */
	KM_SCRIPT_LISTS, /* only which objects are built: "obj-y += a.o" with nothing but plain words */
	KM_SCRIPT_OTHER,
} KmScriptChange;

/* *line: for KM_SCRIPT_OTHER the first line of patched that is to blame, shortened (caller owns; NULL when one was removed). */
KmScriptChange km_script_makefile(const char *original, const char *patched, char **line);
KmScriptChange km_script_kconfig(const char *original, const char *patched, char **line);
