/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Following addresses through code. For each function: which registers may hold a followed address before each instruction, as a
 * fixed point over all ways through it. Functions hand addresses to each other in argument and result registers, so that
 * goes round until nothing new comes up. Anything not understood counts as an escape.
 */
#include "diff/escape.h"

#include <string.h>

typedef struct {
	KmSection *section;
	guint64 offset;
	KmStep step;
	const KmRef *ref; /* of its relocated field, or of a branch without relocation; NULL */
	guint n_refs; /* from ref on; several in one instruction are not told apart */
	gboolean reached;
	guint64 held; /* registers that may hold a followed address before it */
} Insn;

typedef struct {
	KmItem *item;
	GPtrArray *ranges; /* of KmItem: itself and its cold parts */
	GArray *insns; /* of Insn, range by range */
	GArray *doors; /* of guint: instructions that are reached in ways which do not show in the code */
	guint64 arguments; /* registers that may hold a followed address when it is called from within the unit */
	guint64 anywhere; /* all that is held somewhere in it */
	guint64 returns; /* result registers in which it may return one */
	gboolean waiting;
} Walk;

typedef struct {
	const KmSide *side;
	GHashTable *tables;
	gboolean vouched;
	gboolean nested; /* some of the tables hold addresses of others */
	gpointer reader;
	GHashTable *walks; /* KmItem -> Walk */
	GPtrArray *queue; /* of Walk */
	char *escape;
} Search;

static void walk_free(gpointer data)
{
	Walk *walk = data;
	g_ptr_array_unref(walk->ranges);
	g_array_unref(walk->insns);
	g_array_unref(walk->doors);
	g_free(walk);
}

static void search_clear(Search *s)
{
	g_clear_pointer(&s->walks, g_hash_table_unref);
	g_clear_pointer(&s->queue, g_ptr_array_unref);
	km_arch_reader_free(s->reader);
	g_free(s->escape);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Search, search_clear)

static const KmArch *arch_of(const Search *s)
{
	return s->side->object->arch;
}

static void G_GNUC_PRINTF(4, 5) escapes(Search *s, const Walk *walk, const Insn *insn, const char *format, ...)
{
	if (s->escape || s->vouched)
		return;
	va_list args;
	va_start(args, format);
	g_autofree char *what = g_strdup_vprintf(format, args);
	va_end(args);
	const KmItem *item = walk->item;
	for (guint i = 0; i < walk->ranges->len; i++) {
		const KmItem *range = walk->ranges->pdata[i];
		if (range->section == insn->section && insn->offset - range->start < range->size)
			item = range;
	}
	s->escape = g_strdup_printf("%s %s (at %s+0x%" G_GINT64_MODIFIER "x)", walk->item->name, what, item->name,
				    insn->offset - item->start);
}

static void enqueue(Search *s, Walk *walk)
{
	if (walk->waiting)
		return;
	walk->waiting = TRUE;
	g_ptr_array_add(s->queue, walk);
}

/* ---- the instructions of a function ---- */

static gint find_insn(const Walk *walk, const KmSection *section, guint64 offset)
{
	for (guint i = 0; i < walk->insns->len; i++) {
		const Insn *insn = &g_array_index(walk->insns, Insn, i);
		if (insn->section == section && insn->offset == offset)
			return (gint)i;
	}
	return -1;
}

static gboolean read_range(Search *s, Walk *walk, const KmItem *range)
{
	for (guint64 at = range->start; at < range->start + range->size;) {
		Insn insn = { .section = range->section, .offset = at };
		guint n;
		arch_of(s)->step(s->reader, range->section, at, G_MAXUINT64, &insn.step);
		if (!insn.step.size)
			return FALSE;
		insn.ref = km_side_refs_in(s->side, range->section, at, at + insn.step.size, &n);
		insn.n_refs = n;
		if (insn.ref)
			arch_of(s)->step(s->reader, range->section, at, insn.ref->offset, &insn.step);
		at += insn.step.size;
		g_array_append_val(walk->insns, insn);
	}
	return TRUE;
}

/* Does a row of a special section only say something about this place, rather than send control there? */
static gboolean is_remark(const KmSection *section, guint64 offset)
{
	const KmSpecial *special = km_special_find(section->name);
	if (!special || special->kind == KM_SPECIAL_CODE || special->kind == KM_SPECIAL_SLOTS)
		return FALSE;
	if (special->kind != KM_SPECIAL_TABLE)
		return TRUE;
	guint size = km_special_entry_size(special, section, NULL);
	return size && offset % size == special->owner;
}

