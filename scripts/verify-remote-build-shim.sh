#!/bin/sh
# Tests the shim, scripts/remote-build.mk, with and without sandboxer and without a build machine: stand-ins for sandboxer,
# ssh and rsync record their arguments. Prints one line for each check.
#
#   scripts/verify-remote-build-shim.sh [REMOTE_BUILD.MK]
set -u
scripts=$(cd "$(dirname "$0")" && pwd)
shim=${1:-$scripts/remote-build.mk}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# --- A Makefile that includes the shim, and the programs on its PATH ---

mkdir "$work/base" "$work/with" "$work/pro ject"
cp "$shim" "$work/remote-build.mk"
cp "$(dirname "$shim")/remote-build.sh" "$work/remote-build.sh"
printf 'include remote-build.mk\nfirst:\n\t@echo first;\n' >"$work/Makefile"
for program in echo sh make sed cat mkdir mktemp mv rm dirname basename printf id; do
  found=$(command -v "$program") && case $found in /*) ln -s "$found" "$work/base/$program" ;; esac
done

# Records its name and each argument on a line of its own, and exits with the given code.
stand_in() {
  cat >"$1" <<'END'
#!/bin/sh
{
  printf '%s\n' "${0##*/}"
  for argument; do printf '  [%s]\n' "$argument"; done
  [ -z "${RSYNC_RSH:-}" ] || printf '  rsh [%s]\n' "$RSYNC_RSH"
} >>"$RECORD"
case ${0##*/} in
  sandboxer) echo '{"kind":"Sandbox","name":"stand-in"}' ;;
esac
case ${FAILS:-} in
  "${0##*/}="*) exit "${FAILS#*=}" ;;
esac
END
  chmod +x "$1"
}
stand_in "$work/base/ssh"
stand_in "$work/base/rsync"
stand_in "$work/with/sandboxer"

# Runs make with only these variables in the environment; PATH comes first.
run() {
  rm -rf "$work/record" "$work/pro ject/build-results"
  : >"$work/record"
  path=$1
  shift
  code=0
  (cd "$work" && env -i HOME="$work" RECORD="$work/record" PATH="$path" "$@") >"$work/out" 2>"$work/err" || code=$?
}
with=$work/with:$work/base
without=$work/base

check() {
  what=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    printf 'ok    %s\n' "$what"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$what"
    sed 's/^/      | /' "$work/record" "$work/err"
  fi
}
told() { grep -qxF -- "  [$1]" "$work/record"; }
not_told() { ! grep -qF -- "$1" "$work/record"; }
said() { grep -qF -- "$1" "$work/err"; }
not_said() { ! grep -qF -- "$1" "$work/err"; }
wrote() { grep -qF -- "$1" "$work/pro ject/build-results/remote-build.json"; }
ended() { [ "$code" = "$1" ]; }

# --- Through sandboxer ---

run "$with" make remote-build PROJECT='pro ject'
check 'sandboxer is used where it is' told create
check 'with its profile' told profile.vm-haskell-build
check 'and the project, its blank kept' told "project=$work/pro ject"
check 'and where the results go' told "into=$work/pro ject/build-results"
check 'nothing is said of a host that was not given' not_told 'host='
check 'nothing is deprecated' not_said deprecated
check 'make ends well' ended 0
check 'the result says so' wrote '"way":"sandboxer","exitCode":0,"sandbox":{"kind":"Sandbox","name":"stand-in"}'

# shellcheck disable=SC2016 # must not be expanded
command='make "all" && echo $HOME'
run "$with" make remote-build PROJECT='pro ject' BUILD_HOST=builder BUILD_USER=me BUILD_PORT=2222 BUILD_DIR=/srv/work \
  BUILD_IDENTITY='a key' BUILD_COMMAND="$command" BUILD_COLLECT='out/*.bin'
check 'the host is an input' told host=builder
check 'and the user' told user=me
check 'and the port' told port=2222
check 'and the folder there' told workdir=/srv/work
check 'and the key, its blank kept' told 'identity_file=a key'
check 'and the command, as it was written' told "command=$command"
check 'and what is collected, not expanded' told 'collect=out/*.bin'

run "$with" BUILD_HOST=builder PROJECT='pro ject' make remote-build
check 'variables of the environment do, too' told host=builder

run "$with" FAILS=sandboxer=10 make remote-build PROJECT='pro ject'
check 'a build that fails is an error of make' ended 2
check 'its exit code is said' said 'exit code 10'
check 'and written down' wrote '"exitCode":10'

# --- The old way ---

run "$without" make remote-build PROJECT='pro ject' BUILD_HOST=builder BUILD_USER=me BUILD_PORT=2222 BUILD_DIR='the dir'
check 'without sandboxer it is the old way' told me@builder
check 'which is said to be deprecated' said deprecated
check 'on one line' [ "$(grep -c deprecated "$work/err")" = 1 ]
check 'the folder is made, its blank kept' told "mkdir -p -- 'the dir'"
check 'at the port' told 2222
check 'the project is sent' told "$work/pro ject/"
check 'into the folder' told 'me@builder:the dir/'
check 'over ssh at the port' grep -qxF '  rsh [ssh -p 2222]' "$work/record"
check 'the results come back' told 'me@builder:the dir/./haskell-build'
check 'the result says which way' wrote '"way":"legacy","exitCode":0,"sandbox":null'

run "$with" make remote-build PROJECT='pro ject' BUILD_HOST=builder PATH="$without"
check 'a PATH of make without sandboxer brings it back' said deprecated
check 'and sandboxer is not run' not_told profile.vm-haskell-build

run "$without" FAILS=ssh=7 make remote-build PROJECT='pro ject' BUILD_HOST=builder
check 'what fails there is an error of make' ended 2
check 'its exit code is said' said 'exit code 7'
check 'and written down' wrote '"exitCode":7'
check 'nothing is done after it' not_told './haskell-build'

run "$without" make remote-build PROJECT='pro ject'
check 'the old way needs a host' said 'BUILD_HOST is missing'

# --- Wrong parameters ---

run "$with" make remote-build
check 'PROJECT is needed' said 'PROJECT is missing'
check 'which is an error of make' ended 2
check 'and nothing is run' not_told create
run "$with" make remote-build PROJECT=nowhere
check 'PROJECT has to be there' said "there is no folder nowhere"
run "$with" make
check 'the goal of the Makefile stays what it is' grep -qx first "$work/out"

printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
