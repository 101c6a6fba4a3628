/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/image.h"

#include <gelf.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "image/flat.h"
#include "image/internal.h"
#include "image/unpack.h"

guint32 km_image_get_u32(const KmImage *image, const guint8 *p)
{
	guint32 v;
	memcpy(&v, p, sizeof(v));
	return image->big_endian ? GUINT32_FROM_BE(v) : GUINT32_FROM_LE(v);
}

guint64 km_image_get_u64(const KmImage *image, const guint8 *p)
{
	guint64 v;
	memcpy(&v, p, sizeof(v));
	return image->big_endian ? GUINT64_FROM_BE(v) : GUINT64_FROM_LE(v);
}

/* --- reading an ELF image --- */

static gboolean add_range(KmImage *image, const char *name, guint64 address, guint64 offset, guint64 size,
			  gboolean text, GError **error)
{
	if (offset > image->size || size > image->size - offset)
		return km_fail(error,
			       "%s is truncated: section %s ends at byte %" G_GUINT64_FORMAT
			       ", the file has %" G_GSIZE_FORMAT "; get it again",
			       image->path, *name ? name : "(segment)", offset + size, image->size);
	if (size > G_MAXUINT64 - address)
		return km_fail(error, "%s: section %s leaves the address space; the file is damaged", image->path,
			       name);
	KmRange range = { address, offset, size, text, "" };
	if (*name) {
		range.name = g_strdup(name);
		g_ptr_array_add(image->strings, (gpointer)range.name);
	}
	g_array_append_val(image->ranges, range);
	return TRUE;
}

static int compare_values(guint64 a, guint64 b)
{
	return a < b ? -1 : a > b;
}

static int compare_pointers(gconstpointer a, gconstpointer b)
{
	return compare_values(((const KmPointer *)a)->place, ((const KmPointer *)b)->place);
}

void km_image_sort_pointers(KmImage *image)
{
	const KmPointer *all = (const KmPointer *)(void *)image->pointers->data;
	guint n = image->pointers->len;
	/* Linkers sort them, mostly. */
	for (guint i = 1; i < n; i++) {
		if (all[i - 1].place <= all[i].place)
			continue;
		g_array_sort(image->pointers, compare_pointers);
		return;
	}
}

static int compare_ranges(gconstpointer a, gconstpointer b)
{
	const KmRange *x = a, *y = b;
	int by_address = compare_values(x->address, y->address);
	return by_address ? by_address : compare_values(x->offset, y->offset);
}

/* Relative relocations (no symbol): what the kernel writes over its own pointers at boot. */
static void add_relas(KmImage *image, const GElf_Shdr *sh)
{
	const guint8 *p = image->data + sh->sh_offset;
	for (guint64 i = 0; i < sh->sh_size / sizeof(Elf64_Rela); i++, p += sizeof(Elf64_Rela)) {
		KmPointer pointer = { km_image_get_u64(image, p), km_image_get_u64(image, p + 16) };
		if (!GELF_R_SYM(km_image_get_u64(image, p + 8)))
			g_array_append_val(image->pointers, pointer);
	}
}

/* Many a kernel names no data to itself. */
static void add_bounds(KmImage *image, Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Sym symbol;
	for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
		const char *name = elf_strptr(elf, sh->sh_link, symbol.st_name);
		if (name && symbol.st_shndx != SHN_UNDEF &&
		    (g_str_has_prefix(name, "__start_") || g_str_has_prefix(name, "__stop_") ||
		     g_str_has_prefix(name, "__per_cpu_")))
			g_hash_table_insert(image->bounds, g_strdup(name),
					    g_memdup2(&symbol.st_value, sizeof(symbol.st_value)));
	}
}

static gboolean read_section(KmImage *image, Elf *elf, Elf_Scn *scn, size_t strings, GError **error)
{
	GElf_Shdr sh;
	if (!gelf_getshdr(scn, &sh))
		return km_fail(error, "%s: cannot read section header %zu: %s", image->path, elf_ndxscn(scn),
			       elf_errmsg(-1));
	const char *name = elf_strptr(elf, strings, sh.sh_name);
	if (sh.sh_type == SHT_SYMTAB)
		add_bounds(image, elf, scn, &sh);
	if (!(sh.sh_flags & SHF_ALLOC) || sh.sh_type == SHT_NOBITS || !sh.sh_size)
		return TRUE;
	if (!add_range(image, name ? name : "?", sh.sh_addr, sh.sh_offset, sh.sh_size, !!(sh.sh_flags & SHF_EXECINSTR),
		       error))
		return FALSE;
	if (sh.sh_type == SHT_RELA)
		add_relas(image, &sh);
	return TRUE;
}

