/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a patch's author says with the macros of include/kmend, and in the sections of kpatch-build and klp-build. */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "diff/author.h"
#include "kernel/headers.h"
#include "klp/hooks.h"

/* As much of the kernel's headers as ours need. */
static const struct {
	const char *name, *text;
} stubs[] = {
	{ "linux/compiler.h", "#define __maybe_unused __attribute__((unused))\n" },
	{ "linux/jiffies.h", "extern unsigned long volatile jiffies;\n" },
	{ "linux/kernel.h",
	  "#define container_of(p, t, m) ((t *)((char *)(p) - __builtin_offsetof(t, m)))\n#define NULL ((void *)0)\n" },
	{ "linux/livepatch.h",
	  "struct kobject { struct kobject *parent; }; struct klp_patch { struct kobject kobj; };\n"
	  "struct klp_object { struct kobject kobj; }; struct klp_state { unsigned long id; unsigned version; void "
	  "*data; };\n"
	  "struct klp_state *klp_get_state(struct klp_patch *, unsigned long), *klp_get_prev_state(unsigned long);\n"
	  "typedef unsigned gfp_t; void *klp_shadow_get(void *, unsigned long);\n"
	  "void *klp_shadow_get_or_alloc(void *, unsigned long, unsigned long, gfp_t, void *, void *);\n"
	  "void klp_shadow_free(void *, unsigned long, void *), klp_shadow_free_all(unsigned long, void *);\n" },
	{ "linux/printk.h", "int printk(const char *, ...), printk_deferred(const char *, ...);\n" },
	{ "linux/stringify.h",
	  "#define __stringify_1(...) #__VA_ARGS__\n#define __stringify(...) __stringify_1(__VA_ARGS__)\n" },
	{ "linux/static_call.h", "#define static_call(name) name\n" },
	{ "linux/syscalls.h", "#define SYSCALL_DEFINE1(name, type, arg) long sys_##name(type arg)\n" },
	{ "linux/types.h", "typedef unsigned long size_t; typedef unsigned gfp_t;\n" },
};

typedef struct {
	KmTempDir *dir;
	KmObject *before, *after;
	KmAuthor *author;
	KmDiff *diff;
	GPtrArray *notes;
	GError *error;
} Fixture;

