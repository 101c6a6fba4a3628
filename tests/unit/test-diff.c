/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What differs between two objects, over every compiler that is there. Each case is a pair of C texts. */
#include <string.h>

#include "base/file.h"
#include "base/run.h"
#include "diff/diff.h"

static const char *const compilers[] = {
	"gcc-12", "gcc-11", "clang-14", "aarch64-linux-gnu-gcc", "powerpc64le-linux-gnu-gcc", "s390x-linux-gnu-gcc",
	"riscv64-linux-gnu-gcc",
};

typedef struct {
	const char *name;
	const char *flags; /* of the compiler, beside the section flags; NULL: none */
	const char *before, *after;
	const char *functions; /* "changed f, new g", in order of names */
	const char *data;
	const char *refused; /* names; NULL: some */
	const char *reason;  /* must occur among the reasons or refusals; NULL: no matter */
} Case;

#define STATICS                                                                                                        \
	"int use(int *);\n"                                                                                            \
	"int f(int x) { %s { static int n; x += use(&n); } { static int n = 7; x += use(&n); } return x; }\n"          \
	"int g(int x) { static int n; return use(&n) + x; }\n"

static const Case cases[] = {
	{ "comment", NULL, "int f(int x) { return x + 1; }", "/* c */\nint f(int x) { return x + 1; }", "", "", "", NULL },
	{ "code", NULL, "int use(int); int f(int x) { return use(x) + 1; } int g(int x) { return use(x) * 3; }",
	  "int use(int); int f(int x) { return use(x) + 2; } int g(int x) { return use(x) * 3; }", "changed f", "", "",
	  "its own code" },
	{ "callee", NULL, "int a(int), b(int); int f(int x) { return a(x) + 1; }",
	  "int a(int), b(int); int f(int x) { return b(x) + 1; }", "changed f", "", "", "calls new b (was a)" },
	{ "changed-callee-leaves-caller", NULL,
	  "int use(int); __attribute__((noipa, noinline)) static int a(int x) { return use(x) + 1; } int f(int x) { return a(x) + 1; }",
	  "int use(int); __attribute__((noipa, noinline)) static int a(int x) { return use(x) + 9; } int f(int x) { return a(x) + 1; }",
	  "changed a", "", "", NULL },
	{ "new-function", NULL, "int use(int); int f(int x) { return use(x) + 1; }",
	  "int use(int); int g(int x) { return use(x); } int f(int x) { return g(x + 4) + 1; }", "changed f, new g", "", "", NULL },
	{ "removed-function", NULL, "int use(int); int g(int x) { return use(x); } int f(int x) { return use(x) + 1; }",
	  "int use(int); int f(int x) { return use(x) + 1; }", "removed g", "", "", NULL },
	{ "inlined-callee", NULL,
	  "int use(int); static inline __attribute__((always_inline)) int a(int x) { return x + 1; } int f(int x) { return use(a(x)); } int g(int x) { return use(x); }",
	  "int use(int); static inline __attribute__((always_inline)) int a(int x) { return x + 2; } int f(int x) { return use(a(x)); } int g(int x) { return use(x); }",
	  "changed f", "", "", NULL },
	{ "string", NULL, "int p(const char *); int f(void) { return p(\"one two\"); } int g(void) { return p(\"three\"); }",
	  "int p(const char *); int f(void) { return p(\"one too\"); } int g(void) { return p(\"three\"); }", "changed f", "", "",
	  "string changed: \"one two\" -> \"one too\"" },
	{ "long-string", NULL, "int p(const char *); int f(void) { return p(\"a line that is longer than what a message has room for: %d of them\"); }",
	  "int p(const char *); int f(void) { return p(\"a line that is longer than what a message has room for: %u of them\"); }",
	  "changed f", "", "", "%u of them\"" },
	{ "level-of-a-message", NULL, "int p(const char *); int f(void) { return p(\"\\0014one\"); }",
	  "int p(const char *); int f(void) { return p(\"\\0016one\"); }", "changed f", "", "",
	  "string changed: \"\\0014one\" -> \"\\0016one\"" },
	{ "struct-that-begins-like-text", NULL,
	  "int p(const int *); int f(void) { static const int v[3] __asm__(\"CSWTCH.1\") = { 65, 2, 3 }; return p(v); }",
	  "int p(const int *); int f(void) { static const int v[3] __asm__(\"CSWTCH.1\") = { 65, 2, 4 }; return p(v); }",
	  "changed f", NULL, "", "a constant it uses changed" },
	{ "string-elsewhere", NULL, "int p(const char *); int f(void) { return p(\"one\"); } int g(void) { return p(\"three\"); }",
	  "int p(const char *); int f(void) { p(\"zero\"); return p(\"one\"); } int g(void) { return p(\"three\"); }", "changed f", "",
	  "", NULL },
	{ "data", NULL, "int limit = 3; int f(void) { return limit; }", "int limit = 4; int f(void) { return limit; }", "",
	  "changed limit", "limit", "pre-patch callback" },
	{ "bss-size", NULL, "int p(int *); static int t[4]; int f(void) { return p(t); }",
	  "int p(int *); static int t[8]; int f(void) { return p(t); }", "", "changed t", "t", "size 16 -> 32" },
	{ "new-data", NULL, "int p(int *); int f(void) { return p(0); }",
	  "int p(int *); static int fresh = 5; int f(void) { return p(&fresh); }", "changed f", "new fresh", "", NULL },
	{ "static-local-twice", NULL, "int use(int *); int f(int x) { if (x) { static int n; return use(&n); } return 1; }",
	  "int use(int *); int f(int x) { if (x > 5) { static int n; return use(&n) + 4; } if (x) { static int n; return use(&n); } return 1; }",
	  "changed f", NULL, NULL, "cannot be told" },
	{ "static-local-in-two-functions", NULL,
	  "int use(int *); int f(int x) { static int n; return use(&n); } int g(int x) { return x; }",
	  "int use(int *); int f(int x) { static int n; return use(&n); } int g(int x) { static int n; return use(&n); }",
	  "changed g", NULL, "", NULL },
	{ "said-once-twice", NULL,
	  "int use(char *); int f(int x) { if (x) { static char __already_done; return use(&__already_done); } return 1; }",
	  "int use(char *); int f(int x) { if (x > 5) { static char __already_done; return use(&__already_done) + 4; } if (x) { static char __already_done; return use(&__already_done); } return 1; }",
	  "changed f", NULL, "", NULL },
	{ "padding-is-no-data", NULL,
	  "#define S __attribute__((section(\".data.mine\"), aligned(64)))\nint p(void *); S int a[3] = { 1 }, b[6] = { 2 }, c[3] = { 3 }; int f(void) { return p(a) + p(b) + p(c); }",
	  "#define S __attribute__((section(\".data.mine\"), aligned(64)))\nint p(void *); S int a[3] = { 1 }, b[6] = { 2 }, c[3] = { 3 }; int f(void) { return p(a) + p(b) - p(c); }",
	  "changed f", "", "", NULL },
	{ "pointer-in-data", NULL, "int a(int x) { return x; } int b(int x) { return x + 1; } int (*ops[2])(int) = { a, b };",
	  "int a(int x) { return x; } int b(int x) { return x + 1; } int (*ops[2])(int) = { b, b };", "", "changed ops", "ops", NULL },
	{ "init", NULL,
	  "int use(int); __attribute__((section(\".init.text\"))) int start(int x) { return use(x) + 1; }",
	  "int use(int); __attribute__((section(\".init.text\"))) int start(int x) { return use(x) + 2; }", "changed start", "", "start",
	  "__init" },
	{ "modinfo", NULL, "__attribute__((section(\".modinfo\"), used)) static const char info[] = \"a=b\";",
	  "__attribute__((section(\".modinfo\"), used)) static const char info[] = \"a=c\";", "", "changed info", "",
	  "module information" },
	{ "parameter", NULL, "int v; extern int use(int); int f(void) { return use(v); }",
	  "int v, w; __attribute__((section(\"__param\"), used)) static int *const row = &w; extern int use(int); "
	  "int f(void) { return use(v + w); }",
	  "changed f", NULL, "row", "a module parameter is new" },
	{ "new-export", NULL, "int f(int x) { return x + 1; } int g(int x) { return x * 3; }",
	  "int f(int x) { return x + 1; } int g(int x) { return x * 5; }\n"
	  "asm(\".section \\\"___ksymtab_gpl+f\\\",\\\"a\\\"\\n__ksymtab_f: .long f - .\\n.previous\");",
	  "changed g", NULL, "", NULL },
	{ "export-gone", NULL,
	  "int f(int x) { return x + 1; } int g(int x) { return x * 3; }\n"
	  "asm(\".section \\\"___ksymtab+f\\\",\\\"a\\\"\\n.long f - .\\n.previous\");",
	  "int f(int x) { return x + 1; } int g(int x) { return x * 5; }", "changed g", NULL, "", NULL },
	{ "unknown-section", NULL, "asm(\".section boot_list,\\\"a\\\"\\n.long 1\\n.previous\"); int f(void) { return 1; }",
	  "asm(\".section boot_list,\\\"a\\\"\\n.long 2\\n.previous\"); int f(void) { return 1; }", "", "", "boot_list",
	  "section boot_list differs" },
	{ "pci-quirk", NULL, "asm(\".section .pci_fixup_final,\\\"a\\\"\\n.long 1\\n.previous\"); int f(void) { return 1; }",
	  "asm(\".section .pci_fixup_final,\\\"a\\\"\\n.long 2\\n.previous\"); int f(void) { return 1; }",
	  "", "", ".pci_fixup_final", "the PCI core walks that list" },
	{ "new-row", NULL, "int use(int); int f(int x) { return use(x); } static int v_one; __attribute__((section(\"boot_list\"), used)) static int *const one = &v_one; ",
	  "int use(int); int f(int x) { return use(x + 1); } static int v_one; __attribute__((section(\"boot_list\"), used)) static int *const one = &v_one; static int v_two; __attribute__((section(\"boot_list\"), used)) static int *const two = &v_two; ",
	  "changed f", NULL, "two", "section boot_list has a new row" },
	{ "row-gone", NULL, "int use(int); int f(int x) { return use(x); } static int v_one; __attribute__((section(\"boot_list\"), used)) static int *const one = &v_one; static int v_two; __attribute__((section(\"boot_list\"), used)) static int *const two = &v_two; ",
	  "int use(int); int f(int x) { return use(x + 1); } static int v_one; __attribute__((section(\"boot_list\"), used)) static int *const one = &v_one; ",
	  "changed f", NULL, "two", "section boot_list lost a row" },
	{ "new-event", NULL, "int use(int); int f(int x) { return use(x); } ",
	  "int use(int); int f(int x) { return use(x + 1); } static int v_one; __attribute__((section(\"_ftrace_events\"), used)) static int *const one = &v_one; ",
	  "changed f", NULL, "one", "tracing made its events" },
	{ "new-driver", NULL, "int use(int); int f(int x) { return use(x); } ",
	  "int use(int); int f(int x) { return use(x + 1); } static int v_one; __attribute__((section(\"__clk_of_table\"), used)) static int *const one = &v_one; ",
	  "changed f", NULL, "one", "--ignore-init" },
	{ "no-more-probes", NULL, "int use(int); int f(int x) { return use(x); } ",
	  "int use(int); int f(int x) { return use(x + 1); } static int v_one; __attribute__((section(\"_kprobe_blacklist\"), used)) static int *const one = &v_one; ",
	  "changed f", NULL, "", NULL },
	{ "type-numbers", NULL,
	  "int use(int); int f(int x) { return use(x); } extern char id[] asm(\"__BTF_ID__struct__a__123\"); char *const proto = id; asm(\".pushsection .BTF_ids,\\\"a\\\"\\n.local list\\nlist: .zero 4\\n.local __BTF_ID__struct__a__123\\n__BTF_ID__struct__a__123: .zero 4\\n.local __BTF_ID__struct__b__124\\n__BTF_ID__struct__b__124: .zero 4\\n.popsection\"); ",
	  "int use(int); int f(int x) { return use(x + 1); } extern char id[] asm(\"__BTF_ID__struct__a__223\"); char *const proto = id; asm(\".pushsection .BTF_ids,\\\"a\\\"\\n.local list\\nlist: .zero 4\\n.local __BTF_ID__struct__a__223\\n__BTF_ID__struct__a__223: .zero 4\\n.local __BTF_ID__struct__b__2240\\n__BTF_ID__struct__b__2240: .zero 4\\n.popsection\"); ",
	  "changed f", "", "", NULL },
	{ "new-type-numbers", NULL,
	  "int use(int); int f(int x) { return use(x); } asm(\".pushsection .BTF_ids,\\\"a\\\"\\n.local list\\nlist: .zero 4\\n.local __BTF_ID__struct__a__123\\n__BTF_ID__struct__a__123: .zero 4\\n.popsection\"); ",
	  "int use(int); int f(int x) { return use(x + 1); } asm(\".pushsection .BTF_ids,\\\"a\\\"\\n.local list\\nlist: .zero 4\\n.local __BTF_ID__struct__a__123\\n__BTF_ID__struct__a__123: .zero 4\\n.local __BTF_ID__struct__b__124\\n__BTF_ID__struct__b__124: .zero 4\\n.popsection\"); ",
	  "changed f", NULL, ".BTF_ids", "filled in when the kernel or module is linked" },
	{ "srcu-of-a-module", NULL, "int use(int); int f(int x) { return use(x); } ",
	  "int use(int); int f(int x) { return use(x + 1); } int s; __attribute__((section(\"___srcu_struct_ptrs\"))) int *const __srcu_struct_s = &s;",
	  "changed f", NULL, "", NULL },
	{ "parameter-gone", NULL, "int use(int); int f(int x) { return use(x); } static int v_one; __attribute__((section(\"__param\"), used)) static int *const one = &v_one; ",
	  "int use(int); int f(int x) { return use(x + 1); } ",
	  "changed f", NULL, "", NULL },
	{ "shared-section", NULL,
	  "int use(int); __attribute__((noipa, noinline, section(\".sched.text\"))) static int a(int x) { return use(x) + 1; }\n"
	  "__attribute__((section(\".sched.text\"))) int f(int x) { return a(x) + 3; }\n"
	  "__attribute__((section(\".sched.text\"))) int g(int x) { return a(x) + a(x + 1); }",
	  "int use(int); __attribute__((noipa, noinline, section(\".sched.text\"))) static int a(int x) { return use(x * 5 + 1) + use(x); }\n"
	  "__attribute__((section(\".sched.text\"))) int f(int x) { return a(x) + 3; }\n"
	  "__attribute__((section(\".sched.text\"))) int g(int x) { return a(x) + a(x + 1); }",
	  "changed a", "", "", NULL },
	{ "unsectioned", "-fno-function-sections -fno-data-sections",
	  "int use(int *); static int v = 3; int a(int x) { return use(&v) + x; } int f(int x) { return a(x) + 3; } int g(int x) { return use(0) * x; }",
	  "int use(int *); static int v = 3; int a(int x) { return use(&v) + use(0) + x; } int f(int x) { return use(0) + 3; } int g(int x) { return use(0) * x; }",
	  "changed a, changed f", "", "", NULL },
	{ "switch", NULL,
	  "int a(int); int f(int x) { switch (x) { case 0: return a(3); case 1: return a(x * 7); case 2: return a(11) + 1; case 3: return a(5) * 2; case 4: return a(1) - 9; case 5: return a(99) / 3; } return 0; }",
	  "int a(int); int f(int x) { switch (x) { case 0: return a(3); case 1: return a(x * 7); case 2: return a(11) + 1; case 3: return a(5) * 2; case 4: return a(1) - 9; case 5: return a(99) / 3; } return 0; }\nint z(void) { return 4; }",
	  "new z", "", "", NULL },
	{ "table-of-values", NULL, "int f(int x) { switch (x) { case 0: return 31; case 1: return 77; case 2: return 12; case 3: return 5; case 4: return 8; case 5: return 99; } return 0; }",
	  "int f(int x) { switch (x) { case 0: return 31; case 1: return 78; case 2: return 12; case 3: return 5; case 4: return 8; case 5: return 99; } return 0; }",
	  "changed f", NULL, "", NULL },
	{ "lines", NULL,
	  "void note(const char *, int); void f(void) { note(\"a.c\", 10); } void g(void) { note(\"a.c\", 20); }",
	  "void note(const char *, int); void f(void) { note(\"a.c\", 13); } void g(void) { note(\"a.c\", 23); }", "", "", "", NULL },
	{ "lone-number", NULL, "void note(const char *, int); void f(void) { note(\"a.c\", 10); } void g(void) { note(\"a.c\", 20); }",
	  "void note(const char *, int); void f(void) { note(\"a.c\", 13); } void g(void) { note(\"a.c\", 20); }", "changed f", "", "",
	  "0xa -> 0xd" },
	{ "numbers-without-a-file", NULL, "void note(int); void f(void) { note(10); } void g(void) { note(20); }",
	  "void note(int); void f(void) { note(13); } void g(void) { note(23); }", "changed f, changed g", "", "", "a line number?" },
	{ "duplicate-statics", NULL,
	  "int use(int); extern int (*o1)(int), (*o2)(int);\n#define show show_one\n__attribute__((noinline)) static int show(int x) { return use(x) + 1; }\n#undef show\n"
	  "int f(void) { o1 = show_one; return 0; } int g(int x) { return use(x) - 4; }",
	  "int use(int); extern int (*o1)(int), (*o2)(int);\n#define show show_one\n__attribute__((noinline)) static int show(int x) { return use(x) + 1; }\n#undef show\n"
	  "int f(void) { o2 = show_one; return 0; } int g(int x) { return use(x) - 4; }",
	  "changed f", "", "", NULL },
};