static gboolean read_sections(KmImage *image, Elf *elf, GError **error)
{
	size_t strings;
	if (elf_getshdrstrndx(elf, &strings))
		return km_fail(error, "%s is truncated or damaged: its section headers cannot be read (%s)",
			       image->path, elf_errmsg(-1));
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));)
		if (!read_section(image, elf, scn, strings, error))
			return FALSE;
	return TRUE;
}

static gboolean read_segments(KmImage *image, Elf *elf, GError **error)
{
	size_t n;
	if (elf_getphdrnum(elf, &n))
		return km_fail(error, "%s: program headers cannot be read: %s", image->path, elf_errmsg(-1));
	for (size_t i = 0; i < n && i < G_MAXINT; i++) {
		GElf_Phdr ph;
		if (!gelf_getphdr(elf, (int)i, &ph))
			return km_fail(error, "%s: program header %zu cannot be read: %s", image->path, i,
				       elf_errmsg(-1));
		if (ph.p_type == PT_LOAD && ph.p_filesz &&
		    !add_range(image, "", ph.p_vaddr, ph.p_offset, ph.p_filesz, !(ph.p_flags & PF_W), error))
			return FALSE;
	}
	return TRUE;
}

static gboolean check_header(KmImage *image, Elf *elf, GError **error)
{
	GElf_Ehdr eh;
	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh))
		return km_fail(error, "%s is truncated or damaged: its ELF header cannot be read", image->path);
	if (eh.e_ident[EI_CLASS] != ELFCLASS64)
		return km_fail(error, "%s is a 32-bit ELF file; kmend works on 64-bit kernels", image->path);
	if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN)
		return km_fail(error, "%s is no kernel image but a relocatable object (a module?)", image->path);
	image->big_endian = eh.e_ident[EI_DATA] == ELFDATA2MSB;
	image->arch = km_arch_by_elf(eh.e_machine, image->big_endian);
	if (!image->arch)
		return km_fail(error, "%s is for an architecture kmend does not know (ELF machine %u)", image->path,
			       eh.e_machine);
	/* libelf takes section headers that lie outside the file for none at all: a truncated file must not look like that. */
	if (!eh.e_shoff)
		return read_segments(image, elf, error);
	if (eh.e_shoff >= image->size || (image->size - eh.e_shoff) / sizeof(Elf64_Shdr) < MAX(eh.e_shnum, 1))
		return km_fail(error,
			       "%s is truncated: its section headers are at byte %" G_GUINT64_FORMAT
			       ", the file has %" G_GSIZE_FORMAT "; get it again",
			       image->path, eh.e_shoff, image->size);
	return read_sections(image, elf, error);
}

static gboolean read_elf(KmImage *image, GError **error)
{
	elf_version(EV_CURRENT);
	Elf *elf = elf_memory((char *)image->data, image->size);
	if (!elf)
		return km_fail(error, "%s: cannot read as ELF: %s", image->path, elf_errmsg(-1));
	gboolean ok = check_header(image, elf, error);
	elf_end(elf);
	g_array_sort(image->ranges, compare_ranges);
	km_image_sort_pointers(image);
	return ok && km_kallsyms_read(image, error);
}

/* --- reading a flat image --- */

static void clear_kallsyms(KmImage *image)
{
	g_clear_pointer(&image->kallsyms.symbols, g_free);
	g_clear_pointer(&image->kallsyms.names, g_free);
	image->kallsyms.n = 0;
}

static gboolean read_flat_as(KmImage *image, const KmArch *arch, GError **error)
{
	KmRange whole = { 0, 0, image->size, FALSE, "" };
	clear_kallsyms(image);
	g_array_set_size(image->ranges, 0);
	g_array_set_size(image->pointers, 0);
	g_array_append_val(image->ranges, whole);
	image->flat = TRUE;
	image->arch = arch;
	image->big_endian = arch->big_endian;
	km_flat_pointers(image);
	return km_kallsyms_read(image, error);
}

/* Without a header the byte order of the tables tells the architecture, when only one has it. */
static gboolean read_flat(KmImage *image, GError **error)
{
	const char *name = km_flat_arch(image->data, image->size);
	const KmArch *big = NULL;
	if (name) {
		image->has_header = TRUE;
		return read_flat_as(image, km_arch_by_name(name), error);
	}
	for (const KmArch *const *arch = km_arch_all(); *arch; arch++)
		if ((*arch)->big_endian)
			big = *arch;
	return big ? read_flat_as(image, big, error) : km_fail(error, "%s: a flat image of no known kind", image->path);
}

/* --- banner --- */

