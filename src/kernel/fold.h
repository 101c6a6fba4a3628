/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From an assembly listing with a section per function back to one without; private to this room. */
#pragma once

#include <glib.h>

/*
 * Put every function that -ffunction-sections gave a section of its own back where the compiler puts it without that option:
 * .text.NAME into .text, .text.unlikely.NAME into .text.unlikely and so on. Sections a function asked for by attribute, and
 * whatever inline assembly does, stay. Caller owns the text.
 */
char *km_fold_sections(const char *listing);
