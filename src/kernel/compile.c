/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compiling units directly. The original goes to assembly once and is assembled twice (where what is taken apart needs other code than the kernel has, it takes a
 * second compilation); the patched file is compiled at the same time. Nothing of where our directories lie reaches an object.
 */
#include "kernel/unit.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/complaint.h"
#include "kernel/farm.h"
#include "kernel/headers.h"
#include "kernel/fold.h"
#include "kernel/kbuild.h"
#include "kernel/constants.h"
#include "kernel/keys.h"
#include "kernel/scatter.h"
#include "listing/pad.h"

#define CLONES "-fdump-ipa-clones=/dev/null"
/* For texts: nobody asks where in a macro a token comes from, and keeping that takes a quarter of the time. */
#define QUICK_TEXT "-ftrack-macro-expansion=0"
/* Below the work directory: empty headers for what is only looked at. */
#define STAND_INS "stand-ins"
#define MAX_STAND_INS 16

/* What all tasks share. */
typedef struct KmCompiler {
	KmKernel *kernel;
	const KmOverlay *overlay;
	const char *dir;
	char **env;
	KmProgress *progress;
	guint total;
	gboolean reports_clones; /* the compiler has -fdump-ipa-clones */
	gboolean quick_text; /* it has QUICK_TEXT */
	gboolean
		separate; /* what is taken apart needs other code than the kernel has: the original is compiled a second time, as it is there */
	GMutex mutex; /* guards what follows */
	guint done;
	GError *error; /* the first that happened, but an original's before a patched file's */
	gboolean patch_blamed; /* error is a patched file's */
	GHashTable *generated; /* objects that kbuild was already asked to make for their headers */
} Job;

typedef struct {
	Job *job;
	KmUnit *unit;
	gboolean patched;
} Task;

/* An object of another directory's makefile stays below ours: each ".." becomes "up". */
static char *output_path(const Job *job, const char *kind, const KmUnit *unit, const char *ending)
{
	gsize stem = strlen(unit->object) - strlen(".o");
	const char *owner = unit->shared ? unit->owner : "";
	g_autofree char *name =
		g_strdup_printf("%.*s%s%s%s", (int)stem, unit->object, *owner ? "." : "", owner, ending);
	g_auto(GStrv) parts = g_strsplit(name, "../", -1);
	g_autofree char *below = g_strjoinv("up/", parts);
	return g_build_filename(job->dir, kind, below, NULL);
}

static gboolean make_parent(const char *path, GError **error)
{
	g_autofree char *dir = g_path_get_dirname(path);
	return km_make_dirs(dir, error);
}

static gboolean is_relative_tree(const Job *job, const KmUnit *unit)
{
	return !strcmp(unit->cwd, job->overlay->source);
}

/* What kbuild maps the path of the source tree to in __FILE__. Not owned. */
static const char *tree_in_macros(const Job *job, const KmUnit *unit)
{
	g_autofree char *start = g_strconcat("-fmacro-prefix-map=", job->overlay->source, "/=", NULL);
	const char *to = is_relative_tree(job, unit) ? "" : NULL;
	for (char **word = unit->argv; *word; word++)
		if (g_str_has_prefix(*word, start))
			to = *word + strlen(start);
	return to;
}

/* __FILE__ of a file below from must be what it is in the pristine tree, where kbuild may map the tree's path to something. */
static void add_file_map(const Job *job, const KmUnit *unit, GStrvBuilder *argv, const char *from)
{
	g_autofree char *own = g_strconcat(job->overlay->source, "/", NULL);
	const char *to = tree_in_macros(job, unit);
	g_autofree char *map = g_strdup_printf("-fmacro-prefix-map=%s/=%s", from, to ? to : own);
	g_strv_builder_add(argv, map);
}

/*
 * The #line directives give a file's plain path in the tree. When kbuild names it by a way around (with ".."), so must __FILE__.
 * Only for this file: headers of its directory may be found under their plain path.
 */
static void add_detour_map(const Job *job, const KmUnit *unit, GStrvBuilder *argv, const char *path)
{
	g_autofree char *named = km_unit_source_name(unit);
	g_autofree char *dir = g_path_get_dirname(unit->source);
	g_autofree char *other_dir = g_path_get_dirname(path);
	if (!strcmp(named, unit->source) || strcmp(dir, other_dir))
		return;
	g_autofree char *own = g_strconcat(job->overlay->source, "/", NULL);
	const char *to = tree_in_macros(job, unit);
	g_autofree char *detour = g_path_get_dirname(named);
	g_autofree char *base = g_path_get_basename(path);
	g_autofree char *map = g_strdup_printf("-fmacro-prefix-map=%s/%s=%s%s/%s", job->overlay->source, path,
					       to ? to : own, detour, base);
	g_strv_builder_add(argv, map);
}

