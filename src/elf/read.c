/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ELF file into a KmObject. libelf checks the file's structure; what it does not check (indices, ranges) is checked here. */
#include "elf/object.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"

/* State of one read. */
typedef struct {
	Elf *elf;
	KmObject *object;
	GPtrArray *by_index; /* section header index -> KmSection or NULL */
	GPtrArray *symbols; /* symbol table index -> KmSymbol */
	gsize shstrndx;
	Elf_Data *xindex; /* SHT_SYMTAB_SHNDX, or NULL */
} Reader;

static void reader_clear(Reader *r)
{
	g_clear_pointer(&r->elf, elf_end);
	g_clear_pointer(&r->object, km_object_free);
	g_clear_pointer(&r->by_index, g_ptr_array_unref);
	g_clear_pointer(&r->symbols, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reader, reader_clear)

static gboolean bad(const Reader *r, GError **error, const char *what, const char *section, guint64 index)
{
	return km_fail(error, "%s: %s (section %s, entry %" G_GUINT64_FORMAT "): the file is damaged", r->object->path,
		       what, section, index);
}

/* libelf takes a section table that lies outside the file for an empty one: a truncated file must not look like that. */
static gboolean check_section_table(const Reader *r, const GElf_Ehdr *ehdr, gsize size, GError **error)
{
	size_t count = 0;
	if (ehdr->e_shoff && elf_getshdrnum(r->elf, &count) == 0 && count && ehdr->e_shoff < size &&
	    count <= (size - ehdr->e_shoff) / sizeof(Elf64_Shdr))
		return TRUE;
	return km_fail(error,
		       "%s: the section table is missing or lies outside the file (%" G_GSIZE_FORMAT
		       " bytes): the file is truncated or damaged",
		       r->object->path, size);
}

static gboolean read_header(Reader *r, const char *path, gsize size, GError **error)
{
	GElf_Ehdr ehdr;
	if (elf_kind(r->elf) != ELF_K_ELF || !gelf_getehdr(r->elf, &ehdr))
		return km_fail(error, "%s: not an ELF file", path);
	if (ehdr.e_ident[EI_CLASS] != ELFCLASS64)
		return km_fail(error, "%s: a 32-bit object; only 64-bit kernels are supported", path);
	const KmArch *arch = km_arch_by_elf(ehdr.e_machine, ehdr.e_ident[EI_DATA] == ELFDATA2MSB);
	if (!arch)
		return km_fail(error, "%s: built for an architecture that is not supported (ELF machine %u, %s-endian)",
			       path, ehdr.e_machine, ehdr.e_ident[EI_DATA] == ELFDATA2MSB ? "big" : "little");
	r->object = km_object_new(arch, path);
	r->object->type = ehdr.e_type;
	r->object->flags = ehdr.e_flags;
	if (!check_section_table(r, &ehdr, size, error))
		return FALSE;
	if (elf_getshdrstrndx(r->elf, &r->shstrndx))
		return km_fail(error, "%s: no section names: the file is damaged", path);
	return TRUE;
}

/* Sections that only carry what the object model keeps elsewhere. */
static gboolean is_bookkeeping(const GElf_Shdr *shdr)
{
	switch (shdr->sh_type) {
	case SHT_NULL:
	case SHT_SYMTAB:
	case SHT_STRTAB:
	case SHT_SYMTAB_SHNDX:
	case SHT_GROUP:
	case SHT_REL:
		return TRUE;
	case SHT_RELA:
		return !(shdr->sh_flags & KM_SHF_RELA_LIVEPATCH);
	default:
		return FALSE;
	}
}

static gboolean read_section(Reader *r, Elf_Scn *scn, const GElf_Shdr *shdr, KmSection **ret, GError **error)
{
	const char *name = elf_strptr(r->elf, r->shstrndx, shdr->sh_name);
	gsize index = elf_ndxscn(scn);
	if (!name)
		return bad(r, error, "section name out of range", "header table", index);
	if (shdr->sh_size > G_MAXINT32)
		return bad(r, error, "section larger than 2 GiB", name, index);
	if (shdr->sh_addralign > (1u << 24) || (shdr->sh_addralign & (shdr->sh_addralign - 1)))
		return bad(r, error, "impossible alignment", name, index);
	KmSection *section = km_object_add_section(r->object, name, shdr->sh_type, shdr->sh_flags & ~(guint64)SHF_GROUP,
						   shdr->sh_addralign);
	section->address = shdr->sh_addr;
	section->entsize = shdr->sh_entsize;
	section->size = shdr->sh_size;
	if (section->data && shdr->sh_size && shdr->sh_type != SHT_RELA) {
		Elf_Data *data = elf_rawdata(scn, NULL);
		if (!data || !data->d_buf || data->d_size != shdr->sh_size)
			return bad(r, error, "contents lie outside the file", name, index);
		g_byte_array_append(section->data, data->d_buf, (guint)data->d_size);
	}
	*ret = section;
	return TRUE;
}

static KmSection *section_at(const Reader *r, guint64 index)
{
	return index < r->by_index->len ? r->by_index->pdata[index] : NULL;
}

static gboolean read_sections(Reader *r, GError **error)
{
	size_t count;
	if (elf_getshdrnum(r->elf, &count) || count > G_MAXINT32)
		return km_fail(error, "%s: no section table: the file is damaged", r->object->path);
	g_ptr_array_set_size(r->by_index, (gint)count);
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(r->elf, scn));) {
		GElf_Shdr shdr;
		KmSection *section = NULL;
		if (!gelf_getshdr(scn, &shdr))
			return bad(r, error, "unreadable header", "header table", elf_ndxscn(scn));
		if (is_bookkeeping(&shdr))
			continue;
		if (!read_section(r, scn, &shdr, &section, error))
			return FALSE;
		r->by_index->pdata[elf_ndxscn(scn)] = section;
	}
	return TRUE;
}

