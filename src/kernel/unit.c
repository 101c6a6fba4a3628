/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/elsewhere.h"
#include "kernel/external.h"
#include "kernel/farm.h"
#include "kernel/kbuild.h"
#include "kernel/lists.h"
#include "kernel/makefile.h"
#include "kernel/narrow.h"
#include "kernel/reach.h"
#include "kernel/watched.h"

/* A file that is included by one that is included ... : more than this is a loop. */
#define MAX_INCLUDE_DEPTH 4

void km_unit_free(KmUnit *unit)
{
	if (!unit)
		return;
	g_free(unit->source);
	g_free(unit->object);
	g_free(unit->owner);
	g_free(unit->module_path);
	g_strfreev(unit->argv);
	g_free(unit->cwd);
	g_free(unit->dir);
	g_free(unit->original);
	g_free(unit->plain);
	g_free(unit->patched);
	g_free(unit->clones);
	g_free(unit->unpatchable);
	g_free(unit->generated);
	g_free(unit);
}

char *km_unit_source_name(const KmUnit *unit)
{
	if (unit->text_only)
		return g_strdup(unit->source);
	return g_strdup_printf("%.*s.c", (int)(strlen(unit->object) - strlen(".o")), unit->object);
}

static char *object_of(const char *source)
{
	return g_strdup_printf("%.*s.o", (int)(strlen(source) - strlen(".c")), source);
}

/* Does this text, a file of dir, hold #include "..." of path? */
static gboolean includes_file(const char *text, const char *dir, const char *path)
{
	g_autofree char *base = g_path_get_basename(path);
	g_autofree char *ending = g_strconcat(base, "\"", NULL);
	for (const char *p = strstr(text, ending); p; p = strstr(p + 1, ending)) {
		const char *line = p;
		while (line > text && line[-1] != '\n')
			line--;
		line += strspn(line, " \t");
		if (*line != '#')
			continue;
		line += 1 + strspn(line + 1, " \t");
		if (!g_str_has_prefix(line, "include"))
			continue;
		const char *open = line + strcspn(line, "\"\n");
		if (*open != '"' || open >= p + strlen(base))
			continue;
		g_autofree char *name = g_strndup(open + 1, (gsize)(p - open - 1) + strlen(base));
		g_autofree char *target = km_tree_path(dir, name);
		if (target && !strcmp(target, path))
			return TRUE;
	}
	return FALSE;
}

/* The .c files directly in dir that include path; added to found with their depth. */
static void scan_dir(const char *tree, const char *dir, const char *path, GPtrArray *found)
{
	g_autofree char *full = g_build_filename(tree, dir, NULL);
	g_autoptr(GDir) open = g_dir_open(full, 0, NULL);
	const char *name;
	while (open && (name = g_dir_read_name(open))) {
		g_autofree char *file = g_build_filename(full, name, NULL);
		g_autofree char *text = NULL;
		if (!g_str_has_suffix(name, ".c") || !g_file_get_contents(file, &text, NULL, NULL))
			continue;
		g_autofree char *includer = km_tree_path(dir, name);
		if (!includes_file(text, dir, path) ||
		    g_ptr_array_find_with_equal_func(found, includer, g_str_equal, NULL))
			continue;
		g_ptr_array_add(found, g_steal_pointer(&includer));
	}
}

/* All .c files of the same and the parent directory that include path, directly or through each other. Array of char*. */
static GPtrArray *find_includers(const char *tree, const char *path)
{
	GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
	guint done = 0;
	g_autofree char *current = g_strdup(path);
	for (guint depth = 0; depth < MAX_INCLUDE_DEPTH; depth++) {
		g_autofree char *dir = g_path_get_dirname(current);
		g_autofree char *parent = g_path_get_dirname(dir);
		scan_dir(tree, dir, current, found);
		if (strcmp(dir, "."))
			scan_dir(tree, parent, current, found);
		if (done >= found->len)
			break;
		g_free(current);
		current = g_strdup(found->pdata[done++]);
	}
	return found;
}

typedef struct {
	KmKernel *kernel;
	const KmOverlay *overlay;
	KmKbuild *kbuild;
	KmKbuild *farm; /* kbuild over the patched makefiles; NULL without a farm */
	gboolean external; /* an out-of-tree source */
	const KmElsewhere *elsewhere;
	GHashTable *recipes; /* object -> KmRecipe, not owned */
	GPtrArray *units;
} Search;

