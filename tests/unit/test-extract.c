/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is cut out of a patched object, what stays in the kernel, and what every reference means. */
#include <string.h>

#include "base/file.h"
#include "base/run.h"
#include "diff/diff.h"

typedef struct {
	KmTempDir *dir;
	KmObject *original, *patched, *out;
	KmDiff *diff;
	GError *error;
} Fixture;

static void fixture_clear(Fixture *f)
{
	g_clear_pointer(&f->out, km_object_free);
	g_clear_pointer(&f->diff, km_diff_free);
	g_clear_pointer(&f->original, km_object_free);
	g_clear_pointer(&f->patched, km_object_free);
	g_clear_pointer(&f->dir, km_tempdir_free);
	g_clear_error(&f->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static KmObject *compile(const char *dir, const char *compiler, const char *name, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *source = g_strdup_printf("%s/%s.c", dir, name);
	g_autofree char *object = g_strdup_printf("%s/%s.o", dir, name);
	const char *const argv[] = { compiler,
				     "-O2",
				     "-w",
				     "-fno-pic",
				     "-fcf-protection=none",
				     "-fno-asynchronous-unwind-tables",
				     "-ffunction-sections",
				     "-fdata-sections",
				     "-c",
				     "-o",
				     object,
				     source,
				     NULL };
	g_file_set_contents(source, text, -1, &error);
	g_assert_no_error(error);
	g_autofree char *output = km_run_checked(argv, NULL, &error);
	g_assert_no_error(error);
	KmObject *read = km_object_read(object, &error);
	g_assert_no_error(error);
	return read;
}

static void extract_with(Fixture *f, const char *compiler, const char *before, const char *after)
{
	g_autoptr(GError) error = NULL;
	f->dir = km_tempdir_new(NULL, "kmend-test", &error);
	g_assert_no_error(error);
	f->original = compile(f->dir->path, compiler, "before", before);
	f->patched = compile(f->dir->path, compiler, "after", after);
	f->diff = km_diff_new(f->original, f->patched, TRUE, &error);
	g_assert_no_error(error);
	f->out = km_extract(f->diff, &f->error);
}

static void extract(Fixture *f, const char *before, const char *after)
{
	extract_with(f, "gcc-12", before, after);
	g_assert_no_error(f->error);
}

/* The symbols that relocations of section name refer to, in order, "defined" or "outside" each. */
static char *references(const KmObject *object, const char *section_name)
{
	const KmSection *section = km_object_find_section(object, section_name);
	g_autoptr(GString) text = g_string_new(NULL);
	g_assert_nonnull(section);
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
		const KmSymbol *symbol = r->symbol;
		/* R_RISCV_RELAX marks the one before it, and refers to nothing. */
		if (symbol == object->null_symbol && km_arch_reloc(object->arch, r->type)->kind == KM_RELOC_HINT)
			continue;
		const char *name = symbol->type == STT_SECTION ? symbol->section->name : symbol->name;
		g_string_append_printf(text, "%s%s %s", text->len ? ", " : "", symbol->section ? "defined" : "outside",
				       name);
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void assert_references(const KmObject *object, const char *section, const char *expected)
{
	g_autofree char *found = references(object, section);
	g_assert_cmpstr(found, ==, expected);
}

static void test_data_stays_in_the_kernel(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f, "int use(int*); static int state; int f(int x) { return use(&state) + x; }",
		"int use(int*); static int state; int f(int x) { return use(&state) - x; }");
	assert_references(f.out, ".text.f", "outside state, outside use");
	g_assert_null(km_object_find_section(f.out, ".bss.state"));
	const KmSymbol *state = km_object_find_symbol(f.out, "state");
	g_assert_cmpstr(((const KmSymbol *)state->user)->name, ==, "state");
}

static void test_new_data_and_strings_come_along(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f,
		"int p(const char*, int*); int f(void) { return p(\"same\", 0); } int g(void) { return p(\"other\", "
		"0); }",
		"int p(const char*, int*); int f(void) { static int fresh = 5; return p(\"same\", &fresh); }"
		"int g(void) { return p(\"other\", 0); }");
	g_assert_null(km_object_find_section(f.out, ".text.g"));
	gboolean found = FALSE;
	for (guint i = 0; i < f.out->sections->len; i++) {
		const KmSection *s = f.out->sections->pdata[i];
		found |= km_section_is_string(s) && s->size == 5 && !memcmp(s->data->data, "same", 5);
		g_assert_false(km_section_is_string(s) && s->size > 5);
	}
	g_assert_true(found);
	g_autofree char *text = references(f.out, ".text.f");
	g_assert_nonnull(strstr(text, "defined .data.fresh"));
}

static void test_call_goes_to_the_replacement(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f,
		"int use(int); __attribute__((noipa)) int a(int x) { return use(x) + 1; } int f(int x) { return a(x) + "
		"1; }",
		"int use(int); __attribute__((noipa)) int a(int x) { return use(x) + 2; } int f(int x) { return a(x) + "
		"2; }");
	assert_references(f.out, ".text.f", "defined a");
}

