/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A KmObject into an ELF file. The same object always gives the same bytes: nothing depends on addresses, time or path. */
#include "elf/object.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

/* A string table under construction. */
typedef struct {
	GByteArray *bytes;
	GHashTable *known; /* char* -> offset */
} Strings;

static void strings_init(Strings *s)
{
	s->bytes = g_byte_array_new();
	s->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_byte_array_append(s->bytes, (const guint8 *)"", 1);
}

static guint strings_add(Strings *s, const char *text)
{
	gpointer offset;
	if (!*text)
		return 0;
	if (g_hash_table_lookup_extended(s->known, text, NULL, &offset))
		return GPOINTER_TO_UINT(offset);
	guint at = s->bytes->len;
	g_byte_array_append(s->bytes, (const guint8 *)text, (guint)strlen(text) + 1);
	g_hash_table_insert(s->known, g_strdup(text), GUINT_TO_POINTER(at));
	return at;
}

typedef struct {
	const KmObject *object;
	Elf *elf;
	int fd;
	Strings symbol_names, section_names;
	guint *symbol_index; /* KmSymbol.index -> index in .symtab */
	guint locals; /* local symbols, null symbol included */
	GPtrArray *buffers; /* translated data, alive until elf_update() */
	guint symtab; /* section header index of .symtab */
} Writer;