/* The names kbuild may know the object of this source by: its own path, and those of makefiles elsewhere. NULL-ended. */
static char **object_names(const KmElsewhere *elsewhere, const char *source)
{
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();
	g_autofree char *object = object_of(source);
	g_strv_builder_add(names, object);
	const char *const *others = km_elsewhere_names(elsewhere, object);
	if (others)
		g_strv_builder_addv(names, (const char **)others);
	return g_strv_builder_end(names);
}

/* Does its object go into the kernel or a module? Outside the tree, what is on the kernel's list goes into nothing. */
static gboolean is_built(const Search *search, const KmRecipe *recipe)
{
	return recipe->module || (recipe->builtin && !search->external);
}

/* Those recipes of this source whose object really goes into something. Not owned. */
static GPtrArray *built_recipes(const Search *search, const char *source)
{
	GPtrArray *built = g_ptr_array_new();
	g_auto(GStrv) names = object_names(search->elsewhere, source);
	for (char **name = names; *name; name++) {
		KmRecipe *recipe = g_hash_table_lookup(search->recipes, *name);
		if (recipe && is_built(search, recipe))
			g_ptr_array_add(built, recipe);
	}
	return built;
}

/* The object must be made of this very file of the pristine tree, not of a generated one of the same name. */
static gboolean check_source(const Search *search, const KmUnit *unit, const KmRecipe *recipe, GError **error)
{
	g_autofree char *named = km_unit_source_name(unit);
	gboolean in_farm = unit->is_new && !search->external;
	const char *tree = in_farm ? search->farm->source : search->overlay->source;
	g_autofree char *full = g_build_filename(tree, named, NULL);
	gboolean in_tree = !strcmp(tree, in_farm ? search->farm->build : unit->cwd);
	const char *told = g_str_has_prefix(recipe->source, "./") ? recipe->source + 2 : recipe->source;
	if (!strcmp(told, full) || (in_tree && !strcmp(told, named)))
		return TRUE;
	return km_refuse(error, "%s: kbuild makes %s of %s instead", unit->source, recipe->object, recipe->source);
}

static gboolean refuse_module(const Search *search, const KmUnit *unit, GError **error)
{
	if (search->external && unit->is_new)
		return km_refuse(
			error,
			"%s is a new file of the module %s: give its file with --oot-module; a module that only the "
			"patched source makes needs no live patch: build it and load it",
			unit->source, unit->owner);
	if (search->external)
		return km_refuse(error, "%s is part of the module %s: give its file with --oot-module", unit->source,
				 unit->owner);
	return km_refuse(error, "%s is part of the module %s, which is not among the modules of kernel %s (%s)",
			 unit->source, unit->owner, search->kernel->name,
			 search->kernel->modules ? search->kernel->modules : "none given");
}

/* The module that unit->owner names: an out-of-tree source's must be given, the kernel's own must not be replaced by one. */
static gboolean find_module(KmUnit *unit, const Search *search, GError **error)
{
	gboolean outside = km_kernel_is_outside(search->kernel, unit->owner);
	if (search->external && !outside)
		return refuse_module(search, unit, error);
	if (!search->external && outside)
		return km_refuse(
			error,
			"%s: the module %s was given as out-of-tree, so it is not made of the kernel's own source",
			unit->source, unit->owner);
	unit->module_path = km_kernel_module_path(search->kernel, unit->owner);
	return unit->module_path || refuse_module(search, unit, error);
}

/*
 * A unit whose own file is untouched but which includes a touched one: compiled from a copy beside the patched file, so that
 * its #include "..." finds that one first.
 */
static gboolean copy_includer(const Search *search, const char *source, GError **error)
{
	g_autofree char *copy = g_build_filename(search->overlay->dir, "compiled", source, NULL);
	if (g_file_test(copy, G_FILE_TEST_EXISTS))
		return TRUE;
	g_autofree char *pristine = g_build_filename(search->overlay->source, source, NULL);
	g_autofree char *dir = g_path_get_dirname(copy);
	g_autofree char *text = NULL;
	g_autoptr(GError) local = NULL;
	if (!g_file_get_contents(pristine, &text, NULL, &local))
		return km_fail(error, "cannot read %s: %s", pristine, local->message);
	g_autofree char *kept = km_lines_keep(text, text, pristine, error);
	if (!kept || !km_make_dirs(dir, error))
		return FALSE;
	return g_file_set_contents(copy, kept, -1, &local) ||
	       km_fail(error, "cannot write %s: %s", copy, local->message);
}