/* SHF_LINK_ORDER and the targets of livepatch relocation sections, once all sections exist. */
static gboolean link_sections(Reader *r, GError **error)
{
	for (guint i = 0; i < r->by_index->len; i++) {
		KmSection *section = r->by_index->pdata[i];
		GElf_Shdr shdr;
		if (!section || !gelf_getshdr(elf_getscn(r->elf, i), &shdr))
			continue;
		if (section->flags & SHF_LINK_ORDER)
			section->link = section_at(r, shdr.sh_link);
		if (section->type != SHT_RELA)
			continue;
		const char *prefix = ".klp.rela.";
		const char *name = section->name;
		const char *dot = g_str_has_prefix(name, prefix) ? strchr(name + strlen(prefix), '.') : NULL;
		section->klp_target = section_at(r, shdr.sh_info);
		if (!dot || !section->klp_target)
			return bad(r, error, "livepatch relocations without object or target", name, i);
		section->klp_object = g_strndup(name + strlen(prefix), (gsize)(dot - name) - strlen(prefix));
	}
	return TRUE;
}

static gboolean add_symbol(Reader *r, const GElf_Sym *sym, Elf32_Word xindex, const char *name, GError **error)
{
	guint64 index = sym->st_shndx == SHN_XINDEX ? xindex : sym->st_shndx;
	gboolean special =
		sym->st_shndx == SHN_UNDEF || (sym->st_shndx >= SHN_LORESERVE && sym->st_shndx != SHN_XINDEX);
	if (!special && index >= r->by_index->len)
		return bad(r, error, "symbol in a section that does not exist", ".symtab", r->symbols->len);
	KmSection *section = special ? NULL : section_at(r, index);
	guint64 limit = section ? section->size : 0;
	if (section && r->object->type == ET_REL && sym->st_value > limit)
		return bad(r, error, "symbol outside its section", ".symtab", r->symbols->len);
	/* A size that reaches beyond the section is cut: assembly sources get .size wrong now and then. */
	guint64 size = sym->st_size;
	if (section && r->object->type == ET_REL && size > limit - sym->st_value)
		size = limit - sym->st_value;
	KmSymbol *symbol = km_object_add_symbol(r->object, name, GELF_ST_BIND(sym->st_info), GELF_ST_TYPE(sym->st_info),
						section, sym->st_value, size);
	symbol->other = sym->st_other;
	symbol->shndx = special ? sym->st_shndx : section ? 0 : SHN_ABS;
	g_ptr_array_add(r->symbols, symbol);
	return TRUE;
}

