/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader of C that knows brackets, comments and directives, and nothing of types. It is for words in messages and for
 * deciding what to look at, not for deciding what is right.
 */
#include "kernel/outline.h"

#include <string.h>

/* A word or a sign; words are ranges of the text. */
typedef struct {
	const char *start;
	gsize size;
	guint line;
} Token;

typedef struct {
	const char *p;
	guint line;
	gboolean line_start; /* only blanks so far in this line */
} Reader;

/* What is being put together: the tokens at file scope since the last thing ended. */
typedef struct {
	GPtrArray *things;
	GArray *tokens; /* of Token: those outside all brackets, and the first word inside the first parentheses */
	guint first;
	guint braces, parens;
	gboolean body; /* the open brace is a function's */
	Token argument; /* first word in the first parentheses */
	gboolean parens_seen;
} Builder;

static void thing_free(gpointer data)
{
	KmThing *thing = data;
	g_free(thing->name);
	g_free(thing);
}

static gboolean is_word_start(char c)
{
	return g_ascii_isalpha(c) || c == '_';
}

static gboolean is_word(char c)
{
	return g_ascii_isalnum(c) || c == '_';
}

static gboolean token_is(const Token *token, const char *text)
{
	return token->size == strlen(text) && !strncmp(token->start, text, token->size);
}

/* Skip to behind the end of a comment; counts lines. */
static void skip_comment(Reader *r)
{
	for (r->p += 2; *r->p && !(r->p[0] == '*' && r->p[1] == '/'); r->p++)
		r->line += *r->p == '\n';
	r->p += *r->p ? 2 : 0;
}

static void skip_quoted(Reader *r)
{
	char quote = *r->p++;
	for (; *r->p && *r->p != quote && *r->p != '\n'; r->p++)
		if (*r->p == '\\' && r->p[1]) {
			r->p++;
			r->line += *r->p == '\n';
		}
	r->p += *r->p == quote;
}

/* Skip a line and those that continue it. */
static void skip_logical_line(Reader *r)
{
	while (*r->p && *r->p != '\n') {
		if (r->p[0] == '/' && r->p[1] == '*') {
			skip_comment(r);
			continue;
		}
		if (r->p[0] == '\\' && r->p[1] == '\n') {
			r->p++;
			r->line++;
		}
		r->p++;
	}
}

static void add_thing(Builder *b, KmThingKind kind, const Token *name, gboolean by_macro, guint first, guint last)
{
	KmThing *thing = g_new0(KmThing, 1);
	*thing = (KmThing){ .kind = kind, .by_macro = by_macro, .first = first, .last = last };
	thing->name = name ? g_strndup(name->start, name->size) : g_strdup("");
	g_ptr_array_add(b->things, thing);
}

static void start_over(Builder *b)
{
	g_array_set_size(b->tokens, 0);
	b->braces = b->parens = 0;
	b->body = b->parens_seen = FALSE;
	b->argument = (Token){ 0 };
}

static void read_directive(Reader *r, Builder *b)
{
	guint first = r->line;
	const char *p = r->p + 1;
	p += strspn(p, " \t");
	gboolean defines = g_str_has_prefix(p, "define") && (p[6] == ' ' || p[6] == '\t');
	Token name = { .start = p + 6, .line = first };
	if (defines) {
		name.start += strspn(name.start, " \t");
		while (is_word(name.start[name.size]))
			name.size++;
	}
	skip_logical_line(r);
	if (defines)
		add_thing(b, KM_THING_MACRO, &name, FALSE, first, r->line);
}

/* The word before the first parenthesis, as SYSCALL_DEFINE3, is all capitals: a macro that makes the name. */
static gboolean is_macro_name(const Token *token)
{
	gboolean letters = FALSE;
	for (gsize i = 0; i < token->size; i++) {
		if (g_ascii_islower(token->start[i]))
			return FALSE;
		letters |= g_ascii_isupper(token->start[i]);
	}
	return letters && token->size > 3;
}

static const Token *token_at(const Builder *b, guint i)
{
	return &g_array_index(b->tokens, Token, i);
}

static gboolean has_token(const Builder *b, const char *text)
{
	for (guint i = 0; i < b->tokens->len; i++)
		if (token_is(token_at(b, i), text))
			return TRUE;
	return FALSE;
}

/* The word before the i-th token, or NULL. */
static const Token *word_before(const Builder *b, guint i)
{
	return i > 0 && is_word_start(*token_at(b, i - 1)->start) ? token_at(b, i - 1) : NULL;
}