/* A touched file of another directory than its includer's: its own #include "x.h" must still find that directory's headers. */
static gboolean link_headers(const Search *search, const char *path, GError **error)
{
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *from = g_build_filename(search->overlay->source, dir, NULL);
	g_autofree char *to = g_build_filename(search->overlay->dir, "compiled", dir, NULL);
	g_autoptr(GDir) open = g_dir_open(from, 0, NULL);
	const char *name;
	while (open && (name = g_dir_read_name(open))) {
		g_autofree char *target = g_build_filename(from, name, NULL);
		g_autofree char *link = g_build_filename(to, name, NULL);
		if (g_str_has_suffix(name, ".h") && symlink(target, link) && errno != EEXIST)
			return km_fail(error, "cannot write %s: %s", link, g_strerror(errno));
	}
	return TRUE;
}

static gboolean has_unit(const Search *search, const char *object)
{
	for (guint i = 0; i < search->units->len; i++)
		if (!strcmp(((const KmUnit *)search->units->pdata[i])->object, object))
			return TRUE;
	return FALSE;
}

static gboolean is_touched(const Search *search, const char *source)
{
	for (guint i = 0; i < search->overlay->files->len; i++)
		if (!strcmp(((const KmTouched *)search->overlay->files->pdata[i])->path, source))
			return TRUE;
	return FALSE;
}

/*
 * __FILE__ of an out-of-tree source is an absolute path: the one under which the module was compiled, as far as the module tells.
 * Without that a path in the source: where the source lies here must not be seen in a live patch.
 */
static gboolean map_external(KmUnit *unit, const Search *search, GError **error)
{
	g_autoptr(GError) local = NULL;
	g_autofree char *built_at = km_external_built_at(unit->module_path, unit->source, &local);
	if (local) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	g_autofree char *map =
		g_strdup_printf("-fmacro-prefix-map=%s/=%s", search->overlay->source, built_at ? built_at : "");
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_strv_builder_addv(argv, (const char **)unit->argv);
	g_strv_builder_add(argv, map);
	g_strfreev(unit->argv);
	unit->argv = g_strv_builder_end(argv);
	return TRUE;
}

/* A source that the tree has under another name, for kbuild to copy. */
static gboolean is_shipped(const Search *search, const KmUnit *unit)
{
	g_autofree char *shipped = g_strconcat(search->overlay->source, "/", unit->source, "_shipped", NULL);
	return g_file_test(shipped, G_FILE_TEST_EXISTS);
}

/* There is no such file in the tree, nor anything to copy it from. */
static gboolean is_generated(const Search *search, const KmUnit *unit, const KmRecipe *recipe)
{
	g_autofree char *path = g_build_filename(search->overlay->source, unit->source, NULL);
	return !unit->text_only && !g_path_is_absolute(recipe->source) && !g_file_test(path, G_FILE_TEST_EXISTS);
}

/* The unit of this source that goes into owner. */
static gboolean add_unit(Search *search, const KmRecipe *recipe, const char *source, const char *owner, gboolean shared,
			 gboolean is_new, GError **error)
{
	g_autoptr(KmUnit) unit = g_new0(KmUnit, 1);
	unit->source = g_strdup(source);
	unit->object = g_strdup(recipe->object);
	unit->argv = km_recipe_flags(recipe);
	unit->cwd = km_kbuild_compiler_dir(search->kbuild);
	unit->owner = g_strdelimit(g_strdup(owner), "-", '_');
	unit->external = search->external;
	unit->shared = shared;
	unit->is_new = is_new;
	unit->reached = !is_touched(search, source);
	g_autoptr(GError) local = NULL;
	if (!check_source(search, unit, recipe, &local) ||
	    (strcmp(owner, "vmlinux") && !find_module(unit, search, &local))) {
		/* Only reached by a header: nothing is lost as long as it stays the same. */
		if (!unit->reached || unit->external) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		unit->unpatchable = g_strdup(local->message);
		unit->text_only = is_shipped(search, unit);
		unit->generated = is_generated(search, unit, recipe) ? g_strdup(recipe->source) : NULL;
	}
	if (unit->external && !map_external(unit, search, error))
		return FALSE;
	g_ptr_array_add(search->units, g_steal_pointer(&unit));
	return TRUE;
}

