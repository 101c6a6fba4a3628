/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apt with its own state: package lists of one architecture below the cache (apt/ARCH), made from the host's list of
 * sources and checked against the host's keys. Nothing is installed, the host's own state is neither read nor changed, and
 * no rights are needed. A source that cannot be reached does not matter as long as what we want is found.
 */
#pragma once

#include "base/progress.h"
#include <glib.h>

typedef struct {
	char *package, *version;
	char *source, *source_version; /* what it was built from: see Built-Using of signed packages */
	char *depends; /* the field, "" when none */
	guint64 size; /* of the .deb */
} KmAptPackage;

typedef struct {
	char *arch; /* dpkg's name */
	char *dir; /* apt/ARCH */
	char *conf; /* its apt.conf */
	char *cache;
	char *trouble; /* what the last update complained about, or NULL */
	gboolean updated; /* in this run */
	KmProgress *progress;
} KmApt;

/* Lists that are older than a few hours are updated. progress outlives it. */
KmApt *km_apt_new(const char *cache, const char *arch, KmProgress *progress, GError **error);
void km_apt_free(KmApt *apt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmApt, km_apt_free)

/*
 * All versions of a package, newest first (of KmAptPackage, owned). An empty array when the archive has none, after the
 * lists were updated to be sure. NULL only when apt itself fails.
 */
GPtrArray *km_apt_show(KmApt *apt, const char *package, GError **error);

/* Download package=version into dir. Returns the file's path, owned. Safe from several threads. */
char *km_apt_download(const KmApt *apt, const char *dir, const char *package, const char *version, GError **error);

/* The records that `apt-cache show` printed. For tests. */
GPtrArray *km_apt_parse(const char *text);

/* One "name (op version)" of a Depends field: first alternative whose name starts with prefix. NULL when none. */
char *km_apt_dependency(const char *depends, const char *prefix);

/* Append the names in a Depends field (of alternatives the first) that names (of char *, owned) does not hold yet. */
void km_apt_add_dependencies(const char *depends, GPtrArray *names);
