/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The package ships no modules.dep (depmod makes it on installation), so dependencies come from the modules' own
 * .modinfo.
 */
#include "vm/modules.h"

#include <archive.h>
#include <gelf.h>
#include <string.h>

#include "base/error.h"

/* The largest stock module is a few MiB; this only keeps a compression bomb from eating the machine. */
#define MODULE_LIMIT (256u << 20)

void km_vm_module_free(KmVmModule *module)
{
	if (!module)
		return;
	g_free(module->name);
	g_free(module->path);
	g_clear_pointer(&module->data, g_bytes_unref);
	g_free(module->vermagic);
	g_strfreev(module->depends);
	g_strfreev(module->softdeps);
	g_strfreev(module->targets);
	g_free(module);
}

gboolean km_vm_module_is_livepatch(const KmVmModule *module)
{
	return module->livepatch || g_strv_contains((const char *const *)module->depends, KM_VM_RUNTIME);
}

static char *spell(const char *name)
{
	return g_strdelimit(g_strdup(name), "-", '_');
}

/* "dir/foo-bar.ko.xz" -> "foo_bar"; NULL when it does not look like a module's file. */
static char *name_of_file(const char *path)
{
	g_autofree char *base = g_path_get_basename(path);
	char *ko = g_strrstr(base, ".ko");
	if (!ko || ko == base || (ko[3] && ko[3] != '.'))
		return NULL;
	*ko = '\0';
	return spell(base);
}

static GBytes *drain(struct archive *archive, const char *path, GError **error)
{
	g_autoptr(GByteArray) out = g_byte_array_new();
	guint8 buffer[16384];
	la_ssize_t n;
	while ((n = archive_read_data(archive, buffer, sizeof(buffer))) > 0) {
		if (out->len > MODULE_LIMIT)
			return km_fail_null(error, "%s: larger than any kernel module when decompressed", path);
		g_byte_array_append(out, buffer, (guint)n);
	}
	if (n < 0)
		return km_fail_null(error, "cannot decompress %s: %s", path, archive_error_string(archive));
	return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}

/* libarchive as a decompressor: one raw entry behind whatever filter the first bytes ask for. */
static GBytes *read_plain(const char *path, GError **error)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	GBytes *bytes = NULL;
	archive_read_support_filter_all(archive);
	archive_read_support_format_raw(archive);
	if (archive_read_open_filename(archive, path, 65536) || archive_read_next_header(archive, &entry))
		km_fail(error, "cannot read %s: %s", path,
			archive_error_string(archive) ? archive_error_string(archive) : "empty file");
	else
		bytes = drain(archive, path, error);
	archive_read_free(archive);
	return bytes;
}

static Elf_Data *find_modinfo(Elf *elf)
{
	size_t strings;
	Elf_Scn *section = NULL;
	if (elf_kind(elf) != ELF_K_ELF || elf_getshdrstrndx(elf, &strings))
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name;
		if (gelf_getshdr(section, &header) && (name = elf_strptr(elf, strings, header.sh_name)) &&
		    !strcmp(name, ".modinfo"))
			return elf_rawdata(section, NULL);
	}
	return NULL;
}

/* "pre: a b post: c": a and b, after those that earlier tags of the module named. */
static char **softdeps_before(char **earlier, const char *text)
{
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();
	g_strv_builder_addv(names, (const char **)earlier);
	g_auto(GStrv) words = g_strsplit_set(text, " \t", -1);
	gboolean before = FALSE;
	for (char **w = words; *w; w++) {
		g_autofree char *name = spell(*w);
		if (g_str_has_suffix(name, ":"))
			before = !strcmp(name, "pre:");
		else if (before && *name)
			g_strv_builder_add(names, name);
	}
	return g_strv_builder_end(names);
}

