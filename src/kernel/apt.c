/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/apt.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "kernel/cache.h"

/* How old lists may be before we look again, in seconds. */
#define LISTS_AGE (6 * 3600)

void km_apt_free(KmApt *apt)
{
	if (!apt)
		return;
	g_free(apt->arch);
	g_free(apt->dir);
	g_free(apt->conf);
	g_free(apt->cache);
	g_free(apt->trouble);
	g_free(apt);
}

/*
 * Read after the host's own configuration, so that its proxies and keys stay in force and everything that would touch the
 * host's state, or run the host's hooks, does not.
 */
static gboolean write_conf(const KmApt *apt, GError **error)
{
	static const char format[] = "#clear APT::Architectures;\n"
				     "#clear APT::Update::Pre-Invoke;\n"
				     "#clear APT::Update::Post-Invoke;\n"
				     "#clear APT::Update::Post-Invoke-Success;\n"
				     "#clear Acquire::IndexTargets::deb-src;\n"
				     "APT::Architecture \"%s\";\n"
				     "APT::Architectures { \"%s\"; };\n"
				     "APT::Sandbox::User \"root\";\n"
				     "APT::Get::AllowUnauthenticated \"false\";\n"
				     "Acquire::AllowInsecureRepositories \"false\";\n"
				     "Acquire::Languages \"none\";\n"
				     "Acquire::Retries \"3\";\n"
				     "Dir::State \"%s/state\";\n"
				     "Dir::State::lists \"%s/lists\";\n"
				     "Dir::State::status \"%s/state/status\";\n"
				     "Dir::Cache \"%s/cache\";\n"
				     "Dir::Log \"%s/log\";\n";
	if (strpbrk(apt->dir, "\"\n;"))
		return km_fail(error,
			       "the cache's path %s has a character that apt's configuration cannot hold; set "
			       "KMEND_CACHE to another place",
			       apt->dir);
	g_autofree char *text =
		g_strdup_printf(format, apt->arch, apt->arch, apt->dir, apt->dir, apt->dir, apt->dir, apt->dir);
	g_autofree char *old = NULL;
	if (g_file_get_contents(apt->conf, &old, NULL, NULL) && !strcmp(old, text))
		return TRUE;
	return km_write_file(apt->conf, text, strlen(text), error);
}

static gboolean make_state(const KmApt *apt, GError **error)
{
	const char *const dirs[] = { "state", "lists/partial", "cache/archives/partial", "log", NULL };
	for (guint i = 0; dirs[i]; i++) {
		g_autofree char *path = g_build_filename(apt->dir, dirs[i], NULL);
		if (!km_make_dirs(path, error))
			return FALSE;
	}
	g_autofree char *status = g_build_filename(apt->dir, "state", "status", NULL);
	if (!g_file_test(status, G_FILE_TEST_EXISTS) && !km_write_file(status, "", 0, error))
		return FALSE;
	return write_conf(apt, error);
}

static gboolean have_lists(const KmApt *apt)
{
	g_autofree char *path = g_build_filename(apt->dir, "lists", NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;
	while (dir && (name = g_dir_read_name(dir)))
		if (strstr(name, "_Packages"))
			return TRUE;
	return FALSE;
}

static gboolean is_recent(const KmApt *apt)
{
	g_autofree char *stamp = g_build_filename(apt->dir, "updated", NULL);
	struct stat st;
	gint64 now = g_get_real_time() / G_USEC_PER_SEC;
	return have_lists(apt) && stat(stamp, &st) == 0 && st.st_mtime <= now && now - st.st_mtime < LISTS_AGE;
}

static KmRunResult *run_apt(const KmApt *apt, const char *program, const char *const *args, const char *cwd,
			    GError **error)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	const char *env[] = { "LC_ALL=C", NULL };
	const KmRunOptions options = { .cwd = cwd, .env = env };
	g_ptr_array_add(argv, (char *)program);
	g_ptr_array_add(argv, "-c");
	g_ptr_array_add(argv, apt->conf);
	g_ptr_array_add(argv, "-q");
	for (; *args; args++)
		g_ptr_array_add(argv, (char *)*args);
	g_ptr_array_add(argv, NULL);
	return km_run((const char *const *)argv->pdata, &options, error);
}