/* linux_banner where kallsyms has data; else the first banner that is no placeholder. */
static void read_banner(KmImage *image)
{
	const KmKsym *symbol = km_image_find(image, "linux_banner");
	const guint8 *at = symbol ? km_image_bytes(image, symbol->address, 64) : NULL;
	gsize from = at ? (gsize)(at - image->data) : 0, n;
	const char *banner = km_find_banner(image->data + from, image->size - from, &n);
	if (!banner)
		return;
	image->banner = g_strndup(banner, n);
	const char *release = image->banner + strlen("Linux version ");
	image->release = g_strndup(release, strcspn(release, " "));
}

/* --- opening --- */

static KmImage *image_new(GBytes *bare, const char *path, GError **error)
{
	g_autoptr(KmImage) image = g_new0(KmImage, 1);
	g_mutex_init(&image->lock);
	image->path = g_strdup(path);
	image->bytes = g_bytes_ref(bare);
	image->data = g_bytes_get_data(bare, &image->size);
	image->ranges = g_array_new(FALSE, FALSE, sizeof(KmRange));
	image->pointers = g_array_new(FALSE, FALSE, sizeof(KmPointer));
	image->bounds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	image->strings = g_ptr_array_new_with_free_func(g_free);
	gboolean is_elf = image->size >= SELFMAG && !memcmp(image->data, ELFMAG, SELFMAG);
	if (!(is_elf ? read_elf(image, error) : read_flat(image, error)))
		return NULL;
	read_banner(image);
	return g_steal_pointer(&image);
}

KmImage *km_image_new(GBytes *bytes, const char *path, GError **error)
{
	g_autoptr(GBytes) bare = km_image_bare(bytes, path, error);
	return bare ? image_new(bare, path, error) : NULL;
}

KmImage *km_image_open(const char *path, GError **error)
{
	g_autoptr(GBytes) file = km_read_file(path, error);
	return file ? km_image_new(file, path, error) : NULL;
}

gboolean km_image_unpack(const char *path, const char *out, GError **error)
{
	g_autoptr(KmImage) image = km_image_open(path, error);
	return image && km_write_file(out, image->data, image->size, error);
}

void km_image_free(KmImage *image)
{
	if (!image)
		return;
	clear_kallsyms(image);
	g_free(image->path);
	g_free(image->banner);
	g_free(image->release);
	g_clear_pointer(&image->by_name, g_hash_table_unref);
	g_clear_pointer(&image->lookups, g_hash_table_unref);
	g_free(image->next);
	g_clear_pointer(&image->by_address, g_hash_table_unref);
	g_clear_pointer(&image->export_by_name, g_hash_table_unref);
	g_clear_pointer(&image->exports, g_array_unref);
	g_clear_pointer(&image->entries, g_array_unref);
	g_clear_pointer(&image->records, g_array_unref);
	g_array_unref(image->ranges);
	g_array_unref(image->pointers);
	g_hash_table_unref(image->bounds);
	g_ptr_array_unref(image->strings);
	g_bytes_unref(image->bytes);
	g_mutex_clear(&image->lock);
	g_free(image);
}

const char *km_image_path(const KmImage *image)
{
	return image->path;
}

const KmArch *km_image_arch(const KmImage *image)
{
	return image->arch;
}

const char *km_image_banner(const KmImage *image)
{
	return image->banner;
}

const char *km_image_release(const KmImage *image)
{
	return image->release;
}

/* --- bytes --- */

