/** What the watchers of a Packer Job share: what Packer has printed, and the verdict that ends it. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { ProvisionError } from "../../../../domain/Failure.js"
import { monotonicSeconds as now } from "../../../../domain/Monotonic.js"
import type { PhaseName } from "../../../../domain/Phase.js"
import { Host, type HostError } from "../../../../hosts/Host.js"
import type { JobRef } from "../../../../hosts/jobs/Jobs.js"
import type { BuildRecord } from "../../../../packer/Packer.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import { Timing, type TimingShape } from "../../../../settings/Timing.js"
import type { StoreError } from "../../../../store/SandboxStore.js"

export interface Watched {
  readonly job: JobRef
  readonly timing: TimingShape["watch"]
  /** The pauses between the looks of a watcher. */
  readonly repeatedly: Schedule.Schedule<unknown>
  /** Builds whose machine is a process of the Job. */
  readonly machines: ReadonlyArray<string>
  readonly printed: Printed
  /** The reason for which Packer is ended, once a watcher has found one. */
  readonly verdict: () => ProvisionError | undefined
  /**
   * Commits the verdict, then asks Packer to end: it cleans up, and its last output is read before the failure is
   * reported. The first verdict stays; a later call with no grace kills a Packer that does not react.
   */
  readonly stop: (
    error: ProvisionError,
    grace?: Duration.Duration
  ) => Effect.Effect<void, HostError | StoreError>
  /** Asks Packer to end. */
  readonly end: (grace: Duration.Duration) => Effect.Effect<void, HostError>
}

/** What Packer has printed so far. */
export class Printed {
  /** Of the last output, in monotonic seconds. */
  at: number
  /** The offset of its end in the Job's raw output. */
  end = 0
  /** Builds that have begun and not ended; the phase is undefined before the first one. */
  readonly phases = new Map<string, PhaseName | undefined>()
  /** Whether the current provisioner runs on this host, and may go on without a machine. */
  provisionsLocally = false

  constructor(at: number) {
    this.at = at
  }

  add(records: Iterable<BuildRecord>, at: number): void {
    for (const { end, events } of records) {
      this.at = at
      this.end = end
      for (const event of events) {
        if (event._tag === "Phase") this.phases.set(event.build, event.phase)
        else if (event._tag === "BuildFinished" || event._tag === "BuildErrored")
          this.phases.delete(event.build)
        else if (event._tag === "Line" && event.build !== undefined) {
          if (!this.phases.has(event.build)) this.phases.set(event.build, undefined)
          if (provisioner.test(event.text)) this.provisionsLocally = localProvisioner.test(event.text)
        }
      }
    }
  }
}

const provisioner = /^(?:Provisioning with|Running local|Executing)/
const localProvisioner = /^(?:Running local shell script: |Provisioning with shell-local|Executing )/

const verdictKey = "verdict"

export const makeWatched = Effect.fn(function* (job: JobRef, machines: ReadonlyArray<string>) {
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  const timing = (yield* Timing).watch
  const repeatedly = Schedule.spaced(timing.interval)
  const printed = new Printed(yield* now)
  let verdict = Option.getOrUndefined(yield* steps.journaled(verdictKey, ProvisionError))

  // A supervisor that lost the lease must not decide, so the verdict is committed before anything is done. After that
  // it holds: the next supervisor carries it out, and it does no harm if this one does so late.
  const commit = (error: ProvisionError) =>
    steps.step(verdictKey, ProvisionError, Effect.succeed(error)).pipe(
      Effect.retry({ schedule: repeatedly, while: ({ reason }) => reason === "busy" }),
      // The disk may be the reason itself. The store reads the lease before it writes, so this supervisor holds it.
      Effect.catchIf(
        ({ reason }) => reason === "not-writable",
        () => Effect.void
      )
    )

  const end = (grace: Duration.Duration) =>
    Effect.asVoid(host.stopJob(job.folder, { stop: "leader", graceSeconds: Duration.toSeconds(grace) }))

  const watched: Watched = {
    job,
    timing,
    repeatedly,
    machines,
    printed,
    verdict: () => verdict,
    stop: (error, grace = timing.stopGrace) =>
      Effect.gen(function* () {
        if (verdict !== undefined && Duration.greaterThan(grace, Duration.zero)) return
        verdict ??= new ProvisionError({
          reason: error.reason,
          message: reporter.redact(error.message),
          hint: error.hint,
          logTail: error.logTail.map(reporter.redact)
        })
        yield* commit(verdict)
        yield* end(grace)
      }),
    end
  }
  return watched
})

/**
 * Measures how long a condition has held without a break. Takes whether it holds now, and the time; returns seconds,
 * `undefined` while it does not hold.
 */
export const heldFor = () => {
  let since: number | undefined
  return (holds: boolean, at: number): number | undefined => {
    since = holds ? (since ?? at) : undefined
    return since === undefined ? undefined : at - since
  }
}