static gboolean read_symtab(Reader *r, Elf_Scn *scn, const GElf_Shdr *shdr, GError **error)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	if (!data || shdr->sh_entsize == 0)
		return bad(r, error, "unreadable symbol table", ".symtab", 0);
	gsize count = shdr->sh_size / shdr->sh_entsize;
	g_ptr_array_add(r->symbols, r->object->null_symbol);
	for (gsize i = 1; i < count; i++) {
		GElf_Sym sym;
		Elf32_Word xindex = 0;
		if (i > G_MAXINT32 || !gelf_getsymshndx(data, r->xindex, (int)i, &sym, &xindex))
			return bad(r, error, "unreadable symbol", ".symtab", i);
		const char *name = elf_strptr(r->elf, shdr->sh_link, sym.st_name);
		if (!name)
			return bad(r, error, "symbol name out of range", ".symtab", i);
		if (!add_symbol(r, &sym, xindex, name, error))
			return FALSE;
	}
	return TRUE;
}

static Elf_Scn *find_type(Elf *elf, guint32 type, GElf_Shdr *shdr)
{
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));)
		if (gelf_getshdr(scn, shdr) && shdr->sh_type == type)
			return scn;
	return NULL;
}

static gboolean read_symbols(Reader *r, GError **error)
{
	GElf_Shdr shdr;
	Elf_Scn *scn = find_type(r->elf, SHT_SYMTAB_SHNDX, &shdr);
	r->xindex = scn ? elf_getdata(scn, NULL) : NULL;
	scn = find_type(r->elf, SHT_SYMTAB, &shdr);
	if (!scn && r->object->type != ET_REL)
		scn = find_type(r->elf, SHT_DYNSYM, &shdr);
	return !scn || read_symtab(r, scn, &shdr, error);
}

static gboolean add_reloc(Reader *r, KmSection *target, KmSection *into, const GElf_Rela *rela, gsize i, GError **error)
{
	guint64 symbol = GELF_R_SYM(rela->r_info);
	guint32 type = (guint32)GELF_R_TYPE(rela->r_info);
	const KmRelocInfo *info = km_arch_reloc(r->object->arch, type);
	guint64 width = info ? info->size : 0;
	if (symbol >= MAX(r->symbols->len, 1))
		return bad(r, error, "relocation with a symbol that does not exist", target->name, i);
	if (rela->r_offset > target->size || width > target->size - rela->r_offset)
		return bad(r, error, "relocation outside its section", target->name, i);
	KmSymbol *of = symbol ? r->symbols->pdata[symbol] : r->object->null_symbol;
	km_section_add_reloc(into, rela->r_offset, type, of, rela->r_addend);
	return TRUE;
}

static gboolean read_relocs(Reader *r, Elf_Scn *scn, const GElf_Shdr *shdr, GError **error)
{
	KmSection *target = section_at(r, shdr->sh_info);
	KmSection *klp = section_at(r, elf_ndxscn(scn));
	KmSection *into = klp ? klp : target;
	Elf_Data *data = elf_getdata(scn, NULL);
	if (!target || shdr->sh_entsize == 0)
		return !target ? TRUE : bad(r, error, "relocations of no size", target->name, 0);
	if (!data)
		return bad(r, error, "unreadable relocations", target->name, 0);
	gsize count = shdr->sh_size / shdr->sh_entsize;
	for (gsize i = 0; i < count; i++) {
		GElf_Rela rela;
		if (i > G_MAXINT32 || !gelf_getrela(data, (int)i, &rela))
			return bad(r, error, "unreadable relocation", target->name, i);
		if (!add_reloc(r, target, into, &rela, i, error))
			return FALSE;
	}
	km_section_sort_relocs(into);
	return TRUE;
}

