/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm/verdict.h"

#include <string.h>

#include "vm/guest.h"
#include "vm/log.h"
#include "vm/modules.h"

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

static void each_free(gpointer data)
{
	KmEach *each = data;
	g_free(each->module);
	g_free(each->why);
	g_ptr_array_unref(each->absent);
	g_free(each);
}

void km_verdict_free(KmVerdict *verdict)
{
	if (!verdict)
		return;
	g_free(verdict->why);
	g_ptr_array_unref(verdict->probes);
	g_clear_pointer(&verdict->each, g_ptr_array_unref);
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
	const char *said = vm->said && *vm->said ? g_strchomp(vm->said) : NULL;
	for (guint i = 0; i < verdict->problems->len; i++)
		if (strstr(verdict->problems->pdata[i], "Kernel panic"))
			return g_strdup_printf("the kernel panicked after %.0f s, after step %s: %s", vm->seconds,
					       last_answer(vm), (char *)verdict->problems->pdata[i]);
	if (!km_guest_find(vm->answers, "boot"))
		return g_strdup_printf("the kernel did not come up in the VM within %.0f s: %s", vm->seconds, words);
	if (vm->end == KM_VM_EXITED)
		return g_strdup_printf("the VM ended by itself after %.0f s (status %d of QEMU%s%s), after step %s: %s",
				       vm->seconds, vm->status, said ? ", which said: " : "", said ? said : "",
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

static char *explain(const GPtrArray *log, guint from, gsize step, const KmAnswer *answer)
{
	g_autoptr(GString) why = g_string_new(NULL);
	const char *name = strchr(answer->key, '/');
	g_autofree char *words = first_level(answer->text);
	g_autofree char *reasons = steps[step].loading && name ? km_log_reasons(log, from, name + 1) : NULL;
	if (name)
		g_string_append_printf(why, "%s: ", name + 1);
	g_string_append(why, steps[step].meaning);
	if (*words)
		g_string_append_printf(why, " %.400s", words);
	if (reasons)
		g_string_append_printf(why, " (kernel: %.600s)", reasons);
	return g_string_free(g_steal_pointer(&why), FALSE);
}

/* Is it about this live patch (NULL: about any)? */
static gboolean is_about(const KmAnswer *answer, const char *module)
{
	const char *name = strchr(answer->key, '/');
	return !module || (name && !strcmp(name + 1, module));
}

static char *why_step(const KmVm *vm, const GPtrArray *log, guint from, const char *module)
{
	for (guint i = 0; i < vm->answers->len; i++) {
		const KmAnswer *answer = vm->answers->pdata[i];
		if (answer->status == 0 || !is_about(answer, module))
			continue;
		for (gsize s = 0; s < G_N_ELEMENTS(steps); s++)
			if (g_str_has_prefix(answer->key, steps[s].prefix))
				return explain(log, from, s, answer);
	}
	return NULL;
}

static char *new_taint(guint64 before, guint64 after)
{
	g_autofree char *names = km_log_taint(before, after);
	return names ? g_strdup_printf("the kernel is tainted beyond what a live patch sets: %s", names) : NULL;
}

static char *why_taint(const KmVm *vm)
{
	const KmAnswer *before = km_guest_find(vm->answers, "taint/before");
	const KmAnswer *after = km_guest_find(vm->answers, "taint/after");
	guint64 a = before ? g_ascii_strtoull(before->text, NULL, 10) : 0;
	return new_taint(a, after ? g_ascii_strtoull(after->text, NULL, 10) : a);
}

/* What the kernel complained of while this live patch came and went. */
static char *why_complaint(const GPtrArray *log, GPtrArray *all)
{
	g_autoptr(GPtrArray) problems = km_log_problems(log, 0, PROBLEM_LIMIT);
	for (guint i = 0; i < problems->len && all->len < PROBLEM_LIMIT; i++)
		g_ptr_array_add(all, g_strdup(problems->pdata[i]));
	return problems->len ? g_strdup_printf("the kernel complains: %s", (char *)problems->pdata[0]) : NULL;
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
	char *why = why_step(vm, verdict->log, from, NULL);
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

/* ---- one by one ---- */

static const KmAnswer *find_about(const KmVm *vm, const char *kind, const char *module)
{
	g_autofree char *key = g_strdup_printf("%s/%s", kind, module);
	return km_guest_find(vm->answers, key);
}

static void collect_absent(const KmVm *vm, KmEach *each)
{
	for (guint i = 0; i < vm->answers->len; i++) {
		const KmAnswer *answer = vm->answers->pdata[i];
		if (!g_str_has_prefix(answer->key, "target/") || !is_about(answer, each->module))
			continue;
		g_autofree char *words = g_strdup(answer->text);
		g_ptr_array_add(each->absent, g_strdup(g_strdelimit(g_strchomp(words), "\n", ' ')));
	}
}

static KmEach *judge_each(const KmVm *vm, const char *module, GPtrArray *problems)
{
	KmEach *each = g_new0(KmEach, 1);
	each->module = g_strdup(module);
	each->absent = g_ptr_array_new_with_free_func(g_free);
	collect_absent(vm, each);
	const KmAnswer *end = find_about(vm, "each", module);
	const KmAnswer *part = find_about(vm, "part", module);
	if (!end || !part) {
		each->result = KM_EACH_UNREACHED;
		return each;
	}
	g_autoptr(GPtrArray) log = km_log_lines(part->text);
	char *after = NULL;
	guint64 before = g_ascii_strtoull(end->text, &after, 10);
	each->why = why_step(vm, log, 0, module);
	g_autofree char *complaint = why_complaint(log, problems);
	if (!each->why)
		each->why = g_steal_pointer(&complaint);
	if (!each->why)
		each->why = new_taint(before, g_ascii_strtoull(after, NULL, 10));
	if (!each->why && end->status)
		each->why = g_strdup("a step failed; see the log");
	each->result = each->why ? KM_EACH_FAIL : KM_EACH_PASS;
	return each;
}

/* The verdict on all: dead, or so many of them failed. */
static char *why_all(const KmVm *vm, const KmVerdict *verdict)
{
	const KmEach *first = NULL;
	guint bad = 0;
	for (guint i = 0; i < verdict->each->len; i++) {
		const KmEach *each = verdict->each->pdata[i];
		if (each->result == KM_EACH_PASS)
			continue;
		first = first ? first : each;
		bad++;
	}
	if (vm->end != KM_VM_DONE)
		return why_dead(vm, verdict);
	if (!first)
		return NULL;
	return g_strdup_printf("%u of %u live patches did not pass, the first: %s%s%s", bad, verdict->each->len,
			       first->why ? "" : first->module, first->why ? "" : ": ",
			       first->why ? first->why : "not reached");
}

KmVerdict *km_verdict_each(const KmVm *vm, const GPtrArray *patches)
{
	g_autofree char *mark = km_guest_mark(vm->nonce);
	KmVerdict *verdict = g_new0(KmVerdict, 1);
	verdict->probes = collect_probes(vm, NULL);
	/* The guest cleared its own log again and again; the console saw all of it. */
	verdict->log = km_log_lines(vm->console);
	verdict->problems = g_ptr_array_new_with_free_func(g_free);
	verdict->each = g_ptr_array_new_with_free_func(each_free);
	for (guint i = 0; i < patches->len; i++)
		g_ptr_array_add(verdict->each,
				judge_each(vm, ((const KmVmModule *)patches->pdata[i])->name, verdict->problems));
	if (vm->end != KM_VM_DONE) {
		g_ptr_array_unref(verdict->problems);
		verdict->problems = km_log_problems(verdict->log, km_log_after(verdict->log, mark), PROBLEM_LIMIT);
	}
	verdict->why = why_all(vm, verdict);
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

static json_t *each_to_json(const KmVerdict *verdict)
{
	static const char *const words[] = { "pass", "fail", "unreached" };
	json_t *array = json_array();
	for (guint i = 0; i < verdict->each->len; i++) {
		const KmEach *each = verdict->each->pdata[i];
		json_array_append_new(array, json_pack("{s:s,s:s,s:o,s:o}", "module", each->module, "verdict",
						       words[each->result], "why", text_or_null(each->why), "absent",
						       text_array(each->absent)));
	}
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
	json_t *json =
		json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:b,s:f}", "verdict", verdict->pass ? "pass" : "fail", "why",
			  text_or_null(verdict->why), "probes", probes, "problems", text_array(verdict->problems),
			  "log", text_array(verdict->log), "log_path", text_or_null(verdict->log_path), "accelerated",
			  verdict->accelerated, "seconds", verdict->seconds);
	if (verdict->each)
		json_object_set_new(json, "each", each_to_json(verdict));
	return json;
}
