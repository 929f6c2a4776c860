/** Runs a Job of a recipe to its end; its output goes to the log. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ProvisionError } from "../domain/Failure.js"
import { type Command, Host, type HostError, type StopSignal } from "../hosts/Host.js"
import { conclude, grouped, type JobRef, lines } from "../hosts/jobs/Jobs.js"
import type { StoreError } from "../store/SandboxStore.js"
import { Reporter } from "./Reporter.js"

/** Starts a Job, or follows the one that is there, to its end. Its output goes to the log. Returns its exit code. */
export const runJob = (
  job: JobRef,
  command: Command & { readonly stop: StopSignal }
): Effect.Effect<number, HostError | StoreError | ProvisionError, Host | Reporter> =>
  Effect.gen(function* () {
    const host = yield* Host
    const reporter = yield* Reporter
    yield* host.startJob({ ...command, folder: job.folder })
    yield* lines(host.followJob(job.folder, 0)).pipe(
      grouped,
      Stream.runForEach((chunk) => reporter.output([...chunk].map((line) => ({ ...line, job: job.key }))))
    )
    return yield* conclude(host, job, command.stop)
  })
