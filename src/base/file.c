/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

gboolean km_make_dirs(const char *path, GError **error)
{
	if (g_mkdir_with_parents(path, 0755) == 0)
		return TRUE;
	return km_fail(error, "cannot create directory %s: %s", path, g_strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

gboolean km_remove_tree(const char *path, GError **error)
{
	struct stat st;
	/* Somebody else may be removing it too. What vanishes on the way ends the walk, but the rest is still there. */
	while (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS)) {
		if (errno != ENOENT)
			return km_fail(error, "cannot remove %s: %s", path, g_strerror(errno));
		if (lstat(path, &st) && errno == ENOENT)
			break;
	}
	return TRUE;
}

KmTempDir *km_tempdir_new(const char *parent, const char *prefix, GError **error)
{
	/* Absolute: compilers run in other directories. */
	g_autofree char *where = g_canonicalize_filename(parent ? parent : g_get_tmp_dir(), NULL);
	g_autofree char *path = g_strdup_printf("%s/%s-%d-XXXXXX", where, prefix, (int)getpid());
	if (!g_mkdtemp(path))
		return km_fail_null(error, "cannot create a work directory in %s: %s; %s", where, g_strerror(errno),
				    parent ? "make it writable" : "set TMPDIR to a writable place");
	KmTempDir *dir = g_new0(KmTempDir, 1);
	dir->path = g_steal_pointer(&path);
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd >= 0)
		flock(dir->fd, LOCK_EX | LOCK_NB);
	return dir;
}

void km_tempdir_free(KmTempDir *dir)
{
	if (!dir)
		return;
	if (dir->path)
		km_remove_tree(dir->path, NULL);
	if (dir->fd >= 0)
		close(dir->fd);
	g_free(dir->path);
	g_free(dir);
}

char *km_tempdir_keep(KmTempDir *dir)
{
	char *path = g_steal_pointer(&dir->path);
	km_tempdir_free(dir);
	return path;
}

/* The pid in "prefix-PID-XXXXXX", or 0 when name is no such directory. */
static pid_t owner_of(const char *name, const char *prefix)
{
	if (!g_str_has_prefix(name, prefix) || name[strlen(prefix)] != '-')
		return 0;
	char *end;
	const char *digits = name + strlen(prefix) + 1;
	guint64 pid = g_ascii_strtoull(digits, &end, 10);
	return end != digits && *end == '-' && strlen(end) == 7 && pid <= G_MAXINT ? (pid_t)pid : 0;
}

/* One that has ended and that nobody has waited for has still a pid. */
static gboolean is_alive(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid), *stat = NULL;
	if (kill(pid, 0) && errno == ESRCH)
		return FALSE;
	const char *name_end = g_file_get_contents(path, &stat, NULL, NULL) ? strrchr(stat, ')') : NULL;
	return !name_end || !g_str_has_prefix(name_end, ") Z");
}

static gboolean is_locked(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	gboolean locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
	if (fd >= 0)
		close(fd);
	return locked;
}

void km_tempdir_sweep(const char *parent, const char *prefix)
{
	const char *where = parent ? parent : g_get_tmp_dir();
	g_autoptr(GDir) dir = g_dir_open(where, 0, NULL);
	const char *name;
	while (dir && (name = g_dir_read_name(dir))) {
		pid_t pid = owner_of(name, prefix);
		if (!pid || is_alive(pid))
			continue;
		g_autofree char *path = g_build_filename(where, name, NULL);
		if (!is_locked(path))
			km_remove_tree(path, NULL);
	}
}

static gboolean write_all(int fd, const guint8 *data, gsize size)
{
	while (size) {
		ssize_t n = write(fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return FALSE;
		data += n;
		size -= (gsize)n;
	}
	return TRUE;
}

gboolean km_write_file(const char *path, const void *data, gsize size, GError **error)
{
	struct stat st;
	/* A rename would put a file in the place of a device. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return km_fail(error, "cannot write %s: it exists and is not a regular file", path);
	g_autofree char *temp = g_strconcat(path, ".XXXXXX", NULL);
	int fd = g_mkstemp_full(temp, O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0)
		return km_fail(error, "cannot write %s: %s", path, g_strerror(errno));
	gboolean ok = write_all(fd, data, size) && fsync(fd) == 0;
	int saved = errno;
	if (close(fd) && ok) {
		ok = FALSE;
		saved = errno;
	}
	if (ok && rename(temp, path) == 0)
		return TRUE;
	if (ok)
		saved = errno;
	unlink(temp);
	return km_fail(error, "cannot write %s: %s", path, g_strerror(saved));
}

GBytes *km_read_file(const char *path, GError **error)
{
	struct stat st;
	if (stat(path, &st))
		return km_fail_null(error, "cannot read %s: %s", path, g_strerror(errno));
	if (!S_ISREG(st.st_mode))
		return km_fail_null(error, "cannot read %s: not a regular file", path);
	g_autoptr(GError) local = NULL;
	g_autoptr(GMappedFile) map = g_mapped_file_new(path, FALSE, &local);
	if (!map)
		return km_fail_null(error, "cannot read %s: %s", path, local->message);
	return g_mapped_file_get_bytes(map);
}

/* No patch and no listing comes near this. */
#define MAX_STREAM (256u << 20)

static GBytes *read_stream(int fd, const char *path, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	guint8 chunk[65536];
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return km_fail_null(error, "cannot read %s: %s", path, g_strerror(errno));
		if (n == 0)
			return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
		if (bytes->len + (gsize)n > MAX_STREAM)
			return km_fail_null(error, "cannot read %s: more than %u bytes come out of it", path,
					    MAX_STREAM);
		g_byte_array_append(bytes, chunk, (guint)n);
	}
}

GBytes *km_read_input(const char *path, GError **error)
{
	struct stat st;
	if (!strcmp(path, "-"))
		return read_stream(STDIN_FILENO, "standard input", error);
	if (stat(path, &st) || !S_ISFIFO(st.st_mode))
		return km_read_file(path, error);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return km_fail_null(error, "cannot read %s: %s", path, g_strerror(errno));
	GBytes *bytes = read_stream(fd, path, error);
	close(fd);
	return bytes;
}

KmLock *km_lock_new(const char *path, GError **error)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return km_fail_null(error, "cannot open lock %s: %s", path, g_strerror(errno));
	while (flock(fd, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		int saved = errno;
		close(fd);
		return km_fail_null(error, "cannot lock %s: %s", path, g_strerror(saved));
	}
	KmLock *lock = g_new0(KmLock, 1);
	lock->fd = fd;
	return lock;
}

void km_lock_free(KmLock *lock)
{
	if (!lock)
		return;
	close(lock->fd);
	g_free(lock);
}