/* kbuild compiles an object once for all modules it is linked into; in each of them it is code of its own. */
static gboolean add_recipe(Search *search, const KmRecipe *recipe, const char *source, gboolean is_new, GError **error)
{
	if (has_unit(search, recipe->object))
		return TRUE;
	if (recipe->builtin)
		return add_unit(search, recipe, source, "vmlinux", FALSE, is_new, error);
	g_auto(GStrv) modules = g_strsplit_set(recipe->modules, " \t", -1);
	guint count = 0;
	for (char **module = modules; *module; module++)
		count += **module != '\0';
	if (count < 2)
		return add_unit(search, recipe, source, recipe->modname, FALSE, is_new, error);
	for (char **module = modules; *module; module++)
		if (**module && !add_unit(search, recipe, source, *module, TRUE, is_new, error))
			return FALSE;
	return TRUE;
}

/* All units of one source; *any is set when there is one. */
static gboolean add_units(Search *search, const char *source, gboolean *any, GError **error)
{
	g_autoptr(GPtrArray) recipes = built_recipes(search, source);
	for (guint i = 0; i < recipes->len; i++)
		if (!add_recipe(search, recipes->pdata[i], source, FALSE, error))
			return FALSE;
	*any |= recipes->len > 0;
	return TRUE;
}

/* The kernel's tree, and what is known of it from earlier. memory: freed by the caller after use. */
static KmReachTree kernel_tree(const KmKernel *kernel, const KmKbuild *kbuild, char **memory)
{
	*memory = g_build_filename(kernel->work, "includes", NULL);
	return (KmReachTree){
		.source = kbuild->source, .build = kbuild->build, .arch = kernel->arch->kbuild, .memory = *memory
	};
}

/* Does any file of the tree include it, however far away? In doubt yes. */
static gboolean is_included(const Search *search, const KmTouched *touched)
{
	const char *const paths[] = { touched->path, NULL };
	g_autofree char *memory = NULL;
	const KmReachTree tree = kernel_tree(search->kernel, search->kbuild, &memory);
	KmReach *reach = km_reach(&tree, paths, 0, NULL);
	gboolean included = !reach || reach->others->len;
	for (guint i = 0; reach && i < reach->sources->len; i++)
		included |= strcmp(reach->sources->pdata[i], touched->path) != 0;
	km_reach_free(reach);
	return included;
}

static char *say_unbuilt(const Search *search, const KmTouched *touched)
{
	if (search->external)
		return g_strdup_printf("%s goes into no module that %s makes for this kernel", touched->path,
				       search->overlay->source);
	g_autofree char *options = km_makefile_options(search->kernel, touched->path);
	if (options)
		return g_strdup_printf("%s is not built in this kernel's configuration: it needs %s, which is not set",
				       touched->path, options);
	return g_strdup_printf("%s is not compiled into this kernel or any of its modules", touched->path);
}

static gboolean refuse_unbuilt(const KmTouched *touched, const char *why, GError **error)
{
	return km_refuse(error, "%s: %s; take it out of the patch", touched->patch, why);
}

/* Fixes are written for all configurations: what this kernel does not have needs none, and does not stand in the way of the rest. */
static gboolean leave_out(const Search *search, KmTouched *touched, GError **error)
{
	g_autofree char *why = say_unbuilt(search, touched);
	if (search->external || is_included(search, touched))
		return refuse_unbuilt(touched, why, error);
	touched->unbuilt = g_steal_pointer(&why);
	return TRUE;
}

/* The kernel's tree has programs of their own beside it. */
static gboolean is_tool(const Search *search, const KmTouched *touched)
{
	return !search->external && g_str_has_prefix(touched->path, "tools/");
}

