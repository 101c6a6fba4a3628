/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which Debian packages make up one kernel: decided before anything is fetched, so that what is missing is told at once. */
#pragma once

#include "arch/arch.h"
#include "kernel/apt.h"

typedef struct {
	const KmArch *arch;
	char *release; /* "6.1.0-56-amd64" */
	char *image; /* package "linux-image-6.1.0-56-amd64" or "...-unsigned" */
	char *version; /* its version */
	char *source; /* package "linux-source-6.1" */
	char *source_version; /* what the image was compiled from */
	char *headers; /* package "linux-headers-6.1.0-56-amd64", at source_version */
	char *kbuild; /* package "linux-kbuild-6.1" of this machine's architecture */
	char *kbuild_version;
	guint64 image_size, source_size;
} KmDebian;

void km_debian_free(KmDebian *debian);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmDebian, km_debian_free)

/* The architecture a release's flavour names ("6.1.0-56-cloud-amd64" -> amd64, "...-powerpc64le" -> ppc64le); NULL: none. */
const KmArch *km_debian_flavour(const char *release);

/* The package version in uname -v ("#1 SMP ... Debian 6.1.192-2 (2026-11-16)"), NULL when there is none. Caller owns. */
char *km_debian_uname_version(const char *text);

/*
 * The release that name stands for: itself, or what the metapackage linux-image-NAME ("amd64", "6.12-amd64") points to.
 * name NULL: the running kernel when Debian built it and it is arch's, else the archive's current one. Caller owns.
 */
char *km_debian_release(KmApt *apt, const KmArch *arch, const char *name, GError **error);

/* Decide the packages. host: lists of this machine's architecture, for the tools that run here. */
KmDebian *km_debian_plan(KmApt *apt, KmApt *host, const KmArch *arch, const char *release, GError **error);
