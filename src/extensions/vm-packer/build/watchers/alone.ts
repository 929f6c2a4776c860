import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProvisionError } from "../../../../domain/Failure.js"
import { monotonicSeconds as now } from "../../../../domain/Monotonic.js"
import { Host } from "../../../../hosts/Host.js"
import { Steps } from "../../../../recipe/Steps.js"
import { heldFor, type Watched } from "./Watched.js"

/**
 * Ends a Packer that waits for itself. It builds in a second process of its own, whose output the first one passes on;
 * if the first one is blocked, it does not notice that the second one has ended.
 *
 * Watches only after it has seen the second process, as a Packer may do without. That it has is journaled for the next
 * supervisor.
 */
export const watchAlone = Effect.fn(function* (watched: Watched) {
  const host = yield* Host
  const steps = yield* Steps
  const { job, printed, repeatedly, timing } = watched
  const limit = Duration.toSeconds(timing.aloneSilence)
  const packers = Effect.map(host.jobProcesses(job.folder), (all) => {
    const own = all.filter(({ name }) => name === "packer").length
    return { own, others: all.length - own }
  })
  yield* steps.step(
    "packer-seen",
    Schema.Boolean,
    Effect.repeat(
      Effect.map(packers, ({ own }) => own > 1),
      { until: (seen) => seen, schedule: repeatedly }
    ).pipe(Effect.as(true))
  )
  const alone = heldFor()
  yield* Effect.gen(function* () {
    const at = yield* now
    const silent = at - printed.at >= limit / 2
    const { others, own } = silent ? yield* packers : { others: 0, own: 0 }
    // One other process is the Job's wrapper.
    const seconds = alone(own === 1 && others <= 1, at)
    if (seconds === undefined || seconds < limit) return
    yield* watched.stop(
      new ProvisionError({
        reason: "interrupted",
        message: "the process that builds ended, and Packer kept waiting for it",
        hint: "see whether the kernel killed it (`dmesg`); create the sandbox again"
      }),
      Duration.zero
    )
  }).pipe(Effect.repeat({ schedule: repeatedly }))
})
