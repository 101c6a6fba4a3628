/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole of `kmend build`, as a row of steps over one state. Each step leaves what the next one reads. */
#include "klp/klp.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "image/image.h"
#include "kernel/mention.h"
#include "klp/carry.h"
#include "klp/emit.h"
#include "klp/layout.h"
#include "klp/newunit.h"
#include "klp/objtool.h"
#include "klp/own.h"
#include "klp/runtime.h"
#include "klp/stacked.h"
#include "klp/story.h"
#include "klp/recheck.h"
#include "klp/trees.h"
#include "klp/unitwork.h"

/* A name that more files speak of is no function that a patch replaces all callers of. */
#define MAX_CALLED_IN 64

typedef struct {
	KmKernel *kernel;
	KmBuildOptions *options; /* runtime is settled by check_kernel() */
	KmProgress *progress;
	KmTempDir *temp;
	GPtrArray *trees; /* of KmTree */
	GPtrArray *units; /* of KmUnit: those of all trees */
	KmImage *image;
	KmModuleTools *tools;
	GPtrArray *works; /* of KmUnitWork, same order as units */
	KmContents contents;
	KmLink *link;
	KmLayout layout;
	KmBuild *result;
} State;

static void state_clear(State *s)
{
	g_clear_pointer(&s->link, km_link_free);
	km_contents_clear(&s->contents);
	g_clear_pointer(&s->works, g_ptr_array_unref);
	g_clear_pointer(&s->tools, km_module_tools_free);
	g_clear_pointer(&s->image, km_image_free);
	g_clear_pointer(&s->units, g_ptr_array_unref);
	g_clear_pointer(&s->trees, g_ptr_array_unref);
	g_clear_pointer(&s->temp, km_tempdir_free);
	g_clear_pointer(&s->result, km_build_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(State, state_clear)

static void patched_function_free(KmPatchedFunction *f)
{
	g_free(f->object);
	g_free(f->name);
	g_free(f->source);
	g_ptr_array_unref(f->reasons);
	g_free(f);
}

static void callback_info_free(KmCallbackInfo *info)
{
	g_free(info->object);
	g_free(info->name);
	g_free(info->source);
	g_free(info);
}

void km_build_free(KmBuild *build)
{
	if (!build)
		return;
	g_free(build->output);
	g_free(build->module_name);
	g_ptr_array_unref(build->functions);
	g_ptr_array_unref(build->added);
	g_ptr_array_unref(build->callbacks);
	g_array_unref(build->states);
	g_ptr_array_unref(build->notes);
	g_clear_pointer(&build->stories, g_ptr_array_unref);
	g_free(build);
}

static KmBuild *new_result(void)
{
	KmBuild *build = g_new0(KmBuild, 1);
	build->functions = g_ptr_array_new_with_free_func((GDestroyNotify)patched_function_free);
	build->added = g_ptr_array_new_with_free_func(g_free);
	build->callbacks = g_ptr_array_new_with_free_func((GDestroyNotify)callback_info_free);
	build->states = g_array_new(FALSE, FALSE, sizeof(KmState));
	build->notes = g_ptr_array_new_with_free_func(g_free);
	return build;
}

/* ---- names ---- */

/* What the kernel accepts as a module's name: letters, digits and '_', not too long for its livepatch symbols. */
static char *module_name(const char *from)
{
	g_autofree char *base = g_path_get_basename(from);
	char *dot = g_str_has_suffix(base, ".ko") ? base + strlen(base) - 3 : NULL;
	if (dot)
		*dot = '\0';
	for (char *p = base; *p; p++)
		if (!g_ascii_isalnum(*p))
			*p = '_';
	if (strlen(base) > 55)
		base[55] = '\0';
	return g_steal_pointer(&base);
}

static char *default_output(const char *patch)
{
	g_autofree char *base = strcmp(patch, "-") ? g_path_get_basename(patch) : g_strdup("stdin");
	static const char *const endings[] = { ".patch", ".diff", NULL };
	for (const char *const *e = endings; *e; e++)
		if (g_str_has_suffix(base, *e))
			base[strlen(base) - strlen(*e)] = '\0';
	return g_strdup_printf("kmend-%s.ko", base);
}

static gboolean bad_usage(GError **error, const char *what, const char *name)
{
	g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "'%s' is no %s", name, what);
	return FALSE;
}

/* Is it the name of something that is or can be below /sys/module of this kernel? Then it could not be loaded. */
static gboolean is_taken(const KmKernel *kernel, const char *name)
{
	static const char *const lists[] = { "modules.order", "modules.builtin" };
	g_autofree char *line = g_strdup_printf("/%s.ko\n", name);
	for (gsize i = 0; kernel->modules && i < G_N_ELEMENTS(lists); i++) {
		g_autofree char *path = g_build_filename(kernel->modules, lists[i], NULL);
		g_autofree char *text = NULL;
		if (!g_file_get_contents(path, &text, NULL, NULL))
			continue;
		if (strstr(g_strdelimit(text, "-", '_'), line))
			return TRUE;
	}
	return !strcmp(name, "vmlinux") || km_kernel_is_outside(kernel, name);
}

static gboolean choose_names(State *s, GError **error)
{
	const KmBuildOptions *o = s->options;
	if (o->output && !*o->output)
		return bad_usage(error, "name of a file to write", o->output);
	s->result->output = o->output ? g_strdup(o->output) : default_output(o->patches[0]);
	s->result->module_name = o->name ? g_strdup(o->name) : module_name(s->result->output);
	g_autofree char *valid = module_name(s->result->module_name);
	if (!*valid || strcmp(valid, s->result->module_name))
		return bad_usage(error, "module name: letters, digits and '_', at most 55; give one with --name",
				 s->result->module_name);
	if (!is_taken(s->kernel, valid))
		return TRUE;
	return km_refuse(error, "kernel %s has a module named '%s' itself; give the live patch another with --name",
			 s->kernel->name, valid);
}

/* ---- steps ---- */

/* Configurations under which a unit compiled alone is not the code that runs, or runs under rules we do not follow. */
static const struct {
	const char *option, *why;
} unsupported[] = {
	{ "LTO_CLANG", "units are optimized together at link time" },
	{ "LTO_GCC", "units are optimized together at link time" },
	{ "RANDSTRUCT", "structures are laid out by a secret seed" },
	{ "GCC_PLUGIN_RANDSTRUCT", "structures are laid out by a secret seed" },
	{ "GCC_PLUGIN_LATENT_ENTROPY", "the compiler puts random numbers into the code" },
	{ "CFI_CLANG", "indirect calls are checked against types that a live patch does not carry yet" },
};

static gboolean check_config(const KmKernel *kernel, GError **error)
{
	for (gsize i = 0; i < G_N_ELEMENTS(unsupported); i++) {
		g_autofree char *value = km_kernel_config(kernel, unsupported[i].option);
		if (value)
			return km_refuse(error, "kernel %s has CONFIG_%s=%s (%s): kmend cannot patch it", kernel->name,
					 unsupported[i].option, value, unsupported[i].why);
	}
	return TRUE;
}

static KmRuntimeKind usual_runtime(KmKernel *kernel)
{
	g_autofree char *livepatch = km_kernel_config(kernel, "LIVEPATCH");
	return livepatch ? KM_RUNTIME_KERNEL : KM_RUNTIME_OWN;
}

static gboolean choose_runtime(State *s, GError **error)
{
	KmRuntimeKind usual = usual_runtime(s->kernel);
	if (s->options->runtime == KM_RUNTIME_KERNEL && usual == KM_RUNTIME_OWN)
		return km_refuse(error,
				 "kernel %s was built without CONFIG_LIVEPATCH: it has no livepatch core to load a patch into; "
				 "kmend's runtime can do it (--runtime=own)",
				 s->kernel->name);
	if (s->options->runtime == KM_RUNTIME_AUTO)
		s->options->runtime = usual;
	s->result->own_runtime = s->options->runtime == KM_RUNTIME_OWN;
	return !s->result->own_runtime || km_runtime_check(s->kernel, error);
}

static gboolean check_kernel(State *s, GError **error)
{
	KmKernel *k = s->kernel;
	if (!k->arch->can_build)
		return km_refuse(error, "kernel %s is for %s: building live patches for it is not supported yet",
				 k->name, k->arch->name);
	return choose_runtime(s, error) && check_config(k, error);
}

static gboolean make_units(State *s, GError **error)
{
	km_progress_set(s->progress, "applying %u patch(es)", g_strv_length((char **)s->options->patches));
	s->trees = km_trees_new(s->kernel, s->options, s->temp->path, s->result->notes, error);
	if (!s->trees)
		return FALSE;
	s->units = g_ptr_array_new();
	for (guint i = 0; i < s->trees->len; i++) {
		const KmTree *tree = s->trees->pdata[i];
		for (guint k = 0; k < tree->units->len; k++) {
			((KmUnit *)tree->units->pdata[k])->want_clones = s->options->explain;
			g_ptr_array_add(s->units, tree->units->pdata[k]);
		}
	}
	return TRUE;
}

/* What does not depend on the units is prepared while they compile. */
typedef struct {
	const State *s;
	KmImage *image;
	KmModuleTools *tools;
	GError *error;
} Preparation;

static gpointer prepare(gpointer data)
{
	Preparation *p = data;
	p->image = km_image_open(p->s->kernel->image, &p->error);
	if (p->image)
		p->tools = km_module_tools(p->s->kernel, km_template_source(p->s->result->own_runtime), &p->error);
	if (p->tools && p->s->result->own_runtime)
		km_own_adapt_objtool(p->tools->objtool_argv);
	return NULL;
}

/* Units that both versions have in common would be proved, and the module made for a kernel nobody looked at. */
static gboolean check_image(const State *s, GError **error)
{
	const char *release = km_image_release(s->image);
	if (!release || !strcmp(release, s->kernel->release))
		return TRUE;
	return km_refuse(error, "%s is the image of kernel %s, not of %s: get kernel %s again", s->kernel->image,
			 release, s->kernel->release, s->kernel->name);
}

static void forget_unchanged(State *s)
{
	for (guint i = s->units->len; i-- > 0;)
		if (!((const KmUnit *)s->units->pdata[i])->original)
			g_ptr_array_remove_index(s->units, i);
}

static gboolean compile_trees(State *s, GError **error)
{
	if (!km_trees_compile(s->kernel, s->options, s->trees, s->temp->path, &s->result->headers, s->progress, error))
		return FALSE;
	forget_unchanged(s);
	return TRUE;
}

static gboolean compile(State *s, GError **error)
{
	Preparation p = { .s = s };
	GThread *thread = g_thread_new("prepare", prepare, &p);
	gboolean compiled = compile_trees(s, error);
	g_thread_join(thread);
	s->image = p.image;
	s->tools = p.tools;
	if (p.error && compiled)
		g_propagate_error(error, g_steal_pointer(&p.error));
	g_clear_error(&p.error);
	return compiled && s->tools && check_image(s, error);
}

static const KmTree *tree_of(const State *s, const KmUnit *unit, GError **error)
{
	for (guint i = 0; i < s->trees->len; i++) {
		const KmTree *tree = s->trees->pdata[i];
		if (g_ptr_array_find(tree->units, unit, NULL))
			return tree;
	}
	return km_fail_null(error, "%s belongs to no source tree", unit->source);
}

/* Types are looked at in the tree that the unit comes from. */
static gboolean check_layout(const State *s, KmUnitWork *work, GError **error)
{
	const KmTree *tree = tree_of(s, work->unit, error);
	return tree &&
	       km_layout_check(s->kernel, tree->overlay, tree->may_change_types, s->options, s->units, work, error);
}

static gboolean check_stacked(const State *s, GError **error)
{
	if (!s->result->own_runtime || !km_stacked_matters(s->kernel))
		return TRUE;
	for (guint i = 0; i < s->works->len; i++) {
		const KmUnitWork *work = s->works->pdata[i];
		const KmTree *tree = tree_of(s, work->unit, error);
		if (!tree || !km_stacked_check(s->kernel, tree->overlay, work, s->contents.hooks, error))
			return FALSE;
	}
	return TRUE;
}

/* Also those that are forgotten already. */
static guint count_units(const State *s)
{
	const KmHeaderCounts *c = &s->result->headers;
	return s->units->len + c->reached - c->changed;
}

static gboolean add_work(State *s, const KmUnit *unit, GError **error)
{
	KmUnitWork *work = km_unit_work_new(s->kernel, s->image, unit, s->options, s->result->notes, error);
	if (!work)
		return FALSE;
	g_ptr_array_add(s->works, work);
	s->result->compared += km_match_compared(work->match);
	return TRUE;
}

/* Of the kernel's source; NULL when only others are touched. */
static KmTree *kernel_tree(const State *s)
{
	KmTree *first = s->trees->len ? s->trees->pdata[0] : NULL;
	return first && !first->number ? first : NULL;
}

static gboolean has_caller(const State *s, const char *source, const char *caller)
{
	g_autofree char *root = km_name_root(caller);
	return km_source_mentions(s->kernel->source, source, root);
}

/* Of files that speak of a function those that speak of one of its callers, too. A caller of which none does has its name from a macro. */
static void keep_callers(const State *s, GPtrArray *sources, const GPtrArray *callers)
{
	g_autoptr(GHashTable) wanted = g_hash_table_new(NULL, NULL);
	for (guint k = 0; k < callers->len; k++) {
		gboolean any = FALSE;
		for (guint i = 0; i < sources->len; i++)
			if (has_caller(s, sources->pdata[i], callers->pdata[k])) {
				any = TRUE;
				g_hash_table_add(wanted, sources->pdata[i]);
			}
		if (!any)
			return;
	}
	for (guint i = sources->len; i-- > 0;)
		if (!g_hash_table_contains(wanted, sources->pdata[i]))
			g_ptr_array_remove_index(sources, i);
}

/* For km_carry(): the files that have the callers, as far as they go into the kernel or module that the function belongs to. */
static gboolean call_in(const KmUnitWork *work, const KmSymbol *function, const GPtrArray *callers, gpointer data,
			GError **error)
{
	State *s = data;
	KmTree *tree = work->unit->external ? NULL : kernel_tree(s);
	if (!tree)
		return TRUE;
	km_progress_set(s->progress, "looking for what calls %s", function->name);
	g_autoptr(GPtrArray) sources =
		km_sources_mentioning(s->kernel->source, s->kernel->arch->kbuild, function->name);
	keep_callers(s, sources, callers);
	if (sources->len > MAX_CALLED_IN)
		return TRUE;
	g_ptr_array_add(sources, NULL);
	g_autoptr(GPtrArray) units =
		km_trees_call_in(s->kernel, s->options, tree, work->unit->owner, (const char *const *)sources->pdata,
				 s->temp->path, s->progress, error);
	for (guint i = 0; units && i < units->len; i++) {
		KmUnit *unit = units->pdata[i];
		g_ptr_array_add(s->units, unit);
		if (!add_work(s, unit, error))
			return FALSE;
	}
	return units != NULL;
}

/* What a unit alone says; callers in one can lead to more in another. */
static gboolean compare_units(State *s, GError **error)
{
	const KmCarryOptions carry = { s->options->ignore_init, s->result->notes, call_in, s };
	for (guint i = 0; i < s->units->len; i++) {
		const KmUnit *unit = s->units->pdata[i];
		km_progress_set(s->progress, "proving and comparing %s (%u of %u)", unit->source, i + 1, s->units->len);
		if (!add_work(s, unit, error))
			return FALSE;
	}
	return km_carry(s->works, &carry, error);
}

static void note_called_in(State *s, const KmUnitWork *work)
{
	const KmUnit *unit = work->unit;
	if (!unit->called_in || !work->extracted)
		return;
	g_ptr_array_add(s->contents.called_in, g_strdup_printf("%s:%s", unit->owner, unit->source));
	g_ptr_array_add(s->result->notes,
			g_strdup_printf("%s: not in the patch; functions of it are replaced because they call one that "
					"has no patchable entry",
					unit->source));
}

/* A change that is there in the source and counts for nothing; "" when there is none. */
static char *say_overridden(const State *s)
{
	for (guint i = 0; i < s->works->len; i++) {
		const KmUnitWork *work = s->works->pdata[i];
		if (work->overridden)
			return g_strdup_printf(" (%s of %s is weak, and this kernel has another definition of it)",
					       work->overridden, work->unit->source);
	}
	return g_strdup("");
}

static gboolean work_units(State *s, GError **error)
{
	if (!compare_units(s, error))
		return FALSE;
	for (guint i = 0; i < s->works->len; i++) {
		KmUnitWork *work = s->works->pdata[i];
		if (!km_unit_work_extract(work, error) || !check_layout(s, work, error) ||
		    !km_unit_work_hooks(work, s->contents.hooks, s->result->functions, error) ||
		    !km_unit_work_callbacks(work, &s->contents, error))
			return FALSE;
		note_called_in(s, work);
	}
	if (!km_new_units_take(s->works, s->contents.hooks, s->result->functions, error) || !check_stacked(s, error))
		return FALSE;
	if (s->contents.hooks->len || s->contents.callbacks->len)
		return TRUE;
	/* Without any unit, headers that only assembly and the like see were looked at. */
	g_autofree char *what = count_units(s) ? g_strdup_printf("the code of all %u touched unit(s)", count_units(s))
					       : g_strdup("all code that the touched headers reach");
	g_autofree char *weak = say_overridden(s);
	g_set_error(error, KM_ERROR, KM_ERROR_UNCHANGED, "nothing to patch: %s stays the same%s%s", what,
		    s->options->ignore_init ? ", but for what --ignore-init leaves out" : "", weak);
	return FALSE;
}

/*
 * Note the new global functions and data of a unit by name, and the functions that only other replaced ones lead to. One that another unit
 * has too is left without a definition.
 */
static void note_definitions(GHashTable *definitions, const KmUnitWork *work, gboolean preferred)
{
	for (guint k = 0; work->extracted && k < work->extracted->symbols->len; k++) {
		KmSymbol *symbol = work->extracted->symbols->pdata[k];
		if (!symbol->section || symbol->bind != STB_GLOBAL || !symbol->user ||
		    (g_hash_table_contains(work->diff->twins, symbol->user) &&
		     !g_hash_table_contains(work->carried, symbol->user)))
			continue;
		gboolean again = !preferred && g_hash_table_contains(definitions, symbol->name);
		g_hash_table_insert(definitions, symbol->name, again ? NULL : symbol);
	}
}

/*
 * What a new global name means to code of owner: the definition of its own module, else the kernel's, else the only other one. A file
 * that is linked into several modules defines it in each, and the other modules may not be there.
 */
static GHashTable *new_definitions(const State *s, const char *owner)
{
	GHashTable *definitions = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint pass = 0; pass < 3; pass++)
		for (guint i = 0; i < s->works->len; i++) {
			const KmUnitWork *work = s->works->pdata[i];
			gboolean own = !strcmp(work->unit->owner, owner);
			gboolean vmlinux = !strcmp(work->unit->owner, "vmlinux");
			if (pass == (own ? 2u : vmlinux ? 1u : 0u))
				note_definitions(definitions, work, pass > 0);
		}
	return definitions;
}

