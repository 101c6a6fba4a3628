/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/debian.h"

#include <string.h>
#include <sys/utsname.h>

#include "base/error.h"
#include "base/run.h"

void km_debian_free(KmDebian *d)
{
	if (!d)
		return;
	char *texts[] = { d->release,	     d->image,	 d->version, d->source,
			  d->source_version, d->headers, d->kbuild,  d->kbuild_version };
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(texts[i]);
	g_free(d);
}

/* A flavour ends in dpkg's name of the architecture, or in the GNU one ("powerpc64le"); "16k" and such may follow. */
const KmArch *km_debian_flavour(const char *release)
{
	g_auto(GStrv) parts = g_strsplit(release, "-", 0);
	for (guint i = g_strv_length(parts); i-- > 0;)
		for (const KmArch *const *a = km_arch_all(); *a; a++) {
			gsize cpu = strcspn((*a)->triplet, "-");
			if (!strcmp(parts[i], (*a)->debian) ||
			    (strlen(parts[i]) == cpu && !strncmp(parts[i], (*a)->triplet, cpu)))
				return *a;
		}
	return NULL;
}

char *km_debian_uname_version(const char *text)
{
	const char *from = strstr(text, "Debian ");
	if (!from)
		return NULL;
	from += strlen("Debian ");
	const char *end = strchr(from, ' ');
	/* The kernel cuts the text off at 64 bytes: only a version that something follows is whole. */
	return end && end > from && g_ascii_isdigit(*from) ? g_strndup(from, (gsize)(end - from)) : NULL;
}

/* uname of a running Debian kernel of arch. */
static gboolean running_debian(const KmArch *arch, struct utsname *uts)
{
	return arch == km_arch_host() && uname(uts) == 0 && strstr(uts->version, "Debian ") != NULL;
}

static char *image_name(const char *release)
{
	return g_strconcat("linux-image-", release, NULL);
}

/* Follow metapackages; *known FALSE when the archive has no such package at all. */
static char *follow(KmApt *apt, const char *name, gboolean *known, GError **error)
{
	g_autofree char *release = g_strdup(name);
	*known = FALSE;
	for (guint depth = 0; depth < 4; depth++) {
		g_autofree char *package = image_name(release);
		g_autoptr(GPtrArray) found = km_apt_show(apt, package, error);
		if (!found)
			return NULL;
		if (!found->len)
			break;
		*known = TRUE;
		const KmAptPackage *newest = found->pdata[0];
		g_autofree char *next = km_apt_dependency(newest->depends, "linux-image-");
		if (!next)
			break;
		g_free(release);
		release = g_strdup(next + strlen("linux-image-"));
	}
	return g_steal_pointer(&release);
}

static char *current_release(KmApt *apt, const KmArch *arch, GError **error)
{
	g_autofree char *cpu = g_strndup(arch->triplet, strcspn(arch->triplet, "-"));
	const char *const flavours[] = { arch->debian, cpu };
	for (gsize i = 0; i < G_N_ELEMENTS(flavours); i++) {
		gboolean known;
		char *release = follow(apt, flavours[i], &known, error);
		if (!release || known)
			return release;
		g_free(release);
	}
	return km_fail_null(error, "the archive has no linux-image-%s; check apt's sources (%s)", arch->debian,
			    apt->trouble && *apt->trouble ? apt->trouble : "they were updated without complaint");
}

char *km_debian_release(KmApt *apt, const KmArch *arch, const char *name, GError **error)
{
	gboolean known = FALSE;
	struct utsname uts;
	if (name)
		return follow(apt, name, &known, error);
	if (!running_debian(arch, &uts))
		return current_release(apt, arch, error);
	g_autofree char *release = follow(apt, uts.release, &known, error);
	if (!release || known)
		return g_steal_pointer(&release);
	return current_release(apt, arch, error);
}

static char *list_versions(const GPtrArray *packages)
{
	GString *out = g_string_new(NULL);
	for (guint i = 0; i < packages->len; i++)
		g_string_append_printf(out, "%s%s", i ? ", " : "", ((KmAptPackage *)packages->pdata[i])->version);
	return g_string_free(out, FALSE);
}

static const KmAptPackage *find_version(const GPtrArray *packages, const char *version)
{
	for (guint i = 0; i < packages->len; i++) {
		const KmAptPackage *package = packages->pdata[i];
		if (!strcmp(package->version, version))
			return package;
	}
	return NULL;
}

