/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A text is cut into its top-level parts. Parts that emit nothing by themselves (static inline functions, prototypes, types, extern
 * declarations) are alive only when an alive part mentions a name they introduce; all others are alive. The object is made of
 * the alive ones, so texts whose alive parts are the same, in the same order, give the same object.
 */
#include "kernel/narrow.h"

#include <string.h>

typedef enum { WORD, NUMBER, STRING, LINE, PUNCT } Kind;

/* One per different token of both texts, so that pointers can be compared. */
typedef struct {
	const char *p;
	gsize size;
	Kind kind;
} Token;

typedef struct {
	guint first, end; /* tokens */
	guint body; /* token that opens the body of a function; 0: not a function */
	gboolean inert;
	gboolean alive;
} Part;

typedef struct {
	GHashTable *table; /* Token -> itself; shared by both texts */
	GPtrArray *tokens; /* of Token, in the order of the text */
	GArray *parts; /* of Part */
	GHashTable *makers; /* Token -> GArray of guint: inert parts that introduce the name */
} Text;

static guint token_hash(gconstpointer data)
{
	const Token *token = data;
	guint hash = 5381;
	for (gsize i = 0; i < token->size; i++)
		hash = hash * 33 + (guchar)token->p[i];
	return hash;
}

static gboolean token_equal(gconstpointer a, gconstpointer b)
{
	const Token *one = a, *two = b;
	return one->size == two->size && !memcmp(one->p, two->p, one->size);
}

