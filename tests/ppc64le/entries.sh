#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# needs: ppc64le
# What kmend reads out of a ppc64le image is what the running kernel itself says it can trace.
exec "$(dirname "$0")/../e2e/entries-running.sh"
