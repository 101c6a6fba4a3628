/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What functions begin with, and what is wrong with it: also what no compiler here makes. Bytes are as the architecture's manual has them. */
#include <string.h>

#include "entries/audit.h"

#define NO_HOOK G_MAXUINT

/* A function to put into an object. */
typedef struct {
	const char *name, *hex;
	guint before; /* bytes of hex before the label */
	guint hook; /* offset of the field that refers to the hook, from the label; NO_HOOK: none */
	gint record; /* offset from the label of what a record names; G_MAXINT: none */
	guint8 other; /* st_other */
	const char *section, *table; /* NULL: .text, __mcount_loc */
} Function;

#define F(called, code, room, field, place, ...)                                                                       \
	{                                                                                                              \
		.name = called, .hex = code, .before = room, .hook = field, .record = place, ##__VA_ARGS__             \
	}
#define END                                                                                                            \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

static GByteArray *from_hex(const char *hex)
{
	GByteArray *bytes = g_byte_array_new();
	for (; *hex; hex += 2) {
		while (*hex == ' ')
			hex++;
		guint8 byte = (guint8)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
		g_byte_array_append(bytes, &byte, 1);
	}
	return bytes;
}

static KmSection *section_of(KmObject *object, const char *name, guint64 flags)
{
	KmSection *section = km_object_find_section(object, name);
	return section ? section : km_object_add_section(object, name, SHT_PROGBITS, SHF_ALLOC | flags, 16);
}

static void add_function(KmObject *object, const Function *f, KmSymbol *hook)
{
	KmSection *text = section_of(object, f->section ? f->section : ".text", SHF_EXECINSTR);
	g_autoptr(GByteArray) code = from_hex(f->hex);
	guint64 start = km_section_append(text, code->data, code->len, 16) + f->before;
	KmSymbol *symbol =
		km_object_add_symbol(object, f->name, STB_GLOBAL, STT_FUNC, text, start, code->len - f->before);
	symbol->other = f->other;
	if (f->hook != NO_HOOK)
		km_section_add_reloc(text, start + f->hook, object->arch->relocs[2].type, hook, 0);
	if (f->record == G_MAXINT)
		return;
	KmSection *table = section_of(object, f->table ? f->table : "__mcount_loc", 0);
	guint64 at = km_section_append(table, NULL, 8, 8);
	km_section_add_reloc(table, at, object->arch->abs64, km_object_section_symbol(object, text),
			     (gint64)start + f->record);
}

typedef struct {
	KmCode *code;
	KmAudit *audit;
} Audited;