static void list_added(State *s, const KmUnitWork *work)
{
	const GPtrArray *lists[] = { work->diff->functions, work->diff->data };
	for (gsize l = 0; l < G_N_ELEMENTS(lists); l++)
		for (guint i = 0; i < lists[l]->len; i++) {
			const KmChange *change = lists[l]->pdata[i];
			if (change->status == KM_NEW && !change->init)
				g_ptr_array_add(s->result->added, g_strdup(change->name));
		}
}

/* What the kernel will point at: from the units' objects to the module's. */
static void move_to_link(State *s)
{
	for (guint i = 0; i < s->contents.hooks->len; i++) {
		KmHook *hook = s->contents.hooks->pdata[i];
		hook->replacement = g_hash_table_lookup(s->link->moved, hook->replacement);
		for (guint k = 0; hook->new_parts && k < hook->new_parts->len; k++)
			hook->new_parts->pdata[k] = g_hash_table_lookup(s->link->moved, hook->new_parts->pdata[k]);
	}
	for (guint i = 0; i < s->contents.callbacks->len; i++) {
		KmCallback *callback = s->contents.callbacks->pdata[i];
		callback->function = g_hash_table_lookup(s->link->moved, callback->function);
	}
}

static void list_callbacks(State *s)
{
	for (guint i = 0; i < s->contents.callbacks->len; i++) {
		const KmCallback *callback = s->contents.callbacks->pdata[i];
		KmCallbackInfo *info = g_new0(KmCallbackInfo, 1);
		info->object = g_strdup(callback->object);
		info->kind = km_callback_kind_name(callback->kind);
		info->name = g_strdup(callback->function->name);
		info->source = g_strdup(callback->source);
		g_ptr_array_add(s->result->callbacks, info);
	}
	g_array_append_vals(s->result->states, s->contents.states->data, s->contents.states->len);
}

