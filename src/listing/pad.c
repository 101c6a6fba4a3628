/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "listing/pad.h"

#include <string.h>

#include "base/error.h"

/* clang, x86-64: the name of what tells a function's type. */
#define KCFI_PREFIX "__cfi_"

/* ---- where ---- */

static gboolean is_directive(const KmLine *line, const char *word)
{
	return line->kind == KM_LINE_DIRECTIVE && !strcmp(line->word, word);
}

static gboolean is_landing(const KmLine *line, const char *const *landing)
{
	if (line->kind != KM_LINE_INSTRUCTION)
		return FALSE;
	/* clang: "hint #34" */
	g_autofree char *text = g_strdup_printf("%s %s", line->word, line->args + (line->args[0] == '#'));
	return landing && g_strv_contains(landing, g_strchomp(text));
}

/* The line of the landing pad that is the first instruction after line; 0: there is none. */
static guint landing_after(const KmListing *listing, const KmListed *f, const KmEntryText *text, guint line)
{
	guint next = km_listing_instruction(listing, line + 1, f->end);
	return next < f->end && is_landing(km_listing_line(listing, next), text->landing) ? next : 0;
}

/*
 * A label of the code itself, or its alignment: a loop at the function's start does not go through the entry, and the rest of an address (.Lpcrel_hi) counts from the
 * instruction behind its label.
 */
static gboolean is_of_code(const KmLine *line)
{
	const char *name = line->kind == KM_LINE_LABEL ? line->word : "";
	if (is_directive(line, ".p2align") || is_directive(line, ".balign") || is_directive(line, ".align"))
		return TRUE;
	return g_str_has_prefix(name, ".LBB") || g_str_has_prefix(name, ".Lpcrel_hi") ||
	       (g_str_has_prefix(name, ".L") && g_ascii_isdigit(name[2]));
}

/* The last line of what begins a function's unwind and debug information: code comes after that. */
static guint after_startproc(const KmListing *listing, const KmListed *f)
{
	guint last = f->label, lines = 0;
	gboolean started = FALSE;
	for (guint i = f->label + 1; i < f->end; i++) {
		const KmLine *line = km_listing_line(listing, i);
		if (line->kind == KM_LINE_INSTRUCTION || line->kind == KM_LINE_HAND || is_of_code(line) ||
		    (line->kind == KM_LINE_LABEL && *line->args))
			break;
		/* The second is about the first instruction. */
		if (is_directive(line, ".loc") && (started || lines++))
			break;
		started |= is_directive(line, ".cfi_startproc");
		if (line->kind != KM_LINE_EMPTY)
			last = i;
	}
	return last;
}

/* The line after which the function's local entry is; 0: it has only one entry. */
static guint local_entry(const KmListing *listing, const KmListed *f)
{
	for (guint i = f->label + 1; i < f->end; i++)
		if (is_directive(km_listing_line(listing, i), ".localentry"))
			return i;
	return 0;
}

/* Where the entry goes: after a line, with a landing pad that moves there too. */
typedef struct {
	guint line;
	const char *lands; /* NULL: nothing moves */
} Place;

/* Right behind the label, where the landing pad then goes as well. */
static Place at_label(KmListing *listing, const KmListed *f, const KmEntryText *text)
{
	guint landing = landing_after(listing, f, text, f->label);
	if (!landing || landing == f->label + 1)
		return (Place){ landing ? landing : f->label, NULL };
	km_listing_drop(listing, landing);
	return (Place){ f->label, km_listing_line(listing, landing)->text };
}

static Place place_of(KmListing *listing, const KmListed *f, const KmEntryText *text, const KmPad *pad)
{
	guint local = pad->at_global ? 0 : local_entry(listing, f), line = after_startproc(listing, f);
	if (local)
		return (Place){ local, NULL };
	if (pad->kind == KM_PAD_NOPS && text->pad_at_label && !listing->clang)
		return at_label(listing, f, text);
	guint landing = landing_after(listing, f, text, line);
	return (Place){ landing ? landing : line, NULL };
}

/* ---- landing pads ---- */

/* Functions of this listing must begin with a landing pad if they are called through a pointer: it says so in a property, the second number behind its own. */
static gboolean wants_landing(const KmListing *listing, const KmEntryText *text)
{
	g_autofree char *number = g_strdup_printf("%u", text->property), *hex = g_strdup_printf("0x%x", text->property);
	for (guint i = 0; text->property && i + 2 < listing->lines->len; i++) {
		const KmLine *line = km_listing_line(listing, i), *value = km_listing_line(listing, i + 2);
		if (line->kind == KM_LINE_DIRECTIVE && (!strcmp(line->args, number) || !strcmp(line->args, hex)) &&
		    value->args)
			return g_ascii_strtoull(value->args, NULL, 0) & 1;
	}
	return FALSE;
}

