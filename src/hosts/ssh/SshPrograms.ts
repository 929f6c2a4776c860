/**
 * Programs of POSIX sh that a host behind SSH runs: what `Local.ts` does with this machine's files and processes. Their
 * variables begin with `sbx_` where a command gets their environment, so that none of the user's is changed.
 */
import { cookie } from "../Host.js"
import { jobWrapper } from "../jobs/JobWrapper.js"

/**
 * `GRACE CWD PROGRAM ARGS…`: runs a command in a session of its own, stdin closed, and ends it when whoever asked for it is
 * gone, which shows by the end of stdin. 127 with this mark: there is no such program.
 */
export const notFoundMark = "sandboxer-no-program"
const begin = `
cd -- "$1" || exit 126
shift
command -v -- "$1" >/dev/null 2>&1 || { echo "${notFoundMark}" >&2; exit 127; }
`
export const run = `
sbx_grace=$1
shift
${begin}
exec 3<&0
if command -v setsid >/dev/null 2>&1; then
  setsid "$@" </dev/null 3<&- &
  sbx_pid=$! sbx_all=-$!
else
  "$@" </dev/null 3<&- &
  sbx_pid=$! sbx_all=$!
fi
{
  read -r sbx_nothing
  kill -TERM "$sbx_all"
  sleep "$sbx_grace" 2>/dev/null || sleep 1
  kill -KILL "$sbx_all"
} <&3 >/dev/null 2>&1 &
sbx_watch=$!
exec 3<&-
wait "$sbx_pid"
sbx_code=$?
kill "$sbx_watch" 2>/dev/null
wait "$sbx_watch" 2>/dev/null
exit "$sbx_code"
`

/** `CWD PROGRAM ARGS…`: the same for one that ends by itself in a moment. */
export const runBriefly = `${begin}
"$@"
exit "$?"
`

/**
 * `POLL POLLS FOLDER CWD PROGRAM ARGS…`: starts a job, and looks up to so many times whether its claim is there. The
 * wrapper is a program's text, so it is an argument too.
 */
export const start = `
sbx_poll=$1 sbx_polls=$2
shift 2
cd -- "$1" || exit 1
command -v setsid >/dev/null 2>&1 || { echo "${notFoundMark}" >&2; exit 127; }
export ${cookie}="$1"
sbx_claim=$1/claim
setsid sh -c '${jobWrapper.replaceAll("'", "'\\''")}' sandboxer-job "$@" </dev/null >/dev/null 2>&1 &
while [ "$sbx_polls" -gt 0 ] && [ ! -e "$sbx_claim" ]; do
  sbx_polls=$((sbx_polls-1))
  sleep "$sbx_poll" 2>/dev/null || sleep 1
done
`

/**
 * `FOLDER …`: functions about a job. `census` finds those that live with its cookie in their environment, and
 * whoever is in one of their groups or in the one that its command led: pids in `left`, groups in `groups`. To busybox's
 * grep a line ends at its first NUL, so an environment is searched by `-z` alone.
 */
const aboutJob = `
LC_ALL=C
export LC_ALL
folder=$1
entry='${cookie}='$folder
newline=$(printf '\\nx')
newline=\${newline%x}
blanks=$IFS
nap() { sleep "$poll" 2>/dev/null || sleep 1; }
identify() {
  pid= started= group= boot=
  if [ -e "$folder/identity" ]; then read -r pid started group boot <"$folder/identity"; fi
  read -r now </proc/sys/kernel/random/boot_id
  [ "$boot" = "$now" ] || pid= group=
}
leads() {
  [ -n "$pid" ] && [ -e "/proc/$pid/stat" ] || return 1
  stat=
  { read -r stat <"/proc/$pid/stat"; } 2>/dev/null
  stat=\${stat##*) }
  set -f
  set -- $stat
  set +f
  case "\${1:-X}" in Z | X) return 1 ;; esac
  [ "\${20:-0}" = "$started" ]
}
marked() {
  for file in $(grep -lzxF -e "$entry" /proc/[0-9]*/environ 2>/dev/null); do
    file=\${file#/proc/}
    printf '%s ' "\${file%/environ}"
  done
}
census() {
  identify
  ours=" $(marked)"
  led=$group groups=' ' left=
  all=$(cat /proc/[0-9]*/stat 2>/dev/null)
  for round in groups members; do
    set -f
    IFS=$newline
    for line in $all; do
      IFS=' '
      one=\${line%% *}
      set -- \${line##*) }
      case "\${1:-X}" in Z | X) continue ;; esac
      case "$ours" in *" $one "*) mark=yes ;; *) mark= ;; esac
      if [ "$round" = groups ]; then
        if [ -n "$mark" ]; then groups="$groups$3 "; elif [ "$one" = "$led" ]; then led=; fi
      else
        case "$groups" in *" $3 "*) mark=yes ;; esac
        [ -z "$mark" ] || left="$left $one"
      fi
    done
    IFS=$blanks
    set +f
    [ -z "$led" ] || groups="$groups$led "
  done
}
exited() {
  code=
  [ -e "$folder/exit" ] && read -r code <"$folder/exit" && [ -n "$code" ]
}
`