static KmOwn own_input(const State *s)
{
	return (KmOwn){ .kernel = s->kernel, .image = s->image, .contents = &s->contents, .refs = s->link->refs };
}

static gboolean describe(State *s, GError **error)
{
	const KmOwn own = own_input(s);
	return s->result->own_runtime ? km_own_write(s->link->object, &own, error)
				      : km_hooks_write(s->link->object, &s->layout, &s->contents, error);
}

static gboolean link_units(State *s, GError **error)
{
	KmObject *template_object = km_object_read(s->tools->template_object, error);
	if (!template_object)
		return FALSE;
	s->link = km_link_new(template_object);
	if (!km_template_layout(template_object, &s->layout, error))
		return FALSE;
	for (guint i = 0; i < s->works->len; i++) {
		const KmUnitWork *work = s->works->pdata[i];
		if (!work->extracted)
			continue;
		g_autoptr(GHashTable) definitions = new_definitions(s, work->unit->owner);
		if (!km_link_add(s->link, work->extracted, &work->context, definitions, error))
			return FALSE;
		list_added(s, work);
	}
	km_link_join(s->link);
	move_to_link(s);
	list_callbacks(s);
	return describe(s, error);
}

/* The works of one tree's units. Not owned. */
static GPtrArray *works_of(const State *s, const KmTree *tree)
{
	GPtrArray *works = g_ptr_array_new();
	for (guint i = 0; i < s->works->len; i++)
		if (g_ptr_array_find(tree->units, ((const KmUnitWork *)s->works->pdata[i])->unit, NULL))
			g_ptr_array_add(works, s->works->pdata[i]);
	return works;
}