/* Last of all, so that a kernel with headers of these names keeps its own. */
static void add_headers(const Job *job, GStrvBuilder *argv)
{
	g_autofree char *headers = g_build_filename(job->dir, "include", NULL);
	g_strv_builder_add_many(argv, "-idirafter", headers, NULL);
}

static void add_overlay(const Job *job, const KmUnit *unit, GStrvBuilder *argv)
{
	g_autofree char *compiled = g_build_filename(job->overlay->dir, "compiled", NULL);
	g_autofree char *named = km_unit_source_name(unit);
	g_autofree char *dir = g_path_get_dirname(named);
	g_autofree char *quote = g_build_filename(job->overlay->source, dir, NULL);
	g_strv_builder_add_many(argv, "-iquote", quote, NULL);
	add_file_map(job, unit, argv, compiled);
	if (is_relative_tree(job, unit))
		add_file_map(job, unit, argv, job->overlay->source);
	/* The last map that fits is used. */
	add_detour_map(job, unit, argv, unit->source);
	for (guint i = 0; i < job->overlay->files->len; i++)
		add_detour_map(job, unit, argv, ((const KmTouched *)job->overlay->files->pdata[i])->path);
	add_headers(job, argv);
}

/* Nothing must differ for a file of the farm but what the patch says: it gets the name that the pristine tree's has. */
static void add_farm(const Job *job, const KmUnit *unit, GStrvBuilder *argv)
{
	static const char *const maps[] = { "-fmacro-prefix-map=", "-ffile-prefix-map=" };
	gboolean mapped = FALSE;
	for (char **word = unit->argv; *word; word++)
		for (gsize i = 0; i < G_N_ELEMENTS(maps); i++) {
			g_autofree char *start = g_strconcat(maps[i], job->overlay->source, "/=", NULL);
			mapped |= g_str_has_prefix(*word, start);
		}
	if (!mapped)
		add_file_map(job, unit, argv, job->overlay->farm);
	add_headers(job, argv);
}

static gboolean is_in_farm(const Job *job, gboolean patched)
{
	return patched && job->overlay->farm;
}

/* kbuild's command for this side of the unit. */
static char **unit_command(const Job *job, const KmUnit *unit, gboolean patched)
{
	if (!is_in_farm(job, patched))
		return g_strdupv(unit->argv);
	const KmOverlay *below = job->overlay->below;
	g_auto(GStrv) command = km_farm_map_command(unit->argv, job->overlay->source, job->overlay->farm);
	return below ? km_farm_map_command(command, below->source, below->farm) : g_steal_pointer(&command);
}

static const char *unit_cwd(const Job *job, const KmUnit *unit, gboolean patched)
{
	return is_in_farm(job, patched) && is_relative_tree(job, unit) ? job->overlay->farm : unit->cwd;
}

/* The original of a new unit: a file of that name with nothing in it. */
static char *empty_path(const Job *job, const KmUnit *unit)
{
	return output_path(job, "empty", unit, ".c");
}

/* lib/raid6's .uc files are C for awk to unroll: with "$#" for the number of times, "$$" for which one it is. */
static gboolean is_template(const KmUnit *unit)
{
	return g_str_has_suffix(unit->source, ".uc");
}

/* Where the text of a source lies that kbuild would copy or generate, or NULL. Caller owns. */
static char *made_of(const Job *job, const KmUnit *unit, gboolean patched)
{
	const char *tree = is_in_farm(job, patched) ? job->overlay->farm : job->overlay->source;
	g_autofree char *path = g_build_filename(tree, unit->source, NULL);
	g_autofree char *shipped = g_strconcat(path, "_shipped", NULL);
	if (!unit->text_only)
		return NULL;
	if (is_template(unit))
		return g_steal_pointer(&path);
	return g_file_test(shipped, G_FILE_TEST_EXISTS) ? g_steal_pointer(&shipped) : NULL;
}

static gboolean make_text(const Job *job, const KmUnit *unit, gboolean patched, GError **error)
{
	g_autofree char *from = made_of(job, unit, patched);
	g_autofree char *to = output_path(job, patched ? "patched" : "original", unit, ".c");
	g_autofree char *content = NULL;
	g_autoptr(GError) local = NULL;
	if (!from)
		return TRUE;
	if (!g_file_get_contents(from, &content, NULL, &local))
		return km_fail(error, "cannot read %s: %s", from, local->message);
	g_autoptr(GString) text = g_string_new(content);
	if (is_template(unit)) {
		g_string_replace(text, "$#", "1", 0);
		g_string_replace(text, "$$", "0", 0);
	}
	return make_parent(to, error) && (g_file_set_contents(to, text->str, -1, &local) ||
					  km_fail(error, "cannot write %s: %s", to, local->message));
}

