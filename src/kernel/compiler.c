/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/compiler.h"

#include <string.h>

#include "base/run.h"
#include "kernel/exact.h"

/* First word of text that is made of digits and dots only. */
char *km_compiler_version(const char *text)
{
	g_auto(GStrv) words = g_strsplit(text, " ", 0);
	for (guint i = 0; words[i]; i++)
		if (g_ascii_isdigit(*words[i]) && strspn(words[i], "0123456789.") == strlen(words[i]))
			return g_strdup(words[i]);
	return NULL;
}

/* What identifies a build of a compiler: everything after the command's own name. */
static const char *identity(const char *text)
{
	const char *space = strchr(text, ' ');
	return space ? space + 1 : "";
}

/* "clang version 14.0.6" and "Debian clang version 14.0.6": the family is in the text, not in the command. */
static const char *family(const char *text)
{
	return strstr(text, "clang") ? "clang" : "gcc";
}

static char *first_line(const char *command, const char *option)
{
	const char *env[] = { "LC_ALL=C", NULL };
	const KmRunOptions options = { .env = env };
	const char *argv[] = { command, option, NULL };
	g_autofree char *output = km_run_checked(argv, &options, NULL);
	if (!output)
		return NULL;
	char *end = strchr(output, '\n');
	return g_strndup(output, end ? (gsize)(end - output) : strlen(output));
}

/* gcc makes code for one machine; clang for all. */
static gboolean makes_code_for(const char *command, const KmArch *arch, const char *text)
{
	if (!strcmp(family(text), "clang"))
		return TRUE;
	g_autofree char *machine = first_line(command, "-dumpmachine");
	gsize cpu = strcspn(arch->triplet, "-");
	return machine && strcspn(machine, "-") == cpu && !strncmp(machine, arch->triplet, cpu);
}

/* The commands to try, best first. */
static GPtrArray *candidates(const char *text, const char *version, const KmArch *arch)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *major = g_strndup(version, strcspn(version, "."));
	g_autofree char *named = g_strndup(text, strcspn(text, " "));
	if (g_str_has_prefix(named, arch->triplet) || strstr(named, family(text)))
		g_ptr_array_add(list, g_path_get_basename(named));
	g_ptr_array_add(list, g_strdup_printf("%s-%s", family(text), major));
	g_ptr_array_add(list, g_strdup_printf("%s-%s-%s", arch->triplet, family(text), major));
	g_ptr_array_add(list, g_strdup_printf("%s-%s", arch->triplet, family(text)));
	g_ptr_array_add(list, g_strdup(family(text)));
	return list;
}

static char *package_name(const char *text, const char *version, const KmArch *arch)
{
	g_autofree char *major = g_strndup(version, strcspn(version, "."));
	if (arch == km_arch_host() || !strcmp(family(text), "clang"))
		return g_strdup_printf("%s-%s", family(text), major);
	char *package = g_strdup_printf("gcc-%s-%s", major, arch->triplet);
	return g_strdelimit(package, "_", '-');
}

/* Try one command: 2 when it is the very compiler, 1 when only its major version is the same, 0 when it will not do. */
static int rate(const char *command, const char *text, const char *version, const KmArch *arch, char **said)
{
	g_autofree char *path = g_find_program_in_path(command);
	g_autofree char *line = path ? first_line(command, "--version") : NULL;
	g_autofree char *found = line ? km_compiler_version(line) : NULL;
	if (!found || strcmp(family(line), family(text)) || !makes_code_for(command, arch, line))
		return 0;
	gsize major = strcspn(version, ".");
	if (strcspn(found, ".") != major || strncmp(found, version, major))
		return 0;
	gboolean same = !strcmp(identity(line), identity(text));
	*said = g_steal_pointer(&line);
	return same ? 2 : 1;
}

