/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/watched.h"

#include <fnmatch.h>
#include <string.h>

#include "kernel/assembly.h"
#include "kernel/makefile.h"

#define ASSEMBLY "assembly cannot be live patched"

/* C that no object of the kernel is made of, and that is in it all the same. '*' stands for slashes too. */
static const struct {
	const char *pattern;
	const char *why;
} others[] = {
	{ "kernel/bounds.c", "the numbers it generates are all over the running kernel" },
	{ "*asm-offsets.c", "the numbers it generates are all over the running kernel's assembly" },
	{ "arch/*/vdso/*.c", "the vDSO is mapped into every process and cannot be live patched" },
	{ "arch/*/vdso32/*.c", "the vDSO is mapped into every process and cannot be live patched" },
	{ "arch/*/realmode/*.c", "code for starting processors cannot be live patched" },
	{ "arch/*/purgatory/*.c", "code that runs between two kernels cannot be live patched" },
};

static const char *why_watched(const char *path)
{
	if (g_str_has_suffix(path, ".S"))
		return ASSEMBLY;
	if (g_str_has_suffix(path, ".uc"))
		return "sources that a build generates cannot be live patched";
	for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
		if (!fnmatch(others[i].pattern, path, 0))
			return others[i].why;
	return NULL;
}

/* A program of the build: on the makefile's list of those. */
static gboolean is_host_program(const char *source, const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path), *base = g_path_get_basename(path);
	g_autofree char *makefile = g_build_filename(source, dir, "Makefile", NULL), *text = NULL;
	*strrchr(base, '.') = '\0';
	if (!g_file_get_contents(makefile, &text, NULL, NULL))
		return FALSE;
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		g_auto(GStrv) words = g_strsplit_set(*line, " \t", -1);
		if (g_str_has_prefix(*line, "hostprogs") && g_strv_contains((const char *const *)words, base))
			return TRUE;
	}
	return FALSE;
}

/* Tools and what runs before the kernel are no part of it, and what the configuration leaves out is not either. */
static gboolean may_run(const KmKernel *kernel, const char *path)
{
	g_autofree char *boot = g_strconcat("arch/", kernel->arch->kbuild, "/boot/", NULL);
	g_autofree char *as_c = g_strdup_printf("%.*s.c", (int)(strrchr(path, '.') - path), path);
	g_autofree char *lacks = km_makefile_options(kernel, as_c);
	return !lacks && !g_str_has_prefix(path, "tools/") && !g_str_has_prefix(path, boot);
}

/* What the makefile of its directory may define for it, whatever for: -D words of lines about flags of the assembler. */
static void add_definitions(GStrvBuilder *argv, const char *source, const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *makefile = g_build_filename(source, dir, "Makefile", NULL), *text = NULL;
	if (!g_file_get_contents(makefile, &text, NULL, NULL))
		return;
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		g_auto(GStrv) words = g_strsplit_set(*line, " \t", -1);
		gboolean about = strstr(*line, "AFLAGS") || strstr(*line, "asflags");
		for (char **word = words; about && *word; word++)
			if (g_str_has_prefix(*word, "-D") && !strchr(*word, '$'))
				g_strv_builder_add(argv, *word);
	}
}

/* Where kbuild has headers looked for besides: the directory whose makefile lists the file, in both trees; which one that is does not matter. */
static void add_directories(GStrvBuilder *argv, const char *source, const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);
	for (char *end = dir; end; end = strrchr(dir, '/')) {
		if (end != dir)
			*end = '\0';
		g_autofree char *here = g_strconcat("-I", source, "/", dir, NULL);
		g_autofree char *made = g_strconcat("-I./", dir, NULL);
		g_strv_builder_add_many(argv, here, made, NULL);
	}
}

/* The flags, and in what language the file is. */
static char **command(const char *source, const char *path, const KmRecipe *recipe, const KmRecipe *sample)
{
	gboolean assembly = g_str_has_suffix(path, ".S");
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_auto(GStrv) flags = km_recipe_flags(recipe ? recipe : sample);
	g_strv_builder_addv(argv, (const char **)flags);
	if (!recipe)
		add_directories(argv, source, path);
	if (assembly) {
		g_strv_builder_add(argv, "-D__ASSEMBLY__");
		add_definitions(argv, source, path);
	}
	g_strv_builder_add_many(argv, "-x", assembly ? "assembler-with-cpp" : "c", NULL);
	return g_strv_builder_end(argv);
}

/* Could assembly see something else of the touched headers? Whatever it does with them; in doubt yes. */
static gboolean assembly_may_change(const KmOverlay *overlay)
{
	for (guint i = 0; i < overlay->files->len; i++) {
		const KmTouched *touched = overlay->files->pdata[i];
		g_autofree char *pristine = g_build_filename(overlay->source, touched->path, NULL);
		g_autofree char *original = NULL, *patched = NULL;
		/* A new header is reached by a changed one only. */
		if (touched->is_source || touched->is_makefile || touched->is_new || touched->is_deleted)
			continue;
		if (!g_file_get_contents(pristine, &original, NULL, NULL) ||
		    !g_file_get_contents(touched->patched, &patched, NULL, NULL) || km_assembly_sees(original, patched))
			return TRUE;
	}
	return FALSE;
}

KmUnit *km_watched_new(const KmKernel *kernel, const KmOverlay *overlay, const char *path, const KmRecipe *recipe,
		       const KmRecipe *sample, const char *cwd)
{
	const char *why = why_watched(path);
	if (!why || !may_run(kernel, path) || is_host_program(overlay->source, path))
		return NULL;
	if (!strcmp(why, ASSEMBLY) && !assembly_may_change(overlay))
		return NULL;
	KmUnit *unit = g_new0(KmUnit, 1);
	unit->source = g_strdup(path);
	unit->object = g_strdup_printf("%.*s.o", (int)(strrchr(path, '.') - path), path);
	unit->owner = g_strdup("vmlinux");
	unit->argv = command(overlay->source, path, recipe, sample);
	unit->cwd = g_strdup(cwd);
	unit->reached = unit->text_only = TRUE;
	unit->unpatchable = g_strdup(why);
	return unit;
}