/* The lines of apt's output that say what is wrong, on one line. */
static char *complaints(const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
	GString *out = g_string_new(NULL);
	for (guint i = 0; lines[i] && out->len < 400; i++)
		if (g_str_has_prefix(lines[i], "E: ") || g_str_has_prefix(lines[i], "W: "))
			g_string_append_printf(out, "%s%s", out->len ? "; " : "", lines[i] + 3);
	return g_string_free(out, FALSE);
}

/* Sources that fail are kept in mind for messages only: what counts is whether the package is found. */
static gboolean update(KmApt *apt, GError **error)
{
	const char *args[] = { "update", NULL };
	g_autoptr(KmLock) lock = km_cache_lock(apt->cache, "apt", apt->arch, apt->progress, error);
	if (!lock)
		return FALSE;
	km_progress_set(apt->progress, "updating package lists for %s", apt->arch);
	g_autoptr(KmRunResult) result = run_apt(apt, "apt-get", args, NULL, error);
	if (!result)
		return FALSE;
	g_free(apt->trouble);
	apt->trouble = complaints(result->errors);
	apt->updated = TRUE;
	if (!have_lists(apt))
		return km_fail(error, "apt got no package list for %s: %s; check the network and apt's sources",
			       apt->arch, *apt->trouble ? apt->trouble : "its sources name no archive");
	g_autofree char *stamp = g_build_filename(apt->dir, "updated", NULL);
	return km_write_file(stamp, "", 0, error);
}

KmApt *km_apt_new(const char *cache, const char *arch, KmProgress *progress, GError **error)
{
	g_autoptr(KmApt) apt = g_new0(KmApt, 1);
	apt->cache = g_strdup(cache);
	apt->arch = g_strdup(arch);
	apt->dir = g_build_filename(cache, "apt", arch, NULL);
	apt->conf = g_build_filename(apt->dir, "apt.conf", NULL);
	apt->progress = progress;
	if (!make_state(apt, error) || (!is_recent(apt) && !update(apt, error)))
		return NULL;
	return g_steal_pointer(&apt);
}

static void package_free(gpointer data)
{
	KmAptPackage *package = data;
	g_free(package->package);
	g_free(package->version);
	g_free(package->source);
	g_free(package->source_version);
	g_free(package->depends);
	g_free(package);
}

/* "name (op version)" -> name and version; version NULL when it has none. Architecture qualifiers are dropped. */
static void split_relation(const char *relation, char **name, char **version)
{
	g_autofree char *text = g_strstrip(g_strdup(relation));
	char *open = strchr(text, '(');
	if (version) {
		char *from = open ? open + 1 + strspn(open + 1, "<>= ") : NULL;
		*version = from ? g_strndup(from, strcspn(from, ") ")) : NULL;
	}
	*name = g_strndup(text, strcspn(text, " (:["));
}

char *km_apt_dependency(const char *depends, const char *prefix)
{
	g_auto(GStrv) relations = g_strsplit_set(depends, ",|", 0);
	for (guint i = 0; relations[i]; i++) {
		g_autofree char *name = NULL;
		split_relation(relations[i], &name, NULL);
		if (g_str_has_prefix(name, prefix))
			return g_steal_pointer(&name);
	}
	return NULL;
}