static gboolean explain(State *s, GError **error)
{
	for (guint i = 0; s->options->explain && i < s->trees->len; i++) {
		const KmTree *tree = s->trees->pdata[i];
		g_autoptr(GPtrArray) works = works_of(s, tree);
		GPtrArray *stories = km_stories_new(works, tree->overlay, s->link, error);
		if (!stories)
			return FALSE;
		if (s->result->stories)
			g_ptr_array_extend_and_steal(s->result->stories, stories);
		else
			s->result->stories = stories;
	}
	return TRUE;
}

static gboolean run_objtool(State *s, const char *path, GError **error)
{
	km_progress_set(s->progress, "running objtool");
	return km_objtool_run(s->kernel, s->tools, path, error);
}

/* The finished module must pass the independent check before it appears under its name. */
static gboolean publish(State *s, const KmObject *object, GError **error)
{
	g_autofree char *path = g_build_filename(s->temp->path, "finished.ko", NULL);
	g_autoptr(GPtrArray) units = g_ptr_array_new();
	for (guint i = 0; i < s->works->len; i++) {
		const KmUnitWork *work = s->works->pdata[i];
		if (work->extracted)
			g_ptr_array_add(units, (gpointer)work->unit);
	}
	km_progress_set(s->progress, "checking %s", s->result->output);
	if (!km_object_write(object, path, error) ||
	    !km_recheck_built(s->kernel, s->image, path, s->result->output, units, s->tools, &s->layout,
			      s->options->allow_tables, error))
		return FALSE;
	g_autoptr(GBytes) bytes = km_read_file(path, error);
	gsize size;
	const void *data = bytes ? g_bytes_get_data(bytes, &size) : NULL;
	return bytes && km_write_file(s->result->output, data, size, error);
}