/* The units that one touched file makes us compile: its own, and those that include it. */
static gboolean add_touched(Search *search, KmTouched *touched, GPtrArray *includers, GError **error)
{
	gboolean covered = FALSE;
	if (!touched->is_source || touched->is_new)
		return TRUE;
	if (!add_units(search, touched->path, &covered, error))
		return FALSE;
	g_autofree char *dir = g_path_get_dirname(touched->path);
	for (guint i = 0; i < includers->len; i++) {
		const char *includer = includers->pdata[i];
		g_autofree char *includer_dir = g_path_get_dirname(includer);
		/* Even one that is built only as part of a third must be found beside the patched file. */
		if (!search->farm && !copy_includer(search, includer, error))
			return FALSE;
		if (!search->farm && strcmp(dir, includer_dir) && !link_headers(search, touched->path, error))
			return FALSE;
		if (!add_units(search, includer, &covered, error))
			return FALSE;
	}
	if (covered && touched->is_deleted)
		return km_refuse(
			error,
			"%s: %s is deleted, and the running kernel has its code: a live patch cannot take a file "
			"out; leave it in",
			touched->patch, touched->path);
	return covered || touched->is_deleted || is_tool(search, touched) || leave_out(search, touched, error);
}

static void add_object_names(const Search *search, GStrvBuilder *objects, const char *source)
{
	g_auto(GStrv) names = object_names(search->elsewhere, source);
	g_strv_builder_addv(objects, (const char **)names);
}

/* A header in which only comments and white space change: the lines keep their numbers. */
static gboolean is_same_to_compiler(const KmOverlay *overlay, const KmTouched *touched)
{
	g_autofree char *path = g_build_filename(overlay->source, touched->path, NULL);
	g_autofree char *original = NULL, *patched = NULL;
	return !touched->is_source && !touched->is_new && !touched->is_deleted &&
	       g_file_get_contents(path, &original, NULL, NULL) &&
	       g_file_get_contents(touched->patched, &patched, NULL, NULL) && km_narrow_source(original, patched);
}

/* What of a tree can include these files of it. */
static KmReach *reach_in(const Search *search, const KmOverlay *overlay, GPtrArray *paths, GError **error)
{
	g_autofree char *patched = g_build_filename(overlay->dir, "patched", NULL), *memory = NULL;
	KmReachTree tree = { .source = overlay->source, .outside = TRUE };
	if (!overlay->outside)
		tree = kernel_tree(search->kernel, search->kbuild, &memory);
	tree.patched = patched;
	g_ptr_array_add(paths, NULL);
	return km_reach(&tree, (const char *const *)paths->pdata, 0, error);
}

static GPtrArray *paths_to_reach(const KmOverlay *overlay)
{
	GPtrArray *paths = g_ptr_array_new();
	for (guint i = 0; i < overlay->files->len; i++) {
		const KmTouched *touched = overlay->files->pdata[i];
		if (!touched->is_makefile && !is_same_to_compiler(overlay, touched))
			g_ptr_array_add(paths, touched->path);
	}
	return paths;
}

/*
 * The sources that headers of the patch can reach, and those of the patch; NULL in *sources where no farm is wanted. An out-of-tree source
 * is also reached by what the kernel's touched headers reach.
 */
static gboolean find_reached(const Search *search, KmReach **reach, GError **error)
{
	const KmOverlay *below = search->overlay->below;
	KmReach *kernel = NULL;
	*reach = NULL;
	if (!search->farm)
		return TRUE;
	g_autoptr(GPtrArray) paths = paths_to_reach(search->overlay);
	g_autoptr(GPtrArray) deeper = below ? paths_to_reach(below) : g_ptr_array_new();
	if (deeper->len && !(kernel = reach_in(search, below, deeper, error)))
		return FALSE;
	for (guint i = 0; kernel && i < kernel->headers->len; i++)
		g_ptr_array_add(paths, kernel->headers->pdata[i]);
	gboolean ok = !paths->len || (*reach = reach_in(search, search->overlay, paths, error));
	km_reach_free(kernel);
	return ok;
}

static GPtrArray *ask_recipes(const Search *search, GPtrArray *includers, const KmReach *reach, GError **error)
{
	g_autoptr(GStrvBuilder) objects = g_strv_builder_new();
	for (guint i = 0; i < search->overlay->files->len; i++) {
		const KmTouched *touched = search->overlay->files->pdata[i];
		if (touched->is_source && !touched->is_new)
			add_object_names(search, objects, touched->path);
		GPtrArray *list = includers->pdata[i];
		for (guint k = 0; k < list->len; k++)
			add_object_names(search, objects, list->pdata[k]);
	}
	for (guint i = 0; reach && i < reach->sources->len; i++)
		add_object_names(search, objects, reach->sources->pdata[i]);
	g_auto(GStrv) names = g_strv_builder_end(objects);
	return km_kbuild_recipes(search->kbuild, (const char *const *)names, error);
}

