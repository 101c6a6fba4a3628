/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kbuild tells how it compiles an object when its innermost make (scripts/Makefile.build) runs with -n. Getting there takes
 * the top Makefile more than a second, and on its way it would prepare the tree and might even rewrite the configuration.
 * So the top Makefile runs once per kernel with a stand-in for $(MAKE), which writes down the arguments and environment of
 * the one invocation that matters and runs nothing. (may-sync-config= on the command line would keep the configuration too, but
 * newer kernels then leave out every flag that depends on the compiler.) From then on that invocation is repeated directly with other targets.
 */
#include "kernel/kbuild.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/farm.h"

/* Change it when the form or meaning of what is remembered changes. */
#define CACHE_FORMAT "4"
/* More host programs than this are not made for one object. */
#define MAX_PROGRAMS 4

/*
 * The stand-in. The top Makefile may start itself again (for O=), which must happen; synchronizing the configuration must
 * not; everything else has nothing to do in a dry run.
 */
static const char stand_in[] = "case \" $* \" in\n"
			       "*config\\ *) exit 0;;\n"
			       "*\" -f $KMEND_TOP \"*) exec make \"$@\";;\n"
			       "*[\\ /]\"$KMEND_TARGET \"*) ;;\n"
			       "*) exit 0;;\n"
			       "esac\n"
			       "printf '%s\\0' \"$PWD\" \"$@\" > \"$KMEND_OUT.args\" && env -0 > \"$KMEND_OUT.env\"\n";

/*
 * Read by every make of a dry run. Not everything that a kernel is built with is in an object tree (a distribution's packages
 * have few of the host programs): what is missing is taken as made, or the objects that need it would not be printed. That goes
 * for sources too; GPATH lets them keep the names under which they were found in the source tree.
 */
static const char dry_rules[] = ".DEFAULT: ; @:\n"
				"GPATH = $(VPATH)\n"
				"%/" KM_KBUILD_LIST ": ; " KM_KBUILD_LIST " $(real-obj-y) $(real-objs-y) $(lib-y) "
				"$(real-obj-m) $(real-objs-m)\n"
				/* That makefile answers for what lies below it, too. */
				"ifeq ($(obj),$(KMEND_STAY))\n"
				"override single-subdirs :=\n"
				"override single-subdir-goals :=\n"
				"endif\n";
#define RULES_FILE "rules.mk"

void km_kbuild_free(KmKbuild *kbuild)
{
	if (!kbuild)
		return;
	g_free(kbuild->source);
	g_free(kbuild->build);
	g_free(kbuild->dir);
	g_free(kbuild->key);
	g_free(kbuild->cwd);
	g_strfreev(kbuild->args);
	g_strfreev(kbuild->env);
	g_free(kbuild->prefix);
	g_free(kbuild->outside);
	g_free(kbuild->root);
	g_free(kbuild);
}

char **km_tool_env(void)
{
	static const char *const kept[] = { "PATH", "HOME", "TMPDIR" };
	char **env = g_environ_setenv(NULL, "LC_ALL", "C", TRUE);
	for (gsize i = 0; i < G_N_ELEMENTS(kept); i++) {
		const char *value = g_getenv(kept[i]);
		if (value)
			env = g_environ_setenv(env, kept[i], value, TRUE);
	}
	return env;
}

char *km_tree_path(const char *dir, const char *name)
{
	g_autofree char *joined = g_strconcat("/", dir, "/", name, NULL);
	g_autofree char *canonical = g_canonicalize_filename(joined, "/");
	/* A leading "//" is not the same as "/" to POSIX, and kept. */
	const char *relative = canonical + strspn(canonical, "/");
	return *relative ? g_strdup(relative) : NULL;
}

