/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who uses a function of the linked image. There are no relocations left to ask, so every byte is: any field of code or data that can
 * stand for the function's address counts. What is found may be too much; what is not found is not there.
 */
#pragma once

#include "image/image.h"

/* An entry record of a function lies this far into it at most: a landing pad, then the hook call. */
#define KM_IMAGE_PROLOGUE 16

typedef struct {
	char *name; /* of the function or datum by kallsyms; of the section where that knows none */
	guint64 address; /* of that name */
	gboolean named; /* by kallsyms */
	gboolean calls; /* by a call or jump; else the address is taken: computed by code or stored in data */
	gboolean code;
	gboolean init; /* start-up or exit code or data. In the image gone by now; not so an address that it handed out */
	gboolean has_entry; /* code that can be redirected, as far as the image tells */
	guint of_name; /* how many symbols of the image bear the name */
	const KmSymbol *symbol; /* in a module (klp/users.h): what bears the name; then there is no address */
} KmImageUser;

void km_image_user_free(gpointer user);

/*
 * The users of what starts at address, one row for each name and kind of use, ascending by address; owned by the caller. Records about
 * code (entries, unwinding, exports, the list of what kprobes leave alone) are no users. NULL: the image cannot be asked, because it has no
 * sections or KmArch.mentions is not available.
 */
GPtrArray *km_image_users(const KmImage *image, guint64 address);

/* Is a function of that name in one of the sets from which BPF programs call kernel functions, by its type's number? */
gboolean km_image_is_kfunc(const KmImage *image, const char *name);

/* Is what starts at address exported, by whatever name? */
gboolean km_image_is_exported(const KmImage *image, guint64 address);
