/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm/qemu.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/run.h"
#include "vm/guest.h"
#include "vm/log.h"

#define POLL_USEC 50000
#define STUCK_SECONDS 45 /* silence after a fatal message; longer than the kernel's own watchdogs need */
#define KVM_FIRST_LINE 6.0 /* seconds to the first console line under working KVM: well below one */
#define KVM_BOOTED 20.0 /* seconds to the panic for want of a root: one or two */

/* no_timer_check: at boot the kernel looks for a few ticks of the timer; it panics when a busy host is late with them. */
static const KmMachine machines[] = {
	{ "x86_64", "qemu-system-x86", "q35", "max,la57=off", "no_timer_check", "ttyS0", "/dev/ttyS1", NULL },
	/* Pointer authentication as it was specified costs three times the boot; any other function signs as well. */
	{ "arm64", "qemu-system-arm", "virt,gic-version=max", "max,pauth-impdef=on", "", "ttyAMA0", "/dev/ttyS0",
	  "pci-serial" },
	{ "ppc64le", "qemu-system-ppc", "pseries", "power9", "", "hvc0", "/dev/hvc1", "spapr-vty" },
};

const KmMachine *km_machine_find(const KmArch *arch, GError **error)
{
	for (gsize i = 0; i < G_N_ELEMENTS(machines); i++)
		if (!strcmp(machines[i].arch, arch->name))
			return &machines[i];
	return km_refuse_null(error, "cannot try live patches for %s in a VM yet", arch->name);
}

void km_vm_clear(KmVm *vm)
{
	g_clear_pointer(&vm->console, g_free);
	g_clear_pointer(&vm->said, g_free);
	g_clear_pointer(&vm->answers, g_ptr_array_unref);
}

static char *path_in(const KmVm *vm, const char *name)
{
	return g_build_filename(vm->dir, name, NULL);
}

/* Both serial ports write straight to files: what the guest sent is there, whatever becomes of QEMU. */
static void add_port(GStrvBuilder *argv, const KmVm *vm, const char *id, const char *device)
{
	g_autofree char *path = path_in(vm, id);
	g_autofree char *chardev = g_strdup_printf("file,id=%s,path=%s", id, path);
	g_autofree char *port =
		device ? g_strdup_printf("%s,chardev=%s", device, id) : g_strdup_printf("chardev:%s", id);
	g_strv_builder_add_many(argv, "-chardev", chardev, device ? "-device" : "-serial", port, NULL);
}

/*
 * panic=-1 with -no-reboot ends QEMU on a panic. The log buffer is large so that a noisy patch cannot push out its own
 * beginning. KASLR and mitigations stay as the distribution has them: they are part of what is tried.
 *
 * One thread emulates all CPUs: with a thread for each, QEMU 7.2 now and then runs stale code after the kernel has
 * patched it, which shows as an int3 oops that is no fault of the live patch.
 */
static char **make_argv(const KmVm *vm, const char *qemu)
{
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_autofree char *memory = g_strdup_printf("%u", vm->memory);
	g_autofree char *cpus = g_strdup_printf("%u", vm->cpus);
	g_autofree char *append =
		g_strdup_printf("console=%s panic=-1 log_buf_len=4M random.trust_cpu=on printk.devkmsg=on %s",
				vm->machine->console, vm->accelerated ? "" : vm->machine->append);
	g_strv_builder_add_many(argv, qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M",
				vm->machine->machine, "-smp", cpus, "-m", memory, "-kernel", vm->boot_image, "-append",
				append, NULL);
	g_strv_builder_add_many(argv, "-accel", vm->accelerated ? "kvm" : "tcg,thread=single", "-cpu",
				vm->accelerated ? "host" : vm->machine->cpu, NULL);
	if (vm->initrd)
		g_strv_builder_add_many(argv, "-initrd", vm->initrd, NULL);
	add_port(argv, vm, "console", NULL);
	add_port(argv, vm, "results", vm->machine->device);
	return g_strv_builder_end(argv);
}