static void choose(KmKernel *kernel, const char *text, const char *version)
{
	g_autoptr(GPtrArray) list = candidates(text, version, kernel->arch);
	int best = 0;
	for (guint i = 0; i < list->len && best < 2; i++) {
		g_autofree char *said = NULL;
		int score = rate(list->pdata[i], text, version, kernel->arch, &said);
		if (score <= best)
			continue;
		best = score;
		g_free(kernel->compiler);
		g_free(kernel->compiler_note);
		kernel->compiler = g_strdup(list->pdata[i]);
		kernel->compiler_note =
			score == 2 ? NULL
				   : g_strdup_printf("the kernel was built by %s, %s is %s: the proof will tell", text,
						     kernel->compiler, said);
	}
}

/* The very compiler, where one that is only alike was found, or none. FALSE: it is not set up, or does not apply. */
static gboolean choose_exact(KmKernel *kernel, const char *text)
{
	g_autofree char *cache = km_kernel_cache_dir(NULL);
	g_autofree char *command = cache ? km_exact_find(cache, kernel->arch, text) : NULL;
	g_autofree char *missing = command ? km_exact_missing(kernel->arch, text) : NULL;
	if (!command)
		return FALSE;
	g_clear_pointer(&kernel->compiler, g_free);
	g_clear_pointer(&kernel->compiler_note, g_free);
	if (missing)
		kernel->compiler_problem = g_strdup_printf("kernel %s was built by %s, which is set up but cannot run "
							   "on this machine yet: `apt-get install %s`",
							   kernel->name, text, missing);
	else
		kernel->compiler = g_steal_pointer(&command);
	return TRUE;
}

/* What to do to get the very compiler, as the tail of a message; "" when it cannot be had. Caller owns. */
static char *advice(const KmKernel *kernel, const char *text)
{
	if (!km_exact_applies(kernel->arch, text))
		return g_strdup("");
	g_autofree char *missing = km_exact_missing(kernel->arch, text);
	if (!missing)
		return g_strdup_printf("; `kmend kernel fetch %s` sets up the very one", kernel->name);
	return g_strdup_printf("; `apt-get install %s`, then `kmend kernel fetch %s` sets up the very one", missing,
			       kernel->name);
}

static void find(KmKernel *kernel, const char *text, const char *version)
{
	choose(kernel, text, version);
	if ((kernel->compiler && !kernel->compiler_note) || choose_exact(kernel, text))
		return;
	g_autofree char *tail = advice(kernel, text);
	if (kernel->compiler_note) {
		char *whole = g_strconcat(kernel->compiler_note, tail, NULL);
		g_free(kernel->compiler_note);
		kernel->compiler_note = whole;
		return;
	}
	g_autofree char *package = package_name(text, version, kernel->arch);
	kernel->compiler_problem = *tail ? g_strdup_printf("kernel %s was built by %s, which is not on this machine%s",
							   kernel->name, text, tail)
					 : g_strdup_printf("kernel %s was built by %s, which is not on this machine: "
							   "`apt-get install %s`",
							   kernel->name, text, package);
}

void km_compiler_find(KmKernel *kernel)
{
	g_autofree char *text = km_kernel_config(kernel, "CC_VERSION_TEXT");
	g_autofree char *version = text ? km_compiler_version(text) : NULL;
	if (version)
		find(kernel, text, version);
	else
		kernel->compiler_problem =
			g_strdup_printf("%s names no compiler (CONFIG_CC_VERSION_TEXT)", kernel->config);
}

void km_compiler_provide(KmKernel *kernel, KmProgress *progress)
{
	g_autofree char *cache = km_kernel_cache_dir(NULL);
	g_autofree char *text = km_kernel_config(kernel, "CC_VERSION_TEXT");
	if (!cache || !text || !kernel->compiler_note || !km_exact_applies(kernel->arch, text))
		return;
	g_autofree char *missing = km_exact_missing(kernel->arch, text);
	if (missing)
		return;
	g_autoptr(GError) local = NULL;
	if (km_exact_provide(cache, kernel->arch, text, progress, &local)) {
		choose_exact(kernel, text);
		return;
	}
	g_free(kernel->compiler_note);
	kernel->compiler_note = g_strdup_printf("the kernel was built by %s, which cannot be set up: %s; %s is another "
						"build: the proof will tell",
						text, local->message, kernel->compiler);
}
