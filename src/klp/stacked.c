/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "klp/stacked.h"

#include <string.h>

#include "base/error.h"
#include "kernel/shape.h"
#include "kernel/where.h"
#include "types/types.h"

/* A copy of a function, of whose arguments the compiler may have cut one into several. */
#define CUT_COPY ".isra."

gboolean km_stacked_matters(KmKernel *kernel)
{
	/* The kernel's way for its own livepatch core needs no frame. */
	g_autofree char *livepatch = km_kernel_config(kernel, "LIVEPATCH");
	return kernel->arch->frame_arguments && !livepatch;
}

static gboolean refuse(const KmUnitWork *work, const char *name, const char *why, GError **error)
{
	g_autofree char *root = km_name_root(name);
	g_autofree char *at = km_where(work->context.kernel->source, work->unit->source, root);
	return km_refuse(
		error,
		"%s: %s %s, and kmend's own runtime comes between it and its callers with a frame of its own: it "
		"would not find them; patch its callers instead",
		at, name, why);
}

/* By any of the names that the function has in its file: system calls have several. */
static const KmCall *find_call(const KmTypes *types, const KmObject *object, const KmSymbol *function)
{
	g_autofree char *root = km_name_root(function->name);
	const KmCall *call = km_types_call(types, root);
	for (guint i = 0; !call && i < object->symbols->len; i++) {
		const KmSymbol *symbol = object->symbols->pdata[i];
		if (symbol->section == function->section && symbol->value == function->value &&
		    symbol->type == STT_FUNC)
			call = km_types_call(types, symbol->name);
	}
	return call;
}

static gboolean check_call(const KmUnitWork *work, const KmCall *call, const char *name, GError **error)
{
	if (call->variadic)
		return refuse(work, name, "takes a variable number of arguments, which callers may leave on the stack",
			      error);
	if (call->words > work->context.kernel->arch->frame_arguments)
		return refuse(work, name, "takes more arguments than fit into registers, the rest from the stack",
			      error);
	return TRUE;
}

/* A copy that is given fewer arguments than its origin is no worse. Of one that may be given more, the new code tells which it looks for. */
static gboolean check_copy(const KmUnitWork *work, const KmHook *hook, GError **error)
{
	const KmSymbol *new = hook->replacement;
	if (!strstr(hook->original->name, CUT_COPY) ||
	    !work->context.kernel->arch->uses_stacked(new->section->data->data + new->value, new->size))
		return TRUE;
	return refuse(work, hook->original->name,
		      "may take arguments from the stack (it is a copy that the compiler gave arguments of its own)",
		      error);
}

/* Callers go by what it was. Where the patch changes that, the author says that all of them change, too. */
static gboolean check_hook(const KmUnitWork *work, const KmTypes *was, const KmTypes *now, const KmHook *hook,
			   GError **error)
{
	const KmCall *before = find_call(was, work->original, hook->original);
	const KmCall *after = find_call(now, work->original, hook->original);
	if (!before)
		return refuse(work, hook->original->name, "may take arguments from the stack (no C text tells)", error);
	return check_call(work, before, hook->original->name, error) &&
	       (!after || check_call(work, after, hook->original->name, error)) && check_copy(work, hook, error);
}

/* Those of hooks that lead calls of work's functions away. Not owned. */
static GPtrArray *hooks_of(const KmUnitWork *work, const GPtrArray *hooks)
{
	GPtrArray *found = g_ptr_array_new();
	for (guint i = 0; i < hooks->len; i++) {
		const KmHook *hook = hooks->pdata[i];
		if (g_ptr_array_find(work->original->symbols, hook->original, NULL))
			g_ptr_array_add(found, hooks->pdata[i]);
	}
	return found;
}

gboolean km_stacked_check(KmKernel *kernel, const KmOverlay *overlay, const KmUnitWork *work, const GPtrArray *hooks,
			  GError **error)
{
	g_autofree char *before = NULL, *after = NULL;
	g_autoptr(GPtrArray) own = hooks_of(work, hooks);
	if (!own->len)
		return TRUE;
	if (!km_unit_compile_debug(kernel, overlay, work->unit, &before, &after, error))
		return FALSE;
	g_autoptr(KmTypes) was = km_types_read(before, NULL, error);
	g_autoptr(KmTypes) now = was ? km_types_read(after, NULL, error) : NULL;
	for (guint i = 0; now && i < own->len; i++)
		if (!check_hook(work, was, now, own->pdata[i], error))
			return FALSE;
	return now != NULL;
}
