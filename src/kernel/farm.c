/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/farm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* Deeper trees than this are loops made by mounts. */
#define MAX_DEPTH 64
/*
 * In each directory, the link to the pristine one that the links of its files lead through: file systems keep short targets in the
 * inode, and long ones cost a block each.
 */
#define PRISTINE ".kmend"

typedef struct {
	const KmFarm *farm;
	GString *path; /* of the directory at hand, relative to the tree, with a slash at its end; "" at the top */
	guint depth;
} Planter;

static gboolean contains_below(GHashTable *paths, const char *dir)
{
	GHashTableIter iter;
	gpointer path;
	g_hash_table_iter_init(&iter, paths);
	while (g_hash_table_iter_next(&iter, &path, NULL))
		if (g_str_has_prefix(path, dir))
			return TRUE;
	return FALSE;
}

/*
 * Directories whose files reach a unit of this kernel only by way of a search path, if at all: linked as a whole, unless they hold
 * a touched file.
 */
static gboolean is_foreign(const Planter *p, const char *name)
{
	static const char *const top[] = { "Documentation", "LICENSES", "scripts", "tools" };
	if (!p->farm->arch)
		return FALSE;
	gboolean foreign = !strcmp(p->path->str, "arch/") && strcmp(name, p->farm->arch);
	for (gsize i = 0; !p->path->len && i < G_N_ELEMENTS(top); i++)
		foreign |= !strcmp(name, top[i]);
	g_autofree char *dir = g_strconcat(p->path->str, name, "/", NULL);
	return foreign && !contains_below(p->farm->touched, dir);
}

static gboolean is_left_out(const Planter *p, const char *name)
{
	static const char *const endings[] = { ".o", ".ko", ".a", ".cmd" };
	if (!strcmp(name, ".") || !strcmp(name, "..") || (!p->path->len && !strcmp(name, ".git")))
		return TRUE;
	for (gsize i = 0; i < G_N_ELEMENTS(endings); i++)
		if (g_str_has_suffix(name, endings[i]))
			return TRUE;
	return FALSE;
}

static unsigned char entry_type(int from, const struct dirent *entry)
{
	struct stat st;
	if (entry->d_type != DT_UNKNOWN || fstatat(from, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return entry->d_type;
	return S_ISDIR(st.st_mode) ? DT_DIR : S_ISLNK(st.st_mode) ? DT_LNK : DT_REG;
}

/* A link of the tree that leads to another place in it must lead there in the farm too. */
static gboolean copy_link(const Planter *p, int from, int to, const char *name)
{
	char target[PATH_MAX];
	ssize_t size = readlinkat(from, name, target, sizeof(target) - 1);
	if (size < 0)
		return FALSE;
	target[size] = '\0';
	g_autofree char *mapped = km_farm_map(target, p->farm->source, p->farm->dir);
	return !symlinkat(*target == '/' ? mapped : target, to, name) || errno == EEXIST;
}

static gboolean plant_file(const Planter *p, int to, const char *name)
{
	g_autofree char *target = g_strconcat(PRISTINE "/", name, NULL);
	g_autofree char *path = g_strconcat(p->path->str, name, NULL);
	/* A touched file is there already, or the patch deletes it. */
	return g_hash_table_contains(p->farm->touched, path) || !symlinkat(target, to, name);
}

static gboolean plant_dir(Planter *p, int from, int to);

static gboolean descend(Planter *p, int from, int to, const char *name)
{
	if (mkdirat(to, name, 0755) && errno != EEXIST)
		return FALSE;
	gsize length = p->path->len;
	int inner_from = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int inner_to = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	g_string_append_printf(p->path, "%s/", name);
	p->depth++;
	gboolean ok = inner_from >= 0 && inner_to >= 0 && p->depth < MAX_DEPTH && plant_dir(p, inner_from, inner_to);
	/* What failed is said with the path, so that one stays. */
	if (ok)
		g_string_truncate(p->path, length);
	p->depth--;
	int problem = errno;
	if (inner_from >= 0)
		close(inner_from);
	if (inner_to >= 0)
		close(inner_to);
	errno = problem;
	return ok;
}

static gboolean plant_entry(Planter *p, int from, int to, const struct dirent *entry)
{
	const char *name = entry->d_name;
	if (is_left_out(p, name))
		return TRUE;
	unsigned char type = entry_type(from, entry);
	if (type == DT_LNK)
		return copy_link(p, from, to, name);
	return type == DT_DIR && !is_foreign(p, name) ? descend(p, from, to, name) : plant_file(p, to, name);
}

static gboolean plant_dir(Planter *p, int from, int to)
{
	g_autofree char *pristine = g_strconcat(p->farm->source, "/", p->path->str, NULL);
	DIR *dir = symlinkat(pristine, to, PRISTINE) ? NULL : fdopendir(fcntl(from, F_DUPFD_CLOEXEC, 0));
	if (!dir)
		return FALSE;
	gboolean ok = TRUE;
	const struct dirent *entry;
	while (ok && (entry = readdir(dir)))
		ok = plant_entry(p, from, to, entry);
	int problem = errno;
	closedir(dir);
	errno = problem;
	return ok;
}

gboolean km_farm_plant(const KmFarm *farm, GError **error)
{
	int from = open(farm->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int to = open(farm->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(GString) path = g_string_new(NULL);
	Planter p = { .farm = farm, .path = path };
	gboolean ok = from >= 0 && to >= 0 && plant_dir(&p, from, to);
	if (!ok)
		km_fail(error, "cannot link the source tree %s into %s (directory '%s'): %s", farm->source, farm->dir,
			path->str, g_strerror(errno));
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return ok;
}

/* Could this character go on with the last component of a path? */
static gboolean continues_name(char c)
{
	return g_ascii_isalnum(c) || (c && strchr("._-+~", c));
}

char *km_farm_map(const char *word, const char *from, const char *to)
{
	GString *mapped = g_string_new(NULL);
	gsize size = strlen(from);
	const char *found;
	while ((found = strstr(word, from))) {
		g_string_append_len(mapped, word, found - word);
		/* "/src/linux-2" is not below "/src/linux". */
		g_string_append(mapped, continues_name(found[size]) ? from : to);
		word = found + size;
	}
	g_string_append(mapped, word);
	return g_string_free(mapped, FALSE);
}

char **km_farm_map_command(char **argv, const char *from, const char *to)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	for (char **word = argv; *word; word++) {
		g_autofree char *mapped = g_str_has_prefix(*word, "-D") ? g_strdup(*word) : km_farm_map(*word, from, to);
		g_strv_builder_add(builder, mapped);
	}
	return g_strv_builder_end(builder);
}
