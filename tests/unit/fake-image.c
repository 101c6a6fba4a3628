/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-image.h"

#include <string.h>

#include "base/run.h"

static const char script[] = "SECTIONS {\n"
			     " . = hidden_text - 0x100000;\n"
			     " .kallsyms : { *(.kallsyms) }\n"
			     " . = hidden_text;\n"
			     " .text : { _text = .; *(.text) *(.text.*) _etext = .; }\n"
			     " . = ALIGN(4096);\n"
			     " .rodata : { *(.rodata .rodata.*)\n"
			     "  __start_mcount_loc = .; KEEP(*(__mcount_loc)) __stop_mcount_loc = .; }\n"
			     " . = ALIGN(4096);\n"
			     " .data : { *(.data .data.*) *(__jump_table) }\n"
			     " .got : ALIGN(256) { *(.got .toc) }\n"
			     " . = ALIGN(4096);\n"
			     " __init_begin = .;\n"
			     " .init.text : { *(.init.text) }\n"
			     " . = ALIGN(4096);\n"
			     " __init_end = .;\n"
			     " .bss : { *(.bss .bss.*) _end = .; }\n"
			     " .notes : { *(.note.gnu.build-id) }\n"
			     " /DISCARD/ : { *(.note*) *(.comment) *(.eh_frame) }\n"
			     "}\n";

static char *run(const char *const *argv)
{
	g_autoptr(GError) error = NULL;
	char *output = km_run_checked(argv, NULL, &error);
	g_assert_no_error(error);
	return output;
}

static void write_text(const char *path, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_file_set_contents(path, text, -1, &error);
	g_assert_no_error(error);
}

static const char *const x86_64_options[] = { "-fno-pic",      "-fno-pie", "-mcmodel=kernel", "-fcf-protection=none",
					      "-mno-red-zone", NULL };
static const char *const ppc64le_options[] = { "-fno-pic", "-fno-pie",	   "-mcmodel=medium",
					       "-mno-vsx", "-mno-altivec", NULL };

const FakeTools fake_tools_x86_64 = { "", "x86_64-", "0xffffffff81000000", NULL, x86_64_options };
const FakeTools fake_tools_ppc64le = { "powerpc64le-linux-gnu-", "powerpc64le-", "0xc000000001000000", NULL,
				       ppc64le_options };
const FakeTools fake_tools_ppc64le_slots = { "powerpc64le-linux-gnu-", "powerpc64le-", "0xc000000001000000",
					     "--no-toc-optimize", ppc64le_options };

static char *tool(const FakeTools *tools, const char *name)
{
	return g_strconcat(tools->prefix, name, NULL);
}

gboolean fake_image_can_with(const FakeTools *tools)
{
	g_autofree char *gcc_name = tool(tools, "gcc"), *ld_name = tool(tools, "ld"), *nm_name = tool(tools, "nm");
	g_autofree char *gcc = g_find_program_in_path(gcc_name);
	g_autofree char *ld = g_find_program_in_path(ld_name), *nm = g_find_program_in_path(nm_name);
	const char *const argv[] = { gcc, "-dumpmachine", NULL };
	g_autofree char *machine = gcc && ld && nm ? km_run_checked(argv, NULL, NULL) : NULL;
	return machine && g_str_has_prefix(machine, tools->machine);
}

gboolean fake_image_can(void)
{
	return fake_image_can_with(&fake_tools_x86_64);
}

char *fake_image_compile(const KmTempDir *dir, const char *name, const char *text, const char *flags)
{
	return fake_image_compile_with(&fake_tools_x86_64, dir, name, text, flags);
}

FakeImage *fake_image_new(const char *const *objects)
{
	return fake_image_new_with(&fake_tools_x86_64, objects);
}

char *fake_image_compile_with(const FakeTools *tools, const KmTempDir *dir, const char *name, const char *text,
			      const char *flags)
{
	g_autofree char *gcc = tool(tools, "gcc");
	g_autofree char *source = g_build_filename(dir->path, name, NULL);
	char *object = g_strconcat(source, ".o", NULL);
	write_text(source, text);
	g_auto(GStrv) extra = g_strsplit(flags ? flags : "", " ", 0);
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	static const char *const base[] = { "-c",
					    "-O2",
					    "-fno-common",
					    "-fno-asynchronous-unwind-tables",
					    "-fno-ipa-icf",
					    "-ffreestanding",
					    "-fno-stack-protector",
					    "-o" };
	g_ptr_array_add(argv, gcc);
	for (const char *const *option = tools->options; *option; option++)
		g_ptr_array_add(argv, (gpointer)*option);
	for (gsize i = 0; i < G_N_ELEMENTS(base); i++)
		g_ptr_array_add(argv, (gpointer)base[i]);
	g_ptr_array_add(argv, object);
	g_ptr_array_add(argv, source);
	for (char **f = extra; *f; f++)
		if (**f)
			g_ptr_array_add(argv, *f);
	g_ptr_array_add(argv, NULL);
	g_free(run((const char *const *)argv->pdata));
	return object;
}