/* Those whose return address is signed first have none: that lands as well. Behind the room it does not. gcc then puts one where it is needed, clang everywhere. */
static GHashTable *without_landing(const KmListing *listing, const KmEntryText *text)
{
	GHashTable *found = g_hash_table_new(NULL, NULL);
	if (!wants_landing(listing, text))
		return found;
	g_autoptr(GHashTable) targets = km_listing_targets(listing, text->calls);
	for (guint i = 0; i < listing->functions->len; i++) {
		KmListed *f = listing->functions->pdata[i];
		guint first = km_listing_instruction(listing, f->label + 1, f->end);
		if (first < f->end && is_landing(km_listing_line(listing, first), text->signs) &&
		    (listing->clang || g_hash_table_contains(targets, f->name)))
			g_hash_table_add(found, f);
	}
	return found;
}

/* ---- what ---- */

static void append_nops(GString *out, const char *nop, guint n)
{
	for (guint i = 0; i < n; i++)
		g_string_append_printf(out, "\t%s\n", nop);
}

/* The record goes where the function goes: with its group, and with its section when that is dropped. */
static char *pad_record(const KmListing *listing, const KmListed *f, guint number)
{
	const KmListed *first = listing->functions->pdata[f->first];
	return f->group ? g_strdup_printf(
				  "\t.pushsection __patchable_function_entries,\"awoG\",%%progbits,%s,%s,comdat\n"
				  "\t.balign 8\n\t.8byte .Lkmend_pad%u\n\t.popsection\n",
				  first->name, f->group, number)
			: g_strdup_printf("\t.pushsection __patchable_function_entries,\"awo\",%%progbits,%s\n"
					  "\t.balign 8\n\t.8byte .Lkmend_pad%u\n\t.popsection\n",
					  first->name, number);
}

static char *hook_record(guint number)
{
	return g_strdup_printf("\t.pushsection __mcount_loc,\"a\",%%progbits\n\t.8byte .Lkmend_pad%u\n\t.popsection\n",
			       number);
}

static void put_nops(KmListing *listing, const KmListed *f, const KmEntryText *text, const KmPad *pad, guint number,
		     gboolean land)
{
	g_autoptr(GString) before = g_string_new(NULL), after = g_string_new(NULL);
	/* Nothing behind the label moves nothing there. */
	const Place place = pad->total > pad->before ? place_of(listing, f, text, pad) : (Place){ f->label, NULL };
	if (place.lands)
		g_string_append_printf(after, "%s\n", place.lands);
	else if (land && pad->total > pad->before)
		g_string_append_printf(after, "\t%s\n", text->lands);
	g_autofree char *record = pad->record ? pad_record(listing, f, number) : g_strdup("");
	GString *first = pad->before ? before : after;
	g_string_append_printf(first, "%s.Lkmend_pad%u:\n", record, number);
	append_nops(before, text->nop, pad->before);
	append_nops(after, text->nop, pad->total - pad->before);
	km_listing_put_before(listing, f->label, before->str);
	km_listing_put_after(listing, place.line, after->str);
}

/* The record names the call itself, not what comes before it (saving the return address). */
static void put_hook(KmListing *listing, const KmListed *f, const KmEntryText *text, const KmPad *pad, guint number,
		     gboolean land)
{
	g_autoptr(GString) out = g_string_new(NULL);
	if (land)
		g_string_append_printf(out, "\t%s\n", text->lands);
	g_autofree char *record = pad->record ? hook_record(number) : g_strdup("");
	if (pad->kind == KM_PAD_HOOK && text->save)
		g_string_append_printf(out, "\t%s\n", text->save);
	g_string_append_printf(out, "%s.Lkmend_pad%u:\n\t%s\n", record, number,
			       pad->kind == KM_PAD_HOOK ? text->hook : text->hook_nops);
	km_listing_put_after(listing, place_of(listing, f, text, pad).line, out->str);
}

static gboolean is_skipped(const KmListed *f, const KmPad *pad)
{
	for (const char *const *s = pad->skip; s && *s; s++)
		if (g_pattern_match_simple(*s, f->name))
			return TRUE;
	return f->part || g_str_has_prefix(f->name, KCFI_PREFIX);
}

static gboolean is_data(const KmLine *line)
{
	static const char *const words[] = { ".word", ".long", ".4byte", ".int", ".inst" };
	for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
		if (is_directive(line, words[i]))
			return TRUE;
	return FALSE;
}

/* What stands before it lies elsewhere, or is another function's. */
static gboolean ends_search(const KmLine *line)
{
	static const char *const words[] = { ".size", ".section",     ".text",	     ".data",
					     ".bss",  ".pushsection", ".popsection", ".previous" };
	if (line->kind != KM_LINE_DIRECTIVE)
		return line->kind != KM_LINE_EMPTY;
	for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
		if (is_directive(line, words[i]))
			return TRUE;
	return FALSE;
}

/*
 * kCFI: a word, or an instruction under a name of its own, right before the label tells the function's type. Callers look for it there, as far before the label as the compiler has put room in
 * between, which they learned from its option.
 */