/* A pointer can outlive the live patch and must compare equal with those the kernel holds. */
static void test_pointer_stays_the_originals(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f,
		"int use(int); extern int (*hook)(int); int a(int x) { return use(x) + 1; } void f(void) { hook = 0; }",
		"int use(int); extern int (*hook)(int); int a(int x) { return use(x) + 2; } void f(void) { hook = a; "
		"}");
	g_autofree char *text = references(f.out, ".text.f");
	g_assert_nonnull(strstr(text, "outside a"));
	g_assert_nonnull(km_object_find_section(f.out, ".text.a"));
}

#define BUG(line)                                                                                                      \
	"asm(\"1: nop\\n.pushsection __bug_table,\\\"aw\\\"\\n.long 1b - .\\n.long 0\\n.word " #line                   \
	", 0\\n.popsection\");"

static void test_rows_go_with_their_function(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f,
		"int use(int); int f(int x) { " BUG(1) " return use(x); } int g(int x) { " BUG(
			2) " return use(x + 1); }",
		"int use(int); int f(int x) { " BUG(1) " return use(x); } int g(int x) { " BUG(
			2) " return use(x + 9); }");
	const KmSection *table = km_object_find_section(f.out, "__bug_table");
	g_assert_cmpuint(table->size, ==, 12);
	g_assert_cmpuint(table->data->data[8], ==, 2);
	assert_references(f.out, "__bug_table", "defined .text.g");
}

#define ALT(bytes)                                                                                                     \
	"asm(\"661: nop\\nnop\\n662:\\n.pushsection .altinstructions,\\\"a\\\"\\n.long 661b - .\\n.long 663f - "       \
	".\\n.long 7\\n.popsection\\n"                                                                                 \
	".pushsection .altinstr_replacement,\\\"ax\\\"\\n663: " bytes "\\n664:\\n.popsection\");"

static void test_out_of_line_code_goes_with_its_row(void)
{
	g_auto(Fixture) f = { 0 };
	const char *a = "int use(int); int f(int x) { " ALT(
		"push %rax\\npop %rax") " return use(x); }"
					"int g(int x) { " ALT("cld\\nstd") " return use(x + 1); }";
	const char *b = "int use(int); int f(int x) { " ALT(
		"push %rax\\npop %rax") " return use(x); }"
					"int g(int x) { " ALT("cld\\nstd") " return use(x + 9); }";
	extract(&f, a, b);
	const KmSection *code = km_object_find_section(f.out, ".altinstr_replacement");
	g_assert_cmpuint(code->size, ==, 2);
	g_assert_cmphex(code->data->data[0], ==, 0xfc);
	assert_references(f.out, ".altinstructions", "defined .text.g, defined .altinstr_replacement");
}

#define SCHED "__attribute__((noipa, section(\".sched.text\"))) "