static gboolean is_attribute(const Token *token)
{
	return token_is(token, "__attribute__") || token_is(token, "__printf") || token_is(token, "__aligned") ||
	       token_is(token, "__section");
}

/* The word before the first parentheses that are not an attribute's: name( or MACRO(. */
static const Token *called_word(const Builder *b)
{
	for (guint i = 0; i < b->tokens->len; i++) {
		const Token *word = token_is(token_at(b, i), "(") ? word_before(b, i) : NULL;
		if (word && !is_attribute(word))
			return word;
	}
	return NULL;
}

static void end_function(Builder *b, guint last)
{
	const Token *name = called_word(b);
	gboolean by_macro = name && is_macro_name(name) && b->argument.size;
	add_thing(b, KM_THING_FUNCTION, by_macro ? &b->argument : name, by_macro, b->first, last);
	start_over(b);
}

/* What stands where a name could, and is none: the kernel's attributes of variables. */
static gboolean is_variable_attribute(const Token *token)
{
	static const char *const names[] = { "__read_mostly",
					     "__initdata",
					     "__initconst",
					     "__ro_after_init",
					     "__exitdata",
					     "__refdata",
					     "__percpu",
					     "__rcu",
					     "__iomem",
					     "__user",
					     "__used",
					     "__maybe_unused",
					     "__visible",
					     "__weak",
					     "__cacheline_aligned",
					     "__cacheline_aligned_in_smp",
					     "__aligned",
					     "__section",
					     "__attribute__",
					     "__page_aligned_data",
					     "__page_aligned_bss",
					     "__always_unused",
					     "__latent_entropy",
					     "__kernel" };
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		if (token_is(token, names[i]))
			return TRUE;
	return FALSE;
}

/* name of `type name[...] = ...;`, `type name;`, `type name __attr = ...;`: the last word before = or [ that is no attribute. */
static const Token *declared_word(const Builder *b)
{
	const Token *last = NULL;
	for (guint i = 0; i < b->tokens->len; i++) {
		const Token *token = token_at(b, i);
		if (token_is(token, "=") || token_is(token, "["))
			break;
		if (is_word_start(*token->start) && !is_variable_attribute(token))
			last = token;
	}
	return last;
}

/* Of `struct name {`: the word before the first brace. */
static const Token *tag_word(const Builder *b)
{
	for (guint i = 0; i < b->tokens->len; i++)
		if (token_is(token_at(b, i), "{"))
			return word_before(b, i);
	return NULL;
}

static gboolean is_tag_keyword(const Token *token)
{
	return token && (token_is(token, "struct") || token_is(token, "union") || token_is(token, "enum"));
}

static void end_declaration(Builder *b, guint last)
{
	const Token *called = called_word(b), *tag = tag_word(b), *end = NULL;
	guint n = b->tokens->len;
	if (n && has_token(b, "typedef")) {
		add_thing(b, KM_THING_TYPE, declared_word(b), FALSE, b->first, last);
	} else if (tag && !has_token(b, "=")) {
		end = token_at(b, n - 1);
		if (is_tag_keyword(tag))
			tag = NULL;
		add_thing(b, KM_THING_TYPE, tag, FALSE, b->first, last);
		if (is_word_start(*end->start) && !is_attribute(end))
			add_thing(b, KM_THING_DATA, end, FALSE, b->first, last);
	} else if (called && !has_token(b, "=")) {
		gboolean by_macro = is_macro_name(called) && b->argument.size;
		add_thing(b, by_macro ? KM_THING_DATA : KM_THING_OTHER, by_macro ? &b->argument : called, by_macro,
			  b->first, last);
	} else if (n) {
		gboolean extern_only = token_is(token_at(b, 0), "extern");
		add_thing(b, extern_only ? KM_THING_OTHER : KM_THING_DATA, declared_word(b), FALSE, b->first, last);
	}
	start_over(b);
}

/* A brace at file scope opens a function's body when parentheses came before and nothing is assigned. */
static gboolean opens_body(const Builder *b)
{
	const Token *first = b->tokens->len ? token_at(b, 0) : NULL;
	return first && b->parens_seen && called_word(b) && !has_token(b, "=") && !has_token(b, "typedef") &&
	       !has_token(b, "{") && !token_is(first, "enum");
}

static void open_brace(Builder *b, const Token *token)
{
	if (!b->braces) {
		b->body = opens_body(b);
		if (!b->body)
			g_array_append_val(b->tokens, *token);
	}
	b->braces++;
}

static void close_brace(Builder *b, const Token *token, gboolean first_column)
{
	/* A brace in the first column ends whatever we miscounted between branches of #if. */
	if (first_column || b->braces == 1) {
		gboolean body = b->body;
		b->braces = b->parens = 0;
		if (body)
			end_function(b, token->line);
		return;
	}
	b->braces -= b->braces > 0;
}

