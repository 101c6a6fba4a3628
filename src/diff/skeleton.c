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
	g_string_append_printf(
		text,
		"/* Add this to the end of the source file, and leave the definition of %s as it was. */\n"
		"#include <kmend/kmend.h>\n\n",
		name);
	put_value(text, name, number);
	g_string_append_printf(text,
			       "static typeof(%s) kmend_old_%s;\n\n"
			       "/* Other CPUs use %s meanwhile: take its lock here and below if it has one. */\n"
			       "static int kmend_set_%s(struct klp_object *obj)\n{\n"
			       "\tmemcpy((void *)&kmend_old_%s, (void *)&%s, sizeof(%s));\n"
			       "\tmemcpy((void *)&%s, (void *)&kmend_new_%s, sizeof(%s));\n"
			       "\treturn 0;\n}\nKMEND_PRE_PATCH(kmend_set_%s);\n\n",
			       name, name, name, name, name, name, name, name, name, name, name);
	g_string_append_printf(text,
			       "/* What somebody else has set since then stays. */\n"
			       "static void kmend_restore_%s(struct klp_object *obj)\n{\n"
			       "\tif (!memcmp((void *)&%s, (void *)&kmend_new_%s, sizeof(%s)))\n"
			       "\t\tmemcpy((void *)&%s, (void *)&kmend_old_%s, sizeof(%s));\n}\n"
			       "KMEND_POST_UNPATCH(kmend_restore_%s);\n",
			       name, name, name, name, name, name, name, name);
	return g_string_free(text, FALSE);
}
