/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cutting the changed functions out: starting from them, follow every relocation and take along what the running kernel
 * does not have. What is taken are pieces of sections: a whole section where it holds one thing, else a range (one symbol,
 * one string, one constant, one row of a table). Everything else stays in the kernel and becomes an undefined symbol.
 */
#include <string.h>

#include "base/error.h"
#include "diff/diff.h"

/* A range of an input section and where it went. */
typedef struct {
	KmSection *from;
	guint64 start, size;
	KmSection *to;
	guint64 at;
} Piece;

typedef struct {
	KmObject *in, *out;
	const KmDiff *diff;
	GHashTable *included; /* functions to take: KmSymbol of in */
	GHashTable *pieces; /* KmSection of in -> GPtrArray of Piece */
	GHashTable *shared; /* KmSection of in -> KmSection of out that collects its ranges */
	GHashTable *defined; /* KmSymbol of in -> KmSymbol of out that lies in a piece */
	GHashTable *outside; /* KmSymbol of in -> undefined KmSymbol of out */
	GHashTable *bounds; /* KmSection of in (out-of-line code) -> GArray of guint64: where its stretches start */
	GPtrArray *work; /* pieces whose relocations are still to be followed; grows while it is walked */
	GHashTable *rows_done; /* KmSection of in -> GByteArray: which rows were taken */
} Extract;

