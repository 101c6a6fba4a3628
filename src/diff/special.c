/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's special sections: tables whose rows describe code somewhere else, and out-of-line code that such rows
 * point at. One row each; nothing else in the project knows their names.
 */
#include <string.h>

#include "base/error.h"
#include "diff/diff.h"

#define TABLE(n, min, relocs) { .name = n, .kind = KM_SPECIAL_TABLE, .min_size = min, .max_relocs = relocs, .compare = TRUE }
#define FIXED(n, size, cmp) { .name = n, .kind = KM_SPECIAL_TABLE, .entry_size = size, .compare = cmp }
#define BEFORE(n) { .name = n, .kind = KM_SPECIAL_MARK, .min_size = 4, .max_relocs = 1, .before = TRUE }
#define SLOTS(n, size) { .name = n, .kind = KM_SPECIAL_SLOTS, .entry_size = size }
#define CODE(n) { .name = n, .kind = KM_SPECIAL_CODE }
#define MARK(n) { .name = n, .kind = KM_SPECIAL_MARK, .min_size = 4, .max_relocs = 1 }
#define DROP(n) { .name = n, .kind = KM_SPECIAL_DROP }

static const KmSpecial table[] = {
	/* x86, arm64, s390: code alternatives by CPU feature; the row grew over the years (12, 13, 14 bytes) */
	TABLE(".altinstructions", 12, 2),
	CODE(".altinstr_replacement"),
	CODE(".altinstr_aux"),
	TABLE(".parainstructions", 12, 1),
	TABLE(".smp_locks", 4, 1),
	/* asm-generic/bug.h: address, file, line, flags, by configuration */
	TABLE("__bug_table", 6, 3),
	/* address, fixup, and on some a handler or type word */
	TABLE("__ex_table", 8, 3),
	CODE(".fixup"),
	/* linux/jump_label.h: code, target, key */
	TABLE("__jump_table", 12, 3),
	/* linux/static_call_types.h: address, key */
	FIXED(".static_call_sites", 8, FALSE),
	FIXED(".retpoline_sites", 4, FALSE),
	FIXED(".return_sites", 4, FALSE),
	FIXED(".call_sites", 4, FALSE),
	FIXED(".ibt_endbr_seal", 4, FALSE),
	FIXED(".kcfi_traps", 4, FALSE),
	FIXED(".cfi_sites", 4, FALSE),
	/* entry records: made by the compiler, one address each */
	FIXED("__mcount_loc", 8, FALSE),
	FIXED("__patchable_function_entries", 8, FALSE),
	/* powerpc: feature fixups with their alternative code, and barriers */
	TABLE("__ftr_fixup", 24, 6),
	TABLE("__mmu_ftr_fixup", 24, 6),
	TABLE("__fw_ftr_fixup", 24, 6),
	CODE("__ftr_alt_*"),
	FIXED("__lwsync_fixup", 8, TRUE),
	FIXED("__spec_barrier_fixup", 8, TRUE),
	FIXED("__barrier_nospec_fixup", 8, TRUE),
	FIXED("__stf_entry_barrier_fixup", 8, TRUE),
	FIXED("__stf_exit_barrier_fixup", 8, TRUE),
	FIXED("__btb_flush_fixup", 8, TRUE),
	FIXED("__rfi_flush_fixup", 8, TRUE),
	/* s390: expolines */
	FIXED(".s390_indirect*", 4, FALSE),
	FIXED(".s390_return*", 4, FALSE),
	FIXED(".nospec_call_table", 4, FALSE),
	FIXED(".nospec_return_table", 4, FALSE),
	/* powerpc: addresses that code loads relative to r2 */
	SLOTS(".toc", 8),
	/* tracepoints: rows belong to the tracepoint, which is data */
	FIXED("__tracepoints_ptrs", 4, FALSE),
	/* annotations for objtool, consumed before the module is written */
	DROP(".discard.addressable"),
	BEFORE(".discard.reachable"),
	BEFORE(".discard.unreachable"),
	MARK(".discard.*"),
	/* made again for the output, or of no use in it */
	DROP(".orc_*"),
	DROP(".init.orc_*"),
	DROP(".eh_frame*"),
	DROP(".comment"),
	DROP(".note*"),
	DROP(".debug_*"),
	DROP(".stab*"),
	DROP(".gnu.*"),
	DROP(".llvm*"),
	DROP(".GCC.*"),
	DROP(".ARM.*"),
	DROP(".BTF"),
	DROP(".BTF.ext"),
	DROP("__ksymtab*"),
	DROP("___ksymtab*"),
	DROP("__kcrctab*"),
	DROP("___kcrctab*"),
	DROP(".export_symbol"),
	DROP(".modinfo"),
	DROP("__modver"),
	DROP("__versions"),
	DROP(".printk_index"),
	DROP(".initcall*"),
	DROP(".con_initcall*"),
	DROP(".exitcall*"),
};

