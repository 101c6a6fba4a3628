/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/recipe.h"

#include <string.h>

void km_recipe_free(KmRecipe *recipe)
{
	if (!recipe)
		return;
	g_free(recipe->object);
	g_free(recipe->source);
	g_free(recipe->dir);
	g_free(recipe->modname);
	g_free(recipe->modules);
	g_strfreev(recipe->argv);
	g_strfreev(recipe->objtool);
	g_free(recipe);
}

typedef struct {
	GPtrArray *commands; /* of char ** */
	GPtrArray *words; /* of the command being read */
	GString *word;
	gboolean in_word;
} Splitter;

static void end_word(Splitter *s)
{
	if (s->in_word)
		g_ptr_array_add(s->words, g_strdup(s->word->str));
	g_string_truncate(s->word, 0);
	s->in_word = FALSE;
}

static void end_command(Splitter *s)
{
	end_word(s);
	if (!s->words->len)
		return;
	g_ptr_array_add(s->words, NULL);
	g_ptr_array_add(s->commands, g_ptr_array_free(s->words, FALSE));
	s->words = g_ptr_array_new_with_free_func(g_free);
}

/* What stands between double quotes; returns the place after the closing one, or the end. */
static const char *take_double_quoted(Splitter *s, const char *p)
{
	for (; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1] && strchr("\\\"$`", p[1]))
			p++;
		g_string_append_c(s->word, *p);
	}
	return *p ? p + 1 : p;
}

static const char *take_single_quoted(Splitter *s, const char *p)
{
	const char *close = strchr(p, '\'');
	gsize size = close ? (gsize)(close - p) : strlen(p);
	g_string_append_len(s->word, p, (gssize)size);
	return p + size + (close != NULL);
}

static const char *take_one(Splitter *s, const char *p)
{
	if (strchr(" \t\r", *p)) {
		end_word(s);
		return p + 1;
	}
	if (strchr(";&|()<>\n", *p)) {
		end_command(s);
		return p + 1;
	}
	s->in_word = TRUE;
	if (*p == '"')
		return take_double_quoted(s, p + 1);
	if (*p == '\'')
		return take_single_quoted(s, p + 1);
	if (*p == '\\' && p[1])
		p++;
	g_string_append_c(s->word, *p);
	return p + 1;
}

GPtrArray *km_shell_commands(const char *line)
{
	Splitter s = {
		.commands = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev),
		.words = g_ptr_array_new_with_free_func(g_free),
		.word = g_string_new(NULL),
	};
	while (*line)
		line = take_one(&s, line);
	end_command(&s);
	g_ptr_array_unref(s.words);
	g_string_free(s.word, TRUE);
	return s.commands;
}

/* The object a compiler command makes: it has -c, -o OBJECT, and a C file as its last word. NULL: it is no such command. */
static const char *compiled_object(char **argv)
{
	const char *object = NULL;
	gboolean compiles = FALSE;
	guint n = g_strv_length(argv);
	for (guint i = 1; i < n; i++) {
		compiles |= !strcmp(argv[i], "-c");
		if (!strcmp(argv[i], "-o") && i + 1 < n)
			object = argv[i + 1];
	}
	return compiles && object && g_str_has_suffix(argv[n - 1], ".c") ? object : NULL;
}

static gboolean is_objtool(char **argv, const char *object)
{
	g_autofree char *base = g_path_get_basename(*argv);
	return !strcmp(base, "objtool") && !strcmp(argv[g_strv_length(argv) - 1], object);
}

/* Objects may be named with a leading "./" in one place and without it in another. */
static const char *plain_name(const char *object)
{
	while (g_str_has_prefix(object, "./"))
		object += 2;
	return object;
}

enum {
	MARK_NAME,
	MARK_OBJECT,
	MARK_DIR,
	MARK_NEED_BUILTIN,
	MARK_BUILTIN,
	MARK_MODULE,
	MARK_MODNAME,
	MARK_MODULES,
	MARK_COUNT
};

/* kmend-unit comes after the compiler's line: complete the recipe begun there. */
static void finish_recipe(GPtrArray *recipes, KmRecipe **open, char **mark)
{
	g_autoptr(KmRecipe) recipe = g_steal_pointer(open);
	if (!recipe || g_strv_length(mark) != MARK_COUNT || strcmp(plain_name(mark[MARK_OBJECT]), recipe->object))
		return;
	recipe->dir = g_strdup(mark[MARK_DIR]);
	/* A directory visited only for its modules does not bring its obj-y into the kernel. */
	recipe->builtin = *mark[MARK_BUILTIN] && *mark[MARK_NEED_BUILTIN];
	recipe->module = *mark[MARK_MODULE] && !recipe->builtin;
	recipe->modname = g_strdup(mark[MARK_MODNAME]);
	recipe->modules = g_strdup(mark[MARK_MODULES]);
	g_ptr_array_add(recipes, g_steal_pointer(&recipe));
}

static void read_command(GPtrArray *recipes, KmRecipe **open, char **argv)
{
	if (!strcmp(*argv, "kmend-unit")) {
		finish_recipe(recipes, open, argv);
		return;
	}
	const char *object = compiled_object(argv);
	if (object) {
		g_clear_pointer(open, km_recipe_free);
		*open = g_new0(KmRecipe, 1);
		(*open)->object = g_strdup(plain_name(object));
		(*open)->source = g_strdup(argv[g_strv_length(argv) - 1]);
		(*open)->argv = g_strdupv(argv);
	} else if (*open && is_objtool(argv, (*open)->object)) {
		g_strfreev((*open)->objtool);
		(*open)->objtool = g_strdupv(argv);
	}
}

GPtrArray *km_recipes_parse(const char *output)
{
	GPtrArray *recipes = g_ptr_array_new_with_free_func((GDestroyNotify)km_recipe_free);
	g_autoptr(KmRecipe) open = NULL;
	g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
	for (char **line = lines; *line; line++) {
		if (!strstr(*line, " -c ") && !strstr(*line, "kmend-unit"))
			continue;
		g_autoptr(GPtrArray) commands = km_shell_commands(*line);
		for (guint i = 0; i < commands->len; i++)
			read_command(recipes, &open, commands->pdata[i]);
	}
	return recipes;
}

/* How many words from here on do not belong to the flags: 0 for a flag to keep. */
static guint words_to_drop(const char *word)
{
	static const char *const alone[] = { "-c", "-MD", "-MMD", "-MP" };
	static const char *const with_value[] = { "-o", "-MF", "-MT", "-MQ" };
	for (gsize i = 0; i < G_N_ELEMENTS(alone); i++)
		if (!strcmp(word, alone[i]))
			return 1;
	for (gsize i = 0; i < G_N_ELEMENTS(with_value); i++)
		if (!strcmp(word, with_value[i]))
			return 2;
	return g_str_has_prefix(word, "-Wp,-MMD,") || g_str_has_prefix(word, "-Wp,-MD,");
}

char **km_recipe_flags(const KmRecipe *recipe)
{
	g_autoptr(GStrvBuilder) flags = g_strv_builder_new();
	guint n = g_strv_length(recipe->argv);
	for (guint i = 0; i + 1 < n;) {
		guint drop = words_to_drop(recipe->argv[i]);
		if (!drop)
			g_strv_builder_add(flags, recipe->argv[i]);
		i += drop ? drop : 1;
	}
	return g_strv_builder_end(flags);
}