/* In a shared section the assembler resolves calls by itself: they need relocations once the function stands alone. */
static void test_cut_out_of_a_shared_section(gconstpointer compiler)
{
	g_auto(Fixture) f = { 0 };
	g_autofree char *path = g_find_program_in_path(compiler);
	if (!path) {
		g_test_skip("compiler not installed");
		return;
	}
	const char *before = SCHED "static int a(int x) { return x * 3; }" SCHED "int f(int x) { return a(x) + 1; }";
	const char *after = SCHED "static int a(int x) { return x * 3; }" SCHED "int f(int x) { return a(x) + 2; }";
	extract_with(&f, compiler, before, after);
	g_assert_no_error(f.error);
	const KmSymbol *whole = km_object_find_symbol(f.patched, "f");
	const KmSymbol *cut = km_object_find_symbol(f.out, "f");
	g_assert_cmpuint(cut->size, ==, whole->size);
	g_assert_cmpuint(cut->section->size, ==, cut->value + cut->size);
	assert_references(f.out, ".sched.text", "outside a");
}

/* Where linkers move code, what refers to a label still does: the second half of an address finds the first by it, and nothing is added to it. */
static void test_labels_stay(void)
{
	g_auto(Fixture) f = { 0 };
	g_autofree char *path = g_find_program_in_path("riscv64-linux-gnu-gcc");
	if (!path) {
		g_test_skip("compiler not installed");
		return;
	}
	static const char format[] = "int use(int); int f(int n) { int *p; asm(\"lla %%0, x\" : \"=r\"(p));"
				     "while (n-- > 0) *p = use(*p) + %d; return *p; }";
	g_autofree char *before = g_strdup_printf(format, 1), *after = g_strdup_printf(format, 2);
	extract_with(&f, "riscv64-linux-gnu-gcc", before, after);
	g_assert_no_error(f.error);
	const KmSection *text = km_object_find_section(f.out, ".text.f");
	guint labels = 0;
	for (guint i = 0; i < text->relocs->len; i++) {
		const KmReloc *r = &g_array_index(text->relocs, KmReloc, i);
		if (r->symbol->section != text)
			continue;
		g_assert_true(g_str_has_prefix(r->symbol->name, ".L"));
		g_assert_cmpint(r->addend, ==, 0);
		labels++;
	}
	/* The loop's branches, and the second half of x's address. */
	g_assert_cmpuint(labels, >=, 3);
}

/* Two functions cut out of one section: whoever disassembles through the gap between them must find the second one's start. */
static void test_gap_between_functions_is_code(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f,
		"int use(int);" SCHED "int f(int x) { return use(x) + 1; }" SCHED "int g(int x) { return use(x) + 3; }",
		"int use(int);" SCHED "int f(int x) { return use(x) + 2; }" SCHED
		"int g(int x) { return use(x) + 4; }");
	const KmSymbol *one = km_object_find_symbol(f.out, "f"), *other = km_object_find_symbol(f.out, "g");
	const KmSymbol *first = one->value < other->value ? one : other, *second = first == one ? other : one;
	g_assert_cmpuint(first->value + first->size, <, second->value);
	for (guint64 at = first->value + first->size; at < second->value; at++)
		g_assert_cmphex(first->section->data->data[at], ==, 0xcc);
}

#define RECORD                                                                                                         \
	"struct r { const char *a, *b, *c, *text; unsigned line; }; static struct r "                                  \
	"__attribute__((section(\"__dyndbg\"), used)) record"

#define MESSAGE(text, more)                                                                                            \
	"int p(void*); int q(void); " RECORD " = { 0, 0, 0, \"" text "\", 1 }; int f(void) { return p(&record) " more "; }"

/* Somebody may have switched the kernel's own record on. */
static void test_debug_records_stay(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f, MESSAGE("hello", ""), MESSAGE("hello", "+ 1"));
	assert_references(f.out, ".text.f", "outside record, outside p");
}

#define SAY(id, text)                                                                                                  \
	"{ static struct r __attribute__((section(\"__dyndbg\"), used)) __UNIQUE_ID_ddebug" id " = { 0, 0, 0, \"" text       \
	"\", 1 }; p(&__UNIQUE_ID_ddebug" id "); q(); }"
#define SAYS(...) "struct r { const char *a, *b, *c, *text; unsigned line; }; int p(void*); int q(void); int f(void) { " __VA_ARGS__ " return q(); }"

