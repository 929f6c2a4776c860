#!/bin/sh
# The work of `make remote-build` (see remote-build.mk): builds a project on the build machine and brings the results back.
# All parameters come from the environment. An empty variable counts as unset.
#
#   PROJECT         the project's folder
#   BUILD_HOST      the build machine, BUILD_USER, BUILD_PORT and BUILD_IDENTITY (a key's file) the login there
#   BUILD_DIR       the folder there; default: one that sandboxer keeps
#   BUILD_COMMAND   the command to run there
#   BUILD_COLLECT   what to bring back: one path or glob below that folder
#   BUILD_RESULTS   where results go; default: PROJECT/build-results
#   BUILD_RESULT    a JSON report, since make hides exit codes; default: BUILD_RESULTS/remote-build.json
set -u

die() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 2
}

[ -n "${PROJECT:-}" ] || die 'PROJECT is missing' 'make remote-build PROJECT=path/to/project'
[ -d "$PROJECT" ] || die "there is no folder $PROJECT" 'PROJECT is relative to where make runs'
# An absolute path cannot be taken for an option.
case $PROJECT in /*) project=$PROJECT ;; *) project=$PWD/$PROJECT ;; esac
results=${BUILD_RESULTS:-${project%/}/build-results}
result=${BUILD_RESULT:-${results%/}/remote-build.json}
case $results in /*) ;; *) results=$PWD/$results ;; esac
case $result in /*) ;; *) result=$PWD/$result ;; esac

# Ctrl-C reaches the child too: wait for it, and report how it ended.
trap : INT TERM

# --- Through sandboxer ---

by_sandboxer() {
  set -- create --profile profile.vm-haskell-build -i "project=$project" -i "into=$results"
  [ -z "${BUILD_HOST:-}" ] || set -- "$@" -i "host=$BUILD_HOST"
  [ -z "${BUILD_USER:-}" ] || set -- "$@" -i "user=$BUILD_USER"
  [ -z "${BUILD_PORT:-}" ] || set -- "$@" -i "port=$BUILD_PORT"
  [ -z "${BUILD_IDENTITY:-}" ] || set -- "$@" -i "identity_file=$BUILD_IDENTITY"
  [ -z "${BUILD_DIR:-}" ] || set -- "$@" -i "workdir=$BUILD_DIR"
  [ -z "${BUILD_COMMAND:-}" ] || set -- "$@" -i "command=$BUILD_COMMAND"
  [ -z "${BUILD_COLLECT:-}" ] || set -- "$@" -i "collect=$BUILD_COLLECT"
  sandboxer "$@" -o json >"$printed"
}

# --- The old way ---

# Quotes a word for the remote shell.
quoted() {
  printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

over_ssh() {
  set -- ${BUILD_PORT:+-p "$BUILD_PORT"} ${BUILD_IDENTITY:+-i "$BUILD_IDENTITY"} -- "$target" "$1"
  ssh "$@"
}

# rsync splits this at blanks outside quotes.
rsync_shell() {
  printf 'ssh'
  [ -z "${BUILD_PORT:-}" ] || printf ' -p %s' "$BUILD_PORT"
  [ -z "${BUILD_IDENTITY:-}" ] || printf ' -i "%s"' "$BUILD_IDENTITY"
}

# shellcheck disable=SC2016 # expanded by the remote shell
legacy_command='set -eu
rm -rf haskell-build
mkdir -p haskell-build/bin
if [ -f stack.yaml ]; then
  stack --no-terminal build --copy-bins --local-bin-path=haskell-build/bin
else
  cabal build all
  grep -o "\"bin-file\":\"[^\"]*\"" dist-newstyle/cache/plan.json | cut -d "\"" -f 4 | while IFS= read -r program; do
    case ${program#"$(pwd -P)/"} in
      */[tb]/*/build/*) ;;
      dist-newstyle/*) [ ! -x "$program" ] || cp -p "$program" haskell-build/bin/ ;;
    esac
  done
fi'

by_rsync() {
  echo 'deprecated: sandboxer is not on the PATH, so this is the old way, by rsync; see docs/migration-build-machines.md' >&2
  if [ -z "${BUILD_HOST:-}" ]; then
    echo 'error: BUILD_HOST is missing' >&2
    echo 'hint: make remote-build PROJECT=path BUILD_HOST=name, or install sandboxer' >&2
    return 2
  fi
  target=${BUILD_USER:+$BUILD_USER@}$BUILD_HOST
  folder=${BUILD_DIR:-build/$(basename "$project")}
  there=$(quoted "$folder")
  export RSYNC_RSH
  RSYNC_RSH=$(rsync_shell)
  over_ssh "mkdir -p -- $there" &&
    rsync -a --delete --protect-args --exclude=/.git --exclude=dist-newstyle --exclude=.stack-work \
      --exclude=/haskell-build --exclude=/build-results -- "${project%/}/" "$target:$folder/" &&
    over_ssh "cd -- $there || exit; ${BUILD_COMMAND:-$legacy_command}" &&
    mkdir -p -- "$results" &&
    rsync -a --protect-args --relative -- "$target:$folder/./${BUILD_COLLECT:-haskell-build}" "$results/"
}

# --- The report ---

printed=$(mktemp) || exit 1
trap 'rm -f "$printed"' EXIT
if command -v sandboxer >/dev/null 2>&1; then
  way=sandboxer
  by_sandboxer
else
  way=legacy
  by_rsync
fi
code=$?

mkdir -p -- "$(dirname -- "$result")" && {
  printf '{"apiVersion":"sandboxer/v1","kind":"RemoteBuild","way":"%s","exitCode":%d,"sandbox":' "$way" "$code"
  if [ -s "$printed" ]; then cat "$printed"; else printf 'null'; fi
  printf '}\n'
} >"$result.new" && mv -f -- "$result.new" "$result" ||
  printf 'warning: %s cannot be written\n' "$result" >&2

[ "$code" = 0 ] || printf 'remote-build: exit code %d, see %s\n' "$code" "$result" >&2
exit "$code"