static gboolean emit(State *s, GError **error)
{
	g_autofree char *path = g_build_filename(s->temp->path, "linked.o", NULL);
	if (!km_object_write(s->link->object, path, error) || !run_objtool(s, path, error))
		return FALSE;
	g_autoptr(KmObject) object = km_object_read(path, error);
	if (!object)
		return FALSE;
	const KmOwn own = own_input(s);
	KmEmit e = {
		.image = s->image,
		.own = s->result->own_runtime ? &own : NULL,
		.kernel = s->kernel,
		.layout = &s->layout,
		.refs = s->link->refs,
		.contents = &s->contents,
		.name = s->result->module_name,
	};
	g_free(object->path);
	object->path = g_strdup(s->result->output);
	return km_emit(object, &e, &s->result->references, error) && publish(s, object, error);
}

static gboolean make_workdir(State *s, GError **error)
{
	const char *keep = s->options->keep;
	if (keep && g_mkdir(keep, 0755))
		return km_fail(error, "cannot create the directory %s to keep the work in: %s", keep,
			       g_strerror(errno));
	km_tempdir_sweep(NULL, "kmend-build");
	s->temp = km_tempdir_new(NULL, "kmend-build", error);
	return s->temp != NULL;
}

/* The work directory goes to where the user wants to look at it, also after a failure. */
static gboolean keep_workdir(const State *s, GError **error)
{
	if (!s->options->keep || !s->temp)
		return TRUE;
	g_autofree char *content = g_strconcat(s->temp->path, "/.", NULL);
	const char *const argv[] = { "cp", "-a", "--", content, s->options->keep, NULL };
	g_autofree char *words = km_run_checked(argv, NULL, error);
	return words != NULL;
}

