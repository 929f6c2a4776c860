import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { HostPath } from "../../../../domain/HostPath.js"
import { Provision } from "../../../../recipe/Provision.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { runJob } from "../../../../recipe/RunJob.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { AttachPlan } from "../AttachPlan.js"

/** How a command ended. Times are epoch milliseconds; the exit code is null if it was interrupted and left none. */
export const CommandRun = Schema.Struct({
  command: Schema.String,
  startedAt: Schema.Number,
  endedAt: Schema.Number,
  exitCode: Schema.NullOr(Schema.Int)
})
export type CommandRun = typeof CommandRun.Type

/**
 * Runs the command in the workspace as a Job, or follows the one that a supervisor before this one started. Returns the
 * exit code: a command that fails is no failure of this step, since its receipt is still to be written.
 *
 * Journaled as a Job, and with it when it started: it is stopped, with its process group, when the provision ends.
 */
export const runCommand = Effect.fn(function* (plan: AttachPlan, workspace: HostPath | undefined) {
  const { command } = plan
  if (command === null || workspace === undefined) return undefined
  const reporter = yield* Reporter
  const steps = yield* Steps
  const { secrets } = yield* Provision
  yield* reporter.phase("run")
  const startedAt = yield* steps.step("started", Schema.Number, Clock.currentTimeMillis)
  const secret = plan.secretEnvironment.flatMap((name) => {
    const value = secrets[name]
    return value === undefined ? [] : [[name, Redacted.value(value)] as const]
  })
  return yield* steps.job("command", { schema: CommandRun, stop: "group" }, (job) =>
    runJob(job, {
      program: "sh",
      args: ["-c", command],
      cwd: workspace,
      env: { ...plan.environment, ...Object.fromEntries(secret) },
      stop: "group"
    }).pipe(
      Effect.catchIf(
        (error) => error._tag === "ProvisionError" && error.reason === "interrupted",
        () => Effect.succeed(null)
      ),
      Effect.zipWith(Clock.currentTimeMillis, (exitCode, endedAt) => ({
        command,
        startedAt,
        endedAt,
        exitCode
      }))
    )
  )
})
