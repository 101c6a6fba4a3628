#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: kernel
# The unit programs that want a real kernel, and are skipped without one, get it.
. "$(dirname "$0")/common.inc"
enter_scratch
programs=$(dirname "$KMEND")/tests/unit

mkdir -p boot lib/modules
ln -s "$(field source)" source
ln -s "$(field modules)" modules
ln -s "$(field boot_image)" "boot/vmlinuz-$KERNEL"
# kbuild may write here
cp -a "$(field build)" build
find -L modules -name 'v*.ko*' -exec cp -t lib/modules {} +
export KMEND_TEST_KERNEL_DIR=$PWD KMEND_TEST_COMPILER
KMEND_TEST_COMPILER=$(field compiler)

"$programs/test-units" --tap >out 2>&1 || die "test-units"
! grep '# SKIP' out || die "test-units skips tests"
"$programs/test-match" --tap -p /match/stock >out 2>&1 || die "test-match"
! grep '# SKIP' out || die "test-match skips tests"
