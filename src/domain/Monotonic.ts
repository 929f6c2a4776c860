import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Seconds on the monotonic clock: for durations within one process. Setting the time of day does not affect it. */
export const monotonicSeconds: Effect.Effect<number> = Effect.map(
  Clock.currentTimeNanos,
  (nanos) => Number(nanos) / 1e9
)