/* Places that jump labels, fixups after faults, alternatives and switch tables lead to. */
static void find_doors(const Search *s, Walk *walk)
{
	for (guint i = 0; i < s->side->object->sections->len; i++) {
		const KmSection *section = s->side->object->sections->pdata[i];
		const GArray *refs = km_side_part(s->side, section)->refs;
		gboolean own = (section->flags & SHF_EXECINSTR) && !km_special_find(section->name);
		for (guint r = 0; !own && r < refs->len; r++) {
			const KmRef *ref = &g_array_index(refs, KmRef, r);
			if (!ref->item || !g_ptr_array_find(walk->ranges, ref->item, NULL) ||
			    is_remark(section, ref->offset))
				continue;
			gint door = find_insn(walk, ref->section, ref->position);
			/* The entry itself is the beginning anyway. */
			if (door > 0)
				g_array_append_val(walk->doors, door);
		}
	}
}

static Walk *walk_of(Search *s, KmItem *item)
{
	item = item->parent ? item->parent : item;
	Walk *walk = g_hash_table_lookup(s->walks, item);
	if (walk)
		return walk;
	walk = g_new0(Walk, 1);
	walk->item = item;
	walk->ranges = g_ptr_array_new();
	walk->insns = g_array_new(FALSE, FALSE, sizeof(Insn));
	walk->doors = g_array_new(FALSE, FALSE, sizeof(guint));
	g_hash_table_insert(s->walks, item, walk);
	g_ptr_array_add(walk->ranges, item);
	for (guint i = 0; i < s->side->items->len; i++) {
		KmItem *part = s->side->items->pdata[i];
		if (part->parent == item && part->kind == KM_ITEM_FUNCTION)
			g_ptr_array_add(walk->ranges, part);
	}
	for (guint i = 0; i < walk->ranges->len; i++) {
		const KmItem *range = walk->ranges->pdata[i];
		if (!s->escape && !read_range(s, walk, range))
			s->escape = g_strdup_printf("%s uses it, whose code does not decode", range->name);
	}
	find_doors(s, walk);
	enqueue(s, walk);
	return walk;
}

/* ---- calls ---- */

/* Functions that by the C standard, or the kernel's copy of it, keep no pointer they are given and return none of them. */
static gboolean keeps_nothing(const char *name, gboolean nested)
{
	static const char *const readers[] = {
		"memcmp",     "strcmp",	       "strncmp",     "strcasecmp", "strncasecmp", "strlen",	 "strnlen",
		"_printk",    "printk",	       "snprintf",    "scnprintf",  "sprintf",	   "seq_printf", "seq_puts",
		"sysfs_emit", "sysfs_emit_at", "_dev_printk", "_dev_err",   "_dev_warn",   "_dev_info",	 NULL
	};
	if (g_strv_contains(readers, name))
		return TRUE;
	/* What they copy is no address, unless tables hold those of others. */
	return !nested && (!strcmp(name, "memcpy") || !strcmp(name, "__memcpy") || !strcmp(name, "memmove"));
}

/* A function of this unit that its name surely leads to: another unit may override a weak one. */
static KmItem *callee_inside(const KmRef *ref)
{
	if (!ref || !ref->item || ref->item->kind != KM_ITEM_FUNCTION || ref->at)
		return NULL;
	return ref->item->symbol && ref->item->symbol->bind == STB_WEAK ? NULL : ref->item;
}

static gboolean is_branch_ref(const KmSide *side, const KmItem *from, const KmRef *ref)
{
	gsize n;
	if (!ref->symbol)
		return TRUE;
	const KmReloc *reloc = km_section_relocs_in(from->section, ref->offset, ref->offset + 1, &n);
	return n && km_arch_is_branch(side->object->arch, from->section,
				      (gsize)(reloc - (const KmReloc *)(void *)from->section->relocs->data));
}

/* Only called, and only from functions of this unit: then its callers are all there is to look at. */
static gboolean is_called_here_only(const Search *s, const KmItem *function)
{
	if (!function->symbol || function->symbol->bind != STB_LOCAL)
		return FALSE;
	for (guint i = 0; i < function->referrers->len; i++) {
		const KmItem *user = function->referrers->pdata[i];
		const KmRef *refs = km_item_refs(user);
		if (user->kind != KM_ITEM_FUNCTION) {
			if (user->section && km_section_is_about_code(user->section))
				continue;
			return FALSE;
		}
		for (guint r = 0; r < user->n_refs; r++)
			if (refs[r].item == function && !is_branch_ref(s->side, user, &refs[r]))
				return FALSE;
	}
	return TRUE;
}

