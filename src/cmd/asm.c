/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend asm: put entries into a compiler's assembly listing. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "listing/pad.h"
#include "listing/wrap.h"

#define MAX_NOPS 65535 /* as gcc */

typedef struct {
	char *pad, *arch, *output, *assembler;
	char **skip, **callees, **plain;
	gboolean before, hook, nop_hook, no_record, call_nops, global;
	KmPad what;
	const KmArch *target;
} Options;

static void options_clear(Options *o)
{
	g_free(o->pad);
	g_free(o->arch);
	g_free(o->output);
	g_free(o->assembler);
	g_strfreev(o->skip);
	g_strfreev(o->callees);
	g_strfreev(o->plain);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

/* "N" or "N,M" */
static gboolean read_pad(Options *o, GError **error)
{
	guint64 total, before = 0;
	g_auto(GStrv) part = g_strsplit(o->pad, ",", 2);
	if (!part[0] || !g_ascii_string_to_unsigned(part[0], 10, 0, MAX_NOPS, &total, NULL) ||
	    (part[1] && !g_ascii_string_to_unsigned(part[1], 10, 0, total, &before, NULL))) {
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE,
			    "--pad %s: wanted is N or N,M: so many NOPs, and of them so many before the label", o->pad);
		return FALSE;
	}
	o->what.total = (guint)total;
	o->what.before = (guint)before;
	return TRUE;
}

static gboolean settle(Options *o, GError **error)
{
	int entries = (o->pad != NULL) + o->before + o->hook + o->nop_hook;
	if (entries > 1 || !(entries || o->call_nops)) {
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE,
			    "one of --pad, --pad-before, --hook and --nop-hook is needed, or --call-nops; see `kmend "
			    "asm --help`");
		return FALSE;
	}
	o->what.kind = o->hook ? KM_PAD_HOOK : o->nop_hook ? KM_PAD_HOOK_NOPS : KM_PAD_NOPS;
	o->what.record = !o->no_record;
	o->what.at_global = o->global;
	o->what.skip = (const char *const *)o->skip;
	o->target = o->arch ? km_arch_by_name(o->arch) : km_arch_host();
	if (!o->target) {
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE, "unknown architecture %s",
			    o->arch ? o->arch : "of this machine; give --arch");
		return FALSE;
	}
	return !o->pad || read_pad(o, error);
}