/* Identity of a file's content, as far as stat tells. */
static void add_stamp(GString *key, const char *path)
{
	struct stat st;
	if (stat(path, &st))
		g_string_append_printf(key, "%s absent\n", path);
	else
		g_string_append_printf(key, "%s %lld %lld.%09ld\n", path, (long long)st.st_size,
				       (long long)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
}

static char *make_key(const KmKernel *kernel, const KmKbuild *kbuild)
{
	static const char *const inputs[] = { ".config", "include/config/auto.conf", "include/generated/autoconf.h" };
	GString *key = g_string_new("format " CACHE_FORMAT "\n");
	g_string_append_printf(key, "source %s\nbuild %s\nPATH %s\n", kbuild->source, kbuild->build, g_getenv("PATH"));
	g_autofree char *compiler = g_find_program_in_path(kernel->compiler);
	g_string_append_printf(key, "compiler %s\n", kernel->compiler);
	add_stamp(key, compiler ? compiler : kernel->compiler);
	for (gsize i = 0; i < G_N_ELEMENTS(inputs); i++) {
		g_autofree char *path = g_build_filename(kbuild->build, inputs[i], NULL);
		add_stamp(key, path);
	}
	return g_string_free(key, FALSE);
}

static gboolean check_compiler(const KmKernel *kernel, GError **error)
{
	g_autofree char *found = kernel->compiler ? g_find_program_in_path(kernel->compiler) : NULL;
	if (!kernel->compiler && kernel->compiler_problem)
		return km_refuse(error, "%s", kernel->compiler_problem);
	return found || km_refuse(error, "the compiler %s is not on this machine: install the package of that name",
				  kernel->compiler ? kernel->compiler : "of this kernel");
}

static KmKbuild *open_trees(const KmKernel *kernel, GError **error)
{
	g_autoptr(KmKbuild) kbuild = g_new0(KmKbuild, 1);
	kbuild->source = realpath(kernel->source, NULL);
	if (!kbuild->source)
		return km_fail_null(error, "cannot look at the kernel source %s: %s", kernel->source,
				    g_strerror(errno));
	kbuild->build = realpath(kernel->build, NULL);
	if (!kbuild->build)
		return km_fail_null(error, "cannot look at the object tree %s: %s", kernel->build, g_strerror(errno));
	kbuild->dir = g_build_filename(kernel->work, "kbuild", NULL);
	if (!check_compiler(kernel, error) || !km_make_dirs(kbuild->dir, error))
		return NULL;
	kbuild->key = make_key(kernel, kbuild);
	return g_steal_pointer(&kbuild);
}

/* "NAME=value" entries of an environment block, without what make or we ourselves put there. */
static char **split_block(const char *data, gsize size)
{
	GPtrArray *strings = g_ptr_array_new();
	for (gsize at = 0; at < size;) {
		gsize length = strnlen(data + at, size - at);
		g_ptr_array_add(strings, g_strndup(data + at, length));
		at += length + 1;
	}
	g_ptr_array_add(strings, NULL);
	return (char **)g_ptr_array_free(strings, FALSE);
}

static char **read_block(const char *path)
{
	g_autoptr(GBytes) bytes = km_read_file(path, NULL);
	if (!bytes)
		return NULL;
	gsize size = 0;
	const char *data = g_bytes_get_data(bytes, &size);
	return split_block(data, size);
}

/* Take over what the stand-in wrote. */
static gboolean read_capture(KmKbuild *kbuild, const char *out, const char *target, GError **error)
{
	g_autofree char *args_path = g_strconcat(out, ".args", NULL);
	g_autofree char *env_path = g_strconcat(out, ".env", NULL);
	g_auto(GStrv) args = read_block(args_path);
	g_auto(GStrv) env = read_block(env_path);
	g_autofree char *tail = g_strconcat("/", target, NULL);
	if (!args || !env || !*args || !*env)
		return km_fail(error, "kbuild in %s never came to compiling %s: it works in a way unknown to kmend",
			       kbuild->source, target);
	g_autoptr(GStrvBuilder) kept = g_strv_builder_new();
	for (char **arg = args + 1; *arg; arg++) {
		if (strcmp(*arg, target) && !g_str_has_suffix(*arg, tail)) {
			g_strv_builder_add(kept, *arg);
			continue;
		}
		g_free(kbuild->prefix);
		kbuild->prefix = g_strndup(*arg, strlen(*arg) - strlen(target));
	}
	if (!kbuild->prefix)
		return km_fail(
			error,
			"kbuild in %s does not take %s as a target of its own: it works in a way unknown to kmend",
			kbuild->source, target);
	kbuild->cwd = g_strdup(*args);
	kbuild->args = g_strv_builder_end(kept);
	kbuild->env = g_steal_pointer(&env);
	static const char *const ours[] = { "KMEND_TOP", "KMEND_TARGET", "KMEND_OUT", "_" };
	for (gsize i = 0; i < G_N_ELEMENTS(ours); i++)
		kbuild->env = g_environ_unsetenv(kbuild->env, ours[i]);
	return TRUE;
}

/* The variables that select architecture and compiler, as kbuild wants them on its command line. */
static void add_variables(GStrvBuilder *argv, const KmKernel *kernel)
{
	g_autofree char *cc = g_strconcat("CC=", kernel->compiler, NULL);
	g_strv_builder_add_many(argv, cc, "V=1", NULL);
	if (!kernel->arch)
		return;
	g_autofree char *arch = g_strconcat("ARCH=", kernel->arch->kbuild, NULL);
	g_strv_builder_add(argv, arch);
	g_autofree char *base = g_path_get_basename(kernel->compiler);
	g_autofree char *prefix = g_strconcat(kernel->arch->triplet, "-", NULL);
	if (!g_str_has_prefix(base, prefix))
		return;
	g_autofree char *cross = g_strconcat("CROSS_COMPILE=", prefix, NULL);
	g_strv_builder_add(argv, cross);
}

static char **capture_argv(const KmKernel *kernel, const KmKbuild *kbuild, const char *script, const char *external,
			   const char *target)
{
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_autofree char *make = g_strconcat("MAKE=sh ", script, NULL);
	g_autofree char *o = g_strconcat("O=", kbuild->build, NULL);
	g_autofree char *m = external ? g_strconcat("M=", external, NULL) : NULL;
	g_strv_builder_add_many(argv, "make", "-n", "-C", kbuild->source, make, NULL);
	if (strcmp(kbuild->source, kbuild->build))
		g_strv_builder_add(argv, o);
	if (m)
		g_strv_builder_add(argv, m);
	add_variables(argv, kernel);
	g_strv_builder_add(argv, target);
	return g_strv_builder_end(argv);
}

static char *autoconf_stamp(const KmKbuild *kbuild)
{
	g_autofree char *path = g_build_filename(kbuild->build, "include/generated/autoconf.h", NULL);
	GString *stamp = g_string_new(NULL);
	add_stamp(stamp, path);
	return g_string_free(stamp, FALSE);
}

/* Run the top Makefile once with the stand-in. */
static gboolean capture(KmKbuild *kbuild, const KmKernel *kernel, const char *external, const char *target,
			GError **error)
{
	km_tempdir_sweep(kbuild->dir, "capture");
	g_autoptr(KmTempDir) temp = km_tempdir_new(kbuild->dir, "capture", error);
	if (!temp)
		return FALSE;
	g_autofree char *script = g_build_filename(temp->path, "make", NULL);
	g_autofree char *out = g_build_filename(temp->path, "out", NULL);
	g_autofree char *top = g_build_filename(kbuild->source, "Makefile", NULL);
	if (!km_write_file(script, stand_in, strlen(stand_in), error))
		return FALSE;
	g_auto(GStrv) argv = capture_argv(kernel, kbuild, script, external, target);
	g_auto(GStrv) env = g_environ_setenv(km_tool_env(), "KMEND_TOP", top, TRUE);
	env = g_environ_setenv(env, "KMEND_TARGET", target, TRUE);
	env = g_environ_setenv(env, "KMEND_OUT", out, TRUE);
	KmRunOptions options = { .env = (const char *const *)env, .clear_env = TRUE };
	g_autofree char *before = autoconf_stamp(kbuild);
	g_autoptr(KmRunResult) result = km_run((const char *const *)argv, &options, error);
	if (!result)
		return FALSE;
	g_autofree char *after = autoconf_stamp(kbuild);
	if (strcmp(before, after))
		return km_refuse(error, "kbuild changed the configuration in %s: make the kernel available again",
				 kbuild->build);
	if (result->status != 0)
		return km_fail(error, "kbuild does not work on %s with the object tree %s: %s", kbuild->source,
			       kbuild->build, g_strstrip(result->errors));
	return read_capture(kbuild, out, target, error);
}

static json_t *strv_to_json(char **strings)
{
	json_t *array = json_array();
	for (char **s = strings; *s; s++)
		json_array_append_new(array, json_string(*s));
	return array;
}

/* NULL unless value is an array of strings only. */
static char **strv_from_json(const json_t *value)
{
	if (!json_is_array(value))
		return NULL;
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *string = json_string_value(json_array_get(value, i));
		if (!string)
			return NULL;
		g_strv_builder_add(builder, string);
	}
	return g_strv_builder_end(builder);
}