/* kbuild's recipe for an object that only the patched tree has. */
static gboolean add_new_unit(Search *search, const char *object, const char *source, gboolean *any, GError **error)
{
	const char *const names[] = { object, NULL };
	g_autoptr(GPtrArray) recipes = km_kbuild_recipes(search->farm, names, error);
	if (!recipes)
		return FALSE;
	for (guint i = 0; i < recipes->len; i++) {
		KmRecipe *recipe = recipes->pdata[i];
		if (!is_built(search, recipe))
			continue;
		if (!add_recipe(search, recipe, source, TRUE, error))
			return FALSE;
		*any = TRUE;
	}
	return TRUE;
}

/* Units are said in words of the pristine tree. */
static void map_new_units(const Search *search)
{
	for (guint i = 0; i < search->units->len; i++) {
		KmUnit *unit = search->units->pdata[i];
		if (!unit->is_new)
			continue;
		char **argv = km_farm_map_command(unit->argv, search->farm->source, search->kbuild->source);
		g_strfreev(unit->argv);
		unit->argv = argv;
	}
}

/* Objects that a makefile of the patch adds. */
static gboolean add_listed(Search *search, const KmTouched *makefile, GError **error)
{
	g_autoptr(GPtrArray) added = km_lists_added(search->kbuild, search->farm, makefile, error);
	for (guint i = 0; added && i < added->len; i++) {
		const char *object = added->pdata[i];
		g_autofree char *source = g_strdup_printf("%.*s.c", (int)(strlen(object) - strlen(".o")), object);
		g_autofree char *path = km_tree_path("", source);
		gboolean any = FALSE;
		if (!add_new_unit(search, object, path, &any, error))
			return FALSE;
		if (!any)
			return km_refuse(error,
					 "%s: %s lists %s, which is made of no C file: that cannot be live patched",
					 makefile->patch, makefile->path, object);
	}
	return added != NULL;
}

/* A new source becomes a unit, or is included by others. */
static gboolean check_new(const Search *search, KmTouched *touched, GError **error)
{
	for (guint i = 0; i < search->units->len; i++)
		if (!strcmp(((const KmUnit *)search->units->pdata[i])->source, touched->path))
			return TRUE;
	g_autoptr(GPtrArray) includers = find_includers(search->overlay->farm, touched->path);
	if (!touched->is_source || includers->len || is_tool(search, touched))
		return TRUE;
	if (search->external)
		return km_refuse(error,
				 "%s: %s is a new file that no module is made of: the patch must list it in a makefile "
				 "(MODULE-y += ...), and the module it goes into must be one that was given with "
				 "--oot-module",
				 touched->patch, touched->path);
	touched->unbuilt = g_strdup_printf(
		"%s is a new file that this kernel's configuration does not build: to be part of it, it must be listed "
		"in a makefile of the patch (obj-y += ...) and go into a module of this kernel",
		touched->path);
	return TRUE;
}

static gboolean add_all_new(Search *search, GError **error)
{
	const GPtrArray *files = search->overlay->files;
	for (guint i = 0; search->farm && i < files->len; i++)
		if (((const KmTouched *)files->pdata[i])->is_makefile && !add_listed(search, files->pdata[i], error))
			return FALSE;
	for (guint i = 0; i < files->len; i++) {
		KmTouched *touched = files->pdata[i];
		if (touched->is_new && !touched->is_deleted && !check_new(search, touched, error))
			return FALSE;
	}
	if (search->farm)
		map_new_units(search);
	return TRUE;
}

static void add_watched(Search *search, const char *path, const KmRecipe *sample)
{
	g_autofree char *object = g_strdup_printf("%.*s.o", (int)(strrchr(path, '.') - path), path);
	g_autofree char *cwd = km_kbuild_compiler_dir(search->kbuild);
	const KmRecipe *recipe = g_str_has_suffix(path, ".c") ? g_hash_table_lookup(search->recipes, object) : NULL;
	KmUnit *unit = km_watched_new(search->kernel, search->overlay, path, recipe, sample, cwd);
	if (unit)
		g_ptr_array_add(search->units, unit);
}