static void fixture_clear(Fixture *f)
{
	g_clear_pointer(&f->diff, km_diff_free);
	g_clear_pointer(&f->author, km_author_free);
	g_clear_pointer(&f->before, km_object_free);
	g_clear_pointer(&f->after, km_object_free);
	g_clear_pointer(&f->notes, g_ptr_array_unref);
	g_clear_pointer(&f->dir, km_tempdir_free);
	g_clear_error(&f->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void write_headers(const char *dir)
{
	g_autoptr(GError) error = NULL;
	km_headers_write(dir, &error);
	g_assert_no_error(error);
	for (gsize i = 0; i < G_N_ELEMENTS(stubs); i++) {
		g_autofree char *path = g_build_filename(dir, "kernel", stubs[i].name, NULL);
		g_autofree char *parent = g_path_get_dirname(path);
		km_make_dirs(parent, &error);
		g_assert_no_error(error);
		g_file_set_contents(path, stubs[i].text, -1, &error);
		g_assert_no_error(error);
	}
}

static KmObject *compile(const Fixture *f, const char *name, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *object = g_build_filename(f->dir->path, name, NULL);
	g_autofree char *kernel = g_build_filename(f->dir->path, "kernel", NULL);
	const char *const argv[] = { "gcc",
				     "-O2",
				     "-Wall",
				     "-Werror",
				     "-Wno-unused-function",
				     "-fno-pic",
				     "-ffunction-sections",
				     "-fdata-sections",
				     "-I",
				     kernel,
				     "-idirafter",
				     f->dir->path,
				     "-c",
				     "-o",
				     object,
				     "-x",
				     "c",
				     "-",
				     NULL };
	KmRunOptions options = { .stdin_text = text, .merge_stderr = TRUE };
	g_autofree char *output = km_run_checked(argv, &options, &error);
	g_assert_no_error(error);
	KmObject *read = km_object_read(object, &error);
	g_assert_no_error(error);
	return read;
}

/* The patched text alone: what it says, or f->error. */
static void take(Fixture *f, const char *after)
{
	g_autoptr(GError) error = NULL;
	f->dir = km_tempdir_new(NULL, "kmend-test", &error);
	g_assert_no_error(error);
	write_headers(f->dir->path);
	f->after = compile(f, "after.o", after);
	f->author = km_author_take(f->after, &f->error);
}

static void compare(Fixture *f, const char *before, const char *after)
{
	take(f, after);
	g_assert_no_error(f->error);
	f->before = compile(f, "before.o", before);
	f->notes = g_ptr_array_new_with_free_func(g_free);
	f->diff = km_diff_new(f->before, f->after, TRUE, &f->error);
	g_assert_no_error(f->error);
	km_author_apply(f->author, f->diff, f->notes);
}

static void assert_refused(Fixture *f, const char *words)
{
	g_assert_error(f->error, KM_ERROR, KM_ERROR_REFUSED);
	if (!strstr(f->error->message, words))
		g_error("'%s' does not say '%s'", f->error->message, words);
}

static void assert_callback(const Fixture *f, KmCallbackKind kind, const char *name)
{
	g_assert_no_error(f->error);
	g_assert_nonnull(f->author->callbacks[kind]);
	g_assert_cmpstr(f->author->callbacks[kind]->name, ==, name);
}

#define FUNCTIONS                                                                                                      \
	"static int pre(struct klp_object *o) { return 0; }\n"                                                         \
	"static void post(struct klp_object *o) { printk(\"%p\", o); }\n"

static void test_kmend(void)
{
	g_auto(Fixture) f = { 0 };
	take(&f, "#include <kmend/kmend.h>\n" FUNCTIONS "KMEND_PRE_PATCH(pre);\nKMEND_POST_UNPATCH(post);\n"
		 "KMEND_STATE(7, 2);\nKMEND_STATE(8, 1);\n");
	assert_callback(&f, KM_PRE_PATCH, "pre");
	assert_callback(&f, KM_POST_UNPATCH, "post");
	g_assert_null(f.author->callbacks[KM_POST_PATCH]);
	g_assert_cmpuint(f.author->states->len, ==, 2);
	const KmState *state = &g_array_index(f.author->states, KmState, 0);
	g_assert_true(state->id == 7 && state->version == 2);
	for (guint i = 0; i < f.after->sections->len; i++)
		g_assert_false(g_str_has_prefix(((KmSection *)f.after->sections->pdata[i])->name, ".kmend"));
}

static void test_kpatch_names(void)
{
	g_auto(Fixture) f = { 0 };
	take(&f, "#include \"kpatch-macros.h\"\n" FUNCTIONS
		 "KPATCH_PRE_PATCH_CALLBACK(pre);\nKPATCH_POST_PATCH_CALLBACK(post)\n"
		 "KPATCH_IGNORE_SECTION(\"_ftrace_events\");\nKPATCH_IGNORE_FUNCTION(post)\nKPATCH_FORCE_UNSAFE(pre);\n"
		 "static void say(patch_object *o) { KPATCH_PRINTK(\"%p\", o); KPATCH_PRINTK_DEFERRED(\"x\"); }\n"
		 "KPATCH_PRE_UNPATCH_CALLBACK(say);\nKPATCH_POST_UNPATCH_CALLBACK(post);\n");
	assert_callback(&f, KM_PRE_PATCH, "pre");
	assert_callback(&f, KM_POST_PATCH, "post");
	assert_callback(&f, KM_PRE_UNPATCH, "say");
	assert_callback(&f, KM_POST_UNPATCH, "post");
	g_assert_cmpstr(f.author->ignored_sections->pdata[0], ==, "_ftrace_events");
	g_assert_cmpstr(f.author->ignored_functions->pdata[0], ==, "post");
	g_assert_cmpstr(f.author->forced->pdata[0], ==, "pre");
}

static void test_klp_build_names(void)
{
	g_auto(Fixture) f = { 0 };
	take(&f, "#include <linux/livepatch_helpers.h>\n" FUNCTIONS
		 "KLP_PRE_PATCH_CALLBACK(pre);\nKLP_POST_PATCH_CALLBACK(post);\n"
		 "KLP_PRE_UNPATCH_CALLBACK(post);\nKLP_POST_UNPATCH_CALLBACK(post);\n"
		 "KLP_SYSCALL_DEFINE1(one, int, x) { return x; }\nint two(int); int three(int x) { return "
		 "KLP_STATIC_CALL(two)(x); "
		 "}\n");
	assert_callback(&f, KM_PRE_PATCH, "pre");
	assert_callback(&f, KM_POST_UNPATCH, "post");
	g_assert_nonnull(km_object_find_symbol(f.after, "sys_one"));
}

/* Trees that bring the other tools' own headers. */
#define ROW "struct row { void *fn; char *objname; };\nextern int use(void);\nint f(void) { return use(); }\n"
#define IN(section) "__attribute__((section(\"" section "\"), used)) "

static void test_kpatch_sections(void)
{
	g_auto(Fixture) f = { 0 };
	take(&f,
	     ROW "static struct row a " IN(
		     ".kpatch.callbacks.pre_patch") "= { f };\n"
						    "static char *s " IN(
							    ".kpatch.ignore.sections") "= \"mine\";\nvoid "
										       "*i " IN(
											       ".kpatch."
											       "ignore."
											       "function"
											       "s") "= "
												    "f;\n"
												    "void"
												    " *"
												    "u"
												    " " IN(".kpa"
													   "tch."
													   "forc"
													   "e") "= "
														"f;\n");
	assert_callback(&f, KM_PRE_PATCH, "f");
	g_assert_cmpstr(f.author->ignored_sections->pdata[0], ==, "mine");
	g_assert_cmpstr(f.author->ignored_functions->pdata[0], ==, "f");
	g_assert_cmpstr(f.author->forced->pdata[0], ==, "f");
}

static void test_klp_build_sections(void)
{
	g_auto(Fixture) f = { 0 };
	take(&f,
	     ROW "void *" IN(
		     ".discard.klp_callback_ptrs") "__klp_post_unpatch_callback_vmlinux = f;\n"
						   "void *" IN(".discard.klp_callback_ptrs") "__klp_pre_patch_callback_"
											     "vmlinux = f;\n");
	assert_callback(&f, KM_POST_UNPATCH, "f");
	assert_callback(&f, KM_PRE_PATCH, "f");
}

static void test_refusals(void)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "#include <kmend/kmend.h>\n" FUNCTIONS "static int other(struct klp_object *o) { return 1; }\n"
		  "KMEND_PRE_PATCH(pre);\nKMEND_PRE_PATCH(other);\n",
		  "two pre_patch callbacks, " },
		{ "#include <kmend/kmend.h>\nint far(struct klp_object *o);\nKMEND_PRE_PATCH(far);\n",
		  "names far, which is no function of this file" },
		{ "#include <kmend/kmend.h>\nKMEND_STATE(0, 1);\n", "state 0" },
		{ "#include <kmend/kmend.h>\nKMEND_STATE(1, 1L << 32);\n", "version of 32 bits" },
		{ ROW "void *p " IN(".kmend.callbacks.mid_patch") "= f;\n", "section .kmend.callbacks.mid_patch" },
		{ ROW "void *p " IN(".kpatch.hooks.load") "= f;\n", "section .kpatch.hooks.load" },
		{ ROW "void *p " IN(".kpatch.callbacks.pre_patch") "= f;\n", "rows of 16 bytes" },
		{ ROW "void *p[2] " IN(".kpatch.callbacks.pre_patch") "= { 0, f };\n", "no pointer at +0x0" },
		{ ROW "void *" IN(".discard.klp_callback_ptrs") "odd = f;\n", "a pointer odd" },
		{ ROW "static struct row a " IN(
			  ".kpatch.callbacks.pre_patch") "= { f };\nstruct row *g(void) { return &a; }\n",
		  ".text.g refers to section .kpatch.callbacks.pre_patch" },
		{ ROW "char s[2] " IN(".kmend.force") "= { 'a', 'b' };\n", "cut off" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Fixture) f = { 0 };
		take(&f, cases[i].text);
		assert_refused(&f, cases[i].words);
	}
}