/* The name of the file to compile. */
static char *input_path(const Job *job, const KmUnit *unit, gboolean patched)
{
	g_autofree char *named = km_unit_source_name(unit);
	g_autofree char *made = made_of(job, unit, patched);
	if (!patched && unit->is_new)
		return empty_path(job, unit);
	if (unit->generated)
		return g_strdup(unit->generated);
	if (made)
		return output_path(job, patched ? "patched" : "original", unit, ".c");
	if (patched && !job->overlay->farm)
		return g_build_filename(job->overlay->dir, "compiled", named, NULL);
	if (is_relative_tree(job, unit))
		return g_steal_pointer(&named);
	return g_build_filename(patched ? job->overlay->farm : job->overlay->source, named, NULL);
}

static void add_clones(const Job *job, const KmUnit *unit, GStrvBuilder *argv)
{
	if (!job->reports_clones || !unit->want_clones)
		return;
	g_autofree char *clones = output_path(job, "patched", unit, ".clones");
	g_autofree char *dump = g_strconcat("-fdump-ipa-clones=", clones, NULL);
	g_strv_builder_add(argv, dump);
}

/* The whole command. flags: what is made (-S, -c ...), and with what besides kbuild's own flags. */
static char **compile_argv(const Job *job, const KmUnit *unit, gboolean patched, const char *const *flags,
			   const char *output)
{
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_auto(GStrv) command = unit_command(job, unit, patched);
	g_autofree char *input = input_path(job, unit, patched);
	g_strv_builder_addv(argv, (const char **)command);
	g_strv_builder_addv(argv, (const char **)flags);
	if (is_in_farm(job, patched))
		add_farm(job, unit, argv);
	else if (patched)
		add_overlay(job, unit, argv);
	if (patched)
		add_clones(job, unit, argv);
	if (unit->text_only) {
		g_autofree char *made = g_build_filename(job->dir, patched ? "patched" : "original", NULL);
		add_file_map(job, unit, argv, made);
		g_autofree char *stand_ins = g_build_filename(job->dir, STAND_INS, NULL);
		g_strv_builder_add_many(argv, "-idirafter", stand_ins, NULL);
	}
	g_strv_builder_add_many(argv, "-o", output, input, NULL);
	return g_strv_builder_end(argv);
}

/* kbuild makes some headers only on the way to an object: let it, once for each unit. */
static void generate_headers(Job *job, const KmUnit *unit)
{
	g_mutex_lock(&job->mutex);
	if (!g_hash_table_contains(job->generated, unit->object)) {
		g_autoptr(KmKbuild) kbuild = km_kbuild_new(job->kernel, NULL);
		km_progress_set(job->progress, "letting kbuild generate headers for %s", unit->source);
		if (kbuild)
			km_kbuild_make(kbuild, unit->object);
		g_hash_table_add(job->generated, unit->object);
	}
	g_mutex_unlock(&job->mutex);
}

static KmRunResult *run_compiler(const Job *job, const char *cwd, char **argv, GError **error)
{
	KmRunOptions options = {
		.cwd = cwd, .env = (const char *const *)job->env, .clear_env = TRUE, .merge_stderr = TRUE
	};
	return km_run((const char *const *)argv, &options, error);
}

/* The compiler's words for a header that is not there, and the assembler's for a file that it takes in as it is. */
static gboolean misses_file(const KmRunResult *result)
{
	return result->status &&
	       (strstr(result->output, "No such file or directory") || strstr(result->output, "file not found"));
}

static KmRunResult *run_generating(Job *job, const KmUnit *unit, gboolean patched, char **argv, GError **error)
{
	const char *cwd = unit_cwd(job, unit, patched);
	g_autoptr(KmRunResult) result = run_compiler(job, cwd, argv, error);
	if (!result || !misses_file(result) || unit->external)
		return g_steal_pointer(&result);
	generate_headers(job, unit);
	return run_compiler(job, cwd, argv, error);
}

/* The name of the header that the compiler misses, in a line "x.S:7:10: fatal error: NAME: No such file or directory"; owned, or NULL. */
static char *missing_header(const KmRunResult *result)
{
	static const char before[] = "fatal error: ", behind[] = ": No such file or directory";
	const char *start = strstr(result->output, before);
	const char *end = start ? strstr(start, behind) : NULL;
	g_autofree char *name = end ? g_strndup(start + strlen(before), (gsize)(end - start) - strlen(before)) : NULL;
	return name && !strchr(name, '\n') && !g_path_is_absolute(name) && !strstr(name, "..") ? g_steal_pointer(&name)
											       : NULL;
}

/*
 * What is only looked at may want headers that no build of an object makes (of what is linked first, say). An empty one stands in, for both
 * sides: what else the file sees of the patch is seen all the same.
 */
