/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image of the kernel as ground: bytes are linked, names are those of kallsyms. */
#include "match/ground.h"

#include <string.h>

#include "base/error.h"

/* Bytes of the code that sets up a TOC pointer, and the most that lies between a function's two entries (ELFv2: st_other). */
#define TOC_SETUP 8
#define MAX_LOCAL_ENTRY 64

typedef struct {
	KmGround ground;
	const KmImage *image;
	guint64 init_start, init_end;
	guint64 percpu_start, percpu_end;
	char *compiler;
	gboolean has_toc;
	guint64 toc;
} ImageGround;

static KmName name_of(const KmKsym *symbols, guint index)
{
	const KmKsym *s = &symbols[index];
	return (KmName){ .name = s->name,
			 .address = s->address,
			 .index = index,
			 .global = g_ascii_isupper(s->type),
			 .weak = strchr("wWvV", s->type) != NULL };
}

static void image_free(KmGround *ground)
{
	ImageGround *g = (ImageGround *)ground;
	g_free(g->compiler);
	g_free((char *)ground->what);
	g_free(g);
}

static const guint8 *image_bytes(KmGround *ground, guint64 address, gsize size)
{
	return km_image_bytes(((ImageGround *)ground)->image, address, size);
}

static void append_all(const KmImage *image, const GArray *indices, GArray *names)
{
	gsize n;
	const KmKsym *symbols = km_image_symbols(image, &n);
	for (guint i = 0; indices && i < indices->len; i++) {
		guint32 index = g_array_index(indices, guint32, i);
		KmName name = name_of(symbols, index);
		g_array_append_val(names, name);
	}
}

static void image_named(KmGround *ground, const char *name, GArray *names)
{
	const KmImage *image = ((ImageGround *)ground)->image;
	append_all(image, km_image_lookup(image, name), names);
}

static void image_names_at(KmGround *ground, guint64 address, GArray *names)
{
	const KmImage *image = ((ImageGround *)ground)->image;
	append_all(image, km_image_symbols_at(image, address), names);
}

static gboolean image_name_below(KmGround *ground, guint64 address, KmName *name)
{
	const KmImage *image = ((ImageGround *)ground)->image;
	const KmKsym *nearest = km_image_nearest(image, address);
	if (!nearest)
		return FALSE;
	gsize n;
	const KmKsym *symbols = km_image_symbols(image, &n);
	*name = name_of(symbols, nearest - symbols);
	return TRUE;
}

/*
 * A branch goes to a function's local entry, behind its set-up of the TOC pointer, or to a stub that branches on. What was called is what has a name there; FALSE:
 * nothing has.
 */
static gboolean function_of(const ImageGround *g, const KmArch *arch, guint64 *address)
{
	guint64 toc;
	if (km_image_symbols_at(g->image, *address))
		return TRUE;
	const guint8 *before = km_image_bytes(g->image, *address - TOC_SETUP, TOC_SETUP);
	const KmKsym *nearest = km_image_nearest(g->image, *address);
	if (!before || !nearest || *address - nearest->address > MAX_LOCAL_ENTRY ||
	    !arch->toc_setup(before, TOC_SETUP, *address - TOC_SETUP, &toc))
		return FALSE;
	*address = nearest->address;
	return TRUE;
}

/* All functions that set up a TOC pointer set up the same; the first that does tells. */
static void find_toc(ImageGround *g)
{
	const KmArch *arch = km_image_arch(g->image);
	gsize n;
	const KmKsym *symbols = km_image_symbols(g->image, &n);
	for (gsize i = 0; arch->toc_setup && i < n && !g->has_toc; i++) {
		const guint8 *code =
			strchr("tT", symbols[i].type) ? km_image_bytes(g->image, symbols[i].address, TOC_SETUP) : NULL;
		g->has_toc = code && arch->toc_setup(code, TOC_SETUP, symbols[i].address, &g->toc);
	}
}

