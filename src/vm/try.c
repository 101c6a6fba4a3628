/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmend try: gather what the guest needs, run it, judge it. */
#include "vm/vm.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kernel/busybox.h"
#include "vm/guest.h"
#include "vm/initramfs.h"
#include "vm/modules.h"
#include "vm/qemu.h"
#include "vm/verdict.h"

#define DEFAULT_MEMORY 512 /* MiB */
#define OUTPUT_LIMIT (1 << 20) /* bytes of one probe's output */

typedef struct {
	KmKernel *kernel;
	const KmTry *options;
	const KmMachine *machine;
	KmTempDir *dir;
	GPtrArray *patches; /* of KmVmModule, in the order of loading */
	GPtrArray *first; /* of KmVmModule: stock, loaded before */
	GPtrArray *later; /* of KmVmModule: stock, loaded after */
	GPtrArray *targets; /* of KmVmModule: stock, loaded before the one live patch that patches them */
	GHashTable *target_names; /* live patch's name -> text: those it needs, in the order of loading, one a line */
	char *nonce;
	guint timeout;
	gboolean accelerated;
	KmProgress *progress;
} Job;

static void job_clear(Job *job)
{
	g_clear_pointer(&job->dir, km_tempdir_free);
	g_clear_pointer(&job->patches, g_ptr_array_unref);
	g_clear_pointer(&job->first, g_ptr_array_unref);
	g_clear_pointer(&job->later, g_ptr_array_unref);
	g_clear_pointer(&job->targets, g_ptr_array_unref);
	g_clear_pointer(&job->target_names, g_hash_table_unref);
	g_clear_pointer(&job->nonce, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Job, job_clear)

static GPtrArray *new_modules(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)km_vm_module_free);
}

static gboolean has_module(const GPtrArray *modules, const char *name)
{
	for (guint i = 0; i < modules->len; i++)
		if (!strcmp(((KmVmModule *)modules->pdata[i])->name, name))
			return TRUE;
	return FALSE;
}

char *km_try_release(const char *module, GError **error)
{
	g_autoptr(KmVmModule) read = km_vm_module_read(module, error);
	gsize length = read ? strcspn(read->vermagic, " ") : 0;
	if (length)
		return g_strndup(read->vermagic, length);
	return read ? km_fail_null(error, "%s does not say for which kernel it was built: it has no vermagic", module)
		    : NULL;
}

static gboolean is_runtime(const char *module)
{
	g_autofree char *name = g_path_get_basename(module);
	return g_str_has_prefix(name, KM_VM_RUNTIME) &&
	       (!name[strlen(KM_VM_RUNTIME)] || name[strlen(KM_VM_RUNTIME)] == '.');
}

gboolean km_try_lacks_runtime(const char *const *modules, const char *const *load, gboolean *lacks, GError **error)
{
	*lacks = FALSE;
	for (; load && *load; load++)
		if (is_runtime(*load))
			return TRUE;
	for (; *modules && !*lacks; modules++) {
		g_autoptr(KmVmModule) module = km_vm_module_read(*modules, error);
		if (!module)
			return FALSE;
		*lacks = g_strv_contains((const char *const *)module->depends, KM_VM_RUNTIME);
	}
	return TRUE;
}

/* Better said before booting than by insmod's "invalid module format" after. */
static gboolean check_patch(const Job *job, const KmVmModule *patch, GError **error)
{
	gsize length = strlen(job->kernel->release);
	if (!km_vm_module_is_livepatch(patch))
		return km_refuse(error,
				 "%s is not a live patch: its .modinfo has neither livepatch=Y nor depends on %s",
				 patch->path, KM_VM_RUNTIME);
	if (strncmp(patch->vermagic, job->kernel->release, length) ||
	    (patch->vermagic[length] && patch->vermagic[length] != ' '))
		return km_refuse(error,
				 "%s was built for kernel '%.80s', not for %s: build it for this kernel, "
				 "or choose the kernel with -k",
				 patch->path, *patch->vermagic ? patch->vermagic : "(no vermagic)",
				 job->kernel->release);
	if (has_module(job->patches, patch->name))
		return km_fail(error, "two live patches are called %s: a kernel takes only one of a name", patch->name);
	return TRUE;
}

