/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "listing/listing.h"

#include <string.h>

/* ---- lines ---- */

static void line_free(gpointer data)
{
	KmLine *line = data;
	g_free(line->text);
	g_free(line->word);
	g_free(line->args);
	if (line->before)
		g_string_free(line->before, TRUE);
	if (line->after)
		g_string_free(line->after, TRUE);
	g_free(line);
}

/* Where the statement ends: at a comment that is not in a string. Comments of C do not span lines in listings. */
static const char *end_of_statement(const char *text, const char *comments)
{
	gboolean quoted = FALSE;
	for (const char *p = text; *p; p++) {
		if (quoted && p[0] == '\\' && p[1])
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && (strchr(comments, *p) || (p[0] == '/' && (p[1] == '/' || p[1] == '*'))))
			return p;
	}
	return text + strlen(text);
}

/* A word ends at a blank; a quoted one at its quote. */
static gsize word_length(const char *text)
{
	if (*text == '"') {
		const char *end = strchr(text + 1, '"');
		return end ? (gsize)(end + 1 - text) : strlen(text);
	}
	return strcspn(text, " \t:");
}

static void split(KmListing *listing, KmLine *line, const char *comments)
{
	const char *end = end_of_statement(line->text, comments);
	g_autofree char *statement = g_strndup(line->text, (gsize)(end - line->text));
	g_strstrip(statement);
	listing->clang |= strstr(end, "-- Begin function ") != NULL;
	if (!*statement)
		return;
	gsize n = word_length(statement);
	line->word = g_strndup(statement, n);
	line->args = g_strdup(statement + n);
	if (line->args[0] == ':') {
		line->kind = KM_LINE_LABEL;
		memmove(line->args, line->args + 1, strlen(line->args));
	} else {
		line->kind = line->word[0] == '.' ? KM_LINE_DIRECTIVE : KM_LINE_INSTRUCTION;
	}
	g_strstrip(line->args);
	if (line->word[0] == '"') {
		memmove(line->word, line->word + 1, strlen(line->word));
		line->word[strcspn(line->word, "\"")] = 0;
	}
}

/* gcc and clang mark what comes from asm statements: "#APP", "//APP", "#NO_APP". */
static gboolean is_mark(const char *text, const char *mark)
{
	while (*text && !g_ascii_isalpha(*text))
		text++;
	return g_str_has_prefix(text, mark) && !g_ascii_isalnum(text[strlen(mark)]);
}

static gboolean is_comment(const char *text)
{
	text += strspn(text, " \t");
	return *text == '#' || (text[0] == '/' && text[1] == '/');
}

static void read_lines(KmListing *listing, const char *text, gsize size, const char *comments)
{
	gboolean hand = FALSE;
	const char *stop = text + size;
	for (const char *from = text; from < stop;) {
		const char *end = memchr(from, '\n', (gsize)(stop - from));
		KmLine *line = g_new0(KmLine, 1);
		end = end ? end : stop;
		line->text = g_strndup(from, (gsize)(end - from));
		if (is_comment(line->text) && is_mark(line->text, "NO_APP"))
			hand = FALSE;
		else if (is_comment(line->text) && is_mark(line->text, "APP"))
			hand = TRUE;
		else if (hand)
			line->kind = KM_LINE_HAND;
		else if (!is_comment(line->text))
			split(listing, line, comments);
		g_ptr_array_add(listing->lines, line);
		from = end + 1;
	}
}

const KmLine *km_listing_line(const KmListing *listing, guint i)
{
	return listing->lines->pdata[i];
}

guint km_listing_instruction(const KmListing *listing, guint i, guint end)
{
	for (; i < end; i++) {
		const KmLine *line = km_listing_line(listing, i);
		/* "0: addis 2,12,x" */
		if (line->kind == KM_LINE_INSTRUCTION || line->kind == KM_LINE_HAND ||
		    (line->kind == KM_LINE_LABEL && *line->args))
			return i;
	}
	return end;
}

