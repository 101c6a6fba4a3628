/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mutations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/diff.h"
#include "image/module.h"

typedef struct {
	const KmVerifyInput *input;
	GBytes *bytes;
	const char *path;
	guint stride;
	GArray *classes; /* of MutationClass */
	const char *prefix;
} Bench;

static void die(const char *what, GError *error)
{
	fprintf(stderr, "mutate: %s: %s\n", what, error ? error->message : "?");
	exit(1);
}

static KmObject *fresh(const Bench *b)
{
	GError *error = NULL;
	KmObject *object = km_object_read_bytes(b->bytes, b->path, &error);
	if (!object)
		die(b->path, error);
	return object;
}

static MutationClass *class_of(Bench *b, const char *name)
{
	for (guint i = 0; i < b->classes->len; i++)
		if (!strcmp(g_array_index(b->classes, MutationClass, i).name, name))
			return &g_array_index(b->classes, MutationClass, i);
	MutationClass new = { .name = name };
	g_array_append_val(b->classes, new);
	return &g_array_index(b->classes, MutationClass, b->classes->len - 1);
}

/* Check the spoilt object, which is taken. what is taken too. */
static void judge(Bench *b, const char *name, KmObject *object, char *what)
{
	GError *error = NULL;
	MutationClass *class = class_of(b, name);
	KmVerify *verify = km_verify(object, b->input, &error);
	gboolean caught = !verify || verify->findings->len;
	class->applied++;
	class->caught += caught;
	if (!caught)
		printf("%snot noticed: %s: %s\n", b->prefix, name, what);
	else if (g_getenv("MUTATE_VERBOSE") && verify)
		printf("%s: %s -> %s: %s\n", name, what, ((KmFinding *)verify->findings->pdata[0])->where,
		       ((KmFinding *)verify->findings->pdata[0])->what);
	km_verify_free(verify);
	g_clear_error(&error);
	km_object_free(object);
	g_free(what);
}

static KmSection *section_at(const KmObject *object, guint i)
{
	return object->sections->pdata[i];
}

static KmReloc *reloc_at(const KmObject *object, guint s, guint i)
{
	return &g_array_index(section_at(object, s)->relocs, KmReloc, i);
}

static char *place(const KmObject *object, guint s, guint64 offset)
{
	return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", section_at(object, s)->name, offset);
}

/* Another symbol of the same sort that means something else. */
static KmSymbol *other_symbol(const KmObject *object, const KmSymbol *symbol)
{
	for (guint i = 1; i <= object->symbols->len; i++) {
		KmSymbol *o = object->symbols->pdata[(symbol->index + i) % object->symbols->len];
		if (o->type == STT_FILE || !o->section != !symbol->section || o->shndx != symbol->shndx)
			continue;
		if (symbol->section ? o->section != symbol->section || o->value != symbol->value
				    : strcmp(o->name, symbol->name) != 0)
			return o;
	}
	return NULL;
}

static gboolean writes(const KmObject *object, const KmReloc *r)
{
	const KmRelocInfo *info = km_arch_reloc(object->arch, r->type);
	return !info || info->kind != KM_RELOC_NONE;
}

static void mutate_reloc(Bench *b, guint s, guint i)
{
	static const gint64 shifts[] = { 1, -1, 8, -4096 };
	for (gsize k = 0; k < G_N_ELEMENTS(shifts); k++) {
		KmObject *object = fresh(b);
		KmReloc *r = reloc_at(object, s, i);
		r->addend += shifts[k];
		judge(b, "relocation: addend", object,
		      g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x %+" G_GINT64_FORMAT, section_at(object, s)->name,
				      r->offset, shifts[k]));
	}
	KmObject *object = fresh(b);
	KmReloc *r = reloc_at(object, s, i);
	KmSymbol *other = other_symbol(object, r->symbol);
	char *what = place(object, s, r->offset);
	if (other) {
		r->symbol = other;
		judge(b, "relocation: target", object, what);
	} else {
		km_object_free(object);
		g_free(what);
	}
	object = fresh(b);
	what = place(object, s, reloc_at(object, s, i)->offset);
	g_array_remove_index(section_at(object, s)->relocs, i);
	judge(b, "relocation: dropped", object, what);
	object = fresh(b);
	r = reloc_at(object, s, i);
	r->type = r->type == object->arch->abs64 ? object->arch->pc32 : object->arch->abs64;
	judge(b, "relocation: type", object, place(object, s, r->offset));
	object = fresh(b);
	r = reloc_at(object, s, i);
	r->offset++;
	judge(b, "relocation: offset", object, place(object, s, r->offset));
}