static void extract_clear(Extract *x)
{
	g_clear_pointer(&x->out, km_object_free);
	g_clear_pointer(&x->included, g_hash_table_unref);
	g_clear_pointer(&x->pieces, g_hash_table_unref);
	g_clear_pointer(&x->shared, g_hash_table_unref);
	g_clear_pointer(&x->defined, g_hash_table_unref);
	g_clear_pointer(&x->outside, g_hash_table_unref);
	g_clear_pointer(&x->bounds, g_hash_table_unref);
	g_clear_pointer(&x->work, g_ptr_array_unref);
	g_clear_pointer(&x->rows_done, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Extract, extract_clear)

/* Where a relocation points: a place in a section of the input. */
typedef struct {
	KmSymbol *symbol; /* as the relocation names it */
	KmSection *section;
	gint64 offset;
	gboolean branch; /* a jump or call, not an address that is taken */
} Target;

static void pieces_free(gpointer p)
{
	g_ptr_array_unref(p);
}

static void bounds_free(gpointer p)
{
	g_array_unref(p);
}

static void rows_free(gpointer p)
{
	g_byte_array_unref(p);
}

/* ---- pieces ---- */

static Piece *piece_at(const Extract *x, const KmSection *section, guint64 offset)
{
	const GPtrArray *pieces = g_hash_table_lookup(x->pieces, section);
	for (guint i = 0; pieces && i < pieces->len; i++) {
		Piece *piece = pieces->pdata[i];
		if (offset >= piece->start && offset - piece->start < MAX(piece->size, 1))
			return piece;
	}
	return NULL;
}

/* The largest alignment that offset has, up to the section's. */
static gsize alignment_at(const KmSection *section, guint64 offset)
{
	guint64 lowest = offset & (0 - offset);
	return lowest ? MIN(lowest, section->addralign) : section->addralign;
}

static KmSection *copy_header(Extract *x, const KmSection *from)
{
	/* The loader of modules knows but one of the kernel's kinds of per-cpu sections, and would take the others for plain data. */
	const char *name = g_str_has_prefix(from->name, ".data..percpu") ? ".data..percpu" : from->name;
	KmSection *to = km_object_add_section(x->out, name, from->type, from->flags, 1);
	to->entsize = from->entsize;
	return to;
}

/* A whole section gets one of its own, ranges of one section share one. */
static KmSection *destination(Extract *x, KmSection *from, gboolean whole)
{
	if (whole)
		return copy_header(x, from);
	KmSection *to = g_hash_table_lookup(x->shared, from);
	if (!to) {
		to = copy_header(x, from);
		g_hash_table_insert(x->shared, from, to);
	}
	return to;
}

/* The symbols that lie in a piece come along. */
static void define_symbols(Extract *x, const Piece *piece)
{
	for (guint i = 0; i < x->in->symbols->len; i++) {
		KmSymbol *symbol = x->in->symbols->pdata[i];
		if (symbol->section != piece->from || symbol->type == STT_SECTION || x->in->arch->is_annotation(symbol))
			continue;
		if (symbol->value < piece->start || symbol->value - piece->start >= MAX(piece->size, 1))
			continue;
		KmSymbol *copy = km_object_add_symbol(x->out, symbol->name, symbol->bind, symbol->type, piece->to,
						      symbol->value - piece->start + piece->at, symbol->size);
		copy->other = symbol->other;
		copy->user = symbol;
		g_hash_table_insert(x->defined, symbol, copy);
	}
}

/* Take [start, start + size) of from, unless it was taken. */
static Piece *take(Extract *x, KmSection *from, guint64 start, guint64 size)
{
	Piece *known = piece_at(x, from, start);
	if (known && size <= known->size - (start - known->start))
		return known;
	Piece *piece = g_new0(Piece, 1);
	GPtrArray *pieces = g_hash_table_lookup(x->pieces, from);
	if (!pieces) {
		pieces = g_ptr_array_new_with_free_func(g_free);
		g_hash_table_insert(x->pieces, from, pieces);
	}
	g_ptr_array_add(pieces, piece);
	*piece = (Piece){ .from = from, .start = start, .size = size };
	piece->to = destination(x, from, start == 0 && size == from->size && !km_special_find(from->name));
	const guint8 *bytes = from->data && size ? from->data->data + start : NULL;
	piece->at = km_object_append(x->out, piece->to, bytes, size, alignment_at(from, start));
	if (!km_section_is_string(from))
		define_symbols(x, piece);
	g_ptr_array_add(x->work, piece);
	return piece;
}

static gboolean take_range(Extract *x, KmSection *from, gint64 start, guint64 size, Piece **ret, GError **error)
{
	if (start < 0 || (guint64)start > from->size || size > from->size - (guint64)start)
		return km_fail(error, "%s: a reference outside section %s (offset %" G_GINT64_FORMAT ")", x->in->path,
			       from->name, start);
	*ret = take(x, from, (guint64)start, size);
	return TRUE;
}

/* ---- what lies at a place ---- */

static gboolean is_named_thing(const Extract *x, const KmSymbol *symbol)
{
	return symbol->section && symbol->type != STT_SECTION && symbol->type != STT_FILE && *symbol->name &&
	       !x->in->arch->is_annotation(symbol);
}

/* The only function or datum of a section (aliases count once), or NULL. */
static KmSymbol *only_symbol(const Extract *x, const KmSection *section)
{
	KmSymbol *found = NULL;
	for (guint i = 0; i < x->in->symbols->len; i++) {
		KmSymbol *symbol = x->in->symbols->pdata[i];
		if (symbol->section != section || !is_named_thing(x, symbol))
			continue;
		if (found && (found->value != symbol->value || found->size != symbol->size))
			return NULL;
		found = found ? found : symbol;
	}
	return found;
}

/*
 * The thing a relocation means. A named symbol means itself, whatever is added to it. A section symbol means what covers
 * the place; a pointer to one past the end (`&table[N]`) still means the only thing in that section.
 */
static KmSymbol *thing_at(const Extract *x, const Target *t)
{
	if (is_named_thing(x, t->symbol))
		return t->symbol;
	KmSymbol *found = t->offset >= 0 ? km_object_symbol_at(x->in, t->section, (guint64)t->offset) : NULL;
	return found ? found : only_symbol(x, t->section);
}

static gboolean starts_with_any(const char *name, const char *const *prefixes)
{
	for (; *prefixes; prefixes++)
		if (g_str_has_prefix(name, *prefixes))
			return TRUE;
	return FALSE;
}

/* Read-only values that the compiler makes out of the function's own text: only their content matters. */
static gboolean is_value_only(const KmSymbol *symbol)
{
	static const char *const prefixes[] = { "__func__.", "__FUNCTION__.", "__PRETTY_FUNCTION__.",
						"CSWTCH.",   ".LC",	      NULL };
	return !(symbol->section->flags & SHF_WRITE) && starts_with_any(symbol->name, prefixes);
}

static gboolean is_text_symbol(const KmSymbol *symbol)
{
	return km_section_is_text(symbol->section);
}

/* ---- references ---- */

/* An undefined symbol for a thing that stays in the kernel. */
static KmSymbol *outside(Extract *x, KmSymbol *symbol)
{
	KmSymbol *copy = g_hash_table_lookup(x->outside, symbol);
	if (copy)
		return copy;
	copy = km_object_add_symbol(x->out, symbol->name, STB_GLOBAL, STT_NOTYPE, NULL, 0, 0);
	copy->bind = symbol->section ? STB_GLOBAL : symbol->bind;
	copy->shndx = symbol->section ? SHN_UNDEF : symbol->shndx;
	if (copy->shndx != SHN_UNDEF)
		copy->value = symbol->value;
	copy->user = symbol;
	g_hash_table_insert(x->outside, symbol, copy);
	return copy;
}

/* The original of a function whose replacement is in the output too: the replacement's symbol must not capture the name. */
static KmSymbol *outside_of_included(Extract *x, KmSymbol *symbol)
{
	KmSymbol *replacement = g_hash_table_lookup(x->defined, symbol);
	if (replacement)
		replacement->bind = STB_LOCAL;
	return outside(x, symbol);
}

/* Bytes before the function's symbol that belong to it: the call padding that an entry record points at. */
static guint64 function_start(const Extract *x, const KmSymbol *function)
{
	guint64 start = function->value;
	for (guint i = 0; i < x->in->sections->len; i++) {
		const KmSection *records = x->in->sections->pdata[i];
		if (strcmp(records->name, "__patchable_function_entries") || records->link != function->section)
			continue;
		for (guint k = 0; k < records->relocs->len; k++) {
			const KmReloc *r = &g_array_index(records->relocs, KmReloc, k);
			guint64 at = r->symbol->value + (guint64)r->addend;
			if (r->symbol->section == function->section && at < start &&
			    !km_object_symbol_at(x->in, function->section, at) && function->value - at <= 64)
				start = at;
		}
	}
	return start;
}

static gboolean take_function(Extract *x, KmSymbol *function, GError **error)
{
	KmSection *section = function->section;
	KmSymbol *only = only_symbol(x, section);
	Piece *piece;
	if (g_hash_table_contains(x->defined, function))
		return TRUE;
	if (only)
		return take_range(x, section, 0, section->size, &piece, error);
	if (!function->size)
		return km_refuse(error, "%s: function %s has no size and shares section %s: it cannot be cut out",
				 x->in->path, function->name, section->name);
	guint64 start = function_start(x, function);
	return take_range(x, section, (gint64)start, function->value + function->size - start, &piece, error);
}

static gboolean take_datum(Extract *x, KmSymbol *datum, GError **error)
{
	KmSection *section = datum->section;
	Piece *piece;
	if (g_hash_table_contains(x->defined, datum))
		return TRUE;
	if (only_symbol(x, section) && !km_special_find(section->name) && !km_section_is_record(section))
		return take_range(x, section, 0, section->size, &piece, error);
	return take_range(x, section, (gint64)datum->value, datum->size, &piece, error);
}

/* A compiler's label that has to stay one. */
static gboolean is_kept_label(const Extract *x, const KmSymbol *symbol)
{
	return x->in->arch->keeps_labels && symbol->section && symbol->type != STT_SECTION &&
	       x->in->arch->is_annotation(symbol);
}

/* The symbol in the output by which a place in a taken piece is called; NULL: it has none. */
static KmSymbol *name_inside(Extract *x, KmSymbol *symbol)
{
	KmSymbol *named = g_hash_table_lookup(x->defined, symbol);
	const Piece *piece = named || !is_kept_label(x, symbol) ? NULL : piece_at(x, symbol->section, symbol->value);
	if (!piece)
		return named;
	named = km_object_add_symbol(x->out, symbol->name, STB_LOCAL, STT_NOTYPE, piece->to,
				     symbol->value - piece->start + piece->at, 0);
	g_hash_table_insert(x->defined, symbol, named);
	return named;
}

/* Point at a place inside a taken piece through its section's symbol, or its own symbol where it has one. */
static gboolean set_inside(Extract *x, KmReloc *out, const Target *t, const Piece *piece, GError **error)
{
	KmSymbol *named = name_inside(x, t->symbol);
	if (named) {
		out->symbol = named;
		return TRUE;
	}
	if (!piece)
		return km_fail(error, "%s: a reference into section %s to a place where nothing is", x->in->path,
			       t->section->name);
	gint64 moved = (gint64)piece->at - (gint64)piece->start;
	out->symbol = km_object_section_symbol(x->out, piece->to);
	out->addend += (gint64)t->symbol->value + moved;
	return TRUE;
}

static void set_outside(KmReloc *out, const Target *t, KmSymbol *thing, KmSymbol *symbol)
{
	out->symbol = symbol;
	out->addend += (gint64)t->symbol->value - (gint64)thing->value;
}

static gboolean refer_to_function(Extract *x, const Piece *by, KmReloc *out, const Target *t, KmSymbol *f,
				  GError **error)
{
	gboolean at_start = t->offset == (gint64)f->value, label = is_kept_label(x, t->symbol);
	if (g_hash_table_contains(x->included, f)) {
		gboolean own = km_section_is_about_code(by->from) || km_name_is_cold_part(f->name) || !at_start || label;
		/*
		 * A pointer to a replaced function must stay the original's: the pointer can outlive the live patch, and two
		 * pointers to one function must compare equal. The original's entry leads to the replacement anyway.
		 */
		if (!t->branch && !own && g_hash_table_contains(x->diff->twins, f)) {
			set_outside(out, t, f, outside_of_included(x, f));
			return TRUE;
		}
		if (!take_function(x, f, error))
			return FALSE;
		return set_inside(x, out, t, piece_at(x, f->section, f->value), error);
	}
	if (!at_start && f->type == STT_FUNC && !km_section_is_about_code(by->from) &&
	    (t->symbol->type == STT_SECTION || label))
		return km_refuse(error,
				 "%s: %s refers into the middle of %s (+0x%" G_GINT64_MODIFIER
				 "x), which is not replaced; "
				 "patch %s too",
				 x->in->path, by->from->name, f->name, (guint64)t->offset - f->value, f->name);
	set_outside(out, t, f, outside(x, f));
	return TRUE;
}

static gboolean refer_to_datum(Extract *x, KmReloc *out, const Target *t, KmSymbol *datum, GError **error)
{
	if (!is_value_only(datum) && g_hash_table_contains(x->diff->twins, datum)) {
		set_outside(out, t, datum, outside(x, datum));
		return TRUE;
	}
	if (!take_datum(x, datum, error))
		return FALSE;
	KmSymbol *defined = g_hash_table_lookup(x->defined, datum);
	/* Nothing lies inside an empty one: `static struct lock_class_key __key` without lockdep. */
	if (defined && !datum->size) {
		set_outside(out, t, datum, defined);
		return TRUE;
	}
	return set_inside(x, out, t, piece_at(x, datum->section, datum->value), error);
}

static gint compare_u64(gconstpointer a, gconstpointer b)
{
	guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
	return x < y ? -1 : x > y;
}

static Target target_of(const Extract *x, const KmSection *from, gsize index)
{
	const KmReloc *r = &g_array_index(from->relocs, KmReloc, index);
	return (Target){
		.symbol = r->symbol,
		.section = r->symbol->section,
		.offset = (gint64)r->symbol->value + x->in->arch->target_offset(from, index),
		.branch = km_arch_is_branch(x->in->arch, from, index),
	};
}

/* Every place in section that some relocation points at, and its end. */
static GArray *find_bounds(const Extract *x, const KmSection *section)
{
	GArray *bounds = g_array_new(FALSE, FALSE, sizeof(guint64));
	g_array_append_val(bounds, section->size);
	for (guint s = 0; s < x->in->sections->len; s++) {
		const KmSection *from = x->in->sections->pdata[s];
		for (guint i = 0; i < from->relocs->len; i++) {
			if (g_array_index(from->relocs, KmReloc, i).symbol->section != section)
				continue;
			Target t = target_of(x, from, i);
			guint64 at = (guint64)t.offset;
			/* What code annotations and the code itself point at inside a stretch does not start one. */
			const KmSpecial *special = km_special_find(from->name);
			gboolean starts = from != section && !(special && special->kind == KM_SPECIAL_MARK);
			if (starts && t.offset >= 0 && at < section->size)
				g_array_append_val(bounds, at);
		}
	}
	g_array_sort(bounds, compare_u64);
	return bounds;
}

/* Out-of-line code has no symbols: a stretch reaches from one place that is pointed at to the next. */
static gboolean refer_to_stretch(Extract *x, KmReloc *out, const Target *t, GError **error)
{
	GArray *bounds = g_hash_table_lookup(x->bounds, t->section);
	if (!bounds) {
		bounds = find_bounds(x, t->section);
		g_hash_table_insert(x->bounds, t->section, bounds);
	}
	gint64 start = 0, end = 0;
	for (guint i = 0; i < bounds->len; i++) {
		gint64 bound = (gint64)g_array_index(bounds, guint64, i);
		if (bound <= t->offset)
			start = bound;
		if (bound > t->offset) {
			end = bound;
			break;
		}
	}
	Piece *piece;
	if (end <= start && (guint64)t->offset == t->section->size) {
		/* An empty replacement at the very end: any place will do, nothing is read from it. */
		start = end = t->offset;
	}
	if (!take_range(x, t->section, start, (guint64)MAX(end - start, 0), &piece, error))
		return FALSE;
	return set_inside(x, out, t, piece, error);
}

static gboolean refer_to_slot(Extract *x, const KmSpecial *special, KmReloc *out, const Target *t, GError **error)
{
	Piece *piece;
	gint64 start = t->offset - t->offset % special->entry_size;
	if (!take_range(x, t->section, start, special->entry_size, &piece, error))
		return FALSE;
	return set_inside(x, out, t, piece, error);
}

/*
 * The variable of the kernel's that a place without a name may really mean: the end of an array that shares its section with others.
 * A copy of that section would not be what the code compares its pointers with.
 */
static const KmSymbol *kept_neighbour(const Extract *x, const Target *t)
{
	for (guint i = 0; !(t->section->flags & SHF_MERGE) && i < x->in->symbols->len; i++) {
		const KmSymbol *symbol = x->in->symbols->pdata[i];
		if (symbol->section != t->section || !is_named_thing(x, symbol) ||
		    !g_hash_table_contains(x->diff->twins, symbol))
			continue;
		if ((t->section->flags & SHF_WRITE) || (gint64)(symbol->value + symbol->size) == t->offset)
			return symbol;
	}
	return NULL;
}

/* A string, from where it is pointed at to its end; one constant of a merged section; or an anonymous section whole. */
static gboolean refer_to_anonymous(Extract *x, const Piece *by, KmReloc *out, const Target *t, GError **error)
{
	KmSection *section = t->section;
	gint64 start = 0;
	guint64 size = section->size;
	if (t->offset < 0 || (guint64)t->offset > section->size)
		return km_fail(error, "%s: a reference outside section %s", x->in->path, section->name);
	const KmSymbol *neighbour = kept_neighbour(x, t);
	if (neighbour)
		return km_refuse(error,
				 "%s: %s refers to %s+0x%" G_GINT64_MODIFIER
				 "x, beside the variable %s, and which variable is "
				 "meant cannot be told; give the variables of that section sections of their own",
				 x->in->path, by->from->name, section->name, (guint64)t->offset, neighbour->name);
	if (km_section_is_text(section))
		return km_refuse(error, "%s: a reference to code in %s that belongs to no function", x->in->path,
				 section->name);
	if (km_section_is_string(section) && section->data && section->entsize <= 1) {
		guint64 left = section->size - (guint64)t->offset;
		const guint8 *text = section->data->data + t->offset;
		const guint8 *nul = left ? memchr(text, 0, left) : NULL;
		start = t->offset;
		size = nul ? (guint64)(nul - text) + 1 : left;
	} else if ((section->flags & SHF_MERGE) && section->entsize && section->size % section->entsize == 0 &&
		   (guint64)t->offset < section->size) {
		start = t->offset - t->offset % (gint64)section->entsize;
		size = section->entsize;
	}
	Piece *piece;
	if (!take_range(x, section, start, size, &piece, error))
		return FALSE;
	return set_inside(x, out, t, piece, error);
}

/* Decide what one relocation of a taken piece means in the output, and take what it needs. */
static gboolean refer(Extract *x, const Piece *by, KmReloc *out, const Target *t, GError **error)
{
	if (!t->section) {
		out->symbol = t->symbol == x->in->null_symbol ? x->out->null_symbol : outside(x, t->symbol);
		return TRUE;
	}
	const KmSpecial *special = km_special_find(t->section->name);
	/* A row counts from itself. */
	if (special && t->section == by->from && t->offset >= 0 && (guint64)t->offset - by->start < by->size)
		return set_inside(x, out, t, by, error);
	if (special && special->kind == KM_SPECIAL_CODE)
		return refer_to_stretch(x, out, t, error);
	if (special && special->kind == KM_SPECIAL_SLOTS)
		return refer_to_slot(x, special, out, t, error);
	if (special && special->kind == KM_SPECIAL_DROP)
		return km_refuse(error, "%s: %s refers to section %s, which a live patch cannot carry", x->in->path,
				 by->from->name, t->section->name);
	KmSymbol *thing = km_section_is_string(t->section) ? NULL : thing_at(x, t);
	if (!thing)
		return refer_to_anonymous(x, by, out, t, error);
	return is_text_symbol(thing) ? refer_to_function(x, by, out, t, thing, error)
				     : refer_to_datum(x, out, t, thing, error);
}

/* ---- following ---- */

/* Branches that needed no relocation while both functions shared a section need one now. */
static gboolean follow_branches(Extract *x, const Piece *piece, GError **error)
{
	if (!km_section_is_text(piece->from) || piece->size == piece->from->size || !x->in->arch->branches_out ||
	    km_special_find(piece->from->name))
		return TRUE;
	g_autoptr(GArray) branches = x->in->arch->branches_out(piece->from, piece->start, piece->start + piece->size);
	for (guint i = 0; i < branches->len; i++) {
		const KmBranch *b = &g_array_index(branches, KmBranch, i);
		KmSymbol *thing =
			b->target < piece->from->size ? km_object_symbol_at(x->in, piece->from, b->target) : NULL;
		if (!thing || !b->type)
			return km_refuse(error,
					 "%s: %s jumps from +0x%" G_GINT64_MODIFIER "x to +0x%" G_GINT64_MODIFIER
					 "x without a relocation; it cannot be cut out",
					 x->in->path, piece->from->name, b->field, b->target);
		KmReloc out = { .offset = b->field - piece->start + piece->at,
				.type = b->type,
				.addend = b->addend + (gint64)(b->target - thing->value) };
		Target t = { .symbol = thing, .section = piece->from, .offset = (gint64)b->target, .branch = TRUE };
		if (!refer(x, piece, &out, &t, error))
			return FALSE;
		g_array_append_val(piece->to->relocs, out);
	}
	return TRUE;
}

static gboolean follow(Extract *x, const Piece *piece, GError **error)
{
	gsize n;
	const KmReloc *first = km_section_relocs_in(piece->from, piece->start, piece->start + piece->size, &n);
	gsize base = (gsize)(first - (const KmReloc *)(void *)piece->from->relocs->data);
	for (gsize i = 0; i < n; i++) {
		KmReloc out = first[i];
		Target t = target_of(x, piece->from, base + i);
		out.offset = first[i].offset - piece->start + piece->at;
		if (!refer(x, piece, &out, &t, error))
			return FALSE;
		g_array_append_val(piece->to->relocs, out);
	}
	return follow_branches(x, piece, error);
}

/* Is the owner of the row at start taken? Rows whose relocation means "up to here" belong to the byte before. */
static const Piece *owner_piece(const Extract *x, const KmSpecial *special, const KmSection *section, guint64 start,
				guint64 size)
{
	gsize n;
	const KmReloc *first = km_section_relocs_in(section, start, start + size, &n);
	for (gsize i = 0; i < n; i++) {
		if (first[i].offset != start + special->owner)
			continue;
		Target t = target_of(x, section, (gsize)(first - (const KmReloc *)(void *)section->relocs->data) + i);
		if (!t.section || t.offset < (special->before ? 1 : 0))
			return NULL;
		return piece_at(x, t.section, (guint64)t.offset - (special->before ? 1 : 0));
	}
	return NULL;
}

static gboolean take_rows_of(Extract *x, const KmSpecial *special, KmSection *section, GError **error)
{
	guint size = km_special_entry_size(special, section, error);
	if (!size)
		return FALSE;
	GByteArray *done = g_hash_table_lookup(x->rows_done, section);
	if (!done) {
		done = g_byte_array_new();
		/* The last row may lack its padding. */
		g_byte_array_set_size(done, (guint)((section->size + size - 1) / size));
		if (done->len)
			memset(done->data, 0, done->len);
		g_hash_table_insert(x->rows_done, section, done);
	}
	for (guint i = 0; i < done->len; i++) {
		guint64 start = (guint64)i * size, length = MIN(size, section->size - start);
		const Piece *owner = done->data[i] ? NULL : owner_piece(x, special, section, start, length);
		if (!owner)
			continue;
		done->data[i] = 1;
		Piece *row = take(x, section, start, length);
		if (section->flags & SHF_LINK_ORDER)
			row->to->link = owner->to;
	}
	return TRUE;
}

/* Rows of every table whose owner was taken. */
static gboolean take_rows(Extract *x, GError **error)
{
	for (guint i = 0; i < x->in->sections->len; i++) {
		KmSection *section = x->in->sections->pdata[i];
		const KmSpecial *special = km_special_find(section->name);
		if (!special || (special->kind != KM_SPECIAL_TABLE && special->kind != KM_SPECIAL_MARK))
			continue;
		if (section->data && !take_rows_of(x, special, section, error))
			return FALSE;
	}
	return TRUE;
}

/* Rows bring code and data, which can bring rows: until nothing is added. */
static gboolean close_over(Extract *x, GError **error)
{
	guint done = 0;
	while (done < x->work->len) {
		while (done < x->work->len)
			if (!follow(x, x->work->pdata[done++], error))
				return FALSE;
		if (!take_rows(x, error))
			return FALSE;
	}
	return TRUE;
}

/*
 * Places inside taken code that a section nobody knows lists: something goes over them and changes the code there, once, while the
 * kernel starts. It will not come to the live patch. (Lists of whole functions, and tables that the code itself uses, are others.)
 */
static gboolean check_listed(const Extract *x, const KmSection *section, GError **error)
{
	for (guint i = 0; i < section->relocs->len; i++) {
		guint64 at = g_array_index(section->relocs, KmReloc, i).offset;
		Target t = target_of(x, section, i);
		if (!t.section || !km_section_is_text(t.section) || t.offset < 0 || piece_at(x, section, at) ||
		    !piece_at(x, t.section, (guint64)t.offset))
			continue;
		const KmSymbol *function = km_object_symbol_at(x->in, t.section, (guint64)t.offset);
		if (function && function->value != (guint64)t.offset)
			return km_refuse(error,
					 "%s: section %s lists a place in %s (+0x%" G_GINT64_MODIFIER
					 "x), and kmend does not know what the kernel does with it when it starts; that "
					 "function cannot be in a live patch. Patch one of its callers",
					 x->in->path, section->name, function->name, (guint64)t.offset - function->value);
	}
	return TRUE;
}

static gboolean check_lists(const Extract *x, GError **error)
{
	for (guint i = 0; i < x->in->sections->len; i++) {
		const KmSection *section = x->in->sections->pdata[i];
		if ((section->flags & SHF_ALLOC) && !km_section_is_text(section) && !km_special_find(section->name) &&
		    !km_section_is_record(section) && !check_listed(x, section, error))
			return FALSE;
	}
	return TRUE;
}

static void extract_init(Extract *x, const KmDiff *diff)
{
	x->diff = diff;
	x->in = diff->patched;
	x->out = km_object_new(diff->patched->arch, diff->patched->path);
	x->out->flags = diff->patched->flags;
	x->included = g_hash_table_new(NULL, NULL);
	x->pieces = g_hash_table_new_full(NULL, NULL, NULL, pieces_free);
	x->shared = g_hash_table_new(NULL, NULL);
	x->defined = g_hash_table_new(NULL, NULL);
	x->outside = g_hash_table_new(NULL, NULL);
	x->bounds = g_hash_table_new_full(NULL, NULL, NULL, bounds_free);
	x->work = g_ptr_array_new();
	x->rows_done = g_hash_table_new_full(NULL, NULL, NULL, rows_free);
}

KmObject *km_extract(const KmDiff *diff, GError **error)
{
	g_auto(Extract) x = { 0 };
	extract_init(&x, diff);
	for (guint i = 0; i < diff->functions->len; i++) {
		const KmChange *change = diff->functions->pdata[i];
		if (change->status != KM_REMOVED && !change->init)
			g_hash_table_add(x.included, change->patched);
	}
	for (guint i = 0; i < diff->functions->len; i++) {
		const KmChange *change = diff->functions->pdata[i];
		if (g_hash_table_contains(x.included, change->patched) && !take_function(&x, change->patched, error))
			return NULL;
	}
	/* Another unit may use a new global datum even where its own unit does not. */
	for (guint i = 0; i < diff->data->len; i++) {
		const KmChange *change = diff->data->pdata[i];
		if (change->status == KM_NEW && !change->init && change->patched && change->patched->section &&
		    change->patched->bind == STB_GLOBAL && !km_special_find(change->patched->section->name) &&
		    !take_datum(&x, change->patched, error))
			return NULL;
	}
	if (!close_over(&x, error) || !check_lists(&x, error))
		return NULL;
	for (guint i = 0; i < x.out->sections->len; i++)
		km_section_sort_relocs(x.out->sections->pdata[i]);
	return g_steal_pointer(&x.out);
}
