/**
 * The wrapper of a Job: a POSIX shell program, run as `sh -c … sandboxer-job FOLDER CWD PROGRAM ARGS…` in its own session with
 * the Job's cookie in its environment.
 *
 * First it creates the claim: of several wrappers, one runs. It ignores the signals that end the command, because it must record
 * the exit code. It ignores TERM only after the command has started: a command started earlier would inherit that and miss an
 * immediate stop. `identity` (pid, start time, process group, boot id) and `exit` are renamed into place, so that they are
 * complete or absent.
 */
export const jobWrapper = `
trap '' HUP INT
umask 077
folder=$1 cwd=$2
shift 2
mkdir "$folder/claim" 2>/dev/null || exit 0
(
  trap - HUP INT
  cd "$cwd" && exec "$@"
) </dev/null >>"$folder/raw.log" 2>&1 &
pid=$!
trap '' TERM
stat=$(cat "/proc/$pid/stat" 2>/dev/null) && set -- \${stat##*)} || set --
printf '%s %s %s %s\\n' "$pid" "\${20:-0}" "\${3:-$$}" "$(cat /proc/sys/kernel/random/boot_id)" >"$folder/identity.new"
mv "$folder/identity.new" "$folder/identity"
wait "$pid"
printf '%s\\n' "$?" >"$folder/exit.new"
mv "$folder/exit.new" "$folder/exit"
`