static gboolean add_stand_in(const Job *job, const KmUnit *unit, const KmRunResult *result)
{
	g_autofree char *name = unit->text_only && misses_file(result) ? missing_header(result) : NULL;
	g_autofree char *path = name ? g_build_filename(job->dir, STAND_INS, name, NULL) : NULL;
	return path && !g_file_test(path, G_FILE_TEST_EXISTS) && make_parent(path, NULL) &&
	       km_write_file(path, "", 0, NULL);
}

static KmRunResult *run_for(Job *job, const KmUnit *unit, gboolean patched, char **argv, GError **error)
{
	g_autoptr(KmRunResult) result = run_generating(job, unit, patched, argv, error);
	/* Only the original: what the patch includes must be there. */
	for (guint i = 0; i < MAX_STAND_INS && result && !patched && add_stand_in(job, unit, result); i++) {
		g_clear_pointer(&result, km_run_result_free);
		result = run_compiler(job, unit_cwd(job, unit, patched), argv, error);
	}
	return g_steal_pointer(&result);
}

static gboolean compile_with(Job *job, const KmUnit *unit, gboolean patched, const char *const *flags,
			     const char *output, GError **error)
{
	g_auto(GStrv) argv = compile_argv(job, unit, patched, flags, output);
	g_autoptr(KmRunResult) result = run_for(job, unit, patched, argv, error);
	if (!result)
		return FALSE;
	if (result->status == 0)
		return TRUE;
	const char *tree = is_in_farm(job, patched) ? job->overlay->farm : job->overlay->source;
	g_autofree char *words = km_first_error(result->output, tree);
	if (result->status > 128)
		return km_fail(error, "%s was killed by signal %d while compiling %s", *argv, result->status - 128,
			       unit->source);
	if (patched)
		return km_fail(error, "%s does not compile with the patch: %s", unit->source, words);
	if (strstr(result->output, "No space left on device"))
		return km_fail(error, "cannot compile %s: %s", unit->source, words);
	if (unit->external)
		return km_refuse(
			error,
			"%s does not compile even without the patch: %s; give the source as it is when the module "
			"%s is built, with the headers its own build generates",
			unit->source, words, unit->owner);
	return km_refuse(
		error,
		"%s does not compile even without the patch: %s; source, configuration, headers and compiler of this "
		"kernel do not belong together",
		unit->source, words);
}

static gboolean compile(Job *job, const KmUnit *unit, gboolean patched, const char *mode, const char *output,
			GError **error)
{
	gboolean text = !strcmp(mode, "-E");
	/* Without line markers: they differ, and say nothing that reaches the object. */
	const char *markers = text ? "-P" : NULL, *quick = text && job->quick_text ? QUICK_TEXT : NULL;
	const char *const flags[] = { "-g0", "-ffunction-sections", "-fdata-sections", mode, markers, quick, NULL };
	const char *const *more = text ? NULL : job->kernel->arch->apart_options;
	g_autoptr(GPtrArray) all = g_ptr_array_new();
	for (const char *const *flag = flags; *flag; flag++)
		g_ptr_array_add(all, (gpointer)*flag);
	for (; more && *more; more++)
		g_ptr_array_add(all, (gpointer)*more);
	g_ptr_array_add(all, NULL);
	return compile_with(job, unit, patched, (const char *const *)all->pdata, output, error);
}

/* Where variables share a section they can share the register that leads to it, so -fdata-sections makes other code than the kernel has. */
static gboolean list_plain(Job *job, const KmUnit *unit, const char *listing, GError **error)
{
	static const char *const flags[] = { "-g0", "-ffunction-sections", "-S", NULL };
	return compile_with(job, unit, FALSE, flags, listing, error);
}

static gboolean assemble(Job *job, const KmUnit *unit, gboolean patched, const char *listing, const char *object,
			 GError **error)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	g_auto(GStrv) command = unit_command(job, unit, patched);
	g_strv_builder_addv(builder, (const char **)command);
	g_strv_builder_add_many(builder, "-g0", "-c", "-o", object, listing, NULL);
	g_auto(GStrv) argv = g_strv_builder_end(builder);
	g_autoptr(KmRunResult) result = run_generating(job, unit, patched, argv, error);
	if (!result)
		return FALSE;
	if (result->status == 0)
		return TRUE;
	g_autofree char *words = km_first_error(result->output, job->overlay->source);
	return km_fail(error, "%s does not assemble %s the patch: %s", unit->source, patched ? "with" : "even without",
		       words);
}

/* Read the listing from, let change() make another text of it, write that to the listing to. */
static gboolean rewrite(const Job *job, const KmUnit *unit, const char *from, const char *to,
			char *(*change)(const Job *, const KmUnit *, const char *, GError **), GError **error)
{
	g_autoptr(GError) local = NULL;
	g_autofree char *text = NULL;
	if (!g_file_get_contents(from, &text, NULL, &local))
		return km_fail(error, "cannot read %s: %s", from, local->message);
	g_autofree char *changed = change(job, unit, text, error);
	if (!changed)
		return FALSE;
	return g_file_set_contents(to, changed, -1, &local) ||
	       km_fail(error, "cannot write %s: %s", to, local->message);
}