const guint8 *km_image_bytes(const KmImage *image, guint64 address, gsize size)
{
	const KmRange *all = (const KmRange *)(void *)image->ranges->data;
	guint low = 0, high = image->ranges->len;
	while (low < high) { /* the first range that starts after address */
		guint mid = low + (high - low) / 2;
		if (all[mid].address <= address)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return NULL;
	const KmRange *r = &all[low - 1];
	guint64 at = address - r->address;
	return at <= r->size && size <= r->size - at ? image->data + r->offset + at : NULL;
}

gboolean km_image_pointer(const KmImage *image, guint64 address, guint64 *value)
{
	const guint8 *p = km_image_bytes(image, address, 8);
	KmPointer key = { address, 0 };
	if (!p)
		return FALSE;
	*value = km_image_get_u64(image, p);
	if (*value || !image->pointers->len)
		return TRUE;
	guint i;
	if (g_array_binary_search(image->pointers, &key, compare_pointers, &i))
		*value = g_array_index(image->pointers, KmPointer, i).value;
	return TRUE;
}

static gboolean bound_of(const KmImage *image, const char *name, guint64 *address)
{
	const KmKsym *symbol = km_image_find(image, name);
	const guint64 *bound = symbol ? &symbol->address : g_hash_table_lookup(image->bounds, name);
	*address = bound ? *bound : 0;
	return bound != NULL;
}

gboolean km_image_table(const KmImage *image, const char *section, const char *start_symbol, const char *stop_symbol,
			guint64 *start, guint64 *stop)
{
	for (guint i = 0; section && i < image->ranges->len; i++) {
		const KmRange *r = &g_array_index(image->ranges, KmRange, i);
		if (strcmp(r->name, section))
			continue;
		*start = r->address;
		*stop = r->address + r->size;
		return TRUE;
	}
	return bound_of(image, start_symbol, start) && bound_of(image, stop_symbol, stop) && *start <= *stop;
}

const guint8 *km_image_btf(const KmImage *image, gsize *size)
{
	guint64 start, stop;
	if (!km_image_table(image, ".BTF", "__start_BTF", "__stop_BTF", &start, &stop) || stop - start > image->size)
		return NULL;
	*size = stop - start;
	return *size ? km_image_bytes(image, start, *size) : NULL;
}

/* --- symbols --- */

const KmKsym *km_image_symbols(const KmImage *image, gsize *n)
{
	*n = image->kallsyms.n;
	return image->kallsyms.symbols;
}

const KmKsym *km_image_find(const KmImage *image, const char *name)
{
	for (gsize i = 0; i < image->kallsyms.n; i++)
		if (!strcmp(image->kallsyms.symbols[i].name, name))
			return &image->kallsyms.symbols[i];
	return NULL;
}

/* One entry per name (its first symbol) and a chain to the next of that name: 160,000 arrays would be slow to make. */
static void build_name_index(KmImage *image)
{
	gsize n = image->kallsyms.n;
	image->by_name = g_hash_table_new(g_str_hash, g_str_equal);
	image->lookups = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_array_unref);
	image->next = g_new0(guint32, n);
	for (gsize i = n; i-- > 0;) {
		char *name = (char *)image->kallsyms.symbols[i].name;
		image->next[i] = GPOINTER_TO_UINT(g_hash_table_lookup(image->by_name, name));
		g_hash_table_insert(image->by_name, name, GUINT_TO_POINTER((guint32)i + 1));
	}
}

static GArray *collect_named(const KmImage *image, const char *name)
{
	guint32 i = GPOINTER_TO_UINT(g_hash_table_lookup(image->by_name, name));
	if (!i)
		return NULL;
	GArray *found = g_array_sized_new(FALSE, FALSE, sizeof(guint32), 1);
	for (; i; i = image->next[i - 1]) {
		guint32 index = i - 1;
		g_array_append_val(found, index);
	}
	return found;
}

const GArray *km_image_lookup(const KmImage *image, const char *name)
{
	KmImage *self = (KmImage *)image; /* a cache, guarded by its lock */
	g_mutex_lock(&self->lock);
	if (!self->by_name)
		build_name_index(self);
	GArray *found = g_hash_table_lookup(self->lookups, name);
	if (!found && (found = collect_named(self, name))) {
		const KmKsym *first = &self->kallsyms.symbols[g_array_index(found, guint32, 0)];
		g_hash_table_insert(self->lookups, (gpointer)first->name, found);
	}
	g_mutex_unlock(&self->lock);
	return found;
}

/* How many symbols lie at or below address: they ascend. */
static gsize symbols_up_to(const KmImage *image, guint64 address)
{
	gsize low = 0, high = image->kallsyms.n;
	while (low < high) {
		gsize mid = low + (high - low) / 2;
		if (image->kallsyms.symbols[mid].address <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static GArray *collect_at(const KmImage *image, guint64 address)
{
	gsize end = symbols_up_to(image, address), start = end;
	while (start && image->kallsyms.symbols[start - 1].address == address)
		start--;
	if (start == end)
		return NULL;
	GArray *found = g_array_sized_new(FALSE, FALSE, sizeof(guint32), (guint)(end - start));
	for (guint32 i = (guint32)start; i < end; i++)
		g_array_append_val(found, i);
	return found;
}

const GArray *km_image_symbols_at(const KmImage *image, guint64 address)
{
	KmImage *self = (KmImage *)image; /* a cache, guarded by its lock */
	g_mutex_lock(&self->lock);
	if (!self->by_address)
		self->by_address =
			g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_array_unref);
	GArray *found = g_hash_table_lookup(self->by_address, &address);
	if (!found && (found = collect_at(image, address)))
		g_hash_table_insert(self->by_address, g_memdup2(&address, sizeof(address)), found);
	g_mutex_unlock(&self->lock);
	return found;
}

const KmKsym *km_image_nearest(const KmImage *image, guint64 address)
{
	gsize n = symbols_up_to(image, address);
	return n ? &image->kallsyms.symbols[n - 1] : NULL;
}

guint64 km_image_next_symbol(const KmImage *image, guint64 address)
{
	gsize n = symbols_up_to(image, address);
	return n < image->kallsyms.n ? image->kallsyms.symbols[n].address : G_MAXUINT64;
}