/* A new message in front of others of the same shape: each of these still has the kernel's record, whatever its number is now. */
static void test_debug_records_by_text(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f, SAYS(SAY("1", "one") SAY("2", "two") SAY("3", "one")), SAYS(SAY("1", "none") SAY("2", "one") SAY("3", "two") SAY("4", "one")));
	assert_references(f.out, ".text.f",
			  "defined __dyndbg, outside p, outside q, outside __UNIQUE_ID_ddebug2.2, outside p, outside q, "
			  "outside __UNIQUE_ID_ddebug3.1, outside p, outside q, outside __UNIQUE_ID_ddebug4.0, outside p, outside q, "
			  "outside q");
	for (guint i = 0; i < f.diff->data->len; i++)
		g_assert_cmpint(((KmChange *)f.diff->data->pdata[i])->status, ==, KM_NEW);
}

static void test_changed_debug_text_is_a_new_record(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f, "int p(void*); " RECORD " = { 0, 0, 0, \"hello\", 1 }; int f(void) { return p(&record); }",
		"int p(void*); " RECORD " = { 0, 0, 0, \"good day\", 1 }; int f(void) { return p(&record); }");
	g_assert_cmpuint(f.diff->refused->len, ==, 0);
	assert_references(f.out, ".text.f", "defined __dyndbg, outside p");
}

/* The build keeps line numbers with #line: there, two numbers that move together are a change like any other. */
static void test_kept_lines_are_compared(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f,
		"int warn(const char*, int); int f(void) { return warn(\"a.c\", 100); } int g(void) { return "
		"warn(\"a.c\", 200); }",
		"int warn(const char*, int); int f(void) { return warn(\"a.c\", 103); } int g(void) { return "
		"warn(\"a.c\", 203); }");
	g_assert_cmpuint(f.diff->functions->len, ==, 2);
	g_autoptr(KmDiff) loose = km_diff_new(f.original, f.patched, FALSE, NULL);
	g_assert_cmpuint(loose->functions->len, ==, 0);
}

static void test_output_can_be_read_again(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f, "int p(const char*); int f(void) { return p(\"a\"); }",
		"int p(const char*); int f(void) { return p(\"b\") + 1; }");
	g_autoptr(GBytes) bytes = km_object_to_bytes(f.out, &f.error);
	g_assert_no_error(f.error);
	g_autoptr(KmObject) again = km_object_read_bytes(bytes, "again.o", &f.error);
	g_assert_no_error(f.error);
	g_assert_cmpuint(again->sections->len, ==, f.out->sections->len);
}

static KmSection *rows(KmObject *object, const char *name, guint count, guint size, const guint *at, guint per_row)
{
	KmSection *text = km_object_add_section(object, ".text.f", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 16);
	KmSection *table = km_object_add_section(object, name, SHT_PROGBITS, SHF_ALLOC, 1);
	km_section_append(text, NULL, 64, 16);
	km_section_append(table, NULL, (gsize)count * size, 1);
	for (guint i = 0; i < count; i++)
		for (guint k = 0; k < per_row; k++)
			km_section_add_reloc(table, (guint64)i * size + at[k], object->arch->pc32,
					     km_object_section_symbol(object, text), i);
	return table;
}

static void test_entry_size_is_inferred(void)
{
	static const guint two[] = { 0, 4 };
	for (guint size = 12; size <= 16; size++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(KmObject) object = km_object_new(km_arch_by_name("x86_64"), "t.o");
		KmSection *table = rows(object, ".altinstructions", 3, size, two, 2);
		g_assert_cmpuint(km_special_entry_size(km_special_find(table->name), table, &error), ==, size);
		g_assert_no_error(error);
	}
}

static void test_uneven_table_is_refused(void)
{
	static const guint two[] = { 0, 4 };
	g_autoptr(GError) error = NULL;
	g_autoptr(KmObject) object = km_object_new(km_arch_by_name("x86_64"), "t.o");
	KmSection *table = rows(object, ".altinstructions", 3, 12, two, 2);
	g_array_index(table->relocs, KmReloc, 3).offset++;
	g_assert_cmpuint(km_special_entry_size(km_special_find(table->name), table, &error), ==, 0);
	g_assert_nonnull(strstr(error->message, ".altinstructions"));
}