static char *fold(const Job *job, const KmUnit *unit, const char *text, GError **error)
{
	/* A kernel that asks for function sections itself was built with them. */
	gboolean sectioned = g_strv_contains((const char *const *)unit->argv, "-ffunction-sections");
	return sectioned ? g_strdup(text) : km_fold_sections(text);
}

/* Which of its callees stay in the kernel is not known yet: behind all calls there is room for the loader. */
static char *leave_room(const Job *job, const KmUnit *unit, const char *text, GError **error)
{
	g_autoptr(KmListing) listing = km_listing_new(text, strlen(text), job->kernel->arch->entry->text->comments);
	if (km_call_nops(listing, NULL, error))
		return g_string_free(km_listing_text(listing), FALSE);
	g_prefix_error(error, "%s: ", unit->source);
	return NULL;
}

/* What is compared and taken into the live patch: variables have sections of their own, constants that the kernel writes into its code while
 * it starts are read from their variables, and code tests its static keys instead of having jump labels wherever those could not be filled in in time. */
static char *take_apart(const Job *job, const KmUnit *unit, const char *text, GError **error)
{
	g_autofree char *scattered = km_scatter_data(text);
	g_autofree char *reading = km_read_constants(scattered, job->kernel->arch);
	gboolean test = unit->module_path || unit->tests_keys;
	g_autofree char *testing = test ? km_test_keys(reading, job->kernel->arch) : g_steal_pointer(&reading);
	return job->kernel->arch->call_nops ? leave_room(job, unit, testing, error) : g_steal_pointer(&testing);
}

static gboolean assemble_sectioned(Job *job, const KmUnit *unit, gboolean patched, const char *listing,
				   const char *object, GError **error)
{
	g_autofree char *apart = g_strconcat(listing, ".apart.s", NULL);
	return rewrite(job, unit, listing, apart, take_apart, error) &&
	       assemble(job, unit, patched, apart, object, error);
}

static gboolean make_empty(const Job *job, const KmUnit *unit, GError **error)
{
	g_autofree char *path = empty_path(job, unit);
	return !unit->is_new || (make_parent(path, error) && km_write_file(path, "", 0, error));
}

static gboolean list_original(Job *job, const KmUnit *unit, GError **error)
{
	g_autofree char *listing = output_path(job, "original", unit, ".s");
	return make_parent(listing, error) && make_empty(job, unit, error) &&
	       compile(job, unit, FALSE, "-S", listing, error);
}

static gboolean assemble_original(Job *job, KmUnit *unit, GError **error)
{
	g_autofree char *listing = output_path(job, "original", unit, ".s");
	g_autofree char *plain_listing = output_path(job, "plain", unit, ".s");
	g_autofree char *original = output_path(job, "original", unit, ".o");
	g_autofree char *plain = output_path(job, "plain", unit, ".o");
	gboolean ok = make_parent(plain, error) && assemble_sectioned(job, unit, FALSE, listing, original, error) &&
		      (!job->separate || list_plain(job, unit, plain_listing, error)) &&
		      rewrite(job, unit, job->separate ? plain_listing : listing, plain_listing, fold, error) &&
		      assemble(job, unit, FALSE, plain_listing, plain, error);
	if (!ok)
		return FALSE;
	unit->original = g_steal_pointer(&original);
	unit->plain = g_steal_pointer(&plain);
	return TRUE;
}

static gboolean compile_original(Job *job, KmUnit *unit, GError **error)
{
	return list_original(job, unit, error) && assemble_original(job, unit, error);
}

/* A name with ".." leads through directories, which must be there in the overlay too. */
static gboolean make_way(const Job *job, const KmUnit *unit, GError **error)
{
	if (job->overlay->farm)
		return TRUE;
	g_autofree char *path = g_build_filename(job->overlay->dir, "compiled", unit->object, NULL);
	return make_parent(path, error);
}

/* A path in the source that the compiler says it read, or NULL for files elsewhere. Caller owns. */
static char *path_in_source(const KmOverlay *overlay, const char *full)
{
	g_autofree char *above = g_strconcat(overlay->source, "/", NULL);
	char *real = realpath(full, NULL);
	char *path = real && g_str_has_prefix(real, above) ? g_strdup(real + strlen(above)) : NULL;
	free(real);
	return path;
}