static gboolean add_all_watched(Search *search, const KmReach *reach, GError **error)
{
	const char *const probe[] = { KM_KBUILD_PROBE, NULL };
	if (!reach || search->external)
		return TRUE;
	g_autoptr(GPtrArray) samples = km_kbuild_recipes(search->kbuild, probe, error);
	if (!samples)
		return FALSE;
	for (guint i = 0; samples->len && i < reach->others->len; i++)
		add_watched(search, reach->others->pdata[i], samples->pdata[0]);
	for (guint i = 0; samples->len && i < reach->sources->len; i++) {
		g_autoptr(GPtrArray) recipes = built_recipes(search, reach->sources->pdata[i]);
		if (!recipes->len)
			add_watched(search, reach->sources->pdata[i], samples->pdata[0]);
	}
	return TRUE;
}

static gboolean add_reached(Search *search, const KmReach *reach, GError **error)
{
	gboolean any = FALSE;
	for (guint i = 0; reach && i < reach->sources->len; i++)
		if (!add_units(search, reach->sources->pdata[i], &any, error))
			return FALSE;
	return TRUE;
}

static gboolean check_any(const Search *search, GError **error)
{
	const KmTouched *first = search->overlay->files->len ? search->overlay->files->pdata[0] : NULL;
	/* Only the kernel's headers change, and nothing here includes them. */
	if (!first)
		return TRUE;
	for (guint i = 0; i < search->overlay->files->len && !search->units->len; i++) {
		const KmTouched *touched = search->overlay->files->pdata[i];
		if (touched->unbuilt)
			return refuse_unbuilt(touched, touched->unbuilt, error);
	}
	if (search->units->len)
		return TRUE;
	gboolean same = TRUE;
	for (guint i = 0; i < search->overlay->files->len; i++)
		same = same && is_same_to_compiler(search->overlay, search->overlay->files->pdata[i]);
	if (same) {
		g_set_error(error, KM_ERROR, KM_ERROR_UNCHANGED,
			    "nothing to patch: only comments and white space of headers change");
		return FALSE;
	}
	return km_refuse(error,
			 "%s: no unit that is built into this kernel or its modules includes %s%s; take it out of the "
			 "patch",
			 first->patch, first->path, search->overlay->files->len > 1 ? " or the other files" : "");
}

static gint compare_units(gconstpointer a, gconstpointer b)
{
	const KmUnit *one = *(const KmUnit *const *)a, *two = *(const KmUnit *const *)b;
	int order = strcmp(one->source, two->source);
	order = order ? order : strcmp(one->object, two->object);
	return order ? order : strcmp(one->owner, two->owner);
}

void km_units_prepare(KmKernel *kernel)
{
	g_autoptr(KmKbuild) kbuild = km_kbuild_new(kernel, NULL);
	KmElsewhere *elsewhere = kbuild ? km_elsewhere_new(kbuild, NULL) : NULL;
	g_clear_pointer(&elsewhere, g_hash_table_unref);
	if (!kbuild)
		return;
	const char *const nothing[] = { NULL };
	g_autofree char *memory = NULL;
	const KmReachTree tree = kernel_tree(kernel, kbuild, &memory);
	km_reach_free(km_reach(&tree, nothing, 0, NULL));
}

/* kbuild over the farm, when there is one. */
static gboolean open_farm(Search *search, GError **error)
{
	g_autofree char *dir = g_build_filename(search->overlay->dir, "kbuild", NULL);
	if (!search->overlay->farm)
		return TRUE;
	if (!km_make_dirs(dir, error))
		return FALSE;
	search->farm = search->external
			       ? km_external_over(search->kbuild, search->overlay->farm, dir)
			       : km_kbuild_over(search->kbuild, search->kbuild->source, search->overlay->farm, dir);
	return TRUE;
}

static gboolean add_all(Search *search, GError **error)
{
	const GPtrArray *files = search->overlay->files;
	g_autoptr(GPtrArray) includers = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
	KmReach *reach = NULL;
	for (guint i = 0; i < files->len; i++)
		g_ptr_array_add(includers,
				find_includers(search->overlay->source, ((const KmTouched *)files->pdata[i])->path));
	if (!open_farm(search, error) || !find_reached(search, &reach, error))
		return FALSE;
	g_autoptr(GPtrArray) recipes = ask_recipes(search, includers, reach, error);
	gboolean ok = recipes != NULL;
	for (guint i = 0; ok && i < recipes->len; i++)
		g_hash_table_insert(search->recipes, ((KmRecipe *)recipes->pdata[i])->object, recipes->pdata[i]);
	for (guint i = 0; ok && i < files->len; i++)
		ok = add_touched(search, files->pdata[i], includers->pdata[i], error);
	ok = ok && add_all_new(search, error) && add_reached(search, reach, error) &&
	     add_all_watched(search, reach, error) && check_any(search, error);
	g_clear_pointer(&search->farm, km_kbuild_free);
	km_reach_free(reach);
	return ok;
}