json_t *km_kbuild_recall(const KmKbuild *kbuild, const char *name)
{
	g_autofree char *path = g_build_filename(kbuild->dir, name, NULL);
	json_t *root = json_load_file(path, 0, NULL);
	const char *key = json_string_value(json_object_get(root, "key"));
	if (key && !strcmp(key, kbuild->key))
		return root;
	json_decref(root);
	return NULL;
}

void km_kbuild_remember(const KmKbuild *kbuild, const char *name, json_t *root)
{
	g_autofree char *path = g_build_filename(kbuild->dir, name, NULL);
	json_object_set_new(root, "key", json_string(kbuild->key));
	char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	/* Text that is no UTF-8 cannot be kept as JSON: nothing is remembered then. */
	if (text)
		km_write_file(path, text, strlen(text), NULL);
	free(text);
}

static gboolean recall_capture(KmKbuild *kbuild)
{
	json_t *root = km_kbuild_recall(kbuild, "environment.json");
	if (!root)
		return FALSE;
	kbuild->cwd = g_strdup(json_string_value(json_object_get(root, "cwd")));
	kbuild->prefix = g_strdup(json_string_value(json_object_get(root, "prefix")));
	kbuild->args = strv_from_json(json_object_get(root, "args"));
	kbuild->env = strv_from_json(json_object_get(root, "env"));
	json_decref(root);
	return kbuild->cwd && kbuild->prefix && kbuild->args && kbuild->env;
}