static void text_clear(Text *t)
{
	g_clear_pointer(&t->tokens, g_ptr_array_unref);
	g_clear_pointer(&t->parts, g_array_unref);
	g_clear_pointer(&t->makers, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Text, text_clear)

/* ---- tokens ---- */

static gboolean is_word_char(char c)
{
	return g_ascii_isalnum(c) || c == '_' || c == '$' || (c & 0x80);
}

static gboolean is_operator(char c)
{
	return c && strchr("+-*/%&|^<>=!~?:.", c);
}

static const char *end_of_string(const char *p)
{
	char quote = *p++;
	while (*p && *p != quote && *p != '\n')
		p += *p == '\\' && p[1] ? 2 : 1;
	return *p == quote ? p + 1 : p;
}

static const char *end_of_number(const char *p)
{
	while (is_word_char(*p) || *p == '.' || ((*p == '+' || *p == '-') && strchr("eEpP", p[-1])))
		p++;
	return p;
}

/* Operators that touch are one token: "+ +" is not "++". */
static const char *end_of_token(const char *p, Kind *kind)
{
	const char *end = p;
	*kind = PUNCT;
	if (*p == '"' || *p == '\'') {
		*kind = STRING;
		return end_of_string(p);
	}
	if (g_ascii_isdigit(*p) || (*p == '.' && g_ascii_isdigit(p[1]))) {
		*kind = NUMBER;
		return end_of_number(p + 1);
	}
	if (is_word_char(*p)) {
		while (is_word_char(*end))
			end++;
		*kind = *end == '"' || *end == '\'' ? STRING : WORD;
		return *kind == STRING ? end_of_string(end) : end;
	}
	while (is_operator(*end))
		end++;
	return end == p ? p + 1 : end;
}

static void add_token(Text *t, const char *p, const char *end, Kind kind)
{
	Token wanted = { .p = p, .size = (gsize)(end - p), .kind = kind };
	Token *token = g_hash_table_lookup(t->table, &wanted);
	if (!token) {
		token = g_memdup2(&wanted, sizeof(wanted));
		g_hash_table_add(t->table, token);
	}
	g_ptr_array_add(t->tokens, token);
}

static void read_tokens(Text *t, const char *p)
{
	gboolean fresh = TRUE; /* nothing but blanks on this line yet */
	while (*p) {
		if (g_ascii_isspace(*p)) {
			fresh |= *p == '\n';
			p++;
			continue;
		}
		Kind kind = LINE;
		const char *end = *p == '#' && fresh ? p + strcspn(p, "\n") : end_of_token(p, &kind);
		add_token(t, p, end, kind);
		fresh = FALSE;
		p = end;
	}
}

static const Token *token_at(const Text *t, guint i)
{
	return i < t->tokens->len ? t->tokens->pdata[i] : NULL;
}

static gboolean is(const Text *t, guint i, const char *word)
{
	const Token *token = token_at(t, i);
	return token && token->size == strlen(word) && !memcmp(token->p, word, token->size);
}

static gboolean is_any(const Text *t, guint i, const char *const *words)
{
	for (; *words; words++)
		if (is(t, i, *words))
			return TRUE;
	return FALSE;
}

static gboolean opens(const Text *t, guint i)
{
	return is(t, i, "(") || is(t, i, "[") || is(t, i, "{");
}

static gboolean closes(const Text *t, guint i)
{
	return is(t, i, ")") || is(t, i, "]") || is(t, i, "}");
}

/* The token behind the group that opens at i. */
static guint skip_group(const Text *t, guint i, guint end)
{
	guint depth = 0;
	for (; i < end; i++) {
		if (opens(t, i))
			depth++;
		else if (closes(t, i) && --depth == 0)
			return i + 1;
	}
	return end;
}

static gboolean is_attribute(const Text *t, guint i)
{
	return (is(t, i, "__attribute__") || is(t, i, "__attribute")) && is(t, i + 1, "(");
}

static guint skip_attributes(const Text *t, guint i, guint end)
{
	while (i < end && is_attribute(t, i))
		i = skip_group(t, i + 1, end);
	return i;
}

static gboolean is_tag_word(const Text *t, guint i)
{
	return is(t, i, "struct") || is(t, i, "union") || is(t, i, "enum");
}

/* ---- parts ---- */

/* Is the "{" at brace the body of a struct, union or enum? */
static gboolean opens_type(const Text *t, guint first, guint brace)
{
	for (guint i = first; i < brace; i++) {
		if (!is_tag_word(t, i))
			continue;
		guint k = skip_attributes(t, i + 1, brace);
		if (k < brace && token_at(t, k)->kind == WORD)
			k = skip_attributes(t, k + 1, brace);
		if (k == brace)
			return TRUE;
	}
	return FALSE;
}

/* One past the last token of the part that begins at first; 0 when the text ends within it. */
static guint end_of_part(const Text *t, guint first, guint *body)
{
	gboolean value = FALSE;
	*body = 0;
	if (token_at(t, first)->kind == LINE)
		return first + 1;
	for (guint i = first; i < t->tokens->len;) {
		if (is(t, i, ";"))
			return i + 1;
		if (closes(t, i))
			return 0;
		value |= *token_at(t, i)->p == '=';
		if (!opens(t, i)) {
			i++;
			continue;
		}
		gboolean function = is(t, i, "{") && !value && !opens_type(t, first, i);
		guint open = i;
		i = skip_group(t, i, t->tokens->len);
		if (function) {
			*body = open;
			return closes(t, i - 1) ? i : 0;
		}
	}
	return 0;
}

static gboolean cut(Text *t)
{
	for (guint i = 0; i < t->tokens->len;) {
		Part part = { .first = i };
		part.end = end_of_part(t, i, &part.body);
		if (!part.end)
			return FALSE;
		g_array_append_val(t->parts, part);
		i = part.end;
	}
	return TRUE;
}

/* ---- which parts emit nothing by themselves, and what names they introduce ---- */

static const char *const keywords[] = { "void",
					"char",
					"short",
					"int",
					"long",
					"float",
					"double",
					"signed",
					"unsigned",
					"_Bool",
					"const",
					"volatile",
					"restrict",
					"static",
					"extern",
					"inline",
					"register",
					"typedef",
					"auto",
					"struct",
					"union",
					"enum",
					"typeof",
					"__typeof__",
					"__typeof",
					"__inline",
					"__inline__",
					"__signed",
					"__signed__",
					"__const",
					"__volatile__",
					"__restrict",
					"__restrict__",
					"__extension__",
					"__int128",
					"__int128_t",
					"_Noreturn",
					"_Alignas",
					"_Atomic",
					"sizeof",
					"__alignof__",
					"_Alignof",
					"asm",
					"__asm__",
					"__asm",
					"__auto_type",
					"_Static_assert",
					"__attribute__",
					"__attribute",
					"_Thread_local",
					"__thread",
					NULL };

/* Attributes and words after which something is emitted, or found, without being mentioned. */
static gboolean is_banned(const Token *token)
{
	static const char *const words[] = { "used",
					     "retain",
					     "alias",
					     "ifunc",
					     "weakref",
					     "constructor",
					     "destructor",
					     "symver",
					     "no_reorder",
					     "init_priority",
					     "externally_visible",
					     "copy",
					     NULL };
	const char *p = token->p;
	gsize size = token->size;
	while (size > 4 && p[0] == '_' && p[1] == '_' && p[size - 1] == '_' && p[size - 2] == '_') {
		p += 2;
		size -= 4;
	}
	for (const char *const *word = words; *word; word++)
		if (size == strlen(*word) && !memcmp(p, *word, size))
			return TRUE;
	return FALSE;
}

/* Functions that the compiler calls, or knows, without being told by the text. */
static gboolean is_known_to_compiler(const Token *name)
{
	static const char *const starts[] = { "mem",	   "str",      "__mem",	  "__str",   "__stack_chk",
					      "__builtin", "__fentry", "mcount",  "_mcount", "__asan",
					      "__hwasan",  "__tsan",   "__kcsan", "__msan",  "__kmsan",
					      "__ubsan",   "__san",    "__cyg_",  "__gcov",  NULL };
	static const char *const names[] = { "bcmp",   "bzero",	 "bcopy",   "stpcpy",  "stpncpy", "abort",
					     "main",   "calloc", "puts",    "putchar", "fputs",	  "fputc",
					     "fwrite", "ffs",	 "sprintf", NULL };
	for (const char *const *start = starts; *start; start++)
		if (name->size >= strlen(*start) && !memcmp(name->p, *start, strlen(*start)))
			return TRUE;
	for (const char *const *known = names; *known; known++)
		if (name->size == strlen(*known) && !memcmp(name->p, *known, name->size))
			return TRUE;
	return FALSE;
}

static gboolean is_harmless_line(const Token *token)
{
	static const char start[] = "#pragma GCC diagnostic ";
	return token->size > strlen(start) && !memcmp(token->p, start, strlen(start));
}

static void introduce(Text *t, guint part, guint i)
{
	Token *name = t->tokens->pdata[i];
	if (name->kind != WORD)
		return;
	GArray *list = g_hash_table_lookup(t->makers, name);
	if (!list)
		g_hash_table_insert(t->makers, name, list = g_array_new(FALSE, FALSE, sizeof(guint)));
	g_array_append_val(list, part);
}

/* The name of a function or variable; such a part is alive anyway when the compiler may use it by itself. */
static gboolean introduce_object(Text *t, guint part, guint i)
{
	if (is_known_to_compiler(token_at(t, i)))
		return FALSE;
	introduce(t, part, i);
	return TRUE;
}

/* Nothing is banned, and no operator but '*' outside parentheses and braces before limit. */
static gboolean is_plain(const Text *t, const Part *part, guint limit)
{
	for (guint i = part->first; i < part->end; i++) {
		const Token *token = token_at(t, i);
		if (is_banned(token) || (token->kind == LINE && !is_harmless_line(token)))
			return FALSE;
	}
	for (guint i = part->first; i < limit;) {
		const Token *token = token_at(t, i);
		if (opens(t, i)) {
			i = skip_group(t, i, limit);
			continue;
		}
		if (token->kind == LINE || is(t, i, "asm") || is(t, i, "__asm__") || is(t, i, "__asm") || is(t, i, ","))
			return FALSE;
		if (is_operator(*token->p) && token->kind == PUNCT && strspn(token->p, "*") < token->size)
			return FALSE;
		i++;
	}
	return TRUE;
}

/* The first "(" that belongs to no attribute; limit when there is none. */
static guint find_paren(const Text *t, guint i, guint limit)
{
	while (i < limit && !is(t, i, "(")) {
		if (is_attribute(t, i) || is(t, i, "{") || is(t, i, "["))
			i = skip_group(t, is_attribute(t, i) ? i + 1 : i, limit);
		else
			i++;
	}
	return MIN(i, limit);
}

static gboolean has_word(const Text *t, guint first, guint limit, const char *const *words)
{
	for (guint i = first; i < limit; i = opens(t, i) ? skip_group(t, i, limit) : i + 1)
		if (is_any(t, i, words))
			return TRUE;
	return FALSE;
}

/* Is there a brace in a declaration? It introduces more names than the one it is for. */
static gboolean defines_type(const Text *t, guint first, guint limit)
{
	for (guint i = first; i < limit; i++)
		if (is(t, i, "{"))
			return TRUE;
	return FALSE;
}

/* TYPE name(...) up to limit: *name is set. "mytype (x)" and "mytype (*x)(void)", which are variables, are not taken for one. */
static gboolean is_function_head(const Text *t, guint first, guint limit, guint *name)
{
	static const char *const not_types[] = { "static",     "extern",   "inline",   "__inline",
						 "__inline__", "const",	   "volatile", "__extension__",
						 "register",   "__seg_gs", "__seg_fs", NULL };
	guint paren = find_paren(t, first, limit);
	if (paren >= limit || paren <= first + 1)
		return FALSE;
	*name = paren - 1;
	if (token_at(t, *name)->kind != WORD || is_any(t, *name, keywords) || is_tag_word(t, *name - 1))
		return FALSE;
	if (is(t, paren + 1, "(") || *token_at(t, paren + 1)->p == '*' || *token_at(t, paren + 1)->p == '^')
		return FALSE;
	gboolean typed = FALSE;
	for (guint i = first; i < *name;) {
		if (is_attribute(t, i)) {
			i = skip_group(t, i + 1, *name);
			continue;
		}
		typed |= token_at(t, i)->kind == WORD && !is_any(t, i, not_types);
		i++;
	}
	return typed && skip_attributes(t, skip_group(t, paren, limit), limit) == limit;
}

static gboolean take_function(Text *t, guint index, const Part *part)
{
	static const char *const inlines[] = { "inline", "__inline", "__inline__", NULL };
	static const char *const statics[] = { "static", NULL };
	guint name;
	return has_word(t, part->first, part->body, statics) && has_word(t, part->first, part->body, inlines) &&
	       is_plain(t, part, part->body) && !defines_type(t, part->first, part->body) &&
	       is_function_head(t, part->first, part->body, &name) && introduce_object(t, index, name);
}

/* Tags, and all words of enum bodies. */
static void introduce_types(Text *t, guint index, guint first, guint end)
{
	for (guint i = first; i < end; i++) {
		if (!is_tag_word(t, i))
			continue;
		gboolean constants = is(t, i, "enum");
		guint k = skip_attributes(t, i + 1, end);
		if (k < end && token_at(t, k)->kind == WORD) {
			introduce(t, index, k);
			k = skip_attributes(t, k + 1, end);
		}
		guint behind = constants && is(t, k, "{") ? skip_group(t, k, end) : k;
		for (; k < behind; k++)
			introduce(t, index, k);
	}
}

/* Every word outside braces may be the name of a typedef. */
static gboolean take_typedef(Text *t, guint index, const Part *part)
{
	introduce_types(t, index, part->first, part->end);
	for (guint i = part->first; i < part->end;) {
		if (is_attribute(t, i) || is(t, i, "{")) {
			i = skip_group(t, is(t, i, "{") ? i : i + 1, part->end);
			continue;
		}
		if (token_at(t, i)->kind == WORD && !is_any(t, i, keywords))
			introduce(t, index, i);
		i++;
	}
	return TRUE;
}

/* struct tag { ... }; without a variable, struct tag; */
static gboolean take_type(Text *t, guint index, const Part *part)
{
	guint last = part->end - 1, k = skip_attributes(t, part->first + 1, last);
	if (k < last && token_at(t, k)->kind == WORD)
		k = skip_attributes(t, k + 1, last);
	if (k < last && is(t, k, "{"))
		k = skip_attributes(t, skip_group(t, k, last), last);
	if (k != last)
		return FALSE;
	introduce_types(t, index, part->first, part->end);
	return TRUE;
}

/* extern TYPE name[...]; */
static gboolean take_extern(Text *t, guint index, const Part *part)
{
	guint last = part->end - 1, name = 0;
	if (!is(t, part->first, "extern") || defines_type(t, part->first, last) ||
	    find_paren(t, part->first, last) != last)
		return FALSE;
	for (guint i = part->first; i < last && !is(t, i, "[");) {
		if (is_attribute(t, i)) {
			i = skip_group(t, i + 1, last);
			continue;
		}
		if (token_at(t, i)->kind == WORD && !is_any(t, i, keywords))
			name = i;
		i++;
	}
	return name && introduce_object(t, index, name);
}

static gboolean is_inert(Text *t, guint index, const Part *part)
{
	guint first = part->first, last = part->end - 1, name;
	if (part->body)
		return take_function(t, index, part);
	if (token_at(t, first)->kind == LINE || !is_plain(t, part, last))
		return FALSE;
	if (is(t, first, "typedef") || (is(t, first, "__extension__") && is(t, first + 1, "typedef")))
		return take_typedef(t, index, part);
	if (is_tag_word(t, first) && take_type(t, index, part))
		return TRUE;
	if (!defines_type(t, first, last) && is_function_head(t, first, last, &name))
		return introduce_object(t, index, name);
	return first == last || take_extern(t, index, part);
}

/* ---- what is alive ---- */

static void wake(Text *t, const Token *name, GArray *stack)
{
	const GArray *list = g_hash_table_lookup(t->makers, name);
	for (guint i = 0; list && i < list->len; i++) {
		guint index = g_array_index(list, guint, i);
		Part *part = &g_array_index(t->parts, Part, index);
		if (part->alive)
			continue;
		part->alive = TRUE;
		g_array_append_val(stack, index);
	}
}

/* Assembly in strings can name anything, and so can a pragma. */
static void wake_string(Text *t, const Token *string, GArray *stack)
{
	const char *end = string->p + string->size;
	for (const char *p = string->p; p < end;) {
		const char *stop = p;
		while (stop < end && is_word_char(*stop))
			stop++;
		Token wanted = { .p = p, .size = (gsize)(stop - p) };
		const Token *name = wanted.size ? g_hash_table_lookup(t->table, &wanted) : NULL;
		if (name)
			wake(t, name, stack);
		p = stop + (stop == p);
	}
}

static void mark(Text *t)
{
	g_autoptr(GArray) stack = g_array_new(FALSE, FALSE, sizeof(guint));
	for (guint i = 0; i < t->parts->len; i++) {
		Part *part = &g_array_index(t->parts, Part, i);
		part->inert = is_inert(t, i, part);
		part->alive = !part->inert;
		if (part->alive)
			g_array_append_val(stack, i);
	}
	while (stack->len) {
		const Part *part = &g_array_index(t->parts, Part, g_array_index(stack, guint, stack->len - 1));
		g_array_set_size(stack, stack->len - 1);
		for (guint i = part->first; i < part->end; i++) {
			const Token *token = token_at(t, i);
			if (token->kind == WORD)
				wake(t, token, stack);
			else if (token->kind == STRING || token->kind == LINE)
				wake_string(t, token, stack);
		}
	}
}

static void text_init(Text *t, GHashTable *table, const char *text)
{
	t->table = table;
	t->tokens = g_ptr_array_new();
	t->parts = g_array_new(FALSE, FALSE, sizeof(Part));
	t->makers = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, (GDestroyNotify)g_array_unref);
	read_tokens(t, text);
}

