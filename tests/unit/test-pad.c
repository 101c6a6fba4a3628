/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One NOP at the label and the room before it, put into listings. */
#include <string.h>

#include "listing/pad.h"

#define RECORD(number, first)                                                                                          \
	"\t.pushsection __patchable_function_entries,\"awo\",%progbits," first "\n"                                    \
	"\t.balign 8\n\t.8byte .Lkmend_pad" number "\n\t.popsection\n.Lkmend_pad" number ":\n"
#define ROOM "\tnop\n\tnop\n\tnop\n"
#define HEAD "\t.text\n\t.align\t2\n"
#define TYPE(name) "\t.type\t" name ", %function\n"
#define BODY(name) "\tret\n\t.cfi_endproc\n\t.size\t" name ", .-" name "\n"

typedef struct {
	const char *name, *listing, *wanted;
} Case;

static const Case cases[] = {
	{ "plain", HEAD TYPE("f") "f:\n.LFB0:\n\t.cfi_startproc\n" BODY("f"),
	  HEAD TYPE("f") RECORD("0", "f") ROOM "f:\n\tnop\n.LFB0:\n\t.cfi_startproc\n" BODY("f") },
	{ "landing-pad", HEAD TYPE("f") "f:\n.LFB0:\n\t.cfi_startproc\n\thint\t34 // bti c\n" BODY("f"),
	  HEAD TYPE("f") RECORD("0", "f") ROOM "f:\n\thint\t34 // bti c\n\tnop\n.LFB0:\n\t.cfi_startproc\n" BODY("f") },
	{ "two-functions",
	  HEAD TYPE("f") "f:\n\t.cfi_startproc\n" BODY("f") TYPE("g") "g:\n\t.cfi_startproc\n" BODY("g"),
	  HEAD TYPE("f") RECORD("0", "f") ROOM "f:\n\tnop\n\t.cfi_startproc\n" BODY("f") TYPE("g") RECORD("1", "f") ROOM
	  "g:\n\tnop\n\t.cfi_startproc\n" BODY("g") },
	{ "no-function", "\t.data\nd:\n\t.word\t1\n", "\t.data\nd:\n\t.word\t1\n" },
};

static void put(gconstpointer data)
{
	const Case *c = data;
	const KmArch *arch = km_arch_by_name("arm64");
	g_autoptr(GError) error = NULL;
	g_autoptr(KmListing) listing = km_listing_new(c->listing, strlen(c->listing), "");
	KmPad pad = { .record = TRUE };
	g_assert_true(km_pad_before(arch, &pad, &error));
	g_assert_true(km_pad(listing, arch, &pad, &error));
	g_assert_no_error(error);
	GString *text = km_listing_text(listing);
	g_assert_cmpstr(text->str, ==, c->wanted);
	g_string_free(text, TRUE);
}

/* The room has what redirection takes and a branch on; the label a branch. */
static void sizes(void)
{
	const KmArch *arch = km_arch_by_name("arm64");
	KmPad pad = { .kind = KM_PAD_HOOK };
	g_assert_true(km_pad_before(arch, &pad, NULL));
	g_assert_cmpint(pad.kind, ==, KM_PAD_NOPS);
	g_assert_cmpuint(pad.total, ==, 4);
	g_assert_cmpuint(pad.before, ==, 3);
	g_assert_cmpuint((pad.before - 1) * arch->entry->unit, ==, arch->entry->need);
}

/* x86_64 has a short branch, but its NOPs are of one byte. */
static void refused(void)
{
	for (const KmArch *const *arch = km_arch_all(); *arch; arch++) {
		g_autoptr(GError) error = NULL;
		KmPad pad = { 0 };
		if (!strcmp((*arch)->name, "arm64"))
			continue;
		g_assert_false(km_pad_before(*arch, &pad, &error));
		g_assert_nonnull(strstr(error->message, (*arch)->name));
		g_assert_null(strchr(error->message, '\n'));
		g_assert_cmpuint(pad.total, ==, 0);
	}
}

static gboolean takes_room(const char *arch, const char *listing, guint before, char **said)
{
	const KmArch *a = km_arch_by_name(arch);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmListing) l = km_listing_new(listing, strlen(listing), a->entry->text->comments);
	const KmPad pad = { .total = before + 1, .before = before };
	gboolean taken = km_pad(l, a, &pad, &error);
	*said = error ? g_strdup(error->message) : NULL;
	return taken;
}

/* A type word belongs right before the label, or as far away as callers know; what the function before ends with is none. */
static void typed(void)
{
	static const char word[] = HEAD TYPE("f") "\t.word\t77\nf:\n" BODY("f");
	static const char pool[] =
		HEAD TYPE("f") "f:\n" BODY("f") "\t.word\t77\n\t.size\tf, .-f\n" TYPE("g") "g:\n" BODY("g");
	static const char named[] = HEAD TYPE(
		"__cfi_f") "__cfi_f:\n\tmovl\t$77, %eax\n\t.size\t__cfi_f, .-__cfi_f\n" TYPE("f") "f:\n" BODY("f");
	static const char table[] =
		HEAD "\t.section\t.rodata\n.LJTI0_0:\n\t.word\t77\n\t.text\n" TYPE("f") "f:\n" BODY("f");
	static const struct {
		const char *arch, *listing;
		guint before;
		gboolean taken;
	} tries[] = { { "arm64", word, 1, FALSE }, { "arm64", word, 0, TRUE },	  { "arm64", pool, 1, TRUE },
		      { "arm64", table, 1, TRUE }, { "x86_64", named, 1, FALSE }, { "x86_64", named, 0, TRUE } };
	for (gsize i = 0; i < G_N_ELEMENTS(tries); i++) {
		g_autofree char *said = NULL;
		g_assert_true(takes_room(tries[i].arch, tries[i].listing, tries[i].before, &said) == tries[i].taken);
		g_assert_true(tries[i].taken ||
			      (strstr(said, "kCFI") && strstr(said, "--skip f") && !strchr(said, '\n')));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *path = g_strdup_printf("/pad-before/%s", cases[i].name);
		g_test_add_data_func(path, &cases[i], put);
	}
	g_test_add_func("/pad-before/sizes", sizes);
	g_test_add_func("/pad-before/refused", refused);
	g_test_add_func("/pad/typed", typed);
	return g_test_run();
}
