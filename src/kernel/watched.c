/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/watched.h"

#include <fnmatch.h>
#include <string.h>

#include "kernel/assembly.h"
#include "kernel/makefile.h"

#define ASSEMBLY "assembly cannot be live patched"
#define LINKING "the running kernel is linked already"

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
	if (g_str_has_suffix(path, ".lds.S"))
		return LINKING;
	if (g_str_has_suffix(path, ".S"))
		return ASSEMBLY;
	if (g_str_has_suffix(path, ".uc"))
		return "sources that a build generates cannot be live patched";
	for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
		if (!fnmatch(others[i].pattern, path, 0))
			return others[i].why;
	return NULL;
}

/*
 * The makefile of the directory, or of the nearest one above that has one, lines put together; *name: of the file for it, without ending. NULL: there
 * is none. Caller owns both.
 */
static char *read_makefile(const char *source, const char *path, char **name)
{
	g_autofree char *dir = g_path_get_dirname(path), *text = NULL;
	for (char *end = dir + strlen(dir); end && !text; end = strrchr(dir, '/')) {
		*end = '\0';
		g_autofree char *makefile = g_build_filename(source, dir, "Makefile", NULL);
		g_file_get_contents(makefile, &text, NULL, NULL);
	}
	const char *below = path + strlen(dir) + (*dir != '\0');
	*name = g_strndup(below, (gsize)(strrchr(path, '.') - below));
	g_autoptr(GString) joined = text ? g_string_new(text) : NULL;
	if (joined)
		g_string_replace(joined, "\\\n", " ", 0);
	return joined ? g_string_free(g_steal_pointer(&joined), FALSE) : NULL;
}

/* "entry_$(BITS).o" may be any entry_*.o. */
static gboolean word_means(const char *word, const char *object)
{
	g_autoptr(GString) pattern = g_string_new(NULL);
	if (g_str_has_prefix(word, "$(obj)/"))
		word += strlen("$(obj)/");
	for (const char *p = word; *p; p++) {
		gboolean variable = p[0] == '$' && p[1] == '(' && strchr(p, ')');
		g_string_append_c(pattern, variable ? '*' : *p);
		p = variable ? strchr(p, ')') : p;
	}
	/* The last one of $(addprefix x,a.o b.o). */
	if (!strchr(word, '(') && pattern->len && pattern->str[pattern->len - 1] == ')')
		g_string_truncate(pattern, pattern->len - 1);
	return g_str_has_suffix(pattern->str, ".o") && !fnmatch(pattern->str, object, 0);
}

/* Does its makefile put the object into a list? In doubt yes. One that only rules speak of is for a program of the build, or another machine. */
static gboolean is_listed(const char *source, const char *path)
{
	g_autofree char *name = NULL, *text = read_makefile(source, path, &name),
			*object = g_strconcat(name, ".o", NULL);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
	for (char **line = lines; *line; line++) {
		/* These lists are of what rules make, for whatever purpose. */
		gboolean other = g_str_has_prefix(*line, "targets") || g_str_has_prefix(*line, "clean-files");
		const char *equals = other ? NULL : strchr(*line, '=');
		g_auto(GStrv) words = g_strsplit_set(equals ? equals + 1 : "", " \t,", -1);
		for (char **word = words; *word; word++)
			if (word_means(*word, object))
				return TRUE;
	}
	return !text;
}

/* A program of the build: on the makefile's list of those. */
static gboolean is_host_program(const char *source, const char *path)
{
	g_autofree char *name = NULL, *text = read_makefile(source, path, &name);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
	for (char **line = lines; *line; line++) {
		g_auto(GStrv) words = g_strsplit_set(*line, " \t", -1);
		if (g_str_has_prefix(*line, "hostprogs") && g_strv_contains((const char *const *)words, name))
			return TRUE;
	}
	return FALSE;
}

/* Tools and what runs before the kernel are no part of it, and what the configuration leaves out is not either. */
static gboolean may_run(const KmKernel *kernel, const char *path)
{
	g_autofree char *boot = g_strconcat("arch/", kernel->arch->kbuild, "/boot/", NULL);
	g_autofree char *as_c = g_strdup_printf("%.*s.c", (int)(strrchr(path, '.') - path), path);
	g_autofree char *user_mode = g_strconcat("arch/", kernel->arch->kbuild, "/um/", NULL);
	g_autofree char *lacks = km_makefile_options(kernel, as_c);
	return !lacks && !g_str_has_prefix(path, "tools/") && !g_str_has_prefix(path, boot) &&
	       !g_str_has_prefix(path, user_mode);
}

/*
 * What its makefile may define for it and where it may have headers looked for, whatever for: -D words of lines about flags of the assembler or
 * of all C files there, and -I words with a directory of the tree.
 */
static void add_options(GStrvBuilder *argv, const char *source, const char *path)
{
	static const char tree[] = "-I$(srctree)/";
	gboolean assembly = g_str_has_suffix(path, ".S");
	const char *flags = assembly ? "AFLAGS" : "KBUILD_CFLAGS";
	g_autofree char *name = NULL, *text = read_makefile(source, path, &name);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
	for (char **line = lines; *line; line++) {
		g_auto(GStrv) words = g_strsplit_set(*line, " \t", -1);
		gboolean about = strstr(*line, flags) || (assembly && strstr(*line, "asflags"));
		for (char **word = words; *word; word++) {
			const char *dir = g_str_has_prefix(*word, tree) ? *word + strlen(tree) : NULL;
			g_autofree char *include = dir ? g_strconcat("-I", source, "/", dir, NULL) : NULL;
			if (include && !strchr(dir, '$'))
				g_strv_builder_add(argv, include);
			else if (about && g_str_has_prefix(*word, "-D") && !strchr(*word, '$'))
				g_strv_builder_add(argv, *word);
		}
	}
}

/* Where kbuild has headers looked for besides: the directory whose makefile lists the file, in both trees; which one that is does not matter. */
static void add_directories(GStrvBuilder *argv, const char *source, const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);
	for (char *end = dir + strlen(dir); end; end = strrchr(dir, '/')) {
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
	if (!recipe) {
		add_directories(argv, source, path);
		add_options(argv, source, path);
	}
	if (assembly)
		g_strv_builder_add(argv, "-D__ASSEMBLY__");
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
	if (g_str_has_suffix(path, ".S") && !assembly_may_change(overlay))
		return NULL;
	if (!strcmp(why, ASSEMBLY) && !is_listed(overlay->source, path))
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
