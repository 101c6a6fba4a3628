/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disassembler behind KmArch.step. */
#include <capstone/capstone.h>

#include "arch/table.h"

gpointer km_arch_reader_new(const KmArch *arch)
{
	csh handle;
	if (!arch->step || cs_open((cs_arch)arch->capstone_arch, (cs_mode)arch->capstone_mode, &handle) != CS_ERR_OK)
		return NULL;
	cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
	KmArchReader *reader = g_new0(KmArchReader, 1);
	reader->handle = handle;
	reader->insn = cs_malloc(handle);
	return reader;
}

void km_arch_reader_free(gpointer data)
{
	KmArchReader *reader = data;
	if (!reader)
		return;
	cs_free(reader->insn, 1);
	cs_close(&reader->handle);
	g_free(reader);
}
