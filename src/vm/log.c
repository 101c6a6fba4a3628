/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm/log.h"

#include <string.h>

/* What fails a live patch when the message holds it at the start of a word. */
static const struct {
	const char *text;
	const char *unless; /* the message starts with this: something harmless that sounds alike */
} rules[] = {
	{ "BUG:", NULL },
	{ "kernel BUG at", NULL },
	{ "WARNING:", NULL },
	{ "Oops:", NULL },
	{ "Oops -", NULL },
	{ "Kernel panic", NULL },
	{ "Unable to handle kernel", NULL },
	{ "unable to handle", NULL },
	/* "traps: PROGRAM[PID] general protection fault" is a program's own */
	{ "general protection fault", "traps: " },
	{ "invalid opcode:", "traps: " },
	{ "divide error:", "traps: " },
	{ "stack segment:", "traps: " },
	{ "int3:", "traps: " },
	{ "double fault", NULL },
	{ "Call Trace:", NULL },
	{ "Call trace:", NULL },
	{ "INFO: task ", NULL }, /* hung task: "INFO: task NAME:PID blocked for more than" */
	{ "INFO: rcu", NULL },
	{ "detected stall", NULL },
	{ "detected stalls", NULL },
	{ "self-detected stall", NULL },
	{ "detected expedited stalls", NULL },
	{ "soft lockup", NULL },
	{ "hard LOCKUP", NULL },
	{ "INFO: possible", NULL }, /* lockdep */
	{ "INFO: inconsistent lock state", NULL },
	{ "INFO: suspicious RCU usage", NULL },
	{ "INFO: lockdep is turned off", NULL },
	{ "possible circular locking", NULL },
	{ "possible recursive locking", NULL },
	{ "inconsistent lock state", NULL },
	{ "suspicious RCU usage", NULL },
	{ "KASAN:", NULL },
	{ "KCSAN:", NULL },
	{ "KMSAN:", NULL },
	{ "KFENCE:", NULL },
	{ "UBSAN:", NULL },
	{ "CFI failure", NULL },
	{ "Missing ENDBR", NULL },
	{ "scheduling while atomic", NULL },
	{ "sleeping function called from invalid context", NULL },
	{ "Bad page state", NULL },
	{ "Bad page map", NULL },
	{ "Bad rss-counter state", NULL },
	{ "list_add corruption", NULL },
	{ "list_del corruption", NULL },
	{ "refcount_t:", NULL },
	{ "detected buffer overflow", NULL },
	{ "usercopy: Kernel memory", NULL },
	{ "kernel stack overflow", NULL },
	{ "unchecked MSR access", NULL },
	{ "unexpected static_call", NULL },
	{ "jump_label: Fatal", NULL },
	{ "Unpatched return thunk", NULL },
	{ "Out of memory:", NULL },
	{ "disagrees about version of symbol", NULL },
	{ "Unknown symbol", NULL },
};

/* After "livepatch:", what makes the core's message a complaint. */
static const char *const livepatch_words[] = {
	"fail",	  "not found", "unresolvable", "ambiguity",	  "not compatible", "invalid",	   "Invalid",
	"cannot", "can't",     "refusing",     "not initialized", "not marked",	    "unsupported", "error",
};

/* Bits of /proc/sys/kernel/tainted (Documentation/admin-guide/tainted-kernels.rst). */
static const char *const taints[] = {
	"proprietary module", "forced module load",  "out-of-spec CPU",	     "forced module unload",  "machine check",
	"bad page",	      "user request",	     "kernel died (oops)",   "overridden ACPI table", "kernel warning",
	"staging driver",     "firmware workaround", "out-of-tree module",   "unsigned module",	      "soft lockup",
	"live patch",	      "auxiliary taint",     "struct randomization", "in-kernel test",
};
#define TAINTS_OF_LOADING (1u << 12 | 1u << 13 | 1u << 15)

static gboolean word_start(const char *text, const char *at)
{
	return at == text || !(g_ascii_isalnum(at[-1]) || at[-1] == '_');
}

static gboolean holds(const char *message, const char *text)
{
	for (const char *at = message; (at = strstr(at, text)); at++)
		if (word_start(message, at))
			return TRUE;
	return FALSE;
}