/* A touched file that the preprocessor took from the pristine source: its path in it, or NULL. Caller owns. */
static char *unpatched_file(const KmOverlay *overlay, const char *cwd, const char *rule)
{
	g_auto(GStrv) words = g_strsplit_set(rule, " \\\n", -1);
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) touched = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < overlay->files->len; i++) {
		const char *path = ((const KmTouched *)overlay->files->pdata[i])->path;
		g_hash_table_add(touched, (char *)path);
		g_hash_table_add(names, g_path_get_basename(path));
	}
	for (char **word = words; *word; word++) {
		/* As it is: behind a link to a directory ".." leads elsewhere than the text of the path says. */
		g_autofree char *full =
			g_path_is_absolute(*word) ? g_strdup(*word) : g_build_filename(cwd, *word, NULL);
		g_autofree char *name = g_path_get_basename(full);
		/* Following links costs more than all else; only links have other names than what they lead to. */
		if (!g_hash_table_contains(names, name) && !g_file_test(full, G_FILE_TEST_IS_SYMLINK))
			continue;
		g_autofree char *path = path_in_source(overlay, full);
		if (path && g_hash_table_contains(touched, path))
			return g_steal_pointer(&path);
	}
	return NULL;
}

/*
 * Files beside an out-of-tree source are not in the farm, and may lead back into the pristine source by "..": then half of a patch
 * would be missing.
 */
static gboolean check_farm_used(Job *job, const KmUnit *unit, GError **error)
{
	static const char *const flags[] = { "-M", "-MT", "unit", NULL };
	if (!unit->external || !is_in_farm(job, TRUE))
		return TRUE;
	g_autofree char *output = output_path(job, "patched", unit, ".d"), *rule = NULL, *path = NULL;
	g_autoptr(GError) local = NULL;
	if (!compile_with(job, unit, TRUE, flags, output, error))
		return FALSE;
	if (!g_file_get_contents(output, &rule, NULL, &local))
		return km_fail(error, "cannot read %s: %s", output, local->message);
	const char *cwd = unit_cwd(job, unit, TRUE);
	path = unpatched_file(job->overlay, cwd, rule);
	if (!path && job->overlay->below)
		path = unpatched_file(job->overlay->below, cwd, rule);
	return !path ||
	       km_refuse(error,
			 "%s includes %s, which the patch changes, by way of a file outside %s: kmend cannot follow it "
			 "there; give the directory above as the source",
			 unit->source, path, job->overlay->source);
}

static gboolean list_patched(Job *job, const KmUnit *unit, GError **error)
{
	g_autofree char *listing = output_path(job, "patched", unit, ".s");
	return make_parent(listing, error) && make_way(job, unit, error) && check_farm_used(job, unit, error) &&
	       compile(job, unit, TRUE, "-S", listing, error);
}

static gboolean assemble_patched(Job *job, KmUnit *unit, GError **error)
{
	g_autofree char *patched = output_path(job, "patched", unit, ".o");
	g_autofree char *listing = output_path(job, "patched", unit, ".s");
	if (!assemble_sectioned(job, unit, TRUE, listing, patched, error))
		return FALSE;
	unit->patched = g_steal_pointer(&patched);
	if (job->reports_clones && unit->want_clones)
		unit->clones = output_path(job, "patched", unit, ".clones");
	return TRUE;
}

static gboolean compile_patched(Job *job, KmUnit *unit, GError **error)
{
	return list_patched(job, unit, error) && assemble_patched(job, unit, error);
}

static gboolean has_failed(Job *job)
{
	g_mutex_lock(&job->mutex);
	gboolean failed = job->error != NULL;
	g_mutex_unlock(&job->mutex);
	return failed;
}

static void run_task(gpointer data, gpointer unused)
{
	g_autofree Task *task = data;
	Job *job = task->job;
	if (has_failed(job))
		return;
	g_autoptr(GError) local = NULL;
	gboolean ok =
		task->patched ? compile_patched(job, task->unit, &local) : compile_original(job, task->unit, &local);
	g_mutex_lock(&job->mutex);
	guint done = ++job->done;
	/* Where both sides fail it is not the patch's fault, whichever failed first. */
	if (!ok && (!job->error || (job->patch_blamed && !task->patched))) {
		g_clear_error(&job->error);
		job->error = g_steal_pointer(&local);
		job->patch_blamed = task->patched;
	}
	g_mutex_unlock(&job->mutex);
	km_progress_set(job->progress, "compiling: %u of %u (%s)", done, job->total, task->unit->source);
}

static gboolean run_tasks(Job *job, GPtrArray *units, guint jobs, GError **error)
{
	g_autoptr(GError) local = NULL;
	GThreadPool *pool = g_thread_pool_new(run_task, NULL, (gint)jobs, FALSE, &local);
	if (!pool)
		return km_fail(error, "cannot start threads: %s", local->message);
	for (guint i = 0; i < 2 * units->len; i++) {
		Task *task = g_new0(Task, 1);
		*task = (Task){ .job = job, .unit = units->pdata[i / 2], .patched = i % 2 };
		g_thread_pool_push(pool, task, NULL);
	}
	g_thread_pool_free(pool, FALSE, TRUE);
	return TRUE;
}