static GPtrArray *alive_tokens(const Text *t)
{
	GPtrArray *tokens = g_ptr_array_new();
	for (guint i = 0; i < t->parts->len; i++) {
		const Part *part = &g_array_index(t->parts, Part, i);
		for (guint k = part->first; part->alive && k < part->end; k++)
			g_ptr_array_add(tokens, t->tokens->pdata[k]);
	}
	return tokens;
}

static gboolean same_tokens(const GPtrArray *a, const GPtrArray *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->pdata, b->pdata, a->len * sizeof(*a->pdata)));
}

KmTexts km_narrow_texts(const char *original, const char *patched)
{
	if (!strcmp(original, patched))
		return KM_TEXTS_SAME;
	g_autoptr(GHashTable) table = g_hash_table_new_full(token_hash, token_equal, g_free, NULL);
	g_auto(Text) one = { 0 };
	g_auto(Text) two = { 0 };
	text_init(&one, table, original);
	text_init(&two, table, patched);
	if (same_tokens(one.tokens, two.tokens))
		return KM_TEXTS_SAME;
	if (!cut(&one) || !cut(&two))
		return KM_TEXTS_DIFFER;
	mark(&one);
	mark(&two);
	g_autoptr(GPtrArray) a = alive_tokens(&one), b = alive_tokens(&two);
	return same_tokens(a, b) ? KM_TEXTS_UNUSED : KM_TEXTS_DIFFER;
}

