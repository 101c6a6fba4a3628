/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "listing/wrap.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"

void km_wrapped_free(KmWrapped *wrapped)
{
	if (!wrapped)
		return;
	g_free(wrapped->assembler);
	g_free(wrapped);
}

/* ---- asking ---- */

/* What the compiler says to question, for the target that its arguments choose. Caller owns it. */
static char *ask(const char *const *argv, const char *question, GError **error)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	g_ptr_array_add(words, (gpointer)argv[0]);
	for (guint i = 1; argv[i]; i++) {
		gboolean pair = !strcmp(argv[i], "-target") && argv[i + 1];
		if (!pair && !g_str_has_prefix(argv[i], "--target=") && !g_str_has_prefix(argv[i], "-m"))
			continue;
		g_ptr_array_add(words, (gpointer)argv[i]);
		if (pair)
			g_ptr_array_add(words, (gpointer)argv[++i]);
	}
	g_ptr_array_add(words, (gpointer)question);
	g_ptr_array_add(words, NULL);
	char *answer = km_run_checked((const char *const *)words->pdata, NULL, error);
	return answer ? g_strchomp(answer) : NULL;
}

static const KmArch *arch_of(const char *triplet)
{
	for (const KmArch *const *a = km_arch_all(); *a; a++) {
		gsize n = strcspn((*a)->triplet, "-");
		if (!strncmp(triplet, (*a)->triplet, n) && triplet[n] == '-')
			return *a;
	}
	return NULL;
}

char *km_wrap_assembler(const KmArch *arch)
{
	g_autofree char *own = g_strconcat(arch->triplet, "-as", NULL);
	char *found = g_find_program_in_path(own);
	return found || arch != km_arch_host() ? found : g_find_program_in_path("as");
}

KmWrapped *km_wrapped_new(const char *const *argv, GError **error)
{
	g_autofree char *version = ask(argv, "--version", error);
	g_autofree char *triplet = version ? ask(argv, "-dumpmachine", error) : NULL;
	g_autofree char *named = triplet ? ask(argv, "-print-prog-name=as", error) : NULL;
	if (!named)
		return NULL;
	g_autoptr(KmWrapped) wrapped = g_new0(KmWrapped, 1);
	wrapped->clang = strstr(version, "clang") != NULL;
	wrapped->arch = arch_of(triplet);
	if (!wrapped->arch)
		return km_refuse_null(error, "%s compiles for %s, which is none of the architectures kmend knows",
				      argv[0], triplet);
	/* clang names the host's for every target. */
	wrapped->assembler = wrapped->clang ? km_wrap_assembler(wrapped->arch) : g_find_program_in_path(named);
	if (!wrapped->assembler)
		return km_fail_null(error, "%s wants the assembler %s, which is not there: install binutils for %s",
				    argv[0], named, triplet);
	return g_steal_pointer(&wrapped);
}

/* ---- running ---- */

gboolean km_wrap_exec(const char *const *argv, int *status, GError **error)
{
	g_autoptr(GSubprocess) process = g_subprocess_newv(argv, G_SUBPROCESS_FLAGS_STDIN_INHERIT, error);
	if (!process || !g_subprocess_wait(process, NULL, error)) {
		g_prefix_error(error, "cannot run %s: ", argv[0]);
		return FALSE;
	}
	*status = g_subprocess_get_if_exited(process) ? g_subprocess_get_exit_status(process)
						      : 128 + g_subprocess_get_term_sig(process);
	return TRUE;
}

/* Assembly that the user hands over was not written by the compiler. */
static void add_plain(GString *script, const char *const *argv)
{
	for (guint i = 1; argv[i]; i++) {
		g_autofree char *quoted = g_str_has_suffix(argv[i], ".s") ? g_shell_quote(argv[i]) : NULL;
		if (quoted)
			g_string_append_printf(script, " --plain %s", quoted);
	}
}

/* The program that the compiler takes for its assembler. */
static gboolean write_script(const KmWrapped *wrapped, const char *dir, const char *const *argv,
			     const char *const *options, GError **error)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", error), *path = g_build_filename(dir, "as", NULL);
	if (!self)
		return FALSE;
	g_autoptr(GString) script = g_string_new("#!/bin/sh\nexec ");
	g_autofree char *quoted_self = g_shell_quote(self), *quoted_as = g_shell_quote(wrapped->assembler);
	g_string_append_printf(script, "%s asm", quoted_self);
	for (guint i = 0; options[i]; i++) {
		g_autofree char *quoted = g_shell_quote(options[i]);
		g_string_append_printf(script, " %s", quoted);
	}
	add_plain(script, argv);
	g_string_append_printf(script, " --arch %s --as %s -- \"$@\"\n", wrapped->arch->name, quoted_as);
	if (!km_write_file(path, script->str, script->len, error))
		return FALSE;
	return !g_chmod(path, 0755) || km_fail(error, "cannot make %s executable: %s", path, g_strerror(errno));
}

/* gcc itself switches that off where it leaves room: who traces a function may use registers that the function does not. Before GCC 5 there was no such thing. */
#define NO_IPA_RA "-fno-ipa-ra"

static gboolean knows(const char *compiler, const char *option)
{
	const char *const argv[] = { compiler, option, "-E", "-x", "c", "/dev/null", NULL };
	g_autoptr(KmRunResult) result = km_run(argv, NULL, NULL);
	return result && result->status == 0;
}

gboolean km_wrapped_run(const KmWrapped *wrapped, const char *const *argv, const char *const *options, int *status,
			GError **error)
{
	g_autoptr(KmTempDir) temp = km_tempdir_new(NULL, "kmend-asm", error);
	if (!temp || !write_script(wrapped, temp->path, argv, options, error))
		return FALSE;
	g_autofree char *search = g_strdup_printf("-B%s/", temp->path);
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	g_ptr_array_add(words, (gpointer)argv[0]);
	g_ptr_array_add(words, search);
	if (wrapped->clang)
		g_ptr_array_add(words, (gpointer) "-no-integrated-as");
	else if (knows(argv[0], NO_IPA_RA))
		g_ptr_array_add(words, (gpointer)NO_IPA_RA);
	for (guint i = 1; argv[i]; i++)
		g_ptr_array_add(words, (gpointer)argv[i]);
	g_ptr_array_add(words, NULL);
	return km_wrap_exec((const char *const *)words->pdata, status, error);
}

int km_wrap_input(const char *const *argv)
{
	static const char *const valued[] = { "-o", "-I", "--MD", "--defsym", "-MD", NULL };
	int found = -1;
	for (int i = 0; argv[i]; i++) {
		if (g_strv_contains(valued, argv[i]) && argv[i + 1])
			i++;
		else if (argv[i][0] != '-')
			found = i;
	}
	return found;
}