static void returned(Search *s, Walk *walk, const Insn *insn, guint64 registers)
{
	if (!(registers & ~walk->returns))
		return;
	walk->returns |= registers;
	if (!is_called_here_only(s, walk->item)) {
		escapes(s, walk, insn, "returns its address, and functions of other files can call it");
		return;
	}
	for (guint i = 0; i < walk->item->referrers->len; i++) {
		KmItem *user = walk->item->referrers->pdata[i];
		if (user->kind == KM_ITEM_FUNCTION)
			enqueue(s, walk_of(s, user));
	}
}

/* What is held after a call; tail: it was a jump, and this function returns what the callee does. */
static guint64 call(Search *s, Walk *walk, const Insn *insn, gboolean tail)
{
	const KmArch *arch = arch_of(s);
	const char *name = insn->ref && insn->ref->item ? insn->ref->item->name : NULL;
	guint64 handed = insn->held & arch->arguments, after = insn->held & ~arch->scratch;
	if (name && g_strv_contains(arch->hooks, name))
		return insn->held;
	KmItem *inside = callee_inside(insn->ref);
	if (inside) {
		/* Without anything to follow it may still return an address: then it comes here by itself. */
		Walk *callee = handed ? walk_of(s, inside) : g_hash_table_lookup(s->walks, inside);
		if (callee && (handed & ~callee->arguments)) {
			callee->arguments |= handed;
			enqueue(s, callee);
		}
		if (callee && tail)
			returned(s, walk, insn, callee->returns);
		return callee ? after | callee->returns : after;
	}
	if (handed && tail)
		escapes(s, walk, insn, "ends with a jump to %s and hands it its address", name ? name : "a pointer");
	else if (handed && !name)
		escapes(s, walk, insn, "passes its address to a function called through a pointer");
	else if (handed && !keeps_nothing(name, s->nested))
		escapes(s, walk, insn,
			"passes its address to %s, a function of another file, which may keep it or return it", name);
	return after;
}

/* ---- one step ---- */

/* Does any of its fields refer to a table? `movq $table, variable` has two. */
static gboolean names_table(const Search *s, const Insn *insn)
{
	for (guint i = 0; insn->ref && i < insn->n_refs; i++)
		if (insn->ref[i].item && g_hash_table_contains(s->tables, insn->ref[i].item))
			return TRUE;
	return FALSE;
}

/* What is held after an instruction that does not branch. */
static guint64 compute(Search *s, Walk *walk, const Insn *insn)
{
	const KmStep *step = &insn->step;
	gboolean source = names_table(s, insn);
	gboolean addressed = (insn->held & step->addresses) || (source && step->field == KM_FIELD_ADDRESS);
	gboolean value = (insn->held & step->inputs) || (source && step->field == KM_FIELD_VALUE) ||
			 (addressed && step->computes) || (addressed && step->loads_pointer && s->nested);
	if (source && insn->n_refs > 1 && step->stores)
		escapes(s, walk, insn, "stores its address in memory");
	else if ((source && (insn->n_refs > 1 || step->field == KM_FIELD_NONE)) ||
		 (step->odd && (value || addressed || source)))
		escapes(s, walk, insn, "does something with its address that kmend cannot follow");
	else if (step->stores && value)
		escapes(s, walk, insn, "stores its address in memory");
	else if (step->stores && addressed)
		escapes(s, walk, insn, "writes through its address");
	if (value)
		return insn->held | step->outputs;
	return insn->held & ~(step->outputs & ~step->kept);
}

static void flow_to(Walk *walk, gint to, guint64 held, gboolean *again)
{
	if (to < 0)
		return;
	Insn *insn = &g_array_index(walk->insns, Insn, (guint)to);
	if (insn->reached && !(held & ~insn->held))
		return;
	insn->reached = TRUE;
	insn->held |= held;
	*again = TRUE;
}

/* The instruction that a direct jump goes to, if it is in this function; else -1. */
static gint jump_target(const Walk *walk, const Insn *insn)
{
	if (!insn->step.direct)
		return -1;
	if (!insn->ref)
		return find_insn(walk, insn->section, insn->step.target);
	const KmItem *item = insn->ref->item;
	if (!item || !item->section || !g_ptr_array_find(walk->ranges, item, NULL))
		return -1;
	return find_insn(walk, item->section, item->start + (guint64)insn->ref->at);
}

