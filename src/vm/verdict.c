/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm/verdict.h"

#include <string.h>

#include "vm/guest.h"
#include "vm/log.h"

#define PROBLEM_LIMIT 60

static void probe_free(gpointer data)
{
	KmProbe *probe = data;
	g_free(probe->command);
	g_free(probe->before);
	g_free(probe->after);
	g_free(probe->removed);
	g_free(probe);
}

void km_verdict_free(KmVerdict *verdict)
{
	if (!verdict)
		return;
	g_free(verdict->why);
	g_ptr_array_unref(verdict->probes);
	g_ptr_array_unref(verdict->problems);
	g_ptr_array_unref(verdict->log);
	g_free(verdict->log_path);
	g_free(verdict);
}

char *km_probe_key(const char *phase, guint n)
{
	return g_strdup_printf("%s/%03u", phase, n);
}

static char *probe_output(const KmVm *vm, const char *phase, guint n)
{
	g_autofree char *key = km_probe_key(phase, n);
	const KmAnswer *answer = km_guest_find(vm->answers, key);
	if (!answer)
		return NULL;
	if (answer->status == 0)
		return g_strdup(answer->text);
	gboolean whole = !*answer->text || g_str_has_suffix(answer->text, "\n");
	return g_strdup_printf("%s%s[exit %d]\n", answer->text, whole ? "" : "\n", answer->status);
}

static GPtrArray *collect_probes(const KmVm *vm, const char *const *commands)
{
	GPtrArray *probes = g_ptr_array_new_with_free_func(probe_free);
	for (guint i = 0; commands && commands[i]; i++) {
		KmProbe *probe = g_new0(KmProbe, 1);
		probe->command = g_strdup(commands[i]);
		probe->before = probe_output(vm, "before", i);
		probe->after = probe_output(vm, "after", i);
		probe->removed = probe_output(vm, "removed", i);
		g_ptr_array_add(probes, probe);
	}
	return probes;
}

/* The guest's own log when it holds the mark; else what the serial console caught. */
static GPtrArray *collect_log(const KmVm *vm, const char *mark)
{
	const KmAnswer *answer = km_guest_find(vm->answers, "log");
	return km_log_lines(answer && strstr(answer->text, mark) ? answer->text : vm->console);
}

/* What a dead guest said that tells most: its first complaint, else its last words. */
static char *last_words(const KmVerdict *verdict)
{
	if (verdict->problems->len)
		return g_strdup_printf("the kernel had complained: %s", (char *)verdict->problems->pdata[0]);
	if (verdict->log->len)
		return g_strdup_printf("last line: %s", (char *)verdict->log->pdata[verdict->log->len - 1]);
	return g_strdup("its console is empty");
}

/* What the guest was doing: the answer before the silence. */
static const char *last_answer(const KmVm *vm)
{
	return vm->answers->len ? ((KmAnswer *)vm->answers->pdata[vm->answers->len - 1])->key : "the start";
}

static char *why_dead(const KmVm *vm, const KmVerdict *verdict)
{
	g_autofree char *words = last_words(verdict);
	for (guint i = 0; i < verdict->problems->len; i++)
		if (strstr(verdict->problems->pdata[i], "Kernel panic"))
			return g_strdup_printf("the kernel panicked after %.0f s, after step %s: %s", vm->seconds,
					       last_answer(vm), (char *)verdict->problems->pdata[i]);
	if (!km_guest_find(vm->answers, "boot"))
		return g_strdup_printf("the kernel did not come up in the VM within %.0f s: %s", vm->seconds, words);
	if (vm->end == KM_VM_EXITED)
		return g_strdup_printf("the VM ended by itself after %.0f s, after step %s: %s", vm->seconds,
				       last_answer(vm), words);
	return g_strdup_printf("the VM stopped answering after %.0f s, after step %s: %s", vm->seconds, last_answer(vm),
			       words);
}

/* What each failed step means. The guest stops at the first, so order matters only among its consequences. */
static const struct {
	const char *prefix;
	const char *meaning;
	gboolean loading; /* the kernel log tells the reason */
} steps[] = {
	{ "first/", "this stock module could not be loaded:", TRUE },
	{ "load/", "the kernel did not take the live patch:", TRUE },
	{ "registered/", "the module was loaded but no live patch of its name appeared", TRUE },
	{ "transition/", "the transition to the live patch did not end; in the way:", FALSE },
	{ "later/", "this stock module could not be loaded over the live patch:", TRUE },
	{ "disable/", "the live patch could not be disabled:", FALSE },
	{ "untransition/", "the transition back did not end; in the way:", FALSE },
	{ "remove/", "the live patch could not be removed:", FALSE },
	{ "stress", "the load/remove cycles stopped after this many:", FALSE },
};

/* The lines that are not indented (stacks are), in one. */
static char *first_level(const char *text)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++)
		if (**line && **line != ' ')
			g_string_append_printf(out, "%s%s", out->len ? ", " : "", *line);
	return g_strdup(out->str);
}

