/**
 * What keeps a Job: a POSIX shell program, run as `sh -c … sandboxer-job FOLDER CWD PROGRAM ARGS…` in a session of its
 * own with the job's cookie in its environment.
 *
 * Its first act is the claim: of any number that are started, one runs. It ignores the signals that end the command,
 * since it has to write down how the command ended; TERM only once the command has begun, which would begin by
 * ignoring it, too, and lose a stop that comes at once. Who the command is (pid, start time, process group, boot) is
 * in `identity`, its exit code in `exit`; both are renamed into place, so that they are whole or absent.
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