#define BODY(body, value, extra)                                                                                       \
	"#include <kmend/kmend.h>\nint printk(const char *, ...); int w = 1;\n"                                        \
	"int f(int x) { return printk(\"" body "\") + x; }\nint g(int x) { return printk(\"" body "\") - x; }\n"       \
	"int row __attribute__((section(\"mine\"))) = " value ";\nint other = " value ";\n" extra

static void test_ignored(void)
{
	g_auto(Fixture) f = { 0 };
	compare(&f, BODY("old", "1", ""),
		BODY("new", "1",
		     "KMEND_IGNORE_FUNCTION(f);\nKMEND_IGNORE_FUNCTION(nowhere);\n"
		     "KMEND_IGNORE_SECTION(\"__bug_table\");\n"));
	g_assert_cmpuint(f.diff->functions->len, ==, 1);
	g_assert_cmpstr(((KmChange *)f.diff->functions->pdata[0])->name, ==, "g");
	g_assert_cmpuint(f.notes->len, ==, 2);
	g_assert_nonnull(strstr(f.notes->pdata[0], "nowhere"));
	g_assert_nonnull(strstr(f.notes->pdata[1], "__bug_table"));
}

static void test_ignored_section(void)
{
	g_auto(Fixture) f = { 0 };
	compare(&f, BODY("same", "1", ""), BODY("same", "2", "KMEND_IGNORE_SECTION(\"mine\");\n"));
	g_assert_cmpuint(f.diff->refused->len, ==, 1);
	g_assert_cmpstr(((KmRefusal *)f.diff->refused->pdata[0])->name, ==, "other");
	g_assert_cmpuint(f.diff->data->len, ==, 1);
}

