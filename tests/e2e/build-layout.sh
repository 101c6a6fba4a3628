#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# A type that changes its layout, and an exported symbol that changes its type, are refused by name; the author can vouch for it.
. "$(dirname "$0")/common.inc"
enter_scratch

change fs/eventfd.c '/^struct eventfd_ctx \{/,/^\}/ s/^\t__u64 count;/\tint patched;\n&/'
patch_of member
refuses member
says "struct eventfd_ctx (fs/eventfd.c:" "member count at " "member patched at " "size " --allow-layout shadow

# Nobody keeps what this adds up: the author can know that, kmend cannot.
build member --allow-layout eventfd_ctx

# New code may use the hole that it likes, but old memory has nothing in there.
change fs/eventfd.c '/^static int eventfd_release\(/,/^\}/ s/^\tkfree|^\twake_up/\tif (ctx->id == 12345)\n\t\tpr_info("x");\n&/'
change fs/eventfd.c '/^struct eventfd_ctx \{/,/^\}/ s/^\tint id;/&\n\tchar patched;/'
patch_of hole
refuses hole
says "struct eventfd_ctx" "member patched at "

# A member by another name, and a type of the new code alone.
change fs/eventfd.c 's/\bunsigned int flags;/unsigned int patched_flags;/; s/ctx->flags/ctx->patched_flags/'
change fs/eventfd.c '/^struct eventfd_ctx \{/i struct patched_pair { int a, b; };\n'
change fs/eventfd.c '/^static int eventfd_release\(/,/^\}/ s/^\twake_up/\tstruct patched_pair pair = { 1, 2 };\n\n\tpr_debug("%p", \&pair);\n&/'
patch_of renamed
build renamed

# A structure that one function fills on its stack for user space, and one that is also read from there.
change drivers/block/floppy.c '/^struct compat_floppy_drive_struct \{/,/^\}/ { /^\tshort\t\tprobed_format;/d; s/^\tshort\t\ttrack;/&\n\tshort\t\tprobed_format;/; }'
stacked_patch_of local
build local
says 'compat_getdrvstat ('
change drivers/block/floppy.c '/^struct compat_floppy_drive_params \{/,/^\}/ { /^\tchar\t\tflags;/d; s/^\tchar\t\tread_track;/&\n\tchar\t\tflags;/; }'
patch_of read
cat local.patch read.patch >both.patch
refuses both
says 'struct compat_floppy_drive_params (drivers/block/floppy.c:'
says_not compat_floppy_drive_struct

# A global function whose argument is wider: callers outside the patch would leave its upper part to chance.
change ipc/util.h '/^int ipcperms\(/ s/short fl/int fl/'
change ipc/util.c '/^int ipcperms\(/ s/short fl/int fl/'
patch_of prototype
refuses prototype
says "ipcperms (ipc/util.c:" "short int) -> " "--allow-signature ipcperms"
