# SPDX-License-Identifier: GPL-2.0
#
# The entry point: `make help` lists the targets; each is one command.

LAB := tools/lab/lab

# Programs for this host (the lab compiles its own, with its own compiler, into build/cargo).
# Without an explicit target, cargo would link procedural macros statically, too.
HOST := --release --target x86_64-unknown-linux-gnu --target-dir build/cargo-host
CARGO = $(or $(shell command -v cargo),$(error cargo is missing: install it with the compilers of the \
	kernel (Debian 13: apt-get install cargo), or use `make run`, which has its own))
KBUILD_IN = $(CARGO) run --quiet $(HOST) -p rmmap-kdir -- make

# The kernel that `make modules` builds for, and the folder for the result. (STATS=n, for Kbuild: a
# driver without counters.)
KDIR ?=
MO ?= $(CURDIR)/build/modules/host
KBUILD = $(KBUILD_IN) $(if $(KDIR),--kdir $(KDIR)) --out build/kdir -- M=$(CURDIR) MO=$(MO)

.PHONY: modules modules_install help lab tools run shell vm test matrix bench fuzz mutants fail-nth races clients deb coverage check patches doc clean distclean

modules: ## Build the modules for KDIR, or for the running kernel (default)
	@+$(KBUILD) modules

modules_install: ## Install the modules that `make modules` built (INSTALL_MOD_PATH=DIR: below DIR)
	@+$(KBUILD) modules_install

help: ## List the targets
	@sed -n 's/^\([a-z_-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 24

lab: ## Make the lab: a Debian root, the stock kernel, modules and programs (KERNEL=VERSION)
	@$(LAB) lab

tools: ## Build the userspace programs for this host
	$(CARGO) build $(HOST) -p rmmap -p rmmap-bench -p rmmap-selftest

run: ## Run the demo on the stock kernel, in a virtual machine
	@$(LAB) run

shell: ## Open a shell in a virtual machine with the module loaded
	@$(LAB) shell

vm: ## Run a command in a virtual machine, and exit with its status: VM='-- COMMAND' (options: VM='--help')
	@$(LAB) vm $(VM)

test: ## Run all tests; ends with `N passed, N failed, N skipped` (options: TESTS='--help')
	@$(LAB) test $(TESTS)

matrix: ## Build for the newest kernel of each series and flavour, boot and test it; one table (MATRIX='--help')
	@$(LAB) rmmap-matrix $(MATRIX)

bench: ## Measure the cost of memory, next to memfd, ramfs, huge pages (QUICK=1: three minutes; PROFILE=CASE)
	@$(LAB) bench $(if $(QUICK),--quick) $(if $(PROFILE),--profile $(PROFILE)) $(BENCH)

fuzz: ## Compare regions and the device with memfds (SECONDS=60 SEED=1 FUZZ='--help')
	@$(LAB) vm --append init_on_alloc=0 --timeout $$(($(or $(SECONDS),60) + 600)) -- rmmap-fuzz --out /run/lab/out \
		--module $(CURDIR)/build/modules/stock/rmmap.ko --seconds $(or $(SECONDS),60) \
		--seed $(or $(SEED),1) $(FUZZ)

mutants: ## Show which planted bugs in the module the fuzzer finds (SECONDS=60 SEED=1 MUTANTS='--help')
	@$(LAB) rmmap-mutants --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1) $(MUTANTS)

fail-nth: ## Fail each allocation of each operation once, on the debug kernel (FAIL_NTH='--help')
	@$(LAB) vm --debug --name fail-nth --append kunit.enable=0 --timeout 3000 -- rmmap-fail-nth \
		--modules $(CURDIR)/build/modules/debug $(FAIL_NTH)

races: ## Delay a processor at each point of the module while another one runs on (RACES='--help')
	@$(LAB) rmmap-races $(RACES)

clients: ## Run programs of Debian on memfd and on rmmap, side by side (CLIENTS='WORD...')
	@tools/testing/clients/run $(CLIENTS)

deb: ## Make the packages of rmmap in build/deb, install, use and remove them
	@$(LAB) lab
	@$(LAB) tools/deb/build
	@$(LAB) vm --name deb -- $(CURDIR)/tools/deb/guest $(CURDIR)/build/deb

coverage: ## Show which lines of the mmap path the tests run (options: COVERAGE='--help')
	@$(LAB) coverage $(COVERAGE)

check: ## Check style: rustfmt, clippy, checkpatch, shellcheck, documentation (list: CHECKS='--list')
	@$(LAB) check $(CHECKS)

patches: ## Generate build/patches/*.patch from the library, and build and test a kernel with them
	@$(LAB) patches

doc: ## Build the documentation in build/doc
	@$(LAB) doc

clean: ## Remove the project's build results; root and kernels stay
	rm -rf build/modules build/cargo build/cargo-host build/vm build/test build/tutorial build/coverage build/bench build/matrix build/mutants build/stamps/building-* build/doc build/check

distclean: ## Remove build/
	@$(LAB) distclean
