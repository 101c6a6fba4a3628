/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "types/local.h"

#include <string.h>

/* A word, a number, a text in quotes, or one character; a range of the text. */
typedef struct {
	const char *start;
	gsize size;
} Token;

typedef struct {
	GArray *tokens; /* of Token */
	const char *keyword, *tag; /* of the type */
} Unit;

static gboolean is_word(char c)
{
	return g_ascii_isalnum(c) || c == '_' || c == '$' || (c & 0x80);
}

static const char *skip_quoted(const char *p)
{
	char quote = *p++;
	for (; *p && *p != quote; p++)
		p += *p == '\\' && p[1];
	return *p ? p + 1 : p;
}

static const char *token_end(const char *p)
{
	if (*p == '"' || *p == '\'')
		return skip_quoted(p);
	const char *end = p;
	while (is_word(*end))
		end++;
	return end == p ? p + 1 : end;
}

/* Lines of the preprocessor ("# 1 "file.c"", #pragma) are left out. */
static GArray *tokenize(const char *text)
{
	GArray *tokens = g_array_new(FALSE, FALSE, sizeof(Token));
	gboolean fresh = TRUE;
	for (const char *p = text; *p;) {
		if (fresh && *p == '#') {
			p += strcspn(p, "\n");
		} else if (g_ascii_isspace(*p)) {
			fresh |= *p++ == '\n';
		} else {
			const char *end = token_end(p);
			Token token = { p, (gsize)(end - p) };
			g_array_append_val(tokens, token);
			fresh = FALSE;
			p = end;
		}
	}
	return tokens;
}

/* Is the i-th token text? Beyond either end there is none. */
static gboolean is(const Unit *unit, guint i, const char *text)
{
	if (i >= unit->tokens->len)
		return FALSE;
	const Token *token = &g_array_index(unit->tokens, Token, i);
	return token->size == strlen(text) && !strncmp(token->start, text, token->size);
}

static gboolean is_one_of(const Unit *unit, guint i, const char *const *texts)
{
	for (; *texts; texts++)
		if (is(unit, i, *texts))
			return TRUE;
	return FALSE;
}

/* The i-th token when it is a name, else NULL. Caller owns. */
static char *name_at(const Unit *unit, guint i)
{
	if (i >= unit->tokens->len)
		return NULL;
	const Token *token = &g_array_index(unit->tokens, Token, i);
	return is_word(*token->start) && !g_ascii_isdigit(*token->start) ? g_strndup(token->start, token->size) : NULL;
}

/* Does the type's name begin at i? */
static gboolean is_mention(const Unit *unit, guint i)
{
	return is(unit, i, unit->keyword) && is(unit, i + 1, unit->tag);
}

static guint count_mentions(const Unit *unit, guint from, guint to)
{
	guint n = 0;
	for (guint i = from; i < to; i++)
		n += is_mention(unit, i);
	return n;
}

/* The token behind the bracket that closes the one at i. */
static guint behind(const Unit *unit, guint i)
{
	guint depth = 0;
	for (; i < unit->tokens->len; i++) {
		static const char *const opening[] = { "{", "(", "[", NULL }, *const closing[] = { "}", ")", "]",
												   NULL };
		depth += is_one_of(unit, i, opening);
		if (is_one_of(unit, i, closing) && !--depth)
			return i + 1;
	}
	return i;
}

/* ---- what becomes of a variable or parameter ---- */

/* Is the i-th token a member's name, in x.v or x->v or a designated initializer? */
static gboolean is_member(const Unit *unit, guint i)
{
	return is(unit, i - 1, ".") || (is(unit, i - 1, ">") && is(unit, i - 2, "-"));
}

/* &v at i - 1 and i, as an argument of a function that only writes to it or gives its bytes to user space. */
static gboolean is_harmless_address(const Unit *unit, guint i)
{
	static const char *const first[] = {
		"__builtin_memset", "__builtin_object_size", "__builtin_dynamic_object_size", "memset", "__memset", NULL
	};
	static const char *const second[] = { "copy_to_user", "_copy_to_user", NULL };
	gboolean ends = is(unit, i + 1, ",") || is(unit, i + 1, ")");
	/* copy_to_user(p, &v, n): the destination is one name. */
	return is(unit, i - 1, "&") && ends &&
	       ((is(unit, i - 2, "(") && is_one_of(unit, i - 3, first)) ||
		(is(unit, i - 2, ",") && is(unit, i - 4, "(") && is_one_of(unit, i - 5, second)));
}

/* The operand of sizeof has length tokens from i; it may be an array of such. */
static gboolean is_sizeof(const Unit *unit, guint i, guint length)
{
	guint end = is(unit, i + length, "[") ? behind(unit, i + length) : i + length;
	return is(unit, i - 2, "sizeof") && is(unit, i - 1, "(") && is(unit, end, ")");
}

