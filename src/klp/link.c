/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/link.h"

#include <string.h>

#include "base/error.h"

/* Static call trampolines and keys: include/linux/static_call_types.h. */
#define STATIC_CALL_TRAMP "__SCT__"
#define STATIC_CALL_KEY "__SCK__"

KmLink *km_link_new(KmObject *template_object)
{
	KmLink *link = g_new0(KmLink, 1);
	link->object = template_object;
	link->refs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)km_ref_free);
	link->moved = g_hash_table_new(NULL, NULL);
	link->pending = g_hash_table_new(NULL, NULL);
	return link;
}

void km_link_free(KmLink *link)
{
	if (!link)
		return;
	km_object_free(link->object);
	g_hash_table_unref(link->refs);
	g_hash_table_unref(link->moved);
	g_hash_table_unref(link->pending);
	g_free(link);
}

static KmSymbol *find_undefined(const KmObject *object, const char *name)
{
	for (guint i = 0; i < object->symbols->len; i++) {
		KmSymbol *symbol = object->symbols->pdata[i];
		if (!symbol->section && symbol->shndx == SHN_UNDEF && !strcmp(symbol->name, name))
			return symbol;
	}
	return NULL;
}

KmSymbol *km_link_undefined(KmLink *link, const char *name, KmRef *ref)
{
	g_autofree char *unique = g_strdup(name);
	for (guint n = 1;; n++) {
		const KmRef *known = g_hash_table_lookup(link->refs, unique);
		if (!known)
			break;
		if (km_ref_equal(known, ref)) {
			km_ref_free(ref);
			return find_undefined(link->object, unique);
		}
		g_free(unique);
		unique = g_strdup_printf("%s.kmend.%u", name, n);
	}
	KmSymbol *symbol = find_undefined(link->object, unique);
	if (!symbol)
		symbol = km_object_add_symbol(link->object, unique, STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	g_hash_table_insert(link->refs, g_steal_pointer(&unique), ref);
	return symbol;
}

/* What a section that cannot be carried is made by, as an author would call it; "" when nobody knows. */
static const char *author_words(const KmSection *section)
{
	static const struct {
		const char *prefix, *words;
	} known[] = {
		{ "__tracepoints", " (a new tracepoint: use one that the kernel has, or a message)" },
		{ "_ftrace_events", " (a new trace event: use one that the kernel has, or a message)" },
		{ "_ftrace_eval_map", " (a new trace event: use one that the kernel has, or a message)" },
		{ ".init", " (start-up code or data)" },
		{ ".exit", " (exit code or data)" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
		if (g_str_has_prefix(section->name, known[i].prefix))
			return known[i].words;
	return "";
}

static gboolean has_prefix_of(const char *name, const char *const *prefixes)
{
	for (; *prefixes; prefixes++)
		if (g_str_has_prefix(name, *prefixes))
			return TRUE;
	return FALSE;
}

/* Sections that mean the same in a module as in the kernel. Anything else would be loaded and silently do nothing. */
static gboolean can_carry(const KmSection *section)
{
	static const char *const plain[] = { ".text",
					     ".data",
					     ".bss",
					     ".rodata",
					     "__dyndbg",
					     ".static_call.text",
					     ".noinstr.text",
					     ".sched.text",
					     ".cpuidle.text",
					     ".ref.text",
					     ".kprobes.text",
					     ".irqentry.text",
					     ".softirqentry.text",
					     ".spinlock.text",
					     ".lock.text",
					     ".entry.text",
					     ".meminit.text",
					     ".devinit.text",
					     NULL };
	if (!(section->flags & SHF_ALLOC))
		return TRUE;
	return km_special_find(section->name) || has_prefix_of(section->name, plain);
}

/*
 * Sections whose name means something to the loader, the kernel or objtool: there must be one of each, so the units' parts are
 * joined. What a compiler names after one symbol (.text.f, .data.x) is only a name.
 */
static gboolean is_joined(const KmSection *section)
{
	static const char *const own[] = { ".text.", ".data.", ".bss.", ".rodata.", NULL };
	return !has_prefix_of(section->name, own) || g_str_has_prefix(section->name, ".data..");
}

static KmSection *section_to_join(const KmObject *object, const KmSection *section)
{
	KmSection *known = is_joined(section) ? km_object_find_section(object, section->name) : NULL;
	return known && known->type == section->type ? known : NULL;
}

/* Where a section's bytes go, and at which offset they start there. */
typedef struct {
	KmSection *to;
	guint64 at;
} Home;

/* The module loader shows each section under its name in sysfs, and two units may both bring a .text.m_show. */
static char *free_section_name(const KmObject *object, const char *name)
{
	char *unique = g_strdup(name);
	for (guint n = 1; km_object_find_section(object, unique); n++) {
		g_free(unique);
		unique = g_strdup_printf("%s.%u", name, n);
	}
	return unique;
}

static Home home_of(KmObject *object, const KmSection *section)
{
	KmSection *to = section_to_join(object, section);
	if (!to) {
		g_autofree char *name = free_section_name(object, section->name);
		to = km_object_add_section(object, name, section->type, section->flags & ~(guint64)SHF_LINK_ORDER, 1);
		to->entsize = section->entsize;
	}
	const guint8 *bytes = section->data ? section->data->data : NULL;
	return (Home){ to, km_object_append(object, to, bytes, section->size, section->addralign) };
}

/*
 * A static call of a module, or any whose trampoline only the own runtime finds: objtool would list the site with its key, which the kernel reads
 * before it is filled in. Under another name it is a call like any other, to the trampoline, which always leads to the current target.
 */
static gboolean is_plain_static_call(const KmRefContext *c, const KmRef *ref)
{
	return ref->kind == KM_REF_KLP && (c->by_address || strcmp(ref->object, "vmlinux")) &&
	       g_str_has_prefix(ref->name, STATIC_CALL_TRAMP);
}

/* The local twin of a static call's trampoline: objtool wants the key beside it, or the kernel refuses the module. */
static gboolean add_static_call_key(KmLink *link, const KmRefContext *c, const char *name, GError **error)
{
	if (!g_str_has_prefix(name, STATIC_CALL_TRAMP))
		return TRUE;
	g_autofree char *key = g_strconcat(STATIC_CALL_KEY, name + strlen(STATIC_CALL_TRAMP), NULL);
	KmRef *ref = km_ref_new(c, NULL, key, error);
	if (!ref)
		return FALSE;
	km_link_undefined(link, key, ref);
	return TRUE;
}

/* Stands for a definition until km_link_join(). Another unit may mean another definition by the same name, so it bears a name of its own. */
static void add_pending(KmLink *link, const KmSymbol *symbol, KmSymbol *definition)
{
	g_autofree char *name = g_strdup_printf("%s.kmend.pending.%u", symbol->name, g_hash_table_size(link->pending));
	KmSymbol *pending = km_object_add_symbol(link->object, name, STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	g_hash_table_insert(link->pending, pending, definition);
	g_hash_table_insert(link->moved, (gpointer)symbol, pending);
}

static void add_loader_symbol(KmLink *link, const KmSymbol *symbol)
{
	KmSymbol *moved = find_undefined(link->object, symbol->name);
	if (!moved)
		moved = km_object_add_symbol(link->object, symbol->name, STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	g_hash_table_insert(link->moved, (gpointer)symbol, moved);
}

static gboolean add_undefined(KmLink *link, const KmSymbol *symbol, const KmRefContext *c, GHashTable *definitions,
			      GHashTable *offsets, GError **error)
{
	const KmSymbol *patched = symbol->user;
	KmSymbol *definition = patched && patched->section ? NULL : g_hash_table_lookup(definitions, symbol->name);
	if (definition) {
		add_pending(link, symbol, definition);
		return TRUE;
	}
	if (km_arch_is_loader_symbol(link->object->arch, symbol->name)) {
		add_loader_symbol(link, symbol);
		return TRUE;
	}
	KmRef *ref = km_ref_new(c, patched, symbol->name, error);
	if (!ref)
		return FALSE;
	if (ref->offset)
		g_hash_table_insert(offsets, (gpointer)symbol, g_memdup2(&ref->offset, sizeof(ref->offset)));
	gboolean plain_call = is_plain_static_call(c, ref);
	g_autofree char *name = g_strconcat(plain_call ? "kmend.trampoline." : "", symbol->name, NULL);
	KmSymbol *moved = km_link_undefined(link, name, ref);
	if (symbol->bind == STB_WEAK)
		moved->bind = STB_WEAK;
	g_hash_table_insert(link->moved, (gpointer)symbol, moved);
	return plain_call || add_static_call_key(link, c, symbol->name, error);
}

/* "x" of "__SCT__x" and "__SCK__x"; NULL: it is neither. */
static const char *static_call_name(const KmSymbol *symbol)
{
	gboolean one =
		g_str_has_prefix(symbol->name, STATIC_CALL_TRAMP) || g_str_has_prefix(symbol->name, STATIC_CALL_KEY);
	return one ? symbol->name + strlen(STATIC_CALL_KEY) : NULL;
}

/* objtool finds the key of a static call by its name, so two units with one of the same name need two names. */
static char *name_of_definition(const KmLink *link, const KmSymbol *symbol)
{
	const char *name = static_call_name(symbol);
	for (guint i = 0; name && i < link->known; i++) {
		const char *other = static_call_name(link->object->symbols->pdata[i]);
		if (other && !strcmp(other, name))
			return g_strdup_printf("%s.kmend.%u", symbol->name, link->known);
	}
	return g_strdup(symbol->name);
}

/* objtool knows the trampoline of a static call, behind which nothing is reached, only when it is global. */
static guint8 binding_of(const KmSymbol *symbol)
{
	return g_str_has_prefix(symbol->name, STATIC_CALL_TRAMP) ? STB_GLOBAL : STB_LOCAL;
}

static void add_defined(KmLink *link, const KmSymbol *symbol, const Home *home)
{
	KmSymbol *moved;
	g_autofree char *name = name_of_definition(link, symbol);
	if (symbol->type == STT_SECTION)
		moved = km_object_section_symbol(link->object, home->to);
	else
		moved = km_object_add_symbol(link->object, name, binding_of(symbol), symbol->type, home->to,
					     symbol->value + home->at, symbol->size);
	if (symbol->type != STT_SECTION)
		moved->other = symbol->other;
	g_hash_table_insert(link->moved, (gpointer)symbol, moved);
}

static gboolean add_symbols(KmLink *link, const KmObject *extracted, const Home *homes, const KmRefContext *c,
			    GHashTable *definitions, GHashTable *offsets, GError **error)
{
	for (guint i = 0; i < extracted->symbols->len; i++) {
		const KmSymbol *symbol = extracted->symbols->pdata[i];
		if (symbol->section) {
			add_defined(link, symbol, &homes[symbol->section->index]);
		} else if (symbol->shndx == SHN_UNDEF) {
			if (!add_undefined(link, symbol, c, definitions, offsets, error))
				return FALSE;
		} else {
			KmSymbol *moved = km_object_add_symbol(link->object, symbol->name, STB_LOCAL, symbol->type,
							       NULL, symbol->value, symbol->size);
			moved->shndx = symbol->shndx;
			g_hash_table_insert(link->moved, (gpointer)symbol, moved);
		}
	}
	return TRUE;
}

static void add_relocs(KmLink *link, const KmObject *extracted, const KmSection *section, const Home *homes,
		       GHashTable *offsets)
{
	const Home *home = &homes[section->index];
	for (guint i = 0; i < section->relocs->len; i++) {
		KmReloc r = g_array_index(section->relocs, KmReloc, i);
		const gint64 *offset = g_hash_table_lookup(offsets, r.symbol);
		gint64 moved = 0;
		/* A table's section symbol now stands for the start of the joined table. */
		if (r.symbol->type == STT_SECTION)
			moved = (gint64)homes[r.symbol->section->index].at;
		KmSymbol *to = r.symbol == extracted->null_symbol ? link->object->null_symbol
								  : g_hash_table_lookup(link->moved, r.symbol);
		km_section_add_reloc(home->to, r.offset + home->at, r.type, to,
				     r.addend + (offset ? *offset : 0) + moved);
	}
}

gboolean km_link_add(KmLink *link, const KmObject *extracted, const KmRefContext *c, GHashTable *definitions,
		     GError **error)
{
	g_autofree Home *homes = g_new0(Home, extracted->sections->len + 1);
	g_autoptr(GHashTable) offsets = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	link->known = link->object->symbols->len;
	for (guint i = 0; i < extracted->sections->len; i++) {
		const KmSection *section = extracted->sections->pdata[i];
		if (!can_carry(section))
			return km_refuse(error, "%s: the new code needs section %s, which a live patch cannot carry%s",
					 extracted->path, section->name, author_words(section));
		homes[i] = home_of(link->object, section);
	}
	if (!add_symbols(link, extracted, homes, c, definitions, offsets, error))
		return FALSE;
	for (guint i = 0; i < extracted->sections->len; i++) {
		add_relocs(link, extracted, extracted->sections->pdata[i], homes, offsets);
		km_section_sort_relocs(homes[i].to);
	}
	return TRUE;
}

void km_link_join(KmLink *link)
{
	for (guint i = 0; i < link->object->sections->len; i++) {
		KmSection *section = link->object->sections->pdata[i];
		for (guint k = 0; k < section->relocs->len; k++) {
			KmReloc *r = &g_array_index(section->relocs, KmReloc, k);
			const KmSymbol *definition = g_hash_table_lookup(link->pending, r->symbol);
			KmSymbol *defined = definition ? g_hash_table_lookup(link->moved, definition) : NULL;
			r->symbol = defined ? defined : r->symbol;
		}
	}
}
