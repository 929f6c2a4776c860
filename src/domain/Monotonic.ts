import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Seconds on a clock that nobody sets: for what is timed within one process. */
export const monotonicSeconds: Effect.Effect<number> = Effect.map(
  Clock.currentTimeNanos,
  (nanos) => Number(nanos) / 1e9
)