/* "OBJECT:...", one for each replaced function and each callback: the object, if it is a module that was not named before. */
static void take_target(KmVmModule *module, const char *value)
{
	g_autofree char *given = g_strndup(value, strcspn(value, ":"));
	g_autofree char *name = spell(given);
	if (!*name || !strcmp(name, "vmlinux") || g_strv_contains((const char *const *)module->targets, name))
		return;
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();
	g_strv_builder_addv(names, (const char **)module->targets);
	g_strv_builder_add(names, name);
	g_strfreev(module->targets);
	module->targets = g_strv_builder_end(names);
}

static void take_tag(KmVmModule *module, const char *tag)
{
	const char *value = strchr(tag, '=');
	if (!value++)
		return;
	if (g_str_has_prefix(tag, "name=")) {
		g_free(module->name);
		module->name = spell(value);
	} else if (g_str_has_prefix(tag, "vermagic=")) {
		g_free(module->vermagic);
		module->vermagic = g_strdup(value);
	} else if (g_str_has_prefix(tag, "depends=")) {
		g_autofree char *names = spell(value);
		g_strfreev(module->depends);
		module->depends = *names ? g_strsplit(names, ",", -1) : g_new0(char *, 1);
	} else if (g_str_has_prefix(tag, "softdep=")) {
		char **names = softdeps_before(module->softdeps, value);
		g_strfreev(module->softdeps);
		module->softdeps = names;
	} else if (g_str_has_prefix(tag, "kmend_func=") || g_str_has_prefix(tag, "kmend_callback=")) {
		take_target(module, value);
	} else if (!strcmp(tag, "livepatch=Y")) {
		module->livepatch = TRUE;
	}
}

static gboolean read_modinfo(KmVmModule *module, GError **error)
{
	gsize size;
	const void *bytes = g_bytes_get_data(module->data, &size);
	elf_version(EV_CURRENT);
	Elf *elf = elf_memory((char *)bytes, size);
	Elf_Data *data = elf ? find_modinfo(elf) : NULL;
	gboolean found = data && data->d_buf;
	for (gsize at = 0; found && at < data->d_size;) {
		gsize left = data->d_size - at;
		g_autofree char *tag = g_strndup((const char *)data->d_buf + at, left);
		take_tag(module, tag);
		at += strlen(tag) + 1;
	}
	if (elf)
		elf_end(elf);
	return found || km_fail(error, "%s is not a kernel module: it has no .modinfo section", module->path);
}

/* A name becomes a file name and a sysfs path in the guest. */
static gboolean check_name(const KmVmModule *module, GError **error)
{
	for (const char *c = module->name; *c; c++)
		if (!g_ascii_isalnum(*c) && *c != '_')
			return km_fail(error, "%s: '%.60s' is no module name", module->path, module->name);
	return *module->name || km_fail(error, "%s: the module has no name", module->path);
}

KmVmModule *km_vm_module_read(const char *path, GError **error)
{
	g_autoptr(KmVmModule) module = g_new0(KmVmModule, 1);
	if (g_file_test(path, G_FILE_TEST_IS_DIR))
		return km_fail_null(error, "cannot read %s: it is a directory", path);
	module->path = g_strdup(path);
	module->name = name_of_file(path);
	if (!module->name)
		module->name = g_path_get_basename(path);
	module->vermagic = g_strdup("");
	module->depends = g_new0(char *, 1);
	module->softdeps = g_new0(char *, 1);
	module->targets = g_new0(char *, 1);
	module->data = read_plain(path, error);
	if (!module->data || !read_modinfo(module, error) || !check_name(module, error))
		return NULL;
	return g_steal_pointer(&module);
}

void km_vm_index_free(KmVmIndex *index)
{
	if (!index)
		return;
	g_free(index->dir);
	g_hash_table_unref(index->paths);
	g_hash_table_unref(index->builtin);
	g_free(index);
}

