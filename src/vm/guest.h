/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's answers. They come over a serial port of their own, so kernel messages never get between, and each one
 * tells its length, so an output may hold anything. A line "#kmend:NONCE KEY STATUS LENGTH" is followed by LENGTH bytes
 * and a newline. What does not fit that (a VM that died in the middle, lost bytes) is skipped up to the next such line.
 *
 *   boot                      text: uname -r
 *   first/NAME later/NAME     status: insmod of a stock module; text: what insmod said
 *   before/N after/N removed/N  status and output of probe N
 *   taint/before taint/after  text: /proc/sys/kernel/tainted
 *   mark                      the live patches are loaded from here on
 *   load/NAME                 status and words of insmod of a live patch
 *   registered/NAME           status 1: loaded, but no live patch appeared
 *   transition/NAME untransition/NAME  status 1: stalled; text: the tasks in the way
 *   disable/NAME remove/NAME  status; text: what the shell or rmmod said
 *   cycle                     text: load/remove cycles done
 *   stress                    status; text: cycles done
 *   target/NAME               status: insmod of a stock module that the live patch NAME patches; text: its name, what insmod said
 *   part/NAME                 text: what the kernel logged while the live patch NAME came and went
 *   each/NAME                 status 1: a step failed; text: the taint bits before and after
 *   log                       text: the kernel log
 *   end                       nothing follows
 */
#pragma once

#include <glib.h>

typedef struct {
	char *key;
	int status;
	char *text; /* valid UTF-8 */
} KmAnswer;

void km_answer_free(KmAnswer *answer);

/* All complete answers in data, in order, as an array of KmAnswer, owned. Never fails: garbage holds none. */
GPtrArray *km_guest_parse(const char *data, gsize size, const char *nonce);
/* The last answer of that key, NULL when there is none. */
const KmAnswer *km_guest_find(const GPtrArray *answers, const char *key);
/* What the line holds that the guest writes into its log before it loads the live patch. Caller owns. */
char *km_guest_mark(const char *nonce);
/* The text of the guest's /init. */
GBytes *km_guest_init(GError **error);