/* All words of section flags; the texts are small, so warnings do not matter. */
static KmObject *compile(const char *dir, const char *compiler, const char *flags, const char *name, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *source = g_strdup_printf("%s/%s.c", dir, name);
	g_autofree char *object = g_strdup_printf("%s/%s.o", dir, name);
	g_autofree char *line = g_strdup_printf("%s -O2 -w -fno-pic -fno-asynchronous-unwind-tables -ffunction-sections "
						"-fdata-sections %s -c -o %s %s", compiler, flags ? flags : "", object, source);
	g_auto(GStrv) argv = g_strsplit(line, " ", -1);
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	for (guint i = 0; argv[i]; i++)
		if (argv[i][0])
			g_ptr_array_add(words, argv[i]);
	g_ptr_array_add(words, NULL);
	g_file_set_contents(source, text, -1, &error);
	g_assert_no_error(error);
	g_free(km_run_checked((const char *const *)words->pdata, NULL, &error));
	g_assert_no_error(error);
	KmObject *read = km_object_read(object, &error);
	g_assert_no_error(error);
	return read;
}

static char *listed(const GPtrArray *changes)
{
	static const char *const words[] = { "same", "changed", "new", "removed" };
	g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);
	for (guint i = 0; i < changes->len; i++) {
		const KmChange *change = changes->pdata[i];
		g_ptr_array_add(parts, g_strdup_printf("%s %s", words[change->status], change->name));
	}
	g_ptr_array_add(parts, NULL);
	return g_strjoinv(", ", (char **)parts->pdata);
}

