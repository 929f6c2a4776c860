import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { monotonicSeconds as now } from "../../../../domain/Monotonic.js"
import { Host } from "../../../../hosts/Host.js"
import * as rootCause from "./rootCause.js"
import type { Watched } from "./Watched.js"

/**
 * Ends a Packer whose output breaks off within a line. It writes whole lines; where the disk was full, the part that
 * fitted is the last that it ever prints. It blocks then, or never ends, even if there is space again.
 */
export const watchBrokenOutput = Effect.fn(function* (watched: Watched) {
  const host = yield* Host
  const { job, printed } = watched
  const { blockedGrace, lineRead, lineSilence } = watched.timing
  let looks = 0
  yield* Effect.gen(function* () {
    const silent = (yield* now) - printed.at >= Duration.toSeconds(lineSilence)
    const piece = silent
      ? yield* Stream.runHead(host.followJob(job.folder, printed.end)).pipe(Effect.timeoutOption(lineRead))
      : Option.none()
    looks = Option.isSome(Option.flatten(piece)) ? looks + 1 : 0
    if (looks < 2) return
    yield* watched.stop(
      rootCause.diskFull(host, job.folder, {
        message: "Packer's output breaks off within a line"
      }),
      blockedGrace
    )
  }).pipe(Effect.repeat({ schedule: Schedule.spaced(lineSilence) }))
})
