/** Watches how much space there is where Packer writes, while it runs. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { ProvisionError } from "../../../../domain/Failure.js"
import type { HostPath } from "../../../../domain/HostPath.js"
import { monotonicSeconds as now } from "../../../../domain/Monotonic.js"
import { formatSize } from "../../../../domain/Units.js"
import type { HostError, HostShape } from "../../../../hosts/Host.js"
import type { ReporterShape } from "../../../../recipe/Reporter.js"
import type { StoreError } from "../../../../store/SandboxStore.js"
import * as rootCause from "./rootCause.js"

const lookEvery = Duration.seconds(2)
/** With so little left nothing can be written any more, in bytes. */
const nothing = 1024 * 1024
const usualReserve = 1024 ** 3
/** How long the disk has to be full, and Packer to say nothing, in seconds. */
const longestFull = 6
/** How long Packer may say nothing behind that before somebody is told, in seconds. */
const longestSilence = 60

export interface SpaceOptions {
  readonly host: HostShape
  readonly reporter: ReporterShape
  /** Where Packer writes. */
  readonly folders: ReadonlyArray<HostPath>
  /** What the profile asks to be free, in bytes. */
  readonly freeDisk: number | null
  /** When Packer printed something last, in monotonic seconds. */
  readonly saidAt: () => number
  readonly stop: (error: ProvisionError) => Effect.Effect<void, HostError | StoreError>
}

export interface Space {
  /** Looks how much is free; gives the folder that nothing can be written to. */
  readonly measure: Effect.Effect<HostPath | undefined, HostError | StoreError>
  /** Fails a Packer that a full disk keeps from going on: one that goes on says better what is wrong. Never ends. */
  readonly watch: Effect.Effect<unknown, StoreError>
  /** The folder that nothing could be written to at some look. */
  readonly wasFull: () => HostPath | undefined
}

export const space = ({ folders, freeDisk, host, reporter, saidAt, stop }: SpaceOptions): Space => {
  const reserve = freeDisk === null ? usualReserve : Math.min(freeDisk / 10, usualReserve)
  let last: { readonly path: HostPath; readonly at: number } | undefined
  let since: number | undefined

  const measure = Effect.gen(function* () {
    let full: HostPath | undefined
    const at = yield* now
    for (const path of folders) {
      const free = yield* host.freeBytes(path)
      if (free < nothing) {
        full ??= path
        last = { path: full, at }
      }
      if (free >= reserve) continue
      yield* reporter.warning(
        `low-disk/${path}`,
        `low disk: ${formatSize(free)} free for ${path} on ${host.name}`
      )
    }
    return full
  })

  const look = Effect.gen(function* () {
    const full = yield* measure
    const at = yield* now
    if (full !== undefined) {
      since ??= at
      if (at - Math.max(since, saidAt()) < longestFull) return
      const message = "Packer printed nothing any more, and was told to stop"
      return yield* stop(rootCause.diskFull(host, full, { message }))
    }
    since = undefined
    // A moment without space does a long and quiet step no harm: to stop it would lose a good build. Where it did harm the
    // output breaks off, or Packer is left alone, which the guard sees; what is between the two somebody is told.
    if (last === undefined || saidAt() > last.at || at - last.at < longestSilence) return
    yield* reporter.warning(
      `silent-since-full/${last.path}`,
      `the disk of ${last.path} on ${host.name} was full, and Packer has printed nothing since`
    )
  })

  return {
    measure,
    watch: look.pipe(
      Effect.catchTag("HostError", () => Effect.void),
      Effect.repeat({ schedule: Schedule.spaced(lookEvery) })
    ),
    wasFull: () => last?.path
  }
}