static gboolean name_matches(const char *pattern, const char *name)
{
	gsize length = strlen(pattern);
	if (length && pattern[length - 1] == '*')
		return !strncmp(pattern, name, length - 1);
	return !strcmp(pattern, name);
}

const KmSpecial *km_special_find(const char *section_name)
{
	for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
		if (name_matches(table[i].name, section_name))
			return &table[i];
	return NULL;
}

gboolean km_section_is_about_code(const KmSection *section)
{
	const KmSpecial *special = km_special_find(section->name);
	return special && special->kind != KM_SPECIAL_SLOTS;
}

gboolean km_section_is_record(const KmSection *section)
{
	/* include/asm-generic/vmlinux.lds.h; __verbose is the name before Linux 5.x */
	return !strcmp(section->name, "__dyndbg") || !strcmp(section->name, "__verbose");
}

static gboolean is_in_code(const KmSymbol *symbol)
{
	return symbol->section && (symbol->section->flags & SHF_EXECINSTR);
}

/*
 * Do relocations lie at the same offsets in every stretch of size bytes (those that write one number together counted once)? Any but the first may be missing (an alternative
 * that is removed has no replacement). The last entry may lack the padding that the
 * assembler puts before each next one (.parainstructions: 16 bytes each, the last one 12).
 */
static gboolean has_period(const KmSection *section, guint64 size, guint max_relocs)
{
	guint64 tail = section->size % size;
	if (tail && (section->addralign < 2 || size % section->addralign || size - tail >= section->addralign))
		return FALSE;
	guint64 places[8], next = 0;
	guint n_places = 0, in_entry = 0, most = 0;
	for (guint i = 0; i < section->relocs->len; i++) {
		const KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
		guint64 place = r->offset % size;
		guint k = 0;
		if (i && r->offset == r[-1].offset)
			continue;
		in_entry = r->offset / size == next ? 1 : in_entry + 1;
		/* Addresses all through, as in __jump_table, repeat at every 8 bytes; but an entry starts with a place in code. */
		if (in_entry == 1 && ((n_places && place != places[0]) || !is_in_code(r->symbol)))
			return FALSE;
		if (r->offset / size > next || in_entry > max_relocs)
			return FALSE;
		next += in_entry == 1;
		while (k < n_places && places[k] != place)
			k++;
		if (k == n_places && n_places == G_N_ELEMENTS(places))
			return FALSE;
		if (k == n_places)
			places[n_places++] = place;
		most = MAX(most, in_entry);
	}
	/* As many places as the fullest entry has: otherwise entries do not repeat. */
	return n_places == most && next == (section->size + size - 1) / size;
}

guint km_special_entry_size(const KmSpecial *special, const KmSection *section, GError **error)
{
	guint size = special->entry_size;
	if (!section->size)
		return MAX(size, 1);
	if (!size && section->entsize && !(section->flags & SHF_MERGE) && section->size % section->entsize == 0)
		size = (guint)section->entsize;
	if (size && section->size % size == 0)
		return size;
	for (guint64 p = special->min_size; !size && p && p <= section->size; p++)
		if (has_period(section, p, special->max_relocs))
			return (guint)p;
	km_refuse(error,
		  "section %s (%" G_GUINT64_FORMAT " bytes, %u relocations) does not divide into equal entries; "
		  "this kernel lays it out in a way kmend does not know",
		  section->name, section->size, section->relocs->len);
	return 0;
}