static void audited_clear(Audited *a)
{
	g_clear_pointer(&a->audit, km_audit_free);
	g_clear_pointer(&a->code, km_code_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Audited, audited_clear)

static Audited audit_all(const char *arch, const Function *functions)
{
	KmObject *object = km_object_new(km_arch_by_name(arch), "test.o");
	KmSymbol *hook = km_object_add_symbol(object, object->arch->hooks[0], STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	for (const Function *f = functions; f->name; f++)
		add_function(object, f, hook);
	Audited a = { .code = km_code_new(object) };
	a.audit = km_audit(a.code);
	for (guint i = 0; i < a.audit->findings->len; i++) {
		const KmEntryFinding *f = a.audit->findings->pdata[i];
		g_test_message("%s: %s %s", km_finding_name(f->kind), f->entry ? f->entry->function->name : "",
			       f->what);
	}
	return a;
}

static const KmEntry *entry(const Audited *a, const char *name)
{
	for (guint i = 0; i < a->audit->entries->len; i++) {
		const KmEntry *e = &g_array_index(a->audit->entries, KmEntry, i);
		if (!strcmp(e->function->name, name))
			return e;
	}
	g_error("no function %s", name);
}

static void check(const Audited *a, const char *name, KmEntryKind kind, guint site, guint size, guint before,
		  KmPatchable verdict)
{
	const KmEntry *e = entry(a, name);
	g_test_message("%s", name);
	g_assert_cmpint(e->shape.kind, ==, kind);
	g_assert_cmpuint(e->shape.site, ==, site);
	g_assert_cmpuint(e->shape.size, ==, size);
	g_assert_cmpuint(e->before, ==, before);
	g_assert_cmpint(e->verdict, ==, verdict);
}

/* The finding of that kind is there once, of that function (NULL: of a record). */
static void finds(const Audited *a, KmFindingKind kind, const char *name)
{
	g_assert_cmpuint(a->audit->faults[kind], ==, 1);
	for (guint i = 0; i < a->audit->findings->len; i++) {
		const KmEntryFinding *f = a->audit->findings->pdata[i];
		if (f->kind == kind)
			g_assert_cmpstr(f->entry ? f->entry->function->name : NULL, ==, name);
	}
}

static void test_x86_64(void)
{
	const Function functions[] = {
		F("call", "e800000000 c3", 0, 1, 0),
		F("landing", "f30f1efa e800000000 c3", 0, 5, 4),
		F("through_got", "ff1500000000 c3", 0, 2, 0),
		F("nopped", "0f1f440000 c3", 0, NO_HOOK, 0),
		F("padded", "9090909090909090909090 e800000000 c3", 11, 1, 0),
		F("profiled", "55 4889e5 e800000000 c3", 0, 5, G_MAXINT),
		F("other_call", "e800000000 c3", 0, NO_HOOK, G_MAXINT),
		F("aligned_loop", "6690 ebfc", 0, NO_HOOK, G_MAXINT),
		END,
	};
	g_auto(Audited) a = audit_all("x86_64", functions);
	check(&a, "call", KM_ENTRY_CALL, 0, 5, 0, KM_PATCHABLE);
	check(&a, "landing", KM_ENTRY_CALL, 4, 5, 0, KM_PATCHABLE);
	check(&a, "through_got", KM_ENTRY_CALL, 0, 6, 0, KM_PATCHABLE);
	check(&a, "nopped", KM_ENTRY_NOPS, 0, 5, 0, KM_PATCHABLE);
	check(&a, "profiled", KM_ENTRY_CALL, 4, 5, 0, KM_LATE);
	check(&a, "other_call", KM_ENTRY_NONE, 0, 0, 0, KM_NO_ENTRY);
	check(&a, "aligned_loop", KM_ENTRY_NONE, 0, 0, 0, KM_NO_ENTRY);
	g_assert_cmpuint(entry(&a, "landing")->shape.landing, ==, 4);
	g_assert_false(km_audit_passes(a.audit));
	finds(&a, KM_FINDING_MIXED, "nopped");
	finds(&a, KM_FINDING_NO_RECORD, "profiled");
}

/* Where calls are recorded, a record of padding makes no function known. */
static void test_x86_64_padding(void)
{
	const Function functions[] = {
		F("traced", "9090909090909090909090909090909090 e800000000 c3", 17, 1, 0),
		F("padding_only", "90909090909090909090909090909090 c3", 16, NO_HOOK, -16,
		  .table = "__patchable_function_entries"),
		F("jump_label", "90909090909090909090909090909090 0f1f440000 c3", 16, NO_HOOK, -16,
		  .table = "__patchable_function_entries"),
		END,
	};
	g_auto(Audited) a = audit_all("x86_64", functions);
	check(&a, "traced", KM_ENTRY_CALL, 0, 5, 0, KM_PATCHABLE);
	check(&a, "padding_only", KM_ENTRY_NONE, 0, 0, 16, KM_NO_ENTRY);
	g_assert_cmpint(entry(&a, "jump_label")->verdict, ==, KM_NO_RECORD);
	g_assert_cmpuint(a.audit->faults[KM_FINDING_NO_ENTRY], ==, 0);
}

/* The same where no call is recorded at all. */
static void test_x86_64_unrecorded(void)
{
	const Function functions[] = {
		F("called", "90909090909090909090909090909090 e800000000 c3", 16, 1, -16,
		  .table = "__patchable_function_entries"),
		END,
	};
	g_auto(Audited) a = audit_all("x86_64", functions);
	check(&a, "called", KM_ENTRY_CALL, 0, 5, 16, KM_NO_RECORD);
}

static void test_arm64(void)
{
	const Function functions[] = {
		F("nops", "1f2003d5 1f2003d5 c0035fd6", 0, NO_HOOK, 0),
		F("bti", "5f2403d5 1f2003d5 1f2003d5 c0035fd6", 0, NO_HOOK, 4),
		F("bti_recorded", "5f2403d5 1f2003d5 1f2003d5 c0035fd6", 0, NO_HOOK, 0),
		F("call_ops", "1f2003d5 1f2003d5 1f2003d5 1f2003d5 c0035fd6", 8, NO_HOOK, -8),
		F("backward", "1f2003d5 1f2003d5 1f2003d5 c0035fd6", 8, NO_HOOK, -8),
		F("small", "1f2003d5 c0035fd6", 0, NO_HOOK, 0),
		F("pair", "e9031eaa 00000094 c0035fd6", 0, 4, 4),
		F("profiled", "fd7bbfa9 fd030091 e0031eaa 00000094 c0035fd6", 0, 12, 12),
		END,
	};
	g_auto(Audited) a = audit_all("arm64", functions);
	check(&a, "nops", KM_ENTRY_NOPS, 0, 8, 0, KM_PATCHABLE);
	check(&a, "bti", KM_ENTRY_NOPS, 4, 8, 0, KM_PATCHABLE);
	check(&a, "bti_recorded", KM_ENTRY_NOPS, 4, 8, 0, KM_PATCHABLE);
	check(&a, "call_ops", KM_ENTRY_NOPS, 0, 8, 8, KM_PATCHABLE);
	check(&a, "backward", KM_ENTRY_NOPS, 0, 4, 8, KM_PATCHABLE);
	check(&a, "small", KM_ENTRY_NOPS, 0, 4, 0, KM_TOO_SMALL);
	check(&a, "pair", KM_ENTRY_PAIR, 0, 8, 0, KM_PATCHABLE);
	check(&a, "profiled", KM_ENTRY_CALL, 12, 4, 0, KM_LATE);
	finds(&a, KM_FINDING_TOO_SMALL, "small");
	g_assert_cmpuint(a.audit->faults[KM_FINDING_MIXED], ==, 2);
}

static void test_ppc64le(void)
{
	const Function functions[] = {
		F("toc", "00004c3c 00004238 a602087c 01000048 2000804e", 0, 12, 12, .other = 3 << 5),
		F("toc2", "00004c3c 00004238 a602087c 01000048 2000804e", 0, 12, 12, .other = 3 << 5),
		F("older", "00004c3c 00004238 a602087c 100001f8 01000048 2000804e", 0, 16, 16, .other = 3 << 5),
		F("large", "f8ff4ce8 1462427c a602087c 01000048 2000804e", 0, 12, 12, .other = 3 << 5),
		F("leaf", "a602087c 01000048 2000804e", 0, 4, 4, .other = 0),
		F("skipped", "00000060 00000060 00004c3c 00004238 2000804e", 0, NO_HOOK, 0, .other = 4 << 5),
		F("stub", "00004c3c 00004238 00000060 2000804e", 0, NO_HOOK, 8, .other = 3 << 5),
		F("by_chance", "00000060 2000804e", 0, NO_HOOK, G_MAXINT),
		END,
	};
	g_auto(Audited) a = audit_all("ppc64le", functions);
	check(&a, "toc", KM_ENTRY_PAIR, 8, 8, 0, KM_PATCHABLE);
	check(&a, "older", KM_ENTRY_PAIR, 8, 12, 0, KM_PATCHABLE);
	check(&a, "large", KM_ENTRY_PAIR, 8, 8, 0, KM_PATCHABLE);
	check(&a, "leaf", KM_ENTRY_PAIR, 0, 8, 0, KM_PATCHABLE);
	check(&a, "skipped", KM_ENTRY_NOPS, 0, 8, 0, KM_SKIPPED);
	check(&a, "stub", KM_ENTRY_STUB, 8, 4, 0, KM_PATCHABLE);
	check(&a, "by_chance", KM_ENTRY_NONE, 0, 0, 0, KM_NO_ENTRY);
	g_assert_true(entry(&a, "large")->shape.sets_toc);
	finds(&a, KM_FINDING_NO_TOC, "leaf");
	finds(&a, KM_FINDING_SKIPPED, "skipped");
}

/* A call before the TOC's set-up is told, and no fault. */
static void test_ppc64le_leaf_only(void)
{
	const Function functions[] = { F("leaf", "a602087c 01000048 2000804e", 0, 4, 4, .other = 0), END };
	g_auto(Audited) a = audit_all("ppc64le", functions);
	finds(&a, KM_FINDING_NO_TOC, "leaf");
	g_assert_true(km_audit_passes(a.audit));
}

static void test_s390x(void)
{
	const Function functions[] = {
		F("call", "c00500000000 07fe", 0, 2, 0),
		F("nopped", "c00400000000 07fe", 0, NO_HOOK, 0),
		F("halfwords", "070007000700 07fe", 0, NO_HOOK, 0),
		F("small", "07000700 07fe", 0, NO_HOOK, 0),
		F("hotpatch", "07000700 c00400000000 07fe", 4, NO_HOOK, 0),
		END,
	};
	g_auto(Audited) a = audit_all("s390x", functions);
	check(&a, "call", KM_ENTRY_CALL, 0, 6, 0, KM_PATCHABLE);
	check(&a, "nopped", KM_ENTRY_NOPS, 0, 6, 0, KM_PATCHABLE);
	check(&a, "halfwords", KM_ENTRY_NOPS, 0, 6, 0, KM_PATCHABLE);
	check(&a, "small", KM_ENTRY_NOPS, 0, 4, 0, KM_TOO_SMALL);
	check(&a, "hotpatch", KM_ENTRY_NOPS, 0, 6, 0, KM_PATCHABLE);
}

static void test_riscv64(void)
{
	const Function functions[] = {
		F("short", "0100 0100 0100 0100 8280", 0, NO_HOOK, 0),
		F("wide", "13000000 13000000 67800000", 0, NO_HOOK, 0),
		F("call_ops", "0100 0100 0100 0100 0100 0100 0100 0100 8280", 8, NO_HOOK, -8),
		F("wide_call_ops", "13000000 13000000 13000000 13000000 67800000", 8, NO_HOOK, -8),
		F("lands", "17000000 0100 0100 0100 0100 8280", 0, NO_HOOK, 4),
		F("small", "0100 0100 8280", 0, NO_HOOK, 0),
		F("profiled", "4111 06e4 0685 97000000 e7800000 8280", 0, 6, G_MAXINT),
		F("relaxed", "4111 06e4 0685 ef000000 8280", 0, 6, G_MAXINT),
		F("calls", "4111 06e4 97000000 e7800000 8280", 0, NO_HOOK, G_MAXINT),
		END,
	};
	g_auto(Audited) a = audit_all("riscv64", functions);
	check(&a, "short", KM_ENTRY_NOPS, 0, 8, 0, KM_PATCHABLE);
	check(&a, "wide", KM_ENTRY_NOPS, 0, 8, 0, KM_PATCHABLE);
	check(&a, "call_ops", KM_ENTRY_NOPS, 0, 8, 8, KM_PATCHABLE);
	check(&a, "wide_call_ops", KM_ENTRY_NOPS, 0, 8, 8, KM_PATCHABLE);
	check(&a, "lands", KM_ENTRY_NOPS, 4, 8, 0, KM_PATCHABLE);
	check(&a, "small", KM_ENTRY_NOPS, 0, 4, 0, KM_TOO_SMALL);
	check(&a, "profiled", KM_ENTRY_CALL, 6, 8, 0, KM_LATE);
	check(&a, "relaxed", KM_ENTRY_CALL, 6, 4, 0, KM_LATE);
	check(&a, "calls", KM_ENTRY_NONE, 0, 0, 0, KM_NO_ENTRY);
	static const char *const pads[] = { "short", "4,0", "wide", "2,0", "call_ops", "8,4", "wide_call_ops", "4,2" };
	for (gsize i = 0; i < G_N_ELEMENTS(pads); i += 2) {
		g_autofree char *pad = km_entry_pad(entry(&a, pads[i]));
		g_assert_cmpstr(pad, ==, pads[i + 1]);
	}
}

/* Records and functions that do not go together; and what does not count. */
static void test_records(void)
{
	const Function functions[] = {
		F("good", "e800000000 c3", 0, 1, 0),
		F("unrecorded", "e800000000 c3", 0, 1, G_MAXINT),
		F("own_code", "4889f8 c3c3", 0, NO_HOOK, 3),
		F("starting", "4889f8 c3", 0, NO_HOOK, G_MAXINT, .section = ".init.text"),
		F("no_tracer", "e800000000 c3", 0, 1, 0, .section = ".noinstr.text"),
		END,
	};
	g_auto(Audited) a = audit_all("x86_64", functions);
	g_assert_cmpint(entry(&a, "good")->verdict, ==, KM_PATCHABLE);
	g_assert_cmpint(entry(&a, "unrecorded")->verdict, ==, KM_NO_RECORD);
	g_assert_cmpint(entry(&a, "starting")->verdict, ==, KM_STARTUP);
	g_assert_cmpint(entry(&a, "no_tracer")->verdict, ==, KM_UNTRACEABLE);
	finds(&a, KM_FINDING_NO_RECORD, "unrecorded");
	finds(&a, KM_FINDING_NO_ENTRY, NULL);
	finds(&a, KM_FINDING_UNTRACEABLE, "no_tracer");
	g_assert_false(km_audit_passes(a.audit));
}

static void test_passes(void)
{
	const Function functions[] = {
		F("good", "e800000000 c3", 0, 1, 0),
		F("starting", "4889f8 c3", 0, NO_HOOK, G_MAXINT, .section = ".init.text"),
		END,
	};
	g_auto(Audited) a = audit_all("x86_64", functions);
	g_assert_true(km_audit_passes(a.audit));
	g_assert_cmpuint(a.audit->findings->len, ==, 0);
}

/* The type for indirect calls, before the room. */
static void test_type(void)
{
	KmObject *object = km_object_new(km_arch_by_name("x86_64"), "test.o");
	KmSymbol *hook = km_object_add_symbol(object, "__fentry__", STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	const Function f = F("f", "b878563412 9090909090909090909090 e800000000 c3", 16, 1, 0);
	add_function(object, &f, hook);
	KmSection *text = km_object_find_section(object, ".text");
	km_object_add_symbol(object, "__cfi_f", STB_LOCAL, STT_FUNC, text, 0, 16);
	km_object_add_symbol(object, "__pfx_f", STB_LOCAL, STT_FUNC, text, 5, 11);
	g_auto(Audited) a = { .code = km_code_new(object) };
	a.audit = km_audit(a.code);
	g_assert_cmpuint(a.audit->entries->len, ==, 1);
	g_assert_cmpuint(entry(&a, "f")->before, ==, 11);
	g_assert_cmpuint(entry(&a, "f")->type_size, ==, 5);
	g_assert_cmphex(entry(&a, "f")->type, ==, 0x12345678);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/entries/x86_64", test_x86_64);
	g_test_add_func("/entries/x86_64-padding", test_x86_64_padding);
	g_test_add_func("/entries/x86_64-unrecorded", test_x86_64_unrecorded);
	g_test_add_func("/entries/arm64", test_arm64);
	g_test_add_func("/entries/ppc64le", test_ppc64le);
	g_test_add_func("/entries/ppc64le-leaf-only", test_ppc64le_leaf_only);
	g_test_add_func("/entries/s390x", test_s390x);
	g_test_add_func("/entries/riscv64", test_riscv64);
	g_test_add_func("/entries/records", test_records);
	g_test_add_func("/entries/passes", test_passes);
	g_test_add_func("/entries/type", test_type);
	return g_test_run();
}