static gboolean has_type_word(const KmListing *listing, const KmListed *f)
{
	g_autofree char *named = g_strconcat(KCFI_PREFIX, f->name, NULL);
	if (km_listing_find(listing, named))
		return TRUE;
	for (guint i = f->label; i-- > 0;) {
		const KmLine *line = km_listing_line(listing, i);
		if (is_data(line))
			return TRUE;
		if (ends_search(line))
			break;
	}
	return FALSE;
}

static gboolean check_types(const KmListing *listing, const KmListed *f, const KmPad *pad, GError **error)
{
	if (pad->kind != KM_PAD_NOPS || !pad->before || !has_type_word(listing, f))
		return TRUE;
	return km_refuse(error,
			 "%s has a word right before its label, where its callers look for its type (kCFI): only the "
			 "compiler can put room "
			 "in between (-fpatchable-function-entry=%u,%u), or leave it out with --skip %s",
			 f->name, pad->total, pad->before, f->name);
}

/*
 * The hook returns to behind its call. Without a way on that would be the label, and its instruction leads back into the room: the hook would have to know how far
 * to skip, which a landing pad changes.
 */
gboolean km_pad_before(const KmArch *arch, KmPad *pad, GError **error)
{
	const KmEntryArch *entry = arch->entry;
	if (!entry->branch || entry->branch != entry->unit)
		return km_refuse(error,
				 "--pad-before: on %s no single NOP at a label can become a branch to room before it: "
				 "leave room with --pad",
				 arch->name);
	pad->kind = KM_PAD_NOPS;
	pad->before = (entry->need + entry->branch) / entry->unit;
	pad->total = pad->before + entry->branch / entry->unit;
	return TRUE;
}

gboolean km_pad(KmListing *listing, const KmArch *arch, const KmPad *pad, GError **error)
{
	const KmEntryText *text = arch->entry->text;
	const char *wanted = pad->kind == KM_PAD_NOPS	? text->nop
			     : pad->kind == KM_PAD_HOOK ? text->hook
							: text->hook_nops;
	if (!wanted && pad->kind == KM_PAD_HOOK)
		return km_refuse(
			error,
			"on %s no compiler calls the hook before the prologue, and a listing does not tell where "
			"behind it would be right: leave room with --pad",
			arch->name);
	if (!wanted)
		return km_refuse(error, "entries of %s have no form without a call of the hook: leave room with --pad",
				 arch->name);
	g_autoptr(GHashTable) unsafe = without_landing(listing, text);
	for (guint i = 0; i < listing->functions->len; i++) {
		const KmListed *f = listing->functions->pdata[i];
		if (is_skipped(f, pad))
			continue;
		if (!check_types(listing, f, pad, error))
			return FALSE;
		(pad->kind == KM_PAD_NOPS ? put_nops : put_hook)(listing, f, text, pad, i,
								 g_hash_table_contains(unsafe, f));
	}
	return TRUE;
}

/* ---- calls of ppc64le ---- */

/* The helpers that save and restore registers keep r2, and the hook is the loader's own business. */
static gboolean needs_no_nop(const char *callee)
{
	static const char *const own[] = { "_savegpr", "_restgpr", "_savefpr", "_restfpr", "_savevr", "_restvr" };
	for (gsize i = 0; i < G_N_ELEMENTS(own); i++)
		if (g_str_has_prefix(callee, own[i]))
			return TRUE;
	return callee[0] == '.' || g_ascii_isdigit(callee[0]) || callee[0] == '$' || !strcmp(callee, "_mcount");
}

/* Who a direct branch goes to, if it is one of those that are asked for; else NULL. Caller owns it. */
static char *callee_of(const KmLine *line, const char *mnemonic, const char *const *only)
{
	if (line->kind != KM_LINE_INSTRUCTION || strcmp(line->word, mnemonic))
		return NULL;
	char *callee = g_strndup(line->args, strcspn(line->args, "@(, \t"));
	if (!needs_no_nop(callee) && (!only || g_strv_contains(only, callee)))
		return callee;
	g_free(callee);
	return NULL;
}

static gboolean is_nop(const KmListing *listing, guint i)
{
	return i < listing->lines->len &&
	       !strcmp(km_listing_line(listing, i)->word ? km_listing_line(listing, i)->word : "", "nop");
}

gboolean km_call_nops(KmListing *listing, const char *const *only, GError **error)
{
	for (guint k = 0; k < listing->functions->len; k++) {
		const KmListed *f = listing->functions->pdata[k];
		for (guint i = f->label; i < f->end; i++) {
			const KmLine *line = km_listing_line(listing, i);
			g_autofree char *jumped = callee_of(line, "b", only);
			g_autofree char *called = callee_of(line, "bl", only);
			if (jumped && strcmp(jumped, f->name))
				return km_refuse(error,
						 "%s ends with a jump to %s, which would leave its caller with a "
						 "foreign TOC: compile with "
						 "-fno-optimize-sibling-calls",
						 f->name, jumped);
			if (!called || is_nop(listing, km_listing_instruction(listing, i + 1, f->end)))
				continue;
			km_listing_put_after(listing, i, "\tnop\n");
		}
	}
	return TRUE;
}