static char *listed_refusals(const KmDiff *diff)
{
	g_autoptr(GPtrArray) parts = g_ptr_array_new();
	for (guint i = 0; i < diff->refused->len; i++)
		g_ptr_array_add(parts, ((KmRefusal *)diff->refused->pdata[i])->name);
	g_ptr_array_add(parts, NULL);
	return g_strjoinv(", ", (char **)parts->pdata);
}

static KmDiff *diff_texts(const char *dir, const char *compiler, const char *flags, const char *before, const char *after,
			  KmObject **a, KmObject **b)
{
	g_autoptr(GError) error = NULL;
	*a = compile(dir, compiler, flags, "before", before);
	*b = compile(dir, compiler, flags, "after", after);
	KmDiff *diff = km_diff_new(*a, *b, FALSE, &error);
	g_assert_no_error(error);
	return diff;
}

static gboolean missing(const char *compiler)
{
	g_autofree char *path = g_find_program_in_path(compiler);
	if (path)
		return FALSE;
	g_autofree char *why = g_strdup_printf("%s is not installed", compiler);
	g_test_skip(why);
	return TRUE;
}

static void check_case(const Case *c, const char *compiler)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-diff", NULL);
	g_autoptr(KmObject) a = NULL, b = NULL;
	g_autoptr(KmDiff) diff = diff_texts(dir->path, compiler, c->flags, c->before, c->after, &a, &b);
	g_autofree char *functions = listed(diff->functions);
	g_autofree char *data = listed(diff->data);
	g_autofree char *refused = listed_refusals(diff);
	json_t *json = km_diff_to_json(diff);
	g_autofree char *text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	g_test_message("%s %s: %s", compiler, c->name, text);
	g_assert_cmpstr(functions, ==, c->functions);
	if (c->data)
		g_assert_cmpstr(data, ==, c->data);
	if (c->refused)
		g_assert_cmpstr(refused, ==, c->refused);
	else
		g_assert_cmpuint(diff->refused->len, >, 0);
	g_autofree char *plain = g_strcompress(text);
	if (c->reason)
		g_assert_nonnull(strstr(plain, c->reason));
}

