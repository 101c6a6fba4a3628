/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verify/verify.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "image/module.h"
#include "verify/internal.h"

/* Findings beyond this many are counted, not listed: a message is one line. */
#define MAX_LISTED 3

/* ---- findings ---- */

static void finding_free(gpointer p)
{
	KmFinding *finding = p;
	g_free(finding->where);
	g_free(finding->what);
	g_free(finding);
}

static void add_finding(KmChecker *c, char *where, char *what)
{
	KmFinding *finding = g_new(KmFinding, 1);
	finding->where = where;
	finding->what = what;
	g_ptr_array_add(c->result->findings, finding);
}

void km_find(KmChecker *c, const char *where, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_finding(c, g_strdup(where), g_strdup_vprintf(format, args));
	va_end(args);
}

void km_find_at(KmChecker *c, const KmSection *section, guint64 offset, const char *format, ...)
{
	const KmSymbol *symbol = section->klp_object ? NULL : km_object_symbol_at(c->module, section, offset);
	va_list args;
	va_start(args, format);
	char *what = g_strdup_vprintf(format, args);
	va_end(args);
	if (symbol)
		add_finding(c,
			    g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x (%s)", symbol->name, offset - symbol->value,
					    section->name),
			    what);
	else
		add_finding(c, g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", section->name, offset), what);
}

void km_note(KmChecker *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args), *before = c->result->note;
	va_end(args);
	c->result->note = before ? g_strconcat(before, "; ", text, NULL) : g_strdup(text);
}

/* ---- what is accounted for ---- */

void km_cover(KmChecker *c, const KmSection *section, guint64 start, guint64 size)
{
	GArray *spans = g_hash_table_lookup(c->covered, section);
	KmSpan span = { start, start + size };
	if (!spans) {
		spans = g_array_new(FALSE, FALSE, sizeof(KmSpan));
		g_hash_table_insert(c->covered, (gpointer)section, spans);
	}
	g_array_append_val(spans, span);
}

gboolean km_is_covered(const KmChecker *c, const KmSection *section, guint64 offset)
{
	const GArray *spans = g_hash_table_lookup(c->covered, section);
	for (guint i = 0; spans && i < spans->len; i++) {
		const KmSpan *span = &g_array_index(spans, KmSpan, i);
		if (offset >= span->start && offset < span->end)
			return TRUE;
	}
	return FALSE;
}

/* ---- the check ---- */

static void switch_free(gpointer p)
{
	KmSwitch *s = p;
	g_free(s->object);
	g_free(s->name);
	g_clear_pointer(&s->old_parts, g_array_unref);
	g_clear_pointer(&s->new_parts, g_array_unref);
	g_free(s);
}

static void checker_clear(KmChecker *c)
{
	g_clear_pointer(&c->pairs, g_ptr_array_unref);
	g_clear_pointer(&c->owners, g_ptr_array_unref);
	g_clear_pointer(&c->switches, g_ptr_array_unref);
	g_clear_pointer(&c->callbacks, g_ptr_array_unref);
	g_clear_pointer(&c->objects, g_hash_table_unref);
	g_clear_pointer(&c->used, g_hash_table_unref);
	g_clear_pointer(&c->covered, g_hash_table_unref);
	g_clear_pointer(&c->sizes, g_hash_table_unref);
	g_clear_pointer(&c->named, g_hash_table_unref);
	g_clear_pointer(&c->stock, g_hash_table_unref);
	g_clear_pointer(&c->unwind, km_unwind_free);
	g_clear_pointer(&c->places, g_hash_table_unref);
	g_clear_pointer(&c->fills, g_hash_table_unref);
	g_clear_pointer(&c->referred, g_hash_table_unref);
	g_clear_pointer(&c->result, km_verify_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KmChecker, checker_clear)

static void free_spans(gpointer p)
{
	g_array_unref(p);
}

static void free_object(gpointer p)
{
	km_object_free(p);
}

static void free_view(gpointer p)
{
	km_view_free(p);
}

static void free_symbol(gpointer p)
{
	KmSymbol *symbol = p;
	g_free(symbol->name);
	g_free(symbol);
}

static GHashTable *new_stock(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_object);
}

