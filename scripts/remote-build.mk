# make remote-build PROJECT=path: builds a project on the build machine and brings the results back. For a Makefile to
# include; docs/migration-build-machines.md tells what the variables are.
#
#   include /usr/local/lib/sandboxer/scripts/remote-build.mk

# The goal of the Makefile stays what it is.
remote_build_default := $(.DEFAULT_GOAL)
remote_build := $(dir $(lastword $(MAKEFILE_LIST)))remote-build.sh
remote_build_variables := PROJECT BUILD_HOST BUILD_USER BUILD_PORT BUILD_DIR BUILD_IDENTITY BUILD_COMMAND \
  BUILD_COLLECT BUILD_RESULTS BUILD_RESULT

# As they were written: a value is never part of a shell's line, and a $ in it is a $.
$(foreach name,$(remote_build_variables),\
  $(eval remote-build: export override $(name) := $$(value $(name))))

.PHONY: remote-build
remote-build: ## Builds PROJECT on the build machine and brings the results back
	@sh '$(remote_build)'

.DEFAULT_GOAL := $(remote_build_default)
