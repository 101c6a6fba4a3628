# SPDX-License-Identifier: GPL-2.0-or-later
# The front door. Meson does the building, tests/run the testing; this names the common jobs.

BUILD ?= build
KMEND = $(BUILD)/kmend

all: $(KMEND)

# Ninja knows what is out of date, so it is asked every time.
$(KMEND): FORCE
	@scripts/setup build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >$(BUILD)-setup.log || { cat $(BUILD)-setup.log; false; }
	@rm -f $(BUILD)-setup.log
	@ninja -C $(BUILD) --quiet

demo: $(KMEND)
	@scripts/setup run $(ARCH)
	@scripts/demo $(if $(ARCH),-a '$(ARCH)') $(if $(KERNEL),-k '$(KERNEL)') $(if $(PATCH),-p '$(PATCH)') $(if $(value RUN),-r "$$RUN")

demo-fix: $(KMEND)
	@scripts/setup run
	@scripts/demo-fix $(FIX)

check: $(KMEND)
	@scripts/setup run
	@scripts/setup --try test arm64
	@tests/run

# Live patches of ppc64le kernels: a stock one, and one that is built for that first, since Debian has none with a livepatch core.
check-ppc64le: $(KMEND)
	@scripts/setup run
	@scripts/setup --try test arm64 ppc64le
	@KMEND=$(KMEND) tests/ppc64le/kernel || [ $$? = 77 ]
	@KMEND=$(KMEND) tests/ppc64le/kernel --stock || [ $$? = 77 ]
	@tests/run ppc64le/

# No virtual machine, no network.
check-fast: $(KMEND)
	@tests/run --fast

# The unit tests and the command line under AddressSanitizer and UndefinedBehaviorSanitizer.
check-sanitize: $(KMEND)
	@tests/run --fast house/sanitizers

install: $(KMEND)
	@meson install -C $(BUILD)

clean:
	rm -rf $(BUILD)

# As it was typed: a probe's $ is the shell's, not make's.
override RUN := $(value RUN)
export RUN
FORCE:
.PHONY: all demo demo-fix check check-ppc64le check-fast check-sanitize install clean FORCE
