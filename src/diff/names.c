/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What compilers do to names, and which names mean that content is identity. */
#include <string.h>

#include "diff/side.h"

static gboolean all_digits(const char *text, gsize length)
{
	for (gsize i = 0; i < length; i++)
		if (!g_ascii_isdigit(text[i]))
			return FALSE;
	return length > 0;
}

/* "__initcall__kmod_dm_mod__351_3083_init6": counter and line in the middle. */
static void blank_numbers(GString *name)
{
	gsize to = 0;
	for (gsize from = 0; from < name->len; from++) {
		gboolean digit = g_ascii_isdigit(name->str[from]);
		if (digit && to && name->str[to - 1] == '#')
			continue;
		name->str[to++] = digit ? '#' : name->str[from];
	}
	g_string_truncate(name, to);
}

/* "__UNIQUE_ID_ddebug123" (gcc of any age), "__UNIQUE_ID_addressable_foo_123" (since Linux 6.18). */
static void drop_counter(GString *name)
{
	gsize length = name->len;
	while (length && g_ascii_isdigit(name->str[length - 1]))
		length--;
	if (length < name->len && length && name->str[length - 1] == '_')
		length--;
	g_string_truncate(name, length);
}

char *km_name_base(const char *name)
{
	GString *base = g_string_new(NULL);
	const char *part = name;
	gboolean hash_follows = FALSE;
	for (;;) {
		const char *dot = strchr(part, '.');
		gsize length = dot ? (gsize)(dot - part) : strlen(part);
		gboolean number = part != name && (all_digits(part, length) || hash_follows);
		hash_follows = length == 4 && !strncmp(part, "llvm", 4) && part != name;
		if (!number && !hash_follows) {
			if (part != name)
				g_string_append_c(base, '.');
			g_string_append_len(base, part, (gssize)length);
		}
		if (!dot)
			break;
		part = dot + 1;
	}
	if (g_str_has_prefix(base->str, "__UNIQUE_ID_"))
		drop_counter(base);
	else if (g_str_has_prefix(base->str, "__initcall_") || g_str_has_prefix(base->str, "__exitcall_"))
		blank_numbers(base);
	else if (g_str_has_prefix(base->str, ".L") || strstr(base->str, "..L"))
		blank_numbers(base);
	return g_string_free(base, FALSE);
}

gboolean km_name_is_cold_part(const char *name)
{
	const char *cold = strstr(name, ".cold");
	return cold && (cold[5] == '\0' || cold[5] == '.');
}

char *km_name_root(const char *name)
{
	const char *dot = name[0] ? strchr(name + 1, '.') : NULL;
	return dot ? g_strndup(name, (gsize)(dot - name)) : g_strdup(name);
}

gboolean km_name_is_numbered(const char *name)
{
	g_autofree char *base = km_name_base(name);
	return strcmp(base, name) != 0;
}

gboolean km_name_is_constant(const char *name)
{
	static const char *const made[] = { "CSWTCH", "__func__", "__FUNCTION__", "__PRETTY_FUNCTION__", "C",
					    ".str",   NULL };
	g_autofree char *base = km_name_base(name);
	/* gcc's "C.0.1234" and clang's ".str.5", "switch.table.foo.3", "__const.foo.x", "reltable.foo" */
	if (g_str_has_prefix(base, ".L") || g_str_has_prefix(base, "switch.table.") ||
	    g_str_has_prefix(base, "__const.") || g_str_has_prefix(base, "reltable."))
		return TRUE;
	if (!strcmp(base, "C"))
		return km_name_is_numbered(name);
	return g_strv_contains(made, base) || g_str_has_prefix(base, "__func__.") ||
	       g_str_has_suffix(base, ".__func__") || g_str_has_suffix(base, ".__FUNCTION__") ||
	       g_str_has_suffix(base, ".__PRETTY_FUNCTION__");
}