static gboolean image_symbol_value(KmGround *ground, const KmSection *section, gsize index, guint64 place,
				   guint64 *value)
{
	ImageGround *g = (ImageGround *)ground;
	const KmArch *arch = km_image_arch(g->image);
	const KmReloc *reloc = &g_array_index(section->relocs, KmReloc, index);
	const KmRelocInfo *info = km_arch_reloc(arch, reloc->type);
	if (reloc->type == arch->abs64 && km_image_pointer(g->image, place, value)) {
		*value -= (guint64)reloc->addend;
		return TRUE;
	}
	const guint8 *field = info && info->size ? km_image_bytes(g->image, place, info->size) : NULL;
	if (!field || !arch->symbol_value(reloc->type, field, place, reloc->addend, value))
		return FALSE;
	return info->kind != KM_RELOC_CALL || !arch->toc_setup || function_of(g, arch, value);
}

static gboolean image_toc(KmGround *ground, guint64 *toc)
{
	const ImageGround *g = (ImageGround *)ground;
	*toc = g->toc;
	return g->has_toc;
}

static gboolean image_pointer(KmGround *ground, guint64 address, guint64 *value)
{
	return km_image_pointer(((ImageGround *)ground)->image, address, value);
}

static gboolean image_is_init(KmGround *ground, guint64 address)
{
	ImageGround *g = (ImageGround *)ground;
	/* What each CPU has a copy of may have its first in there: an address of it only tells where in the copies. */
	gboolean per_cpu = address >= g->percpu_start && address < g->percpu_end;
	return address >= g->init_start && address < g->init_end && !per_cpu;
}

static gboolean image_is_patchable(KmGround *ground, guint64 address, guint64 size)
{
	return km_image_has_entry(((ImageGround *)ground)->image, address, address + size) == 1;
}

static gboolean image_is_ambiguous(KmGround *ground, guint64 address, guint64 size)
{
	return km_image_entry_is_ambiguous(((ImageGround *)ground)->image, address, size);
}

static gboolean image_identify(KmGround *ground, const KmName *name, KmPlace *place, GError **error)
{
	const GArray *same = km_image_lookup(((ImageGround *)ground)->image, name->name);
	for (guint i = 0; same && i < same->len; i++) {
		if (g_array_index(same, guint32, i) != name->index)
			continue;
		place->object = g_strdup("vmlinux");
		place->name = g_strdup(name->name);
		place->sympos = i + 1;
		place->unique = same->len == 1;
		place->address = name->address;
		return TRUE;
	}
	return km_refuse(error, "%s: kallsyms of %s does not count it among the symbols of its name", name->name,
			 ground->what);
}

/* The banner reads "Linux version R (who@where) (COMPILER, LINKER) #1 ...". */
static char *banner_compiler(const char *banner)
{
	const char *start = banner ? strstr(banner, ") (") : NULL;
	if (!start)
		return NULL;
	start += 3;
	const char *end = strstr(start, ", ");
	return end ? g_strndup(start, end - start) : NULL;
}

static const char *image_compiler(KmGround *ground)
{
	return ((ImageGround *)ground)->compiler;
}

static guint64 address_of(const KmImage *image, const char *name)
{
	gsize n;
	const KmKsym *symbols = km_image_symbols(image, &n);
	const GArray *found = km_image_lookup(image, name);
	return found && found->len ? symbols[g_array_index(found, guint32, 0)].address : 0;
}

static const KmGroundOps image_ops = {
	.free = image_free,
	.bytes = image_bytes,
	.named = image_named,
	.names_at = image_names_at,
	.name_below = image_name_below,
	.symbol_value = image_symbol_value,
	.toc = image_toc,
	.pointer = image_pointer,
	.is_init = image_is_init,
	.is_patchable = image_is_patchable,
	.is_ambiguous = image_is_ambiguous,
	.identify = image_identify,
	.compiler = image_compiler,
};

KmGround *km_ground_image(const KmImage *image)
{
	ImageGround *g = g_new0(ImageGround, 1);
	g->ground.ops = &image_ops;
	g->ground.owner = "vmlinux";
	g->ground.what = g_strdup_printf("the image %s", km_image_path(image));
	g->image = image;
	g->init_start = address_of(image, "__init_begin");
	g->init_end = address_of(image, "__init_end");
	if (!km_image_table(image, NULL, "__per_cpu_start", "__per_cpu_end", &g->percpu_start, &g->percpu_end))
		g->percpu_start = g->percpu_end = 0;
	g->compiler = banner_compiler(km_image_banner(image));
	find_toc(g);
	return &g->ground;
}

void km_ground_free(KmGround *ground)
{
	if (ground)
		ground->ops->free(ground);
}