static gboolean read_patches(Job *job, GError **error)
{
	job->patches = new_modules();
	for (const char *const *m = job->options->modules; *m; m++) {
		g_autoptr(KmVmModule) patch = km_vm_module_read(*m, error);
		if (!patch || !check_patch(job, patch, error))
			return FALSE;
		g_ptr_array_add(job->patches, g_steal_pointer(&patch));
	}
	return job->patches->len || km_fail(error, "no live patch given");
}

/* Their names, files among them known to index from here on; NULL-ended, owned. */
static char **take_all(KmVmIndex *index, const char *const *modules, GError **error)
{
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();
	for (const char *const *m = modules; m && *m; m++) {
		g_autofree char *name = km_vm_index_take(index, *m, error);
		if (!name)
			return NULL;
		g_strv_builder_add(names, name);
	}
	return g_strv_builder_end(names);
}

static gboolean resolve_all(const KmVmIndex *index, char **names, GPtrArray *order, GError **error)
{
	for (char **n = names; *n; n++)
		if (!km_vm_index_resolve(index, *n, order, error))
			return FALSE;
	return TRUE;
}

/* Take out of later what is loaded first anyway. */
static void drop_loaded(Job *job)
{
	for (guint i = job->later->len; i > 0; i--) {
		const KmVmModule *module = job->later->pdata[i - 1];
		if (has_module(job->first, module->name))
			g_ptr_array_remove_index(job->later, i - 1);
	}
}

/* The modules that a live patch patches, and what they need. */
static gboolean gather_targets(Job *job, const KmVmIndex *index, const KmVmModule *patch, GError **error)
{
	g_autoptr(GPtrArray) order = new_modules();
	g_autoptr(GString) names = g_string_new(NULL);
	if (!resolve_all(index, patch->targets, order, error)) {
		g_prefix_error(error, "%s: ", patch->path);
		return FALSE;
	}
	while (order->len) {
		KmVmModule *module = g_ptr_array_steal_index(order, 0);
		g_string_append_printf(names, "%s\n", module->name);
		if (has_module(job->first, module->name) || has_module(job->targets, module->name))
			km_vm_module_free(module);
		else
			g_ptr_array_add(job->targets, module);
	}
	g_hash_table_insert(job->target_names, patch->name, g_string_free(g_steal_pointer(&names), FALSE));
	return TRUE;
}

static gboolean gather_all_targets(Job *job, const KmVmIndex *index, GError **error)
{
	job->targets = new_modules();
	job->target_names = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
	for (guint i = 0; job->options->each && i < job->patches->len; i++)
		if (!gather_targets(job, index, job->patches->pdata[i], error))
			return FALSE;
	return TRUE;
}

static gboolean gather_modules(Job *job, GError **error)
{
	g_autoptr(KmVmIndex) index = km_vm_index_new(job->kernel->modules, error);
	if (!index || !read_patches(job, error))
		return FALSE;
	g_auto(GStrv) load = take_all(index, job->options->load, error);
	g_auto(GStrv) load_later = load ? take_all(index, job->options->load_later, error) : NULL;
	if (!load_later)
		return FALSE;
	job->first = new_modules();
	job->later = new_modules();
	for (guint i = 0; i < job->patches->len; i++) {
		const KmVmModule *patch = job->patches->pdata[i];
		for (char **d = patch->depends; *d; d++)
			if (**d && !has_module(job->patches, *d) &&
			    !km_vm_index_resolve(index, *d, job->first, error)) {
				g_prefix_error(error, "%s: ", patch->path);
				return FALSE;
			}
	}
	if (!resolve_all(index, load, job->first, error) || !resolve_all(index, load_later, job->later, error))
		return FALSE;
	drop_loaded(job);
	return gather_all_targets(job, index, error);
}