void km_apt_add_dependencies(const char *depends, GPtrArray *names)
{
	g_auto(GStrv) relations = g_strsplit(depends, ",", 0);
	for (guint i = 0; relations[i]; i++) {
		char *bar = strchr(relations[i], '|');
		if (bar)
			*bar = 0;
		g_autofree char *name = NULL;
		split_relation(relations[i], &name, NULL);
		if (*name && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
			g_ptr_array_add(names, g_steal_pointer(&name));
	}
}

static gboolean is_linux_source(const char *name)
{
	return !strcmp(name, "linux") || (g_str_has_prefix(name, "linux-") && g_ascii_isdigit(name[6]));
}

/*
 * The source that the binary was compiled from. A signed image comes from a source package that holds only signatures
 * ("linux-signed-amd64 (6.1.192+2)"); what was signed is in Built-Using ("linux (= 6.1.192-2)").
 */
static void find_source(KmAptPackage *package, const char *source, const char *built_using)
{
	g_auto(GStrv) relations = g_strsplit(built_using ? built_using : "", ",", 0);
	for (guint i = 0; relations[i]; i++) {
		g_autofree char *name = NULL, *version = NULL;
		split_relation(relations[i], &name, &version);
		if (!is_linux_source(name) || !version)
			continue;
		package->source = g_steal_pointer(&name);
		package->source_version = g_steal_pointer(&version);
		return;
	}
	split_relation(source ? source : package->package, &package->source, &package->source_version);
	if (!package->source_version)
		package->source_version = g_strdup(package->version);
}

/* One record; continuation lines belong to fields that we do not read. */
static KmAptPackage *parse_record(const char *record)
{
	g_autoptr(GHashTable) fields = g_hash_table_new(g_str_hash, g_str_equal);
	g_auto(GStrv) lines = g_strsplit(record, "\n", 0);
	for (guint i = 0; lines[i]; i++) {
		char *colon = strchr(lines[i], ':');
		if (!colon || g_ascii_isspace(*lines[i]))
			continue;
		*colon = 0;
		g_hash_table_insert(fields, lines[i], g_strstrip(colon + 1));
	}
	const char *name = g_hash_table_lookup(fields, "Package");
	const char *version = g_hash_table_lookup(fields, "Version");
	if (!name || !version)
		return NULL;
	KmAptPackage *package = g_new0(KmAptPackage, 1);
	const char *depends = g_hash_table_lookup(fields, "Depends");
	const char *size = g_hash_table_lookup(fields, "Size");
	package->package = g_strdup(name);
	package->version = g_strdup(version);
	package->depends = g_strdup(depends ? depends : "");
	package->size = size ? g_ascii_strtoull(size, NULL, 10) : 0;
	find_source(package, g_hash_table_lookup(fields, "Source"), g_hash_table_lookup(fields, "Built-Using"));
	return package;
}

GPtrArray *km_apt_parse(const char *text)
{
	GPtrArray *packages = g_ptr_array_new_with_free_func(package_free);
	g_auto(GStrv) records = g_strsplit(text, "\n\n", 0);
	for (guint i = 0; records[i]; i++) {
		KmAptPackage *package = parse_record(records[i]);
		if (package)
			g_ptr_array_add(packages, package);
	}
	return packages;
}

static GPtrArray *show_once(const KmApt *apt, const char *package, GError **error)
{
	const char *args[] = { "show", "--all-versions", package, NULL };
	g_autoptr(KmRunResult) result = run_apt(apt, "apt-cache", args, NULL, error);
	if (!result)
		return NULL;
	/* An unknown package is an exit status of 100 and nothing on standard output. */
	return km_apt_parse(result->output);
}

GPtrArray *km_apt_show(KmApt *apt, const char *package, GError **error)
{
	g_autoptr(GPtrArray) packages = show_once(apt, package, error);
	if (!packages || packages->len || apt->updated)
		return g_steal_pointer(&packages);
	return update(apt, error) ? show_once(apt, package, error) : NULL;
}

static char *find_deb(const char *dir, const char *package)
{
	g_autofree char *prefix = g_strconcat(package, "_", NULL);
	g_autoptr(GDir) handle = g_dir_open(dir, 0, NULL);
	const char *name;
	while (handle && (name = g_dir_read_name(handle)))
		if (g_str_has_prefix(name, prefix) && g_str_has_suffix(name, ".deb"))
			return g_build_filename(dir, name, NULL);
	return NULL;
}

char *km_apt_download(const KmApt *apt, const char *dir, const char *package, const char *version, GError **error)
{
	g_autofree char *what = g_strdup_printf("%s=%s", package, version);
	const char *args[] = { "download", what, NULL };
	g_autoptr(KmRunResult) result = run_apt(apt, "apt-get", args, dir, error);
	if (!result)
		return NULL;
	char *path = result->status == 0 ? find_deb(dir, package) : NULL;
	if (path)
		return path;
	g_autofree char *why = complaints(result->errors);
	return km_fail_null(error, "cannot download %s %s for %s: %s", package, version, apt->arch,
			    *why ? why : "apt-get brought no file");
}