static void take_word(Builder *b, const Token *token)
{
	if (b->parens) {
		if (b->parens_seen && !b->argument.size && b->parens == 1 && is_word_start(*token->start))
			b->argument = *token;
		return;
	}
	g_array_append_val(b->tokens, *token);
}

static void take_paren(Builder *b, const Token *token)
{
	if (*token->start == '(') {
		if (!b->parens)
			g_array_append_val(b->tokens, *token);
		b->parens++;
		b->parens_seen = TRUE;
	} else {
		b->parens -= b->parens > 0;
	}
}

/* One token, braces included. */
static void take(Builder *b, const Token *token, gboolean first_column)
{
	char c = *token->start;
	if (!b->tokens->len && !b->braces) {
		b->first = token->line;
		if (c == ';')
			return;
	}
	if (c == '{')
		open_brace(b, token);
	else if (c == '}')
		close_brace(b, token, first_column);
	else if (b->braces)
		return;
	else if (c == '(' || c == ')')
		take_paren(b, token);
	else if (c == ';' && !b->parens)
		end_declaration(b, token->line);
	else
		take_word(b, token);
}

static void read_token(Reader *r, Builder *b, const char *text)
{
	Token token = { .start = r->p, .size = 1, .line = r->line };
	gboolean first_column = r->p == text || r->p[-1] == '\n';
	if (is_word(*r->p))
		while (is_word(token.start[token.size]))
			token.size++;
	r->p += token.size;
	take(b, &token, first_column);
}

/* Blanks, comments, quoted text. TRUE when something was skipped. */
static gboolean skip_one(Reader *r)
{
	if (*r->p == '\n') {
		r->line++;
		r->line_start = TRUE;
		r->p++;
	} else if (g_ascii_isspace(*r->p) || *r->p == '\\') {
		r->p++;
	} else if (r->p[0] == '/' && r->p[1] == '*') {
		skip_comment(r);
	} else if (r->p[0] == '/' && r->p[1] == '/') {
		skip_logical_line(r);
	} else if (*r->p == '"' || *r->p == '\'') {
		skip_quoted(r);
		r->line_start = FALSE;
	} else {
		return FALSE;
	}
	return TRUE;
}

GPtrArray *km_outline(const char *text)
{
	GPtrArray *things = g_ptr_array_new_with_free_func(thing_free);
	g_autoptr(GArray) tokens = g_array_new(FALSE, FALSE, sizeof(Token));
	Builder b = { .things = things, .tokens = tokens };
	Reader r = { .p = text, .line = 1, .line_start = TRUE };
	while (*r.p) {
		if (skip_one(&r))
			continue;
		if (*r.p == '#' && r.line_start) {
			read_directive(&r, &b);
			continue;
		}
		r.line_start = FALSE;
		read_token(&r, &b, text);
	}
	return things;
}

const KmThing *km_outline_at(const GPtrArray *things, guint line)
{
	const KmThing *found = NULL;
	for (guint i = 0; i < things->len; i++) {
		const KmThing *thing = things->pdata[i];
		/* The innermost: a #define may stand inside a function. */
		if (thing->first <= line && line <= thing->last &&
		    (!found || thing->last - thing->first < found->last - found->first))
			found = thing;
	}
	return found;
}

gboolean km_thing_is(const KmThing *thing, const char *symbol)
{
	if (!*thing->name)
		return FALSE;
	if (!strcmp(thing->name, symbol))
		return TRUE;
	gsize length = strlen(thing->name), whole = strlen(symbol);
	return thing->by_macro && whole > length && symbol[whole - length - 1] == '_' &&
	       !strcmp(symbol + whole - length, thing->name);
}

const KmThing *km_outline_find(const GPtrArray *things, const char *name)
{
	for (guint i = 0; i < things->len; i++) {
		const KmThing *thing = things->pdata[i];
		if (thing->kind != KM_THING_OTHER && km_thing_is(thing, name))
			return thing;
	}
	return NULL;
}

gboolean km_text_mentions(const char *text, guint first, guint last, const char *name)
{
	gsize length = strlen(name);
	Reader r = { .p = text, .line = 1 };
	while (*r.p && r.line <= last) {
		if (skip_one(&r))
			continue;
		gsize size = 1;
		if (is_word(*r.p))
			while (is_word(r.p[size]))
				size++;
		if (r.line >= first && size == length && !strncmp(r.p, name, length))
			return TRUE;
		r.p += size;
	}
	return FALSE;
}
