import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ProvisionError } from "../../../../domain/Failure.js"
import { Host } from "../../../../hosts/Host.js"
import * as Jobs from "../../../../hosts/jobs/Jobs.js"
import { type BuildRecord, Packer } from "../../../../packer/Packer.js"
import type { RecipeError } from "../../../../recipe/Recipe.js"
import { type OutputLine, Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"
import { watchPacker } from "../watchers/watchPacker.js"
import { crashLog } from "./crashLog.js"
import type { ValidatedRequest } from "./validate.js"

/** A file that a build made, as Packer names it. */
export const MadeFile = Schema.Struct({ build: Schema.String, builderId: Schema.String, file: Schema.String })
export type MadeFile = typeof MadeFile.Type

/** The template's builds, and the files that they made, in the order of Packer's output. */
const Made = Schema.Struct({ builds: Schema.Array(Schema.String), files: Schema.Array(MadeFile) })
export type Made = typeof Made.Type

/**
 * Runs `packer build` as a Job, or follows the one that a supervisor before this one started. Its output becomes phases,
 * warnings and log; watchers end it where it would wait for ever.
 *
 * Journaled as a Job: it is stopped when the provision ends, however it ends. Packer, asked to stop or failing, ends its
 * machine and deletes its files (with `on_error=keep` it leaves the files); the end of the Job kills what is left.
 */
export const runPacker = Effect.fn(function* (plan: BuildPlan, request: ValidatedRequest) {
  const host = yield* Host
  const packer = yield* Packer
  const reporter = yield* Reporter
  const steps = yield* Steps
  const several = request.builds.length > 1
  return yield* steps.job(
    "build",
    { schema: Made, stop: "leader" },
    Effect.fn(function* (job) {
      const files: Array<MadeFile> = []
      const keepCrashLog = yield* crashLog(request.folder)
      const { explain, observe, watch } = yield* watchPacker(job, {
        machines: request.machines,
        folders: [host.home, request.folder],
        freeDisk: plan.requires.freeDisk
      })
      yield* packer.build(job, request).pipe(
        Jobs.grouped,
        Stream.runForEach(
          Effect.fn(function* (records) {
            const lines = [...records].flatMap((record) => logLines(job.key, record, several))
            for (const { events, overall } of records) {
              for (const event of events) {
                if (event._tag === "Phase") {
                  yield* reporter.phase(event.phase, {
                    at: event.time,
                    ...(several ? { build: event.build } : {}),
                    ...(overall === undefined ? {} : { overall })
                  })
                } else if (event._tag === "Warning") {
                  yield* reporter.warning(event.message.slice(0, 200), event.message)
                } else if (event._tag === "Artifact") {
                  files.push(
                    ...event.files.map((file) => ({ build: event.build, builderId: event.builderId, file }))
                  )
                }
              }
            }
            yield* reporter.output(lines)
            yield* observe(records)
          })
        ),
        Effect.raceFirst(watch),
        Effect.catchAll(explain),
        Effect.catchIf(isProvisionError, (error) =>
          error.reason === "packer-crashed"
            ? keepCrashLog(error)
            : error.reason === "provisioner-failed"
              ? Effect.flatMap(reporter.tail, (tail) => withTail(error, beforeCleanUp(tail)))
              : error
        )
      )
      return { builds: request.builds, files }
    })
  )
})

/** With `-on-error=abort`, Packer prints a line for each step that it does not clean up; they would bury the cause. */
const skippedCleanUp = /^aborted: skipping cleanup of step "/

const logLines = (
  job: string,
  { complete, end, events }: BuildRecord,
  several: boolean
): ReadonlyArray<OutputLine> => {
  const texts = events.flatMap((event) =>
    event._tag === "Line" && !skippedCleanUp.test(event.text)
      ? [several && event.build !== undefined ? `${event.build}: ${event.text}` : event.text]
      : []
  )
  return texts.map((text, index) => ({ job, end, text, complete: complete || index < texts.length - 1 }))
}

const isProvisionError = (error: RecipeError): error is ProvisionError => error._tag === "ProvisionError"

const withTail = (error: ProvisionError, logTail: ReadonlyArray<string>) =>
  new ProvisionError({ reason: error.reason, message: error.message, hint: error.hint, logTail })

/** The last lines before Packer says that a provisioner failed: those after it are about cleaning up. */
const beforeCleanUp = (tail: ReadonlyArray<string>): ReadonlyArray<string> => {
  const at = tail.findIndex((line) => /Provisioning step had errors|Step "StepProvision" failed/.test(line))
  return at > 0 ? tail.slice(0, at) : tail
}