/* Some flags only gcc has. */
static gboolean has_flag(const Job *job, const KmUnit *unit, const char *flag)
{
	const char *argv[] = { unit->argv[0], flag, "-fsyntax-only", "-x", "c", "/dev/null", NULL };
	KmRunOptions options = { .env = (const char *const *)job->env, .clear_env = TRUE, .merge_stderr = TRUE };
	g_autoptr(KmRunResult) result = km_run(argv, &options, NULL);
	return result && result->status == 0;
}

/* Options of its own, or -fsection-anchors: does the compiler, as kbuild calls it, lead to several variables from one place? It tells by what it makes of two. */
static gboolean needs_other_code(const Job *job, const KmUnit *unit)
{
	static const char text[] = "static int one, two;\n"
				   "int kmend_probe(int x);\n"
				   "int kmend_probe(int x) { one += x; two -= one; return two; }\n";
	g_autofree char *source = g_build_filename(job->dir, "anchors.c", NULL);
	if (job->kernel->arch->apart_options)
		return TRUE;
	if (!g_file_set_contents(source, text, -1, NULL))
		return FALSE;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	for (char **word = unit->argv; *word; word++)
		g_ptr_array_add(argv, *word);
	const char *const more[] = { "-g0", "-S", "-o", "-", source, NULL };
	for (const char *const *word = more; *word; word++)
		g_ptr_array_add(argv, (gpointer)*word);
	g_ptr_array_add(argv, NULL);
	KmRunOptions options = { .cwd = unit->cwd, .env = (const char *const *)job->env, .clear_env = TRUE };
	g_autoptr(KmRunResult) result = km_run((const char *const *)argv->pdata, &options, NULL);
	g_unlink(source);
	return result && result->status == 0 && strstr(result->output, "LANCHOR");
}

/* ---- one unit at a time ---- */

KmCompiler *km_compiler_new(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *sample, const char *dir,
			    KmProgress *progress, GError **error)
{
	g_autofree char *headers = g_build_filename(dir, "include", NULL);
	if (!km_headers_write(headers, error))
		return NULL;
	KmCompiler *c = g_new0(KmCompiler, 1);
	*c = (KmCompiler){ .kernel = kernel, .overlay = overlay, .dir = g_strdup(dir), .progress = progress };
	c->env = km_tool_env();
	c->generated = g_hash_table_new(g_str_hash, g_str_equal);
	c->reports_clones = sample->want_clones && has_flag(c, sample, CLONES);
	c->quick_text = has_flag(c, sample, QUICK_TEXT);
	c->separate = needs_other_code(c, sample);
	g_mutex_init(&c->mutex);
	return c;
}

void km_compiler_free(KmCompiler *c)
{
	if (!c)
		return;
	g_mutex_clear(&c->mutex);
	g_hash_table_unref(c->generated);
	g_strfreev(c->env);
	g_free((char *)c->dir);
	g_free(c);
}

/* Listings hold all that the assembler gets, and the files it takes in by itself (.incbin) are the same for both. */
static gboolean same_listings(const Job *job, const KmUnit *unit)
{
	g_autofree char *one = output_path(job, "original", unit, ".s");
	g_autofree char *two = output_path(job, "patched", unit, ".s");
	g_autofree char *original = NULL, *patched = NULL;
	gsize size_one, size_two;
	return g_file_get_contents(one, &original, &size_one, NULL) &&
	       g_file_get_contents(two, &patched, &size_two, NULL) && size_one == size_two &&
	       !memcmp(original, patched, size_one);
}

gboolean km_compiler_unit(KmCompiler *c, KmUnit *unit, GError **error)
{
	g_autoptr(GError) of_patch = NULL;
	g_free(unit->dir);
	unit->dir = g_strdup(c->dir);
	/* Where both sides fail it is not the patch's fault. */
	gboolean patched = list_patched(c, unit, &of_patch);
	if (!list_original(c, unit, error))
		return FALSE;
	if (!patched) {
		g_propagate_error(error, g_steal_pointer(&of_patch));
		return FALSE;
	}
	return same_listings(c, unit) || (assemble_original(c, unit, error) && assemble_patched(c, unit, error));
}

static char *make_listing(KmCompiler *c, const KmUnit *unit, gboolean patched, const char *mode, GError **error)
{
	g_autofree char *path =
		output_path(c, patched ? "patched" : "original", unit, strcmp(mode, "-E") ? ".s" : ".i");
	g_autoptr(GError) local = NULL;
	char *content = NULL;
	if (!make_parent(path, error) || (patched && !make_way(c, unit, error)) ||
	    !make_text(c, unit, patched, error) || (patched && !check_farm_used(c, unit, error)) ||
	    !compile(c, unit, patched, mode, path, error))
		return NULL;
	gboolean ok = g_file_get_contents(path, &content, NULL, &local);
	g_unlink(path);
	return ok ? content : km_fail_null(error, "cannot read %s: %s", path, local->message);
}