/** `FOLDER`: prints how it is with a job, in the words of `JobStatus`. */
export const status = `
${aboutJob}
if exited; then echo "Exited $code"; exit; fi
if [ ! -e "$folder/claim" ]; then echo Absent; exit; fi
census
if [ -n "$left" ]; then echo Running; exit; fi
if exited; then echo "Exited $code"; else echo Interrupted; fi
`

/** `FOLDER`: prints the pid and the program's name of each process that lives of a job. */
export const processes = `
${aboutJob}
if [ ! -e "$folder/claim" ]; then exit; fi
census
for one in $left; do
  name=
  { read -r name <"/proc/$one/comm"; } 2>/dev/null
  [ -z "$name" ] || printf '%s %s\\n' "$one" "$name"
done
`

/** `HOME`: prints the folders, below it, of jobs of which something lives; those of a zombie cannot be read. */
export const living = `
LC_ALL=C
export LC_ALL
for file in $(grep -lzF -e "${cookie}=$1/" /proc/[0-9]*/environ 2>/dev/null); do
  tr '\\0' '\\n' <"$file" 2>/dev/null | grep -F -e "${cookie}=$1/"
done | sort -u
`

/**
 * `FOLDER FROM POLL POLLS_PER_SEARCH`: prints what a job printed from an offset on, until it has ended, or whoever asked is gone. What was
 * there before its end was seen has been printed by the end.
 */
export const follow = `
${aboutJob}
at=$2 poll=$3 polls_per_search=$4 polls=0 ended=
exec 3<&0
{ read -r nothing; kill -TERM $$; } <&3 >/dev/null 2>&1 &
watch=$!
exec 3<&- </dev/null
trap 'exit 143' TERM
while :; do
  size=0
  if [ -e "$folder/raw.log" ]; then size=$(wc -c <"$folder/raw.log"); fi
  size=$((size))
  if [ "$size" -gt "$at" ]; then
    tail -c "+$((at+1))" "$folder/raw.log" | head -c "$((size-at))" || exit 1
    at=$size polls=0
    continue
  fi
  [ -z "$ended" ] || break
  polls=$((polls+1))
  if exited; then
    ended=yes
    continue
  fi
  if [ $((polls % polls_per_search)) = 0 ]; then
    census
    if [ -z "$left" ]; then
      ended=yes
      continue
    fi
  fi
  nap
done
kill "$watch" 2>/dev/null
exit 0
`

/**
 * `FOLDER STOP GRACE POLL START_POLLS WRAPPER_GRACE KILL_POLLS`: ends a job and proves it: prints how many processes
 * had to be killed, and how many were left. Graces are whole seconds.
 * It is told to end once, however often this is begun anew.
 */
export const stop = `
${aboutJob}
stop=$2 grace=$3 poll=$4 start_polls=$5 wrapper_grace=$6 kill_polls=$7
umask 077
mkdir "$folder/claim" 2>/dev/null || mkdir "$folder" "$folder/claim" 2>/dev/null
seconds() { date +%s; }
if [ "$grace" -gt 0 ]; then
  while [ "$start_polls" -gt 0 ]; do
    census
    if leads || [ -z "$left" ]; then break; fi
    start_polls=$((start_polls-1))
    nap
  done
  census
  if leads; then
    if [ ! -e "$folder/told" ]; then
      : >"$folder/told"
      if [ "$stop" = leader ]; then
        kill -TERM "$pid" 2>/dev/null
      else
        # Also whoever left the command's own group.
        for one in $groups; do kill -TERM "-$one" 2>/dev/null; done
      fi
    fi
    until=$(($(seconds)+grace))
    if [ "$stop" = leader ]; then
      while leads && [ "$(seconds)" -lt "$until" ]; do nap; done
      until=$(($(seconds)+wrapper_grace))
    fi
    while census; [ -n "$left" ] && [ "$(seconds)" -lt "$until" ]; do nap; done
  fi
fi
census
killed=0
for one in $left; do killed=$((killed+1)); done
while [ -n "$left" ] && [ "$kill_polls" -gt 0 ]; do
  for one in $groups; do kill -KILL "-$one" 2>/dev/null; done
  for one in $left; do kill -KILL "$one" 2>/dev/null; done
  kill_polls=$((kill_polls-1))
  nap
  census
done
count=0
for one in $left; do count=$((count+1)); done
echo "$killed $count"
`