static char *find_qemu(const KmVm *vm, GError **error)
{
	g_autofree char *name = g_strconcat("qemu-system-", vm->arch->qemu, NULL);
	char *path = g_find_program_in_path(name);
	if (!path)
		km_fail(error, "%s is missing: install the package %s", name, vm->machine->package);
	return path;
}

static goffset size_of(const char *path)
{
	struct stat st;
	return stat(path, &st) ? 0 : st.st_size;
}

static char *read_text(const KmVm *vm, const char *name)
{
	g_autofree char *path = path_in(vm, name);
	g_autofree char *text = NULL;
	gsize size = 0;
	if (!g_file_get_contents(path, &text, &size, NULL))
		return g_strdup("");
	return g_utf8_make_valid(text, (gssize)size);
}

static void read_answers(KmVm *vm)
{
	g_autofree char *path = path_in(vm, "results");
	g_autofree char *text = NULL;
	gsize size = 0;
	g_clear_pointer(&vm->answers, g_ptr_array_unref);
	if (g_file_get_contents(path, &text, &size, NULL))
		vm->answers = km_guest_parse(text, size, vm->nonce);
	else
		vm->answers = g_ptr_array_new_with_free_func((GDestroyNotify)km_answer_free);
}

/* Only what came since the live patch went in: a warning at boot must not end a probe that takes its time. */
static gboolean said_something_fatal(const KmVm *vm)
{
	g_autofree char *console = read_text(vm, "console");
	g_autofree char *mark = km_guest_mark(vm->nonce);
	if (!strstr(console, mark))
		return FALSE;
	g_autoptr(GPtrArray) lines = km_log_lines(console);
	g_autoptr(GPtrArray) problems = km_log_problems(lines, km_log_after(lines, mark), 1);
	return problems->len > 0;
}

static void show_progress(const KmVm *vm, KmProgress *progress, double seconds)
{
	guint n = vm->answers ? vm->answers->len : 0;
	const KmAnswer *last = n ? vm->answers->pdata[n - 1] : NULL;
	gboolean cycle = last && !strcmp(last->key, "cycle");
	km_progress_set(progress, "VM %.0f s: %s%s%s", seconds, last ? last->key : "booting", cycle ? " " : "",
			cycle ? last->text : "");
}

/* Look at what the guest wrote since the last time; TRUE when the run is over. */
static gboolean look(KmVm *vm, KmProcess *process, goffset *seen, double *changed, double now)
{
	g_autofree char *results = path_in(vm, "results");
	g_autofree char *console = path_in(vm, "console");
	gboolean running = km_process_running(process, &vm->status);
	goffset size = size_of(results);
	goffset total = size + size_of(console);
	if (size != seen[0] || !running) {
		seen[0] = size;
		read_answers(vm);
	}
	if (total != seen[1]) {
		seen[1] = total;
		*changed = now;
	}
	vm->end = KM_VM_DONE;
	if (vm->answers && km_guest_find(vm->answers, "end"))
		return TRUE;
	vm->end = KM_VM_EXITED;
	if (!running)
		return TRUE;
	vm->end = KM_VM_TIMEOUT;
	if (now > vm->timeout)
		return TRUE;
	vm->end = KM_VM_STUCK;
	if (now - *changed < STUCK_SECONDS)
		return FALSE;
	*changed = now;
	return said_something_fatal(vm);
}

static void watch(KmVm *vm, KmProcess *process, KmProgress *progress)
{
	goffset seen[2] = { -1, -1 };
	double changed = 0;
	gint64 start = g_get_monotonic_time();
	for (;;) {
		vm->seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
		if (look(vm, process, seen, &changed, vm->seconds))
			return;
		show_progress(vm, progress, vm->seconds);
		g_usleep(POLL_USEC);
	}
}

