# make remote-build PROJECT=path: builds a project on the build machine and brings the results back. Include it in a Makefile;
# docs/migration-build-machines.md describes the variables.
#
#   include /usr/local/lib/sandboxer/scripts/remote-build.mk

# Keep the including Makefile's default goal.
remote_build_default := $(.DEFAULT_GOAL)
remote_build := $(dir $(lastword $(MAKEFILE_LIST)))remote-build.sh
remote_build_variables := PROJECT BUILD_HOST BUILD_USER BUILD_PORT BUILD_DIR BUILD_IDENTITY BUILD_COMMAND \
  BUILD_COLLECT BUILD_RESULTS BUILD_RESULT

# Values are passed unchanged: they are never part of a shell command, and a $ in them stays a $.
$(foreach name,$(remote_build_variables),\
  $(eval remote-build: export override $(name) := $$(value $(name))))

.PHONY: remote-build
remote-build: ## Builds PROJECT on the build machine and brings the results back
	@sh '$(remote_build)'

.DEFAULT_GOAL := $(remote_build_default)