/* "<4>" or "<12>": what dmesg -r and the console's raw mode put in front. */
static const char *skip_priority(const char *line)
{
	if (*line != '<' || !g_ascii_isdigit(line[1]))
		return line;
	const char *end = line + 1 + strspn(line + 1, "0123456789");
	return *end == '>' ? end + 1 : line;
}

const char *km_log_message(const char *line)
{
	const char *at = skip_priority(line);
	while (*at == '[') {
		gsize inside = strspn(at + 1, "0123456789. TC");
		if (!inside || at[inside + 1] != ']')
			break;
		at += inside + 2;
		while (*at == ' ')
			at++;
	}
	return at;
}

/* Firmware clears the screen with escape sequences. */
static void drop_controls(char *line)
{
	char *to = line;
	for (const char *from = line; *from; from++) {
		if (*from == '\033') {
			while (from[1] && !g_ascii_isalpha(*from))
				from++;
			continue;
		}
		if (*from == '\t' || (guchar)*from >= ' ')
			*to++ = *from;
	}
	*to = '\0';
}

GPtrArray *km_log_lines(const char *text)
{
	GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
	g_auto(GStrv) raw = g_strsplit(text, "\n", -1);
	for (char **line = raw; *line; line++) {
		drop_controls(*line);
		g_strchomp(*line);
		if (**line)
			g_ptr_array_add(lines, g_strdup(skip_priority(*line)));
	}
	return lines;
}

guint km_log_after(const GPtrArray *lines, const char *mark)
{
	for (guint i = 0; i < lines->len; i++)
		if (strstr(lines->pdata[i], mark))
			return i + 1;
	return 0;
}

static gboolean livepatch_complains(const char *message)
{
	if (!g_str_has_prefix(message, "livepatch:"))
		return FALSE;
	for (gsize i = 0; i < G_N_ELEMENTS(livepatch_words); i++)
		if (strstr(message, livepatch_words[i]))
			return TRUE;
	return FALSE;
}

gboolean km_log_is_problem(const char *line)
{
	const char *message = km_log_message(line);
	for (gsize i = 0; i < G_N_ELEMENTS(rules); i++)
		if (holds(message, rules[i].text) && !(rules[i].unless && g_str_has_prefix(message, rules[i].unless)))
			return TRUE;
	return livepatch_complains(message);
}

GPtrArray *km_log_problems(const GPtrArray *lines, guint from, guint limit)
{
	GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = from; i < lines->len && problems->len < limit; i++) {
		const char *line = lines->pdata[i];
		if (km_log_is_problem(line) && g_hash_table_add(seen, (gpointer)km_log_message(line)))
			g_ptr_array_add(problems, g_strdup(line));
	}
	return problems;
}

char *km_log_reasons(const GPtrArray *lines, guint from, const char *module)
{
	g_autoptr(GString) reasons = g_string_new(NULL);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = from; i < lines->len; i++) {
		const char *message = km_log_message(lines->pdata[i]);
		gboolean about = g_str_has_prefix(message, "livepatch:") || g_str_has_prefix(message, "module:") ||
				 g_str_has_prefix(message, "kmend:") || g_str_has_prefix(message, "kmend_runtime:") ||
				 strstr(message, module);
		/* "loading out-of-tree module taints kernel" and its like are no reasons */
		if (about && !strstr(message, "taint") && g_hash_table_add(seen, (gpointer)message))
			g_string_append_printf(reasons, "%s%s", reasons->len ? "; " : "", message);
	}
	return reasons->len ? g_strdup(reasons->str) : NULL;
}

char *km_log_taint(guint64 before, guint64 after)
{
	guint64 fresh = after & ~before & ~(guint64)TAINTS_OF_LOADING;
	g_autoptr(GString) names = g_string_new(NULL);
	for (guint bit = 0; bit < 64; bit++) {
		if (!(fresh >> bit & 1))
			continue;
		g_string_append(names, names->len ? ", " : "");
		if (bit < G_N_ELEMENTS(taints))
			g_string_append(names, taints[bit]);
		else
			g_string_append_printf(names, "bit %u", bit);
	}
	return names->len ? g_strdup(names->str) : NULL;
}
