/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diff/lists.h"

#include <string.h>

/* From include/asm-generic/vmlinux.lds.h and find_module_sections() of kernel/module/main.c. */
static const struct {
	const char *pattern; /* with * and ? */
	KmListKind kind;
	const char *words;
} lists[] = {
	{ ".pci_fixup_*", KM_LIST_WALKED,
	  "the PCI core walks that list, as it was linked, when it finds, enables, suspends or resumes a device; leave "
	  "the entry out, "
	  "and do what it would do from a post-patch callback to the devices that are there (for_each_pci_dev), or in "
	  "a function that is called for them anyway" },
	{ ".builtin_fw", KM_LIST_WALKED,
	  "the firmware loader walks that list, as it was linked; leave it out, and put the firmware where the loader "
	  "looks for files" },
	{ "_ftrace_events", KM_LIST_WALKED,
	  "tracing made its events from that list when the kernel or module started; leave the event out, and use one "
	  "that is there, or a message" },
	{ "__bpf_raw_tp_map", KM_LIST_WALKED,
	  "BPF looks tracepoints up in that list, as it was linked; leave the tracepoint out, and use one that is "
	  "there, or a message" },
	{ "__dyndbg_classes", KM_LIST_WALKED,
	  "dynamic debugging read that list when the kernel or module started; leave the new class out, and use plain "
	  "pr_debug()" },
	{ ".kunit_test_suites", KM_LIST_STARTUP, "tests run when the kernel or module starts" },
	{ ".kunit_init_test_suites", KM_LIST_STARTUP, "tests run when the kernel or module starts" },
	{ "__*_of_table", KM_LIST_STARTUP, "drivers are chosen from that list when the kernel starts" },
	{ "__*_acpi_probe_table", KM_LIST_STARTUP, "drivers are chosen from that list when the kernel starts" },
	{ "__*_thermal_table", KM_LIST_STARTUP, "governors are registered from that list when the kernel starts" },
	{ "__earlycon_table", KM_LIST_STARTUP, "consoles are chosen from that list when the kernel starts" },
	{ ".apicdrivers", KM_LIST_STARTUP, "the driver is chosen from that list when the kernel starts" },
	{ ".*lsm_info.init", KM_LIST_STARTUP, "security modules are set up from that list when the kernel starts" },
	{ ".*_dev.init", KM_LIST_STARTUP,
	  "the processor's description is chosen from that list when the kernel starts" },
	{ "_ftrace_eval_map*", KM_LIST_FORGIVEN,
	  "names of values in formats of trace events differ; tracing goes on with the old ones" },
	{ "__tracepoint_str", KM_LIST_FORGIVEN, "texts of trace events differ; tracing goes on with the old ones" },
	{ "__syscalls_metadata", KM_LIST_FORGIVEN,
	  "what tracing knows of system calls differs; it goes on with what it had" },
	{ "_kprobe_blacklist", KM_LIST_FORGIVEN,
	  "the list of functions that take no probes differs; the kernel goes on with the old one" },
	{ "_error_injection_whitelist", KM_LIST_FORGIVEN,
	  "the list of functions in which errors may be injected differs; the kernel goes on with the old one" },
};

/*
 * Where compilers, and attributes like __read_mostly and DEFINE_PER_CPU, put variables, and what start-up code has used. Of ___srcu_struct_ptrs the loader of modules
 * reads each module's own, a live patch's too. .BTF_ids: see below.
 */
static gboolean is_ordinary(const char *name)
{
	static const char *const prefixes[] = {
		".data",     ".bss",	 ".rodata",  ".sdata", ".sbss",	  ".ldata",
		".lbss",     ".lrodata", ".ref.",    ".toc",   ".got",	  ".vvar",
		".meminit.", ".init.",	 ".BTF_ids", ".exit.", "__param", "___srcu_struct_ptrs",
		NULL
	};
	for (const char *const *prefix = prefixes; *prefix; prefix++)
		if (g_str_has_prefix(name, *prefix))
			return TRUE;
	return FALSE;
}

KmListKind km_section_list(const KmSection *section, const char **words)
{
	*words = NULL;
	for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
		if (g_pattern_match_simple(lists[i].pattern, section->name)) {
			*words = lists[i].words;
			return lists[i].kind;
		}
	return is_ordinary(section->name) || km_special_find(section->name) || km_section_is_record(section)
		       ? KM_LIST_NONE
		       : KM_LIST_UNKNOWN;
}

gboolean km_section_names_functions(const KmSection *section)
{
	const char *words;
	return km_section_list(section, &words) == KM_LIST_FORGIVEN;
}

gboolean km_item_is_row(const KmItem *item)
{
	const char *words;
	return item->kind == KM_ITEM_DATA && item->section && item->size && !item->referrers->len &&
	       km_section_list(item->section, &words) != KM_LIST_NONE;
}

/* ---- numbers of types ---- */

static gint compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Places in .BTF_ids with their names, without the line and the count that BTF_ID() puts at their ends; sorted. */
static GPtrArray *names_of_ids(const KmObject *object)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	for (guint i = 0; i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		if (!symbol->section || symbol->type == STT_SECTION || strcmp(symbol->section->name, ".BTF_ids"))
			continue;
		gsize n = strlen(symbol->name);
		while (n && g_ascii_isdigit(symbol->name[n - 1]))
			n--;
		g_ptr_array_add(names, g_strdup_printf("%016" G_GINT64_MODIFIER "x %.*s", symbol->value,
						       (int)MIN(n, G_MAXINT), symbol->name));
	}
	g_ptr_array_sort(names, compare_names);
	return names;
}

gboolean km_same_btf_ids(const KmObject *original, const KmObject *patched)
{
	g_autoptr(GPtrArray) was = names_of_ids(original), now = names_of_ids(patched);
	gboolean same = was->len == now->len;
	for (guint i = 0; same && i < was->len; i++)
		same = !strcmp(was->pdata[i], now->pdata[i]);
	return same;
}