static void remember_capture(const KmKbuild *kbuild)
{
	json_t *root = json_object();
	json_object_set_new(root, "cwd", json_string(kbuild->cwd));
	json_object_set_new(root, "prefix", json_string(kbuild->prefix));
	json_object_set_new(root, "args", strv_to_json(kbuild->args));
	json_object_set_new(root, "env", strv_to_json(kbuild->env));
	km_kbuild_remember(kbuild, "environment.json", root);
}

KmKbuild *km_kbuild_new(KmKernel *kernel, GError **error)
{
	g_autoptr(KmKbuild) kbuild = open_trees(kernel, error);
	if (!kbuild)
		return NULL;
	if (recall_capture(kbuild))
		return g_steal_pointer(&kbuild);
	g_clear_pointer(&kbuild->cwd, g_free);
	g_clear_pointer(&kbuild->prefix, g_free);
	g_clear_pointer(&kbuild->args, g_strfreev);
	g_clear_pointer(&kbuild->env, g_strfreev);
	if (!capture(kbuild, kernel, NULL, KM_KBUILD_PROBE, error))
		return NULL;
	remember_capture(kbuild);
	return g_steal_pointer(&kbuild);
}

KmKbuild *km_kbuild_new_external(KmKernel *kernel, const char *dir, const char *target, GError **error)
{
	g_autoptr(KmKbuild) kbuild = open_trees(kernel, error);
	if (!kbuild || !capture(kbuild, kernel, dir, target, error))
		return NULL;
	/* What is asked about a directory that comes and goes must not be remembered. */
	g_clear_pointer(&kbuild->dir, g_free);
	return g_steal_pointer(&kbuild);
}

