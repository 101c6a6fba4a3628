/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel in QEMU: an initramfs made on the fly, a live patch tried in it, and a verdict from effects and kernel log. */
#pragma once

#include <jansson.h>

#include "base/progress.h"
#include "kernel/kernel.h"

typedef struct {
	const char *const *modules;	/* live patches, loaded in this order; the last one's effect is judged. NULL-ended */
	const char *const *probes;	/* shell commands run before, after, and after removal; NULL-ended, may be NULL */
	const char *const *load;	/* modules (stock ones by name, others by file) loaded first, with dependencies; NULL-ended, may be NULL */
	const char *const *load_later;	/* the same, loaded after the live patch */
	const char *const *files;	/* host files put into / of the VM under their base name (programs for probes) */
	gboolean each;			/* load and remove each live patch by itself, one after the other; no probes */
	guint stress;			/* load/remove cycles under load; 0: none */
	guint timeout;			/* seconds for the whole VM; 0: default, generous under emulation */
	guint memory;			/* MiB; 0: default */
	const char *log_path;		/* where the serial log is kept on failure; NULL: beside the module */
} KmTry;

typedef struct {
	char *command, *before, *after, *removed;	/* outputs, exit status appended as a line "[exit N]" when not 0 */
} KmProbe;

typedef enum { KM_EACH_PASS, KM_EACH_FAIL, KM_EACH_UNREACHED } KmEachResult;

/* One live patch of several that are tried by themselves in one VM. */
typedef struct {
	char *module;
	KmEachResult result;
	char *why;		/* of a failure; NULL else */
	GPtrArray *absent;	/* of char*: modules it patches that did not load in the VM, with insmod's words */
} KmEach;

typedef struct {
	gboolean pass;
	char *why;		/* NULL when passed */
	GPtrArray *probes;	/* of KmProbe */
	GPtrArray *each;	/* of KmEach, in the order of loading; NULL when they were tried together */
	GPtrArray *problems;	/* of char*: lines of the kernel log that fail the verdict */
	GPtrArray *log;		/* of char*: the kernel log */
	char *log_path;		/* kept serial log, or NULL */
	gboolean accelerated;	/* KVM really worked */
	double seconds;
} KmVerdict;

/* Is there a live patch for kmend's own runtime among the modules, and no file of that runtime in load? */
gboolean km_try_lacks_runtime(const char *const *modules, const char *const *load, gboolean *lacks, GError **error);

/* The release of the kernel that a live patch was built for, from its vermagic. Caller owns. */
char *km_try_release(const char *module, GError **error);

/* An error only when the VM could not be run at all; a failing live patch is a verdict. */
KmVerdict *km_try(KmKernel *kernel, const KmTry *options, KmProgress *progress, GError **error);
void km_verdict_free(KmVerdict *verdict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KmVerdict, km_verdict_free)
json_t *km_verdict_to_json(const KmVerdict *verdict);
