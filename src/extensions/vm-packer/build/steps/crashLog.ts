import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProvisionError } from "../../../../domain/Failure.js"
import { type HostPath, join } from "../../../../domain/HostPath.js"
import { Host } from "../../../../hosts/Host.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { StoreError } from "../../../../store/SandboxStore.js"

/**
 * Takes care of the `crash.log` that Packer leaves in its working directory when it panics. Returns what to do with that
 * failure: keep a redacted copy beside the log, remove the file, and fail with a hint that names the copy.
 *
 * Whether there was such a file before the build is journaled: that one is the user's, and stays.
 */
export const crashLog = Effect.fn(function* (folder: HostPath) {
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  const file = join(folder, "crash.log")
  const before = yield* steps.step(
    "crash-log",
    Schema.Boolean,
    Effect.map(host.info(file), (info) => info !== undefined)
  )
  return (error: ProvisionError): Effect.Effect<never, ProvisionError | StoreError> =>
    Effect.gen(function* () {
      // The next build may work in this folder by now.
      const fence = yield* Effect.catchTag(steps.fence, "HostError", () => error)
      const read = yield* Effect.option(host.run({ program: "cat", args: ["--", file] }, { fence }))
      if (read._tag === "None" || read.value.exitCode !== 0) return yield* error
      const kept = yield* reporter.keep("crash.log", read.value.stdout)
      if (!before) {
        yield* Effect.ignore(host.run({ program: "rm", args: ["-f", "--", file] }, { fence }))
      }
      return yield* new ProvisionError({
        reason: error.reason,
        message: error.message,
        hint: `A redacted copy of Packer's crash.log is ${kept}${before ? `; the one in ${folder} is older than this build, and may contain secrets` : ""}.`
      })
    })
})
