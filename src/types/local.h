/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types whose every object lives on the stack of one function, as a preprocessed text tells. */
#pragma once

#include <glib.h>

/*
 * Does text, preprocessed C, prove that no object of the type name ("struct foo", "union foo") is seen by more than one function?
 * C can only name members where it names the type, or an expression of the type. TRUE only when each mention is one of:
 *   - the definition, which does not mention the type itself,
 *   - sizeof (struct foo) or sizeof (struct foo[n]),
 *   - struct foo v; or struct foo v = { ... }; in the body of a function, where v is only used as v.member, sizeof (v), and &v as an
 *     argument of copy_to_user() (its source) and of what memset() is made of,
 *   - struct foo *p, a parameter of a function with a body, where p is only used as the destination of copy_to_user().
 * So nothing but that function ever reads v, and what leaves it goes to user space. Anything else is FALSE.
 */
gboolean km_type_stays_local(const char *text, const char *name);