static GHashTable *new_named(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static void checker_init(KmChecker *c, KmObject *module, const KmVerifyInput *input)
{
	c->input = input;
	c->module = module;
	c->result = g_new0(KmVerify, 1);
	c->result->findings = g_ptr_array_new_with_free_func(finding_free);
	c->stock = input->units ? g_hash_table_ref(input->units->stock) : new_stock();
	c->named = input->units ? g_hash_table_ref(input->units->named) : new_named();
	c->sizes = g_hash_table_new(g_str_hash, g_str_equal);
	c->switches = g_ptr_array_new_with_free_func(switch_free);
	c->callbacks = g_ptr_array_new_with_free_func(switch_free);
	c->objects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	c->views = input->units ? input->units->views : NULL;
	c->pairs = g_ptr_array_new_with_free_func(g_free);
	c->used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	c->owners = g_ptr_array_new();
	c->covered = g_hash_table_new_full(NULL, NULL, NULL, free_spans);
	c->own = km_verify_is_own(module);
	c->places = g_hash_table_new_full(NULL, NULL, free_symbol, g_free);
	c->fills = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	c->referred = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static gboolean check_kind(const KmObject *module, const KmVerifyInput *input, GError **error)
{
	if (module->type != ET_REL)
		return km_refuse(error, "%s: not a kernel module (ELF type %u)", module->path, module->type);
	const char *livepatch = km_module_info(module, "livepatch");
	if (!(livepatch && *livepatch == 'Y') && !km_calls_enable(module) && !km_verify_is_own(module))
		return km_refuse(
			error,
			"%s is no live patch: nothing in it calls klp_enable_patch(), and its modinfo does not say "
			"livepatch=Y",
			module->path);
	if (module->arch == input->kernel->arch)
		return TRUE;
	return km_refuse(error, "%s is for %s, kernel %s for %s: give the kernel it was made for", module->path,
			 module->arch->name, input->kernel->name, input->kernel->arch->name);
}

/* ---- units ---- */

KmVerifyUnits *km_verify_units_new(KmKernel *kernel, const KmImage *image, const GPtrArray *units,
				   const KmModuleTools *tools, const char *const *tables, GError **error)
{
	KmVerifyInput input = { .kernel = kernel, .image = image };
	g_autoptr(KmVerifyUnits) result = g_new0(KmVerifyUnits, 1);
	result->stock = new_stock();
	result->named = new_named();
	result->views = g_ptr_array_new_with_free_func(free_view);
	/* Only for what reading a unit asks. */
	KmChecker c = { .input = &input, .stock = result->stock, .named = result->named };
	for (guint i = 0; i <= units->len; i++) {
		KmView *view = km_view_new(&c, i ? units->pdata[i - 1] : NULL, tools, tables, error);
		if (!view)
			return NULL;
		g_ptr_array_add(result->views, view);
	}
	return g_steal_pointer(&result);
}

void km_verify_units_free(KmVerifyUnits *units)
{
	if (!units)
		return;
	/* The proofs of views look at stock modules. */
	g_ptr_array_unref(units->views);
	g_hash_table_unref(units->named);
	g_hash_table_unref(units->stock);
	g_free(units);
}

/* ---- all ---- */

KmVerify *km_verify(KmObject *module, const KmVerifyInput *input, GError **error)
{
	g_auto(KmChecker) c = { 0 };
	if (!check_kind(module, input, error))
		return NULL;
	checker_init(&c, module, input);
	if (!km_read_layout(&c, error))
		return NULL;
	if (c.own)
		km_read_own_relocs(&c);
	km_check_load(&c);
	if (c.own)
		km_check_own(&c);
	else
		km_check_patch(&c);
	km_check_tables(&c);
	km_check_unwind(&c);
	if (input->units) {
		for (guint i = 0; i < input->units->views->len; i++)
			km_view_reset(input->units->views->pdata[i]);
		km_compare_all(&c);
		c.result->compared = TRUE;
	}
	return g_steal_pointer(&c.result);
}

void km_verify_free(KmVerify *verify)
{
	if (!verify)
		return;
	g_ptr_array_unref(verify->findings);
	g_free(verify->note);
	g_free(verify);
}

gboolean km_verify_passed(const KmVerify *verify, const char *path, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	for (guint i = 0; i < verify->findings->len && i < MAX_LISTED; i++) {
		const KmFinding *f = verify->findings->pdata[i];
		g_string_append_printf(text, "%s%s: %s", i ? "; " : "", f->where, f->what);
	}
	if (verify->findings->len > MAX_LISTED)
		g_string_append_printf(text, "; and %u more", verify->findings->len - MAX_LISTED);
	return verify->findings->len ? km_refuse(error, "%s does not pass verification: %s", path, text->str) : TRUE;
}

json_t *km_verify_to_json(const KmVerify *verify)
{
	json_t *findings = json_array();
	for (guint i = 0; i < verify->findings->len; i++) {
		const KmFinding *f = verify->findings->pdata[i];
		json_array_append_new(findings, json_pack("{s:o, s:o}", "where", km_json_text(f->where), "what",
							  km_json_text(f->what)));
	}
	json_t *root = json_pack("{s:b, s:b, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:I}", "verified",
				 !verify->findings->len, "compared", verify->compared, "findings", findings,
				 "relocations", (int)verify->relocations, "symbols", (int)verify->symbols, "imports",
				 (int)verify->imports, "functions", (int)verify->functions, "rows", (int)verify->rows,
				 "pieces", (int)verify->pieces, "bytes", (json_int_t)verify->bytes);
	json_object_set_new(root, "note", verify->note ? json_string(verify->note) : json_null());
	return root;
}
