# The tasks of this project. `make` alone lists them.
.DEFAULT_GOAL := help
.SUFFIXES:

PREFIX ?= /usr/local
DESTDIR ?=

bin := node_modules/.bin
lib := $(DESTDIR)$(PREFIX)/lib/sandboxer
link := $(DESTDIR)$(PREFIX)/bin/sandboxer
sqlite := node_modules/better-sqlite3

include scripts/remote-build.mk

# The sources of dist/ (folders too: they change when a file is added or removed), and the shell scripts.
sources := $(shell find src) scripts/build.js scripts/compile.js package.json tsconfig.json tsconfig.build.json
shell_scripts := $(shell grep -rlE '^\#!/.*sh$$' scripts profiles .ci)

title = @printf '== %s\n' '$(1)'

.PHONY: help
help: ## Lists the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile scripts/remote-build.mk | while IFS='	' read -r name what; do printf '  %-12s %s\n' "$$name" "$$what"; done

.PHONY: setup
setup: ## Installs the Debian packages and npm dependencies of the checks and tests
	$(call title,setup)
	@scripts/setup.sh check

.PHONY: build
build: dist/bin.js ## Builds the library and the command into dist/

dist/bin.js: $(sources)
	$(call title,build)
	@scripts/setup.sh build
	@node scripts/build.js

.PHONY: check
check: setup ## Runs every check and every test
	@$(MAKE) --no-print-directory --jobs=$(shell nproc) --keep-going --output-sync=target dist/bin.js static
	$(call title,test)
	@$(bin)/vitest run

.PHONY: static
static: lint types effects imports unused shell api ## Runs the checks that run no test

.PHONY: lint
lint: ## Checks format and style
	$(call title,lint)
	@$(bin)/biome ci $(if $(MAKE_TERMOUT),,--colors=off) --error-on-warnings .

.PHONY: format
format: ## Formats all files and applies safe fixes
	@$(bin)/biome check --write .

.PHONY: types
types: ## Checks the types of src, test and scripts
	$(call title,types)
	@$(bin)/tsc -p tsconfig.json

.PHONY: effects
effects: ## Finds effects that are never run, and other mistakes with Effect
	$(call title,effects)
	@$(bin)/effect-language-service diagnostics --project tsconfig.json --format text --strict --severity error,warning

.PHONY: imports
imports: ## Checks which module imports which
	$(call title,imports)
	@$(bin)/depcruise --config .dependency-cruiser.cjs src test scripts

.PHONY: unused
unused: ## Finds files, exports and dependencies that nothing uses
	$(call title,unused)
	@$(bin)/knip --no-progress

.PHONY: shell
shell: ## Checks the shell scripts
	$(call title,shell)
	@shellcheck --exclude=SC2187 $(shell_scripts) # SC2187: that busybox's sh is checked as if it were dash

.PHONY: api
api: dist/bin.js ## Checks that the public API is as docs/api/ reports it
	$(call title,api)
	@node scripts/api-report.js --check

.PHONY: test
test: dist/bin.js ## Runs the quick tests: units, crash points, and tests with real processes
	@$(bin)/vitest run --project unit --project crash-points --project process

.PHONY: e2e
e2e: dist/bin.js ## Runs the tests with real Packer, SSH and QEMU
	@$(bin)/vitest run --project e2e

.PHONY: docs
docs: dist/bin.js ## Writes docs/cli.md, docs/state-hub.openapi.json and the API report
	@node scripts/generate-cli-docs.js
	@node scripts/generate-hub-docs.js
	@node scripts/api-report.js

.PHONY: demo
demo: dist/bin.js ## Builds and boots a tiny Linux image
	@scripts/setup.sh demo
	@scripts/demo.sh

.PHONY: bench
bench: dist/bin.js ## Runs the benchmarks
	@node test/bench/bench.js
	@node test/bench/remote-build.js
	@node test/bench/hub.js

N ?= 200
SEED ?= 1

.PHONY: chaos
chaos: dist/bin.js ## Strikes N (200) real builds at random points, by SEED (1), and checks that nothing is lost or left
	@scripts/setup.sh check
	@node test/chaos/chaos.js --machines --bare --rounds='$(N)' --seed='$(SEED)' $(if $(ROUND),--round='$(ROUND)')

.PHONY: check-long
check-long: check ## Runs every check, and the tests that are too long for every change
	$(call title,crash points)
	@EVERY_CRASH_POINT=1 $(bin)/vitest run --project unit --project crash-points
	$(call title,chaos)
	@node test/chaos/chaos.js --machines --rounds=50 --seed='$(SEED)'

.PHONY: install
install: dist/bin.js ## Installs the command under PREFIX (/usr/local); you can delete this folder after that
	@rm -rf '$(lib).new'
	@mkdir -p '$(lib).new/dist' '$(lib).new/scripts' '$(lib).new/$(sqlite)/build/Release' '$(dir $(link))'
	@cp dist/bin.js dist/command.cjs dist/command.cjs.cache '$(lib).new/dist/'
	@cp -R profiles runbooks docs package.json LICENSE '$(lib).new/'
	@cp scripts/remote-build.mk scripts/remote-build.sh '$(lib).new/scripts/'
	@cp -R node_modules/bindings node_modules/file-uri-to-path '$(lib).new/node_modules/'
	@cp -R $(addprefix $(sqlite)/,package.json LICENSE lib) '$(lib).new/$(sqlite)/'
	@cp $(sqlite)/build/Release/better_sqlite3.node '$(lib).new/$(sqlite)/build/Release/'
	@chmod -R u=rwX,go=rX '$(lib).new'
	@rm -rf '$(lib)'
	@mv '$(lib).new' '$(lib)'
	@ln -sfn ../lib/sandboxer/dist/bin.js '$(link)'
	@printf 'installed %s\n' '$(link)'

.PHONY: uninstall
uninstall: ## Removes the installed command from PREFIX
	@rm -rf '$(lib)'
	@rm -f '$(link)'

.PHONY: clean
clean: ## Removes dist/
	@rm -rf dist
