/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's answers, whole, torn and garbled, and the verdict drawn from them. */
#include <string.h>

#include "vm/guest.h"
#include "vm/modules.h"
#include "vm/verdict.h"

#define TAG "#kmend:n1 "

static GPtrArray *parse(const char *text)
{
	return km_guest_parse(text, strlen(text), "n1");
}

static void test_exact_output(void)
{
	const char text[] = TAG "before/000 3 20\n" TAG "end 0 0\n\n\n"
				"\n" TAG "end 0 0\n\n";
	g_autoptr(GPtrArray) answers = km_guest_parse(text, sizeof(text) - 1, "n1");
	g_assert_cmpuint(answers->len, ==, 2); /* the tag inside an output is output */
	const KmAnswer *a = km_guest_find(answers, "before/000");
	g_assert_cmpint(a->status, ==, 3);
	g_assert_cmpstr(a->text, ==,
			TAG "end 0 0\n\n\n"
			    "");
	g_assert_nonnull(km_guest_find(answers, "end"));
}

static void test_binary_output(void)
{
	const char text[] = TAG "x 0 4\na\0\xff"
				"b\n";
	g_autoptr(GPtrArray) answers = km_guest_parse(text, sizeof(text) - 1, "n1");
	g_assert_cmpuint(answers->len, ==, 1);
	g_assert_true(g_utf8_validate(((KmAnswer *)answers->pdata[0])->text, -1, NULL));
	g_assert_true(g_str_has_suffix(((KmAnswer *)answers->pdata[0])->text, "b"));
}

static void test_every_truncation(void)
{
	const char text[] = "noise\r\n" TAG "boot 0 3\n6.1\n" TAG "end 0 0\n\n";
	for (gsize size = 0; size < sizeof(text); size++) {
		g_autofree char *exact = g_memdup2(text, size ? size : 1);
		g_autoptr(GPtrArray) answers = km_guest_parse(exact, size, "n1");
		g_assert_cmpuint(answers->len, <=, 2);
		g_assert_cmpint(km_guest_find(answers, "end") != NULL, ==, size == sizeof(text) - 1);
	}
}

static void test_garbage(void)
{
	static const char *const texts[] = {
		"",
		"\n\n",
		"#kmend:n1",
		TAG,
		TAG "\n",
		TAG "a\n",
		TAG "a 0\n",
		TAG "a 0 99\nshort\n",
		TAG "a -1 0\n\n",
		TAG "a 0 -1\n\n",
		TAG "a 0 99999999999999999999\n\n",
		TAG " 0 0\n\n",
		TAG "a 0 1\nxy\n",
		TAG "a 0 0 0\n\n",
		"#kmend:n2 a 0 0\n\n",
	};
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GPtrArray) none = parse(texts[i]);
		g_assert_cmpuint(none->len, ==, 0);
		/* and what follows the garbage is still found */
		g_autofree char *more = g_strconcat(texts[i], "\n", TAG "end 0 0\n\n", NULL);
		g_autoptr(GPtrArray) one = parse(more);
		g_assert_nonnull(km_guest_find(one, "end"));
	}
}

static const char *const commands[] = { "cat /proc/cmdline", NULL };

#define GOOD                                                                                                           \
	TAG "boot 0 3\n6.1\n" TAG "before/000 0 2\nA\n\n" TAG "taint/before 0 1\n0\n" TAG "mark 0 0\n\n" TAG           \
	    "load/lp 0 0\n\n" TAG "transition/lp 0 0\n\n" TAG "after/000 1 1\nB\n"
#define GOOD_END TAG "remove/lp 0 0\n\n" TAG "removed/000 0 2\nA\n\n" TAG "taint/after 0 5\n45056\n"
#define MARK "[ 1.0] kmend n1: from here\n"

static KmVerdict *judge(const char *answers, KmVmEnd end, const char *console)
{
	KmVm vm = { .nonce = "n1", .end = end, .seconds = 7, .console = (char *)console };
	vm.answers = parse(answers);
	KmVerdict *verdict = km_verdict_new(&vm, commands);
	g_ptr_array_unref(vm.answers);
	return verdict;
}