/* ---- functions ---- */

static void listed_free(gpointer data)
{
	KmListed *f = data;
	g_free(f->name);
	g_free(f->section);
	g_free(f->group);
	g_free(f);
}

/* ".type f, @function": the name, or NULL. Caller owns it. */
static char *function_type(const KmLine *line)
{
	if (line->kind != KM_LINE_DIRECTIVE || strcmp(line->word, ".type"))
		return NULL;
	g_auto(GStrv) part = g_strsplit(line->args, ",", 2);
	if (!part[0] || !part[1])
		return NULL;
	const char *type = g_strstrip(part[1]), *name = g_strstrip(part[0]);
	if (!strstr(type, "function") && strcmp(type, "STT_FUNC"))
		return NULL;
	gsize n = strlen(name);
	return name[0] == '"' && n > 1 ? g_strndup(name + 1, n - 2) : g_strdup(name);
}

/* The section that code goes to. */
typedef struct {
	char *name, *group;
} Where;

static void where_clear(Where *where)
{
	g_free(where->name);
	g_free(where->group);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Where, where_clear)

/* ".text", or ".section .text.f,"axG",@progbits,f,comdat". */
static Where section_of(const KmLine *line)
{
	g_auto(GStrv) part = g_strsplit(line->args, ",", -1);
	gboolean grouped = g_strv_length(part) >= 4 && strchr(part[1], 'G');
	if (strcmp(line->word, ".section") || !part[0])
		return (Where){ g_strdup(line->word), NULL };
	return (Where){ g_strdelimit(g_strdup(g_strstrip(part[0])), "\"", ' '),
			grouped ? g_strdup(g_strstrip(part[3])) : NULL };
}

static gboolean changes_section(const KmLine *line)
{
	static const char *const words[] = { ".text", ".data", ".bss", ".section", NULL };
	return line->kind == KM_LINE_DIRECTIVE && g_strv_contains(words, line->word);
}

/* gcc's parts begin with a label of their own kind; all that were ever seen are called .cold. */
static gboolean is_part(const KmListing *listing, const char *name, guint label)
{
	guint end = MIN(label + 4, listing->lines->len);
	for (guint i = label + 1; i < end; i++)
		if (km_listing_line(listing, i)->kind == KM_LINE_LABEL &&
		    g_str_has_prefix(km_listing_line(listing, i)->word, ".LFSB"))
			return TRUE;
	return strstr(name, ".cold") != NULL;
}

static guint first_of_section(const KmListing *listing, const KmListed *f)
{
	guint i = 0;
	for (; i < listing->functions->len; i++) {
		const KmListed *other = listing->functions->pdata[i];
		if (!strcmp(other->section, f->section) && !g_strcmp0(other->group, f->group))
			break;
	}
	return i;
}

static KmListed *add_function(KmListing *listing, const char *name, guint label, const Where *where)
{
	KmListed *f = g_new0(KmListed, 1);
	f->name = g_strdup(name);
	f->label = label;
	f->end = listing->lines->len;
	f->part = is_part(listing, name, label);
	f->section = g_strstrip(g_strdup(where->name ? where->name : ".text"));
	f->group = g_strdup(where->group);
	f->first = first_of_section(listing, f);
	g_ptr_array_add(listing->functions, f);
	return f;
}

static gboolean ends(const KmLine *line, const KmListed *f)
{
	gsize n = strlen(f->name);
	return line->kind == KM_LINE_DIRECTIVE && !strcmp(line->word, ".size") && !strncmp(line->args, f->name, n) &&
	       !g_ascii_isalnum(line->args[n]) && line->args[n] != '_' && line->args[n] != '.';
}

