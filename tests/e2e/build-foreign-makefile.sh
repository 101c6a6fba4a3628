#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel one
# Sources that another directory's makefile compiles, and one whose headers come from a program that the kernel's packages lack.
. "$(dirname "$0")/common.inc"
enter_scratch

change virt/kvm/kvm_main.c 's/\br = KVM_API_VERSION;/r = KVM_API_VERSION + 1;/'
patch_of changed_kvm
build changed_kvm
says 'kvm: kvm_dev_ioctl (virt/kvm/kvm_main.c)' '1 function(s) replaced'

change security/selinux/hooks.c 's/out of range capability/capability out of range/'
patch_of changed_selinux
build changed_selinux
says 'vmlinux: cred_has_capability' '(security/selinux/hooks.c)'

change drivers/gpu/drm/amd/amdkfd/kfd_process.c '0,/pr_err\("Invalid attribute/ s//pr_err("Invalid Attribute/'
change drivers/gpu/drm/amd/display/amdgpu_dm/amdgpu_dm_psr.c 's/= DC_PSR_VERSION_UNSUPPORTED;/= DC_PSR_VERSION_1;/'
patch_of changed_amdgpu
build changed_amdgpu
says 'amdgpu: kfd_procfs_show (drivers/gpu/drm/amd/amdkfd/kfd_process.c)' 'amdgpu: amdgpu_dm_set_psr_caps'
kmend 0 inspect changed_amdgpu.ko
