#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# What a header reaches besides units is looked at whatever makes it: generated sources, headers that only a link makes, the code that starts
# processors. Firmware and other programs beside drivers are no part of the kernel.
. "$(dirname "$0")/common.inc"
enter_scratch

# Sources that a compiler of the build writes include it; nobody uses the macro.
change include/linux/asn1_decoder.h '0,/^struct asn1_decoder;/ s//#define KMEND_UNUSED 1\n\n&/'
patch_of generated
refuses generated 4
says 'nothing to patch'
change include/linux/asn1_ber_bytecode.h '/ASN1_OP_MATCH_JUMP\t/ s/=.*,/= 0x05,/'
patch_of numbers
refuses numbers
says asn1

# Assembly of a firmware, which is shipped built.
change drivers/net/wan/wanxl.h '0,/^$/ s//\n#define KMEND_UNUSED 1\n/'
patch_of firmware
refuses firmware 4
says 'nothing to patch'

# The code that starts processors is looked at with the boot loader's headers, and headers of its own link.
change arch/x86/boot/video.h '0,/^#define VIDEO_80x25/ s//#define KMEND_UNUSED 1\n&/'
patch_of unused
refuses unused 4
change arch/x86/boot/video.h '0,/^#define VIDEO_80x25/ s//#define VIDEO_80x25 0x777\n#define VIDEO_OLD/'
patch_of processors
refuses processors
says arch/x86/realmode/rm/ 'code for starting processors cannot be live patched'

# A unit that includes a table which only the makefile of its own directory knows how to make.
change arch/x86/lib/inat.c '/^insn_attr_t inat_get_opcode_attribute/,/^}/ s/return /return 1 + /'
patch_of table
build table
says 'vmlinux: inat_get_opcode_attribute'