/* A list of places in code that something goes over when the kernel starts: code that stays may be in it, code that is taken may not. */
static void test_listed_code_is_refused(void)
{
	static const char format[] = "extern int use(int); int f(int x) { x = use(x) %c 1; asm(\"1: nop; .pushsection fix_list, \\\"a\\\"\\n"
				     ".long 1b - .\\n.popsection\"); return use(x); }\nint g(int x) { return use(x) %c 3; }";
	g_autofree char *before = g_strdup_printf(format, '+', '+'), *other = g_strdup_printf(format, '+', '-');
	g_autofree char *listed = g_strdup_printf(format, '-', '+');
	g_auto(Fixture) stays = { 0 }, taken = { 0 };
	extract(&stays, before, other);
	extract_with(&taken, "gcc-12", before, listed);
	g_assert_null(taken.out);
	g_assert_nonnull(strstr(taken.error->message, "section fix_list lists a place in f ("));
}

/* Whole functions in a list, and tables that the code jumps through, are nothing of that kind. */
static void test_listed_functions_are_taken(void)
{
	g_auto(Fixture) f = { 0 };
	extract(&f, "int use(int); int f(int x) { return use(x); } int (*const row)(int) __attribute__((section(\"list\"))) = f;",
		"int use(int); int f(int x) { static const void *const to[] = { &&a, &&b }; goto *to[x & 1]; a: return use(3); b: return use(x) + 1; }"
		"int (*const row)(int) __attribute__((section(\"list\"))) = f;");
	g_assert_nonnull(km_object_find_section(f.out, ".text.f"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/extract/data-stays-in-the-kernel", test_data_stays_in_the_kernel);
	g_test_add_func("/extract/new-data-and-strings-come-along", test_new_data_and_strings_come_along);
	g_test_add_func("/extract/call-goes-to-the-replacement", test_call_goes_to_the_replacement);
	g_test_add_func("/extract/pointer-stays-the-originals", test_pointer_stays_the_originals);
	g_test_add_func("/extract/rows-go-with-their-function", test_rows_go_with_their_function);
	g_test_add_func("/extract/out-of-line-code-goes-with-its-row", test_out_of_line_code_goes_with_its_row);
	g_test_add_data_func("/extract/shared-section/x86_64", "gcc-12", test_cut_out_of_a_shared_section);
	g_test_add_data_func("/extract/shared-section/arm64", "aarch64-linux-gnu-gcc",
			     test_cut_out_of_a_shared_section);
	g_test_add_data_func("/extract/shared-section/s390x", "s390x-linux-gnu-gcc", test_cut_out_of_a_shared_section);
	g_test_add_data_func("/extract/shared-section/riscv64", "riscv64-linux-gnu-gcc",
			     test_cut_out_of_a_shared_section);
	g_test_add_func("/extract/gap-between-functions-is-code", test_gap_between_functions_is_code);
	g_test_add_func("/extract/debug-records-stay", test_debug_records_stay);
	g_test_add_func("/extract/debug-records-by-text", test_debug_records_by_text);
	g_test_add_func("/extract/changed-debug-text-is-a-new-record", test_changed_debug_text_is_a_new_record);
	g_test_add_func("/extract/kept-lines-are-compared", test_kept_lines_are_compared);
	g_test_add_func("/extract/labels-stay", test_labels_stay);
	g_test_add_func("/extract/listed-code-is-refused", test_listed_code_is_refused);
	g_test_add_func("/extract/listed-functions-are-taken", test_listed_functions_are_taken);
	g_test_add_func("/extract/output-can-be-read-again", test_output_can_be_read_again);
	g_test_add_func("/special/entry-size-is-inferred", test_entry_size_is_inferred);
	g_test_add_func("/special/uneven-table-is-refused", test_uneven_table_is_refused);
	return g_test_run();
}