/* Lines count, blanks at their ends and empty ones do not. */
static char *strip_assembly(const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	GString *stripped = g_string_new(NULL);
	for (char **line = lines; *line; line++)
		if (*g_strstrip(*line))
			g_string_append_printf(stripped, "%s\n", *line);
	return g_string_free(stripped, FALSE);
}

gboolean km_narrow_assembly(const char *original, const char *patched)
{
	g_autofree char *one = strip_assembly(original), *two = strip_assembly(patched);
	return !strcmp(one, two);
}

/* ---- source ---- */

/* Comments are blanks, blanks are one, lines without anything are none. Strings, and what looks like one, stay. */
static char *strip(const char *p)
{
	GString *text = g_string_new(NULL);
	while (*p) {
		char last = text->len ? text->str[text->len - 1] : '\n';
		if (*p == '"' || *p == '\'') {
			const char *end = end_of_string(p);
			g_string_append_len(text, p, end - p);
			p = end;
		} else if (g_str_has_prefix(p, "/*")) {
			const char *close = strstr(p + 2, "*/");
			p = close ? close + 2 : p + strlen(p);
			if (last != ' ' && last != '\n')
				g_string_append_c(text, ' ');
		} else if (g_str_has_prefix(p, "//")) {
			for (; *p && *p != '\n'; p++)
				p += *p == '\\' && p[1] == '\n';
		} else if (*p == '\n') {
			if (last == ' ')
				g_string_truncate(text, text->len - 1);
			/* An empty line ends a macro whose last line says that it goes on. */
			if (text->len &&
			    (text->str[text->len - 1] != '\n' || (text->len > 1 && text->str[text->len - 2] == '\\')))
				g_string_append_c(text, '\n');
			p++;
		} else if (g_ascii_isspace(*p)) {
			if (last != ' ' && last != '\n')
				g_string_append_c(text, ' ');
			p++;
		} else {
			g_string_append_c(text, *p++);
		}
	}
	return g_string_free(text, FALSE);
}

gboolean km_narrow_source(const char *original, const char *patched)
{
	g_autofree char *one = strip(original), *two = strip(patched);
	return !strcmp(one, two);
}