static void test_pass(void)
{
	g_autoptr(KmVerdict) v = judge(GOOD GOOD_END TAG "end 0 0\n\n", KM_VM_DONE,
				       "[ 0.1] WARNING: at boot\n" MARK "[ 2.0] livepatch: enabling patch 'lp'\n");
	g_assert_cmpstr(v->why, ==, NULL);
	g_assert_true(v->pass);
	const KmProbe *p = v->probes->pdata[0];
	g_assert_cmpstr(p->before, ==, "A\n");
	g_assert_cmpstr(p->after, ==, "B\n[exit 1]\n");
	g_assert_cmpstr(p->removed, ==, "A\n");
	json_t *json = km_verdict_to_json(v);
	g_assert_cmpstr(json_string_value(json_object_get(json, "verdict")), ==, "pass");
	json_decref(json);
}

/* The guest says it several times: a byte that is lost on the way must not hide the next one. */
static void test_said_again(void)
{
	static const char *const torn[] = { "#kmnd:n1 end 0 0\n\n", TAG "end 0 \n\n",	    TAG "end 0 0\n",
					    TAG "nd 0 0\n\n",	    "#kmend:n1end 0 0\n\n", TAG "end 00\n\n",
					    TAG "end 0 0\n\n" };
	for (gsize i = 0; i < G_N_ELEMENTS(torn); i++) {
		g_autofree char *text = g_strconcat(TAG "log 0 3\nabc\n", torn[i], TAG "end 0 0\n\n", NULL);
		g_autoptr(GPtrArray) answers = km_guest_parse(text, strlen(text), "n1");
		g_assert_nonnull(km_guest_find(answers, "log"));
		g_assert_nonnull(km_guest_find(answers, "end"));
	}
}

static void assert_fails(const char *answers, KmVmEnd end, const char *console, const char *why)
{
	g_autoptr(KmVerdict) v = judge(answers, end, console);
	g_assert_false(v->pass);
	if (!strstr(v->why, why))
		g_error("'%s' does not say '%s'", v->why, why);
	json_t *json = km_verdict_to_json(v);
	g_assert_nonnull(json);
	g_assert_cmpstr(json_string_value(json_object_get(json, "verdict")), ==, "fail");
	json_decref(json);
}

static void test_fail(void)
{
	const char *done = GOOD GOOD_END TAG "end 0 0\n\n";
	assert_fails(done, KM_VM_DONE, MARK "[ 2.0] WARNING: CPU: 0\n", "kernel complains");
	assert_fails(GOOD TAG "taint/after 0 3\n512\n" TAG "end 0 0\n\n", KM_VM_DONE, MARK, "kernel warning");
	assert_fails(GOOD TAG "end 0 0\n\n", KM_VM_DONE, MARK, "left out a step");
	assert_fails(TAG "boot 0 0\n\n" TAG "load/lp 1 3\nbad\n" TAG "end 0 0\n\n", KM_VM_DONE,
		     MARK "[ 2.0] livepatch: symbol 'f' not found\n", "symbol 'f' not found");
	assert_fails(GOOD TAG "untransition/lp 1 12\ntask 7 (cat)\n" GOOD_END TAG "end 0 0\n\n", KM_VM_DONE, MARK,
		     "task 7 (cat)");
	assert_fails(GOOD GOOD_END TAG "stress 1 2\n41\n" TAG "end 0 0\n\n", KM_VM_DONE, MARK, "41");
}

static void test_dead(void)
{
	assert_fails(GOOD, KM_VM_EXITED, MARK "[ 2.0] Kernel panic - not syncing: on purpose\n", "panicked");
	assert_fails(GOOD, KM_VM_EXITED, MARK "[ 2.0] fine\n", "ended by itself after 7 s (status 0 of QEMU)");
	assert_fails(GOOD, KM_VM_TIMEOUT, MARK "[ 2.0] the last one\n", "stopped answering after 7 s");
	assert_fails(GOOD, KM_VM_TIMEOUT, MARK "[ 2.0] the last one\n", "the last one");
	assert_fails("", KM_VM_TIMEOUT, "", "did not come up");
	g_autoptr(KmVerdict) v = judge(TAG "boot 0 0\n\n", KM_VM_TIMEOUT, "");
	g_assert_null(((KmProbe *)v->probes->pdata[0])->before);
}

