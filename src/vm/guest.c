/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm/guest.h"

#include <gio/gio.h>
#include <string.h>

#include "base/error.h"
#include "vm-resources.h"

void km_answer_free(KmAnswer *answer)
{
	if (!answer)
		return;
	g_free(answer->key);
	g_free(answer->text);
	g_free(answer);
}

/* "KEY STATUS LENGTH": the header line that starts at from, behind its tag. The payload, or NULL if malformed. */
static const char *parse_header(const char *from, const char *end, KmAnswer *answer, gsize *length)
{
	const char *newline = memchr(from, '\n', (gsize)(end - from));
	if (!newline || newline - from > 200)
		return NULL;
	g_autofree char *line = g_strndup(from, (gsize)(newline - from));
	g_auto(GStrv) words = g_strsplit(line, " ", -1);
	guint64 status, size;
	if (g_strv_length(words) != 3 || !*words[0] ||
	    !g_ascii_string_to_unsigned(words[1], 10, 0, 255, &status, NULL) ||
	    !g_ascii_string_to_unsigned(words[2], 10, 0, G_MAXINT32, &size, NULL))
		return NULL;
	answer->key = g_strdup(words[0]);
	answer->status = (int)status;
	*length = (gsize)size;
	return newline + 1;
}

/* One answer behind its tag. NULL when it is not (all) there; *next: where to go on when it is. */
static KmAnswer *parse_one(const char *from, const char *end, const char **next)
{
	KmAnswer *answer = g_new0(KmAnswer, 1);
	gsize length;
	const char *payload = parse_header(from, end, answer, &length);
	if (!payload || (gsize)(end - payload) <= length || payload[length] != '\n') {
		km_answer_free(answer);
		return NULL;
	}
	answer->text = g_utf8_make_valid(payload, (gssize)length);
	*next = payload + length + 1;
	return answer;
}

GPtrArray *km_guest_parse(const char *data, gsize size, const char *nonce)
{
	GPtrArray *answers = g_ptr_array_new_with_free_func((GDestroyNotify)km_answer_free);
	g_autofree char *tag = g_strdup_printf("#kmend:%s ", nonce);
	const char *at = data;
	const char *end = data + size;
	while (at && at < end) {
		const char *found = memmem(at, (gsize)(end - at), tag, strlen(tag));
		if (!found)
			break;
		at = found + strlen(tag);
		KmAnswer *answer = parse_one(at, end, &at);
		if (answer)
			g_ptr_array_add(answers, answer);
	}
	return answers;
}

const KmAnswer *km_guest_find(const GPtrArray *answers, const char *key)
{
	for (guint i = answers->len; i > 0; i--) {
		const KmAnswer *answer = answers->pdata[i - 1];
		if (!strcmp(answer->key, key))
			return answer;
	}
	return NULL;
}

char *km_guest_mark(const char *nonce)
{
	return g_strdup_printf("kmend %s: ", nonce);
}

GBytes *km_guest_init(GError **error)
{
	g_autoptr(GError) local = NULL;
	GBytes *bytes = g_resource_lookup_data(km_vm_get_resource(), "/kmend/vm/init.sh", 0, &local);
	if (!bytes)
		km_fail(error, "kmend was built without the VM's init: %s", local->message);
	return bytes;
}