/* The modules' files below dir, and a list of their names in the order of loading. */
static gboolean add_modules(KmInitramfs *ramfs, const GPtrArray *modules, const char *dir, const char *list,
			    GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);
	for (guint i = 0; i < modules->len; i++) {
		const KmVmModule *module = modules->pdata[i];
		gsize size;
		const void *data = g_bytes_get_data(module->data, &size);
		g_autofree char *path = g_strdup_printf("kmend/%s/%s.ko", dir, module->name);
		if (!km_initramfs_add(ramfs, path, 0644, data, size, error))
			return FALSE;
		g_string_append_printf(names, "%s\n", module->name);
	}
	g_autofree char *path = g_strconcat("kmend/", list, NULL);
	return km_initramfs_add_text(ramfs, path, 0644, names->str, error);
}

static gboolean add_targets(const Job *job, KmInitramfs *ramfs, GError **error)
{
	GHashTableIter iter;
	gpointer name, text;
	g_hash_table_iter_init(&iter, job->target_names);
	while (g_hash_table_iter_next(&iter, &name, &text)) {
		g_autofree char *path = g_strconcat("kmend/target/", name, NULL);
		if (!km_initramfs_add_text(ramfs, path, 0644, text, error))
			return FALSE;
	}
	return add_modules(ramfs, job->targets, "stock", "targets", error);
}

static gboolean add_unpatches(const Job *job, KmInitramfs *ramfs, GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);
	for (guint i = job->patches->len; i > 0; i--)
		g_string_append_printf(names, "%s\n", ((KmVmModule *)job->patches->pdata[i - 1])->name);
	return km_initramfs_add_text(ramfs, "kmend/unpatches", 0644, names->str, error);
}

static gboolean add_probes(const Job *job, KmInitramfs *ramfs, GError **error)
{
	if (!km_initramfs_add_dir(ramfs, "kmend/probe", error))
		return FALSE;
	for (guint i = 0; job->options->probes && job->options->probes[i]; i++) {
		g_autofree char *path = km_probe_key("kmend/probe", i);
		if (!km_initramfs_add_text(ramfs, path, 0644, job->options->probes[i], error))
			return FALSE;
	}
	return TRUE;
}

/* Bounds inside the guest lie within the deadline outside, so that the guest can still tell what it waited for. */
static gboolean add_config(const Job *job, KmInitramfs *ramfs, GError **error)
{
	g_autofree char *text = g_strdup_printf(
		"NONCE=%s\nRESULTS=%s\nSTALL=%u\nPROBE_LIMIT=%u\nOUTPUT_LIMIT=%u\nSTRESS=%u\nEACH=%d\n", job->nonce,
		job->machine->results, CLAMP(job->timeout / 5, 5, 60), CLAMP(job->timeout / 5, 5, 60),
		(guint)OUTPUT_LIMIT, job->options->stress, job->options->each);
	return km_initramfs_add_text(ramfs, "kmend/config", 0644, text, error);
}

static gboolean add_busybox(const Job *job, KmInitramfs *ramfs, GError **error)
{
	g_autofree char *path = km_busybox(job->kernel->arch, job->progress, error);
	if (!path || !km_initramfs_add_file(ramfs, "bin/busybox", path, error)) {
		if (path)
			g_prefix_error(error, "the VM needs the package busybox-static: ");
		return FALSE;
	}
	return km_initramfs_add_link(ramfs, "bin/sh", "busybox", error);
}