static gboolean parse(int *argc, char ***argv, Options *o, GError **error)
{
	const GOptionEntry entries[] = {
		{ "pad", 0, 0, G_OPTION_ARG_STRING, &o->pad, "Leave room: N NOPs, M of them before the label",
		  "N[,M]" },
		{ "pad-before", 0, 0, G_OPTION_ARG_NONE, &o->before, "arm64: one NOP at the label, the room before it",
		  NULL },
		{ "hook", 0, 0, G_OPTION_ARG_NONE, &o->hook, "Call the tracer's hook", NULL },
		{ "nop-hook", 0, 0, G_OPTION_ARG_NONE, &o->nop_hook, "Leave room for that call in its place", NULL },
		{ "no-record", 0, 0, G_OPTION_ARG_NONE, &o->no_record, "Record nothing", NULL },
		{ "skip", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->skip,
		  "Leave out functions of such a name (* and ?; may be repeated)", "PATTERN" },
		{ "global-entry", 0, 0, G_OPTION_ARG_NONE, &o->global,
		  "ppc64le: room at the global entry, as GCC 12 leaves it", NULL },
		{ "call-nops", 0, 0, G_OPTION_ARG_NONE, &o->call_nops,
		  "ppc64le: a NOP after each call, for the loader to restore the TOC", NULL },
		{ "callee", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->callees,
		  "Only after calls of this function (may be repeated)", "NAME" },
		{ "arch", 0, 0, G_OPTION_ARG_STRING, &o->arch, "Of the listing (default: this machine's)", "ARCH" },
		{ "output", 'o', 0, G_OPTION_ARG_FILENAME, &o->output, "Write there (default: standard output)",
		  "FILE" },
		{ "as", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &o->assembler, "Stand for this assembler",
		  "FILE" },
		{ "plain", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME_ARRAY, &o->plain, "Leave this input alone",
		  "FILE" },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	return km_cmd_parse(argc, argv, "[LISTING.s] | -- COMPILER [ARGUMENT...]",
			    "Puts entries into the functions of an assembly listing that gcc or clang wrote, or into "
			    "all that a compiler makes.",
			    entries, error) &&
	       settle(o, error);
}

/* The listing with entries. NULL: error. */
static GString *transform(const Options *o, const char *text, gsize size, GError **error)
{
	g_autoptr(KmListing) listing = km_listing_new(text, size, o->target->entry->text->comments);
	gboolean pad = o->pad || o->before || o->hook || o->nop_hook;
	KmPad what = o->what;
	if (o->call_nops && !o->target->entry->toc)
		return km_refuse_null(error, "--call-nops is for ppc64le; on %s no call needs it", o->target->name);
	if (o->before && !km_pad_before(o->target, &what, error))
		return NULL;
	if (listing->by_hand)
		return g_string_new_len(text, (gssize)size);
	if ((pad && !km_pad(listing, o->target, &what, error)) ||
	    (o->call_nops && !km_call_nops(listing, (const char *const *)o->callees, error)))
		return NULL;
	return km_listing_text(listing);
}

static GString *transform_file(const Options *o, const char *path, GError **error)
{
	gsize size;
	g_autoptr(GBytes) bytes = km_read_input(path, error);
	const char *text = bytes ? g_bytes_get_data(bytes, &size) : NULL;
	if (!bytes)
		return NULL;
	if (size && memchr(text, 0, size))
		return km_fail_null(error, "%s is no assembly listing: there are zero bytes in it", path);
	GString *result = transform(o, text ? text : "", size, error);
	if (!result)
		g_prefix_error(error, "%s: ", path);
	return result;
}

static gboolean filter(const Options *o, const char *path, GError **error)
{
	GString *text = transform_file(o, path, error);
	if (!text)
		return FALSE;
	gboolean ok = o->output ? km_write_file(o->output, text->str, text->len, error)
				: fwrite(text->str, 1, text->len, stdout) == text->len;
	g_string_free(text, TRUE);
	return ok || (o->output ? FALSE : km_fail(error, "cannot write to standard output: %s", g_strerror(errno)));
}

static gboolean is_plain(const Options *o, const char *path)
{
	return o->plain && g_strv_contains((const char *const *)o->plain, path);
}

/* In the place of the assembler, with its arguments. */
static gboolean assemble(const Options *o, const char *const *argv, int *status, GError **error)
{
	int input = km_wrap_input(argv);
	g_autoptr(KmTempDir) temp = km_tempdir_new(NULL, "kmend-as", error);
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	if (!temp)
		return FALSE;
	g_autofree char *path = g_build_filename(temp->path, "listing.s", NULL);
	g_ptr_array_add(words, o->assembler);
	for (int i = 0; argv[i]; i++)
		if (strcmp(argv[i], "-") || i + 1 == input)
			g_ptr_array_add(words, i == input && !is_plain(o, argv[i]) ? path : (gpointer)argv[i]);
	if (input < 0)
		g_ptr_array_add(words, path);
	g_ptr_array_add(words, NULL);
	if (input >= 0 && is_plain(o, argv[input]))
		return km_wrap_exec((const char *const *)words->pdata, status, error);
	GString *text = transform_file(o, input < 0 ? "-" : argv[input], error);
	gboolean ok = text && km_write_file(path, text->str, text->len, error) &&
		      km_wrap_exec((const char *const *)words->pdata, status, error);
	if (text)
		g_string_free(text, TRUE);
	return ok;
}

/* Our own options once more, for the one of us that stands for the assembler. argv: up to "--". */
static GPtrArray *own_options(int argc, char **argv)
{
	GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
	for (int i = 1; i < argc; i++)
		g_ptr_array_add(words, g_strdup(argv[i]));
	g_ptr_array_add(words, NULL);
	return words;
}

static gboolean wrap(const GPtrArray *options, const char *const *command, int *status, GError **error)
{
	g_autoptr(KmWrapped) wrapped = km_wrapped_new(command, error);
	return wrapped && km_wrapped_run(wrapped, command, (const char *const *)options->pdata, status, error);
}

gboolean km_cmd_asm(int argc, char **argv, int *exit_code, GError **error)
{
	int own = 0;
	g_auto(Options) o = { 0 };
	while (own < argc && strcmp(argv[own], "--"))
		own++;
	const char *const *command = own < argc ? (const char *const *)argv + own + 1 : NULL;
	g_autoptr(GPtrArray) options = own_options(own, argv);
	g_autofree char **ours = g_new0(char *, (gsize)own + 1);
	memcpy(ours, argv, (gsize)own * sizeof(*ours));
	char **left = ours;
	if (!parse(&own, &left, &o, error))
		return FALSE;
	if ((command && own > 1) || (!command && own > 2) || (command && !command[0] && !o.assembler) ||
	    (command && o.output)) {
		g_set_error(error, KM_ERROR, KM_ERROR_USAGE,
			    "wanted is one listing, or -- and a compiler; see `kmend asm --help`");
		return FALSE;
	}
	if (o.assembler && command)
		return assemble(&o, command, exit_code, error);
	return command ? wrap(options, command, exit_code, error) : filter(&o, own == 2 ? left[1] : "-", error);
}