static void mutate_relocs(Bench *b, const KmObject *model)
{
	for (guint s = 0; s < model->sections->len; s++)
		for (guint i = 0; i < section_at(model, s)->relocs->len; i++)
			if (writes(model, reloc_at(model, s, i)))
				mutate_reloc(b, s, i);
}

static void rename_symbol(Bench *b, const char *class, guint i, char *name)
{
	KmObject *object = fresh(b);
	KmSymbol *symbol = object->symbols->pdata[i];
	char *what = g_strdup_printf("%s -> %s", symbol->name, name);
	g_free(symbol->name);
	symbol->name = name;
	judge(b, class, object, what);
}

/* Names that exist, so that only the meaning changes. */
static void mutate_klp_symbol(Bench *b, const KmSymbol *symbol)
{
	gsize n;
	const KmKsym *symbols = km_image_symbols(b->input->image, &n);
	const char *comma = strrchr(symbol->name, ',');
	g_autofree char *stem = g_strndup(symbol->name, (gsize)(comma - symbol->name));
	guint64 sympos = g_ascii_strtoull(comma + 1, NULL, 10);
	rename_symbol(b, "livepatch symbol: position", symbol->index,
		      g_strdup_printf("%s,%" G_GUINT64_FORMAT, stem, sympos + 1));
	if (sympos > 1)
		rename_symbol(b, "livepatch symbol: position", symbol->index,
			      g_strdup_printf("%s,%" G_GUINT64_FORMAT, stem, sympos - 1));
	for (gsize k = n / 3; k < n / 3 + 3; k++)
		rename_symbol(b, "livepatch symbol: another name", symbol->index,
			      g_strdup_printf(".klp.sym.vmlinux.%s,1", symbols[k].name));
	rename_symbol(b, "livepatch symbol: object", symbol->index,
		      g_strconcat(".klp.sym.loop.", strchr(symbol->name + 9, '.') + 1, NULL));
}

static void mutate_symbols(Bench *b, const KmObject *model)
{
	for (guint i = 0; i < model->symbols->len; i++) {
		const KmSymbol *symbol = model->symbols->pdata[i];
		if (symbol->shndx == KM_SHN_LIVEPATCH && !symbol->section)
			mutate_klp_symbol(b, symbol);
		else if (!symbol->section && symbol->shndx == SHN_UNDEF && *symbol->name)
			rename_symbol(b, "import: another name", i,
				      g_strdup(strcmp(symbol->name, "_printk") ? "_printk" : "kfree"));
	}
}

static void flip(Bench *b, const char *class, guint s, guint64 offset, guint8 bits)
{
	KmObject *object = fresh(b);
	section_at(object, s)->data->data[offset] ^= bits;
	judge(b, class, object, place(object, s, offset));
}

static gboolean is_in(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(name, *names))
			return TRUE;
	return FALSE;
}

/* The version of kmend that made it is for people. */
static gboolean is_version(const KmSection *section, guint64 offset)
{
	static const char tag[] = "kmend=";
	guint64 start = offset;
	while (start && section->data->data[start - 1])
		start--;
	return !strcmp(section->name, ".modinfo") && offset - start >= strlen(tag) &&
	       !memcmp(section->data->data + start, tag, strlen(tag));
}

static void mutate_bytes(Bench *b, const KmObject *model)
{
	static const char *const loaders[] = { ".modinfo", "__versions", ".gnu.linkonce.this_module", NULL };
	guint64 count = 0;
	for (guint s = 0; s < model->sections->len; s++) {
		const KmSection *section = section_at(model, s);
		const char *class = section->flags & SHF_EXECINSTR   ? "byte: code"
				    : is_in(section->name, loaders)  ? "byte: modinfo, versions, struct module"
				    : km_special_find(section->name) ? "byte: tables"
								     : "byte: data and strings";
		for (guint64 i = 0;
		     section->data && !section->klp_object && (section->flags & SHF_ALLOC) && i < section->data->len;
		     i++)
			if (count++ % b->stride == 0 && !is_version(section, i))
				flip(b, class, s, i, (guint8)(1u << (count / b->stride % 8)));
	}
}