KmKbuild *km_kbuild_over(const KmKbuild *kbuild, const char *from, const char *farm, const char *dir)
{
	KmKbuild *over = g_new0(KmKbuild, 1);
	over->source = km_farm_map(kbuild->source, from, farm);
	over->build = km_farm_map(kbuild->build, from, farm);
	over->cwd = km_farm_map(kbuild->cwd, from, farm);
	over->args = km_farm_map_command(kbuild->args, from, farm);
	over->env = km_farm_map_command(kbuild->env, from, farm);
	over->prefix = km_farm_map(kbuild->prefix, from, farm);
	over->dir = g_strdup(dir);
	over->key = g_strconcat(kbuild->key, "farm ", farm, "\n", NULL);
	return over;
}

/* ---- answers about an out-of-tree source: in words of where it really lies ---- */

static char *without(const char *word, const char *part)
{
	g_auto(GStrv) parts = g_strsplit(word, part, -1);
	return g_strjoinv("", parts);
}

static void take_away(char **word, const char *part)
{
	char *changed = without(*word, part);
	g_free(*word);
	*word = changed;
}

char *km_kbuild_compiler_dir(const KmKbuild *kbuild)
{
	return kbuild->root ? without(kbuild->cwd, kbuild->root) : g_strdup(kbuild->cwd);
}

static void localize(const KmKbuild *kbuild, KmRecipe *recipe)
{
	if (!kbuild->root)
		return;
	for (char **word = recipe->argv; *word; word++)
		take_away(word, kbuild->root);
	take_away(&recipe->source, kbuild->root);
	take_away(&recipe->dir, kbuild->root);
	take_away(&recipe->object, kbuild->root);
	gsize length = strlen(kbuild->outside);
	if (g_str_has_prefix(recipe->object, kbuild->outside) && recipe->object[length] == '/')
		memmove(recipe->object, recipe->object + length + 1, strlen(recipe->object + length + 1) + 1);
}

/* The directory whose makefiles are read, as kbuild names it. Caller owns. */
static char *place(const KmKbuild *kbuild)
{
	return kbuild->outside ? g_strconcat(kbuild->root, kbuild->outside, NULL) : g_strdup(kbuild->source);
}

/* An answer about a directory that comes and goes must not be remembered. */
static gboolean remembers(const KmKbuild *kbuild)
{
	return kbuild->dir && !kbuild->outside;
}

/* ---- recipes ---- */

static char *memory_name(const char *object)
{
	g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, object, -1);
	return g_strdup_printf("recipe-%.32s.json", sum);
}

static void remember_recipe(const KmKbuild *kbuild, const KmRecipe *recipe)
{
	g_autofree char *name = memory_name(recipe->object);
	json_t *root = json_object();
	json_object_set_new(root, "object", json_string(recipe->object));
	json_object_set_new(root, "source", json_string(recipe->source));
	json_object_set_new(root, "dir", json_string(recipe->dir));
	json_object_set_new(root, "builtin", json_boolean(recipe->builtin));
	json_object_set_new(root, "module", json_boolean(recipe->module));
	json_object_set_new(root, "modname", json_string(recipe->modname));
	json_object_set_new(root, "modules", json_string(recipe->modules));
	json_object_set_new(root, "argv", strv_to_json(recipe->argv));
	if (recipe->objtool)
		json_object_set_new(root, "objtool", strv_to_json(recipe->objtool));
	km_kbuild_remember(kbuild, name, root);
}

static char *get_string(const json_t *root, const char *key)
{
	return g_strdup(json_string_value(json_object_get(root, key)));
}

static KmRecipe *recall_recipe(const KmKbuild *kbuild, const char *object)
{
	g_autofree char *name = memory_name(object);
	json_t *root = km_kbuild_recall(kbuild, name);
	if (!root)
		return NULL;
	g_autoptr(KmRecipe) recipe = g_new0(KmRecipe, 1);
	recipe->object = get_string(root, "object");
	recipe->source = get_string(root, "source");
	recipe->dir = get_string(root, "dir");
	recipe->modname = get_string(root, "modname");
	recipe->modules = get_string(root, "modules");
	recipe->builtin = json_is_true(json_object_get(root, "builtin"));
	recipe->module = json_is_true(json_object_get(root, "module"));
	recipe->argv = strv_from_json(json_object_get(root, "argv"));
	recipe->objtool = strv_from_json(json_object_get(root, "objtool"));
	json_decref(root);
	gboolean whole =
		recipe->object && recipe->source && recipe->dir && recipe->modname && recipe->modules && recipe->argv;
	return whole && !strcmp(recipe->object, object) ? g_steal_pointer(&recipe) : NULL;
}

