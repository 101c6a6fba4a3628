#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The sources are clean for clang too (warnings are errors).
command -v clang >/dev/null || { echo "clang is not installed"; exit 77; }
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
CC=clang meson setup "$dir/build"
ninja -C "$dir/build"