static gboolean add_files(const Job *job, KmInitramfs *ramfs, GError **error)
{
	for (const char *const *f = job->options->files; f && *f; f++) {
		g_autofree char *base = g_path_get_basename(*f);
		if (!km_initramfs_add_file(ramfs, base, *f, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean make_initramfs(const Job *job, const char *out, GError **error)
{
	g_autoptr(KmInitramfs) ramfs = km_initramfs_new();
	g_autoptr(GBytes) init = km_guest_init(error);
	return init && km_initramfs_add_console(ramfs, error) && add_busybox(job, ramfs, error) &&
	       km_initramfs_add(ramfs, "init", 0755, g_bytes_get_data(init, NULL), g_bytes_get_size(init), error) &&
	       add_config(job, ramfs, error) && add_probes(job, ramfs, error) &&
	       add_modules(ramfs, job->patches, "patch", "patches", error) && add_unpatches(job, ramfs, error) &&
	       add_modules(ramfs, job->first, "stock", "first", error) &&
	       add_modules(ramfs, job->later, "stock", "later", error) && add_targets(job, ramfs, error) &&
	       add_files(job, ramfs, error) && km_initramfs_write(ramfs, out, error);
}

/* Under emulation a boot takes some ten seconds, a cycle a few: the kernel looks at a transition once a second. */
static guint default_timeout(const Job *job)
{
	guint boot = job->accelerated ? 120 : 300;
	guint cycle = job->accelerated ? 4 : 10;
	guint cycles = MIN(job->options->stress, 1000000u) + (job->options->each ? job->patches->len : 0);
	return boot + cycles * cycle;
}

/* Keep the serial log where the user asked, else beside the module, else (unwritable) in the current directory. */
static char *keep_log(const Job *job, const KmVm *vm)
{
	const KmVmModule *last = job->patches->pdata[job->patches->len - 1];
	g_autofree char *base = g_strconcat(last->name, ".log", NULL);
	g_autofree char *dir = g_path_get_dirname(last->path);
	g_autofree char *beside = g_build_filename(dir, base, NULL);
	const char *places[] = { job->options->log_path ? job->options->log_path : beside, base };
	for (gsize i = 0; i < G_N_ELEMENTS(places); i++)
		if (km_write_file(places[i], vm->console, strlen(vm->console), NULL))
			return g_strdup(places[i]);
	return NULL;
}

static KmVerdict *run(Job *job, const char *initrd, KmProgress *progress, GError **error)
{
	g_auto(KmVm) vm = {
		.machine = job->machine,
		.arch = job->kernel->arch,
		.boot_image = job->kernel->boot_image,
		.initrd = initrd,
		.dir = job->dir->path,
		.nonce = job->nonce,
		.memory = job->options->memory ? job->options->memory : DEFAULT_MEMORY,
		/* Two busy CPUs emulated by one thread wait for each other's interrupts: minutes for a transition. */
		.cpus = !job->accelerated && job->options->stress ? 1 : 2,
		.timeout = job->timeout,
		.accelerated = job->accelerated,
	};
	if (!km_vm_run(&vm, progress, error))
		return NULL;
	KmVerdict *verdict =
		job->options->each ? km_verdict_each(&vm, job->patches) : km_verdict_new(&vm, job->options->probes);
	if (!verdict->pass)
		verdict->log_path = keep_log(job, &vm);
	return verdict;
}

KmVerdict *km_try(KmKernel *kernel, const KmTry *options, KmProgress *progress, GError **error)
{
	g_auto(Job) job = { .kernel = kernel, .options = options, .progress = progress };
	job.machine = km_machine_find(kernel->arch, error);
	if (!job.machine || !gather_modules(&job, error))
		return NULL;
	km_tempdir_sweep(NULL, "kmend-try");
	job.dir = km_tempdir_new(NULL, "kmend-try", error);
	if (!job.dir)
		return NULL;
	g_autofree char *initrd = g_build_filename(job.dir->path, "initramfs", NULL);
	job.nonce = g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
	job.accelerated = km_vm_can_accelerate(kernel, job.machine, job.dir->path, progress);
	job.timeout = options->timeout ? options->timeout : default_timeout(&job);
	if (!make_initramfs(&job, initrd, error))
		return NULL;
	return run(&job, initrd, progress, error);
}