/* The rest of search is made here. */
static GPtrArray *find_units(Search *search, GError **error)
{
	g_autoptr(GPtrArray) units = g_ptr_array_new_with_free_func((GDestroyNotify)km_unit_free);
	g_autoptr(GHashTable) by_object = g_hash_table_new(g_str_hash, g_str_equal);
	search->recipes = by_object;
	search->units = units;
	if (!add_all(search, error))
		return NULL;
	g_ptr_array_sort(units, compare_units);
	return g_steal_pointer(&units);
}

GPtrArray *km_units_new(KmKernel *kernel, KmOverlay *overlay, GError **error)
{
	if (!km_overlay_plant(overlay, kernel->arch->kbuild, error))
		return NULL;
	g_autoptr(KmKbuild) kbuild = km_kbuild_new(kernel, error);
	g_autoptr(GHashTable) elsewhere = kbuild ? km_elsewhere_new(kbuild, error) : NULL;
	Search search = { .kernel = kernel, .overlay = overlay, .kbuild = kbuild, .elsewhere = elsewhere };
	return elsewhere ? find_units(&search, error) : NULL;
}

static GPtrArray *recipes_of(Search *search, const char *const *sources, GError **error)
{
	g_autoptr(GStrvBuilder) objects = g_strv_builder_new();
	for (; *sources; sources++)
		add_object_names(search, objects, *sources);
	g_auto(GStrv) names = g_strv_builder_end(objects);
	return km_kbuild_recipes(search->kbuild, (const char *const *)names, error);
}

GPtrArray *km_units_of(KmKernel *kernel, const KmOverlay *overlay, const char *const *sources, GError **error)
{
	g_autoptr(KmKbuild) kbuild = km_kbuild_new(kernel, error);
	g_autoptr(GHashTable) elsewhere = kbuild ? km_elsewhere_new(kbuild, error) : NULL;
	g_autoptr(GHashTable) by_object = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) units = g_ptr_array_new_with_free_func((GDestroyNotify)km_unit_free);
	Search search = { .kernel = kernel,
			  .overlay = overlay,
			  .kbuild = kbuild,
			  .elsewhere = elsewhere,
			  .recipes = by_object,
			  .units = units };
	g_autoptr(GPtrArray) recipes = elsewhere ? recipes_of(&search, sources, error) : NULL;
	gboolean any = FALSE;
	for (guint i = 0; recipes && i < recipes->len; i++)
		g_hash_table_insert(by_object, ((KmRecipe *)recipes->pdata[i])->object, recipes->pdata[i]);
	for (; recipes && *sources; sources++)
		if (!add_units(&search, *sources, &any, error))
			return NULL;
	for (guint i = units->len; i-- > 0;)
		if (((const KmUnit *)units->pdata[i])->unpatchable)
			g_ptr_array_remove_index(units, i);
	for (guint i = 0; i < units->len; i++) {
		KmUnit *unit = units->pdata[i];
		unit->called_in = TRUE;
		if (!overlay->farm && !copy_includer(&search, unit->source, error))
			return NULL;
	}
	g_ptr_array_sort(units, compare_units);
	return recipes ? g_steal_pointer(&units) : NULL;
}

GPtrArray *km_units_new_external(KmKernel *kernel, KmOverlay *overlay, const char *scratch, GError **error)
{
	if (!km_overlay_plant(overlay, NULL, error))
		return NULL;
	g_autoptr(KmKbuild) kbuild = km_external_new(kernel, overlay->source, scratch, error);
	g_autoptr(GHashTable) nowhere = km_elsewhere_empty();
	Search search = {
		.kernel = kernel, .overlay = overlay, .kbuild = kbuild, .external = TRUE, .elsewhere = nowhere
	};
	return kbuild ? find_units(&search, error) : NULL;
}