/* Repeat the captured invocation with these targets and extra arguments. */
static KmRunResult *replay(const KmKbuild *kbuild, GPtrArray *objects, const char *const *extra, char **env,
			   GError **error)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	g_strv_builder_add(builder, "make");
	g_strv_builder_addv(builder, (const char **)kbuild->args);
	g_strv_builder_addv(builder, (const char **)extra);
	for (guint i = 0; i < objects->len; i++) {
		g_autofree char *target = g_strconcat(kbuild->prefix, objects->pdata[i], NULL);
		g_strv_builder_add(builder, target);
	}
	g_auto(GStrv) argv = g_strv_builder_end(builder);
	KmRunOptions options = { .cwd = kbuild->cwd, .env = (const char *const *)env, .clear_env = TRUE };
	return km_run((const char *const *)argv, &options, error);
}

/* A directory may be visited twice, and the pattern rule of an upper one may match: the one that lists the object counts. */
static const KmRecipe *best_recipe(const KmKbuild *kbuild, GPtrArray *recipes, const char *wanted)
{
	const KmRecipe *best = NULL;
	g_autofree char *target = g_strconcat(kbuild->prefix, wanted, NULL);
	const char *object = g_str_has_prefix(target, "./") ? target + 2 : target;
	for (guint i = 0; i < recipes->len; i++) {
		const KmRecipe *recipe = recipes->pdata[i];
		if (strcmp(recipe->object, object))
			continue;
		if (!best || recipe->builtin || recipe->module)
			best = recipe;
	}
	return best;
}

static KmRecipe *steal_recipe(GPtrArray *recipes, const KmRecipe *recipe)
{
	guint index = 0;
	g_ptr_array_find(recipes, recipe, &index);
	return g_ptr_array_steal_index_fast(recipes, index);
}

/* Repeat it as a dry run. stay: NULL, or the directory whose makefile is not to hand targets on to those below it. */
static KmRunResult *replay_dry(const KmKbuild *kbuild, GPtrArray *targets, const char *stay, GError **error)
{
	/* -B: an object that is already there is still printed; -k: one that cannot be made does not hide the others. */
	const char *const extra[] = {
		"-n", "-B", "-k", "MAKE=make", "V=1", "KBUILD_CHECKSRC=1", "CHECK=" KM_RECIPE_CHECK, NULL
	};
	if (!kbuild->dir)
		return replay(kbuild, targets, extra, kbuild->env, error);
	g_autofree char *rules = g_build_filename(kbuild->dir, RULES_FILE, NULL);
	if (!km_write_file(rules, dry_rules, strlen(dry_rules), error))
		return NULL;
	g_auto(GStrv) env = g_environ_setenv(g_strdupv(kbuild->env), "MAKEFILES", rules, TRUE);
	env = g_environ_setenv(env, "KMEND_STAY", stay ? stay : "", TRUE);
	return replay(kbuild, targets, extra, env, error);
}

char *km_kbuild_lists(KmKbuild *kbuild, GPtrArray *targets, GError **error)
{
	g_autoptr(KmRunResult) result = replay_dry(kbuild, targets, NULL, error);
	if (!result)
		return NULL;
	if (!strstr(result->output, KM_KBUILD_LIST " "))
		return km_fail_null(error, "kbuild of %s does not tell its objects: %.400s",
				    kbuild->outside ? kbuild->outside : kbuild->source, g_strstrip(result->errors));
	if (!kbuild->outside)
		return g_steal_pointer(&result->output);
	g_autofree char *dir = place(kbuild), *above = g_strconcat(dir, "/", NULL);
	return without(result->output, above);
}

