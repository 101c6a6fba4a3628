/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a file of the kernel tree is to a live patch, told by its name; private to this room. */
#pragma once

#include <glib.h>

typedef enum {
	KM_FILE_PROSE, /* never reaches the running kernel: passed over */
	KM_FILE_C,
	KM_FILE_HEADER, /* reaches the compiler by #include only */
	KM_FILE_MAKEFILE,
	KM_FILE_KCONFIG,
	KM_FILE_REFUSED,
} KmFileKind;

/* *why: for KM_FILE_REFUSED what it is and what to do instead ("assembly: ..."). Not owned. */
KmFileKind km_file_kind(const char *path, gboolean outside, const char **why);