void km_build_prepare(KmKernel *kernel, KmProgress *progress)
{
	gboolean own = usual_runtime(kernel) == KM_RUNTIME_OWN;
	if (!kernel->arch->can_build || !kernel->compiler)
		return;
	km_progress_set(progress, "preparing %s for builds", kernel->name);
	g_autoptr(KmModuleTools) tools = km_module_tools(kernel, km_template_source(own), NULL);
	km_units_prepare(kernel);
}

KmBuild *km_build(KmKernel *kernel, const KmBuildOptions *options, KmProgress *progress, GError **error)
{
	KmBuildOptions settled = *options;
	g_auto(State) s = { .kernel = kernel, .options = &settled, .progress = progress };
	s.result = new_result();
	s.works = g_ptr_array_new_with_free_func((GDestroyNotify)km_unit_work_free);
	km_contents_init(&s.contents);
	s.contents.replace = !options->no_replace;
	gboolean ok = (!options->oot_modules || km_kernel_add_modules(kernel, options->oot_modules, error)) &&
		      choose_names(&s, error) && check_kernel(&s, error) && make_workdir(&s, error) &&
		      make_units(&s, error) && compile(&s, error) && work_units(&s, error) && link_units(&s, error) &&
		      explain(&s, error) && emit(&s, error);
	ok = keep_workdir(&s, ok ? error : NULL) && ok;
	return ok ? g_steal_pointer(&s.result) : NULL;
}