static void find_functions(KmListing *listing)
{
	g_autoptr(GHashTable) types = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(Where) where = { 0 };
	KmListed *open = NULL;
	for (guint i = 0; i < listing->lines->len; i++) {
		const KmLine *line = km_listing_line(listing, i);
		char *typed = function_type(line);
		if (typed)
			g_hash_table_add(types, typed);
		if (changes_section(line)) {
			where_clear(&where);
			where = section_of(line);
		}
		if (open && ends(line, open)) {
			open->end = i;
			open = NULL;
		}
		if (line->kind == KM_LINE_LABEL && g_hash_table_remove(types, line->word))
			open = add_function(listing, line->word, i, &where);
	}
}

/* The preprocessor begins its output with a mark of the file. */
static gboolean is_preprocessed(const char *text, gsize size)
{
	return size > 3 && text[0] == '#' && text[1] == ' ' && g_ascii_isdigit(text[2]);
}

KmListing *km_listing_new(const char *text, gsize size, const char *comments)
{
	KmListing *listing = g_new0(KmListing, 1);
	listing->lines = g_ptr_array_new_with_free_func(line_free);
	listing->functions = g_ptr_array_new_with_free_func(listed_free);
	listing->by_hand = is_preprocessed(text, size);
	read_lines(listing, text, size, comments);
	if (!listing->by_hand)
		find_functions(listing);
	return listing;
}

void km_listing_free(KmListing *listing)
{
	if (!listing)
		return;
	g_ptr_array_unref(listing->functions);
	g_ptr_array_unref(listing->lines);
	g_free(listing);
}

const KmListed *km_listing_find(const KmListing *listing, const char *name)
{
	for (guint i = 0; i < listing->functions->len; i++)
		if (!strcmp(((const KmListed *)listing->functions->pdata[i])->name, name))
			return listing->functions->pdata[i];
	return NULL;
}

/* Directives that are about a symbol and make nobody go there. */
static gboolean only_describes(const KmLine *line)
{
	static const char *const words[] = { ".string", ".ascii", ".asciz",	 ".ident",   ".type",
					     ".size",	".local", ".hidden",	 ".section", ".pushsection",
					     ".file",	".loc",	  ".localentry", NULL };
	return g_strv_contains(words, line->word);
}

static void add_words(GHashTable *set, const char *text)
{
	static const char part[] = G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_.$";
	while (*(text += strcspn(text, part))) {
		gsize n = strspn(text, part);
		g_hash_table_add(set, g_strndup(text, n));
		text += n;
	}
}

GHashTable *km_listing_targets(const KmListing *listing, const char *const *calls)
{
	GHashTable *set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < listing->lines->len; i++) {
		const KmLine *line = km_listing_line(listing, i);
		if (line->kind == KM_LINE_HAND)
			add_words(set, line->text);
		else if (line->kind == KM_LINE_INSTRUCTION && calls && g_strv_contains(calls, line->word))
			continue;
		else if (line->kind == KM_LINE_INSTRUCTION ||
			 (line->kind == KM_LINE_DIRECTIVE && !only_describes(line)))
			add_words(set, line->args);
	}
	return set;
}

/* ---- writing ---- */

void km_listing_put_before(KmListing *listing, guint i, const char *text)
{
	KmLine *line = listing->lines->pdata[i];
	line->before = line->before ? line->before : g_string_new(NULL);
	g_string_append(line->before, text);
}

void km_listing_put_after(KmListing *listing, guint i, const char *text)
{
	KmLine *line = listing->lines->pdata[i];
	line->after = line->after ? line->after : g_string_new(NULL);
	g_string_append(line->after, text);
}

void km_listing_drop(KmListing *listing, guint i)
{
	((KmLine *)listing->lines->pdata[i])->dropped = TRUE;
}

GString *km_listing_text(const KmListing *listing)
{
	GString *text = g_string_new(NULL);
	for (guint i = 0; i < listing->lines->len; i++) {
		const KmLine *line = km_listing_line(listing, i);
		g_string_append(text, line->before ? line->before->str : "");
		if (!line->dropped)
			g_string_append_printf(text, "%s\n", line->text);
		g_string_append(text, line->after ? line->after->str : "");
	}
	return text;
}
