/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diff/skeleton.h"

#include <string.h>

/* A static local, or what a macro or the assembler named, is out of reach of any other function. */
static gboolean has_plain_name(const char *name)
{
	if (!g_ascii_isalpha(*name) && *name != '_')
		return FALSE;
	for (; *name; name++)
		if (!g_ascii_isalnum(*name) && *name != '_')
			return FALSE;
	return TRUE;
}

/* A number's bytes, as the initializer that the patched object has; NULL when it is no plain number. Caller owns. */
static char *number_of(const KmItem *item)
{
	guint64 value = 0;
	gboolean fits = item->size == 1 || item->size == 2 || item->size == 4 || item->size == 8;
	if (!fits || item->n_refs || item->twin->n_refs)
		return NULL;
	const GByteArray *data = item->section->data;
	for (guint64 i = 0; data && i < item->size; i++) {
		guint64 at = item->side->object->arch->big_endian ? item->size - 1 - i : i;
		value |= (guint64)data->data[item->start + at] << 8 * i;
	}
	return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value);
}

static void put_value(GString *text, const char *name, const char *number)
{
	if (number)
		g_string_append_printf(text,
				       "/* Check that %s is one number of these bytes. */\n"
				       "static const typeof(%s) kmend_new_%s = (typeof(%s))%s;\n",
				       name, name, name, name, number);
	else
		g_string_append_printf(text,
				       "#error \"write the new initializer of %s below, and remove this line\"\n"
				       "static const typeof(%s) kmend_new_%s = { };\n",
				       name, name, name);
}

char *km_skeleton(const KmItem *item)
{
	const char *name = item->name;
	if (!item->section || !has_plain_name(name) || strstr(item->section->name, ".data..percpu"))
		return NULL;
	g_autofree char *number = number_of(item);
	GString *text = g_string_new(NULL);
	put_value(text, name, number);
	g_string_append_printf(text,
			       "static typeof(%s) kmend_old_%s;\n\n"
			       "/* Other CPUs use %s meanwhile: take its lock here and below if it has one. */\n"
			       "static void kmend_set_%s(void)\n{\n"
			       "\tmemcpy((void *)&kmend_old_%s, (void *)&%s, sizeof(%s));\n"
			       "\tmemcpy((void *)&%s, (void *)&kmend_new_%s, sizeof(%s));\n}\n\n",
			       name, name, name, name, name, name, name, name, name, name);
	g_string_append_printf(text,
			       "/* What somebody else has set since then stays. */\n"
			       "static void kmend_restore_%s(void)\n{\n"
			       "\tif (!memcmp((void *)&%s, (void *)&kmend_new_%s, sizeof(%s)))\n"
			       "\t\tmemcpy((void *)&%s, (void *)&kmend_old_%s, sizeof(%s));\n}\n\n",
			       name, name, name, name, name, name, name);
	return g_string_free(text, FALSE);
}

/* Calls "kmend_WHAT_NAME();" for each variable. */
static void put_calls(GString *text, const KmDiff *diff, const char *what)
{
	for (guint i = 0; i < diff->refused->len; i++) {
		const KmRefusal *refusal = diff->refused->pdata[i];
		if (refusal->skeleton)
			g_string_append_printf(text, "\tkmend_%s_%s();\n", what, refusal->name);
	}
}

char *km_diff_skeleton(const KmDiff *diff)
{
	g_autoptr(GString) text =
		g_string_new("/* Add this to the end of the source file, and leave the definitions of the "
			     "variables as they were. */\n#include <kmend/kmend.h>\n\n");
	gsize empty = text->len;
	for (guint i = 0; i < diff->refused->len; i++) {
		const KmRefusal *refusal = diff->refused->pdata[i];
		g_string_append(text, refusal->skeleton ? refusal->skeleton : "");
	}
	if (text->len == empty)
		return NULL;
	/* The kernel calls one of a kind for vmlinux or for a module. */
	g_string_append(
		text,
		"/* Where another file has a callback of that kind for the same object, call these from there. */\n"
		"static int kmend_set_all(struct klp_object *obj)\n{\n");
	put_calls(text, diff, "set");
	g_string_append(text, "\treturn 0;\n}\nKMEND_PRE_PATCH(kmend_set_all);\n\n"
			      "static void kmend_restore_all(struct klp_object *obj)\n{\n");
	put_calls(text, diff, "restore");
	g_string_append(text, "}\nKMEND_POST_UNPATCH(kmend_restore_all);\n");
	return g_string_free(g_steal_pointer(&text), FALSE);
}