static KmCallback *callback(const char *object, KmSymbol *function)
{
	KmCallback *c = g_new0(KmCallback, 1);
	*c = (KmCallback){ g_strdup(object), KM_PRE_PATCH, g_strdup("a.c"), function };
	return c;
}

static void test_one_of_a_kind(void)
{
	KmSymbol function = { .name = (char *)"f" };
	g_autoptr(GError) error = NULL;
	g_auto(KmContents) contents = { 0 };
	km_contents_init(&contents);
	g_assert_true(km_contents_add_callback(&contents, callback("vmlinux", &function), &error));
	g_assert_true(km_contents_add_callback(&contents, callback("ext4", &function), &error));
	g_assert_false(km_contents_add_callback(&contents, callback("ext4", &function), &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
	g_assert_nonnull(strstr(error->message, "two pre_patch callbacks for ext4"));
	g_clear_error(&error);
	KmState one = { 1, 1 }, again = { 1, 2 };
	g_assert_true(km_contents_add_state(&contents, &one, "a.c", &error));
	g_assert_true(km_contents_add_state(&contents, &one, "b.c", &error));
	g_assert_cmpuint(contents.states->len, ==, 1);
	g_assert_false(km_contents_add_state(&contents, &again, "b.c", &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_REFUSED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/author/kmend", test_kmend);
	g_test_add_func("/author/kpatch-names", test_kpatch_names);
	g_test_add_func("/author/klp-build-names", test_klp_build_names);
	g_test_add_func("/author/kpatch-sections", test_kpatch_sections);
	g_test_add_func("/author/klp-build-sections", test_klp_build_sections);
	g_test_add_func("/author/refusals", test_refusals);
	g_test_add_func("/author/ignored", test_ignored);
	g_test_add_func("/author/ignored-section", test_ignored_section);
	g_test_add_func("/author/one-of-a-kind", test_one_of_a_kind);
	return g_test_run();
}