static void test_cases(gconstpointer compiler)
{
	if (missing(compiler))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
		check_case(&cases[i], compiler);
}

/* Two static locals of one name in f, one in g; a new one before them shifts every number. */
static void test_static_locals(gconstpointer compiler)
{
	if (missing(compiler))
		return;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-diff", NULL);
	g_autofree char *before = g_strdup_printf(STATICS, "");
	g_autofree char *after = g_strdup_printf(STATICS, "{ static int n = 9; x += use(&n) * 2; }");
	g_autoptr(KmObject) a = NULL, b = NULL;
	g_autoptr(KmDiff) diff = diff_texts(dir->path, compiler, NULL, before, after, &a, &b);
	g_autofree char *functions = listed(diff->functions);
	g_assert_cmpstr(functions, ==, "changed f");
	g_assert_cmpuint(diff->refused->len, ==, 0);
	g_assert_cmpuint(diff->data->len, ==, 1);
	g_assert_cmpint(((KmChange *)diff->data->pdata[0])->status, ==, KM_NEW);
	/* What is kept keeps its state: the twin of the one with content 7 has content 7. */
	GHashTableIter iter;
	gpointer to, from;
	g_hash_table_iter_init(&iter, diff->twins);
	while (g_hash_table_iter_next(&iter, &to, &from)) {
		const KmSymbol *x = from, *y = to;
		if (x->type != STT_OBJECT || !x->section->data || !y->section->data)
			continue;
		g_assert_cmpmem(x->section->data->data + x->value, x->size, y->section->data->data + y->value, y->size);
	}
}