static KmSection *section_of_address(const Reader *r, guint64 address)
{
	for (guint i = 0; i < r->by_index->len; i++) {
		KmSection *section = r->by_index->pdata[i];
		if (section && section->flags & SHF_ALLOC && address - section->address < section->size)
			return section;
	}
	return NULL;
}

/* The linked file's own addresses in it, which whoever loads it moves with it: the file may hold zeros there. */
static gboolean read_own_addresses(Reader *r, Elf_Scn *scn, const GElf_Shdr *shdr, GError **error)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	KmSection *section = NULL;
	gsize count = data && shdr->sh_entsize ? shdr->sh_size / shdr->sh_entsize : 0;
	for (gsize i = 0; i < count; i++) {
		GElf_Rela rela;
		if (i > G_MAXINT32 || !gelf_getrela(data, (int)i, &rela))
			return bad(r, error, "unreadable relocation", "of a linked file", i);
		if (!section || rela.r_offset - section->address >= section->size)
			section = section_of_address(r, rela.r_offset);
		if (section && !GELF_R_SYM(rela.r_info) && section->size - (rela.r_offset - section->address) >= 8)
			km_section_add_reloc(section, rela.r_offset - section->address, (guint32)GELF_R_TYPE(rela.r_info),
					     r->object->null_symbol, rela.r_addend);
	}
	return TRUE;
}

static gboolean read_linked_relocs(Reader *r, GError **error)
{
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(r->elf, scn));) {
		GElf_Shdr shdr;
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_RELA && shdr.sh_flags & SHF_ALLOC &&
		    !read_own_addresses(r, scn, &shdr, error))
			return FALSE;
	}
	for (guint i = 0; i < r->object->sections->len; i++)
		km_section_sort_relocs(r->object->sections->pdata[i]);
	return TRUE;
}

static gboolean read_all_relocs(Reader *r, GError **error)
{
	if (r->object->type != ET_REL)
		return read_linked_relocs(r, error);
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(r->elf, scn));) {
		GElf_Shdr shdr;
		if (!gelf_getshdr(scn, &shdr))
			continue;
		if (shdr.sh_type == SHT_REL && section_at(r, shdr.sh_info))
			return km_fail(error,
				       "%s: relocations without addends (SHT_REL), which no supported kernel uses",
				       r->object->path);
		if (shdr.sh_type == SHT_RELA && !read_relocs(r, scn, &shdr, error))
			return FALSE;
	}
	return TRUE;
}

KmObject *km_object_read_bytes(GBytes *bytes, const char *path, GError **error)
{
	g_auto(Reader) r = { 0 };
	gsize size;
	gconstpointer data = g_bytes_get_data(bytes, &size);
	if (size < EI_NIDENT)
		return km_fail_null(error, "%s: not an ELF file (%" G_GSIZE_FORMAT " bytes)", path, size);
	elf_version(EV_CURRENT);
	/* libelf does not write to memory it was given for reading; its prototype predates const. */
	r.elf = elf_memory((char *)(gpointer)data, size);
	if (!r.elf)
		return km_fail_null(error, "%s: not an ELF file (%s)", path, elf_errmsg(-1));
	r.by_index = g_ptr_array_new();
	r.symbols = g_ptr_array_new();
	if (!read_header(&r, path, size, error) || !read_sections(&r, error) || !link_sections(&r, error) ||
	    !read_symbols(&r, error) || !read_all_relocs(&r, error))
		return NULL;
	return g_steal_pointer(&r.object);
}

KmObject *km_object_read(const char *path, GError **error)
{
	g_autoptr(GBytes) bytes = km_read_file(path, error);
	return bytes ? km_object_read_bytes(bytes, path, error) : NULL;
}