static void writer_clear(Writer *w)
{
	g_clear_pointer(&w->elf, elf_end);
	g_clear_pointer(&w->symbol_names.bytes, g_byte_array_unref);
	g_clear_pointer(&w->symbol_names.known, g_hash_table_unref);
	g_clear_pointer(&w->section_names.bytes, g_byte_array_unref);
	g_clear_pointer(&w->section_names.known, g_hash_table_unref);
	g_clear_pointer(&w->buffers, g_ptr_array_unref);
	g_free(w->symbol_index);
	if (w->fd >= 0)
		close(w->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Writer, writer_clear)

static gboolean elf_failed(const Writer *w, GError **error)
{
	return km_fail(error, "cannot write %s: %s", w->object->path, elf_errmsg(-1));
}

/* Header index of a section: they come first, in order. */
static guint header_index(const KmSection *section)
{
	return section->index + 1;
}

static gboolean write_header(Writer *w, GError **error)
{
	GElf_Ehdr ehdr;
	if (!gelf_newehdr(w->elf, ELFCLASS64) || !gelf_getehdr(w->elf, &ehdr))
		return elf_failed(w, error);
	ehdr.e_ident[EI_DATA] = w->object->arch->big_endian ? ELFDATA2MSB : ELFDATA2LSB;
	ehdr.e_type = w->object->type;
	ehdr.e_machine = w->object->arch->machine;
	ehdr.e_version = EV_CURRENT;
	ehdr.e_flags = w->object->flags;
	return gelf_update_ehdr(w->elf, &ehdr) ? TRUE : elf_failed(w, error);
}

/* A new section with one piece of data of libelf's type; shdr's name is an offset already. */
static gboolean put(Writer *w, GElf_Shdr *shdr, Elf_Type type, void *data, gsize size, GError **error)
{
	Elf_Scn *scn = elf_newscn(w->elf);
	Elf_Data *d = scn ? elf_newdata(scn) : NULL;
	if (!d)
		return elf_failed(w, error);
	d->d_buf = data;
	d->d_size = size;
	d->d_align = MAX(shdr->sh_addralign, 1);
	d->d_type = type;
	d->d_version = EV_CURRENT;
	return gelf_update_shdr(scn, shdr) ? TRUE : elf_failed(w, error);
}

static void *buffer(Writer *w, gsize size)
{
	void *p = g_malloc0(MAX(size, 1));
	g_ptr_array_add(w->buffers, p);
	return p;
}

static gboolean put_relocs(Writer *w, GElf_Shdr *shdr, const GArray *relocs, GError **error)
{
	Elf64_Rela *out = buffer(w, relocs->len * sizeof(*out));
	for (guint i = 0; i < relocs->len; i++) {
		const KmReloc *r = &g_array_index(relocs, KmReloc, i);
		guint64 symbol = r->symbol == w->object->null_symbol ? 0 : w->symbol_index[r->symbol->index];
		out[i] = (Elf64_Rela){ r->offset, ELF64_R_INFO(symbol, r->type), r->addend };
	}
	shdr->sh_type = SHT_RELA;
	shdr->sh_link = w->symtab;
	shdr->sh_addralign = 8;
	shdr->sh_entsize = sizeof(*out);
	return put(w, shdr, ELF_T_RELA, out, relocs->len * sizeof(*out), error);
}

static gboolean put_section(Writer *w, const KmSection *section, GError **error)
{
	GElf_Shdr shdr = {
		.sh_name = strings_add(&w->section_names, section->name),
		.sh_type = section->type,
		.sh_flags = section->flags,
		.sh_addralign = section->addralign,
		.sh_entsize = section->entsize,
		.sh_link = section->link ? header_index(section->link) : 0,
	};
	if (section->klp_object) {
		shdr.sh_info = header_index(section->klp_target);
		return put_relocs(w, &shdr, section->relocs, error);
	}
	return put(w, &shdr, ELF_T_BYTE, section->data ? section->data->data : NULL, section->size, error);
}

static gboolean put_section_relocs(Writer *w, const KmSection *section, GError **error)
{
	g_autofree char *name = g_strconcat(".rela", section->name, NULL);
	GElf_Shdr shdr = {
		.sh_name = strings_add(&w->section_names, name),
		.sh_flags = SHF_INFO_LINK,
		.sh_info = header_index(section),
	};
	return put_relocs(w, &shdr, section->relocs, error);
}

static gboolean has_plain_relocs(const KmSection *section)
{
	return !section->klp_object && section->relocs->len;
}

/* .symtab follows the sections and their relocations. */
static guint count_headers(const KmObject *object)
{
	guint count = 1 + object->sections->len;
	for (guint i = 0; i < object->sections->len; i++)
		count += has_plain_relocs(object->sections->pdata[i]);
	return count;
}

/* ELF wants local symbols first. */
static void number_symbols(Writer *w)
{
	const GPtrArray *symbols = w->object->symbols;
	guint next = 1;
	w->symbol_index = g_new0(guint, symbols->len + 1);
	for (int pass = 0; pass < 2; pass++) {
		for (guint i = 0; i < symbols->len; i++) {
			const KmSymbol *symbol = symbols->pdata[i];
			if ((symbol->bind == STB_LOCAL) == (pass == 0))
				w->symbol_index[i] = next++;
		}
		if (pass == 0)
			w->locals = next;
	}
}

static gboolean put_symbols(Writer *w, GError **error)
{
	const GPtrArray *symbols = w->object->symbols;
	gsize size = (symbols->len + 1) * sizeof(Elf64_Sym);
	Elf64_Sym *out = buffer(w, size);
	for (guint i = 0; i < symbols->len; i++) {
		const KmSymbol *symbol = symbols->pdata[i];
		out[w->symbol_index[i]] = (Elf64_Sym){
			.st_name = strings_add(&w->symbol_names, symbol->name),
			.st_info = ELF64_ST_INFO(symbol->bind, symbol->type),
			.st_other = symbol->other,
			.st_shndx = symbol->section ? (Elf64_Half)header_index(symbol->section) : symbol->shndx,
			.st_value = symbol->value,
			.st_size = symbol->size,
		};
	}
	GElf_Shdr shdr = {
		.sh_name = strings_add(&w->section_names, ".symtab"),
		.sh_type = SHT_SYMTAB,
		.sh_link = w->symtab + 1,
		.sh_info = w->locals,
		.sh_addralign = 8,
		.sh_entsize = sizeof(*out),
	};
	return put(w, &shdr, ELF_T_SYM, out, size, error);
}

static gboolean put_strings(Writer *w, const char *name, Strings *strings, GError **error)
{
	GElf_Shdr shdr = {
		.sh_name = strings_add(&w->section_names, name),
		.sh_type = SHT_STRTAB,
		.sh_addralign = 1,
	};
	/* The name was added before the bytes are handed over: .shstrtab holds its own name. */
	return put(w, &shdr, ELF_T_BYTE, strings->bytes->data, strings->bytes->len, error);
}

static gboolean put_everything(Writer *w, GError **error)
{
	const GPtrArray *sections = w->object->sections;
	for (guint i = 0; i < sections->len; i++)
		if (!put_section(w, sections->pdata[i], error))
			return FALSE;
	for (guint i = 0; i < sections->len; i++)
		if (has_plain_relocs(sections->pdata[i]) && !put_section_relocs(w, sections->pdata[i], error))
			return FALSE;
	if (!put_symbols(w, error) || !put_strings(w, ".strtab", &w->symbol_names, error) ||
	    !put_strings(w, ".shstrtab", &w->section_names, error))
		return FALSE;
	GElf_Ehdr ehdr;
	if (!gelf_getehdr(w->elf, &ehdr))
		return elf_failed(w, error);
	ehdr.e_shstrndx = (GElf_Half)(w->symtab + 2);
	if (!gelf_update_ehdr(w->elf, &ehdr) || elf_update(w->elf, ELF_C_WRITE) < 0)
		return elf_failed(w, error);
	return TRUE;
}

static GBytes *take_file(const Writer *w, GError **error)
{
	off_t size = lseek(w->fd, 0, SEEK_END);
	guint8 *data = size > 0 ? g_malloc((gsize)size) : NULL;
	gsize done = 0;
	while (data && done < (gsize)size) {
		ssize_t n = pread(w->fd, data + done, (gsize)size - done, (off_t)done);
		if (n <= 0)
			break;
		done += (gsize)n;
	}
	if (data && done == (gsize)size)
		return g_bytes_new_take(data, done);
	g_free(data);
	return km_fail_null(error, "cannot write %s: %s", w->object->path, g_strerror(errno));
}

GBytes *km_object_to_bytes(const KmObject *object, GError **error)
{
	g_auto(Writer) w = { .object = object, .fd = -1 };
	if (count_headers(object) + 3 >= SHN_LORESERVE)
		return km_fail_null(error, "cannot write %s: more than %u sections", object->path, SHN_LORESERVE - 4);
	w.fd = memfd_create("kmend", MFD_CLOEXEC);
	if (w.fd < 0)
		return km_fail_null(error, "cannot write %s: %s", object->path, g_strerror(errno));
	strings_init(&w.symbol_names);
	strings_init(&w.section_names);
	w.buffers = g_ptr_array_new_with_free_func(g_free);
	w.symtab = count_headers(object);
	elf_version(EV_CURRENT);
	w.elf = elf_begin(w.fd, ELF_C_WRITE, NULL);
	if (!w.elf || !write_header(&w, error)) {
		if (!w.elf)
			elf_failed(&w, error);
		return NULL;
	}
	number_symbols(&w);
	return put_everything(&w, error) ? take_file(&w, error) : NULL;
}

gboolean km_object_write(const KmObject *object, const char *path, GError **error)
{
	g_autoptr(GBytes) bytes = km_object_to_bytes(object, error);
	if (!bytes)
		return FALSE;
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);
	return km_write_file(path, data, size, error);
}
