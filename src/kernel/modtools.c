/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a livepatch module is made with, found by asking kbuild how it would build an external module of one source file. Kept
 * in kernel->work/tools-<hash>, which appears by rename when all of it is there.
 */
#include "kernel/unit.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/complaint.h"
#include "kernel/kbuild.h"

#define TEMPLATE "kmend_template"

void km_module_tools_free(KmModuleTools *tools)
{
	if (!tools)
		return;
	g_free(tools->template_object);
	g_strfreev(tools->objtool_argv);
	g_free(tools->cwd);
	g_free(tools);
}

static json_t *strv_to_json(char **strings)
{
	json_t *array = json_array();
	for (char **s = strings; s && *s; s++)
		json_array_append_new(array, json_string(*s));
	return array;
}

static char **strv_from_json(const json_t *array)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *string = json_string_value(json_array_get(array, i));
		if (string)
			g_strv_builder_add(builder, string);
	}
	return g_strv_builder_end(builder);
}

/* NULL when it cannot be read. */
static char *checksum_of(const char *path)
{
	g_autoptr(GBytes) bytes = km_read_file(path, NULL);
	return bytes ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes) : NULL;
}

/* NULL also when something there is not what was written: a power failure can leave the name without the content. */
static KmModuleTools *load(const char *dir)
{
	g_autofree char *path = g_build_filename(dir, "tools.json", NULL);
	json_t *root = json_load_file(path, 0, NULL);
	if (!root)
		return NULL;
	KmModuleTools *tools = g_new0(KmModuleTools, 1);
	const json_t *objtool = json_object_get(root, "objtool");
	tools->template_object = g_build_filename(dir, TEMPLATE ".o", NULL);
	tools->objtool_argv = json_is_array(objtool) ? strv_from_json(objtool) : NULL;
	tools->cwd = g_strdup(json_string_value(json_object_get(root, "cwd")));
	g_autofree char *noted = g_strdup(json_string_value(json_object_get(root, "checksum")));
	g_autofree char *found = checksum_of(tools->template_object);
	json_decref(root);
	if (tools->cwd && found && !g_strcmp0(noted, found))
		return tools;
	km_module_tools_free(tools);
	return NULL;
}

static gboolean write_text(const char *dir, const char *name, const char *text, GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	return km_write_file(path, text, strlen(text), error);
}

/* Where the module's directory shows in a command, put a name that does not depend on it. */
static char **hide_dir(char **flags)
{
	for (char **flag = flags; *flag; flag++) {
		if (!g_str_has_prefix(*flag, "-DKBUILD_MODFILE="))
			continue;
		g_free(*flag);
		*flag = g_strdup("-DKBUILD_MODFILE=\"" TEMPLATE "\"");
	}
	return flags;
}

static gboolean compile_template(const KmKbuild *kbuild, const KmRecipe *recipe, const char *dir, GError **error)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	g_auto(GStrv) flags = hide_dir(km_recipe_flags(recipe));
	g_autofree char *map = g_strdup_printf("-fmacro-prefix-map=%s/=", dir);
	g_autofree char *object = g_build_filename(dir, TEMPLATE ".o", NULL);
	g_autofree char *source = g_build_filename(dir, TEMPLATE ".c", NULL);
	g_strv_builder_addv(builder, (const char **)flags);
	g_strv_builder_add_many(builder, "-g0", map, "-c", "-o", object, source, NULL);
	g_auto(GStrv) argv = g_strv_builder_end(builder);
	g_auto(GStrv) env = km_tool_env();
	KmRunOptions options = {
		.cwd = kbuild->cwd, .env = (const char *const *)env, .clear_env = TRUE, .merge_stderr = TRUE
	};
	g_autoptr(KmRunResult) result = km_run((const char *const *)argv, &options, error);
	if (!result)
		return FALSE;
	if (result->status == 0)
		return TRUE;
	g_autofree char *words = km_first_error(result->output, kbuild->source);
	return km_fail(error, "the template of livepatch modules does not compile for this kernel: %s", words);
}

/* Does this objtool know the option? Its help lists them. */
static gboolean objtool_knows(const char *objtool, const char *cwd, const char *option)
{
	const char *argv[] = { objtool, "--help", NULL };
	KmRunOptions options = { .cwd = cwd, .merge_stderr = TRUE };
	g_autoptr(KmRunResult) result = km_run(argv, &options, NULL);
	g_autofree char *listed = g_strconcat(option, " ", NULL);
	return result && strstr(result->output, listed);
}

/*
 * kbuild's objtool command for the template, made fit for a linked module: it may leave out --link where it runs objtool on each
 * object. NULL with no error set: this kernel uses no objtool.
 */
