import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HostPath } from "../../../../domain/HostPath.js"
import { monotonicSeconds as now } from "../../../../domain/Monotonic.js"
import { formatSize } from "../../../../domain/Units.js"
import { Host } from "../../../../hosts/Host.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import * as rootCause from "./rootCause.js"
import { heldFor, type Watched } from "./Watched.js"

/**
 * Watches the disks that Packer writes to: warns when one is low, and ends a Packer that a full one keeps from going on.
 * A Packer that goes on printing is left alone, since it says better what is wrong.
 *
 * A full disk that has space again harms no long and quiet step, and to end that would lose a good build. Where it did
 * harm, the output breaks off or Packer is left alone, which other watchers see; in doubt, there is a warning.
 */
export const makeSpace = Effect.fn(function* (
  watched: Watched,
  { folders, freeDisk }: { readonly folders: ReadonlyArray<HostPath>; readonly freeDisk: number | null }
) {
  const host = yield* Host
  const reporter = yield* Reporter
  const { printed, repeatedly, timing } = watched
  const longestFull = Duration.toSeconds(timing.diskFull)
  const longestSilence = Duration.toSeconds(timing.diskSilence)
  const reserve =
    freeDisk === null ? timing.diskReserveBytes : Math.min(freeDisk / 10, timing.diskReserveBytes)
  const full = heldFor()
  let last: { readonly path: HostPath; readonly at: number } | undefined

  /** Looks how much is free, and returns the first folder whose disk is full. */
  const measure = Effect.gen(function* () {
    let found: HostPath | undefined
    const at = yield* now
    for (const path of folders) {
      const free = yield* host.freeBytes(path)
      if (free < timing.diskEmptyBytes) {
        found ??= path
        last = { path: found, at }
      }
      if (free >= reserve) continue
      yield* reporter.warning(
        `low-disk/${path}`,
        `low disk: ${formatSize(free)} free for ${path} on ${host.name}`
      )
    }
    return found
  })

  const look = Effect.gen(function* () {
    const path = yield* measure
    const at = yield* now
    const silence = at - printed.at
    const seconds = full(path !== undefined, at)
    if (path !== undefined && seconds !== undefined) {
      if (Math.min(seconds, silence) < longestFull) return
      const message = "Packer printed nothing more, and was ended"
      return yield* watched.stop(rootCause.diskFull(host, path, { message }))
    }
    if (last === undefined || printed.at > last.at || at - last.at < longestSilence) return
    yield* reporter.warning(
      `silent-since-full/${last.path}`,
      `the disk of ${last.path} on ${host.name} was full, and Packer has printed nothing since`
    )
  })

  return {
    measure,
    watch: look.pipe(
      Effect.catchTag("HostError", () => Effect.void),
      Effect.repeat({ schedule: repeatedly })
    ),
    /** A folder whose disk was full at some look. */
    wasFull: () => last?.path
  }
})