static gboolean is_harmless_use(const Unit *unit, guint i)
{
	if (is(unit, i + 1, "."))
		return !is(unit, i - 1, "&");
	return is_sizeof(unit, i, 1) || is_harmless_address(unit, i);
}

/* All of a body but the declaration at skip. */
static gboolean variable_stays(const Unit *unit, const char *name, guint from, guint to, guint skip)
{
	for (guint i = from; i < to; i++)
		if (i != skip && is(unit, i, name) && !is_member(unit, i) && !is_harmless_use(unit, i))
			return FALSE;
	return TRUE;
}

static gboolean parameter_stays(const Unit *unit, const char *name, guint from, guint to)
{
	static const char *const receivers[] = { "copy_to_user", "_copy_to_user", NULL };
	for (guint i = from; i < to; i++)
		if (is(unit, i, name) && !is_member(unit, i) &&
		    !(is(unit, i - 1, "(") && is_one_of(unit, i - 2, receivers) && is(unit, i + 1, ",")))
			return FALSE;
	return TRUE;
}

/* ---- mentions ---- */

/* "struct foo v;", "struct foo v = { ... };" at i: where a declaration can begin, so that nothing makes it static. */
static gboolean is_harmless_variable(const Unit *unit, guint i, guint from, guint to)
{
	static const char *const before[] = { "{", "}", ";", NULL };
	g_autofree char *name = name_at(unit, i + 2);
	if (!name || !is_one_of(unit, i - 1, before))
		return FALSE;
	gboolean plain = is(unit, i + 3, ";");
	gboolean filled = is(unit, i + 3, "=") && is(unit, i + 4, "{") && is(unit, behind(unit, i + 4), ";");
	return (plain || filled) && variable_stays(unit, name, from, to, i + 2);
}

static gboolean is_harmless_body(const Unit *unit, guint from, guint to)
{
	for (guint i = from; i < to; i++)
		if (is_mention(unit, i) && !is_sizeof(unit, i, 2) && !is_harmless_variable(unit, i, from, to))
			return FALSE;
	return TRUE;
}

/* Parameters "struct foo *p" in [head, body), of the function whose body is [body, end). */
static gboolean is_harmless_function(const Unit *unit, guint head, guint body, guint end)
{
	for (guint i = head; i < body; i++) {
		if (!is_mention(unit, i))
			continue;
		g_autofree char *name = is(unit, i + 2, "*") ? name_at(unit, i + 3) : NULL;
		gboolean begins = is(unit, i - 1, "(") || is(unit, i - 1, ",");
		gboolean ends = is(unit, i + 4, ",") || is(unit, i + 4, ")");
		if (!name || !begins || !ends || !parameter_stays(unit, name, body, end))
			return FALSE;
	}
	return is_harmless_body(unit, body, end);
}

static guint behind_attribute(const Unit *unit, guint i)
{
	return is(unit, i, "__attribute__") ? behind(unit, i + 1) : i;
}

/* Everything from head, where a declaration at file scope begins, to the brace at body, and its block. */
static gboolean is_harmless_block(const Unit *unit, guint head, guint body, guint end)
{
	if (!count_mentions(unit, head, end))
		return TRUE;
	if (body == head + 2 && is_mention(unit, head))
		return !count_mentions(unit, body, end) && is(unit, behind_attribute(unit, end), ";");
	return is(unit, body - 1, ")") && is_harmless_function(unit, head, body, end);
}

static gboolean is_harmless_text(const Unit *unit)
{
	guint head = 0, i = 0;
	while (i < unit->tokens->len) {
		gboolean brace = is(unit, i, "{"), bracket = is(unit, i, "(") || is(unit, i, "[");
		guint next = brace || bracket ? behind(unit, i) : i + 1;
		if (brace && !is_harmless_block(unit, head, i, next))
			return FALSE;
		if (is(unit, i, ";") && count_mentions(unit, head, i))
			return FALSE;
		/* What follows the braces of a type or an initializer belongs to the same declaration; there it may not be mentioned. */
		if (brace || is(unit, i, ";"))
			head = next;
		i = next;
	}
	return !count_mentions(unit, head, i);
}

gboolean km_type_stays_local(const char *text, const char *name)
{
	g_auto(GStrv) words = g_strsplit(name, " ", 2);
	if (g_strv_length(words) != 2 || (strcmp(words[0], "struct") && strcmp(words[0], "union")))
		return FALSE;
	g_autoptr(GArray) tokens = tokenize(text);
	Unit unit = { .tokens = tokens, .keyword = words[0], .tag = words[1] };
	return is_harmless_text(&unit);
}