/* As the kernel's build writes them; every token is one character, so a compressed name is the name. */
static void write_tables(const FakeTools *tools, const char *path, char **lines)
{
	g_autoptr(GString) offsets = g_string_new(NULL), names = g_string_new(NULL), markers = g_string_new(NULL);
	guint n = 0, at = 0;
	for (; *lines && **lines; lines++) {
		g_auto(GStrv) word = g_strsplit(*lines, " ", 3);
		if (g_str_has_prefix(word[2], "hidden"))
			continue;
		g_string_append_printf(offsets, "\t.long 0x%s - %s\n", word[0], tools->text);
		if (n % 256 == 0)
			g_string_append_printf(markers, "\t.long %u\n", at);
		guint length = 1 + strlen(word[2]);
		g_assert_cmpuint(length, <, 128);
		g_string_append_printf(names, "\t.byte %u\n\t.ascii \"%s%s\"\n", length, word[1], word[2]);
		at += length + 1;
		n++;
	}
	g_autoptr(GString) text = g_string_new("\t.section .kallsyms,\"a\"\n\t.balign 8\n\t.skip 64\n");
	g_string_append_printf(text, "%s\t.balign 8\n\t.quad %s\n\t.long %u, 0\n%s\t.balign 8\n%s\t.balign 8\n",
			       offsets->str, tools->text, n, names->str, markers->str);
	for (guint i = 0; i < 256; i++)
		g_string_append_printf(text, "\t.byte %u, 0\n", i ? i : '?');
	g_string_append(text, "\t.balign 8\n");
	for (guint i = 0; i < 256; i++)
		g_string_append_printf(text, "\t.short %u\n", 2 * i);
	write_text(path, text->str);
}

static void link_image(const FakeTools *tools, const char *path, const char *map, const char *const *objects,
		       const char *tables)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autofree char *ld = tool(tools, "ld"), *text = g_strdup_printf("--defsym=hidden_text=%s", tools->text);
	static const char *const base[] = { "--no-warn-rwx-segments", "-z", "max-page-size=4096", "-e", "_text",
					    "--build-id=sha1",	      "-T" };
	g_ptr_array_add(argv, ld);
	g_ptr_array_add(argv, text);
	if (tools->link)
		g_ptr_array_add(argv, (gpointer)tools->link);
	for (gsize i = 0; i < G_N_ELEMENTS(base); i++)
		g_ptr_array_add(argv, (gpointer)base[i]);
	g_ptr_array_add(argv, (gpointer)map);
	g_ptr_array_add(argv, "-o");
	g_ptr_array_add(argv, (gpointer)path);
	for (; *objects; objects++)
		g_ptr_array_add(argv, (gpointer)*objects);
	g_ptr_array_add(argv, (gpointer)tables);
	g_ptr_array_add(argv, NULL);
	g_free(run((const char *const *)argv->pdata));
}

static GHashTable *read_symbols(char **lines)
{
	GHashTable *symbols = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref);
	for (; *lines && **lines; lines++) {
		g_auto(GStrv) word = g_strsplit(*lines, " ", 3);
		GArray *same = g_hash_table_lookup(symbols, word[2]);
		if (!same) {
			same = g_array_new(FALSE, FALSE, sizeof(guint64));
			g_hash_table_insert(symbols, g_strdup(word[2]), same);
		}
		guint64 address = g_ascii_strtoull(word[0], NULL, 16);
		g_array_append_val(same, address);
	}
	return symbols;
}

FakeImage *fake_image_new_with(const FakeTools *tools, const char *const *objects)
{
	g_autofree char *gcc = tool(tools, "gcc"), *nm_name = tool(tools, "nm");
	FakeImage *fake = g_new0(FakeImage, 1);
	fake->dir = km_tempdir_new(NULL, "fake-image", NULL);
	fake->path = g_build_filename(fake->dir->path, "vmlinux", NULL);
	g_autofree char *map = g_build_filename(fake->dir->path, "map", NULL);
	write_text(map, script);
	/* No kernel has fewer symbols than this. */
	g_autoptr(GString) filler = g_string_new("\t.text\n\t.globl linux_banner\n");
	for (guint i = 0; i < 64; i++)
		g_string_append_printf(filler, "\t.globl filler_%u\nfiller_%u:\tnop\n", i, i);
	const char *const version[] = { gcc, "--version", NULL };
	g_autofree char *compiler = run(version);
	g_string_append_printf(
		filler,
		"\t.section .rodata\nlinux_banner: .asciz \"Linux version 6.1.0-fake (test@host) (%.*s, GNU "
		"ld (Fake) 2) #1 SMP\\n\"\n",
		(int)strcspn(compiler, "\n"), compiler);
	g_autofree char *extra = fake_image_compile_with(tools, fake->dir, "filler.S", filler->str, NULL);
	g_autoptr(GPtrArray) all = g_ptr_array_new();
	for (; *objects; objects++)
		g_ptr_array_add(all, (gpointer)*objects);
	g_ptr_array_add(all, extra);
	g_ptr_array_add(all, NULL);
	g_autofree char *empty = fake_image_compile_with(tools, fake->dir, "empty.S", "", NULL);
	link_image(tools, fake->path, map, (const char *const *)all->pdata, empty);
	const char *const nm[] = { nm_name, "-n", fake->path, NULL };
	g_autofree char *listing = run(nm);
	g_auto(GStrv) lines = g_strsplit(listing, "\n", 0);
	fake->symbols = read_symbols(lines);
	g_autofree char *tables = g_build_filename(fake->dir->path, "tables.S", NULL);
	write_tables(tools, tables, lines);
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(tables, &text, NULL, NULL));
	g_autofree char *object = fake_image_compile_with(tools, fake->dir, "tables.S", text, NULL);
	link_image(tools, fake->path, map, (const char *const *)all->pdata, object);
	return fake;
}

void fake_image_free(FakeImage *fake)
{
	if (!fake)
		return;
	km_tempdir_free(fake->dir);
	g_hash_table_unref(fake->symbols);
	g_free(fake->path);
	g_free(fake);
}

guint64 fake_image_address(const FakeImage *fake, const char *name)
{
	const GArray *found = g_hash_table_lookup(fake->symbols, name);
	g_assert_nonnull(found);
	g_assert_cmpuint(found->len, ==, 1);
	return g_array_index(found, guint64, 0);
}
