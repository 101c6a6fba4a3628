/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The debian provider: packages to a kernel in the cache. */
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "image/image.h"
#include "kernel/buildtree.h"
#include "kernel/busybox.h"
#include "kernel/cache.h"
#include "kernel/compiler.h"
#include "kernel/debian.h"
#include "kernel/kernel.h"
#include "kernel/record.h"
#include "kernel/unpack.h"

/* One fetch; the source is worked on by a thread of its own. */
typedef struct {
	const KmDebian *plan;
	KmApt *apt, *host;
	KmStage *stage;
	char *downloads; /* below the stage's directory */
	char *staged_source; /* where the source is unpacked first */
	char *source; /* source/VERSION */
	KmProgress *progress;
	GMutex umask_lock;
	gint stop;
	GError *source_error;
} Job;

static char *map_image(const char *path, const char *release)
{
	if (g_str_has_prefix(path, "boot/vmlinu"))
		return g_strdup("boot/vmlinuz");
	const char *modules = g_str_has_prefix(path, "usr/lib/modules/") ? path + 4 : path;
	g_autofree char *prefix = g_strdup_printf("lib/modules/%s/", release);
	return g_str_has_prefix(modules, prefix) ? g_strconcat("modules/", modules + strlen(prefix), NULL) : NULL;
}

/* Is path piece, or something below it? */
static gboolean is_below(const char *path, const char *piece)
{
	gsize length = strlen(piece);
	return !strncmp(path, piece, length) && (!path[length] || path[length] == '/');
}

static char *map_pieces(const char *path, const char *prefix, const char *const *pieces)
{
	if (!g_str_has_prefix(path, prefix))
		return NULL;
	for (path += strlen(prefix); *pieces; pieces++)
		if (is_below(path, *pieces))
			return g_strconcat("build/", path, NULL);
	return NULL;
}

static char *map_headers(const char *path, const char *release)
{
	const char *const pieces[] = { ".config", "Module.symvers", "include", "arch", NULL };
	g_autofree char *prefix = g_strdup_printf("usr/src/linux-headers-%s/", release);
	return map_pieces(path, prefix, pieces);
}

static char *map_kbuild(const char *path, const char *package)
{
	const char *const pieces[] = { "scripts", "tools", NULL };
	g_autofree char *prefix = g_strdup_printf("usr/lib/%s/", package);
	return map_pieces(path, prefix, pieces);
}

/* The tarball holds one directory. */
static char *map_source(const char *path, const char *unused)
{
	const char *slash = strchr(path, '/');
	return slash ? g_strdup(slash + 1) : NULL;
}

/* Download, unpack, drop the package. */
static gboolean install(Job *job, const KmApt *apt, const char *package, const char *version, const KmUnpack *how,
			GError **error)
{
	g_autofree char *deb = km_apt_download(apt, job->downloads, package, version, error);
	if (!deb)
		return FALSE;
	KmUnpack unpack = *how;
	unpack.deb = deb;
	unpack.umask_lock = &job->umask_lock;
	unpack.stop = &job->stop;
	gboolean done = km_unpack_deb(&unpack, error);
	unlink(deb);
	return done;
}

static gpointer fetch_source(gpointer data)
{
	Job *job = data;
	const KmDebian *plan = job->plan;
	const KmUnpack how = { .dest = job->staged_source, .map = map_source, .tarball = TRUE };
	if (install(job, job->apt, plan->source, plan->source_version, &how, &job->source_error))
		return NULL;
	g_atomic_int_set(&job->stop, 1);
	return NULL;
}