/* Five live patches in one VM: good, not taken, complained about, the one the machine died of, and the one after it. */
static KmVerdict *judge_each(const char *answers, KmVmEnd end, const char *console)
{
	KmVmModule modules[] = { { .name = (char *)"a" },
				 { .name = (char *)"b" },
				 { .name = (char *)"c" },
				 { .name = (char *)"d" },
				 { .name = (char *)"e" } };
	g_autoptr(GPtrArray) patches = g_ptr_array_new();
	for (gsize i = 0; i < G_N_ELEMENTS(modules); i++)
		g_ptr_array_add(patches, &modules[i]);
	KmVm vm = { .nonce = "n1", .end = end, .seconds = 7, .console = (char *)console };
	vm.answers = parse(answers);
	KmVerdict *verdict = km_verdict_each(&vm, patches);
	g_ptr_array_unref(vm.answers);
	return verdict;
}

#define EACH_BAD                                                                                                       \
	TAG "boot 0 0\n\n" TAG "mark 0 0\n\n" TAG "target/a 1 7\nkvm\nno\n\n" TAG "load/a 0 0\n\n" TAG                 \
	    "part/a 0 0\n\n" TAG "each/a 0 7\n0 45056\n" TAG "load/b 1 3\nbad\n" TAG "part/b 0 0\n\n" TAG              \
	    "each/b 1 11\n45056 45056\n" TAG "part/c 0 19\n[ 2.0] WARNING: x\n\n\n" TAG                                \
	    "each/c 0 11\n45056 45568\n" TAG "load/d 0 0\n\n"

static void test_each(void)
{
	g_autoptr(KmVerdict) v = judge_each(EACH_BAD, KM_VM_EXITED, MARK "[ 3.0] Kernel panic - not syncing: d\n");
	static const KmEachResult results[] = { KM_EACH_PASS, KM_EACH_FAIL, KM_EACH_FAIL, KM_EACH_UNREACHED,
						KM_EACH_UNREACHED };
	static const char *const whys[] = { NULL, "b: the kernel did not take", "the kernel complains: [ 2.0] WARNING",
					    NULL, NULL };
	g_assert_cmpuint(v->each->len, ==, G_N_ELEMENTS(results));
	for (guint i = 0; i < v->each->len; i++) {
		const KmEach *each = v->each->pdata[i];
		g_assert_cmpint(each->result, ==, results[i]);
		g_assert_true(whys[i] ? each->why && g_str_has_prefix(each->why, whys[i]) : !each->why);
	}
	const KmEach *first = v->each->pdata[0];
	g_assert_cmpuint(first->absent->len, ==, 1);
	g_assert_cmpstr(first->absent->pdata[0], ==, "kvm no");
	g_assert_nonnull(strstr(v->why, "panicked"));
	json_t *json = km_verdict_to_json(v);
	g_assert_cmpuint(json_array_size(json_object_get(json, "each")), ==, 5);
	json_decref(json);
}

static void test_each_taint(void)
{
	g_autoptr(KmVerdict) v = judge_each(TAG "part/a 0 0\n\n" TAG "each/a 0 9\n0 1048575\n" TAG "part/b 0 0\n\n" TAG
						"each/b 0 7\n0 45056\n" TAG "part/c 0 0\n\n" TAG "each/c 2 3\n0 0\n",
					    KM_VM_DONE, MARK);
	g_assert_nonnull(strstr(((KmEach *)v->each->pdata[0])->why, "tainted"));
	g_assert_cmpint(((KmEach *)v->each->pdata[1])->result, ==, KM_EACH_PASS);
	g_assert_cmpint(((KmEach *)v->each->pdata[2])->result, ==, KM_EACH_FAIL);
	g_assert_true(g_str_has_prefix(v->why, "4 of 5 live patches did not pass"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/vm/guest/exact-output", test_exact_output);
	g_test_add_func("/vm/guest/binary-output", test_binary_output);
	g_test_add_func("/vm/guest/every-truncation", test_every_truncation);
	g_test_add_func("/vm/guest/garbage", test_garbage);
	g_test_add_func("/vm/guest/said again", test_said_again);
	g_test_add_func("/vm/verdict/pass", test_pass);
	g_test_add_func("/vm/verdict/fail", test_fail);
	g_test_add_func("/vm/verdict/dead", test_dead);
	g_test_add_func("/vm/verdict/each", test_each);
	g_test_add_func("/vm/verdict/each-taint", test_each_taint);
	return g_test_run();
}