static json_t *callbacks_to_json(const KmBuild *build)
{
	json_t *list = json_array();
	for (guint i = 0; i < build->callbacks->len; i++) {
		const KmCallbackInfo *c = build->callbacks->pdata[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "object", c->object, "kind", c->kind,
						      "name", c->name, "source", c->source));
	}
	return list;
}

static json_t *states_to_json(const KmBuild *build)
{
	json_t *list = json_array();
	for (guint i = 0; i < build->states->len; i++) {
		const KmState *state = &g_array_index(build->states, KmState, i);
		json_array_append_new(list, json_pack("{s:I, s:I}", "id", (json_int_t)state->id, "version",
						      (json_int_t)state->version));
	}
	return list;
}

static json_t *strings_to_json(const GPtrArray *strings)
{
	json_t *list = json_array();
	for (guint i = 0; i < strings->len; i++)
		json_array_append_new(list, json_string(strings->pdata[i]));
	return list;
}

static json_t *headers_to_json(const KmHeaderCounts *c)
{
	return json_pack("{s:i, s:i, s:i, s:i}", "reached", (int)c->reached, "narrowed", (int)c->narrowed, "compiled",
			 (int)c->compiled, "changed", (int)c->changed);
}

json_t *km_build_to_json(const KmBuild *build)
{
	json_t *functions = json_array();
	for (guint i = 0; i < build->functions->len; i++) {
		const KmPatchedFunction *f = build->functions->pdata[i];
		json_t *reasons = json_array();
		for (guint k = 0; k < f->reasons->len; k++)
			json_array_append_new(reasons, json_string(f->reasons->pdata[k]));
		json_array_append_new(functions,
				      json_pack("{s:s, s:s, s:i, s:s, s:o}", "object", f->object, "name", f->name,
						"sympos", (int)f->sympos, "source", f->source, "reasons", reasons));
	}
	/* A file name need not be UTF-8, JSON must be. */
	g_autofree char *output = g_utf8_make_valid(build->output, -1);
	json_t *json = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:i}", "output", output, "module",
				 build->module_name, "functions", functions, "added", strings_to_json(build->added),
				 "callbacks", callbacks_to_json(build), "states", states_to_json(build), "notes",
				 strings_to_json(build->notes), "compared", (int)build->compared, "references",
				 (int)build->references);
	json_object_set_new(json, "runtime", json_string(build->own_runtime ? "own" : "kernel"));
	json_object_set_new(json, "headers", headers_to_json(&build->headers));
	if (build->stories)
		json_object_set_new(json, "units", km_stories_to_json(build->stories));
	return json;
}