/* The bare image, which must be of the release that we were asked for. */
static gboolean unpack_image(const Job *job, GError **error)
{
	const KmDebian *plan = job->plan;
	g_autofree char *boot = g_build_filename(job->stage->dir, "boot", "vmlinuz", NULL);
	g_autofree char *bare = g_build_filename(job->stage->dir, "image", NULL);
	if (!g_file_test(boot, G_FILE_TEST_IS_REGULAR))
		return km_fail(error, "package %s %s holds no kernel image", plan->image, plan->version);
	if (!km_image_unpack(boot, bare, error))
		return FALSE;
	g_autoptr(KmImage) image = km_image_open(bare, error);
	if (!image)
		return FALSE;
	if (g_strcmp0(km_image_release(image), plan->release))
		return km_fail(error, "package %s %s holds kernel %s", plan->image, plan->version,
			       km_image_release(image) ? km_image_release(image) : "of no known release");
	return TRUE;
}

static gboolean fetch_rest(Job *job, GError **error)
{
	const KmDebian *plan = job->plan;
	const char *dir = job->stage->dir;
	const KmUnpack image = { .dest = dir, .map = map_image, .map_data = plan->release };
	const KmUnpack headers = { .dest = dir, .map = map_headers, .map_data = plan->release };
	const KmUnpack kbuild = { .dest = dir, .map = map_kbuild, .map_data = plan->kbuild };
	g_autofree char *build = g_build_filename(dir, "build", NULL);
	return install(job, job->apt, plan->headers, plan->source_version, &headers, error) &&
	       install(job, job->host, plan->kbuild, plan->kbuild_version, &kbuild, error) &&
	       km_buildtree_seal(build, plan->release, error) &&
	       install(job, job->apt, plan->image, plan->version, &image, error) && unpack_image(job, error);
}

static gboolean check_source(const Job *job, GError **error)
{
	g_autofree char *makefile = g_build_filename(job->staged_source, "Makefile", NULL);
	if (!g_file_test(makefile, G_FILE_TEST_IS_REGULAR))
		return km_fail(error, "package %s %s holds no kernel source", job->plan->source,
			       job->plan->source_version);
	return km_cache_publish(job->staged_source, job->source, error);
}

/* Source and image at the same time. The lock of the source is the caller's. */
static gboolean fetch_all(Job *job, GError **error)
{
	gboolean need_source = !g_file_test(job->source, G_FILE_TEST_IS_DIR);
	if (!km_make_dirs(job->downloads, error) || !km_make_dirs(job->staged_source, error))
		return FALSE;
	km_progress_set(job->progress, "fetching %s %s (%" G_GUINT64_FORMAT " MB)", job->plan->release,
			job->plan->version, (job->plan->image_size + (need_source ? job->plan->source_size : 0)) >> 20);
	GThread *thread = need_source ? g_thread_new("source", fetch_source, job) : NULL;
	g_autoptr(GError) local = NULL;
	gboolean done = fetch_rest(job, &local);
	if (!done)
		g_atomic_int_set(&job->stop, 1);
	else if (thread)
		km_progress_set(job->progress, "unpacking the source of %s", job->plan->source_version);
	if (thread)
		g_thread_join(thread);
	/* The one that failed first told the other to stop: its own error is the one to tell. */
	if (job->source_error && !g_error_matches(job->source_error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
		g_propagate_error(error, g_steal_pointer(&job->source_error));
		return FALSE;
	}
	if (!done)
		g_propagate_error(error, g_steal_pointer(&local));
	return done && (!need_source || check_source(job, error));
}

static json_t *make_record(const Job *job)
{
	const KmDebian *plan = job->plan;
	g_autofree char *source = g_build_filename("..", "..", "source", plan->source_version, NULL);
	g_autofree char *modules = g_build_filename(job->stage->dir, "modules", NULL);
	json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "release", plan->release, "version",
				   plan->source_version, "provider", "debian", "arch", plan->arch->name, "source",
				   source, "build", "build", "image", "image", "boot_image", "boot/vmlinuz");
	if (g_file_test(modules, G_FILE_TEST_IS_DIR))
		json_object_set_new(record, "modules", json_string("modules"));
	json_object_set_new(record, "symvers", json_string("build/Module.symvers"));
	return record;
}

static void job_clear(Job *job)
{
	g_clear_error(&job->source_error);
	g_mutex_clear(&job->umask_lock);
	g_free(job->downloads);
	g_free(job->staged_source);
	g_free(job->source);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Job, job_clear)