static void test_other_architecture(void)
{
	if (missing("gcc-12") || missing("s390x-linux-gnu-gcc"))
		return;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-diff", NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) a = compile(dir->path, "gcc-12", NULL, "a", "int x;");
	g_autoptr(KmObject) b = compile(dir->path, "s390x-linux-gnu-gcc", NULL, "b", "int x;");
	g_assert_null(km_diff_new(a, b, FALSE, &error));
	g_assert_nonnull(strstr(error->message, "s390x"));
}

#define WARN(name, line, flags)                                                                                        \
	"int use(int); int " #name "(int x) { asm volatile(\"1: nop\\n.pushsection __bug_table,\\\"aw\\\"\\n"          \
	".long 1b - ., 2f - .\\n.2byte " #line ", " #flags "\\n.popsection\\n"                                         \
	".pushsection .rodata.str1.1,\\\"aMS\\\",@progbits,1\\n2: .asciz \\\"f.c\\\"\\n.popsection\"); return use(x); }"

/* Without the file and line. */
#define BARE_WARN(flags)                                                                                               \
	"int use(int); int f(int x) { asm volatile(\"1: nop\\n.pushsection __bug_table,\\\"aw\\\"\\n.long 1b - .\\n"   \
	".2byte " #flags "\\n.popsection\"); return use(x); }"