/*
 * What the patch adds or takes away can be missed or met without being read: by __has_include, or as the name of another file that a
 * search path would lead to.
 */
static gboolean only_changes_files(const KmOverlay *overlay)
{
	for (guint i = 0; i < overlay->files->len; i++) {
		const KmTouched *touched = overlay->files->pdata[i];
		if (!touched->is_makefile && (touched->is_new || touched->is_deleted))
			return FALSE;
	}
	return TRUE;
}

gboolean km_compiler_reads_touched(KmCompiler *c, const KmUnit *unit)
{
	static const char *const flags[] = { "-g0", "-M", "-MT", "unit", NULL };
	if (unit->external || unit->text_only || unit->is_new || c->overlay->below || !only_changes_files(c->overlay))
		return TRUE;
	g_autofree char *output = output_path(c, "original", unit, ".d"), *rule = NULL, *path = NULL;
	gboolean known = make_parent(output, NULL) && compile_with(c, unit, FALSE, flags, output, NULL) &&
			 g_file_get_contents(output, &rule, NULL, NULL);
	g_unlink(output);
	/* The unit's own file stands in it, or this is no list of what was read. */
	if (!known || !strstr(rule, unit->source))
		return TRUE;
	path = unpatched_file(c->overlay, unit_cwd(c, unit, FALSE), rule);
	return path != NULL;
}

char *km_compiler_preprocess(KmCompiler *c, const KmUnit *unit, gboolean patched, GError **error)
{
	return make_listing(c, unit, patched, "-E", error);
}

char *km_compiler_list(KmCompiler *c, const KmUnit *unit, gboolean patched, GError **error)
{
	return make_listing(c, unit, patched, "-S", error);
}

void km_compiler_forget(const KmCompiler *c, KmUnit *unit)
{
	static const char *const kinds[] = { "original", "plain", "patched" };
	static const char *const endings[] = { ".o", ".s", ".clones", ".s.apart.s" };
	for (gsize k = 0; k < G_N_ELEMENTS(kinds); k++)
		for (gsize e = 0; e < G_N_ELEMENTS(endings); e++) {
			g_autofree char *path = output_path(c, kinds[k], unit, endings[e]);
			g_unlink(path);
		}
	g_clear_pointer(&unit->original, g_free);
	g_clear_pointer(&unit->plain, g_free);
	g_clear_pointer(&unit->patched, g_free);
	g_clear_pointer(&unit->clones, g_free);
}

/* ---- all of a list of units ---- */

gboolean km_units_compile(KmKernel *kernel, const KmOverlay *overlay, GPtrArray *units, const char *dir, guint jobs,
			  KmProgress *progress, GError **error)
{
	g_autofree char *headers = g_build_filename(dir, "include", NULL);
	if (!km_headers_write(headers, error))
		return FALSE;
	g_autoptr(GHashTable) generated = g_hash_table_new(g_str_hash, g_str_equal);
	g_auto(GStrv) env = km_tool_env();
	Job job = { .kernel = kernel, .overlay = overlay, .dir = dir, .env = env, .progress = progress };
	job.total = 2 * units->len;
	job.generated = generated;
	const KmUnit *first = units->len ? units->pdata[0] : NULL;
	job.reports_clones = first && first->want_clones && has_flag(&job, first, CLONES);
	job.separate = first && needs_other_code(&job, first);
	for (guint i = 0; i < units->len; i++) {
		KmUnit *unit = units->pdata[i];
		g_free(unit->dir);
		unit->dir = g_strdup(dir);
	}
	g_mutex_init(&job.mutex);
	gboolean started = run_tasks(&job, units, jobs ? jobs : g_get_num_processors(), error);
	g_mutex_clear(&job.mutex);
	if (job.error)
		g_propagate_error(error, job.error);
	return started && !job.error;
}

gboolean km_unit_compile_as(KmKernel *kernel, const KmOverlay *overlay, const KmUnit *unit, gboolean patched,
			    const char *const *flags, const char *output, GError **error)
{
	g_autoptr(GHashTable) generated = g_hash_table_new(g_str_hash, g_str_equal);
	g_auto(GStrv) env = km_tool_env();
	Job job = { .kernel = kernel, .overlay = overlay, .dir = unit->dir, .env = env, .generated = generated };
	g_mutex_init(&job.mutex);
	gboolean ok = compile_with(&job, unit, patched, flags, output, error);
	g_mutex_clear(&job.mutex);
	return ok;
}