/* ---- tables ---- */

static guint row_size(const KmSection *section)
{
	static const struct {
		const char *name;
		guint size;
	} rows[] = { { ".orc_unwind_ip", 4 },	 { "__jump_table", 16 },    { ".static_call_sites", 8 },
		     { "__bug_table", 12 },	 { "__ex_table", 12 },	    { ".smp_locks", 4 },
		     { ".return_sites", 4 },	 { ".retpoline_sites", 4 }, { ".call_sites", 4 },
		     { ".ibt_endbr_seal", 4 },	 { "__mcount_loc", 8 },	    { "__patchable_function_entries", 8 },
		     { ".parainstructions", 16 } };
	const KmSpecial *special = km_special_find(section->name);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		if (!strcmp(rows[i].name, section->name))
			return rows[i].size;
	return special && special->kind == KM_SPECIAL_TABLE ? km_special_entry_size(special, section, NULL) : 0;
}

/* Take [start, end) out of a section, with its relocations, and move up what follows. */
static void cut(KmObject *object, const char *name, guint64 start, guint64 end)
{
	for (guint s = 0; s < object->sections->len; s++) {
		KmSection *section = section_at(object, s);
		KmSection *of = section->klp_object ? section->klp_target : section;
		if (strcmp(of->name, name))
			continue;
		for (guint i = section->relocs->len; i-- > 0;) {
			KmReloc *r = &g_array_index(section->relocs, KmReloc, i);
			if (r->offset >= end)
				r->offset -= end - start;
			else if (r->offset >= start)
				g_array_remove_index(section->relocs, i);
		}
	}
	KmSection *section = km_object_find_section(object, name);
	g_byte_array_remove_range(section->data, (guint)start, (guint)(end - start));
	section->size = section->data->len;
}

static void copy_row(KmObject *object, const char *name, guint64 start, guint64 end)
{
	KmSection *section = km_object_find_section(object, name);
	g_autofree guint8 *row = g_memdup2(section->data->data + start, end - start);
	guint64 at = section->size;
	for (guint s = 0; s < object->sections->len; s++) {
		KmSection *by = section_at(object, s);
		KmSection *of = by->klp_object ? by->klp_target : by;
		guint n = by->relocs->len;
		for (guint i = 0; !strcmp(of->name, name) && i < n; i++) {
			KmReloc r = g_array_index(by->relocs, KmReloc, i);
			r.offset += at - start;
			if (r.offset >= at && r.offset < at + (end - start))
				g_array_append_val(by->relocs, r);
		}
	}
	g_byte_array_append(section->data, row, (guint)(end - start));
	section->size = section->data->len;
}

/* The row says what the next one says, or is about another instruction. */
static void mutate_unwind(Bench *b, guint64 n, const char *where)
{
	KmObject *object = fresh(b);
	KmSection *rows = km_object_find_section(object, ".orc_unwind");
	guint8 *row = rows->data->data + n * 6;
	if ((n + 2) * 6 <= rows->size && memcmp(row, row + 6, 6)) {
		memcpy(row, row + 6, 6);
		judge(b, "unwind row: of another place", object, g_strdup(where));
	} else {
		km_object_free(object);
	}
	object = fresh(b);
	g_array_index(km_object_find_section(object, ".orc_unwind_ip")->relocs, KmReloc, n).addend++;
	judge(b, "unwind row: shifted", object, g_strdup(where));
}

static void mutate_row(Bench *b, const char *table, guint64 start, guint64 end)
{
	g_autofree char *where = g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", table, start);
	gboolean unwind = !strcmp(table, ".orc_unwind_ip");
	KmObject *object = fresh(b);
	cut(object, table, start, end);
	if (unwind)
		cut(object, ".orc_unwind", start / 4 * 6, start / 4 * 6 + 6);
	judge(b, unwind ? "unwind row: dropped" : "table row: dropped", object, g_strdup(where));
	object = fresh(b);
	copy_row(object, table, start, end);
	if (unwind)
		copy_row(object, ".orc_unwind", start / 4 * 6, start / 4 * 6 + 6);
	judge(b, unwind ? "unwind row: duplicated" : "table row: duplicated", object, g_strdup(where));
	if (unwind)
		mutate_unwind(b, start / 4, where);
}