static KmProcess *start(KmVm *vm, GError **error)
{
	g_autofree char *qemu = find_qemu(vm, error);
	if (!qemu)
		return NULL;
	if (strchr(vm->dir, ','))
		return km_fail_null(
			error, "QEMU cannot write below %s: a comma in the path; set TMPDIR to another place", vm->dir);
	g_auto(GStrv) argv = make_argv(vm, qemu);
	g_autofree char *log = path_in(vm, "qemu.log");
	return km_process_start((const char *const *)argv, log, error);
}

gboolean km_vm_run(KmVm *vm, KmProgress *progress, GError **error)
{
	g_autoptr(KmProcess) process = start(vm, error);
	if (!process)
		return FALSE;
	watch(vm, process, progress);
	g_clear_pointer(&process, km_process_free);
	vm->console = read_text(vm, "console");
	vm->said = read_text(vm, "qemu.log");
	if (vm->end != KM_VM_EXITED || vm->status == 0 || *vm->console)
		return TRUE;
	g_strchomp(vm->said);
	return km_fail(error, "QEMU could not start (status %d): %s", vm->status,
		       *vm->said ? vm->said : "it said nothing");
}

/* Boots until the kernel panics for want of a root. A hang shows as no first line. */
static gboolean boots_under_kvm(KmVm *vm)
{
	g_autoptr(KmProcess) process = start(vm, NULL);
	gint64 begin = g_get_monotonic_time();
	while (process && km_process_running(process, NULL)) {
		double seconds = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
		g_autofree char *console = path_in(vm, "console");
		if (seconds > KVM_BOOTED || (seconds > KVM_FIRST_LINE && !size_of(console)))
			return FALSE;
		g_usleep(POLL_USEC);
	}
	g_autofree char *text = read_text(vm, "console");
	return strstr(text, "Linux version ") && strstr(text, "Kernel panic");
}

/* What the answer depends on: this boot of the machine, this QEMU, this kernel. */
static char *kvm_key(const KmKernel *kernel, const char *qemu)
{
	g_autofree char *boot_id = NULL;
	struct stat q = { 0 }, k = { 0 };
	if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot_id, NULL, NULL))
		return NULL;
	if (stat(qemu, &q) || stat(kernel->boot_image, &k))
		return NULL;
	return g_strdup_printf("%s %ld %ld %ld %ld", g_strchomp(boot_id), (long)q.st_mtime, (long)q.st_size,
			       (long)k.st_mtime, (long)k.st_size);
}

/* 1 yes, 0 no, -1 not known. */
static int recall(const char *path, const char *key)
{
	g_autofree char *text = NULL;
	if (!path || !g_file_get_contents(path, &text, NULL, NULL) || !g_str_has_prefix(text, key))
		return -1;
	return !strcmp(text + strlen(key), " yes\n");
}

gboolean km_vm_can_accelerate(const KmKernel *kernel, const KmMachine *machine, const char *dir, KmProgress *progress)
{
	if (kernel->arch != km_arch_host() || access("/dev/kvm", R_OK | W_OK))
		return FALSE;
	KmVm vm = { .machine = machine,
		    .arch = kernel->arch,
		    .boot_image = kernel->boot_image,
		    .dir = dir,
		    .memory = 256,
		    .cpus = 2,
		    .accelerated = TRUE };
	g_autofree char *qemu = find_qemu(&vm, NULL);
	g_autofree char *key = qemu ? kvm_key(kernel, qemu) : NULL;
	if (!key)
		return FALSE;
	g_autofree char *path = kernel->work ? g_build_filename(kernel->work, "kvm", NULL) : NULL;
	int known = recall(path, key);
	if (known >= 0)
		return known;
	km_progress_set(progress, "does KVM work here?");
	gboolean works = boots_under_kvm(&vm);
	g_autofree char *text = g_strdup_printf("%s %s\n", key, works ? "yes" : "no");
	if (path)
		km_write_file(path, text, strlen(text), NULL);
	return works;
}