static KmKernel *fetch_plan(const char *cache, const KmDebian *plan, KmApt *apt, KmApt *host, KmProgress *progress,
			    GError **error)
{
	g_autoptr(KmStage) stage = km_stage_new(cache, plan->release, progress, error);
	if (!stage)
		return NULL;
	/* Another run may have made it while we waited. */
	if (g_file_test(stage->final, G_FILE_TEST_IS_DIR))
		return km_kernel_load(cache, plan->release, error);
	g_autoptr(KmLock) lock = km_cache_lock(cache, "source", plan->source_version, progress, error);
	if (!lock)
		return NULL;
	g_auto(Job) job = { .plan = plan, .apt = apt, .host = host, .stage = stage, .progress = progress };
	g_mutex_init(&job.umask_lock);
	job.downloads = g_build_filename(stage->temp->path, "download", NULL);
	job.staged_source = g_build_filename(stage->temp->path, "source", NULL);
	job.source = g_build_filename(cache, "source", plan->source_version, NULL);
	if (!fetch_all(&job, error))
		return NULL;
	return km_stage_commit(stage, make_record(&job), error);
}

static const KmArch *choose_arch(const char *release, const char *name, GError **error)
{
	const KmArch *arch = name ? km_arch_by_name(name) : release ? km_debian_flavour(release) : NULL;
	if (name && !arch)
		return km_fail_null(error, "architecture '%s' is not known (x86_64, arm64, ppc64le, s390x, riscv64)",
				    name);
	if (!arch)
		arch = km_arch_host();
	return arch ? arch : km_fail_null(error, "this machine's architecture is none of ours; name one with --arch");
}

static KmKernel *fetch_arch(const char *cache, const char *name, const KmArch *arch, KmProgress *progress,
			    GError **error)
{
	const KmArch *here = km_arch_host();
	g_autoptr(KmApt) apt = km_apt_new(cache, arch->debian, progress, error);
	g_autofree char *release = apt ? km_debian_release(apt, arch, name, error) : NULL;
	if (!release || !km_cache_check_name(release, error))
		return NULL;
	g_autofree char *dir = km_cache_kernel_dir(cache, release);
	if (g_file_test(dir, G_FILE_TEST_IS_DIR))
		return km_kernel_load(cache, release, error);
	gboolean foreign = here && here != arch;
	g_autoptr(KmApt) host = foreign ? km_apt_new(cache, here->debian, progress, error) : NULL;
	if (foreign && !host)
		return NULL;
	g_autoptr(KmDebian) plan = km_debian_plan(apt, foreign ? host : apt, arch, release, error);
	g_autoptr(KmKernel) kernel = plan ? fetch_plan(cache, plan, apt, foreign ? host : apt, progress, error) : NULL;
	if (kernel && foreign) {
		/* Only `kmend try` needs it: it will look again, and say what is wrong. */
		g_autofree char *busybox = km_busybox(arch, progress, NULL);
	}
	return g_steal_pointer(&kernel);
}

static KmKernel *load_or_fetch(const char *cache, const char *release, const char *arch_name, KmProgress *progress,
			       GError **error)
{
	const KmArch *arch = choose_arch(release, arch_name, error);
	if (!arch)
		return NULL;
	g_autofree char *dir = release ? km_cache_kernel_dir(cache, release) : NULL;
	if (dir && g_file_test(dir, G_FILE_TEST_IS_DIR))
		return km_kernel_load(cache, release, error);
	return fetch_arch(cache, release, arch, progress, error);
}

KmKernel *km_kernel_fetch(const char *release, const char *arch_name, KmProgress *progress, GError **error)
{
	g_autofree char *cache = km_kernel_cache_dir(error);
	if (!cache || (release && !km_cache_check_name(release, error)))
		return NULL;
	KmKernel *kernel = load_or_fetch(cache, release, arch_name, progress, error);
	if (kernel)
		km_compiler_provide(kernel, progress);
	return kernel;
}