static char *explain(const KmVerdict *verdict, guint from, gsize step, const KmAnswer *answer)
{
	g_autoptr(GString) why = g_string_new(NULL);
	const char *name = strchr(answer->key, '/');
	g_autofree char *words = first_level(answer->text);
	g_autofree char *reasons = steps[step].loading && name ? km_log_reasons(verdict->log, from, name + 1) : NULL;
	if (name)
		g_string_append_printf(why, "%s: ", name + 1);
	g_string_append(why, steps[step].meaning);
	if (*words)
		g_string_append_printf(why, " %.400s", words);
	if (reasons)
		g_string_append_printf(why, " (kernel: %.600s)", reasons);
	return g_string_free(g_steal_pointer(&why), FALSE);
}

static char *why_step(const KmVm *vm, const KmVerdict *verdict, guint from)
{
	for (guint i = 0; i < vm->answers->len; i++) {
		const KmAnswer *answer = vm->answers->pdata[i];
		if (answer->status == 0)
			continue;
		for (gsize s = 0; s < G_N_ELEMENTS(steps); s++)
			if (g_str_has_prefix(answer->key, steps[s].prefix))
				return explain(verdict, from, s, answer);
	}
	return NULL;
}

static char *why_taint(const KmVm *vm)
{
	const KmAnswer *before = km_guest_find(vm->answers, "taint/before");
	const KmAnswer *after = km_guest_find(vm->answers, "taint/after");
	guint64 a = before ? g_ascii_strtoull(before->text, NULL, 10) : 0;
	guint64 b = after ? g_ascii_strtoull(after->text, NULL, 10) : a;
	g_autofree char *names = km_log_taint(a, b);
	return names ? g_strdup_printf("the kernel is tainted beyond what a live patch sets: %s", names) : NULL;
}

/* The tasks that kept a transition from ending, with their stacks, are what the user must look at. */
static void add_blockers(const KmVm *vm, KmVerdict *verdict)
{
	for (guint i = 0; i < vm->answers->len; i++) {
		const KmAnswer *answer = vm->answers->pdata[i];
		if (answer->status == 0 || !strstr(answer->key, "transition/"))
			continue;
		g_auto(GStrv) lines = g_strsplit(answer->text, "\n", -1);
		for (char **line = lines; *line && verdict->problems->len < 2 * PROBLEM_LIMIT; line++)
			if (**line)
				g_ptr_array_add(verdict->problems, g_strdup(*line));
	}
}

static char *find_why(const KmVm *vm, const KmVerdict *verdict, guint from)
{
	if (vm->end != KM_VM_DONE)
		return why_dead(vm, verdict);
	char *why = why_step(vm, verdict, from);
	if (!why && verdict->problems->len)
		why = g_strdup_printf("the kernel complains: %s", (char *)verdict->problems->pdata[0]);
	if (!why)
		why = why_taint(vm);
	if (!why && !km_guest_find(vm->answers, "taint/after"))
		why = g_strdup("the guest left out a step; see the log");
	return why;
}

KmVerdict *km_verdict_new(const KmVm *vm, const char *const *probes)
{
	g_autofree char *mark = km_guest_mark(vm->nonce);
	KmVerdict *verdict = g_new0(KmVerdict, 1);
	verdict->probes = collect_probes(vm, probes);
	verdict->log = collect_log(vm, mark);
	guint from = km_log_after(verdict->log, mark);
	verdict->problems = km_log_problems(verdict->log, from, PROBLEM_LIMIT);
	verdict->why = find_why(vm, verdict, from);
	add_blockers(vm, verdict);
	verdict->pass = !verdict->why;
	verdict->accelerated = vm->accelerated;
	verdict->seconds = vm->seconds;
	return verdict;
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *text_array(const GPtrArray *lines)
{
	json_t *array = json_array();
	for (guint i = 0; i < lines->len; i++)
		json_array_append_new(array, json_string(lines->pdata[i]));
	return array;
}

json_t *km_verdict_to_json(const KmVerdict *verdict)
{
	json_t *probes = json_array();
	for (guint i = 0; i < verdict->probes->len; i++) {
		const KmProbe *p = verdict->probes->pdata[i];
		json_array_append_new(probes, json_pack("{s:o,s:o,s:o,s:o}", "command", text_or_null(p->command),
							"before", text_or_null(p->before), "after",
							text_or_null(p->after), "removed", text_or_null(p->removed)));
	}
	return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:b,s:f}", "verdict", verdict->pass ? "pass" : "fail", "why",
			 text_or_null(verdict->why), "probes", probes, "problems", text_array(verdict->problems), "log",
			 text_array(verdict->log), "log_path", text_or_null(verdict->log_path), "accelerated",
			 verdict->accelerated, "seconds", verdict->seconds);
}