static void mutate_tables(Bench *b, const KmObject *model)
{
	for (guint s = 0; s < model->sections->len; s++) {
		const KmSection *section = section_at(model, s);
		guint size = section->klp_object || !section->data ? 0 : row_size(section);
		for (guint64 at = 0; size && at < section->size; at += size)
			mutate_row(b, section->name, at, MIN(at + size, section->size));
	}
	const KmSection *versions = km_object_find_section(model, "__versions");
	for (guint64 at = 0; versions && at < versions->size; at += 64)
		mutate_row(b, "__versions", at, at + 64);
}

/* ---- pieces and structures ---- */

/* The loader only wants it to be there, and makes it anew. */
static gboolean is_the_loaders(const KmObject *model, const KmSection *section)
{
	const char *const *names = model->arch->module_sections;
	return names && is_in(section->name, names);
}

/* A cold part, function or datum that is not there: its bytes are gone, its relocations too. */
static void mutate_pieces(Bench *b, const KmObject *model)
{
	for (guint s = 0; s < model->sections->len; s++) {
		const KmSection *section = section_at(model, s);
		if (section->klp_object || !(section->flags & SHF_ALLOC) || !section->size ||
		    km_special_find(section->name) || !section->data || is_the_loaders(model, section))
			continue;
		KmObject *object = fresh(b);
		cut(object, section->name, 0, section->size);
		judge(b, strstr(section->name, ".text.unlikely") ? "cold part: emptied" : "section: emptied", object,
		      g_strdup(section->name));
		static const guint64 bits[] = { SHF_ALLOC, SHF_EXECINSTR };
		for (gsize k = 0; k < G_N_ELEMENTS(bits); k++) {
			object = fresh(b);
			section_at(object, s)->flags ^= bits[k];
			judge(b, "section: flags", object, g_strdup(section->name));
		}
	}
}

/* The function of the module that the n-th pointer of the livepatch structures leads to, exchanged with another. */
static void mutate_functions(Bench *b, const KmObject *model)
{
	KmSection *data = km_object_find_section(model, ".data.kmend");
	for (guint i = 0; data && i < data->relocs->len; i++) {
		const KmReloc *r = &g_array_index(data->relocs, KmReloc, i);
		if (!r->symbol->section || !km_section_is_text(r->symbol->section))
			continue;
		KmObject *object = fresh(b);
		cut(object, ".data.kmend", r->offset & ~(guint64)31, r->offset & ~(guint64)31);
		KmReloc *new_func = &g_array_index(section_at(object, data->index)->relocs, KmReloc, i);
		new_func->symbol = km_object_find_symbol(object, "cleanup_module");
		new_func->addend = 0;
		judge(b, "klp_func: repointed", object, place(model, data->index, r->offset));
		/* Name before it: both pointers gone is the empty entry that ends the array. */
		object = fresh(b);
		g_array_remove_range(section_at(object, data->index)->relocs, i - 1, 2);
		for (guint k = 0; k < 8; k++)
			section_at(object, data->index)->data->data[r->offset + 8 + k] = 0;
		judge(b, "klp_func: dropped", object, place(model, data->index, r->offset));
	}
}

GArray *mutations_run(const KmVerifyInput *input, GBytes *bytes, const char *path, guint stride, const char *prefix)
{
	Bench b = { .input = input, .bytes = bytes, .path = path, .stride = stride, .prefix = prefix };
	b.classes = g_array_new(FALSE, FALSE, sizeof(MutationClass));
	GError *error = NULL;
	KmObject *model = fresh(&b), *copy = fresh(&b);
	KmVerify *sound = km_verify(copy, input, &error);
	if (!sound || !km_verify_passed(sound, path, &error))
		die("the sound module", error);
	mutate_pieces(&b, model);
	mutate_functions(&b, model);
	mutate_tables(&b, model);
	mutate_symbols(&b, model);
	mutate_relocs(&b, model);
	mutate_bytes(&b, model);
	km_verify_free(sound);
	km_object_free(copy);
	km_object_free(model);
	return b.classes;
}
