/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a mismatch usually means, in one line. */
#include "match/lay.h"

#include <string.h>

#include "base/error.h"

#define NAMED 5 /* functions that the message lists */

/* .comment is a list of strings, one for each compiler that took part; assemblers leave none. */
char *km_verdict_compiler(const KmObject *object)
{
	const KmSection *comment = km_object_find_section(object, ".comment");
	gsize size = comment && comment->data ? comment->data->len : 0;
	for (gsize i = 0; i < size; i++) {
		const char *text = (const char *)comment->data->data + i;
		if (*text)
			return g_strndup(text, size - i);
	}
	return NULL;
}

/* The part of a compiler's identification that both notations have: "(Debian 12.2.0-14+deb12u1) 12.2.0". */
static const char *package_of(const char *compiler)
{
	const char *start = compiler ? strchr(compiler, '(') : NULL;
	return start ? start : compiler;
}

static char *list_functions(const KmMatch *match)
{
	GString *text = g_string_new(NULL);
	for (guint i = 0; i < match->mismatches->len && i < NAMED; i++) {
		const KmMismatch *m = match->mismatches->pdata[i];
		g_string_append_printf(text, "%s%s (%s)", i ? ", " : "", m->function, m->why);
	}
	if (match->mismatches->len > NAMED)
		g_string_append_printf(text, " and %u more", match->mismatches->len - NAMED);
	return g_string_free(text, FALSE);
}

static gboolean all_absent(const KmMatch *match)
{
	for (guint i = 0; i < match->mismatches->len; i++)
		if (!g_str_has_prefix(((const KmMismatch *)match->mismatches->pdata[i])->why, "not in "))
			return FALSE;
	return !match->compared;
}

static char *usual_meaning(const KmMatch *match)
{
	g_autofree char *ours = km_verdict_compiler(match->plain);
	const char *theirs = match->ground->ops->compiler(match->ground);
	guint all = match->compared + match->mismatches->len;
	if (ours && theirs && strcmp(package_of(ours), package_of(theirs)) != 0)
		return g_strdup_printf("compiled here by %s, there by %s: install that compiler", ours, theirs);
	if (all_absent(match))
		return g_strdup_printf("none of it is there: linked elsewhere, or %s is of another version or config",
				       match->ground->owner);
	if (!match->compared && all > 1)
		return g_strdup("nothing of it matches: another kernel version or another config");
	if (match->mismatches->len * 2 > all && all > 2)
		return g_strdup("most of it differs: another kernel version or another config");
	return g_strdup_printf("the source is of another version, or the config%s differs from the kernel's",
			       ours && theirs ? "" : " or the compiler package");
}

gboolean km_verdict_refuse(const KmMatch *match, GError **error)
{
	g_autofree char *functions = list_functions(match);
	g_autofree char *meaning = usual_meaning(match);
	guint all = match->compared + match->mismatches->len;
	return km_refuse(error, "%s: %u of %u functions differ from %s: %s; %s", match->plain->path,
			 match->mismatches->len, all, match->ground->what, functions, meaning);
}