static void check_bug(const char *compiler, const char *before, const char *after, const char *functions)
{
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-diff", NULL);
	g_autoptr(KmObject) a = NULL, b = NULL;
	g_autoptr(KmDiff) diff = diff_texts(dir->path, compiler, NULL, before, after, &a, &b);
	g_autofree char *found = listed(diff->functions);
	g_assert_cmpstr(found, ==, functions);
	g_assert_cmpuint(diff->refused->len, ==, 0);
}

/* The line of a WARN is no difference; its flags are. */
static void test_bug_table(gconstpointer compiler)
{
	if (missing(compiler))
		return;
	check_bug(compiler, WARN(f, 10, 1), WARN(f, 11, 1), "");
	check_bug(compiler, WARN(f, 10, 1), WARN(f, 10, 3), "changed f");
	check_bug(compiler, WARN(f, 10, 1), WARN(g, 9, 1) WARN(f, 12, 1), "new g");
	check_bug(compiler, BARE_WARN(1), BARE_WARN(1), "");
	check_bug(compiler, BARE_WARN(1), BARE_WARN(3), "changed f");
}

static int exit_code_of(const char *a, const char *b)
{
	const char *argv[] = { g_getenv("KMEND"), "diff", "--json", a, b, NULL };
	g_autoptr(GError) error = NULL;
	g_autoptr(KmRunResult) result = km_run(argv, NULL, &error);
	g_assert_no_error(error);
	return result->status;
}

