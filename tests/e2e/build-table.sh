#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# Changed read-only tables: replaced where only code that can be replaced uses them, refused with the escape otherwise. Changed
# variables: refused, with callbacks to start from, which work once they are filled in.
. "$(dirname "$0")/common.inc"
enter_scratch qemu-system-x86_64 busybox

# A table of pointers, one that a loop goes through with a pointer, one of bytes.
change fs/proc/array.c '/^static const char \* const task_state_array\[\]/,/^}/ s/"S \(sleeping\)"/"S (dreaming)"/; /^static const char \* const task_state_array\[\]/,/^}/ s/"R \(running\)"/"R (dreaming)"/'
change fs/proc_namespace.c 's/\{ MNT_RELATIME, ",relatime" \}/{ MNT_RELATIME, ",patched" }/'
change fs/proc/task_mmu.c 's/(\[ilog2\(VM_READ\)\]\t*= )"rd"/\1"RD"/'
patch_of tables
build tables
says '(fs/proc_namespace.c): uses table mnt_opts' 'vmlinux: show_smap' \
	'proc_pid_status (fs/proc/array.c): uses table task_state_array, whose content changed'

# A variable with a number, and one whose value only its author can write: one skeleton for both.
change fs/coredump.c 's/^(static char core_pattern\[CORENAME_MAX_SIZE\] = ).*/\1"kmend";/; s/^(static unsigned int core_pipe_limit);/\1 = 0x33;/'
patch_of values
refuses values
says 'data changed' --skeleton 'pre-patch callback'
kmend 3 build -k "$KERNEL" --skeleton skeleton -o values.ko values.patch
grep -q '(typeof(core_pipe_limit))0x33;' skeleton || die "the number is not in the skeleton"
change fs/coredump.c '$r skeleton'
stacked_patch_of unfilled
kmend 1 build -k "$KERNEL" -o filled.ko unfilled.patch
says 'write the new initializer of core_pattern'
left_nothing
change fs/coredump.c '/^#error "write the new/d; s/^(static const typeof\(core_pattern\) kmend_new_core_pattern = ).*/\1"kmend";/'
patch_of filling
cat tables.patch >>filling.patch
kmend 0 build -k "$KERNEL" -o filled.ko unfilled.patch filling.patch

cat >probe.sh <<'END'
grep -h '^State:' /proc/1/status /proc/self/status
grep ' /proc ' /proc/mounts
grep -i VmFlags: /proc/self/smaps | head -n 1
cat /proc/sys/kernel/core_pipe_limit /proc/sys/kernel/core_pattern
END
tries filled.ko --file probe.sh --run 'mount -t proc -o relatime none /proc 2>/dev/null; sh /probe.sh'
probe 0 'State:\tS \(sleeping\)\nState:\tR \(running\)\n(.*\n)*.*,relatime.*\n(.*\n)*VmFlags: rd (.*\n)*0\ncore\n\Z' \
	'State:\tS \(dreaming\)\nState:\tR \(dreaming\)\n(.*\n)*.*,patched.*\n(.*\n)*VmFlags: RD (.*\n)*51\nkmend\n\Z' \
	'State:\tS \(sleeping\)\nState:\tR \(running\)\n(.*\n)*.*,relatime.*\n(.*\n)*VmFlags: rd (.*\n)*0\ncore\n\Z'

# The only user is start-up code, which gave the address away.
change fs/proc/consoles.c '/^static const struct seq_operations consoles_op = \{/,/^}/ s/= c_stop/= NULL/'
patch_of kept
refuses kept
says consoles_op 'proc_consoles_init passes its address to proc_create_seq_private'
# A variable holds it: no word of the author helps.
change fs/proc/root.c '/^static const struct fs_parameter_spec proc_fs_parameters\[\]/,/^}/ s/"gid"/"group"/'
patch_of held
refuses held
says proc_fs_parameters 'holds its address'
kmend 3 build -k "$KERNEL" --allow-table proc_fs_parameters -o held.ko held.patch

# A function of another file gets the address: only its author knows whether it keeps it.
change arch/x86/pci/fixup.c '/^static const struct dmi_system_id toshiba_ohci1394_dmi_table\[\]/,/^}/ s/"TOSHIBA"/"PATCHED"/'
patch_of handed
refuses handed
says toshiba_ohci1394_dmi_table 'passes its address to dmi_check_system, a function of another file, which may keep it or return it' '--allow-table toshiba_ohci1394_dmi_table'
kmend 3 build -k "$KERNEL" --allow-table another -o handed.ko handed.patch
build handed --allow-table toshiba_ohci1394_dmi_table
says 'vmlinux: pci_p' 'uses table toshiba_ohci1394_dmi_table'

# A list that the linker made: nothing can be added to it.
change arch/x86/pci/fixup.c '/^DECLARE_PCI_FIXUP_HEADER\(PCI_VENDOR_ID_SI, PCI_DEVICE_ID_SI_5597/ s/5597/5513/'
patch_of quirk
refuses quirk
says 'section .pci_fixup_header differs' 'the PCI core walks that list' 'post-patch callback'
