import * as Effect from "effect/Effect"
import { ProvisionError } from "../../../../domain/Failure.js"
import { type HostPath, HostPathFromString, join } from "../../../../domain/HostPath.js"
import { Host, type HostError } from "../../../../hosts/Host.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { runJob } from "../../../../recipe/RunJob.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"

/** A variable of the template, and the prepared file that it is set to. */
export interface Prepared {
  readonly variable: string
  readonly file: HostPath
}

/**
 * Runs the command in a copy of the inputs from SOURCE, and renames the folder to FINAL once it has PRODUCES: so FINAL is
 * complete or missing. Runs under flock(1), which lets one provision at a time work on FINAL.
 */
const script = `
set -eu
final=$1 work=$2 source=$3 produces=$4
shift 4
[ ! -e "$final/$produces" ] || exit 0
rm -rf "$work" "$final"
mkdir -p "$work"
while [ "$1" != -- ]; do
  mkdir -p "$work/$(dirname "$1")"
  cp -RL "$source/$1" "$work/$1"
  shift
done
shift
cd "$work"
"$@"
if [ ! -e "$produces" ]; then
  echo "the command exited with 0, but made no $produces" >&2
  exit 1
fi
mv "$work" "$final"
`

/** A line with digest and name for each file, also for those in folders. */
const digests = (base: HostPath, name: string): Effect.Effect<ReadonlyArray<string>, HostError, Host> =>
  Effect.gen(function* () {
    const host = yield* Host
    const path = join(base, name)
    const info = yield* host.info(path)
    if (info?.type !== "folder") return [`${yield* host.sha256(path)}  ${name}`]
    const names = yield* host.list(path)
    return (yield* Effect.forEach(names, (inner) => digests(base, `${name}/${inner}`))).flat()
  })

/**
 * Runs the profile's `prepare` command, which makes a file that the template builds on. Does nothing if the same command
 * has made it from the same inputs before.
 *
 * Journaled as a Job: it is stopped, with its process group, when the provision ends. Its working folder goes with the
 * Job's folder; the result stays in `prepared/`, under the digest of command and inputs, for other provisions.
 */
export const prepare = Effect.fn(function* (plan: BuildPlan) {
  const { prepare: wanted } = plan
  if (wanted === null) return undefined
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  yield* reporter.phase("prepare")
  const file = yield* steps.job(
    "prepare",
    { schema: HostPathFromString, stop: "group" },
    Effect.fn(function* (job) {
      const source = yield* host.stage(wanted.folder, steps.fence)
      const inputs = (yield* Effect.forEach(wanted.inputs, (name) => digests(source, name))).flat()
      const recipe = join(steps.folder, "prepare.inputs")
      yield* host.write(
        recipe,
        JSON.stringify({ command: wanted.command, produces: wanted.produces, inputs })
      )
      const folder = join(host.home, "prepared", (yield* host.sha256(recipe)).slice(0, 16))
      const made = join(folder, wanted.produces)
      if ((yield* host.info(made)) !== undefined) {
        yield* reporter.note("prepared", `${wanted.produces} was made before, from the same inputs`)
        return made
      }
      yield* host.makeFolder(join(host.home, "prepared"))
      const exitCode = yield* runJob(job, {
        program: "flock",
        args: [
          `${folder}.lock`,
          "sh",
          "-c",
          script,
          "prepare",
          folder,
          join(job.folder, "work"),
          source,
          wanted.produces,
          ...wanted.inputs,
          "--",
          ...wanted.command
        ],
        stop: "group"
      })
      if (exitCode === 0) return made
      return yield* new ProvisionError({
        reason: "prepare-failed",
        message: `${wanted.command.join(" ")} failed with exit code ${exitCode}`,
        hint: "see the last lines of the log",
        logTail: yield* reporter.tail
      })
    })
  )
  return { variable: wanted.variable, file }
})