static gboolean is_return(const Search *s, const Insn *insn)
{
	const char *const *names = arch_of(s)->returns;
	return insn->step.flow == KM_FLOW_RETURN || (names && insn->step.flow == KM_FLOW_JUMP && insn->ref &&
						     insn->ref->item && g_strv_contains(names, insn->ref->item->name));
}

/* A jump out of the function is a call whose result it returns. */
static void leave(Search *s, Walk *walk, const Insn *insn)
{
	gboolean named = insn->ref && (callee_inside(insn->ref) || (insn->ref->item && !insn->ref->item->section));
	gboolean elsewhere = named || !insn->step.direct;
	if (insn->held && !elsewhere)
		escapes(s, walk, insn, "jumps with its address to a place that kmend cannot follow");
	else
		call(s, walk, insn, TRUE);
}

static void step_one(Search *s, Walk *walk, guint index, gboolean *again)
{
	Insn *insn = &g_array_index(walk->insns, Insn, index);
	const Insn *next = index + 1 < walk->insns->len ? insn + 1 : NULL;
	gboolean falls = next && next->section == insn->section && next->offset == insn->offset + insn->step.size;
	guint64 after = insn->held;
	if (is_return(s, insn)) {
		returned(s, walk, insn, insn->held & arch_of(s)->results);
		return;
	}
	if (insn->step.flow == KM_FLOW_CALL)
		after = call(s, walk, insn, FALSE);
	else if (insn->step.flow == KM_FLOW_NEXT)
		after = compute(s, walk, insn);
	if (insn->step.flow == KM_FLOW_JUMP || insn->step.flow == KM_FLOW_BRANCH) {
		gint target = jump_target(walk, insn);
		flow_to(walk, target, after, again);
		if (target < 0)
			leave(s, walk, insn);
	}
	if (falls && insn->step.flow != KM_FLOW_JUMP)
		flow_to(walk, (gint)index + 1, after, again);
	walk->anywhere |= after;
}

static void walk_through(Search *s, Walk *walk)
{
	gboolean again = walk->insns->len > 0;
	walk->waiting = FALSE;
	if (again)
		flow_to(walk, 0, walk->arguments, &again);
	for (again = walk->insns->len > 0; again && !s->escape;) {
		again = FALSE;
		for (guint i = 0; i < walk->doors->len; i++)
			flow_to(walk, (gint)g_array_index(walk->doors, guint, i), walk->anywhere, &again);
		for (guint i = 0; i < walk->insns->len && !s->escape; i++)
			if (g_array_index(walk->insns, Insn, i).reached)
				step_one(s, walk, i, &again);
	}
}

/* ---- all of it ---- */

/* Functions that refer to a table are where it begins. */
static void begin(Search *s, const KmItem *table)
{
	for (guint i = 0; i < table->referrers->len; i++) {
		KmItem *user = table->referrers->pdata[i];
		s->nested |= g_hash_table_contains(s->tables, user);
		if (user->kind == KM_ITEM_FUNCTION && !s->escape)
			walk_of(s, user);
	}
}

static void list_users(const Search *s, GHashTable *users)
{
	GHashTableIter iter;
	gpointer item, walk;
	g_hash_table_iter_init(&iter, s->walks);
	while (g_hash_table_iter_next(&iter, &item, &walk))
		if (((const Walk *)walk)->anywhere || ((const Walk *)walk)->arguments)
			g_hash_table_add(users, item);
}

char *km_find_escape(const KmSide *side, GHashTable *tables, gboolean vouched, GHashTable *users)
{
	g_auto(Search) s = { .side = side, .tables = tables, .vouched = vouched };
	s.walks = g_hash_table_new_full(NULL, NULL, NULL, walk_free);
	s.queue = g_ptr_array_new();
	s.reader = km_arch_reader_new(side->object->arch);
	if (!s.reader)
		return g_strdup_printf("kmend cannot follow addresses through code of %s", side->object->arch->name);
	GHashTableIter iter;
	gpointer table;
	g_hash_table_iter_init(&iter, tables);
	while (g_hash_table_iter_next(&iter, &table, NULL))
		begin(&s, table);
	while (s.queue->len && !s.escape)
		walk_through(&s, g_ptr_array_steal_index_fast(s.queue, s.queue->len - 1));
	list_users(&s, users);
	return g_steal_pointer(&s.escape);
}