/* Ask for all of missing in one dry run and add what is found to answers. stay: see replay_dry(). */
static gboolean ask(KmKbuild *kbuild, GPtrArray *missing, const char *stay, GPtrArray *answers, GError **error)
{
	gboolean probe = remembers(kbuild);
	if (probe)
		g_ptr_array_add(missing, (char *)KM_KBUILD_PROBE);
	g_autoptr(KmRunResult) result = replay_dry(kbuild, missing, stay, error);
	g_ptr_array_set_size(missing, (gint)(missing->len - probe));
	if (!result)
		return FALSE;
	g_autoptr(GPtrArray) recipes = km_recipes_parse(result->output);
	/* Without the probe a missing answer would say nothing about the object. */
	if (probe && !best_recipe(kbuild, recipes, KM_KBUILD_PROBE))
		return km_fail(error, "kbuild of %s gives no compile commands: %.400s", kbuild->source,
			       g_strstrip(result->errors));
	if (kbuild->outside && !recipes->len && result->status)
		return km_refuse(error, "%s: its makefiles do not work with this kernel's kbuild: %.400s",
				 kbuild->outside, g_strstrip(result->errors));
	for (guint i = 0; i < missing->len; i++) {
		const KmRecipe *recipe = best_recipe(kbuild, recipes, missing->pdata[i]);
		if (!recipe)
			continue;
		if (remembers(kbuild))
			remember_recipe(kbuild, recipe);
		KmRecipe *answer = steal_recipe(recipes, recipe);
		localize(kbuild, answer);
		g_ptr_array_add(answers, answer);
	}
	return TRUE;
}

/* Does the makefile of dir speak of this file? */
static gboolean is_mentioned(const KmKbuild *kbuild, const char *dir, const char *name)
{
	static const char *const makefiles[] = { "Kbuild", "Makefile" };
	g_autofree char *top = place(kbuild);
	for (gsize i = 0; i < G_N_ELEMENTS(makefiles); i++) {
		g_autofree char *path = g_build_filename(top, dir, makefiles[i], NULL);
		g_autofree char *text = NULL;
		if (g_file_get_contents(path, &text, NULL, NULL) && strstr(text, name))
			return TRUE;
	}
	return FALSE;
}

static KmRecipe *find_recipe(GPtrArray *recipes, const char *object)
{
	for (guint i = 0; i < recipes->len; i++)
		if (!strcmp(((KmRecipe *)recipes->pdata[i])->object, object))
			return recipes->pdata[i];
	return NULL;
}

/*
 * A makefile can list an object of a directory below it that has a makefile of its own. kbuild hands the question on to that
 * one, which knows nothing of it. So ask the upper ones themselves, those that mention it.
 */
static gboolean ask_above(KmKbuild *kbuild, const char *object, GPtrArray *answers, GError **error)
{
	g_autoptr(GPtrArray) one = g_ptr_array_new();
	g_ptr_array_add(one, (char *)object);
	g_autofree char *top = place(kbuild), *dir = g_path_get_dirname(object);
	/* The kernel's top makefile lists no objects. */
	while (strchr(dir, '/') || (kbuild->outside && strcmp(dir, "."))) {
		char *above = g_path_get_dirname(dir);
		g_free(dir);
		dir = above;
		const char *name = strcmp(dir, ".") ? object + strlen(dir) + 1 : object;
		if (!is_mentioned(kbuild, dir, name))
			continue;
		g_autofree char *there = strcmp(dir, ".") ? g_build_filename(top, dir, NULL) : g_strdup(top);
		g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)km_recipe_free);
		if (!ask(kbuild, one, kbuild->outside ? there : dir, found, error))
			return FALSE;
		KmRecipe *recipe = find_recipe(found, object);
		if (!recipe || !(recipe->builtin || recipe->module))
			continue;
		KmRecipe *useless = find_recipe(answers, object);
		if (useless)
			g_ptr_array_remove_fast(answers, useless);
		g_ptr_array_add(answers, steal_recipe(found, recipe));
		return TRUE;
	}
	return TRUE;
}

