import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ToolVersion } from "../../../../domain/Receipt.js"
import { Host } from "../../../../hosts/Host.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import { Timing } from "../../../../settings/Timing.js"
import { refuseLowDisk, refuseMissing } from "../../requirements.js"
import type { AttachPlan } from "../AttachPlan.js"

/** A machine that answered: its address and user, and the versions of the tools for the receipt. */
export const Machine = Schema.Struct({
  host: Schema.String,
  port: Schema.Number,
  user: Schema.String,
  keyFingerprint: Schema.NullOr(Schema.String),
  tools: Schema.Array(ToolVersion)
})
export type Machine = typeof Machine.Type

/** Prints which of the commands are missing, then a line for each tool after `--`: its version, or `absent`. */
const program = `
while [ "$1" != -- ]; do
  command -v "$1" >/dev/null 2>&1 || printf 'missing %s\\n' "$1"
  shift
done
shift
for tool; do
  if command -v "$tool" >/dev/null 2>&1; then
    printf 'version %s\\n' "$("$tool" --version 2>&1 </dev/null | head -n 1)"
  else
    printf 'absent\\n'
  fi
done
`
/**
 * Checks in one round trip that the machine answers and has the programs that are needed, and asks for its identity.
 *
 * Journaled: the receipt describes the machine as the command found it, and a supervisor that takes over needs no answer
 * to these questions. Makes nothing.
 */
export const reach = Effect.fn(function* (plan: AttachPlan) {
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  const { lookTimeout } = (yield* Timing).attach
  yield* reporter.phase("reach")
  const answer = Effect.gen(function* () {
    const needed = new Set([
      ...plan.requires.commands,
      ...(plan.command === null ? [] : host.programs.jobs),
      ...(plan.project === null ? [] : ["rsync"]),
      ...(plan.collect.length === 0 ? [] : host.programs.files)
    ])
    const { stdout } = yield* host.run(
      { program: "sh", args: ["-c", program, "sandboxer-reach", ...needed, "--", ...plan.tools] },
      // A tool may hang, so this is not brief: it ends when it is interrupted.
      { timeoutSeconds: Duration.toSeconds(lookTimeout), brief: plan.tools.length === 0 }
    )
    const lines = stdout.split("\n")
    const missing = lines.flatMap((line) => /^missing (.*)$/.exec(line)?.[1] ?? [])
    yield* refuseMissing(missing)
    yield* refuseLowDisk(plan.requires.freeDisk)
    const versions = lines.filter((line) => /^(version |absent$)/.test(line))
    return {
      ...(yield* host.identity),
      tools: plan.tools.map((name, index) => ({
        name,
        version: /^version (.*)$/.exec(versions[index] ?? "")?.[1]?.trim() || null
      }))
    }
  })
  return yield* steps.step("reach", Machine, answer)
})