static char **objtool_command(const KmKbuild *kbuild, const KmRecipe *recipe, GError **error)
{
	static const char *const wanted[] = { "--link", "--module" };
	if (!recipe->objtool)
		return NULL;
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	guint n = g_strv_length(recipe->objtool);
	g_autofree char *program = g_canonicalize_filename(recipe->objtool[0], kbuild->build);
	if (!g_file_test(program, G_FILE_TEST_IS_EXECUTABLE))
		return km_fail_null(error,
				    "this kernel needs objtool, and %s is not there: its build tools are incomplete",
				    program);
	g_strv_builder_add(builder, program);
	for (guint i = 1; i + 1 < n; i++)
		g_strv_builder_add(builder, recipe->objtool[i]);
	for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++)
		if (!g_strv_contains((const char *const *)recipe->objtool, wanted[i]) &&
		    objtool_knows(program, kbuild->build, wanted[i]))
			g_strv_builder_add(builder, wanted[i]);
	return g_strv_builder_end(builder);
}

static gboolean write_description(const KmKbuild *kbuild, char **objtool, const char *dir, GError **error)
{
	json_t *root = json_object();
	g_autofree char *object = g_build_filename(dir, TEMPLATE ".o", NULL);
	g_autofree char *checksum = checksum_of(object);
	json_object_set_new(root, "checksum", checksum ? json_string(checksum) : json_null());
	json_object_set_new(root, "cwd", json_string(kbuild->build));
	json_object_set_new(root, "objtool", objtool ? strv_to_json(objtool) : json_null());
	char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	gboolean ok = text ? write_text(dir, "tools.json", text, error)
			   : km_fail(error, "cannot describe the module tools in %s: a path is not UTF-8", dir);
	free(text);
	return ok;
}

/* Make everything in dir. */
static gboolean prepare(KmKernel *kernel, const char *source, const char *dir, GError **error)
{
	if (!write_text(dir, TEMPLATE ".c", source, error) ||
	    !write_text(dir, "Kbuild", "obj-m := " TEMPLATE ".o\n", error))
		return FALSE;
	const char *const objects[] = { TEMPLATE ".o", NULL };
	g_autoptr(KmKbuild) kbuild = km_kbuild_new_external(kernel, dir, objects[0], error);
	g_autoptr(GPtrArray) recipes = kbuild ? km_kbuild_recipes(kbuild, objects, error) : NULL;
	if (!recipes)
		return FALSE;
	const KmRecipe *recipe = recipes->len ? recipes->pdata[0] : NULL;
	if (!recipe || !recipe->module)
		return km_fail(
			error,
			"kbuild of %s does not tell how it builds a module: are modules enabled in its configuration?",
			kbuild->source);
	g_autoptr(GError) local = NULL;
	g_auto(GStrv) objtool = objtool_command(kbuild, recipe, &local);
	if (local) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (!compile_template(kbuild, recipe, dir, error) || !write_description(kbuild, objtool, dir, error))
		return FALSE;
	/* A cache may be prepared by one user and read by others. */
	return g_chmod(dir, 0755) == 0 || km_fail(error, "cannot open %s to others: %s", dir, g_strerror(errno));
}

static char *tools_dir(KmKernel *kernel, const char *source, GError **error)
{
	g_autoptr(KmKbuild) kbuild = km_kbuild_new(kernel, error);
	if (!kbuild)
		return NULL;
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	g_checksum_update(sum, (const guchar *)kbuild->key, -1);
	g_checksum_update(sum, (const guchar *)source, -1);
	return g_strdup_printf("%s/tools-%.32s", kernel->work, g_checksum_get_string(sum));
}

KmModuleTools *km_module_tools(KmKernel *kernel, const char *source, GError **error)
{
	g_autofree char *final = tools_dir(kernel, source, error);
	if (!final)
		return NULL;
	km_tempdir_sweep(kernel->work, "template");
	KmModuleTools *tools = load(final);
	if (tools)
		return tools;
	g_autoptr(KmTempDir) temp = km_tempdir_new(kernel->work, "template", error);
	if (!temp || !prepare(kernel, source, temp->path, error))
		return NULL;
	/* Somebody else may have been faster, and theirs is as good; one that does not load is in the way. */
	if (g_rename(temp->path, final) && !(tools = load(final))) {
		if (!km_remove_tree(final, error))
			return NULL;
		if (g_rename(temp->path, final))
			return km_fail_null(error, "cannot write %s: %s", final, g_strerror(errno));
	}
	if (tools)
		return tools;
	tools = load(final);
	return tools ? tools : km_fail_null(error, "cannot read back the module tools in %s", final);
}