/* The image of the release; when that release runs here, of the very version that runs. */
static gboolean plan_image(KmDebian *d, KmApt *apt, GError **error)
{
	struct utsname uts;
	gboolean runs = running_debian(d->arch, &uts) && !strcmp(uts.release, d->release);
	g_autofree char *wanted = runs ? km_debian_uname_version(uts.version) : NULL;
	g_autofree char *signed_image = image_name(d->release);
	g_autofree char *unsigned_image = g_strconcat(signed_image, "-unsigned", NULL);
	const char *const names[] = { signed_image, unsigned_image };
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autoptr(GPtrArray) found = km_apt_show(apt, names[i], error);
		if (!found)
			return FALSE;
		const KmAptPackage *image = !found->len ? NULL : wanted ? find_version(found, wanted) : found->pdata[0];
		if (!image)
			continue;
		d->image = g_strdup(names[i]);
		d->version = g_strdup(image->version);
		d->source_version = g_strdup(image->source_version);
		d->image_size = image->size;
		return TRUE;
	}
	return km_fail(
		error,
		"the archive has no %s%s%s for %s (nor its -unsigned one); `apt-cache -c %s pkgnames linux-image-` "
		"lists those it has%s%s",
		signed_image, wanted ? " " : "", wanted ? wanted : "", d->arch->debian, apt->conf,
		apt->trouble && *apt->trouble ? "; apt said: " : "", apt->trouble ? apt->trouble : "");
}

/* Take exactly that version of package, or say which ones there are. */
static KmAptPackage *take_exact(GPtrArray *found, const KmDebian *d, const char *package, const char *what,
				GError **error)
{
	const KmAptPackage *exact = find_version(found, d->source_version);
	if (exact)
		return (KmAptPackage *)exact;
	g_autofree char *versions = list_versions(found);
	return km_fail_null(error,
			    "kernel %s needs %s, package %s %s, which the archive does not offer (it has %s); choose a "
			    "release whose source is still there, or use `kmend kernel add` with your own copy",
			    d->release, what, package, d->source_version, *versions ? versions : "none");
}

/* "6.12.117-1~deb12u1" -> "linux-source-6.12". */
static char *source_package(const char *version)
{
	const char *dot = strchr(version, '.');
	gsize length = dot ? (gsize)(dot - version) + 1 + strspn(dot + 1, "0123456789") : strcspn(version, "-");
	return g_strdup_printf("linux-source-%.*s", (int)length, version);
}

static gboolean plan_source(KmDebian *d, KmApt *apt, GError **error)
{
	d->source = source_package(d->source_version);
	g_autoptr(GPtrArray) found = km_apt_show(apt, d->source, error);
	const KmAptPackage *source = found ? take_exact(found, d, d->source, "its exact source", error) : NULL;
	if (!source)
		return FALSE;
	d->source_size = source->size;
	return TRUE;
}

static gboolean is_at_least(const char *version, const char *least)
{
	const char *argv[] = { "dpkg", "--compare-versions", version, "ge", least, NULL };
	g_autoptr(KmRunResult) result = km_run(argv, NULL, NULL);
	return result && result->status == 0;
}

/* The tools that the headers depend on: of the same version, else the nearest newer one. */
static gboolean plan_kbuild(KmDebian *d, KmApt *host, const char *depends, GError **error)
{
	d->kbuild = km_apt_dependency(depends, "linux-kbuild-");
	if (!d->kbuild)
		return km_fail(error, "package %s names no linux-kbuild package: its layout is not known", d->headers);
	g_autoptr(GPtrArray) found = km_apt_show(host, d->kbuild, error);
	if (!found)
		return FALSE;
	const KmAptPackage *best = find_version(found, d->source_version);
	for (guint i = found->len; i-- > 0 && !best;) {
		const KmAptPackage *candidate = found->pdata[i];
		if (is_at_least(candidate->version, d->source_version))
			best = candidate;
	}
	if (!best)
		best = take_exact(found, d, d->kbuild, "its build tools", error);
	d->kbuild_version = best ? g_strdup(best->version) : NULL;
	return best != NULL;
}

KmDebian *km_debian_plan(KmApt *apt, KmApt *host, const KmArch *arch, const char *release, GError **error)
{
	g_autoptr(KmDebian) d = g_new0(KmDebian, 1);
	d->arch = arch;
	d->release = g_strdup(release);
	d->headers = g_strconcat("linux-headers-", release, NULL);
	if (!plan_image(d, apt, error) || !plan_source(d, apt, error))
		return NULL;
	g_autoptr(GPtrArray) found = km_apt_show(apt, d->headers, error);
	const KmAptPackage *headers = found ? take_exact(found, d, d->headers, "its headers", error) : NULL;
	if (!headers || !plan_kbuild(d, host, headers->depends, error))
		return NULL;
	return g_steal_pointer(&d);
}