static void test_exit_codes(void)
{
	if (missing("gcc-12") || !g_getenv("KMEND"))
		return;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-diff", NULL);
	g_autoptr(KmObject) a = compile(dir->path, "gcc-12", NULL, "a", "int v = 1; int f(void) { return v; }");
	g_autoptr(KmObject) b = compile(dir->path, "gcc-12", NULL, "b", "int v = 1; int f(void) { return v + 1; }");
	g_autoptr(KmObject) c = compile(dir->path, "gcc-12", NULL, "c", "int v = 2; int f(void) { return v; }");
	g_autofree char *junk = g_build_filename(dir->path, "junk.o", NULL);
	g_file_set_contents(junk, "\177ELF junk", -1, NULL);
	g_assert_cmpint(exit_code_of(a->path, b->path), ==, 0);
	g_assert_cmpint(exit_code_of(a->path, a->path), ==, 4);
	g_assert_cmpint(exit_code_of(a->path, c->path), ==, 3);
	g_assert_cmpint(exit_code_of(a->path, junk), ==, 1);
	g_assert_cmpint(exit_code_of(a->path, "/nonexistent"), ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(compilers); i++) {
		g_autofree char *path = g_strconcat("/diff/cases/", compilers[i], NULL);
		g_autofree char *statics = g_strconcat("/diff/static-locals/", compilers[i], NULL);
		g_autofree char *bugs = g_strconcat("/diff/bug-table/", compilers[i], NULL);
		g_test_add_data_func(path, compilers[i], test_cases);
		g_test_add_data_func(statics, compilers[i], test_static_locals);
		g_test_add_data_func(bugs, compilers[i], test_bug_table);
	}
	g_test_add_func("/diff/other-architecture", test_other_architecture);
	g_test_add_func("/diff/exit-codes", test_exit_codes);
	return g_test_run();
}