GPtrArray *km_kbuild_recipes(KmKbuild *kbuild, const char *const *objects, GError **error)
{
	g_autoptr(GPtrArray) answers = g_ptr_array_new_with_free_func((GDestroyNotify)km_recipe_free);
	g_autoptr(GPtrArray) missing = g_ptr_array_new();
	for (const char *const *object = objects; *object; object++) {
		KmRecipe *recipe = remembers(kbuild) ? recall_recipe(kbuild, *object) : NULL;
		g_ptr_array_add(recipe ? answers : missing, recipe ? (gpointer)recipe : (gpointer)*object);
	}
	if (missing->len && !ask(kbuild, missing, NULL, answers, error))
		return NULL;
	for (guint i = 0; kbuild->dir && i < missing->len; i++) {
		const KmRecipe *recipe = find_recipe(answers, missing->pdata[i]);
		if (!(recipe && (recipe->builtin || recipe->module)) &&
		    !ask_above(kbuild, missing->pdata[i], answers, error))
			return NULL;
	}
	return g_steal_pointer(&answers);
}

/* MAKEFLAGS without -n: its first word holds the letters of the short options. */
static char *drop_dry_run(const char *flags)
{
	GString *out = g_string_new(NULL);
	gsize first = strcspn(flags, " ");
	gboolean letters = *flags != '-' && !memchr(flags, '=', first);
	for (gsize i = 0; flags[i]; i++)
		if (!(letters && i < first && flags[i] == 'n'))
			g_string_append_c(out, flags[i]);
	return g_string_free(out, FALSE);
}

/*
 * Files that a pattern rule makes with a host program (scripts/Makefile.build): where the program is missing, make says that there is no
 * rule for the file.
 */
static const struct {
	const char *ending, *program;
} pattern_rules[] = {
	{ ".asn1.h", "scripts/asn1_compiler" },
	{ ".asn1.c", "scripts/asn1_compiler" },
};

/* What make says it has no rule for, as a path in the tree; NULL: it misses nothing like that. */
static char *missing_program(const char *errors)
{
	static const char words[] = "No rule to make target '";
	const char *start = strstr(errors, words);
	start = start ? start + strlen(words) : NULL;
	const char *end = start ? strchr(start, '\'') : NULL;
	if (!end || *start == '/')
		return NULL;
	g_autofree char *name = g_strndup(start, (gsize)(end - start));
	for (gsize i = 0; i < G_N_ELEMENTS(pattern_rules); i++)
		if (g_str_has_suffix(name, pattern_rules[i].ending))
			return g_strdup(pattern_rules[i].program);
	return strchr(name, '/') ? km_tree_path("", name) : NULL;
}

/*
 * By the makefile of its own directory. Host programs of other directories are made by the top makefile before all else; here, when one proves
 * to be missing. And to directories that are linked as libraries nobody hands a target on: the pattern rule of the one above makes it, without
 * what its own makefile says it needs.
 */
static void make_there(const KmKbuild *kbuild, const char *target, char **env)
{
	g_autofree char *dir = g_path_get_dirname(target);
	g_autofree char *obj = g_strconcat("obj=", dir, NULL);
	const char *const extra[] = { "MAKE=make", obj, NULL };
	g_autoptr(GPtrArray) targets = g_ptr_array_new();
	g_ptr_array_add(targets, (char *)target);
	km_run_result_free(replay(kbuild, targets, extra, env, NULL));
}

void km_kbuild_make(KmKbuild *kbuild, const char *object)
{
	const char *const extra[] = { "MAKE=make", NULL };
	g_autofree char *lock_path = g_build_filename(kbuild->dir, "lock", NULL);
	KmLock *lock = km_lock_new(lock_path, NULL);
	const char *flags = g_environ_getenv(kbuild->env, "MAKEFLAGS");
	g_autofree char *real = drop_dry_run(flags ? flags : "");
	g_auto(GStrv) env = g_environ_setenv(g_strdupv(kbuild->env), "MAKEFLAGS", real, TRUE);
	g_autoptr(GPtrArray) objects = g_ptr_array_new();
	g_ptr_array_add(objects, (char *)object);
	for (guint i = 0; i < MAX_PROGRAMS; i++) {
		g_autoptr(KmRunResult) result = replay(kbuild, objects, extra, env, NULL);
		g_autofree char *program = result ? missing_program(result->errors) : NULL;
		if (!program)
			break;
		make_there(kbuild, program, env);
	}
	make_there(kbuild, object, env);
	km_lock_free(lock);
}