static void scan_dir(KmVmIndex *index, const char *path, guint depth)
{
	g_autoptr(GDir) dir = depth < 32 ? g_dir_open(path, 0, NULL) : NULL;
	const char *name;
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(path, name, NULL);
		g_autofree char *module = name_of_file(name);
		if (module)
			g_hash_table_replace(index->paths, g_steal_pointer(&module), g_steal_pointer(&child));
		else if (!g_file_test(child, G_FILE_TEST_IS_SYMLINK) && g_file_test(child, G_FILE_TEST_IS_DIR))
			scan_dir(index, child, depth + 1);
	}
}

static void scan_builtin(KmVmIndex *index)
{
	g_autofree char *path = g_build_filename(index->dir, "modules.builtin", NULL);
	g_autofree char *text = NULL;
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return;
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		char *name = name_of_file(*line);
		if (name)
			g_hash_table_add(index->builtin, name);
	}
}

KmVmIndex *km_vm_index_new(const char *dir, GError **error)
{
	if (dir && !g_file_test(dir, G_FILE_TEST_IS_DIR))
		return km_fail_null(error, "cannot read the kernel's modules: %s is not a directory", dir);
	KmVmIndex *index = g_new0(KmVmIndex, 1);
	index->dir = g_strdup(dir ? dir : "(none)");
	index->paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	index->builtin = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (dir) {
		scan_dir(index, dir, 0);
		scan_builtin(index);
	}
	return index;
}

char *km_vm_index_take(KmVmIndex *index, const char *module, GError **error)
{
	if (!strchr(module, '/') && !g_str_has_suffix(module, ".ko"))
		return spell(module);
	g_autoptr(KmVmModule) read = km_vm_module_read(module, error);
	if (!read)
		return NULL;
	if (km_vm_module_is_livepatch(read))
		return km_refuse_null(error, "%s is a live patch: it is not loaded as a module, but tried", module);
	g_hash_table_replace(index->paths, g_strdup(read->name), g_strdup(module));
	return g_strdup(read->name);
}

static gboolean in_order(const GPtrArray *order, const char *name)
{
	for (guint i = 0; i < order->len; i++)
		if (!strcmp(((KmVmModule *)order->pdata[i])->name, name))
			return TRUE;
	return FALSE;
}

/*
 * A soft dependency may name an algorithm, which is an alias of several modules ("crc32c"): the portable one of them is called
 * NAME_generic and runs on any machine. Caller owns; NULL when there is neither.
 */
static char *find_softdep(const KmVmIndex *index, const char *name)
{
	g_autofree char *generic = g_strconcat(name, "_generic", NULL);
	if (g_hash_table_contains(index->paths, name))
		return g_strdup(name);
	return g_hash_table_contains(index->paths, generic) ? g_steal_pointer(&generic) : NULL;
}

static gboolean resolve(const KmVmIndex *index, const char *name, GPtrArray *order, GHashTable *open, GError **error)
{
	const char *path = g_hash_table_lookup(index->paths, name);
	if (in_order(order, name))
		return TRUE;
	if (!path)
		return g_hash_table_contains(index->builtin, name) ||
		       km_fail(error, "this kernel has no module %s (looked in %s)", name, index->dir);
	if (!g_hash_table_add(open, g_strdup(name)))
		return km_fail(error, "module %s depends on itself through others", name);

	g_autoptr(KmVmModule) module = km_vm_module_read(path, error);
	if (!module)
		return FALSE;
	for (char **d = module->softdeps; *d; d++) {
		g_autofree char *wanted = find_softdep(index, *d);
		if (wanted && !g_hash_table_contains(open, wanted) && !resolve(index, wanted, order, open, error))
			return FALSE;
	}
	for (char **d = module->depends; *d; d++)
		if (**d && !resolve(index, *d, order, open, error))
			return FALSE;
	g_hash_table_remove(open, name);
	g_ptr_array_add(order, g_steal_pointer(&module));
	return TRUE;
}

gboolean km_vm_index_resolve(const KmVmIndex *index, const char *name, GPtrArray *order, GError **error)
{
	g_autoptr(GHashTable) open = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *spelled = spell(name);
	return resolve(index, spelled, order, open, error);
}
